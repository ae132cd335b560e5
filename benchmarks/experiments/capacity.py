"""Capacity and regularisation: hidden units, L2, L1, and many random starts.

Networks of 3, 6 and 20 hidden tanh units on two noisy moons: more units follow the points more
closely. A penalty makes the boundary smooth again: with 20 units,

    L2:  loss + reg/2 sum w^2        reg = 0, 0.001, 0.01, 0.1
    L1:  loss + reg sum |w|          which drives weights to 0 one by one

At last, the training loss after many random starts: a small network often ends in a bad
minimum, a large one rarely, and its losses vary less.

Sources: Stanford's CS231n, "Neural networks part 1: setting up the architecture";
A. Choromanska et al., "The loss surfaces of multilayer networks", AISTATS 2015.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.train import Penalty

UNITS, REGS = (3, 6, 20), (0.0, 0.001, 0.01, 0.1)


def make(units: int) -> nn.Sequential:
    """Return one hidden layer of tanh units."""
    return nn.Sequential(nn.Linear(2, units), nn.Tanh(), nn.Linear(units, 2))


def train(experiment: Experiment, units: int, data: Any, l1: float = 0, l2: float = 0) -> Any:
    """Train on all points at once, and return the network and its accuracy on the points."""
    tg.manual_seed(experiment.seed)
    model = make(units)
    penalty = Penalty(model, l1=l1, l2=l2 / 2) if l1 or l2 else None
    steps = experiment.pick(full=4000, quick=1500, tiny=5)
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    options = dict(epochs=steps, batch_size=len(data.x), shuffle=False, progress=False)
    tg.fit(model, optimizer, data, penalty=penalty, scheduler=scheduler, **options)
    return model


def run(experiment: Experiment) -> None:
    data = tg.data.moons(100, noise=0.3, seed=experiment.seed)
    test = tg.data.moons(2000, noise=0.3, seed=10_000 + experiment.seed)
    rows, figures = [], []
    for units in UNITS:
        model = train(experiment, units, data)
        rows.append(row_of({"hidden units": units, "penalty": "none"}, model, data, test))
        figures.append(tg.train.boundary(model, data))
    experiment.picture("units", figures, "3, 6 and 20 hidden units, no penalty.")
    figures = []
    for reg in REGS:
        model = train(experiment, UNITS[-1], data, l2=reg)
        rows.append(row_of({"hidden units": 20, "penalty": f"L2 {reg:g}"}, model, data, test))
        figures.append(tg.train.boundary(model, data))
    experiment.picture("l2", figures, "20 hidden units, L2 penalty 0, 0.001, 0.01 and 0.1.")
    norms = [row["sum of w^2"] for row in rows[-len(REGS) :]]
    for reg in REGS[1:]:
        model = train(experiment, UNITS[-1], data, l1=reg / 10)
        rows.append(row_of({"hidden units": 20, "penalty": f"L1 {reg / 10:g}"}, model, data, test))
    experiment.table("Capacity and penalties", rows)
    experiment.picture("l1", weights_picture(model), "The weights with the largest L1 penalty.")

    losses = starts(experiment)
    experiment.record(rows=rows, losses=losses)
    if experiment.size != "tiny":
        decreasing = float(all(a > b for a, b in itertools.pairwise(norms)))
        experiment.check("L2 shrinks the weights, step by step (1: yes)", decreasing, at_least=1)
        sparsity = rows[-1]["weights below 0.001"]
        experiment.check("share of weights that L1 of 0.01 sets to 0", sparsity, at_least=0.3)
        trained = [row["training accuracy"] for row in rows[:3]]
        gain = trained[-1] - trained[0]
        experiment.check("training accuracy, 20 units - 3 units", gain, at_least=0.0)


def row_of(row: dict[str, Any], model: nn.Sequential, data: Any, test: Any) -> dict[str, Any]:
    """Return a row of the table: how well a network fits, and how large its weights are."""
    weights = np.concatenate([p.detach().numpy().ravel() for p in model.parameters() if p.ndim > 1])
    return row | {
        "training accuracy": tg.evaluate(model, data)["accuracy"],
        "test accuracy": tg.evaluate(model, test)["accuracy"],
        "sum of w^2": float(np.sum(weights.astype(float) ** 2)),
        "weights below 0.001": float(np.mean(np.abs(weights) < 1e-3)),
    }


def weights_picture(model: nn.Sequential) -> Any:
    """Draw the sizes of a network's weights, in decreasing order."""
    figure, (axes,) = figure_of()
    weights = np.concatenate([p.detach().numpy().ravel() for p in model.parameters() if p.ndim > 1])
    axes.bar(np.arange(len(weights)), np.sort(np.abs(weights))[::-1], color="#3d6fb4")
    axes.set(xlabel="weight", ylabel="|w|", title="most weights are 0")
    return figure


def starts(experiment: Experiment) -> dict[str, list[float]]:
    """Train from many random starts, all of one size together; show the losses that they reach."""
    data = tg.data.spiral(points=50, seed=experiment.seed)
    count = experiment.pick(full=100, quick=40, tiny=3)
    steps = experiment.pick(full=4000, quick=1200, tiny=3)
    losses, rows = {}, []
    figure, (axes,) = figure_of()
    for units in (5, 10, 20, 100):

        def network(units: int = units) -> nn.Sequential:
            return nn.Sequential(nn.Linear(2, units), nn.ReLU(), nn.Linear(units, 3))

        ensemble = nn.Ensemble(network, count, seed=experiment.seed)
        optimizer = optim.Adam(ensemble.parameters(), lr=0.02)
        options = dict(epochs=steps, batch_size=len(data.x), shuffle=False, progress=False)
        tg.fit(ensemble, optimizer, data, loss=nn.EnsembleLoss(), **options)
        reached = [tg.evaluate(member, data)["loss"] for member in ensemble.members()]
        losses[str(units)] = reached
        row = {"hidden units": units, "best": min(reached), "median": float(np.median(reached))}
        rows.append(row | {"worst": max(reached), "standard deviation": float(np.std(reached))})
        axes.plot(np.sort(reached), np.linspace(0, 1, count), label=f"{units} units")
    axes.set(xscale="log", xlabel="training loss", ylabel="share of the starts")
    axes.legend(frameon=False)
    experiment.table(f"Training loss after {steps} steps from {count} random starts, spiral", rows)
    experiment.picture("starts", figure, "Share of the starts that end at or below a loss.")
    if experiment.size != "tiny":
        spread = rows[-1]["standard deviation"] / rows[0]["standard deviation"]
        experiment.check(
            "spread of the loss, 100 units / 5 units", spread, at_most=0.5, headline=True
        )
    return losses


if __name__ == "__main__":
    main(run, __doc__)
