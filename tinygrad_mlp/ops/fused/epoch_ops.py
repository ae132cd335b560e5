"""Ops that let one program run many steps: fetch the next batch; stop on a non-finite loss.

A step with them has no arguments: the data, their order, the cursor and the sums are tensors that
persist, so that its program can run many times in a row.

Kernels: ``kernels/fused/gather.py`` and ``kernels/fused/isfinite.py``.
"""

from __future__ import annotations

from typing import Any

from ...autograd.op import Op
from ...autograd.tape import Params, Value, empty
from ...autograd.values import as_array
from ...kernels.fused import gather, isfinite
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import INT64, Layout, dense
from ..create import arange
from ..shape.index import _take


class NotFinite(FloatingPointError):
    """A number that had to be finite is not: ``value``."""

    def __init__(self, value: float):
        super().__init__(f"halt_unless_finite_: got {value}")
        self.value = value


class TakeBatch(Op):
    """The rows of a batch: out[i] = x[order[cursor * batch + i]] for i below ``rows``.

    x (N, ...) of any dtype, order (M,) and cursor () int64, all in C order. ``flag`` is 1 if a row
    is outside of ``order`` or ``x``, else 0; `verify` then raises IndexError.
    """

    error_flag = "flag"

    def plan(
        self, x: Layout, order: Layout, cursor: Layout, batch: int, rows: int
    ) -> tuple[list[Layout], Launch]:
        right = order.ndim == 1 and cursor.size == 1 and order.dtype == cursor.dtype == INT64
        if not (right and x.ndim and x.contiguous and order.contiguous):
            raise TypeError(
                "take_batch takes x (N, ...), order (M,) int64 and cursor () int64, in C order; "
                f"got {x.dtype} {x.shape}, {order.dtype} {order.shape}, {cursor.dtype} "
                f"{cursor.shape}; call .contiguous() on x and order"
            )
        result = dense((rows, *x.shape[1:]), x.dtype)
        width = result.nbytes // rows if rows else 0
        constants = [rows, batch, width, x.shape[0], order.shape[0]]
        work = rows * 5.0 + result.nbytes * 0.1
        return [result, dense((), INT64)], Launch(gather.address(), 5, constants, work)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layouts, launch = self.planned(*[v.layout for v in inputs], params["batch"], params["rows"])
        outputs = tuple(map(empty, layouts))
        launch.run((launch.constants_address, *[v.address for v in (*inputs, *outputs)]))
        self.verify(inputs, outputs, params)
        return outputs

    def verify(self, inputs: tuple[Value, ...], outputs: tuple[Value, ...], params: Params) -> None:
        """Raise IndexError if the flag is set."""
        if not as_array(outputs[1]).item():
            return
        x, order, cursor = inputs
        rows, first = params["rows"], int(as_array(cursor).item()) * params["batch"]
        count, length = x.layout.shape[0], order.layout.shape[0]
        if not 0 <= first <= first + rows <= length:
            raise IndexError(f"take_batch: order has {length} rows, not {first} to {first + rows}")
        chosen = as_array(order)[first : first + rows]
        raise IndexError(
            f"take_batch: order has rows {chosen.min()} to {chosen.max()}, x has {count}"
        )


class HaltUnlessFinite(Op):
    """Set ``flag`` to 0; to 1 if ``x`` is inf or NaN, and raise `NotFinite`.

    A compiled step ends there, leaves parameters, buffers, optimizer state and the random generator
    as they were, and its call raises. So put it between a loss and its ``backward()``.

    flag () int64, x () float32 or float64.
    """

    error_flag = "out"

    def plan(self, flag: Layout, x: Layout) -> Launch:
        if flag.dtype != INT64 or x.dtype.kind != "f" or flag.size != 1 or x.size != 1:
            raise TypeError(
                "halt_unless_finite_ takes an int64 flag and a floating number, one element each; "
                f"got {flag.dtype} {flag.shape} and {x.dtype} {x.shape}"
            )
        return Launch(isfinite.address(str(x.dtype)), 2, [], 0)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        flag, x = inputs
        self.planned(flag.layout, x.layout)(flag.address, x.address)
        self.verify(inputs, (flag,), params)
        return (flag,)

    def verify(self, inputs: tuple[Value, ...], outputs: tuple[Value, ...], params: Params) -> None:
        """Raise `NotFinite` if the flag is set."""
        flag, x = inputs
        if as_array(flag).item():
            raise NotFinite(float(as_array(x).item()))


def _take_batch_textbook(x: Any, order: Any, cursor: Any, batch: int, rows: int) -> Any:
    return _take(x, _take(order, arange(rows) + cursor * batch, dim=0), dim=0)


_take_batch = TakeBatch(
    "take_batch",
    ("x", "order", "cursor"),
    params=("batch", "rows"),
    outputs=("out", "flag"),
    textbook=_take_batch_textbook,
)

halt_unless_finite_ = HaltUnlessFinite(
    "halt_unless_finite_", ("flag", "x"), mutates=("flag",), in_place=True, vjp={}
)


def take_batch(x: Any, order: Any, cursor: Any, *, batch: int, rows: int) -> Any:
    """Return the rows of a batch: out[i] = x[order[cursor * batch + i]] for i below ``rows``.

    Args:
        x: (N, ...), of any dtype, in C order.
        order: (M,) int64, the rows of ``x`` in the order in which they are taken.
        cursor: () int64, the number of batches before this one.
        batch: rows of a full batch.
        rows: rows of this one.

    Raises:
        IndexError: ``order`` does not have so many rows, or ``x`` does not have one of them.
    """
    return _take_batch(x, order, cursor, batch=batch, rows=rows)[0]
