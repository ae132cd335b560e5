"""Dropout and DropConnect on a small noisy sample, where the plain network overfits.

Two interleaved moons of a few noisy points, and a network that is large enough to learn each of
them by heart. In each step of training dropout sets hidden units to 0 with probability p, and
DropConnect sets weights to 0:

    dropout       h = m * f(W x + b) / (1 - p)          m_i  is 1 with probability 1 - p, else 0
    DropConnect   h = f((M * W / (1 - p)) x + b)        M_ij is 1 with probability 1 - p, else 0

At test time all units and weights are used. The division by 1 - p in training keeps the
expected value of each unit, so that nothing is left to scale. The last picture shows that: the mean
over many masks approaches the output in eval mode.

Sources: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
JMLR 15, 2014; L. Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim

WIDTH = 256
NETWORKS = {"plain": (0.0, 0.0), "dropout 0.5": (0.5, 0.0), "DropConnect 0.5": (0.0, 0.5)}


def make(dropout: float, connect: float) -> nn.Sequential:
    """Return 2-256-256-2 with dropout of units after, or DropConnect in, the second layer."""
    sizes = (WIDTH, WIDTH)
    second: nn.Module = nn.DropConnect(*sizes, connect) if connect else nn.Linear(*sizes)
    drop = [nn.Dropout(dropout)] if dropout else []
    first = [nn.Linear(2, WIDTH), nn.ReLU(), *drop]
    return nn.Sequential(*first, second, nn.ReLU(), *drop, nn.Linear(WIDTH, 2))


def run(experiment: Experiment) -> None:
    points = experiment.pick(full=40, quick=40, tiny=10)
    seeds = range(experiment.seed, experiment.seed + experiment.pick(full=10, quick=3, tiny=1))
    epochs = experiment.pick(full=1500, quick=600, tiny=3)
    figure, axes = figure_of(1, 3, size=(4.4, 3.6))
    rows, boundaries, last, trained = [], [], {}, {}
    for one, (name, (dropout, connect)) in zip(axes, NETWORKS.items(), strict=True):
        done = []
        for seed in seeds:
            data = tg.data.moons(points, noise=0.35, seed=seed)
            test = tg.data.moons(500, noise=0.35, seed=10_000 + seed)
            tg.manual_seed(seed)
            model = make(dropout, connect)
            optimizer = optim.Adam(model.parameters(), lr=3e-3)
            options = dict(epochs=epochs, batch_size=2 * points, progress=False, seed=seed)
            history = tg.fit(model, optimizer, (data.x, data.y), validation=test, **options)
            done.append(tg.evaluate(model, data) | {"val_loss": history["val_loss"][-1]})
            done[-1]["val_accuracy"] = history["val_accuracy"][-1]
            if seed == seeds[0]:
                trained[name] = model
                boundaries.append(tg.train.boundary(model, data))
                draw(one, name, history)
        last[name] = {key: float(np.mean([row[key] for row in done])) for key in done[0]}
        rows.append({"network": name} | last[name])
    experiment.table(f"Means over {len(seeds)} samples of {2 * points} points, eval mode", rows)
    experiment.picture("curves", figure, "Loss of training (in training mode) and validation.")
    caption = "Decision boundaries: " + ", ".join(NETWORKS) + ". Misclassified points are ringed."
    experiment.picture("boundaries", boundaries, caption)
    masks(experiment, trained["dropout 0.5"], trained["DropConnect 0.5"])
    if experiment.size != "tiny":
        plain = last.pop("plain")
        for name, row in last.items():
            ratio = row["val_loss"] / plain["val_loss"]
            experiment.check(
                f"validation loss of {name} / plain", ratio, at_most=0.9, headline=True
            )
    experiment.record(rows=rows)


def draw(axes: Any, name: str, history: Any) -> None:
    """Draw the losses of one training."""
    axes.plot(history["epoch"], history["loss"], color="#9aa3b2", label="training")
    axes.plot(history["epoch"], history["val_loss"], color="#d1495b", label="validation")
    axes.set(title=name, xlabel="epoch", ylabel="loss", ylim=(0, 3))
    axes.legend(frameon=False)


def masks(experiment: Experiment, dropped: nn.Sequential, connected: nn.Sequential) -> None:
    """Draw the masks of some steps, and compare the mean over masks with eval mode."""
    tg.manual_seed(experiment.seed)
    figure, (units, weights, means) = figure_of(1, 3, size=(4.4, 3.6))
    layer = dropped[2].train()
    units.imshow(layer(tg.ones(32, 64)).numpy() > 0, cmap="Greys", aspect="auto")
    units.set(title="dropout: 64 units, 32 rows", xlabel="unit", ylabel="row of the batch")
    matrix = connected[2].train()
    # The outputs for the rows of the identity are the columns of the masked weight.
    with tg.no_grad():
        columns = matrix(tg.eye(WIDTH)) - matrix.bias
        mask = columns.numpy()[:64, :64].T != 0
        x = tg.relu(dropped[0](tg.tensor([[0.5, 0.25]])))
        wanted = x.numpy()  # in eval mode dropout returns its input
        count = experiment.pick(full=4000, quick=2000, tiny=100)
        drawn = layer(x.expand(count, WIDTH)).numpy()
        numbers = np.arange(1, count + 1)
        mean = np.cumsum(drawn, axis=0, dtype=float) / numbers[:, None]
    weights.imshow(mask, cmap="Greys")
    weights.set(title="DropConnect: 64 x 64 weights", xlabel="input", ylabel="output")
    errors = np.linalg.norm(mean - wanted, axis=1) / np.linalg.norm(wanted)
    means.loglog(numbers, errors, color="#3d6fb4", label="error of the mean")
    means.loglog(numbers, numbers**-0.5, "--", color="#9aa3b2", label="1 / sqrt(masks)")
    means.set(title="the mean over masks is eval mode", xlabel="masks")
    means.legend(frameon=False)
    experiment.picture("masks", figure, "Kept units and weights are black.")
    limit = 3 * count**-0.5  # its expectation is 1 / sqrt(masks) for p = 0.5
    experiment.check("relative error of the mean over masks", float(errors[-1]), at_most=limit)
    share = float(mask.mean())
    experiment.check("share of weights that DropConnect keeps", share, at_least=0.45, at_most=0.55)


if __name__ == "__main__":
    main(run, __doc__)
