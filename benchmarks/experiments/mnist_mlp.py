"""MNIST with one hidden layer: training, saving, fine-tuning, stopping early, regularisation.

784-256-10 with ReLU, batches of 128, stochastic gradient descent with learning rate 0.1, for 20 and
for 100 epochs. Then what one does with a trained network: save it and restore it in another
process; load its layers by name into a larger network, whose new layer trains while the old ones
are frozen, and then all with learning rates of their own; stop when the validation loss no longer
falls; compare the probabilities of keeping a hidden unit; penalise weights by l1 sum |w| and by
l2 sum w^2.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import Experiment, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.train import EarlyStopping, Penalty

# What another process runs: it restores the network and prints its test accuracy.
RESTORE = """
import json, sys
import tinygrad_mlp as tg
from mnist_mlp import make
path, rows = sys.argv[1], int(sys.argv[2])
model = make()
model.load_state_dict(tg.load(path))
test = tg.data.split(tg.data.mnist())[1]
print(json.dumps(tg.evaluate(model, (test.x[:rows], test.y[:rows]))["accuracy"]))
"""


def make(keep: float = 1.0) -> nn.Sequential:
    """Return 784-256-10; a hidden unit is kept with this probability in training."""
    layers: dict[str, nn.Module] = {"hidden": nn.Linear(784, 256), "relu": nn.ReLU()}
    if keep < 1:
        layers["dropout"] = nn.Dropout(1 - keep)
    return nn.Sequential(layers | {"output": nn.Linear(256, 10)})


class Study:
    """The data and the options that all trainings of this script share."""

    def __init__(self, experiment: Experiment) -> None:
        rows = experiment.pick(full=60_000, quick=10_000, tiny=600)
        train, test = tg.data.split(tg.data.mnist())
        self.test = (test.x[:rows], test.y[:rows])
        held = rows // 6  # the last rows are for validation
        self.train = (train.x[: rows - held], train.y[: rows - held])
        self.validation = (train.x[rows - held : rows], train.y[rows - held : rows])
        self.seed = experiment.seed

    def fit(self, model: nn.Module, epochs: int, groups: Any = None, **options: Any) -> Any:
        """Train by gradient descent, and return the history."""
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = optim.SGD(groups or trained, lr=0.1)
        options = dict(validation=self.validation, progress="auto", seed=self.seed) | options
        return tg.fit(model, optimizer, self.train, epochs=epochs, batch_size=128, **options)

    def accuracy(self, model: nn.Module) -> float:
        """Return the share of the test set that is classified correctly."""
        return tg.evaluate(model, self.test)["accuracy"]


def run(experiment: Experiment) -> None:
    study = Study(experiment)
    short = experiment.pick(full=20, quick=5, tiny=1)
    long = experiment.pick(full=100, quick=15, tiny=2)

    # --- 20 and 100 epochs ---
    accuracies = {}
    for epochs in (short, long):
        tg.manual_seed(experiment.seed)
        model = make()
        history = study.fit(model, epochs)
        accuracies[epochs] = study.accuracy(model)
    caption = f"{long} epochs: the validation loss stops falling long before the training loss."
    experiment.picture("curves", tg.train.curves(history), caption)
    rows = [{"epochs": e, "test accuracy": a} for e, a in accuracies.items()]
    experiment.table("784-256-10, gradient descent", rows)
    wanted = experiment.pick(full=(0.975, 0.979), quick=(0.84, 0.9), tiny=(0.0, 0.0))
    for epochs, limit in zip((short, long), wanted, strict=True):
        experiment.check(
            f"accuracy after {epochs} epochs",
            accuracies[epochs],
            at_least=limit,
            headline=epochs == long,
        )

    # --- saved, and restored in another process ---
    with experiment.file("model.safetensors") as path:
        tg.save(model.state_dict(), path)
    saved, count = (experiment.folder / "model.safetensors").absolute(), str(len(study.test[0]))
    command = [sys.executable, "-c", RESTORE, str(saved), count]
    folder = Path(__file__).parent
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    restored = json.loads(done.stdout)
    difference = abs(restored - accuracies[long])
    experiment.check("restored in another process: difference", difference, at_most=0.0)

    # --- fine-tuning: a larger network takes over the layers of the same name ---
    tg.manual_seed(experiment.seed)
    larger = nn.Sequential(
        {
            "hidden": nn.Linear(784, 256),
            "relu": nn.ReLU(),
            "second": nn.Linear(256, 128),
            "relu2": nn.ReLU(),
            "classes": nn.Linear(128, 10),
        }
    )
    found = larger.load_state_dict(model.state_dict(), strict=False)
    experiment.say(f"missing: {', '.join(found.missing_keys)}")
    experiment.say(f"unexpected: {', '.join(found.unexpected_keys)}")
    before = larger.hidden.weight.detach().clone()
    hidden = list(larger.hidden.parameters())
    for parameter in hidden:
        parameter.requires_grad_(False)
    study.fit(larger, short)
    frozen = study.accuracy(larger)
    moved = float((larger.hidden.weight - before).abs().max().item())
    experiment.check("change of the frozen layer", moved, at_most=0.0)
    for parameter in hidden:
        parameter.requires_grad_(True)
    others = [p for p in larger.parameters() if not any(p is h for h in hidden)]
    study.fit(larger, short, groups=[{"params": hidden, "lr": 0.01}, {"params": others}])
    tuned = study.accuracy(larger)
    experiment.table(
        "A larger network with the trained layer",
        [
            {"": "first layer frozen", "test accuracy": frozen},
            {"": "then all, the first layer at a tenth of the rate", "test accuracy": tuned},
        ],
    )

    # --- early termination, probabilities of keeping a unit, penalties ---
    tg.manual_seed(experiment.seed)
    model = make()
    history = study.fit(model, long, callbacks=[EarlyStopping(patience=3)])
    stopped = {"epochs": len(history), "test accuracy": study.accuracy(model)}
    experiment.table("Stopped when the validation loss no longer fell for 3 epochs", [stopped])

    kept = []
    for keep in (0.25, 0.5, 0.75, 0.9, 1.0):
        tg.manual_seed(experiment.seed)
        model = make(keep)
        history = study.fit(model, short)
        row = {"kept with probability": keep, "training loss": history["loss"][-1]}
        kept.append(row | {"test accuracy": study.accuracy(model)})
    experiment.table(f"Dropout of hidden units, {short} epochs", kept)

    penalised = []
    for l1, l2 in ((0.0, 0.0), (1e-5, 0.0), (1e-4, 0.0), (0.0, 1e-4), (0.0, 1e-3)):
        tg.manual_seed(experiment.seed)
        model = make()
        study.fit(model, short, penalty=Penalty(model, l1=l1, l2=l2) if l1 or l2 else None)
        weights = model.hidden.weight.detach().numpy()
        row = {"l1": l1, "l2": l2, "test accuracy": study.accuracy(model)}
        row["below 0.001"] = float(np.mean(np.abs(weights) < 1e-3))
        penalised.append(row | {"sum of w^2": float(np.sum(weights.astype(float) ** 2))})
    experiment.table(f"Penalties, {short} epochs", penalised)
    experiment.record(
        accuracies={str(epochs): accuracy for epochs, accuracy in accuracies.items()},
        restored=restored,
        missing_keys=found.missing_keys,
        unexpected_keys=found.unexpected_keys,
        fine_tuned={"frozen": frozen, "all": tuned},
        early_stopping=stopped,
        keep_probabilities=kept,
        penalties=penalised,
    )


if __name__ == "__main__":
    main(run, __doc__)
