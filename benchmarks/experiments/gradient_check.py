"""Gradient checking: analytic gradients against difference quotients, and a planted bug found.

    dL/dw_i  ~  (L(w + h e_i) - L(w - h e_i)) / (2 h)            error of order h^2

The analytic gradient of a network of two layers is computed twice, by hand in NumPy and by the
framework. Both are compared with the difference quotients of every weight by the relative error

    |a - n| / max(|a|, |n|)

which is near 1e-9 in float64 for a right gradient, and above 1e-2 for a wrong one. (Rows for which
a ReLU is near its kink are left out: there the quotient is wrong, not the gradient.) Then bugs that
learners make are planted into the code by hand. The check finds each of them, and the parameters
that it names tell where the bug is. At last `tg.gradcheck` finds a wrong `backward` of a user's own
function.

Source: Stanford's CS231n, "Learning and evaluation: gradient checks".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F

Weights = dict[str, np.ndarray]
REG = 0.1
BUGS = {
    "none": "",
    "no ReLU in backward": "W1 b1",
    "sum instead of mean over the rows": "W1 b1 W2 b2",
    "the penalty's gradient is forgotten": "W1 W2",
    "the bias gets the gradient of one row": "b2",
}


def loss_by_hand(w: Weights, x: np.ndarray, y: np.ndarray, bug: str = "none") -> Any:
    """Return the loss of a network with one hidden layer of ReLUs, and its gradients by hand."""
    rows, count = np.arange(len(x)), len(x)
    hidden = np.maximum(0, x @ w["W1"] + w["b1"])
    scores = hidden @ w["W2"] + w["b2"]
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = exp / exp.sum(axis=1, keepdims=True)
    loss = -np.log(p[rows, y]).mean() + 0.5 * REG * sum((w[k] ** 2).sum() for k in ("W1", "W2"))

    d = p.copy()  # dL/dscores
    d[rows, y] -= 1
    d /= 1 if bug == "sum instead of mean over the rows" else count
    gradients = {"W2": hidden.T @ d, "b2": d.sum(axis=0)}
    if bug == "the bias gets the gradient of one row":
        gradients["b2"] = d[0]
    d = d @ w["W2"].T
    if bug != "no ReLU in backward":
        d = d * (hidden > 0)
    gradients |= {"W1": x.T @ d, "b1": d.sum(axis=0)}
    if bug != "the penalty's gradient is forgotten":
        gradients |= {key: gradients[key] + REG * w[key] for key in ("W1", "W2")}
    return loss, gradients


def gradients_of_framework(w: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    """Return the gradients that the framework computes of the same loss."""
    t = {key: tg.tensor(value, requires_grad=True) for key, value in w.items()}
    hidden = (tg.tensor(x) @ t["W1"] + t["b1"]).relu()
    loss = F.cross_entropy(hidden @ t["W2"] + t["b2"], tg.tensor(y))
    loss = loss + 0.5 * REG * (t["W1"].square().sum() + t["W2"].square().sum())
    loss.backward()
    return {key: value.grad.numpy() for key, value in t.items()}


def numeric(f: Callable[[], float], value: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Return the central difference quotient of ``f`` by each element of an array that it reads."""
    found = np.empty_like(value)
    for index in np.ndindex(value.shape):
        kept = value[index]
        value[index] = kept + h
        above = f()
        value[index] = kept - h
        below = f()
        value[index] = kept
        found[index] = (above - below) / (2 * h)
    return found


def relative_error(a: np.ndarray, n: np.ndarray) -> float:
    """Return the largest relative error; entries of both below 1e-7 do not count."""
    scale = np.maximum(abs(a), abs(n))
    return float((abs(a - n) / np.maximum(scale, 1e-7)).max())


class WrongTanh(tg.autograd.Function):
    """tanh with a bug: its derivative is 1 - tanh^2, not 1 - tanh."""

    @staticmethod
    def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
        """Return tanh(x)."""
        out = x.tanh()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
        """Return the gradient by x, wrongly."""
        (out,) = ctx.saved_tensors
        return g * (1 - out)


def run(experiment: Experiment) -> None:
    size = experiment.pick(full=50, quick=20, tiny=5)
    generator = np.random.default_rng(experiment.seed)
    x, y = generator.normal(size=(40, 4)), generator.integers(0, 3, 40)
    shapes = {"W1": (4, size), "b1": (size,), "W2": (size, 3), "b2": (3,)}
    w = {key: 0.5 * generator.normal(size=shape) for key, shape in shapes.items()}
    smooth = (abs(x @ w["W1"] + w["b1"]) > 1e-3).all(axis=1)  # no ReLU at its kink
    x, y = x[smooth], y[smooth]
    quotients = {key: numeric(lambda: loss_by_hand(w, x, y)[0], w[key]) for key in w}

    rows, found = [], {}
    framework = gradients_of_framework(w, x, y)
    given = [("framework", framework, "")]
    given += [(f"by hand, bug: {bug}", loss_by_hand(w, x, y, bug)[1], BUGS[bug]) for bug in BUGS]
    for name, gradients, wrong in given:
        errors = {key: relative_error(gradients[key], quotients[key]) for key in w}
        found[name] = " ".join(key for key, error in errors.items() if error > 1e-2)
        located = "yes" if sorted(found[name].split()) == sorted(wrong.split()) else "NO"
        rows.append({"gradient": name, **errors, "wrong": found[name], "as planted": located})
    experiment.table("Largest relative error to the difference quotients", rows)
    worst = max(max(row[key] for key in w) for row in rows[:2])
    experiment.check("largest error of right gradients", worst, at_most=1e-4)
    right = sum(row["as planted"] == "yes" for row in rows) / len(rows)
    experiment.check(
        "share of bugs that are found where they are", right, at_least=1.0, headline=True
    )

    z = tg.tensor(generator.normal(size=5), requires_grad=True)
    try:
        tg.gradcheck(WrongTanh.apply, z)
        message = ""
    except tg.study.GradcheckError as error:
        message = str(error)
    experiment.say(f"tg.gradcheck of a wrong tanh: {message or 'nothing found'}")
    experiment.check("bugs found by tg.gradcheck", int(bool(message)), at_least=1)

    steps = np.logspace(-12, -1, 23)  # too small a step is noise, too large a step is curvature
    curve = [
        relative_error(framework["W2"], numeric(lambda: loss_by_hand(w, x, y)[0], w["W2"], h))
        for h in steps
    ]
    figure, (axes,) = figure_of()
    axes.loglog(steps, curve, "o-")
    axes.set(xlabel="h", ylabel="largest relative error of dL/dW2")
    experiment.picture(
        "step", figure, "Rounding errors grow as 1/h, the error of the quotient as h^2."
    )
    experiment.record(rows=rows, largest_error=worst, found=found, message=message)


if __name__ == "__main__":
    main(run, __doc__)
