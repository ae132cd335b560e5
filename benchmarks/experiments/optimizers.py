"""Seven optimizers on MNIST, and their paths over two test functions.

SGD, momentum, Nesterov's momentum, AdaGrad, Adadelta, RMSprop and Adam train 784-512-128-64-10 with
batch normalisation and dropout (network a of mnist_networks.py) from the same weights, on the same
batches. Then each descends from one point on

    Beale       f(x, y) = (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2
    Rosenbrock  f(x, y) = (1 - x)^2 + 100 (y - x^2)^2

whose minima 0 are at (3, 0.5) and (1, 1). Beale's function has a flat plateau beside steep walls,
Rosenbrock's a narrow curved valley. Adadelta comes near and then circles: its steps grow where
gradients get small.

Sources: S. Ruder, "An overview of gradient descent optimization algorithms", arXiv 1609.04747;
E. M. L. Beale, "On an iterative method for finding a local minimum of a function of more than one
variable", 1958; H. H. Rosenbrock, "An automatic method for finding the greatest or least value of a
function", 1960.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from common import Experiment, figure_of, main
from mnist_networks import NETWORKS, make

import tinygrad_mlp as tg
from tinygrad_mlp import optim

Make = Callable[[Sequence[Any]], optim.Optimizer]
OPTIMIZERS: dict[str, tuple[Make, Make]] = {  # on MNIST, and on the functions of two variables
    "SGD": (lambda p: optim.SGD(p, 0.1), lambda p: optim.SGD(p, 5e-4)),
    "momentum": (
        lambda p: optim.SGD(p, 0.05, momentum=0.9),
        lambda p: optim.SGD(p, 5e-4, momentum=0.9),
    ),
    "Nesterov": (
        lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
        lambda p: optim.SGD(p, 5e-4, momentum=0.9, nesterov=True),
    ),
    "AdaGrad": (lambda p: optim.Adagrad(p, 0.02), lambda p: optim.Adagrad(p, 0.5)),
    "Adadelta": (lambda p: optim.Adadelta(p, 1.0), lambda p: optim.Adadelta(p, 1.0)),
    "RMSprop": (lambda p: optim.RMSprop(p, 1e-3), lambda p: optim.RMSprop(p, 5e-3)),
    "Adam": (lambda p: optim.Adam(p, 2e-3), lambda p: optim.Adam(p, 2e-2)),
}
COLORS = ("#3d6fb4", "#e07a3f", "#3a9d79", "#b8478c", "#d9a441", "#5b5ea6", "#c94c4c")


def beale(x: Any, y: Any) -> Any:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


# name -> the function, its minimum, the start, the part of the plane that is drawn
FUNCTIONS = {
    "Beale": (beale, (3.0, 0.5), (1.0, 1.5), ((0, 4.5), (-1, 2))),
    "Rosenbrock": (rosenbrock, (1.0, 1.0), (-1.5, 1.0), ((-2, 2), (-0.7, 2))),
}


def path(make_optimizer: Make, f: Callable[..., Any], start: tuple[float, float], steps: int):
    """Return the points (steps + 1, 2) that an optimizer visits from a start."""
    point = tg.tensor(start, dtype=tg.float64).requires_grad_()
    optimizer = make_optimizer([point])

    @tg.compile
    def step() -> tg.Tensor:
        optimizer.zero_grad()
        loss = f(point[0], point[1])
        loss.backward()
        optimizer.step()
        return loss

    points = [np.array(start)]
    for _ in range(steps):
        step()
        points.append(point.detach().numpy().copy())
    return np.array(points)


def draw_paths(axes: Any, name: str, paths: dict[str, np.ndarray]) -> None:
    """Draw the paths over contours of the function's logarithm."""
    f, minimum, _, (x_range, y_range) = FUNCTIONS[name]
    x, y = np.meshgrid(np.linspace(*x_range, 200), np.linspace(*y_range, 200))
    axes.contourf(x, y, np.log(f(x, y) + 1e-3), levels=30, cmap="Greys", alpha=0.6)
    for color, (label, points) in zip(COLORS, paths.items(), strict=True):
        axes.plot(*points.T, color=color, linewidth=1.8, label=label)
        axes.plot(*points[-1], "o", color=color, markersize=5)
    axes.plot(*minimum, "*", color="black", markersize=14)
    axes.set(title=name, xlim=x_range, ylim=y_range, xlabel="x", ylabel="y")


def run(experiment: Experiment) -> None:
    rows = experiment.pick(full=None, quick=20_000, tiny=500)
    data, validation = ((d.x[:rows], d.y[:rows]) for d in tg.data.split(tg.data.mnist()))
    epochs = experiment.pick(full=20, quick=3, tiny=1)
    table, figure = [], figure_of(1, 2, size=(5.2, 4))
    figure, (loss_axes, accuracy_axes) = figure
    for color, (name, (make_optimizer, _)) in zip(COLORS, OPTIMIZERS.items(), strict=True):
        tg.manual_seed(experiment.seed)
        model = make(*NETWORKS["a"])
        optimizer = make_optimizer(list(model.parameters()))
        options = dict(epochs=epochs, seed=experiment.seed, progress="auto")
        history = tg.fit(model, optimizer, data, validation=validation, **options)
        loss_axes.plot(history["epoch"], history["loss"], color=color, label=name)
        accuracy_axes.plot(history["epoch"], history["val_accuracy"], color=color, label=name)
        row = {"optimizer": name, "lr": history["lr"][0], "loss": history["loss"][-1]}
        row |= {"test accuracy": history["val_accuracy"][-1], "seconds": sum(history["seconds"])}
        table.append(row)
    loss_axes.set(title="training loss", xlabel="epoch", yscale="log")
    accuracy_axes.set(title="test accuracy", xlabel="epoch")
    for axes in (loss_axes, accuracy_axes):
        axes.xaxis.get_major_locator().set_params(integer=True)
    accuracy_axes.legend(frameon=False)
    experiment.table(f"Network a on MNIST, {epochs} epochs", table)
    experiment.picture("curves", figure, "Training loss and test accuracy of seven optimizers.")
    lowest = min(row["test accuracy"] for row in table)
    wanted = experiment.pick(full=0.975, quick=0.92, tiny=0.0)
    experiment.check("lowest test accuracy", lowest, at_least=wanted, headline=True)

    steps = experiment.pick(full=20_000, quick=4000, tiny=50)
    figure, axes = figure_of(1, 2, size=(6, 4.6))
    ends: list[dict[str, Any]] = []
    for one, (name, (f, minimum, start, _)) in zip(axes, FUNCTIONS.items(), strict=True):
        paths = {label: path(m, f, start, steps) for label, (_, m) in OPTIMIZERS.items()}
        draw_paths(one, name, paths)
        for label, points in paths.items():
            values = f(*points.T)
            below = np.flatnonzero(values < 1e-3)
            row = {"function": name, "optimizer": label, "last value": float(values[-1])}
            row["distance to the minimum"] = float(np.hypot(*(points[-1] - minimum)))
            ends.append(row | {"steps to 0.001": int(below[0]) if len(below) else "not reached"})
        decreased = max(float(f(*points[-1]) / f(*points[0])) for points in paths.values())
        wanted = experiment.pick(full=0.02, quick=0.1, tiny=1.0)
        experiment.check(f"{name}: largest last / first value", decreased, at_most=wanted)
    axes[0].legend(frameon=False, fontsize=8)
    experiment.table(f"After {steps} steps from one point", ends)
    experiment.picture("paths", figure, "Paths of the optimizers; the star is the minimum.")
    experiment.record(mnist=table, functions=ends)


if __name__ == "__main__":
    main(run, __doc__)
