"""Views: other shapes and strides on the same memory. Nothing is copied, nothing computed.

A view shares its base's memory and version. Writing to either changes both, and the tape must know:
after a write through a view, the base's gradient goes through that write (`write_region`); after
any write, an older view is taken anew from its base (`region`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...autograd import modes, tape
from ...autograd.op import Op
from ...autograd.tape import Node, Params, Value, empty
from ...autograd.values import as_array, from_memory
from ...kernels.runtime.layout import Layout, Shape, layout_of
from ..elementwise.arithmetic import clone

_NOWHERE = 1 << 20  # an address that is never read: NumPy works out strides without touching memory


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
        """The view's layout, and how many bytes into ``x`` it begins."""
        array = self.function(_array_nowhere(layout), *params)
        return layout_of(array.shape, array.strides, array.dtype), _address(array) - _NOWHERE

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x = inputs[0]
        layout, offset = self.planned(x.layout, *self.values_of(params))
        view = tape.new(x.storage, layout, x.address + offset)
        view.seen = x.storage.version
        if modes.is_grad_enabled() or not x.requires_grad:  # else it is as good as detached
            view.base = x if x.base is None else x.base
        return (view,)

    def document(self) -> str:
        return f"{self.about}\n\nA view: it shares the memory of ``x``."


def _array_nowhere(layout: Layout) -> np.ndarray:
    class Interface:
        __array_interface__ = {
            "shape": layout.shape,
            "strides": layout.strides,
            "typestr": layout.dtype.str,
            "data": (_NOWHERE, False),
            "version": 3,
        }

    return np.asarray(Interface())


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def contiguous(x: Any) -> Any:
    """``x`` itself if it lies in C order, else a copy that does."""
    return x if x.layout.contiguous else clone(x)


_reshape = View(
    "reshape",
    lambda x, shape: x.reshape(shape, copy=False),
    {"x": lambda g, x_shape: reshape(g, x_shape)},
    about="The same elements in the same order under another shape.",
)

_transpose = View(
    "transpose",
    lambda x, dim0, dim1: x.swapaxes(dim0, dim1) if x.ndim else x,
    {"x": lambda g, dim0, dim1: transpose(g, dim0, dim1)},
    about="Two axes exchanged.",
)

_permute = View(
    "permute",
    lambda x, dims: x.transpose(dims),
    {"x": lambda g, dims: permute(g, tuple(int(k) for k in np.argsort(dims)))},
    about="The axes in another order.",
)

_expand = View(
    "expand",
    lambda x, shape: np.broadcast_to(x, shape),
    {"x": lambda g: g},  # the tape sums what was broadcast
    about="Axes of size 1 repeated, without a copy.",
)

_slice = View(
    "slice",
    lambda x, key: x[(*thaw(key), ...)],  # with "...", a single element is an array too
    {"x": lambda g, x_shape, key: _embed(g, shape=x_shape, key=key)},
    about="Basic indexing: integers, slices, None and `...`.",
)


class _Embed(Op):
    """The gradient of a slice: zeros, but ``g`` where the slice was."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        g = inputs[0]
        array = np.zeros(params["shape"], g.layout.dtype)
        array[thaw(params["key"])] = as_array(g)
        return (from_memory(array),)


_embed: Op = _Embed(
    "slice_backward", ("x",), params=("shape", "key"), vjp={"x": lambda g, key: _slice(g, key=key)}
)


def freeze(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """An index that can be hashed: a slice becomes a tuple of plain integers."""

    def plain(bound: Any) -> int | None:
        return None if bound is None else operator.index(bound)

    return tuple(
        ("slice", plain(k.start), plain(k.stop), plain(k.step)) if isinstance(k, slice) else k
        for k in key
    )


def thaw(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """What `freeze` froze."""
    return tuple(slice(*k[1:]) if isinstance(k, tuple) else k for k in key)


# --- what the tape does about views whose memory was written to ---


class _Region(View):
    """Any view, given outright: ``shape`` and ``strides`` at a byte ``offset`` of a dense base."""

    def plan(self, layout: Layout, *params: Any) -> tuple[Layout, int]:
        shape, strides, offset = params
        return layout_of(shape, strides, layout.dtype), offset


region = _Region(
    "region",
    lambda x, shape, strides, offset: x,
    {
        "x": lambda g, x_shape, shape, strides, offset: _region_backward(
            g, x_shape=x_shape, shape=shape, strides=strides, offset=offset
        )
    },
)


class _RegionBackward(Op):
    """Zeros of the base's shape; each element of ``g`` added where the region read it."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        g, dtype = inputs[0], inputs[0].layout.dtype
        count = math.prod(params["x_shape"])
        array = np.zeros(count, dtype)
        np.add.at(array, _positions(count, dtype, params), as_array(g))
        return (from_memory(array.reshape(params["x_shape"])),)


def _positions(count: int, dtype: np.dtype, params: Params) -> np.ndarray:
    """Which elements of the base, counted in memory order, a region reads."""
    strides = [8 * (stride // dtype.itemsize) for stride in params["strides"]]
    start = params["offset"] // dtype.itemsize
    every = np.arange(count)
    return np.lib.stride_tricks.as_strided(every[start:], params["shape"], strides)


_region_backward: Op = _RegionBackward(
    "region_backward",
    ("x",),
    params=("x_shape", "shape", "strides", "offset"),
    vjp={
        "x": lambda g, shape, strides, offset: region(
            contiguous(g), shape=shape, strides=strides, offset=offset
        )
    },
)


class _WriteRegion(Op):
    """A base after one of its views was overwritten by ``part``. Only its rules ever run."""


write_region = _WriteRegion(
    "write_region",
    ("x", "part"),
    params=("shape", "strides", "offset"),
    vjp={
        "x": lambda g, shape, strides, offset: erase_region(
            g, shape=shape, strides=strides, offset=offset
        ),
        "part": lambda g, shape, strides, offset: region(
            contiguous(g), shape=shape, strides=strides, offset=offset
        ),
    },
)


class _EraseRegion(Op):
    """A copy of ``x`` with zeros in the region."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layout = contiguous(inputs[0]).layout
        result = empty(layout)
        array = as_array(result)
        array[...] = as_array(inputs[0])
        flat = array.reshape(-1)
        flat[_positions(layout.size, layout.dtype, params)] = 0
        return (result,)


erase_region: Op = _EraseRegion(
    "erase_region",
    ("x",),
    params=("shape", "strides", "offset"),
    vjp={
        "x": lambda g, shape, strides, offset: erase_region(
            g, shape=shape, strides=strides, offset=offset
        )
    },
)


def _where(view: Value) -> Params:
    """A view as a region of its base; RuntimeError if that lies in memory with gaps."""
    if not view.base.layout.contiguous:
        raise RuntimeError(
            f"a view of a tensor that is not contiguous itself (shape {view.base.layout.shape}, "
            f"strides {view.base.layout.strides} bytes) was written to, or its base was: the tape "
            "cannot follow this. Make the view of base.clone() instead"
        )
    return {
        "shape": view.layout.shape,
        "strides": view.layout.strides,
        "offset": view.address - view.base.address,
    }


def rebase_history(view: Value) -> None:
    """A view was written to by a taped op: from now on its base's history runs through it."""
    base = view.base
    view.seen = view.storage.version  # it is right as it is: no need to renew it
    node = Node(write_region, (base, view), _where(view))
    node.results = (base.layout,)
    base.node, base.slot, base.requires_grad = node, 0, True


def regenerate_grad_fn(view: Value) -> None:
    """The memory behind ``view`` was written to since it was made: take it from the base anew."""
    if view.base.requires_grad:
        node = Node(region, (view.base,), _where(view))
        node.results = (view.layout,)
        view.node, view.slot, view.requires_grad = node, 0, True
    view.seen = view.storage.version


class _Views:
    where = staticmethod(_where)
    rebase_history = staticmethod(rebase_history)
    regenerate_grad_fn = staticmethod(regenerate_grad_fn)


tape.set_view_tracker(_Views())


# --- the public forms: PyTorch's signatures ---


def reshape(x: Any, *shape: Any) -> Any:
    """The same elements in the same order under another shape; one size may be -1.

    A view where the strides allow it, else a copy.

    Raises ValueError if the sizes do not multiply to the number of elements.
    """
    sizes = _sizes(shape)
    known = math.prod(size for size in sizes if size != -1)
    if (
        sizes.count(-1) > 1
        or (-1 in sizes and (known == 0 or x.layout.size % known))
        or (-1 not in sizes and known != x.layout.size)
    ):
        raise ValueError(
            f"reshape: a tensor of shape {x.layout.shape} has {x.layout.size} elements and cannot "
            f"have the shape {sizes}"
        )
    sizes = tuple(x.layout.size // known if size == -1 else size for size in sizes)
    if sizes == x.layout.shape:
        return _reshape(x, shape=sizes)
    try:
        return _reshape(x, shape=sizes)
    except ValueError:  # the strides do not allow a view
        return _reshape(clone(x), shape=sizes)


def view(x: Any, *shape: Any) -> Any:
    """`reshape` that never copies: RuntimeError where it would have to."""
    result = reshape(x, *shape)
    if result.storage is not x.storage:
        raise RuntimeError(
            f"view: a tensor of shape {x.layout.shape} with strides {x.layout.strides} bytes "
            f"cannot be seen as {result.layout.shape} without a copy; use reshape"
        )
    return result


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Axes ``start_dim`` to ``end_dim`` merged into one; a 0-d tensor becomes 1-d."""
    shape = x.layout.shape or (1,)
    first, last = dim_of(start_dim, len(shape)), dim_of(end_dim, len(shape))
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


_MATRIX = {each: {"dim0": 0, "dim1": 1} for each in ((0, 1), (-1, -2), (-2, -1))}


def transpose(x: Any, dim0: int, dim1: int) -> Any:
    """Axes ``dim0`` and ``dim1`` exchanged: a view."""
    ndim = x.layout.ndim
    plain = ndim == 2 and type(dim0) is int and type(dim1) is int
    if plain and (dim0, dim1) in _MATRIX:  # in no time: every gradient of a weight asks for it
        return tape.apply(_transpose, (x,), _MATRIX[dim0, dim1])
    return _transpose(x, dim0=dim_of(dim0, ndim), dim1=dim_of(dim1, ndim))


def permute(x: Any, *dims: Any) -> Any:
    """The axes in the order ``dims``: a view."""
    order = tuple(dim_of(dim, x.layout.ndim) for dim in _sizes(dims))
    if sorted(order) != list(range(x.layout.ndim)):
        raise ValueError(f"permute: dims {dims} must name each of {x.layout.ndim} axes once")
    return _permute(x, dims=order)


def expand(x: Any, *shape: Any) -> Any:
    """Axes of size 1 repeated to ``shape`` (-1 keeps a size): a view."""
    sizes = _sizes(shape)
    own = (1,) * (len(sizes) - x.layout.ndim) + x.layout.shape
    wanted = tuple(o if s == -1 else s for s, o in zip(sizes, own, strict=False))
    if len(sizes) < x.layout.ndim or any(o not in (1, w) for o, w in zip(own, wanted, strict=True)):
        raise ValueError(
            f"expand: shape {x.layout.shape} does not expand to {sizes}; only sizes of 1 repeat"
        )
    return _expand(x, shape=wanted)


def unsqueeze(x: Any, dim: int) -> Any:
    """A new axis of size 1 before axis ``dim``: a view."""
    at = dim_of(dim, x.layout.ndim + 1)
    shape = x.layout.shape
    return _slice(x, key=freeze((slice(None),) * at + (None,))) if shape else reshape(x, (1,))


def squeeze(x: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Without axes of size 1: all of them, or those in ``dim`` that are."""
    dims = range(x.layout.ndim) if dim is None else dims_of(dim, x.layout.ndim)
    gone = [k for k in dims if x.layout.shape[k] == 1]
    key = tuple(0 if k in gone else slice(None) for k in range(x.layout.ndim))
    return _slice(x, key=freeze(key)) if gone else x


def dim_of(dim: int, ndim: int) -> int:
    """An axis counted from the front; IndexError with the range if there is no such axis."""
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"dim must be an integer, not {dim!r}")
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise IndexError(
            f"dim {dim} is out of range: a tensor of {ndim} dimensions has "
            f"{-max(ndim, 1)} to {max(ndim, 1) - 1}"
        )
    return int(dim) % max(ndim, 1)


def dims_of(dim: int | Sequence[int] | None, ndim: int) -> Shape:
    """Axes counted from the front, each once; None means all."""
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    found = tuple(dim_of(d, ndim) for d in dims)
    if len(set(found)) != len(found):
        raise ValueError(f"dim {dim} names an axis twice")
    return tuple(sorted(found)) if ndim else ()


def _sizes(shape: tuple[Any, ...]) -> Shape:
    if len(shape) == 1 and isinstance(shape[0], Iterable):
        shape = tuple(shape[0])
    if not all(isinstance(s, (int, np.integer)) and s >= -1 for s in shape):
        raise TypeError(f"a shape is made of non-negative integers (or -1), not {shape}")
    return tuple(int(s) for s in shape)
