"""Three MNIST networks with batch normalisation and dropout, beside Keras and PyTorch.

784 inputs divided by 255, hidden layers of ReLU, then batch normalisation (Keras's momentum 0.99
and epsilon 1e-3), then dropout 0.5 where the table says so, and 10 outputs; Xavier uniform weights,
zero biases; stochastic gradient descent with learning rate 0.01, batches of 128, 20 epochs.

    network   hidden layers            dropout 0.5 after   published test accuracy (one run)
    a         512-128-64               the first two       0.9694
    b         512-128-128-64           each                0.9773
    c         512-128-128-64-64-64     the last two        0.9768

The same networks are trained in Keras (on JAX) and PyTorch, in processes of their own, in turns
with ours: seed by seed, network by network. Our mean test accuracy has to lie within the spread of
theirs. Speed is in samples per second of training, the median over epochs but the first, which
compiles; the ratio is the median over seeds of ours to the faster of both in that turn.
"""

from __future__ import annotations

from typing import Any

import libraries
import numpy as np
from common import Experiment, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim

NETWORKS = {
    "a": ((512, 128, 64), (0.5, 0.5, 0)),
    "b": ((512, 128, 128, 64), (0.5, 0.5, 0.5, 0.5)),
    "c": ((512, 128, 128, 64, 64, 64), (0, 0, 0, 0, 0.5, 0.5)),
}
PUBLISHED = {"a": 0.9694, "b": 0.9773, "c": 0.9768}
PARAMETERS = {"a": (479_306, 477_898, 1_408), "c": (505_162, 503_242, 1_920)}


def make(hidden: tuple[int, ...], dropout: tuple[float, ...]) -> nn.Sequential:
    """Return a network with Keras's initial values."""
    layers: list[nn.Module] = []
    for inputs, width, p in zip((784, *hidden), hidden, dropout, strict=False):
        # momentum 0.01: the weight of the new value, which is 1 - momentum in Keras
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        layers += [nn.BatchNorm1d(width, eps=1e-3, momentum=0.01)]
        layers += [nn.Dropout(p)] if p else []
    model = nn.Sequential(*layers, nn.Linear(hidden[-1], 10))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def train(network: libraries.Network, data: Any, validation: Any) -> dict[str, Any]:
    """Train one of ours, and return the same figures as `libraries.train`."""
    tg.manual_seed(network.seed)
    model = make(network.hidden, network.dropout)
    history = tg.fit(
        model,
        optim.SGD(model.parameters(), lr=network.rate),
        data,
        validation=validation,
        epochs=network.epochs,
        batch_size=network.batch,
        seed=network.seed,
        progress="auto",
    )
    counts, speeds = tg.study.summary(model, (784,)), history["samples_per_second"]
    return dict(
        parameters=counts.total,
        trainable=counts.trainable,
        accuracy=history["val_accuracy"],
        loss=history["loss"],
        val_loss=history["val_loss"],
        samples_per_second=float(np.median(speeds[1:] or speeds)),
        history=history,
    )


def run(experiment: Experiment) -> None:
    rows = experiment.pick(full=None, quick=None, tiny=1000)
    train_set, test_set = ((d.x[:rows], d.y[:rows]) for d in tg.data.split(tg.data.mnist()))
    epochs = experiment.pick(full=20, quick=2, tiny=1)
    seeds = range(experiment.seed, experiment.seed + experiment.pick(full=5, quick=1, tiny=1))
    others = [name for name in libraries.MODULES if libraries.installed(name)]
    others = experiment.pick(full=others, quick=others, tiny=[])
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for seed in seeds:
        for name, (hidden, dropout) in NETWORKS.items():
            if name != "a" and experiment.size == "quick":
                continue
            network = libraries.Network(hidden, dropout, epochs, seed, threads=tg.get_num_threads())
            turn = runs.setdefault(name, {who: [] for who in ("ours", *others)})
            turn["ours"].append(train(network, train_set, test_set))
            for other in others:
                turn[other].append(libraries.train(other, network))
            experiment.say(
                f"seed {seed}, {name}: "
                + ", ".join(f"{who} {each[-1]['accuracy'][-1]:.4f}" for who, each in turn.items())
            )
    report(experiment, runs, others)


def report(experiment: Experiment, runs: dict[str, Any], others: list[str]) -> None:
    """Show accuracies, parameters and speeds, and compare them with what is wanted."""
    rows, counts, results = [], [], {}
    for name, turn in runs.items():
        final = {who: [each["accuracy"][-1] for each in done] for who, done in turn.items()}
        speed = {who: [each["samples_per_second"] for each in done] for who, done in turn.items()}
        for who in turn:
            rows.append(
                {
                    "network": name,
                    "who": who,
                    "mean": float(np.mean(final[who])),
                    "min": min(final[who]),
                    "max": max(final[who]),
                    "published": PUBLISHED[name],
                    "samples/s": round(float(np.median(speed[who]))),
                }
            )
        ours = turn["ours"][0]
        count = (ours["parameters"], ours["trainable"], ours["parameters"] - ours["trainable"])
        names = ("network", "total", "trainable", "not trainable")
        counts.append(dict(zip(names, (name, *count), strict=True)))
        if name in PARAMETERS:
            same = float(count == PARAMETERS[name])
            experiment.check(f"{name}: parameters as published (1: yes)", same, at_least=1)
        results[name] = dict(
            parameters=count[0],
            trainable=count[1],
            not_trainable=count[2],
            accuracies=final,
            samples_per_second=speed,
        )
        if others:
            theirs = [value for other in others for value in final[other]]
            mean, best = float(np.mean(final["ours"])), np.max([speed[o] for o in others], axis=0)
            ratio = results[name]["ratio"] = float(np.median(speed["ours"] / best))
            if experiment.size == "full":
                limits = dict(at_least=min(theirs), at_most=max(theirs))
                experiment.check(f"{name}: mean test accuracy", mean, **limits)
            experiment.check(
                f"{name}: speed beside the faster peer", ratio, at_least=1.8, headline=True
            )
    experiment.table("Test accuracy after the last epoch", rows)
    experiment.table("Parameters", counts)
    for name, turn in runs.items():
        figure = tg.train.curves(turn["ours"][0]["history"])
        experiment.picture(f"curves_{name}", figure, f"Network {name}, the first seed.")
    experiment.record(networks=results, epochs=len(ours["loss"]), published=PUBLISHED)


if __name__ == "__main__":
    main(run, __doc__)
