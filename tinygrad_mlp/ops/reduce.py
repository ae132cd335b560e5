"""Reductions along any axes: sums, means, products, extremes and their positions."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..autograd import tape
from ..autograd.op import Op
from ..autograd.tape import Params, Value
from ..kernels.codegen import expression
from ..kernels.codegen.reduction import Fold
from ..kernels.fused import argmax as argmax_kernel
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import BOOL, INT64, Layout, Shape, dense
from ..kernels.runtime.memory import scratch
from .elementwise.arithmetic import where
from .reduce_plan import Stages, stages_of
from .shape.axes import Dims, axis_last, dims_of, folded
from .shape.view import contiguous, permute, reshape

if TYPE_CHECKING:
    from .._tensor import Tensor


class Reduce(Op):
    """An op that folds the axes ``dims`` of its input.

    Args:
        name: the name of the op.
        combine: two partial results as one.
        neutral: the neutral element of ``combine``.
        each: what is folded of an element.
        finish: the result, from the total and the number of elements.
        then: the op that folds the partial results, if not this one.
        dtype: the dtype of the result: "same", "sum" (integers become int64), "float" (integers
            are refused) or "bool".
        about: the docstring.
        textbook: the same function of simpler ops.
        x: the gradient rule.
    """

    fold: Fold

    def __init__(
        self,
        name: str,
        combine: Callable[..., Any],
        neutral: float | str,
        *,
        each: Callable[..., Any] = lambda x: x,
        finish: Callable[..., Any] = lambda a, n: a,
        then: Reduce | None = None,
        dtype: str = "same",
        about: str = "",
        textbook: Callable[..., Any] | None = None,
        x: Callable[..., Any] | None = None,
    ):
        self.fold = Fold(name, combine, neutral, each, finish, then.fold if then else None)
        self.dtype_rule, self.about = dtype, about
        super().__init__(
            name, ("x",), params=("dims", "keepdim"), textbook=textbook, vjp={"x": x} if x else None
        )

    def document(self) -> str:
        return f"{self.about}\n\nAlong the axes ``dims``; ``keepdim`` leaves them with size 1."

    def plan(self, layout: Layout, dims: Shape, keepdim: bool) -> tuple[Layout, Stages]:
        if self.dtype_rule == "float" and layout.dtype.kind != "f":
            raise TypeError(f"{self.name} takes a floating tensor, not {layout.dtype}: x.float()")
        if isinstance(self.fold.neutral, str) and not _count(layout.shape, dims):
            raise ValueError(
                f"{self.name} of no elements: shape {layout.shape} has size 0 along dim {dims}"
            )
        real = BOOL if self.dtype_rule == "bool" else layout.dtype
        if self.dtype_rule == "sum" and layout.dtype.kind != "f":
            real = INT64
        result = dense(folded(layout.shape, dims, keepdim), real)
        return result, stages_of(self.fold, layout, dims, real) if result.size else ()

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x = inputs[0]
        layout, stages = self.planned(x.layout, *self.values_of(params))
        out = tape.empty(layout)
        if stages:
            source = x.address
            if len(stages) > 1:
                partial = scratch(builtins.sum(size for _, size in stages))
                for launch, size in stages[:-1]:
                    launch.run((launch.constants_address, source, partial))
                    source, partial = partial, partial + size
            launch = stages[-1][0]
            launch.run((launch.constants_address, source, out.address))
        return (out,)


def _restore(g: Any, shape: Shape, dims: Shape, keepdim: bool) -> Any:
    """Return a reduced tensor with its reduced axes at size 1; a 0-d one broadcasts as it is."""
    return g if keepdim or not g.layout.ndim else reshape(g, folded(shape, dims, True))


def _count(shape: Shape, dims: Shape) -> int:
    """Return the number of elements that a result folds."""
    return math.prod(shape[k] for k in dims)


_sum = Reduce(
    "sum",
    lambda a, b: a + b,
    0,
    dtype="sum",
    about="Return the sum.",
    x=lambda g, x_shape, dims, keepdim: _restore(g, x_shape, dims, keepdim),
)

_sum_of_squares = Reduce(
    "sum_of_squares",
    lambda a, b: a + b,
    0,
    each=lambda x: x * x,
    then=_sum,
    dtype="float",
    about="Return the sum of the squares, in one pass.",
    x=lambda g, x, x_shape, dims, keepdim: 2 * _restore(g, x_shape, dims, keepdim) * x,
)

_mean = Reduce(
    "mean",
    lambda a, b: a + b,
    0,
    dtype="float",
    finish=lambda a, n: a / n,
    about="Return the arithmetic mean.",
    x=lambda g, x_shape, dims, keepdim: (
        _restore(g, x_shape, dims, keepdim) / (_count(x_shape, dims) or 1)
    ),  # 1: not to divide by 0
)

_prod = Reduce(
    "prod",
    lambda a, b: a * b,
    1,
    dtype="sum",
    about="Return the product.",
    textbook=lambda x, dims, keepdim: _product_by_halves(x, dims, keepdim),
)

# Which of 0 and -0 is larger is open (kernels/vmath/minmax.py): a + 0 is 0 of both.
_amax = Reduce(
    "amax",
    lambda a, b: expression.maximum(a, b),
    "lowest",
    finish=lambda a, n: a + 0,
    about="Return the largest element; equal ones share the gradient.",
    x=lambda g, x, out, dims, keepdim: _share(g, x, out, dims, keepdim),
)

_amin = Reduce(
    "amin",
    lambda a, b: expression.minimum(a, b),
    "highest",
    finish=lambda a, n: a + 0,
    about="Return the smallest element; equal ones share the gradient.",
    x=lambda g, x, out, dims, keepdim: _share(g, x, out, dims, keepdim),
)

_any = Reduce("any", lambda a, b: a | b, 0, dtype="bool", about="Return whether one is not 0.")
_all = Reduce("all", lambda a, b: a & b, 1, dtype="bool", about="Return whether none is 0.")


def _share(g: Any, x: Any, out: Any, dims: Shape, keepdim: bool) -> Any:
    """Divide the gradient of an extreme among the elements that equal it."""
    shape = x.layout.shape
    chosen = (x == _restore(out, shape, dims, keepdim)).to(g.dtype)
    return _restore(g, shape, dims, keepdim) * chosen / sum(chosen, dims, keepdim=True)


def _product_by_halves(x: Any, dims: Shape, keepdim: bool) -> Any:
    """Multiply the first half by the second until one is left: exact where elements are 0."""
    shape = x.layout.shape
    kept = [k for k in range(len(shape)) if k not in dims]
    x = reshape(permute(x, *kept, *dims), (*(shape[k] for k in kept), _count(shape, dims)))
    if x.layout.shape[-1] == 0:
        return x.sum(-1) + 1
    odd = None  # the elements left over where a length is odd
    while (n := x.layout.shape[-1]) > 1:
        if n % 2:
            odd = x[..., -1:] if odd is None else odd * x[..., -1:]
        x = x[..., : n // 2] * x[..., n // 2 : n // 2 * 2]
    return reshape(x if odd is None else x * odd, folded(shape, dims, keepdim))


class OneLaunch(Op):
    """An op of one input with one launch; ``plan`` returns the layout of the result and that."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layout, launch = self.planned(inputs[0].layout)
        result = tape.empty(layout)
        if launch is not None:
            launch(inputs[0].address, result.address)
        return (result,)


class ArgReduce(OneLaunch):
    """The index of an extreme along the last axis, of a tensor in C order."""

    def plan(self, layout: Layout) -> tuple[Layout, Launch | None]:
        result = dense(layout.shape[:-1], INT64)
        columns = layout.shape[-1]
        constants = [result.size, columns, columns * layout.dtype.itemsize]
        kernel = argmax_kernel.address(str(layout.dtype), self.name == "argmax")
        return result, Launch(kernel, 2, constants, layout.size * 0.1) if result.size else None


_argmax, _argmin = ArgReduce("argmax", ("x",)), ArgReduce("argmin", ("x",))


# --- the public forms: PyTorch's signatures ---
#
# ``dim`` is an axis, several, or None for all; with ``keepdim`` the result keeps them at size 1.


def _axes(dim: Dims, ndim: int) -> Shape:
    """Return the axes to fold: those in ``dim``; all for None and, as in PyTorch, for ()."""
    return dims_of(dim, ndim) or tuple(range(ndim))


def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Return the sum along ``dim``. Integers and bools give int64.

    Args:
        x: a tensor.
        dim: the axis or axes to sum over; None: all.
        keepdim: whether these axes stay, with size 1.
        dtype: convert ``x`` to it first.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
    tensor([4., 6.])
    """
    x = x if dtype is None else x.to(dtype)
    return _sum(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def sum_of_squares(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the sum of the squares along ``dim`` of a floating tensor, in one pass over memory.

    >>> import tinygrad_mlp as tg
    >>> sum_of_squares(tg.tensor([3.0, 4.0]))
    tensor(25.)
    """
    return _sum_of_squares(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def mean(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the mean along ``dim``; NaN of no elements.

    Raises:
        TypeError: ``x`` is not floating.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(1, keepdim=True)
    tensor([[1.5],
            [3.5]])
    """
    return _mean(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def prod(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the product along ``dim``; 1 of no elements. Integers and bools give int64.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([2, 3, 4]).prod()
    tensor(24)
    """
    return _prod(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def amax(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the largest element along ``dim``, NaN if there is one.

    Equal elements share the gradient.

    Raises:
        ValueError: there are no elements.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 5.0], [4.0, 2.0]]).amax(1)
    tensor([5., 4.])
    """
    return _amax(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def amin(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the smallest element along ``dim``, NaN if there is one; otherwise as `amax`.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 5.0], [4.0, 2.0]]).amin(1)
    tensor([1., 2.])
    """
    return _amin(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def any(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return whether an element along ``dim`` is not zero: bool.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[0, 1], [0, 0]]).any(1)
    tensor([ True, False])
    """
    return _any(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def all(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return whether no element along ``dim`` is zero: bool.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[0, 1], [1, 1]]).all(1)
    tensor([False,  True])
    """
    return _all(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the first largest element along ``dim``: int64.

    For None the index is that in the flattened tensor. A NaN counts as the largest.

    Raises:
        ValueError: there are no elements.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 5.0], [4.0, 2.0]]).argmax(1)
    tensor([1, 0])
    """
    return _arg(_argmax, x, dim, keepdim)


def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the first smallest element along ``dim``; otherwise as `argmax`.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 5.0], [4.0, 2.0]]).argmin()
    tensor(0)
    """
    return _arg(_argmin, x, dim, keepdim)


def _arg(op: Op, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    shape, ndim = x.layout.shape, x.layout.ndim
    axes = tuple(range(ndim)) if dim is None else dims_of(dim, ndim)
    if not _count(shape, axes):
        raise ValueError(f"{op.name} of no elements: the tensor has shape {shape}")
    if dim is None or not ndim:
        rows = reshape(x, (x.layout.size,))
    else:
        rows = permute(x, axis_last(axes[0], ndim))
    return reshape(op(contiguous(rows)), folded(shape, axes, keepdim))


def var(x: Tensor, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Tensor:
    """Return the variance along ``dim``.

        sum over i of (x_i - mean)^2 / (n - correction)

    NaN if n is not above ``correction``. The default divides by n - 1 (Bessel's correction).

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1.0, 2.0, 6.0]).var()
    tensor(7.)
    """
    dims = _axes(dim, x.layout.ndim)
    n = _count(x.layout.shape, dims)
    deviation = x - _mean(x, dims=dims, keepdim=True)
    total = _sum_of_squares(deviation, dims=dims, keepdim=keepdim)
    return total / (n - correction) if n > correction else total * math.nan


def std(x: Tensor, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Tensor:
    """Return the standard deviation along ``dim``: the square root of `var`.

    Where all elements are equal the derivative is 0, a subgradient.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1.0, 3.0]).std(correction=0)
    tensor(1.)
    """
    return root(var(x, dim, correction, keepdim))


def root(x: Tensor, exponent: float = 0.5) -> Tensor:
    """Return ``x ** exponent`` of x >= 0, with the derivative 0 at 0 instead of infinity.

    >>> import tinygrad_mlp as tg
    >>> root(tg.tensor([0.0, 9.0]))
    tensor([0., 3.])
    """
    positive = where(x == 0, 1, x)  # the power is never differentiated at 0
    return where(x == 0, 0, positive.sqrt() if exponent == 0.5 else positive**exponent)
