"""Five networks trained together in one program, against five trainings.

`nn.Ensemble` stacks the weights of K networks, (K, out, in), and computes their products in one
launch of each kernel. Member k is the network of ``tg.manual_seed(seed + k)``: trained apart with
that seed it gets the same bits. The average of the members' probabilities

    p(x) = 1/K sum_k softmax(network_k(x))

classifies better than the members do, because their mistakes differ.

Source: L. K. Hansen, P. Salamon, "Neural network ensembles", IEEE Transactions on Pattern Analysis
and Machine Intelligence 12, 1990.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim

K = 5


def make() -> nn.Sequential:
    """Return one network."""
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))


def fit(model: nn.Module, data: Any, options: dict[str, Any], **more: Any) -> float:
    """Train a network or an ensemble; return the seconds without those of the first epoch."""
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    history = tg.fit(model, optimizer, data, **options, **more)
    return sum(history["seconds"][1:] or history["seconds"])


def right(probabilities: tg.Tensor, labels: np.ndarray) -> float:
    """Return the share of rows (last axis but one) whose largest probability is the label's."""
    return float(np.mean(probabilities.numpy().argmax(-1) == labels))


def run(experiment: Experiment) -> None:
    rows = experiment.pick(full=60_000, quick=20_000, tiny=512)
    data, (x, y) = ((d.x[:rows], d.y[:rows]) for d in tg.data.split(tg.data.mnist()))
    epochs = experiment.pick(full=12, quick=4, tiny=1)
    options = dict(epochs=epochs, batch_size=128, seed=experiment.seed, progress=False)

    start = time.perf_counter()
    ensemble = nn.Ensemble(make, K, seed=experiment.seed)
    together = fit(ensemble, data, options, loss=nn.EnsembleLoss())
    whole = {"together": time.perf_counter() - start}

    apart, start, alone = 0.0, time.perf_counter(), []
    for k in range(K):
        tg.manual_seed(experiment.seed + k)
        model = make()
        apart += fit(model, data, options)
        alone.append(model.eval())
    whole["apart"] = time.perf_counter() - start

    different = 0
    for member, model in zip(ensemble.members(), alone, strict=True):
        pairs = zip(member.state_dict().values(), model.state_dict().values(), strict=True)
        different += sum(not np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)
    with tg.no_grad():
        ensemble.eval()
        images = tg.tensor(x)
        each = [right(model(images), y) for model in alone]
        sizes = [right(sum_of(alone[:k], images), y) for k in range(1, K + 1)]
        average = right(ensemble.mean(images), y)
    table = [{"network": f"member {k}", "test accuracy": value} for k, value in enumerate(each)]
    table.append({"network": "mean of the members", "test accuracy": float(np.mean(each))})
    table.append({"network": "average of their probabilities", "test accuracy": average})
    experiment.table("Test accuracy", table)
    seconds = [
        {"training": name, "seconds after the first epoch": value, "seconds in all": whole[name]}
        for name, value in (("together", together), ("apart", apart))
    ]
    experiment.table(f"Five networks, {epochs} epochs", seconds)
    figure, (axes,) = figure_of()
    axes.plot(range(1, K + 1), sizes, "o-", color="#3d6fb4", label="average of the first k")
    axes.plot(range(1, K + 1), each, "o", color="#e07a3f", label="member k alone")
    axes.set(xlabel="k", ylabel="test accuracy", xticks=range(1, K + 1))
    axes.legend(frameon=False)
    experiment.picture("sizes", figure, "Test accuracy of the average of the first k members.")
    experiment.check("tensors that differ from training apart", different, at_most=0)
    if experiment.size != "tiny":
        gain = average - float(np.mean(each))
        experiment.check(
            "gain of the average over the mean member", gain, at_least=0.001, headline=True
        )
        experiment.check("speed: apart / together", apart / together, at_least=1.0)
    experiment.record(members=each, average=average, averages=sizes, times=seconds)


def sum_of(models: list[nn.Sequential], images: tg.Tensor) -> tg.Tensor:
    """Return the sum of the networks' probabilities (N, C)."""
    total = models[0](images).softmax(-1)
    for model in models[1:]:
        total = total + model(images).softmax(-1)
    return total


if __name__ == "__main__":
    main(run, __doc__)
