"""Random tensors. The generator's state is a tensor, and every draw an op that declares it mutated.

State: int64 (2,): the seed, and how many draws were made. A draw is a function of these two (see
``kernels/philox.py``), so the numbers do not depend on threads, and a saved state resumes exactly.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.dtypes import as_dtype, get_default_dtype
from ..autograd.op import Op
from ..autograd.tape import Params, Value, empty
from ..autograd.values import from_array
from ..kernels import philox
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import BOOL, INT64, Layout, dense
from .elementwise.arithmetic import copy_

_NANOSECONDS = {"mask": 0.4, "uniform": 0.5, "normal": 15.0, "integers": 3.0}  # for an element


class Draw(Op):
    """An op that fills a new tensor with random numbers and advances the state."""

    def __init__(self, name: str, params: Sequence[str]):
        super().__init__(name, ("state",), params=("shape", "dtype", *params), mutates=("state",))

    def plan(
        self, state: Layout, shape: tuple[int, ...], dtype: np.dtype, *more: Any
    ) -> tuple[Layout, Launch]:
        layout = dense(shape, dtype)
        words = [_word(parameter) for parameter in more]
        kernel = philox.address(self.name if dtype.kind != "f" else f"{self.name}_{dtype}")
        work = layout.size * _NANOSECONDS[self.name]
        return layout, Launch(kernel, 2, [layout.size, *words], work)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        state = inputs[0]
        layout, launch = self.plan_of(inputs, params)
        result = empty(layout)
        with _drawing:  # no two threads draw under one number
            if layout.size:
                launch(state.address, result.address)
            _advance()(state.address)
        return (result,)


_drawing = threading.Lock()


def _word(parameter: int | float) -> int:
    """A parameter as the int64 of the same bits: a span may be as large as 2**64 - 1."""
    form = "d" if isinstance(parameter, float) else "q" if parameter < 2**63 else "Q"
    word: int = struct.unpack("q", struct.pack(form, parameter))[0]
    return word


def _advance() -> Launch:
    global _advancing
    if _advancing is None:
        _advancing = Launch(philox.address("advance"), 1, [], 0)
    return _advancing


_advancing: Launch | None = None

_uniform = Draw("uniform", ())
_normal = Draw("normal", ())
_integers = Draw("integers", ("low", "span"))
_mask = Draw("mask", ("p",))


def _new_state(seed: int) -> np.ndarray:
    return np.array([np.uint64(seed % 2**64).astype(np.int64), 0], np.int64)


_state: Any = None


def state() -> Any:
    """The generator's state: the tensor that every draw reads and advances."""
    global _state
    if _state is None:
        _state = from_array(_new_state(0))
    return _state


def manual_seed(seed: int) -> None:
    """Start the generator anew from ``seed``: the same seed gives the same numbers."""
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer, not {seed!r}")
    copy_(state(), from_array(_new_state(int(seed))))


def get_rng_state() -> Any:
    """A copy of the generator's state, for `set_rng_state`."""
    return state().clone()


def set_rng_state(saved: Any) -> None:
    """Go on from a state that `get_rng_state` gave."""
    if saved.layout.shape != (2,) or saved.layout.dtype != INT64:
        raise ValueError(
            "set_rng_state takes what get_rng_state gave: an int64 tensor of shape (2,)"
        )
    copy_(state(), saved)


def rand(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Uniform numbers in [0, 1)."""
    return _draw(_uniform, shape, dtype, requires_grad)


def randn(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Normal numbers, mean 0 and variance 1."""
    return _draw(_normal, shape, dtype, requires_grad)


def randint(low: int, high: Any = None, size: Any = ()) -> Any:
    """Integers from ``low`` to ``high - 1`` (from 0 to ``low - 1`` if only one is given): int64."""
    if not isinstance(high, (int, np.integer)):
        low, high, size = (0, low, size if high is None else high)
    if high <= low:
        raise ValueError(f"randint: high must be above low, got low={low}, high={high}")
    if low < -(2**63) or high >= 2**63:
        raise ValueError(f"randint: low and high must be of int64, got low={low}, high={high}")
    return _integers(
        state(), shape=_shape(size), dtype=INT64, low=int(low), span=int(high) - int(low)
    )


def randperm(n: int) -> Any:
    """The integers 0 to n - 1 in random order: int64."""
    return rand(n, dtype="float64").argsort()


def dropout_mask(shape: tuple[int, ...], p: float) -> Any:
    """A bool tensor, each element True with probability 1 - p."""
    return _mask(state(), shape=shape, dtype=BOOL, p=float(p))


def _draw(op: Draw, shape: tuple[Any, ...], dtype: Any, requires_grad: bool) -> Any:
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"random numbers are floating, not {dtype}; use randint for integers")
    result = op(state(), shape=_shape(*shape), dtype=dtype)
    result.requires_grad = requires_grad
    return result


def _shape(*shape: Any) -> tuple[int, ...]:
    from .shape.view import _sizes

    return _sizes(shape)
