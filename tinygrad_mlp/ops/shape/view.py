"""Views: other shapes and strides on the same memory. Nothing is copied.

A view shares the memory and the version counter of its base. ``view_history.py`` keeps gradients
right when one of them is written to.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd import modes, tape
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, from_memory
from ...kernels.runtime.layout import Layout, layout_of
from ..elementwise.arithmetic import clone
from .axes import Dims, along, dim_of, dims_of, sizes_of

if TYPE_CHECKING:
    from ..._tensor import Tensor

_BASE = 1 << 20  # an address that is not read: NumPy computes strides without touching memory


class View(Op):
    """An op declared by the NumPy function that makes the view."""

    def __init__(
        self,
        name: str,
        function: Callable[..., np.ndarray],
        vjp: Mapping[str, Callable[..., Any]],
        about: str = "",
    ):
        self.function, self.about = function, about
        _, *params = function.__code__.co_varnames[: function.__code__.co_argcount]
        super().__init__(name, ("x",), params=params, vjp=vjp)

    def plan(self, layout: Layout, *params: Any) -> tuple[Layout, int]:
        """Return the layout of the view, and its distance in bytes from the start of ``x``."""
        array = self.function(_unread(layout), *params)
        start: int = array.__array_interface__["data"][0]
        return layout_of(array.shape, array.strides, array.dtype), start - _BASE

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x = inputs[0]
        layout, offset = self.planned(x.layout, *self.values_of(params))
        view = tape.new(x.storage, layout, x.address + offset)
        view.seen = x.storage.version
        if modes.is_grad_enabled() or not x.requires_grad:  # else it counts as detached
            view.base = x if x.base is None else x.base
        return (view,)

    def document(self) -> str:
        return f"{self.about}\n\nA view: it shares the memory of ``x``."


def _unread(layout: Layout) -> np.ndarray:
    """Return an array of a layout, at an address that must not be read."""

    class Interface:
        __array_interface__ = {
            "shape": layout.shape,
            "strides": layout.strides,
            "typestr": layout.dtype.str,
            "data": (_BASE, False),
            "version": 3,
        }

    return np.asarray(Interface())


_reshape = View(
    "reshape",
    lambda x, shape: x.reshape(shape, copy=False),
    {"x": lambda g, x_shape: reshape(g, x_shape)},
    about="Return the same elements in the same order with another shape.",
)

_transpose = View(
    "transpose",
    lambda x, dim0, dim1: x.swapaxes(dim0, dim1) if x.ndim else x,
    {"x": lambda g, dim0, dim1: transpose(g, dim0, dim1)},
    about="Exchange two axes.",
)

_permute = View(
    "permute",
    lambda x, dims: x.transpose(dims),
    {"x": lambda g, dims: permute(g, tuple(int(k) for k in np.argsort(dims)))},
    about="Reorder the axes.",
)

_expand = View(
    "expand",
    lambda x, shape: np.broadcast_to(x, shape),
    {"x": lambda g: g},  # the tape sums over broadcast axes
    about="Repeat axes of size 1, without a copy.",
)

_slice = View(
    "slice",
    lambda x, key: x[(*thaw(key), ...)],  # with "...", a single element is an array too
    {"x": lambda g, x_shape, key: _embed(g, shape=x_shape, key=key)},
    about="Basic indexing: integers, slices, None and `...`.",
)


class _Embed(Op):
    """The gradient of a slice: ``g`` at the place of the slice, zeros elsewhere."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        array = np.zeros(params["shape"], inputs[0].layout.dtype)
        array[thaw(params["key"])] = as_array(inputs[0])
        return (from_memory(array),)


_embed: Op = _Embed(
    "slice_backward", ("x",), params=("shape", "key"), vjp={"x": lambda g, key: _slice(g, key=key)}
)


def freeze(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a hashable form of an index: slices become tuples of plain integers."""

    def plain(bound: Any) -> int | None:
        return None if bound is None else operator.index(bound)

    return tuple(
        ("slice", plain(k.start), plain(k.stop), plain(k.step)) if isinstance(k, slice) else k
        for k in key
    )


def thaw(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the index that `freeze` was given."""
    return tuple(slice(*k[1:]) if isinstance(k, tuple) else k for k in key)


# --- the public forms: PyTorch's signatures ---


def contiguous(x: Tensor) -> Tensor:
    """Return ``x`` itself if its elements lie in C order without gaps, else a copy that does.

    >>> import tinygrad_mlp as tg
    >>> tg.ones(2, 3).T.contiguous().is_contiguous()
    True
    """
    return x if x.layout.contiguous else clone(x)


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """Return the same elements in the same order with another shape; one size may be -1.

    A view where the strides allow it, else a copy.

    Raises:
        ValueError: the sizes do not multiply to the number of elements.
        TypeError: a size is not an integer.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    sizes = sizes_of(shape)
    size, known = x.layout.size, math.prod(n for n in sizes if n != -1)
    free = sizes.count(-1)
    if free > 1 or (known == 0 or size % known if free else known != size):
        raise ValueError(
            f"reshape: a tensor of shape {x.layout.shape} has {size} elements and cannot have the "
            f"shape {sizes}"
        )
    if free:
        sizes = tuple(size // known if n == -1 else n for n in sizes)
    try:
        return _reshape(x, shape=sizes)
    except ValueError:  # the strides do not allow a view
        return _reshape(clone(x), shape=sizes)


def view(x: Tensor, *shape: Any) -> Tensor:
    """Reshape without a copy.

    Raises:
        RuntimeError: the strides do not allow it.
        ValueError, TypeError: as `reshape`.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(4).view(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    result = reshape(x, *shape)
    if result.storage is not x.storage:
        raise RuntimeError(
            f"view: a tensor of shape {x.layout.shape} with strides {x.layout.strides} bytes "
            f"cannot be seen as {result.layout.shape} without a copy; use reshape"
        )
    return result


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the axes ``start_dim`` to ``end_dim`` into one; a 0-d tensor becomes 1-d.

    Raises:
        ValueError: ``start_dim`` comes after ``end_dim``.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, 3, 4).flatten(1).shape
    (2, 12)
    """
    shape = x.layout.shape or (1,)
    first, last = dim_of(start_dim, len(shape)), dim_of(end_dim, len(shape))
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


_MATRIX = {each: {"dim0": 0, "dim1": 1} for each in ((0, 1), (-1, -2), (-2, -1))}


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange the axes ``dim0`` and ``dim1``: a view.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, 3, 4).transpose(0, 2).shape
    (4, 3, 2)
    """
    ndim = x.layout.ndim
    plain = ndim == 2 and type(dim0) is int and type(dim1) is int
    if plain and (dim0, dim1) in _MATRIX:  # a fast path: every gradient of a weight takes it
        matrix: Tensor = tape.apply(_transpose, (x,), _MATRIX[dim0, dim1])
        return matrix
    return _transpose(x, dim0=dim_of(dim0, ndim), dim1=dim_of(dim1, ndim))


def permute(x: Tensor, *dims: Any) -> Tensor:
    """Reorder the axes: axis k of the result is axis ``dims[k]`` of ``x``. A view.

    Raises:
        ValueError: ``dims`` does not name each axis once.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, 3, 4).permute(2, 0, 1).shape
    (4, 2, 3)
    """
    order = tuple(dim_of(dim, x.layout.ndim) for dim in sizes_of(dims))
    if sorted(order) != list(range(x.layout.ndim)):
        raise ValueError(f"permute: dims {dims} must name each of {x.layout.ndim} axes once")
    return _permute(x, dims=order)


def expand(x: Tensor, *shape: Any) -> Tensor:
    """Repeat axes of size 1 to ``shape``, where -1 keeps a size: a view.

    Raises:
        ValueError: an axis of another size would change.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    sizes = sizes_of(shape)
    own = (1,) * (len(sizes) - x.layout.ndim) + x.layout.shape
    wanted = tuple(o if s == -1 else s for s, o in zip(sizes, own, strict=False))
    if len(sizes) < x.layout.ndim or any(o not in (1, w) for o, w in zip(own, wanted, strict=True)):
        raise ValueError(
            f"expand: shape {x.layout.shape} does not expand to {sizes}; only sizes of 1 repeat"
        )
    return _expand(x, shape=wanted)


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """Insert an axis of size 1 before axis ``dim``: a view.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2, 3).unsqueeze(1).shape
    (2, 1, 3)
    """
    at = dim_of(dim, x.layout.ndim + 1)
    return _slice(x, key=freeze(along(at, None))) if x.layout.ndim else reshape(x, (1,))


def squeeze(x: Tensor, dim: Dims = None) -> Tensor:
    """Remove axes of size 1: all of them, or those of ``dim`` that have this size. A view.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(1, 2, 1).squeeze(0).shape
    (2, 1)
    """
    dims = [k for k in dims_of(dim, x.layout.ndim) if x.layout.shape[k] == 1]
    key = tuple(0 if k in dims else slice(None) for k in range(x.layout.ndim))
    return _slice(x, key=freeze(key)) if dims else x
