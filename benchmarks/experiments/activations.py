"""Activations compared: learning, dead and saturated units, vanishing and exploding gradients.

1. The same network 64-64-64-10 learns handwritten digits with six activations. `tg.study.Monitor`
   records after each epoch which ReLUs are dead (0 for every image) and which sigmoids and tanhs
   are saturated (their slope is below 5 % of its maximum).
2. A large learning rate kills ReLUs; leaky ReLUs and PReLUs survive it.
3. In a network of L layers the gradient passes L weight matrices on its way back. The norm of the
   gradient at each layer, for depths from 2 to 50 and four ways to draw the weights: uniform
   (PyTorch's default), normal with standard deviation 0.01, Xavier and He. Only weights that keep
   the variance train deep networks: He for ReLU, Xavier for tanh.

Sources: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
networks", AISTATS 2010; K. He et al., "Delving deep into rectifiers", ICCV 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.study import Monitor

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "prelu", "identity")
INITIALISERS = {
    "uniform": None,
    "normal 0.01": 0.01,
    "Xavier": "xavier_normal",
    "He": "kaiming_normal",
}


def network(activation: str, hidden: int, init: Any = None) -> nn.Sequential:
    """Return a network 64-64-...-64-10 with this number of hidden layers."""
    layer = {"input_dim": 64, "output_dim": 64, "activation": activation, "init": init}
    return nn.from_config([layer] * hidden + [layer | {"output_dim": 10, "activation": None}])


def compare(experiment: Experiment, lr: float, title: str, key: str) -> list[dict[str, Any]]:
    """Train with each activation; show curves, dead and saturated units."""
    train, test = tg.data.split(tg.data.digits(), 0.25, seed=experiment.seed)
    epochs = experiment.pick(full=40, quick=20, tiny=2)
    figure, axes = figure_of(1, 3, size=(4.4, 3.4))
    rows = []
    for activation in ACTIVATIONS:
        tg.manual_seed(experiment.seed)
        model, monitor = network(activation, 2), Monitor(train, warn=False)
        history, options = tg.History(), {"epochs": epochs, "batch_size": 32}
        options |= {"seed": experiment.seed, "callbacks": [monitor], "history": history}
        optimizer, diverged = optim.SGD(model.parameters(), lr=lr), False
        try:
            tg.fit(model, optimizer, train, validation=test, progress=False, **options)
        except FloatingPointError:  # the loss became inf or nan
            diverged = True
        layers = [each["name"] for each in monitor.records[0]["layers"]]
        bad = {}
        for place, kind in enumerate(("dead", "saturated"), 1):
            series = [s for name in layers if (s := monitor.series(name, kind))[0] is not None]
            bad[kind] = [max(values[-1] for values in series)] if series else []
            for depth, values in enumerate(series, 1):
                label = f"{activation}, layer {depth}"
                axes[place].plot(monitor.epochs, values, label=label)
        if len(history):
            axes[0].plot(history["epoch"], history["loss"], label=activation)
        last = history.last if len(history) else {}
        rows.append(
            {
                "activation": activation,
                "loss": "diverged" if diverged else last["loss"],
                "test accuracy": last.get("val_accuracy", 0.0),
                "dead": bad["dead"][0] if bad["dead"] else "",
                "saturated": bad["saturated"][0] if bad["saturated"] else "",
                "warnings": ", ".join(sorted({each["kind"] for each in monitor.warned})),
            }
        )
    axes[0].set(title="training loss", xlabel="epoch", yscale="log")
    axes[1].set(title="share of dead ReLUs", xlabel="epoch", ylim=(-0.02, 1.02))
    axes[2].set(title="share of saturated outputs", xlabel="epoch", ylim=(-0.02, 1.02))
    for each in axes:
        each.legend(frameon=False, fontsize=7)
        each.xaxis.get_major_locator().set_params(integer=True)
    experiment.table(title, rows)
    experiment.picture(key, figure, f"{title}.")
    return rows


def depths(experiment: Experiment) -> dict[str, dict[str, list[float]]]:
    """Return the gradient norms from the first layer to the last, by activation and weights."""
    data, deepest = tg.data.digits(), experiment.pick(full=50, quick=50, tiny=10)
    activations = ("sigmoid", "tanh", "relu")
    figure, axes = figure_of(1, len(activations), size=(4.4, 3.6))
    norms: dict[str, dict[str, list[float]]] = {}
    rows = []
    for place, activation in zip(axes, activations, strict=True):
        norms[activation] = {}
        for name, init in INITIALISERS.items():
            row = {"activation": activation, "weights": name}
            for depth in sorted({2, 5, 10, 20, deepest}):
                tg.manual_seed(experiment.seed)
                model = network(activation, depth - 1, init)
                record = Monitor(data, warn=False).record(model)
                found = [
                    layer["gradient"]["norm"]
                    for layer in record["layers"]
                    if layer["type"] == "Linear"
                ]
                row[f"depth {depth}"] = found[0] / found[-1]
            norms[activation][name] = found
            rows.append(row)
            place.plot(range(1, len(found) + 1), np.maximum(found, 1e-45), label=name)
        place.set(title=activation, xlabel="layer", ylabel="norm of the gradient", yscale="log")
        place.legend(frameon=False, fontsize=8)
    experiment.table("Gradient of the first layer, as a multiple of that of the last", rows)
    caption = f"Norm of the gradient at each of {deepest} layers, before training."
    experiment.picture("depth", figure, caption)
    return norms


def run(experiment: Experiment) -> None:
    usual = compare(experiment, 0.1, "Digits with six activations, learning rate 0.1", "digits")
    large = compare(experiment, 1.0, "The same with learning rate 1", "large_rate")
    norms = depths(experiment)
    by_name = {row["activation"]: row for row in usual}
    target = experiment.pick(full=0.95, quick=0.9, tiny=0.0)
    for name in ("tanh", "relu", "leaky_relu", "prelu"):
        accuracy = by_name[name]["test accuracy"]
        experiment.check(f"test accuracy with {name}", accuracy, at_least=target)

    def ratio(activation: str, init: str) -> float:
        first, *_, last = norms[activation][init]
        return first / last

    experiment.check(
        "first / last gradient, ReLU, He", ratio("relu", "He"), at_least=1e-2, headline=True
    )
    vanished = ratio("sigmoid", "uniform")
    experiment.check("first / last gradient, sigmoid, uniform", vanished, at_most=1e-6)
    tiny = ratio("relu", "normal 0.01")
    experiment.check("first / last gradient, ReLU, normal 0.01", tiny, at_most=1e-6)
    experiment.record(usual=usual, large_rate=large, gradient_norms=norms)


if __name__ == "__main__":
    main(run, __doc__)
