"""`Tensor`: an array on the tape. Every operator is one line, and the line names the op.

To follow a gradient, read `Tensor.backward` here, then ``tape.py``, then the op's declaration in
``ops/``; the op's kernel is in ``kernels/``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ._repr import show
from .autograd import tape
from .autograd.backward import backward, cotangent
from .autograd.dtypes import BOOL, FLOAT32, FLOAT64, INT64, as_dtype
from .autograd.hooks import RemovableHandle
from .autograd.tape import Node, Value
from .autograd.values import as_array, forbid_during_capture, from_array
from .ops import derived, numpy_interop, reduce
from .ops.elementwise import activation, arithmetic, transcendental
from .ops.elementwise.arithmetic import CONVERSIONS
from .ops.fused import matmul, softmax
from .ops.shape import index
from .ops.shape import view as shape_ops


class Tensor(Value):
    """A multi-dimensional array that remembers how it was computed.

    Make one with `tensor`, `zeros`, `randn` and their like. With ``requires_grad=True`` all that is
    computed from it is taped, and `backward` of a result puts the derivative in ``.grad``.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000

    # --- what it is ---

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of its elements, as NumPy's."""
        return self.layout.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.layout.ndim

    @property
    def grad_fn(self) -> Node | None:
        """The node of the tape that computed it; None for a leaf."""
        tape.gradient_edge(self)
        return self.node

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not by a taped op: only leaves collect ``.grad``."""
        return self.node is None

    @property
    def T(self) -> Tensor:
        """The axes in reverse order: a view."""
        if self.ndim == 2:
            return self.mT
        result: Tensor = shape_ops.permute(self, *reversed(range(self.ndim)))
        return result

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: a view."""
        result: Tensor = shape_ops.transpose(self, -1, -2)
        return result

    data = property(
        lambda self: self.detach(),
        lambda self, value: arithmetic.copy_(self.detach(), value),
        doc="The same memory, off the tape (`detach`); assigning writes into it.",
    )

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[shape_ops.dim_of(dim, self.ndim)]

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.layout.size

    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return self.layout.contiguous

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[k] for k in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(reduce.any(arithmetic.eq(self, value)))

    def __repr__(self) -> str:
        return show(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else object.__format__(self, spec)

    # --- out to Python and NumPy ---

    def item(self) -> Any:
        """Its one element as a Python number. ValueError if there are more."""
        if self.layout.size != 1:
            raise ValueError(f"item() of a tensor of shape {self.shape}: it has not one element")
        forbid_during_capture("item()")
        return as_array(self).item()

    def tolist(self) -> Any:
        """Its elements as nested lists of Python numbers."""
        forbid_during_capture("tolist()")
        return as_array(self).tolist()

    def numpy(self) -> np.ndarray:
        """The elements as a NumPy array on the same memory; not if it requires a gradient."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy() of a tensor that requires a gradient would step off the tape unseen: "
                "write x.detach().numpy()"
            )
        forbid_during_capture("numpy()")
        return as_array(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    __array_ufunc__, __array_function__ = numpy_interop.ufunc, numpy_interop.function

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor is an index, not {self.dtype}")
        return int(self.item())

    __hash__ = object.__hash__

    # --- the tape ---

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient (or no longer); only a floating leaf can be asked."""
        if requires_grad and self.dtype.kind != "f":
            raise RuntimeError(f"only floating tensors have gradients, not {self.dtype}: x.float()")
        if not requires_grad and self.node is not None:
            raise RuntimeError("only a leaf can stop requiring a gradient: use x.detach()")
        self.requires_grad = requires_grad
        return self

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Add the derivative of this tensor to ``.grad`` of every leaf that it was computed from.

            leaf.grad += sum over elements of  gradient * d(self)/d(leaf)

        ``gradient`` has this tensor's shape; a tensor of one element may leave it out (1). The tape
        is freed unless ``retain_graph``. With ``create_graph`` the gradients are taped too, for
        second derivatives. ``inputs`` limits the leaves.

        Raises RuntimeError if nothing here requires a gradient, if the tape was freed, or if a
        value that a rule needs was changed in place.
        """
        backward(
            [self],
            [cotangent(self, gradient)],
            create_graph=create_graph,
            inputs=[inputs] if isinstance(inputs, Tensor) else inputs,
            retain_graph=create_graph if retain_graph is None else retain_graph,
        )

    def detach(self) -> Tensor:
        """The same memory, off the tape."""
        result: Tensor = self.alias()
        return result

    def retain_grad(self) -> None:
        """Keep ``.grad`` of this tensor too, though it is no leaf."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad() of a tensor that does not require a gradient")
        if self.node is not None:
            self.node.retained = {**(self.node.retained or {}), self.slot: weakref.ref(self)}

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(gradient)`` when the gradient is known; what it returns replaces it."""
        if not self.requires_grad:
            raise RuntimeError("register_hook() of a tensor that does not require a gradient")
        if self.node is None:
            self.hooks = {} if self.hooks is None else self.hooks
            return RemovableHandle(self.hooks, hook)
        self.node.hooks = {} if self.node.hooks is None else self.node.hooks
        return RemovableHandle(self.node.hooks.setdefault(self.slot, {}), hook)

    def fit(self, layout: Any) -> Tensor:
        """This gradient in the shape and dtype of ``layout``: broadcasting and promotion undone."""
        result: Tensor = reduce.fit(self, layout)
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise RuntimeError("deepcopy of a tensor that is no leaf: use x.detach().clone()")
        forbid_during_capture("deepcopy")
        twin: Tensor
        twin = memo[id(self)] = _rebuild(type(self), as_array(self).copy(), self.requires_grad)
        twin.grad = None if self.grad is None else self.grad.detach().clone()
        return twin

    def __reduce__(self) -> Any:
        if self.node is not None:
            raise RuntimeError("pickle of a tensor that is no leaf: use x.detach()")
        forbid_during_capture("pickle")
        return _rebuild, (type(self), as_array(self).copy(), self.requires_grad)

    # --- conversion ---

    def to(self, dtype: Any) -> Tensor:
        """In another dtype (or that of another tensor); itself if it has that dtype already."""
        target = dtype.dtype if isinstance(dtype, Tensor) else as_dtype(dtype)
        result: Tensor = self if target == self.dtype else CONVERSIONS[target](self)
        return result

    def float(self) -> Tensor:
        """As float32."""
        return self.to(FLOAT32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(FLOAT64)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(INT64)

    def bool(self) -> Tensor:
        """As bool: what is not zero."""
        return self.to(BOOL)

    # --- operators: the names of the ops say it all ---

    __add__, __radd__, __iadd__ = (
        arithmetic.add,
        numpy_interop.swapped(arithmetic.add),
        arithmetic.add_,
    )
    __sub__, __rsub__, __isub__ = (
        arithmetic.sub,
        numpy_interop.swapped(arithmetic.sub),
        arithmetic.sub_,
    )
    __mul__, __rmul__, __imul__ = (
        arithmetic.mul,
        numpy_interop.swapped(arithmetic.mul),
        arithmetic.mul_,
    )
    __truediv__, __rtruediv__ = arithmetic.div, numpy_interop.swapped(arithmetic.div)
    __itruediv__ = arithmetic.div_
    __floordiv__, __rfloordiv__ = (
        arithmetic.floor_divide,
        numpy_interop.swapped(arithmetic.floor_divide),
    )
    __ifloordiv__, __imod__ = arithmetic.floor_divide_, arithmetic.remainder_
    __mod__, __rmod__ = arithmetic.remainder, numpy_interop.swapped(arithmetic.remainder)
    __pow__, __rpow__, __ipow__ = (
        arithmetic.power,
        numpy_interop.swapped(arithmetic.pow),
        arithmetic.pow_,
    )
    __matmul__, __rmatmul__ = matmul.matmul, numpy_interop.swapped(matmul.matmul)
    __neg__, __abs__, __invert__ = arithmetic.neg, arithmetic.abs, arithmetic.bitwise_not
    __and__, __rand__ = arithmetic.bitwise_and, numpy_interop.swapped(arithmetic.bitwise_and)
    __or__, __ror__ = arithmetic.bitwise_or, numpy_interop.swapped(arithmetic.bitwise_or)
    __xor__, __rxor__ = arithmetic.bitwise_xor, numpy_interop.swapped(arithmetic.bitwise_xor)
    __iand__, __ior__ = arithmetic.bitwise_and_, arithmetic.bitwise_or_
    __ixor__ = arithmetic.bitwise_xor_
    __lt__, __le__, __gt__, __ge__ = arithmetic.lt, arithmetic.le, arithmetic.gt, arithmetic.ge
    __eq__, __ne__ = (
        numpy_interop.comparison(arithmetic.eq),
        numpy_interop.comparison(arithmetic.ne),
    )
    __getitem__, __setitem__ = index.getitem, index.setitem

    # --- methods that are ops ---

    add, sub, mul, div, neg, pow = (__add__, __sub__, __mul__, __truediv__, __neg__, __pow__)
    add_, sub_, mul_, div_ = arithmetic.add_, arithmetic.sub_, arithmetic.mul_, arithmetic.div_
    neg_, pow_, abs_ = arithmetic.neg_, arithmetic.pow_, arithmetic.abs_
    square, square_, reciprocal = arithmetic.square, arithmetic.square_, arithmetic.reciprocal
    abs, sign, clone, copy_ = arithmetic.abs, arithmetic.sign, arithmetic.clone, arithmetic.copy_
    floor, ceil, round, trunc = (
        arithmetic.floor,
        arithmetic.ceil,
        arithmetic.round,
        arithmetic.trunc,
    )
    maximum, minimum, clamp, clamp_ = (
        arithmetic.maximum,
        arithmetic.minimum,
        arithmetic.clamp,
        arithmetic.clamp_,
    )
    fill_, zero_ = arithmetic.fill_, arithmetic.zero_
    eq, ne, lt, le = arithmetic.eq, arithmetic.ne, arithmetic.lt, arithmetic.le
    gt, ge = arithmetic.gt, arithmetic.ge
    isnan, isinf, isfinite = arithmetic.isnan, arithmetic.isinf, arithmetic.isfinite
    logical_and, logical_or = arithmetic.logical_and, arithmetic.logical_or
    logical_xor, logical_not = arithmetic.logical_xor, arithmetic.logical_not
    where = arithmetic.where_method

    exp, exp_, expm1, exp2 = (
        transcendental.exp,
        transcendental.exp_,
        transcendental.expm1,
        transcendental.exp2,
    )
    log, log_, log1p = transcendental.log, transcendental.log_, transcendental.log1p
    log2, log10 = transcendental.log2, transcendental.log10
    sqrt, sqrt_, rsqrt = transcendental.sqrt, transcendental.sqrt_, transcendental.rsqrt
    sin, cos, tan = transcendental.sin, transcendental.cos, transcendental.tan
    asin, acos, atan = transcendental.asin, transcendental.acos, transcendental.atan
    sinh, cosh, tanh = transcendental.sinh, transcendental.cosh, transcendental.tanh
    asinh, acosh, atanh = transcendental.asinh, transcendental.acosh, transcendental.atanh
    erf, sigmoid, sigmoid_ = transcendental.erf, transcendental.sigmoid, transcendental.sigmoid_
    tanh_, relu, relu_ = transcendental.tanh_, activation.relu, activation.relu_

    sum, mean, prod, amax, amin = reduce.sum, reduce.mean, reduce.prod, reduce.amax, reduce.amin
    max, min, var, std = index.max, index.min, reduce.var, reduce.std
    argmax, argmin, any, all = reduce.argmax, reduce.argmin, reduce.any, reduce.all
    softmax, log_softmax, logsumexp = softmax.softmax, softmax.log_softmax, softmax.logsumexp

    matmul, reshape, view, flatten = (
        matmul.matmul,
        shape_ops.reshape,
        shape_ops.view,
        shape_ops.flatten,
    )
    transpose, permute, expand = shape_ops.transpose, shape_ops.permute, shape_ops.expand
    squeeze, unsqueeze, contiguous = shape_ops.squeeze, shape_ops.unsqueeze, shape_ops.contiguous
    gather, index_select, nonzero = index.gather, index.index_select, index.nonzero
    sort, topk, flip, repeat = derived.sort, derived.topk, derived.flip, derived.repeat
    mm, outer, t, movedim, narrow = (
        derived.mm,
        derived.outer,
        derived.t,
        derived.movedim,
        derived.narrow,
    )
    allclose, equal = derived.allclose, derived.equal
    norm, dot, masked_fill = derived.norm, derived.dot, derived.masked_fill
    expand_as, tril, triu = derived.expand_as, derived.tril, derived.triu
    argsort, split, chunk, unbind = index.argsort, index.split, index.chunk, index.unbind


def _rebuild(kind: type[Tensor], array: np.ndarray, requires_grad: bool) -> Any:
    value = from_array(array)
    twin = kind.__new__(kind)
    Value.__init__(twin, value.storage, value.layout, value.address)
    twin.requires_grad = requires_grad
    return twin


tape.set_tensor_class(Tensor)
