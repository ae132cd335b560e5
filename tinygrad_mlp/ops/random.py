"""Random tensors. The state of the generator is a tensor; each draw is an op that mutates it.

The state is int64 (2,): the seed, and the number of draws so far. A draw is a function of these
two, so that its numbers do not depend on threads and a saved state resumes exactly.

Kernels: ``kernels/philox.py``.
"""

from __future__ import annotations

import functools
import struct
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._common.fork import fork_safe
from ..autograd.dtypes import as_dtype, get_default_dtype
from ..autograd.op import Op
from ..autograd.tape import Params, Value, empty
from ..autograd.values import from_array
from ..kernels import philox
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import BOOL, INT64, Layout, dense
from .elementwise.arithmetic import copy_
from .shape.axes import sizes_of

if TYPE_CHECKING:
    from .._tensor import Tensor

_NANOSECONDS = {"mask": 0.4, "uniform": 0.5, "normal": 1.6, "integers": 3.0}  # per element
_lock = fork_safe(threading.RLock())


class Draw(Op):
    """An op that fills a new tensor with random numbers and advances the state."""

    def __init__(self, name: str, params: Sequence[str] = ()):
        super().__init__(name, ("state",), params=("shape", "dtype", *params), mutates=("state",))

    def plan(
        self, state: Layout, shape: tuple[int, ...], dtype: np.dtype, *more: Any
    ) -> tuple[Layout, Launch]:
        layout = dense(shape, dtype)
        kernel = philox.address(self.name if dtype.kind != "f" else f"{self.name}_{dtype}")
        work = layout.size * _NANOSECONDS[self.name]
        return layout, Launch(kernel, 2, [layout.size, *map(_as_int64, more)], work)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        state = inputs[0]
        layout, launch = self.plan_of(inputs, params)
        result = empty(layout)
        with _lock:  # two threads must not draw with one number
            if layout.size:
                launch(state.address, result.address)
            _advance()(state.address)
        return (result,)


def _as_int64(parameter: int | float) -> int:
    """Return a parameter as the int64 of the same bits; an integer may be as large as 2**64 - 1."""
    form = "d" if isinstance(parameter, float) else "q" if parameter < 2**63 else "Q"
    word: int = struct.unpack("q", struct.pack(form, parameter))[0]
    return word


@functools.cache
def _advance() -> Launch:
    return Launch(philox.address("advance"), 1, [], 0)


_uniform, _normal = Draw("uniform"), Draw("normal")
_integers, _mask = Draw("integers", ("low", "span")), Draw("mask", ("p",))


def _new_state(seed: int) -> Any:
    return from_array(np.array([np.uint64(seed % 2**64).astype(np.int64), 0], np.int64))


@functools.cache
def state() -> Tensor:
    """Return the state of the generator: the tensor that every draw reads and advances."""
    made: Tensor = _new_state(0)
    return made


def manual_seed(seed: int) -> None:
    """Start the generator from ``seed``: the same seed gives the same numbers.

    >>> import tinygrad_mlp as tg
    >>> tg.manual_seed(0)
    >>> x = tg.rand(3)
    >>> tg.manual_seed(0)
    >>> tg.equal(x, tg.rand(3))
    True
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer, not {seed!r}")
    copy_(state(), _new_state(int(seed)))


def get_rng_state() -> Tensor:
    """Return a copy of the state of the generator, for `set_rng_state`: int64 of shape (2,).

    >>> import tinygrad_mlp as tg
    >>> tg.manual_seed(7)
    >>> x = tg.rand(3)
    >>> tg.get_rng_state()  # the seed, and the number of draws
    tensor([7, 1])
    """
    return state().clone()


def set_rng_state(saved: Tensor) -> None:
    """Continue from a state that `get_rng_state` returned.

    >>> import tinygrad_mlp as tg
    >>> saved = tg.get_rng_state()
    >>> x = tg.rand(3)
    >>> tg.set_rng_state(saved)
    >>> tg.equal(x, tg.rand(3))
    True
    """
    if saved.layout.shape != (2,) or saved.layout.dtype != INT64:
        raise ValueError(
            "set_rng_state takes the result of get_rng_state: an int64 tensor of shape (2,)"
        )
    copy_(state(), saved)


def rand(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return uniform random numbers in [0, 1), of the default dtype or of a floating ``dtype``.

    >>> import tinygrad_mlp as tg
    >>> tg.rand(2, 3).shape
    (2, 3)
    """
    return _draw(_uniform, shape, dtype, requires_grad)


def randn(*shape: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return normal random numbers, mean 0 and variance 1, of a floating dtype.

    >>> import tinygrad_mlp as tg
    >>> tg.randn(2, 3, dtype="float64").dtype
    dtype('float64')
    """
    return _draw(_normal, shape, dtype, requires_grad)


def randint(low: int, high: Any = None, size: Any = ()) -> Tensor:
    """Return random integers from ``low`` to ``high - 1``: int64 of shape ``size``.

    Called as ``randint(high, size)`` they start at 0.

    Raises:
        ValueError: ``high`` is not above ``low``, or one is out of int64's range.

    >>> import tinygrad_mlp as tg
    >>> tg.randint(3, 4, (2,))
    tensor([3, 3])
    """
    if not isinstance(high, (int, np.integer)):
        low, high, size = (0, low, size if high is None else high)
    if high <= low:
        raise ValueError(f"randint: high must be above low, got low={low}, high={high}")
    if low < -(2**63) or high >= 2**63:
        raise ValueError(f"randint: low and high must be of int64, got low={low}, high={high}")
    shape, span = sizes_of((size,)), int(high) - int(low)
    return _integers(state(), shape=shape, dtype=INT64, low=int(low), span=span)


def randperm(n: int) -> Tensor:
    """Return the integers 0 to n - 1 in random order: int64.

    >>> import tinygrad_mlp as tg
    >>> tg.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    return rand(n, dtype="float64").argsort()


def dropout_mask(shape: tuple[int, ...], p: float) -> Tensor:
    """Return a bool tensor; each element is True with probability 1 - p."""
    return _mask(state(), shape=shape, dtype=BOOL, p=float(p))


def _draw(op: Draw, shape: tuple[Any, ...], dtype: Any, requires_grad: bool) -> Tensor:
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"random numbers are floating, not {dtype}; use randint for integers")
    result = op(state(), shape=sizes_of(shape), dtype=dtype)
    result.requires_grad = requires_grad
    return result
