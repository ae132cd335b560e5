"""Gradients against central differences: the check that a rule is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.backward import grad
from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..ops.random import get_rng_state, set_rng_state


class GradcheckError(AssertionError):
    """A gradient that is not the derivative; the message names input, index and both numbers."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of ``function`` at ``inputs`` with central differences.

        df/dx_i  ~  (f(x + eps e_i) - f(x - eps e_i)) / (2 eps)          error of order eps^2

    ``function`` takes the inputs and returns a tensor, or several. Each output is multiplied with a
    fixed random tensor and summed, so that no error hides in a symmetry. Inputs that require a
    gradient must be float64: in float32 the difference of two nearby values has few digits left.
    Random numbers that the function draws are the same in every evaluation.

    Returns True; raises `GradcheckError` at the first entry with
    ``|analytic - numeric| > atol + rtol * |numeric|`` (or returns False, by ``raise_exception``).

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([0.5, -1.0], dtype="float64", requires_grad=True)
    >>> tg.gradcheck(lambda x: x.tanh() * x, x)
    True

    Source: W. H. Press et al., *Numerical Recipes*, 3rd ed., section 5.7.
    """
    inputs = (inputs,) if isinstance(inputs, Value) else tuple(inputs)
    checked = [k for k, x in enumerate(inputs) if isinstance(x, Value) and x.requires_grad]
    _require_float64(inputs, checked)
    state = get_rng_state()

    def evaluate() -> list[Any]:
        set_rng_state(state)
        result = function(*inputs)
        return [result] if isinstance(result, Value) else list(result)

    outputs = evaluate()
    generator = np.random.default_rng(0)
    weights = [generator.uniform(0.5, 1.5, out.shape) for out in outputs]
    live = [k for k, out in enumerate(outputs) if out.requires_grad]
    if not live:
        raise ValueError("gradcheck: no output of the function requires a gradient")
    analytic = grad(
        [outputs[k] for k in live],
        [inputs[k] for k in checked],
        [from_array(weights[k]) for k in live],
        allow_unused=True,
    )

    def weighted() -> float:
        values = evaluate()
        return float(sum(np.sum(as_array(values[k]) * weights[k]) for k in live))

    for k, gradient in zip(checked, analytic, strict=True):
        array = as_array(inputs[k])
        found = np.zeros(array.shape) if gradient is None else as_array(gradient)
        problem = _compare(array, found, weighted, eps, atol, rtol)
        if problem is not None:
            if raise_exception:
                raise GradcheckError(f"gradcheck: input {k} {problem}")
            return False
    return True


def _compare(
    array: np.ndarray,
    analytic: np.ndarray,
    weighted: Callable[[], float],
    eps: float,
    atol: float,
    rtol: float,
) -> str | None:
    """The first entry at which the derivative is wrong, in words."""
    for place in np.ndindex(array.shape):
        before = array[place]
        try:
            array[place] = before + eps
            above = weighted()
            array[place] = before - eps
            below = weighted()
        finally:
            array[place] = before
        numeric = (above - below) / (2 * eps)
        given = float(analytic[place])
        if not abs(given - numeric) <= atol + rtol * abs(numeric):
            relative = abs(given - numeric) / max(abs(numeric), 1e-300)
            return (
                f"(shape {array.shape}) at index {place}: the gradient is {given:.9g}, the "
                f"difference quotient {numeric:.9g}, relative error {relative:.2g}"
            )
    return None


def _require_float64(inputs: Sequence[Any], checked: Sequence[int]) -> None:
    if not checked:
        raise ValueError(
            "gradcheck: no input requires a gradient; make one with requires_grad=True"
        )
    for k in checked:
        if inputs[k].dtype != np.float64:
            raise TypeError(
                f"gradcheck: input {k} is {inputs[k].dtype}; differences need float64: "
                "tg.tensor(x, dtype=tg.float64, requires_grad=True)"
            )
        if inputs[k].node is not None:
            raise ValueError(f"gradcheck: input {k} is no leaf; pass x.detach().requires_grad_()")
