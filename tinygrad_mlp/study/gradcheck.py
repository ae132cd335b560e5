"""`gradcheck` and `check_gradients`: gradients against central difference quotients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.backward import grad
from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..ops.random import get_rng_state, set_rng_state
from .gradient_report import Entry, GradientReport, StepSizes

Array = np.ndarray
STEP_SIZES = tuple(10.0**-k for k in range(1, 10))
_EPSILON = float(np.finfo(np.float64).eps)


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

    Every element of every output is checked by every element of the inputs. The function draws the
    same random numbers in every evaluation. At a kink, such as that of ReLU at 0, there is no
    derivative: a gradient from the slope on the left to the slope on the right is accepted.
    `check_gradients` shows all entries, and which op is wrong.

    Args:
        function: takes the inputs, returns a tensor or several.
        inputs: those that require a gradient must be float64 leaves: the difference of two nearby
            float32 values has few digits.
        eps: the step of the difference quotients.
        atol: the absolute tolerance.
        rtol: the relative tolerance.
        raise_exception: raise an error if an entry is wrong, instead of returning False.

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
    check = _Check("gradcheck", function, inputs, eps, atol, rtol)
    entries = [entry for k in check.checked for entry in check.entries(k)]
    wrong = [entry for entry in entries if entry.status == "wrong"]
    if wrong and raise_exception:
        raise GradcheckError(_message(wrong, entries))
    return not wrong


def _message(wrong: Sequence[Entry], entries: Sequence[Entry]) -> str:
    first = wrong[0]
    of = "" if first.output is None else f" (of output {first.output[0]} at {first.output[1]})"
    error = abs(first.gradient - first.quotient) / max(abs(first.quotient), 1e-300)
    return (
        f"gradcheck: input {first.input} (shape {first.shape}) at index {first.index}: the "
        f"gradient is {first.gradient:.9g}, the difference quotient {first.quotient:.9g}, "
        f"relative error {error:.2g}{of}; {len(wrong)} of {len(entries)} entries are wrong: "
        "print(tg.study.check_gradients(function, inputs)) shows them, and the wrong op"
    )


def check_gradients(
    function: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> GradientReport:
    """Return what `gradcheck` finds as a report: every entry, error over step size, the wrong op.

    The status of an entry is

    - ``right``: gradient and difference quotient agree;
    - ``wrong``: they do not;
    - ``kink``: the slopes on both sides differ, and the gradient is one of them or lies between;
    - ``flat``: both are smaller than what the rounding of ``function`` leaves of a difference, so
      nothing can be told.

    Each op that ``function`` applies is also checked by itself, on the values that it had.

    Args:
        function: as in `gradcheck`.
        inputs: as in `gradcheck`.
        eps: as in `gradcheck`.
        atol: as in `gradcheck`.
        rtol: as in `gradcheck`.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([0.0, 1.5], dtype="float64", requires_grad=True)
    >>> print(tg.study.check_gradients(lambda x: x.relu().sum(), x))
    input    gradient  quotient  left  right  status
    x0 (0,)  0         0.5       0     1      kink
    x0 (1,)  1         1         1     1      right
    kink: no derivative there; the gradient is the slope on one side or between both
    every op is right by itself
    """
    from .gradcheck_ops import wrong_ops  # it checks each op by a `_Check` of this file

    check = _Check("check_gradients", function, inputs, eps, atol, rtol)
    entries = tuple(entry for k in check.checked for entry in check.entries(k))
    worst = max(
        entries, key=lambda e: (e.status == "wrong", abs(e.gradient - e.quotient)), default=None
    )
    sizes = None if worst is None or worst.status != "wrong" else check.step_sizes(worst)
    return GradientReport(entries, sizes, tuple(wrong_ops(check)))


class _Check:
    """A function at its inputs: the gradients of all outputs, and differences by one element."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        inputs: Any,
        eps: float,
        atol: float,
        rtol: float,
    ):
        self.function, self.eps, self.atol, self.rtol = function, eps, atol, rtol
        self.inputs = (inputs,) if isinstance(inputs, Value) else tuple(inputs)
        self.checked = [
            k for k, x in enumerate(self.inputs) if isinstance(x, Value) and x.requires_grad
        ]
        _check_inputs(name, self.inputs, self.checked)
        self.state = get_rng_state()
        self.outputs = self.run()
        self.live = [k for k, out in enumerate(self.outputs) if out.requires_grad]
        if not self.live:
            raise ValueError(f"{name}: no output of the function requires a gradient")
        # The place of each row of the Jacobian: an output, and an index of it.
        self.places = [(k, i) for k in self.live for i in np.ndindex(self.outputs[k].shape)]
        self.base = self.evaluate()
        self.jacobians = self._jacobians()

    def run(self) -> list[Any]:
        """Return the outputs of the function, with the same random numbers each time."""
        set_rng_state(self.state)
        result = self.function(*self.inputs)
        return [result] if isinstance(result, Value) else list(result)

    def evaluate(self) -> Array:
        """Return all elements of the outputs that require a gradient."""
        results = self.run()
        parts = [np.asarray(as_array(results[k]), np.float64).ravel() for k in self.live]
        return np.concatenate(parts)

    def _jacobians(self) -> dict[int, Array]:
        """Return for each input the gradients of all outputs' elements: (outputs, elements)."""
        given = [self.inputs[k] for k in self.checked]
        rows: list[list[Array]] = []
        for output, index in self.places:
            out = self.outputs[output]
            seed = np.zeros(out.shape, out.dtype)
            seed[index] = 1
            found = grad(out, given, from_array(seed), retain_graph=True, allow_unused=True)
            rows.append(
                [
                    np.zeros(x.numel()) if g is None else as_array(g).ravel().astype(np.float64)
                    for x, g in zip(given, found, strict=True)
                ]
            )
        return {
            k: np.array([row[j] for row in rows]).reshape(len(rows), self.inputs[k].numel())
            for j, k in enumerate(self.checked)
        }

    def moved(self, k: int, index: Any, step: float) -> tuple[Array, Array]:
        """Return the outputs with one element of input ``k`` larger, and smaller, by ``step``."""
        array = as_array(self.inputs[k])
        original = array[index]
        try:
            array[index] = original + step
            above = self.evaluate()
            array[index] = original - step
            return above, self.evaluate()
        finally:
            array[index] = original

    def entries(self, k: int) -> list[Entry]:
        """Return the entries of input ``k``, with their statuses."""
        shape, found = self.inputs[k].shape, []
        for column, index in enumerate(np.ndindex(shape)):
            gradient = self.jacobians[k][:, column]
            above, below = self.moved(k, index, self.eps)
            quotient = (above - below) / (2 * self.eps)
            sides = (self.base - below) / self.eps, (above - self.base) / self.eps
            statuses = self._statuses(k, index, gradient, quotient, sides)
            only = len(self.places) == 1
            columns = (x.tolist() for x in (gradient, quotient, *sides))
            for place, g, q, left, right, status in zip(
                self.places, *columns, statuses, strict=True
            ):
                of = None if only else place
                found.append(Entry(k, shape, index, of, g, q, left, right, status))
        return found

    def _statuses(
        self, k: int, index: Any, gradient: Array, quotient: Array, sides: tuple[Array, Array]
    ) -> list[str]:
        """Return a status for each row of the Jacobian.

        Where the slopes on both sides differ, smaller steps are tried. The difference of a smooth
        function shrinks with the step, at a kink it stays, at a jump it grows.
        """
        with np.errstate(invalid="ignore"):
            near = self._near(gradient, quotient)
            size = np.maximum(np.abs(gradient), np.abs(quotient))
            noise = 4 * _EPSILON * np.abs(self.base) / self.eps
            flat = (size > 0) & (size <= noise) & (np.abs(gradient - quotient) > self.rtol * size)
            statuses = np.where(flat, "flat", np.where(near, "right", "wrong")).astype("<U5")
            bend = np.abs(sides[1] - sides[0])
            open_ = bend > self._tolerance(*sides)
            for step in (self.eps / 8, self.eps / 64) if open_.any() else ():
                above, below = self.moved(k, index, step)
                sides = (self.base - below) / step, (above - self.base) / step
                before, bend, tolerance = bend, np.abs(sides[1] - sides[0]), self._tolerance(*sides)
                resolved = open_ & (bend <= tolerance) & self._near(gradient, sum(sides) / 2)
                statuses[resolved] = "right"
                kink = (bend > tolerance) & (bend > before / 2) & (bend < before * 4)
                between = (np.minimum(*sides) - tolerance / 4 <= gradient) & (
                    gradient <= np.maximum(*sides) + tolerance / 4
                )
                statuses[open_ & kink & between] = "kink"
                open_ &= ~resolved & ~(kink & between)
        return list(map(str, statuses))

    def _near(self, gradient: Array, quotient: Any) -> Array:
        return np.abs(gradient - quotient) <= self.atol + self.rtol * np.abs(quotient)  # type: ignore[no-any-return]

    def _tolerance(self, left: Array, right: Array) -> Array:
        """Return how far apart the slopes on both sides must be for a kink."""
        return 4 * (self.atol + self.rtol * np.maximum(np.abs(left), np.abs(right)))  # type: ignore[no-any-return]

    def step_sizes(self, entry: Entry) -> StepSizes:
        """Return the difference quotients of one entry over step sizes from 1e-1 to 1e-9."""
        row = 0 if entry.output is None else self.places.index(entry.output)
        quotients = []
        for step in STEP_SIZES:
            above, below = self.moved(entry.input, entry.index, step)
            quotients.append(float(above[row] - below[row]) / (2 * step))
        return StepSizes(entry, STEP_SIZES, tuple(quotients))


def _check_inputs(name: str, inputs: Sequence[Any], checked: Sequence[int]) -> None:
    if not checked:
        raise ValueError(f"{name}: no input requires a gradient; make one with requires_grad=True")
    for k in checked:
        if inputs[k].dtype != np.float64:
            raise TypeError(
                f"{name}: input {k} is {inputs[k].dtype}; differences need float64: "
                "tg.tensor(x, dtype=tg.float64, requires_grad=True)"
            )
        if inputs[k].node is not None:
            raise ValueError(f"{name}: input {k} is not a leaf; pass x.detach().requires_grad_()")
