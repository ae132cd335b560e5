"""`gradcheck`: the gradients of a function against central difference quotients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.backward import grad
from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..ops.random import get_rng_state, set_rng_state


class GradcheckError(AssertionError):
    """A gradient differs from the difference quotient; the message names the input and index."""


def gradcheck(
    function: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of ``function`` at ``inputs`` with central difference quotients.

        df/dx_i  ~  (f(x + eps e_i) - f(x - eps e_i)) / (2 eps)          error of order eps^2

    Each output is multiplied with a fixed random tensor and summed, so that no error cancels by
    symmetry. The function draws the same random numbers in every evaluation.

    Args:
        function: takes the inputs, returns a tensor or several.
        inputs: those that require a gradient must be float64 leaves: the difference of two nearby
            float32 values has few digits.
        eps: the step of the difference quotients.
        atol: the absolute tolerance.
        rtol: the relative tolerance.
        raise_exception: raise at the first wrong entry, instead of returning False.

    Returns:
        True if ``|gradient - quotient| <= atol + rtol * |quotient|`` for all entries.

    Raises:
        GradcheckError: an entry is wrong.
        TypeError, ValueError: an input cannot be checked, or nothing requires a gradient.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([0.5, -1.0], dtype="float64", requires_grad=True)
    >>> tg.gradcheck(lambda x: x.tanh() * x, x)
    True

    Source: W. H. Press et al., *Numerical Recipes*, 3rd ed., section 5.7.
    """
    values = (inputs,) if isinstance(inputs, Value) else tuple(inputs)
    checked = [k for k, x in enumerate(values) if isinstance(x, Value) and x.requires_grad]
    _check_inputs(values, checked)
    state = get_rng_state()

    def evaluate() -> list[Any]:
        set_rng_state(state)
        result = function(*values)
        return [result] if isinstance(result, Value) else list(result)

    outputs = evaluate()
    generator = np.random.default_rng(0)
    weights = [generator.uniform(0.5, 1.5, out.shape) for out in outputs]
    live = [k for k, out in enumerate(outputs) if out.requires_grad]
    if not live:
        raise ValueError("gradcheck: no output of the function requires a gradient")
    gradients = grad(
        [outputs[k] for k in live],
        [values[k] for k in checked],
        [from_array(weights[k]) for k in live],
        allow_unused=True,
    )

    def weighted_sum() -> float:
        results = evaluate()
        return float(sum(np.sum(as_array(results[k]) * weights[k]) for k in live))

    for k, gradient in zip(checked, gradients, strict=True):
        array = as_array(values[k])
        analytic = np.zeros(array.shape) if gradient is None else as_array(gradient)
        for index in np.ndindex(array.shape):
            quotient, entry = _quotient(weighted_sum, array, index, eps), float(analytic[index])
            error = abs(entry - quotient)
            if error <= atol + rtol * abs(quotient):
                continue
            if not raise_exception:
                return False
            raise GradcheckError(
                f"gradcheck: input {k} (shape {array.shape}) at index {index}: the gradient is "
                f"{entry:.9g}, the difference quotient {quotient:.9g}, relative error "
                f"{error / max(abs(quotient), 1e-300):.2g}"
            )
    return True


def _quotient(function: Callable[[], float], array: np.ndarray, index: Any, eps: float) -> float:
    """Return the central difference quotient of a function by one entry of ``array``."""
    original = array[index]
    try:
        array[index] = original + eps
        above = function()
        array[index] = original - eps
        return (above - function()) / (2 * eps)
    finally:
        array[index] = original


def _check_inputs(inputs: Sequence[Any], checked: Sequence[int]) -> None:
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
            raise ValueError(
                f"gradcheck: input {k} is not a leaf; pass x.detach().requires_grad_()"
            )
