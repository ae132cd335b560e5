"""Reductions: sum, mean, products, extremes, and positions of extremes, along any axes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd import tape
from ..autograd.op import Op
from ..autograd.tape import Params, Value, empty
from ..kernels.codegen import expression, reduction
from ..kernels.codegen.reduction import Fold
from ..kernels.fused import argmax as argmax_kernel
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import BOOL, INT64, Layout, Shape, coalesce, dense
from ..kernels.runtime.memory import scratch
from .elementwise.arithmetic import CONVERSIONS, where
from .shape.view import _sizes, contiguous, dims_of, expand, permute, reshape

Dims = int | Sequence[int] | None
Axes = tuple[list[int], list[int]]  # sizes, and steps in bytes
Stages = tuple[tuple[Launch, int], ...]  # launches from one to the next, and bytes of each result


class Reduce(Op):
    """An op that folds the axes ``dims`` of its input."""

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
        self.kind, self.about = dtype, about
        super().__init__(
            name, ("x",), params=("dims", "keepdim"), textbook=textbook, vjp={"x": x} if x else None
        )

    def document(self) -> str:
        return f"{self.about}\n\nAlong the axes ``dims``; ``keepdim`` leaves them with size 1."

    def plan(self, layout: Layout, dims: Shape, keepdim: bool) -> tuple[Layout, Stages]:
        kept = [k for k in range(layout.ndim) if k not in dims]
        shape = tuple(1 if k in dims else size for k, size in enumerate(layout.shape))
        real = {
            "same": layout.dtype,
            "sum": INT64 if layout.dtype.kind in "bui" else layout.dtype,
            "float": layout.dtype,
            "bool": BOOL,
        }[self.kind]
        if self.kind == "float" and layout.dtype.kind != "f":
            raise TypeError(f"{self.name} takes a floating tensor, not {layout.dtype}: x.float()")
        empty_fold = builtins.any(layout.shape[k] == 0 for k in dims)
        if isinstance(self.fold.neutral, str) and empty_fold:
            raise ValueError(
                f"{self.name} of no elements: shape {layout.shape} has size 0 along dim {dims}"
            )
        result = dense(shape if keepdim else tuple(layout.shape[k] for k in kept), real)
        return result, self._lower(layout, kept, dims, real) if result.size else ()

    def _lower(self, layout: Layout, kept: list[int], dims: Shape, real: np.dtype) -> Stages:
        """Folds until one result is left of what each is cut into: one launch for small ones."""

        def axes(which: Sequence[int]) -> Axes:
            sizes = tuple(layout.shape[k] for k in which)
            merged, (steps,) = coalesce(sizes, [tuple(layout.strides[k] for k in which)])
            return merged, steps

        fold, dtype, outer, inner = self.fold, layout.dtype, axes(kept), axes(dims)
        if 0 in layout.shape:
            inner = [0], [0]
        stages: list[tuple[Launch, int]] = []
        parts = 2
        while parts > 1:
            cut = _Cut(outer, inner, dtype.itemsize)
            places, parts, columns = cut.results
            constants = cut.constants(1 if parts > 1 else _count(layout.shape, dims))
            names = (str(dtype), cut.access, str(real), str(real))
            launch = Launch(reduction.address(fold, cut.loop, *names), 2, constants, cut.work)
            stages.append((launch, -(-places * parts * columns * real.itemsize // 64) * 64))
            fold, dtype, item = fold.then or fold, real, real.itemsize
            outer, inner = _dense_axes(places, parts, columns, item)
        return tuple(stages)

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


class _Cut:
    """How one launch folds: which loop, over what; and into how many parts each result is cut.

    The parts, whose number depends on sizes alone, are what threads share. A tall, narrow array in
    C order is folded as one with several rows side by side: they become further parts.
    """

    def __init__(self, outer: Axes, inner: Axes, item: int):
        (kept, kept_steps), (folded, folded_steps) = map(list, outer), map(list, inner)
        across = bool(kept) and (
            not folded
            or kept_steps[-1] == item
            or kept_steps[-1] < folded_steps[-1]
            or folded[-1] <= 16 < kept[-1]
        )
        if across:
            columns, step = kept.pop(), kept_steps.pop()
        elif folded:
            columns, step = folded.pop(), folded_steps.pop()
        else:
            columns, step = 1, item
        beside, last, size = 1, columns, math.prod(kept) * math.prod(folded) * columns
        flat = across and not kept and step == item and folded_steps == [columns * item]
        if flat and columns <= 128 and size >= 64 * columns:
            beside = min(256 // columns, math.isqrt(size // columns))
            columns *= beside
            folded, folded_steps = [-(-size // columns)], [columns * item]
            last = size - (folded[0] - 1) * columns
        places, rows = math.prod(kept), math.prod(folded)
        if across:
            most, tasks = rows // 16, places * -(-columns // reduction.WIDTH)
        else:
            most, tasks = rows * -(-columns // 512), places
        parts = min(size // 2**15, 64) // tasks if size >= 2**17 else 4 * (across and size >= 2**13)
        parts = max(1, min(parts, most), -(-rows // reduction.MOST_ROWS) if across else 1)
        self.loop = reduction.ACROSS if across else reduction.ALONG
        self.access = "c" if step == item else "n"
        self.work = size * item * (0.015 if step == item else 0.1)
        self.results = (places, parts * beside, columns // beside if across else 1)
        self._head = [len(kept), places, len(folded), rows, columns, step // item, parts]
        self._tail = [last, *kept, *kept_steps, *folded, *folded_steps]

    def constants(self, n: int) -> list[int]:
        """The constants of the kernel, with ``n`` for its `finish`."""
        return [*self._head, n, *self._tail]


def _dense_axes(places: int, parts: int, columns: int, item: int) -> tuple[Axes, Axes]:
    """The kept and the folded axes of partial results, (places, parts, columns) in C order."""
    axes = [(places, parts * columns * item), (columns, item)]
    kept = [axis for axis in axes if axis[0] > 1]
    return ([size for size, _ in kept], [step for _, step in kept]), ([parts], [columns * item])


def _restore(g: Any, shape: Shape, dims: Shape, keepdim: bool) -> Any:
    """A reduced tensor with the reduced axes back, at size 1; a 0-d one broadcasts as it is."""
    if keepdim or not g.layout.ndim:
        return g
    return reshape(g, tuple(1 if k in dims else s for k, s in enumerate(shape)))


def _count(shape: Shape, dims: Shape) -> int:
    return math.prod(shape[k] for k in dims)


_sum = Reduce(
    "sum",
    lambda a, b: a + b,
    0,
    dtype="sum",
    about="The sum.",
    x=lambda g, x_shape, dims, keepdim: _restore(g, x_shape, dims, keepdim),
)

_sum_of_squares = Reduce(
    "sum_of_squares",
    lambda a, b: a + b,
    0,
    each=lambda x: x * x,
    then=_sum,
    dtype="float",
    about="The sum of the squares, in one pass.",
    x=lambda g, x, x_shape, dims, keepdim: 2 * _restore(g, x_shape, dims, keepdim) * x,
)

_mean = Reduce(
    "mean",
    lambda a, b: a + b,
    0,
    dtype="float",
    finish=lambda a, n: a / n,
    about="The arithmetic mean.",
    x=lambda g, x_shape, dims, keepdim: (
        _restore(g, x_shape, dims, keepdim) / (_count(x_shape, dims) or 1)
    ),  # 1: not to divide by 0
)

_prod = Reduce(
    "prod",
    lambda a, b: a * b,
    1,
    dtype="sum",
    about="The product.",
    textbook=lambda x, dims, keepdim: _product_by_halves(x, dims, keepdim),
)

# Which of 0 and -0 is larger is open (kernels/vmath/minmax.py): a + 0 is 0 of both.
_amax = Reduce(
    "amax",
    lambda a, b: expression.maximum(a, b),
    "lowest",
    finish=lambda a, n: a + 0,
    about="The largest element; equal ones share the gradient.",
    x=lambda g, x, out, dims, keepdim: _share(g, x, out, dims, keepdim),
)

amin_ = Reduce(
    "amin",
    lambda a, b: expression.minimum(a, b),
    "highest",
    finish=lambda a, n: a + 0,
    about="The smallest element; equal ones share the gradient.",
    x=lambda g, x, out, dims, keepdim: _share(g, x, out, dims, keepdim),
)

_any = Reduce(
    "any",
    lambda a, b: a | b,
    0,
    each=lambda x: x,
    dtype="bool",
    about="Whether any element is not zero.",
)
_all = Reduce(
    "all",
    lambda a, b: a & b,
    1,
    each=lambda x: x,
    dtype="bool",
    about="Whether no element is zero.",
)


def _share(g: Any, x: Any, out: Any, dims: Shape, keepdim: bool) -> Any:
    shape = x.layout.shape
    chosen = (x == _restore(out, shape, dims, keepdim)).to(g.dtype)
    return _restore(g, shape, dims, keepdim) * chosen / sum(chosen, dims, keepdim=True)


def _product_by_halves(x: Any, dims: Shape, keepdim: bool) -> Any:
    """Multiply the first half by the second until one is left: right also where elements are 0."""
    shape = x.layout.shape
    kept = [k for k in range(len(shape)) if k not in dims]
    x = reshape(permute(x, *kept, *dims), (*(shape[k] for k in kept), _count(shape, dims)))
    if x.layout.shape[-1] == 0:
        return x.sum(-1) + 1
    odd = None  # what is left over where a length is odd
    while (n := x.layout.shape[-1]) > 1:
        if n % 2:
            odd = x[..., -1:] if odd is None else odd * x[..., -1:]
        x = x[..., : n // 2] * x[..., n // 2 : n // 2 * 2]
    x = x if odd is None else x * odd
    return reshape(
        x,
        tuple(1 if k in dims else s for k, s in enumerate(shape))
        if keepdim
        else tuple(shape[k] for k in kept),
    )


class ArgReduce(Op):
    """The index of an extreme along the last axis, of a tensor in C order."""

    def plan(self, layout: Layout) -> tuple[Layout, Launch | None]:
        result = dense(layout.shape[:-1], INT64)
        columns = layout.shape[-1]
        constants = [result.size, columns, columns * layout.dtype.itemsize]
        kernel = argmax_kernel.address(str(layout.dtype), self.name == "argmax")
        return result, Launch(kernel, 2, constants, layout.size * 0.1) if result.size else None

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layout, launch = self.planned(inputs[0].layout)
        result = empty(layout)
        if launch is not None:
            launch(inputs[0].address, result.address)
        return (result,)


_argmax, _argmin = ArgReduce("argmax", ("x",)), ArgReduce("argmin", ("x",))


# --- the public forms: PyTorch's signatures ---


def _axes(dim: Dims, ndim: int) -> Shape:
    """The axes to fold: those in ``dim``; all for None, and for an empty sequence as in PyTorch."""
    return dims_of(dim, ndim) or tuple(range(ndim))


def sum(x: Any, dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The sum along ``dim`` (an axis, several, or all). Integers and bools give int64."""
    x = x if dtype is None else x.to(dtype)
    return _sum(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def sum_of_squares(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The sum of the squares along ``dim`` of a floating tensor, in one pass over memory."""
    return _sum_of_squares(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def mean(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The mean along ``dim`` of a floating tensor; NaN of no elements."""
    return _mean(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def prod(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The product along ``dim``. Integers and bools give int64."""
    return _prod(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def amax(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The largest element along ``dim``, NaN if there is one; equal ones share the gradient."""
    return _amax(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def amin(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The smallest element along ``dim``, NaN if there is one; equal ones share the gradient."""
    return amin_(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def any(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Whether an element along ``dim`` is not zero: bool."""
    return _any(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def all(x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Whether no element along ``dim`` is zero: bool."""
    return _all(x, dims=_axes(dim, x.layout.ndim), keepdim=keepdim)


def argmax(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the first largest element along ``dim``, or in the flattened tensor: int64."""
    return _arg(_argmax, x, dim, keepdim)


def argmin(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the first smallest element along ``dim``, or in the flattened tensor: int64."""
    return _arg(_argmin, x, dim, keepdim)


def _arg(op: Op, x: Any, dim: int | None, keepdim: bool) -> Any:
    if dim is None:
        shape = (1,) * x.layout.ndim if keepdim else ()
        rows, axis = reshape(x, (-1,) if x.layout.size else (0,)), 0
    else:
        (axis,) = dims_of(dim, x.layout.ndim) or (0,)
        rows = x if x.layout.ndim else reshape(x, (1,))
        shape = tuple(
            1 if k == axis else s for k, s in enumerate(x.layout.shape) if k != axis or keepdim
        )
    if rows.layout.shape[axis] == 0:
        raise ValueError(f"{op.name} of no elements: the tensor has shape {x.layout.shape}")
    order = [k for k in range(rows.layout.ndim) if k != axis] + [axis]
    return reshape(op(contiguous(permute(rows, *order))), shape)


def var(x: Any, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Any:
    """The variance along ``dim``: sum((x - mean)^2) / (n - correction)."""
    dims = _axes(dim, x.layout.ndim)
    n = _count(x.layout.shape, dims)
    deviation = x - _mean(x, dims=dims, keepdim=True)
    total = _sum_of_squares(deviation, dims=dims, keepdim=keepdim)
    return total / max(0.0, n - correction) if n > correction else total * float("nan")


def std(x: Any, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Any:
    """The standard deviation along ``dim``: the square root of `var`.

    Where all elements are equal it has a kink: the derivative there is 0, one of its subgradients.
    """
    return root(var(x, dim, correction, keepdim))


def root(x: Any, exponent: float = 0.5) -> Any:
    """``x ** exponent`` of what is not negative, with the derivative 0 at 0 instead of infinity."""
    positive = where(x == 0, 1, x)  # the power is never differentiated at 0
    return where(x == 0, 0, positive.sqrt() if exponent == 0.5 else positive**exponent)


def sum_to_size(x: Any, *size: Any) -> Any:
    """Return ``x`` summed over the axes that broadcasting ``size`` to its shape would repeat.

    Args:
        x: a tensor.
        size: the shape of the result, which must broadcast to that of ``x``.

    >>> import tinygrad_mlp as tg
    >>> tg.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = _sizes(size)
    own = x.layout.shape
    aligned = zip(reversed(shape), reversed(own), strict=False)
    if len(shape) > len(own) or builtins.any(n not in (1, given) for n, given in aligned):
        raise ValueError(f"sum_to_size: {shape} does not broadcast to the shape {own} of `x`")
    return _sum_to_shape(x, shape)


def sum_to_layout(gradient: Any, layout: Layout) -> Any:
    """Return a gradient in the shape and dtype of ``layout``, that of its input.

    Undoes broadcasting (sums over repeated axes) and promotion (casts). A gradient that is smaller
    than its input, as in the rule of a sum, is expanded.
    """
    if gradient.layout.shape != layout.shape:
        gradient = _sum_to_shape(gradient, layout.shape)
    if gradient.layout.shape != layout.shape:
        gradient = expand(gradient, layout.shape)
    if gradient.layout.dtype != layout.dtype:
        gradient = CONVERSIONS[layout.dtype](gradient)
    return gradient


def _sum_to_shape(x: Any, shape: Shape) -> Any:
    own = x.layout.shape
    lead = len(own) - len(shape)
    dims = tuple(k for k, n in enumerate(own) if k < lead or (n != 1 and shape[k - lead] == 1))
    if dims:
        x = _sum(x, dims=dims, keepdim=len(dims) > lead)
    return reshape(x, x.layout.shape[lead:]) if x.layout.ndim > len(shape) else x
