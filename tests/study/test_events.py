"""TensorBoard events, read back by the library."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral
from tinygrad_mlp.study import Monitor
from tinygrad_mlp.train import TensorBoard

NO_TENSORBOARD = "tensorboard is not installed"


def read(folder):
    """Events of a run: scalars and histograms by tag, as lists by step, and the graph."""
    pytest.importorskip("tensorboard", reason=NO_TENSORBOARD)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tensors = {
        tag: [(each.step, make_ndarray(each.tensor_proto)) for each in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }
    return tensors, events.Graph() if events.Tags()["graph"] else None


def trained(folder, layers, epochs=3):
    tg.manual_seed(0)
    model = nn.Sequential(*layers)
    monitor = Monitor(spiral(), tensorboard=folder, bins=7, warn=False)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    callbacks = [TensorBoard(folder), monitor]
    options = dict(validation=spiral(seed=1), callbacks=callbacks, progress=False)
    history = tg.fit(model, optimizer, spiral(), epochs=epochs, **options)
    return model, monitor, history


def test_scalars_and_histograms_by_epoch(tmp_path):
    pytest.importorskip("tensorboard", reason=NO_TENSORBOARD)
    layers = nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3)
    _, monitor, history = trained(tmp_path, layers)
    train, _ = read(tmp_path / "train")
    assert train.keys() == {"loss", "accuracy", "lr"}
    found = [(step, float(value)) for step, value in train["loss"]]
    assert found == [(row["epoch"], pytest.approx(row["loss"])) for row in history]
    probe, _ = read(tmp_path / "probe")
    for tag, wanted in (
        ("gradient_norm", [record["gradient_norm"] for record in monitor.records]),
        ("dead/1", monitor.series("1", "dead")),
        ("update_ratio/0.weight", monitor.series("0.weight", "update_ratio")),
        ("gradient_norm/2.bias", monitor.series("2.bias", "gradient", "norm")),
    ):
        assert [step for step, _ in probe[tag]] == [0, 1, 2, 3]
        assert [float(value) for _, value in probe[tag]] == pytest.approx(wanted)
    for tag, path in (
        ("activation/1", ("1", "activation")),
        ("gradient/1", ("1", "gradient")),
        ("value/0.weight", ("0.weight", "value")),
        ("gradient/0.weight", ("0.weight", "gradient")),
    ):
        histograms = monitor.series(*path, "histogram")
        for (_, rows), wanted in zip(probe[tag], histograms, strict=True):
            assert rows.shape == (7, 3)
            np.testing.assert_array_equal(rows[:, 2], wanted["counts"])
            np.testing.assert_array_equal([*rows[:, 0], rows[-1, 1]], wanted["edges"])


def test_the_graph_has_the_ops_of_each_layer(tmp_path):
    pytest.importorskip("tensorboard", reason=NO_TENSORBOARD)
    inner = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
    layers = (nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), inner, nn.Linear(16, 3))
    trained(tmp_path, layers, epochs=1)
    _, graph = read(tmp_path / "probe")
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    ops = {name: node.op for name, node in nodes.items()}
    assert ops["input"] == "Placeholder"
    assert ops["0_Linear/weight"] == ops["3/0_Linear/bias"] == "Variable"
    by_scope = {name.rpartition("/")[0] for name, op in ops.items() if op != "Variable"}
    scopes = {"0_Linear", "1_BatchNorm1d", "2_Dropout", "3/0_Linear", "3/1_Tanh", "4_Linear"}
    assert by_scope - {""} == scopes
    (first,) = [node for name, node in nodes.items() if ops[name] == "linear" and "0_L" in name[:3]]
    assert list(first.input) == ["input", "0_Linear/weight", "0_Linear/bias"]
    sizes = [dim.size for dim in first.attr["_output_shapes"].list.shape[0].dim]
    assert sizes == [256, 16]
    assert all(name in nodes for node in graph.node for name in node.input)


def test_training_that_continues_adds_to_the_run(tmp_path):
    pytest.importorskip("tensorboard", reason=NO_TENSORBOARD)
    model, monitor, history = trained(tmp_path, (nn.Linear(2, 3),), epochs=1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    options = dict(callbacks=[monitor], history=history, validation=spiral(seed=1), progress=False)
    tg.fit(model, optimizer, spiral(), epochs=2, **options)
    probe, graph = read(tmp_path / "probe")
    assert [step for step, _ in probe["loss"]] == [0, 1, 2]
    assert graph is not None


def test_a_loop_by_hand_with_inf(tmp_path):
    pytest.importorskip("tensorboard", reason=NO_TENSORBOARD)
    model = nn.Sequential(nn.Linear(2, 3))
    with tg.no_grad():
        model[0].weight.copy_(tg.tensor(np.full((3, 2), np.inf, np.float32)))
    monitor = Monitor(spiral(), tensorboard=tmp_path, warn=False)
    monitor.record(model)
    monitor.close()
    probe, graph = read(tmp_path / "probe")
    assert probe["value/0.weight"][0][1][:, 2].sum() == 0
    assert graph is not None


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "tinygrad-mlp\[tensorboard\]"'):
        Monitor(spiral(), tensorboard=tmp_path)
    assert list(tmp_path.iterdir()) == []
