"""The spiral with Adam, watched in TensorBoard: scalars, histograms and the graph.

The network 2-100-3 is trained by Adam. Each epoch, `train.TensorBoard` writes loss, accuracy and
learning rate, and `study.Monitor` the norm of the gradient and the histograms of weights, gradients
and activations, and once the graph. To look at them:

    tensorboard --logdir DIR/events

The table shows what was written, read back from the event files with TensorBoard's own reader.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import Experiment, figure_of, main

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim

# This file has the name of the library, which is found only without this folder on the path.
HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]


def read(folder: Path) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Return the events of each run and kind by tag; the graph is under "graph"."""
    path = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = importlib.import_module(path).EventAccumulator
    runs: dict[str, Any] = {}
    for run in sorted(path.parent for path in folder.rglob("events.out.*")):
        events = accumulator(str(run), size_guidance=dict(tensors=0, scalars=0)).Reload()
        tags = events.Tags()
        kinds: dict[str, Any] = {"scalar": {}, "histogram": {}}
        for tag in tags["tensors"]:
            plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
            kinds.setdefault(plugin.rstrip("s"), {})[tag] = events.Tensors(tag)
        kinds["scalar"] |= {tag: events.Scalars(tag) for tag in tags["scalars"]}
        kinds["graph"] = {"graph": len(events.Graph().node)} if tags["graph"] else {}
        runs[run.name] = kinds
    return runs


def run(experiment: Experiment) -> None:
    epochs = experiment.pick(full=200, quick=60, tiny=3)
    data = tg.data.spiral(seed=experiment.seed)
    held = tg.data.spiral(noise=0.2, seed=1000 + experiment.seed)
    tg.manual_seed(experiment.seed)
    model = nn.Sequential(
        {"hidden": nn.Linear(2, 100), "relu": nn.ReLU(), "output": nn.Linear(100, 3)}
    )
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    events = experiment.folder / "events"
    shutil.rmtree(events, ignore_errors=True)  # --overwrite: no curves of an earlier run
    monitor = tg.study.Monitor(data, tensorboard=events, warn=False)
    callbacks = [tg.train.TensorBoard(events), monitor]
    history = tg.fit(
        model,
        optimizer,
        data,
        validation=held,
        epochs=epochs,
        scheduler=scheduler,
        callbacks=callbacks,
        seed=experiment.seed,
        progress="auto",
    )
    runs = read(events)
    rows = [
        {
            "run": name,
            "scalars": len(kinds["scalar"]),
            "histograms": len(kinds["histogram"]),
            "nodes of the graph": kinds["graph"].get("graph", 0),
            "events per scalar": max(map(len, kinds["scalar"].values())),
        }
        for name, kinds in runs.items()
    ]
    experiment.table("What the event files hold", rows)
    experiment.picture("curves", tg.train.curves(history), "The same curves from the history.")
    figure, axes = figure_of(1, 3, size=(4, 3.2))
    records = monitor.records
    for one, (title, group, name) in zip(
        axes,
        (
            ("weights of the hidden layer", "parameters", "hidden.weight"),
            ("activations of the hidden layer", "layers", "relu"),
            ("gradients of the hidden weights", "parameters", "hidden.weight"),
        ),
        strict=True,
    ):
        key = "activation" if group == "layers" else "gradient" if "grad" in title else "value"
        for k in (0, len(records) // 2, -1):
            (found,) = (each for each in records[k][group] if each["name"] == name)
            histogram = found[key]["histogram"]
            label = f"epoch {records[k]['epoch']}"
            one.stairs(histogram["counts"], histogram["edges"], label=label, linewidth=1.5)
        one.set(title=title, yscale="log")
        one.legend(frameon=False, fontsize=8)
    experiment.picture("histograms", figure, "Histograms at the start, half way and the end.")
    experiment.check("histograms", rows_sum(rows, "histograms"), at_least=6)
    experiment.check("nodes of the graph", rows_sum(rows, "nodes of the graph"), at_least=3)
    lost = abs(last_value(runs["train"]["scalar"]["loss"]) - history["loss"][-1])
    experiment.check("last loss, event - history", lost, at_most=1e-6)
    if experiment.size != "tiny":
        experiment.check("accuracy", history["accuracy"][-1], at_least=0.9, headline=True)
    experiment.record(runs=rows, accuracy=history["accuracy"][-1])


def rows_sum(rows: list[dict[str, Any]], name: str) -> int:
    """Return the sum of a column."""
    return sum(row[name] for row in rows)


def last_value(events: list[Any]) -> float:
    """Return the value of the last event of a scalar."""
    event = events[-1]
    if hasattr(event, "value"):
        return float(event.value)
    from tensorboard.util.tensor_util import make_ndarray

    return float(np.asarray(make_ndarray(event.tensor_proto)))


if __name__ == "__main__":
    main(run, __doc__)
