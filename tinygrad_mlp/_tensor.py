"""`Tensor`: an array that records the ops applied to it.

To follow a gradient, read `Tensor.backward` here, then ``autograd/``, then the op's declaration in
``ops/``; the op's kernel is in ``kernels/``. Elementwise ops attach themselves as methods when they
are declared (see `autograd.op.Op`); all others are listed at the end of the class.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._common.change_counter import Watched
from ._repr import format_tensor
from .autograd import tape
from .autograd.backward import backward
from .autograd.dtypes import as_dtype, get_default_dtype
from .autograd.hooks import RemovableHandle
from .autograd.tape import Node, Value
from .autograd.values import as_array, forbid_during_capture, from_array
from .kernels.runtime.layout import BOOL, FLOAT32, FLOAT64, INT64
from .ops import broadcasting, create, derived, numpy_interop, reduce
from .ops.elementwise import arithmetic
from .ops.elementwise.arithmetic import CONVERSIONS
from .ops.fused import matmul, softmax
from .ops.numpy_interop import swapped
from .ops.shape import index, select
from .ops.shape import view as views
from .ops.shape.axes import dim_of


class Tensor(Value):
    """A multi-dimensional array that records how it was computed.

    Usually made by `tensor`, `zeros`, `randn` and others. With ``requires_grad=True`` all ops on it
    are recorded (on the tape), and `backward` of a result adds the derivative to ``.grad``.

    Called as in PyTorch, the class makes a tensor of the default dtype: ``Tensor([1, 2])`` copies
    data, ``Tensor(2, 3)`` has this shape, ``Tensor()`` is empty. Elements without data are zeros,
    where PyTorch leaves them uninitialised. A shape is a tuple, and therefore data: write
    ``Tensor(*x.shape)`` for ``torch.Tensor(x.shape)``. ``Tensor(x)`` of a tensor is an alias of
    ``x``, in its dtype and with its gradient history.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000

    def __init__(self, *args: Any, **data: Any):
        if data.keys() - {"data"} or (args and data):
            raise TypeError("Tensor takes data, or sizes: Tensor([1.0, 2.0]) or Tensor(2, 3)")
        vars(self).update(vars(_from_arguments(args or tuple(data.values()))))

    if TYPE_CHECKING:  # the methods that ops attach

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...

    # --- what it is ---

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of its elements, a NumPy dtype."""
        return self.layout.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.layout.ndim

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed it; None for a leaf."""
        tape.gradient_edge(self)
        return self.node

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not by a recorded op: only leaves collect ``.grad``."""
        return self.node is None

    @property
    def T(self) -> Tensor:
        """The axes in reverse order: a view."""
        return self.mT if self.ndim == 2 else views.permute(self, *reversed(range(self.ndim)))

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: a view."""
        return views.transpose(self, -1, -2)

    @property
    def data(self) -> Tensor:
        """The same memory without history (`detach`); assigning writes into it."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        arithmetic.copy_(self.detach(), value)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim_of(dim, self.ndim)]

    def dim(self) -> int:
        """Return the number of axes."""
        return self.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self.layout.size

    def is_contiguous(self) -> bool:
        """Return whether the elements lie in C order without gaps."""
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
        return format_tensor(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else object.__format__(self, spec)

    # --- conversion to Python and NumPy ---

    def item(self) -> Any:
        """Return the only element as a Python number; ValueError if there are more."""
        return self._number("item()")

    def _number(self, caller: str) -> Any:
        if self.layout.size != 1:
            raise ValueError(f"{caller} needs a tensor of one element, not of shape {self.shape}")
        forbid_during_capture(caller)
        return as_array(self).item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        forbid_during_capture("tolist()")
        return as_array(self).tolist()

    def numpy(self) -> np.ndarray:
        """Return a NumPy array on the same memory; RuntimeError if a gradient is required.

        A write to the array changes the tensor, and the tape does not notice: if an op that was
        recorded before needs the old values, its gradient is wrong. Write to ``x.numpy().copy()``,
        or change the tensor by an op. `autograd.detect_anomaly` finds such writes.
        """
        if self.requires_grad:
            raise RuntimeError(
                "numpy() of a tensor that requires a gradient: NumPy's results are not recorded; "
                "write x.detach().numpy()"
            )
        forbid_during_capture("numpy()")
        return as_array(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    __array_ufunc__, __array_function__ = numpy_interop.ufunc, numpy_interop.function

    def __bool__(self) -> bool:
        return bool(self._number("bool(), as in `if`, `and`, `or` and `not`,"))

    def __int__(self) -> int:
        return int(self._number("int()"))

    def __float__(self) -> float:
        return float(self._number("float()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor is an index, not {self.dtype}")
        return int(self.item())

    __hash__ = object.__hash__

    # --- gradients ---

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether a gradient is computed for this tensor, a floating leaf; return it."""
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
        inputs: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        """Add the derivative of this tensor to ``.grad`` of every leaf it was computed from.

            leaf.grad += sum over elements of  gradient * d(self)/d(leaf)

        Args:
            gradient: of this tensor's shape; None is 1, for a tensor of one element.
            retain_graph: keep what the graph saved, for another backward; default: create_graph.
            create_graph: record the computation of the gradients, for second derivatives.
            inputs: limit the accumulation to these tensors.

        Raises:
            RuntimeError: this tensor does not require a gradient, the graph was freed, or a saved
                value was changed in place.

        >>> import tinygrad_mlp as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> loss = (x**2).sum()
        >>> loss.backward()
        >>> x.grad
        tensor([2., 4.])
        """
        backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """Return a tensor on the same memory, without history."""
        return self.alias()

    def retain_grad(self) -> None:
        """Compute ``.grad`` for this tensor too, although it is not a leaf.

        It is the gradient of the values that the tensor has at the end, also when in-place ops
        change them after this call, as in PyTorch. (A hook stays with the values that the tensor
        had when the hook was registered.)

        >>> import tinygrad_mlp as tg
        >>> x = tg.tensor([1.0], requires_grad=True)
        >>> y = x * 2
        >>> y.retain_grad()
        >>> (y.mul_(3) * 5).sum().backward()
        >>> y.grad, x.grad
        (tensor([5.]), tensor([30.]))
        """
        if not self.requires_grad:
            raise RuntimeError("retain_grad() of a tensor that does not require a gradient")
        tape.gradient_edge(self)  # updates a view whose memory was written to
        if self.node is not None:
            self.node.retained = {**(self.node.retained or {}), self.slot: weakref.ref(self)}

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called, for a tensor that is not a leaf."""
        return self.node is not None and self.slot in (self.node.retained or {})

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(gradient)`` when the gradient is computed; its result replaces it."""
        if not self.requires_grad:
            raise RuntimeError("register_hook() of a tensor that does not require a gradient")
        tape.gradient_edge(self)  # updates a view whose memory was written to
        if self.node is None:
            self.hooks = Watched() if self.hooks is None else self.hooks
            return RemovableHandle(self.hooks, hook)
        self.node.hooks = {} if self.node.hooks is None else self.node.hooks
        return RemovableHandle(self.node.hooks.setdefault(self.slot, {}), hook)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise RuntimeError("deepcopy of a tensor that is not a leaf: use x.detach().clone()")
        forbid_during_capture("deepcopy")
        copied = memo[id(self)] = _rebuild(type(self), as_array(self).copy(), self.requires_grad)
        copied.grad = None if self.grad is None else self.grad.detach().clone()
        return copied

    def __reduce__(self) -> Any:
        if self.node is not None:
            raise RuntimeError("pickle of a tensor that is not a leaf: use x.detach()")
        forbid_during_capture("pickle")
        return _rebuild, (type(self), as_array(self).copy(), self.requires_grad)

    # --- dtypes ---

    def to(self, dtype: Any) -> Tensor:
        """Return the tensor in another dtype (or that of another tensor); itself if it has it."""
        target = dtype.dtype if isinstance(dtype, Tensor) else as_dtype(dtype)
        return self if target == self.dtype else CONVERSIONS[target](self)

    def float(self) -> Tensor:
        """Return the tensor as float32."""
        return self.to(FLOAT32)

    def double(self) -> Tensor:
        """Return the tensor as float64."""
        return self.to(FLOAT64)

    def long(self) -> Tensor:
        """Return the tensor as int64."""
        return self.to(INT64)

    def bool(self) -> Tensor:
        """Return the tensor as bool: whether each element is not zero."""
        return self.to(BOOL)

    # --- operators ---

    __add__, __radd__, __iadd__ = arithmetic.add, swapped(arithmetic.add), arithmetic.add_
    __sub__, __rsub__, __isub__ = arithmetic.sub, swapped(arithmetic.sub), arithmetic.sub_
    __mul__, __rmul__, __imul__ = arithmetic.mul, swapped(arithmetic.mul), arithmetic.mul_
    __truediv__, __rtruediv__ = arithmetic.div, swapped(arithmetic.div)
    __floordiv__, __rfloordiv__ = arithmetic.floor_divide, swapped(arithmetic.floor_divide)
    __mod__, __rmod__ = arithmetic.remainder, swapped(arithmetic.remainder)
    __itruediv__, __ifloordiv__ = arithmetic.div_, arithmetic.floor_divide_
    __imod__, __ipow__ = arithmetic.remainder_, arithmetic.pow_
    __pow__, __rpow__ = arithmetic.power, swapped(arithmetic.pow)
    __matmul__, __rmatmul__ = matmul.matmul, swapped(matmul.matmul)
    __neg__, __abs__, __invert__ = arithmetic.neg, arithmetic.abs, arithmetic.bitwise_not
    __and__, __rand__ = arithmetic.bitwise_and, swapped(arithmetic.bitwise_and)
    __or__, __ror__ = arithmetic.bitwise_or, swapped(arithmetic.bitwise_or)
    __xor__, __rxor__ = arithmetic.bitwise_xor, swapped(arithmetic.bitwise_xor)
    __iand__, __ior__ = arithmetic.bitwise_and_, arithmetic.bitwise_or_
    __ixor__ = arithmetic.bitwise_xor_
    __lt__, __le__, __gt__, __ge__ = arithmetic.lt, arithmetic.le, arithmetic.gt, arithmetic.ge
    __eq__ = numpy_interop.comparison(arithmetic.eq)  # type: ignore[assignment]
    __ne__ = numpy_interop.comparison(arithmetic.ne)  # type: ignore[assignment]
    __getitem__, __setitem__ = index.getitem, index.setitem

    # --- other methods ---

    pow, where = arithmetic.power, arithmetic.where_method
    clamp, clamp_ = arithmetic.clamp, arithmetic.clamp_
    fill_, zero_ = arithmetic.fill_, arithmetic.zero_

    sum, mean, prod, amax, amin = reduce.sum, reduce.mean, reduce.prod, reduce.amax, reduce.amin
    max, min, var, std = select.max, select.min, reduce.var, reduce.std
    argmax, argmin, any, all = reduce.argmax, reduce.argmin, reduce.any, reduce.all
    sum_to_size, _sum_to_layout = broadcasting.sum_to_size, broadcasting.sum_to_layout
    softmax, log_softmax, logsumexp = softmax.softmax, softmax.log_softmax, softmax.logsumexp

    reshape, view, flatten = views.reshape, views.view, views.flatten
    transpose, permute, expand = views.transpose, views.permute, views.expand
    squeeze, unsqueeze, contiguous = views.squeeze, views.unsqueeze, views.contiguous
    gather, index_select, nonzero = select.gather, select.index_select, select.nonzero
    argsort, split, chunk, unbind = select.argsort, select.split, select.chunk, select.unbind
    sort, topk, flip, repeat = select.sort, select.topk, derived.flip, derived.repeat
    mm, outer, t, movedim = derived.mm, derived.outer, derived.t, derived.movedim
    allclose, equal, narrow = derived.allclose, derived.equal, derived.narrow
    norm, dot, masked_fill = derived.norm, derived.dot, derived.masked_fill
    expand_as, tril, triu = derived.expand_as, derived.tril, derived.triu
    matmul = matmul.matmul


def _from_arguments(data: tuple[Any, ...]) -> Any:
    """Return the tensor that ``Tensor(*data)`` makes: an alias, a copy, or zeros of a shape."""
    first, dtype = data[0] if len(data) == 1 else 0, get_default_dtype()
    if isinstance(first, Tensor):
        return views.view(first, first.layout.shape)
    if isinstance(first, (int, np.integer)) and not isinstance(first, bool):
        return create.zeros(*(data or (0,)), dtype=dtype)
    if isinstance(first, str) or not isinstance(first, (Sequence, np.ndarray)):
        raise TypeError(
            f"Tensor: `data` must be a sequence, an array or sizes, not {first!r}; "
            "tg.tensor makes a tensor from a number"
        )
    return create.tensor(first, dtype=dtype)


def _rebuild(tensor_class: type[Tensor], array: Any, requires_grad: bool) -> Tensor:
    value = tensor_class.__new__(tensor_class)
    vars(value).update(vars(from_array(array)))
    value.requires_grad = requires_grad
    return value


tape.set_tensor_class(Tensor)
