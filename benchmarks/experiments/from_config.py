"""A network from a list of dictionaries, on two moons.

A list names the sizes and the activation of each layer; `nn.from_config` makes the network of it.
It is trained on two interleaved half circles by gradient descent on the binary cross-entropy

    L = -mean_n( y_n log p_n + (1 - y_n) log(1 - p_n) ),        p = sigmoid(last layer)

once with ReLU and once with sigmoid hidden layers. Five sigmoids in a row pass on so little
gradient that the network hardly learns; ReLUs do. One hidden layer of sigmoids learns, slowly.
Beside it, scikit-learn's MLPClassifier with the same layers.

The animation shows the probability of the second class as the ReLU network learns.

Source: the exercise "a neural network in plain NumPy" of many courses, with layers
2-25-50-50-25-1; the moons are those of scikit-learn's ``make_moons``.
"""

from __future__ import annotations

import importlib
import itertools
import time
import warnings
from typing import Any

import numpy as np
from common import Experiment, figure_of, main, side_by_side

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim


def config(sizes: tuple[int, ...], activation: str) -> list[dict[str, Any]]:
    """Return the dictionaries of a network with one output, a probability."""
    layers = [
        {"input_dim": m, "output_dim": n, "activation": activation}
        for m, n in itertools.pairwise(sizes)
    ]
    layers[-1]["activation"] = "sigmoid"
    return layers


def train(
    model: nn.Sequential, x: np.ndarray, y: np.ndarray, lr: float, steps: int, frames: list[Any]
) -> list[float]:
    """Train by gradient descent on all rows; append a picture of the plane now and then."""
    optimizer = optim.SGD(model.parameters(), lr=lr)
    inputs, targets = tg.tensor(x), tg.tensor(y[:, None].astype(np.float32))

    @tg.compile
    def step() -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    shown = {
        int(k) for k in np.linspace(0, 1, min(40, steps // 4)) ** 2 * (steps - 1)
    }  # more at the start
    losses = []
    for k in range(steps):
        losses.append(step().item())
        if k in shown:
            frames.append(plane(model, x, y, f"step {k + 1:,}, loss {losses[-1]:.3f}"))
    return losses


def plane(model: nn.Sequential, x: np.ndarray, y: np.ndarray, title: str) -> Any:
    """Return a figure of the model's probability over the plane, with the rows on it."""
    u, v = np.linspace(-1.6, 2.6, 100), np.linspace(-1.2, 1.7, 80)
    grid = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    with tg.no_grad():
        p = model(tg.tensor(grid)).numpy().reshape(len(v), len(u))
    figure, (axes,) = figure_of(size=(5, 3.8))
    axes.contourf(u, v, p, levels=np.linspace(0, 1, 21), cmap="RdBu_r", alpha=0.8)
    if p.min() < 0.5 < p.max():
        axes.contour(u, v, p, levels=[0.5], colors="black", linewidths=1)
    axes.scatter(*x.T, c=y, cmap="RdBu_r", s=8, edgecolors="white", linewidths=0.4)
    axes.set_title(title, fontsize=10)
    return figure


def animate(experiment: Experiment, frames: list[Any], caption: str) -> None:
    """Write figures as an animated GIF."""
    image = importlib.import_module("PIL.Image")
    pictures = [image.fromarray(side_by_side([each])[..., :3].copy()) for each in frames]
    with experiment.file("boundary.gif", caption) as path:
        first, *rest = [each.quantize(64) for each in pictures]
        first.save(path, save_all=True, append_images=rest, duration=120, loop=0)


def scikit_learn(sizes: tuple[int, ...], x: Any, y: Any, held_out: Any, seed: int) -> Any:
    """Return the accuracy of MLPClassifier and its seconds, or None if it is not installed."""
    try:
        from sklearn.neural_network import MLPClassifier
    except ModuleNotFoundError:
        return None
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it has not converged
        model = MLPClassifier(sizes[1:-1], solver="adam", max_iter=400, random_state=seed)
        model.fit(x, y)
    return float(model.score(*held_out)), time.perf_counter() - start


def run(experiment: Experiment) -> None:
    points = experiment.pick(full=500, quick=500, tiny=50)
    data = tg.data.moons(points, noise=0.2, seed=experiment.seed)
    held_out = tg.data.moons(points, noise=0.2, seed=experiment.seed + 1)
    x, y = data.x, data.y
    deep, steps = (2, 25, 50, 50, 25, 1), experiment.pick(full=10_000, quick=3_000, tiny=20)
    rows, curves, frames = [], {}, []
    for name, sizes, activation, lr in (
        ("ReLU, 2-25-50-50-25-1", deep, "relu", 0.1),
        ("sigmoid, 2-25-50-50-25-1", deep, "sigmoid", 0.1),
        ("sigmoid, 2-50-1", (2, 50, 1), "sigmoid", 1.0),
    ):
        tg.manual_seed(experiment.seed)
        model = nn.from_config(config(sizes, activation))
        start = time.perf_counter()
        curves[name] = train(model, x, y, lr, steps, frames if activation == "relu" else [])
        seconds = time.perf_counter() - start
        with tg.no_grad():
            p = model(tg.tensor(held_out.x)).numpy()[:, 0]
        accuracy = float(((p > 0.5) == held_out.y).mean())
        row = {"network": name, "loss": curves[name][-1], "test accuracy": accuracy}
        rows.append(row | {"seconds": seconds})
    other = scikit_learn(deep, x, y, (held_out.x, held_out.y), experiment.seed)
    if other is None:
        experiment.say("scikit-learn is not installed, so it is not in the table.")
    else:
        row = {"network": "scikit-learn, Adam", "test accuracy": other[0], "seconds": other[1]}
        rows.append(row)
    experiment.table(f"Two moons, {steps:,} steps; the seconds include the pictures", rows)

    figure, (axes,) = figure_of()
    for name, losses in curves.items():
        axes.plot(losses, label=name)
    axes.set(xlabel="step", ylabel="binary cross-entropy", xscale="log")
    axes.legend(frameon=False)
    experiment.picture("losses", figure, "The loss of the three networks.")
    animate(experiment, frames, "The ReLU network learns: probability of the second class.")
    experiment.check(
        "test accuracy of the ReLU network", rows[0]["test accuracy"], at_least=0.93, headline=True
    )
    experiment.record(rows=rows, accuracy=rows[0]["test accuracy"], config=config(deep, "relu"))


if __name__ == "__main__":
    main(run, __doc__)
