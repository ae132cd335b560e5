"""Checks of the values of a tensor: an op that raises for the first element that is not allowed.

In eager mode the op raises where it is applied. In a compiled step its result is an error flag: if
the flag is set, the program ends early, leaves parameters, buffers, optimizer state and the random
generator as they were, and raises the same error.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int64
from typing import Any

import numpy as np

from ..autograd.op import Op
from ..autograd.tape import Params, Value, apply, empty
from ..autograd.values import as_array, from_array
from ..kernels.fused import first_outside
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import INT64, Layout, dense
from .fused.declare import float_bits

_FLAG = dense((), INT64)


class ValueCheck(Op):
    """Set ``flag`` to 0 if every element of ``x`` is allowed, else to k + 1, and raise.

    ``bounds(**params)`` returns (low, high) or (low, high, allowed): an element is right from
    ``low`` to ``high``, or where it equals ``allowed``; with ``inside=False`` it is right outside
    of the range. ``error(element, k, **params)`` makes the exception for the first element k that
    is not right.

    x: int64, float32 or float64, of any shape; other integers are converted.
    """

    error_flag = "flag"

    def __init__(
        self,
        name: str,
        bounds: Callable[..., tuple[float, ...]],
        error: Callable[..., Exception],
        *,
        params: tuple[str, ...] = (),
        inside: bool = True,
    ):
        self.bounds, self.error, self.inside = bounds, error, inside
        super().__init__(name, ("x",), params=params, outputs=("flag",), register=False)

    def __call__(self, x: Any, **params: Any) -> Any:
        """Check a tensor, an array or a number."""
        if not isinstance(x, (Value, np.ndarray)):
            low, high, *_ = self.bounds(**params)
            if (low <= max(min(x, 2**63 - 1), -(2**63)) <= high) != self.inside:
                raise self.error(x, 0, **params)
            return None
        x = x if isinstance(x, Value) else from_array(x)
        if x.layout.dtype != INT64 and x.layout.dtype.kind != "f":
            x = x.long()
        return apply(self, (x if x.layout.contiguous else x.contiguous(),), params)

    def plan(self, x: Layout, *params: Any) -> Launch:
        low, high, *allowed = self.bounds(*params)
        bits = float_bits if x.dtype.kind == "f" else int
        bounds = map(bits, (low, high, *(allowed or (0,))))
        constants = [x.size, *bounds, int(self.inside), len(allowed)]
        return Launch(first_outside.address(str(x.dtype)), 2, constants, 0)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        flag = empty(_FLAG)
        launch = self.planned(inputs[0].layout, *self.values_of(params))
        launch.run((launch.constants_address, inputs[0].address, flag.address))
        self.verify(inputs, (flag,), params)
        return (flag,)

    def verify(self, inputs: tuple[Value, ...], outputs: tuple[Value, ...], params: Params) -> None:
        """Raise the error of the first element that is not allowed, if the flag is set."""
        number = c_int64.from_address(outputs[0].address).value
        if number:
            raise self.error(as_array(inputs[0]).flat[number - 1], number - 1, **params)
