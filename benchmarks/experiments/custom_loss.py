"""A loss and an output layer of one's own, with their own backward: checked, then trained with.

`tg.autograd.Function` takes a forward and a backward. Three are written here:

    softmax, cross-entropy    L = -1/N sum_n log softmax(z_n)_{y_n}    dL/dz = (softmax z - 1_y) / N
    mean squared error        L = 1/(N D) sum (z - t)^2                dL/dz = 2 (z - t) / (N D)
    scaled tanh as output     z = c tanh(a / c)                        dz/da = 1 - (z / c)^2

Each is validated before it is used: the shape and dtype of its result and of its gradient, its
value against the framework's own op, and its gradient against difference quotients
(`tg.gradcheck`). A wrong backward is found: one that forgets the 1/N. Then networks are trained:
the spiral with the loss of one's own gives the losses of the built-in one step by step; a
regression has an identity output and the squared error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd import Function


class SoftmaxLoss(Function):
    """Softmax with cross-entropy: logits (N, C), labels (N,); the mean over the rows."""

    @staticmethod
    def forward(ctx: Any, z: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
        if z.ndim != 2 or labels.shape != z.shape[:1]:
            raise ValueError(f"SoftmaxLoss: logits {z.shape} and labels {labels.shape} do not fit")
        p = (z - z.amax(1, keepdim=True)).exp()
        p = p / p.sum(1, keepdim=True)
        onehot = F.one_hot(labels, z.shape[1]).to(z.dtype)
        ctx.save_for_backward(p, onehot)
        return -((p * onehot).sum(1).log()).mean()

    @staticmethod
    def backward(ctx: Any, gradient: tg.Tensor) -> Any:
        p, onehot = ctx.saved_tensors
        return gradient * (p - onehot) / p.shape[0], None  # labels have no gradient


class ForgottenMean(SoftmaxLoss):
    """The same with a mistake: the gradient of the sum instead of the mean."""

    @staticmethod
    def backward(ctx: Any, gradient: tg.Tensor) -> Any:
        p, onehot = ctx.saved_tensors
        return gradient * (p - onehot), None


class SquaredError(Function):
    """The mean of (z - t)^2 over all elements."""

    @staticmethod
    def forward(ctx: Any, z: tg.Tensor, t: tg.Tensor) -> tg.Tensor:
        if z.shape != t.shape:
            raise ValueError(f"SquaredError: outputs {z.shape} and targets {t.shape} differ")
        ctx.save_for_backward(z, t)
        return (z - t).square().mean()

    @staticmethod
    def backward(ctx: Any, gradient: tg.Tensor) -> Any:
        z, t = ctx.saved_tensors
        return gradient * 2 * (z - t) / z.numel(), None


class ScaledTanh(Function):
    """The output layer z = c tanh(a / c), which is near a for small a and stays within c."""

    @staticmethod
    def forward(ctx: Any, a: tg.Tensor, c: float) -> tg.Tensor:
        z = c * (a / c).tanh()
        ctx.save_for_backward(z)
        ctx.c = c
        return z

    @staticmethod
    def backward(ctx: Any, gradient: tg.Tensor) -> Any:
        (z,) = ctx.saved_tensors
        return gradient * (1 - (z / ctx.c).square()), None


def validate(
    name: str, op: Callable[[tg.Tensor], tg.Tensor], like: Callable[[tg.Tensor], tg.Tensor], x: Any
) -> dict[str, Any]:
    """Compare an op with one of the framework, and its gradient with difference quotients."""
    x = tg.tensor(x, requires_grad=True)
    out, reference = op(x), like(x)
    (gradient,) = tg.autograd.grad(out.sum(), x)
    return {
        "op": name,
        "shape": out.shape == reference.shape and gradient.shape == x.shape,
        "dtype": out.dtype == reference.dtype and gradient.dtype == x.dtype,
        "value differs by": float((out - reference).detach().abs().max().item()),
        "gradient": "right" if tg.gradcheck(op, x, raise_exception=False) else "wrong",
    }


def train(model: nn.Module, loss: Any, x: tg.Tensor, y: tg.Tensor, steps: int) -> list[float]:
    """Train on all rows by Adam; return the loss before each step."""
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    @tg.compile
    def step() -> tg.Tensor:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return [step().item() for _ in range(steps)]


def run(experiment: Experiment) -> None:
    draw = np.random.default_rng(experiment.seed)
    z, target = draw.normal(size=(6, 3)), tg.tensor(draw.normal(size=(6, 3)))
    labels = tg.tensor(draw.integers(0, 3, 6))
    checked = [
        validate(
            "SoftmaxLoss",
            lambda z: SoftmaxLoss.apply(z, labels),
            lambda z: F.cross_entropy(z, labels),
            z,
        ),
        validate(
            "SquaredError",
            lambda z: SquaredError.apply(z, target),
            lambda z: F.mse_loss(z, target),
            z,
        ),
        validate("ScaledTanh", lambda a: ScaledTanh.apply(a, 2.0), lambda a: 2 * (a / 2).tanh(), z),
        validate(
            "ForgottenMean, a mistake",
            lambda z: ForgottenMean.apply(z, labels),
            lambda z: F.cross_entropy(z, labels),
            z,
        ),
    ]
    experiment.table("Validation", checked)
    good, bad = checked[:3], checked[3]
    right = sum(c["shape"] and c["dtype"] and c["gradient"] == "right" for c in good)
    experiment.check("ops that are right, of 3", right, at_least=3)
    found = float(bad["gradient"] == "wrong")
    experiment.check("the mistake is found (1: yes)", found, at_least=1)

    points = tg.data.spiral(seed=experiment.seed)
    x, y = tg.tensor(points.x, dtype=tg.float64), tg.tensor(points.y)
    steps = experiment.pick(full=1000, quick=400, tiny=10)
    losses, accuracy = {}, 0.0
    for name, loss in (("own", SoftmaxLoss.apply), ("built in", F.cross_entropy)):
        tg.manual_seed(experiment.seed)
        model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 3)).double()
        losses[name] = train(model, loss, x, y, steps)
        accuracy = tg.evaluate(model, (points.x, points.y))["accuracy"]
    difference = float(np.abs(np.subtract(*losses.values())).max())
    experiment.check("losses, own - built in", difference, at_most=1e-6)

    xs = np.linspace(-3, 3, 200)[:, None]
    values = np.sin(2 * xs) + 0.1 * draw.normal(size=xs.shape)
    tg.manual_seed(experiment.seed)
    layers = [nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)]
    model = nn.Sequential(*layers).double()  # the output is the identity
    curve = train(model, SquaredError.apply, tg.tensor(xs), tg.tensor(values), 3 * steps)
    with tg.no_grad():
        fitted = model(tg.tensor(xs)).numpy()
    error = float(np.sqrt(np.mean((fitted - np.sin(2 * xs)) ** 2)))
    figure, (left, right_axes) = figure_of(1, 2)
    left.semilogy(losses["own"], color="#d1495b", label="loss of one's own")
    left.semilogy(losses["built in"], "--", color="#2b2f36", label="built-in loss")
    left.set(title="spiral", xlabel="step", ylabel="cross-entropy")
    left.legend(frameon=False)
    right_axes.plot(xs, values, ".", color="#9aa3b2", label="data")
    right_axes.plot(xs, fitted, color="#d1495b", linewidth=2, label="network")
    right_axes.set(title="regression, identity output, squared error", xlabel="x")
    right_axes.legend(frameon=False)
    experiment.picture("training", figure, "Training with ops of one's own.")
    if experiment.size != "tiny":
        experiment.check("accuracy on the spiral", accuracy, at_least=0.95, headline=True)
        experiment.check("root mean squared error to sin 2x", error, at_most=0.08)
    experiment.record(validated=checked, difference=difference, accuracy=accuracy, error=error)
    experiment.record(regression_loss=curve[-1])


if __name__ == "__main__":
    main(run, __doc__)
