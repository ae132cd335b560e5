"""Rows of the ops on shapes: views, indexing, joining, reductions, products, rows, creation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_mlp as tg
from tests.kernels.philox_reference import np_integers, np_mask, np_normal, np_uniform
from tests.ops.table import (
    Draw,
    Row,
    Shape,
    constant,
    distinct,
    fixed,
    integers,
    one_of,
    permutation,
    real,
    shaped,
)
from tinygrad_mlp.kernels.runtime.layout import BOOL, FLOAT32, FLOAT64, INT64
from tinygrad_mlp.ops import create, random
from tinygrad_mlp.ops.fused import epoch_ops, matmul
from tinygrad_mlp.ops.reduce import sum_of_squares
from tinygrad_mlp.ops.shape import index, view, view_history

ANY = real(-2, 2)
BITS = constant(Draw(lambda g, s: g.integers(0, 2, s).astype(float)))
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
FULL = npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)  # at least one element


def row(op: str, call, reference, *draws: Draw, cases=None, **fields: Any) -> Row:
    return Row(op, call, reference, draws or [ANY], cases=cases, **fields)


def per_axes(shapes=SHAPES):
    """A shape and ``dim``: none, one axis (also counted from the end) or several; ``keepdim``."""

    def build(draw):
        shape = draw(shapes)
        n = len(shape)
        several = st.sets(st.integers(0, n - 1)).map(tuple).filter(bool) if n else st.none()
        dim = draw(st.one_of(st.none(), st.integers(-max(n, 1), max(n, 1) - 1), several))
        return [shape], {"dim": dim, "keepdim": draw(st.booleans())}

    return shaped(build)


def per_axis(shapes=FULL):
    """A shape of at least one axis, and ``dim``."""

    def build(draw):
        shape = draw(shapes)
        return [shape], {"dim": draw(st.integers(-len(shape), len(shape) - 1))}

    return shaped(build)


# --- views ---


@shaped
def reshapes(draw):
    shape = draw(SHAPES)
    factors = [f for size in shape for f in ((2, size // 2) if size == 4 else (size,))]
    return [shape], {"shape": tuple(draw(st.permutations(factors)))}


@shaped
def swaps(draw):
    shape = draw(SHAPES)
    n = max(len(shape), 1)
    return [shape], {"dim0": draw(st.integers(-n, n - 1)), "dim1": draw(st.integers(-n, n - 1))}


@shaped
def orders(draw):
    shape = draw(SHAPES)
    return [shape], {"dims": tuple(draw(st.permutations(range(len(shape)))))}


@shaped
def expansions(draw):
    shape = draw(npst.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    wide = tuple(draw(st.integers(0, 3)) if size == 1 else size for size in shape)
    return [shape], {"shape": (*draw(st.sampled_from([(), (2,), (0,)])), *wide)}


@shaped
def slices(draw):
    shape = draw(SHAPES)
    return [shape], {"key": draw(npst.basic_indices(shape, allow_newaxis=True, max_dims=5))}


@shaped
def slices_back(draw):
    (shape,), params = build_slice(draw)
    part = np.empty(shape)[params["key"]].shape
    return [part], {"shape": shape, **params}


def build_slice(draw):
    case = draw(slices)
    return case.shapes, case.params


def np_embed(g, shape, key):
    out = np.zeros(shape)
    out[key] = g
    return out


def frozen(op):
    """Call an internal op with an index as `getitem` hands it on: no dots, and hashable."""

    def call(x, key, **more):
        basic, _ = index._parse(tg.zeros(more.get("shape", x.shape)), key)
        return op(x, key=view.freeze(basic), **more)

    return call


def region_of(base: Shape, function) -> tuple[Any, ...]:
    """A view of a float64 array of shape ``base`` as a region: shape, strides, offset."""
    array = np.empty(base)
    part = function(array)
    offset = part.__array_interface__["data"][0] - array.__array_interface__["data"][0]
    return part.shape, part.strides, offset


REGIONS = [
    ((4, 3), region_of((4, 3), lambda x: x[1:3])),
    ((4, 3), region_of((4, 3), lambda x: x.T[::-1, ::2])),
    ((2, 3), region_of((2, 3), lambda x: np.broadcast_to(x[:, 1:2], (2, 2)))),
    ((5,), region_of((5,), lambda x: x[2:3].reshape(()))),
]
INJECTIVE = [(base, region) for base, region in REGIONS if 0 not in region[1]]


def of_region(op):
    """Call an op on a region, whose bytes are those of a float64 base, of a base of any dtype."""

    def call(x, region, **params):
        (shape, strides, offset), item = region, x.dtype.itemsize
        region = shape, tuple(s // 8 * item for s in strides), offset // 8 * item
        return op(x, region=region, **params)

    return call


def read_region(x, region):
    shape, strides, offset = region
    flat = np.ascontiguousarray(x).reshape(-1)[offset // 8 :]
    return np.lib.stride_tricks.as_strided(flat, shape, [s // 8 * x.itemsize for s in strides])


def np_region_backward(g, x_shape, region):
    out = np.zeros(x_shape)
    numbers = np.arange(out.size, dtype=float).reshape(x_shape)
    np.add.at(out.reshape(-1), read_region(numbers, region).astype(int), g)
    return out


def np_erase_region(x, region):
    flat = x.copy().reshape(-1)
    flat[read_region(np.arange(x.size, dtype=float), region).astype(int)] = 0
    return flat.reshape(x.shape)


def write_view(x, part):
    """Write through a view, recorded: backward then goes through `write_region`."""
    base = x.clone()
    base[1:3].copy_(part)
    return base


def np_transpose(x, dim0, dim1):
    return x.swapaxes(dim0, dim1) if x.ndim else x


VIEWS = [
    row(
        "reshape",
        lambda x, shape: tg.reshape(x, shape),
        lambda x, shape: x.reshape(shape),
        cases=reshapes,
        accepts="bif",
    ),
    row("transpose", tg.transpose, np_transpose, cases=swaps, accepts="bif"),
    row(
        "permute",
        lambda x, dims: tg.permute(x, dims),
        lambda x, dims: x.transpose(dims),
        cases=orders,
        accepts="bif",
    ),
    row(
        "expand",
        lambda x, shape: tg.expand(x, shape),
        lambda x, shape: np.broadcast_to(x, shape),
        cases=expansions,
        accepts="bif",
    ),
    row("slice", lambda x, key: x[key], lambda x, key: x[key], cases=slices, accepts="bif"),
    row("slice_backward", frozen(view._embed), np_embed, cases=slices_back, accepts="bif"),
    row(
        "region",
        of_region(view_history._region),
        read_region,
        cases=one_of(*(fixed([base], region=r) for base, r in REGIONS)),
        accepts="bif",
    ),
    row(
        "region_backward",
        of_region(view_history._region_backward),
        np_region_backward,
        accepts="bif",
        cases=one_of(*(fixed([r[0]], x_shape=base, region=r) for base, r in REGIONS)),
    ),
    row(
        "erase_region",
        of_region(view_history._erase_region),
        np_erase_region,
        cases=one_of(*(fixed([base], region=r) for base, r in INJECTIVE)),
        accepts="bif",
    ),
    row(
        "write_region",
        write_view,
        lambda x, part: np.concatenate([x[:1], part, x[3:]]),
        ANY,
        ANY,
        cases=fixed([(4, 3), (2, 3)]),
        backward_only=True,
        accepts="bif",
    ),
]


# --- indexing and joining ---


@shaped
def takes(draw):
    shape = draw(FULL)
    dim = draw(st.integers(0, len(shape) - 1))
    places = draw(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    return [shape, places], {"dim": dim}


@shaped
def takes_back(draw):
    case = draw(takes)
    (shape, places), dim = case.shapes, case.params["dim"]
    return [(*shape[:dim], *places, *shape[dim + 1 :]), places], {"dim": dim, "shape": shape}


def within(op):
    """Call with the drawn numbers brought into the axis's range; some come twice."""

    def call(x, places, dim, **more):
        size = more["shape"][dim] if "shape" in more else x.shape[dim]
        return op(x, places % size, dim=dim, **more)

    return call


PLACES = integers(0, 4)


def np_take_backward(g, places, dim, shape):
    out = np.zeros(shape)
    np.add.at(out, (slice(None),) * dim + (places,), g)
    return out


@shaped
def assignments(draw):
    (shape,), params = build_slice(draw)
    part = np.empty(shape)[params["key"]].shape
    lead = draw(st.integers(0, len(part)))
    return [shape, part[lead:]], params


def np_assign(x, value, key):
    out = x.copy()
    out[key] = value
    return out


def np_put(x, value, where):
    out = x.copy()
    out.reshape(-1)[where] = value
    return out


def np_take_written(x, where):
    """One place after the other: a later one of the same position leaves 0 before it."""
    out, seen = np.zeros(where.shape, x.dtype), set()
    for k in reversed(range(where.size)):
        position = int(where.reshape(-1)[k])
        out.reshape(-1)[k] = 0 if position in seen else x.reshape(-1)[position]
        seen.add(position)
    return out


def np_put_in_order(g, where, shape):
    out = np.zeros(shape)
    for k, position in enumerate(where.reshape(-1)):
        out.reshape(-1)[position] = g.reshape(-1)[k]
    return out


def np_erase(x, where):
    return np_put(x, 0, where)


def set_slice(x, value, key):
    x[key] = value
    return x


def np_erase_slice(x, key):
    return np_assign(x, 0, key)


@shaped
def joins(draw):
    shape = draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    other = list(shape)
    other[dim] = draw(st.integers(0, 3))
    return [shape, tuple(other), shape], {"dim": dim}


@shaped
def batches(draw):
    """Rows of x in some order, and a batch of them that the order has."""
    tail, size = draw(st.sampled_from([(), (3,), (2, 2), (0,)])), draw(st.integers(1, 3))
    count = draw(st.integers(0, 2))  # of full batches before the last
    rows = draw(st.integers(0, size))
    length = count * size + rows
    params = {"batch": size, "rows": rows, "cursor": count}
    return [(draw(st.integers(max(length, 1), 9)), *tail), (length,)], params


def take_batch(x, order, cursor, **sizes):
    return epoch_ops.take_batch(*map(view.contiguous, (x, order)), tg.tensor(cursor), **sizes)


INDEXING = [
    row(
        "take_batch",
        take_batch,
        lambda x, order, cursor, batch, rows: x[order[cursor * batch : cursor * batch + rows]],
        ANY,
        permutation(),
        cases=batches,
        accepts="bif",
    ),
    row(
        "take",
        within(index._take),
        within(lambda x, i, dim: np.take(x, i, dim)),
        ANY,
        PLACES,
        cases=takes,
        accepts="bif",
    ),
    row(
        "take_backward",
        within(index._take_backward),
        within(np_take_backward),
        ANY,
        PLACES,
        cases=takes_back,
        accepts="bif",
    ),
    row(
        "wrap_index",
        lambda i: index._wrap_index(i, 5),
        lambda i: i % 5,
        integers(-5, 5),
        accepts="i",
    ),
    row(
        "nonzero",
        tg.nonzero,
        np.argwhere,
        BITS,
        accepts="bif",
        gives="int64",
        cases=one_of(fixed([(3, 4)]), fixed([(5,)]), fixed([()]), fixed([(0, 2)]), fixed([(1, 1)])),
    ),
    row(
        "put_",
        index._put,
        np_put,
        ANY,
        ANY,
        permutation(),
        mutates=(0,),
        gives="first",
        accepts="bif",
        cases=one_of(
            fixed([(2, 3), (4,), (4,)]),
            fixed([(5,), (), (2,)]),
            fixed([(2,), (0,), (0,)]),
            fixed([(1,), (1,), (1,)]),
        ),
    ),
    row(
        "take_written",
        index._take_written,
        np_take_written,
        ANY,
        integers(0, 3),
        accepts="bif",
        cases=one_of(fixed([(2, 2), (5,)]), fixed([(4,), (2, 3)]), fixed([(6,), (0,)])),
    ),
    row(
        "take_written_backward",
        index._take_written_backward,
        np_put_in_order,
        ANY,
        integers(0, 3),
        accepts="bif",
        cases=one_of(
            fixed([(5,), (5,)], shape=(2, 2)),
            fixed([(2, 3), (2, 3)], shape=(4,)),
            fixed([(0,), (0,)], shape=(2,)),
        ),
    ),
    row(
        "erase",
        index._erase,
        np_erase,
        ANY,
        permutation(),
        cases=one_of(fixed([(2, 3), (4,)]), fixed([(2,), (0,)])),
        accepts="bif",
    ),
    row(
        "set_slice_",
        set_slice,
        np_assign,
        ANY,
        ANY,
        cases=assignments,
        accepts="bif",
        gives="first",
        mutates=(0,),
    ),
    row("erase_slice", frozen(index._erase_slice), np_erase_slice, cases=slices, accepts="bif"),
    row(
        "cat",
        lambda *x, dim: tg.cat(x, dim),
        lambda *x, dim: np.concatenate(x, dim),
        ANY,
        ANY,
        ANY,
        cases=joins,
        accepts="bif",
    ),
    row(
        "argsort",
        tg.argsort,
        lambda x, dim: np.argsort(x, dim, kind="stable"),
        constant(distinct()),
        cases=per_axis(),
        accepts="bif",
        gives="int64",
    ),
]


# --- reductions, rows, products ---


def np_axes(dim, ndim):
    return tuple(range(ndim)) if dim is None else dim if ndim else None


def folded(function):
    """A NumPy reduction with ``dim`` for ``axis``."""
    return lambda x, dim, keepdim: function(x, axis=np_axes(dim, x.ndim), keepdims=keepdim)


def np_squares(x, axis, keepdims):
    return (x * x).sum(axis=axis, keepdims=keepdims)


def np_mean(x, axis, keepdims):
    total, count = x.sum(axis=axis, keepdims=keepdims), x.size
    if x.ndim and axis is not None:
        axes = {axis % x.ndim} if isinstance(axis, int) else {a % x.ndim for a in axis}
        count = math.prod(x.shape[a] for a in axes)
    return total / count if count else total * np.nan


def np_arg(function):
    def call(x, dim, keepdim):
        found = function(x, axis=dim if x.ndim else None, keepdims=keepdim and x.ndim > 0)
        return np.asarray(found)

    return call


@shaped
def one_or_all(draw):
    shape = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
    n = max(len(shape), 1)
    dim = draw(st.one_of(st.none(), st.integers(-n, n - 1)))
    return [shape], {"dim": dim, "keepdim": draw(st.booleans())}


def np_softmax(x, dim):
    e = np.exp(x - x.max(axis=dim, keepdims=True)) if x.size else x
    return e / e.sum(axis=dim, keepdims=True)


def np_logsumexp(x, dim):
    with np.errstate(divide="ignore"):  # log(0) of an empty row
        return np.log(np.exp(x).sum(axis=dim))


ROWS_OF = per_axis(npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))


@shaped
def products(draw):
    drawn = draw(
        npst.mutually_broadcastable_shapes(
            signature="(m?,k),(k,n?)->(m?,n?)", max_dims=2, min_side=0, max_side=3
        )
    )
    return drawn.input_shapes, {}


@shaped
def layers(draw):
    lead = draw(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    n, m = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    return [(*lead, n), (m, n), (m,)], {}


REDUCTIONS = [
    row("sum", tg.sum, folded(np.sum), cases=per_axes(), accepts="bif", gives="sum"),
    row("sum_of_squares", sum_of_squares, folded(np_squares), cases=per_axes()),
    row("mean", tg.mean, folded(np_mean), cases=per_axes()),
    row("prod", tg.prod, folded(np.prod), cases=one_or_all, accepts="bif", gives="sum"),
    row("amax", tg.amax, folded(np.max), distinct(), cases=per_axes(FULL), accepts="bif"),
    row("amin", tg.amin, folded(np.min), distinct(), cases=per_axes(FULL), accepts="bif"),
    row("any", tg.any, folded(np.any), BITS, cases=per_axes(), accepts="bif", gives="bool"),
    row("all", tg.all, folded(np.all), BITS, cases=per_axes(), accepts="bif", gives="bool"),
    row(
        "argmax",
        tg.argmax,
        np_arg(np.argmax),
        constant(distinct()),
        cases=one_or_all,
        accepts="bif",
        gives="int64",
    ),
    row(
        "argmin",
        tg.argmin,
        np_arg(np.argmin),
        constant(distinct()),
        cases=one_or_all,
        accepts="bif",
        gives="int64",
    ),
    row("softmax", tg.softmax, np_softmax, cases=ROWS_OF),
    row("log_softmax", tg.log_softmax, lambda x, dim: np.log(np_softmax(x, dim)), cases=ROWS_OF),
    row("logsumexp", tg.logsumexp, np_logsumexp, cases=ROWS_OF),
    row("matmul", tg.matmul, np.matmul, ANY, ANY, cases=products, accepts="if"),
    row(
        "linear",
        matmul.linear,
        lambda x, w, b: x @ w.T + b,
        ANY,
        ANY,
        ANY,
        cases=layers,
        accepts="if",
    ),
]


# --- from nothing ---

STATE = integers(-5, 100)  # seed and number of draws


def drawn(name: str, op, reference, dtype: np.dtype, **params: Any) -> Row:
    """A random op: its state is an input, so its result is a function like any other."""

    def call(state, shape, **more):
        return op(state, shape=shape, dtype=dtype, **more)

    def expected(state, shape, **more):
        seed, count = (int(word) for word in state)
        return reference(seed, count, shape, **more), np.array([seed, count + 1])

    shapes = [(5,), (2, 3), (1,), (), (0, 3)]
    return Row(
        name,
        call,
        expected,
        [STATE],
        mutates=(0,),
        gives=str(dtype),
        cases=one_of(*(fixed([(2,)], shape=s, **params) for s in shapes)),
    )


CREATION = [
    drawn("uniform", random._uniform, np_uniform, FLOAT64),
    drawn("normal", random._normal, np_normal, FLOAT64),
    drawn("integers", random._integers, np_integers, INT64, low=-3, span=10),
    drawn("mask", random._mask, np_mask, BOOL, p=0.3),
    Row(
        "full",
        create._full,
        lambda shape, value, dtype: np.full(shape, value),
        gives="float32",
        cases=one_of(*(fixed([], shape=s, value=1.5, dtype=FLOAT32) for s in [(), (0,), (2, 3)])),
    ),
    Row(
        "arange",
        create._arange,
        lambda start, end, step, dtype: np.arange(start, end, step),
        gives="int64",
        cases=one_of(
            *(
                fixed([], start=a, end=b, step=c, dtype=INT64)
                for a, b, c in [(0, 5, 1), (5, -1, -2), (0, 0, 1)]
            )
        ),
    ),
    Row(
        "eye",
        create._eye,
        lambda n, m, dtype: np.eye(n, m),
        gives="float32",
        cases=one_of(*(fixed([], n=n, m=m, dtype=FLOAT32) for n, m in [(3, 3), (2, 3), (0, 2)])),
    ),
]

GATES = [
    row(
        "halt_unless_finite_",
        epoch_ops.halt_unless_finite_,
        lambda flag, x: np.zeros_like(flag),
        integers(1, 5),
        constant(real(-2, 2)),
        mutates=(0,),
        gives="int64",
        cases=one_of(fixed([(), ()]), fixed([(1,), (1,)])),
    )
]

ROWS = [*VIEWS, *INDEXING, *GATES, *REDUCTIONS, *CREATION]
