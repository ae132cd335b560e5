"""Selection along an axis: by position, by order, and in parts."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, from_memory
from .. import reduce
from ..elementwise.arithmetic import maximum, minimum
from .axes import along, dim_of, folded
from .index import _nonzero, getitem
from .view import reshape

if TYPE_CHECKING:
    from ..._tensor import Tensor


class _ArgSort(Op):
    """The positions that sort an axis: int64."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        x, dim = as_array(inputs[0]), params["dim"]
        if not x.ndim:
            return (from_memory(np.zeros((), np.int64)),)
        if params["descending"]:  # reversed twice, so that equal elements keep their order
            order = np.flip(x.shape[dim] - 1 - np.argsort(np.flip(x, dim), dim, kind="stable"), dim)
        else:
            order = np.argsort(x, dim, kind="stable")
        return (from_memory(np.ascontiguousarray(order)),)


_argsort = _ArgSort("argsort", ("x",), params=("dim", "descending"))


class Selected(NamedTuple):
    """Elements along an axis, and their positions there: the result of `max`, `sort`, `topk`."""

    values: Tensor
    indices: Tensor


def nonzero(x: Tensor) -> Tensor:
    """Return the positions of the non-zero elements: (count, ndim) int64.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[0, 5], [7, 0]]).nonzero()
    tensor([[0, 1],
            [1, 0]])
    """
    return _nonzero(x)


def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return elements by their positions along ``dim``.

        out[i][j] = x[index[i][j]][j]    for dim 0
        out[i][j] = x[i][index[i][j]]    for dim 1, and so on

    Args:
        x: a tensor.
        dim: the axis.
        index: int64, with as many axes as ``x``; its shape is that of the result.

    Raises:
        ValueError: the numbers of axes differ.
        IndexError: a position is out of range.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).gather(1, tg.tensor([[1], [0]]))
    tensor([[2.],
            [3.]])
    """
    axis, ndim = dim_of(dim, x.layout.ndim), index.layout.ndim
    if ndim != x.layout.ndim:
        raise ValueError(
            f"gather: index has {ndim} dimensions, x has {x.layout.ndim}: they must be equal"
        )
    key = [
        from_memory(np.arange(size).reshape((-1,) + (1,) * (ndim - 1 - k)))
        for k, size in enumerate(index.layout.shape)
    ]
    key[axis] = index
    return getitem(x, tuple(key))


def index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slices of ``x`` along ``dim`` at the positions in ``index`` (n,).

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1, 2], [3, 4]]).index_select(1, tg.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    return getitem(x, along(dim_of(dim, x.layout.ndim), index))


def max(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the largest element; along ``dim`` with its index; of two tensors the larger ones.

    Returns:
        A tensor for ``max(x)`` and for ``max(x, other)``, which is `maximum`; for ``max(x, dim)``
        a named tuple (values, indices). The first of equal elements along an axis has the index
        and the gradient; of all elements, equal ones share the gradient.

    Raises:
        ValueError: there are no elements.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([[1.0, 5.0], [4.0, 2.0]])
    >>> x.max(), x.max(1).indices
    (tensor(5.), tensor([1, 0]))
    """
    return _extreme(x, dim, keepdim, reduce.amax, reduce.argmax, maximum)


def min(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the smallest element; along ``dim`` with its index; of two tensors the smaller ones.

    Otherwise as `max`.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1.0, 5.0], [4.0, 2.0]]).min(0).values
    tensor([1., 2.])
    """
    return _extreme(x, dim, keepdim, reduce.amin, reduce.argmin, minimum)


def _extreme(x: Tensor, dim: Any, keepdim: bool, fold: Any, arg: Any, pairwise: Any) -> Any:
    if isinstance(dim, Value):
        return pairwise(x, dim)
    if dim is None:
        return fold(x)
    indices = arg(x, dim, keepdim=True)
    values = gather(x, dim, indices) if x.layout.ndim else x
    if not keepdim and x.layout.ndim:
        shape = folded(x.layout.shape, (dim_of(dim, x.layout.ndim),), False)
        values, indices = reshape(values, shape), reshape(indices, shape)
    return Selected(values, indices)


def argsort(x: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    """Return the positions that sort ``x`` along ``dim``: int64. Equal elements keep their order.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([3.0, 1.0, 2.0]).argsort()
    tensor([1, 2, 0])
    """
    return _argsort(x, dim=dim_of(dim, x.layout.ndim), descending=descending)


def sort(x: Tensor, dim: int = -1, descending: bool = False) -> Selected:
    """Return ``x`` sorted along ``dim``, and the positions. Equal elements keep their order.

    >>> import tinygrad_mlp as tg
    >>> values, indices = tg.tensor([3.0, 1.0, 2.0]).sort(descending=True)
    >>> values, indices
    (tensor([3., 2., 1.]), tensor([0, 2, 1]))
    """
    order = argsort(x, dim, descending)
    return Selected(gather(x, dim, order), order)


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True) -> Selected:
    """Return the ``k`` largest (or smallest) elements along ``dim``, sorted, and their positions.

    Raises:
        ValueError: ``k`` is negative or above the size of the axis.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([3.0, 1.0, 2.0]).topk(2).values
    tensor([3., 2.])
    """
    axis = dim_of(dim, x.layout.ndim)
    if not 0 <= k <= x.layout.shape[axis]:
        raise ValueError(
            f"topk: k={k} is not within 0 to {x.layout.shape[axis]}, the size of dim {dim}"
        )
    order = getitem(argsort(x, axis, descending=largest), along(axis, slice(0, k)))
    return Selected(gather(x, axis, order), order)


def split(x: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Cut ``x`` along ``dim`` into views of ``split_size``, the last maybe smaller, or of sizes.

    Raises:
        ValueError: the size is below 1, or the sizes do not sum to that of the axis.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(5).split([2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    axis = dim_of(dim, x.layout.ndim)
    total = x.layout.shape[axis]
    if isinstance(split_size, int):
        if split_size < 1:
            raise ValueError(f"split: split_size must be at least 1, not {split_size}")
        starts = list(range(0, total, split_size)) or [0]
        sizes = [builtins.min(split_size, total - start) for start in starts]
    else:
        sizes = list(split_size)
        if sum(sizes) != total:
            raise ValueError(f"split: sizes {sizes} do not sum to {total}, the size of dim {dim}")
    ends = np.cumsum(sizes).tolist()
    keys = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return tuple(getitem(x, along(axis, key)) for key in keys)


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut ``x`` along ``dim`` into at most ``chunks`` views of one size, the last maybe smaller.

    Raises:
        ValueError: ``chunks`` is below 1.

    >>> import tinygrad_mlp as tg
    >>> tg.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, not {chunks}")
    total = x.layout.shape[dim_of(dim, x.layout.ndim)]
    return split(x, builtins.max(1, -(-total // chunks)), dim)


def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Return the slices of ``x`` along ``dim``, as views without that axis.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([[1, 2], [3, 4]]).unbind(1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    axis = dim_of(dim, x.layout.ndim)
    return tuple(getitem(x, along(axis, k)) for k in range(x.layout.shape[axis]))
