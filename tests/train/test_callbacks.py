"""Callbacks, loggers, gradient clipping, class weights, penalties, losses that are not finite."""

from __future__ import annotations

import csv
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral
from tinygrad_mlp.train.callbacks import Callback, EarlyStopping
from tinygrad_mlp.train.fit import fit
from tinygrad_mlp.train.history import History
from tinygrad_mlp.train.loggers import CSVLogger, JSONLogger, TensorBoard
from tinygrad_mlp.train.objective import Penalty, class_weights
from tinygrad_mlp.train.trainer import Trainer

DATA = spiral(points=20)


def network() -> nn.Module:
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))


def train(model: nn.Module, data=DATA, **options) -> History:
    optimizer = optim.SGD(model.parameters(), lr=options.pop("lr", 0.1))
    given = {"epochs": 3, "batch_size": 20, "progress": False} | options
    return fit(model, optimizer, data, **given)


def weights(model: nn.Module) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in model.parameters()]


def test_callbacks_are_called_in_order() -> None:
    calls = []

    class Spy(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_train_begin(self, trainer: Trainer) -> None:
            calls.append((self.name, "begin", len(trainer.history)))

        def on_epoch_end(self, trainer: Trainer) -> None:
            calls.append((self.name, "epoch", trainer.history.last["epoch"]))
            if len(trainer.history) == 2:
                trainer.stop("enough")

        def on_train_end(self, trainer: Trainer) -> None:
            calls.append((self.name, "end", trainer.stop_reason))

    assert len(train(network(), callbacks=[Spy("a"), Spy("b")], epochs=9)) == 2
    assert calls == [
        (name, *what)
        for what in (("begin", 0), ("epoch", 1), ("epoch", 2), ("end", "enough"))
        for name in "ab"
    ]


@pytest.mark.parametrize("compile", [True, False])
def test_on_batch_end_is_called_after_each_batch(compile: bool) -> None:
    """Also where the epoch is native: 60 rows are two full batches and a smaller one."""
    calls: list[tuple[int, int]] = []
    means: list[float] = []

    class Spy(Callback):
        def on_batch_end(self, trainer: Trainer) -> None:
            calls.append((len(trainer.history), trainer.batch))
            means.append(trainer.running_metrics()["loss"])
            if trainer.batch == 2 and len(trainer.history) == 2:
                trainer.stop("enough")

    model, alone = network(), network()
    given = {"epochs": 9, "batch_size": 25, "compile": compile}
    history = train(model, callbacks=[Spy(), EarlyStopping(patience=9)], **given)
    assert calls == [(epoch, batch) for epoch in range(3) for batch in (1, 2, 3)], "to its end"
    assert means[2::3] == history["loss"]
    assert means[0] != means[1]
    train(alone, **given | {"epochs": 3})
    for found, wanted in zip(weights(model), weights(alone), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_what_a_callback_changes_after_a_batch_is_trained_with() -> None:
    class Warmup(Callback):
        def on_batch_end(self, trainer: Trainer) -> None:
            trainer.optimizer.param_groups[0]["lr"] = 0.1 * trainer.batch

    found = []
    for compile in (True, False):
        model = network()
        train(model, callbacks=[Warmup()], lr=0.3, epochs=4, compile=compile)
        found.append(weights(model))
    still = network()
    train(still, lr=0.3, epochs=4)
    assert not (found[0][0] == weights(still)[0]).all()
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_callback_of_another_type_is_refused() -> None:
    for given in ([print], EarlyStopping(), [EarlyStopping]):
        with pytest.raises(TypeError, match="callbacks must be a sequence of Callback, got"):
            train(network(), callbacks=given)


def trainer_of(*losses: float, name: str = "loss") -> Trainer:
    model = network()
    history = History([{"epoch": k, name: v} for k, v in enumerate(losses, 1)])
    return Trainer(model, optim.SGD(model.parameters(), lr=0.1), None, history, 99)


@pytest.mark.parametrize(
    ("values", "name", "options", "stops", "best"),
    [
        ([3, 2, 1], "loss", {}, False, 3),
        ([3, 2, 2, 2.5], "loss", {}, True, 2),
        ([3, 2, 2.5, 1.5, 1.6], "loss", {}, False, 4),
        ([0.5, 0.6, 0.5, 0.6], "accuracy", {}, True, 2),
        ([0.5, 0.6, 0.5, 0.6], "val_r2", {}, True, 2),
        ([0.5, 0.4, 0.5, 0.6], "val_mae", {}, True, 2),
        ([0.5, 0.4, 0.3], "val_mae", {}, False, 3),
        ([0.5, 0.6, 0.4], "profit", {"mode": "max"}, False, 2),
        ([0.5, 0.6, 0.4], "accuracy", {"mode": "min"}, False, 3),
        ([3, 2.95, 2.92], "loss", {"min_delta": 0.1}, True, 1),
        ([3, 2.95, 2.89], "loss", {"min_delta": 0.1}, False, 3),
        ([float("nan"), 2, 3, 3], "loss", {}, True, 2),
    ],
)
def test_early_stopping_waits(values, name, options, stops, best) -> None:
    trainer, stopping = trainer_of(name=name), EarlyStopping(name, patience=2, **options)
    for epoch, value in enumerate(values, 1):
        assert not trainer.stop_reason
        trainer.history.append({"epoch": epoch, name: value})
        stopping.on_epoch_end(trainer)
    assert bool(trainer.stop_reason) == stops
    assert stopping.best_epoch == best


def test_early_stopping_gives_the_best_weights_back() -> None:
    seen = []

    class Spy(Callback):
        def on_epoch_end(self, trainer: Trainer) -> None:
            seen.append(weights(trainer.model))

    for restore in (True, False):
        seen.clear()
        model, stopping = network(), EarlyStopping(patience=3, restore_best=restore)
        history = train(model, callbacks=[Spy(), stopping], lr=1.5, epochs=60, validation=DATA)
        assert 3 < len(history) < 60
        assert stopping.best == min(history["val_loss"])
        place = stopping.best_epoch - 1 if restore else -1
        for found, wanted in zip(weights(model), seen[place], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_early_stopping_begins_anew_with_each_fit() -> None:
    stopping = EarlyStopping(patience=2)
    first = train(network(), callbacks=[stopping], lr=1e-12, epochs=9)
    assert len(first) < 9
    model = network()
    second = train(model, callbacks=[stopping], epochs=9)
    assert len(second) > len(first)
    assert stopping.best == min(second["loss"])


def test_early_stopping_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="got 'val_loss'; it has epoch, loss"):
        EarlyStopping("val_loss").on_epoch_end(trainer_of(1.0))
    with pytest.raises(ValueError, match='mode must be "auto", "min" or "max"'):
        EarlyStopping(mode="down")
    with pytest.raises(ValueError, match="patience must be at least 1"):
        EarlyStopping(patience=0)


def test_logs_hold_the_history(tmp_path: Path) -> None:
    table, lines = tmp_path / "log.csv", tmp_path / "log.jsonl"
    history = train(network(), callbacks=[CSVLogger(table), JSONLogger(lines)])
    with table.open(newline="") as file:
        found = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert found == history.rows
    assert [json.loads(line) for line in lines.read_text().splitlines()] == history.rows
    train(network(), callbacks=[CSVLogger(table)], history=history, epochs=4)
    assert len(table.read_text().splitlines()) == 5, "the epochs before are there again"


def test_a_log_of_inf_is_json(tmp_path: Path) -> None:
    JSONLogger(tmp_path / "log").on_train_begin(trainer_of(float("inf")))
    assert json.loads((tmp_path / "log").read_text()) == {"epoch": 1, "loss": None}


def test_logs_are_whole_after_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    ended = []

    class Breaks(Callback):
        def on_epoch_end(self, trainer: Trainer) -> None:
            trainer.optimizer.param_groups[0]["lr"] = 1e38

        def on_train_end(self, trainer: Trainer) -> None:
            ended.append(len(trainer.history))

    logger = CSVLogger(tmp_path / "log.csv")
    with pytest.raises(FloatingPointError, match="epoch 2"):
        train(network(), callbacks=[logger, Breaks()])
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    assert ended == [1], "on_train_end is called"


def test_tensorboard_gets_each_measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: dict[str, list] = {}

    class Writer:
        def __init__(self, folder: str) -> None:
            self.events = written.setdefault(Path(folder).name, [])

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.events.append((name, value, step))

        def close(self) -> None:
            self.events.append("closed")

    module = types.ModuleType("tensorboard.summary")
    module.Writer = Writer
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "tensorboard.summary", module)
    row = train(network(), callbacks=[TensorBoard(tmp_path)], validation=DATA, epochs=1).last
    assert written["train"][:2] == [("loss", row["loss"], 1), ("accuracy", row["accuracy"], 1)]
    assert written["train"][2:] == [("lr", 0.1, 1), "closed"]
    assert written["validation"] == [
        ("loss", row["val_loss"], 1),
        ("accuracy", row["val_accuracy"], 1),
        "closed",
    ]


def test_without_tensorboard_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "tinygrad-mlp\[tensorboard\]"'):
        TensorBoard("events")


# --- the step -------------------------------------------------------------------------------------


def by_hand(change, loss=F.cross_entropy, epochs: int = 1) -> list[np.ndarray]:
    """All rows in one batch: what a person would write; ``change`` comes before the update."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = (tg.tensor(part) for part in DATA)
    for _ in range(epochs):
        optimizer.zero_grad()
        total = loss(model(x), y)
        total = total + change(model, None) if change else total
        total.backward()
        optimizer.step()
    return weights(model)


ONE = dict(batch_size=60, shuffle=False)


@pytest.mark.parametrize("compile", [True, False])
def test_clipped_gradients(compile: bool) -> None:
    model = network()
    before = weights(model)
    train(model, clip_grad=0.01, epochs=1, compile=compile, **ONE)
    moved = [b - a for a, b in zip(before, weights(model), strict=True)]
    norm = np.sqrt(sum(np.square(m).sum() for m in moved)) / 0.1
    assert norm == pytest.approx(0.01, rel=1e-3)
    with pytest.raises(ValueError, match="clip_grad must be positive and finite, got 0"):
        train(network(), clip_grad=0.0)


@pytest.mark.parametrize("compile", [True, False])
def test_penalties(compile: bool) -> None:
    model = network()
    penalty = Penalty(model, l1=0.01, l2=0.02)
    history = train(model, penalty=penalty, epochs=4, compile=compile, **ONE)

    def added(model: nn.Module, _: None) -> tg.Tensor:
        return sum(
            0.01 * w.abs().sum() + 0.02 * w.square().sum()
            for w in model.parameters()
            if w.ndim == 2
        )

    for found, wanted in zip(weights(model), by_hand(added, epochs=4), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    plain = train(network(), epochs=1, **ONE)
    assert history["loss"][0] == plain["loss"][0], "it is not in the loss that is shown"
    assert Penalty(model)().item() == 0, "without l1 and l2"


@pytest.mark.parametrize("compile", [True, False])
def test_weights_of_classes(compile: bool) -> None:
    factors = np.array([1.0, 4.0, 0.5], np.float32)
    wanted = by_hand(None, nn.CrossEntropyLoss(weight=tg.tensor(factors)), epochs=3)
    for given in (factors, {1: 4.0, 2: 0.5}):
        model = network()
        history = train(
            model, class_weight=given, epochs=3, compile=compile, validation=DATA, **ONE
        )
        for found, w in zip(weights(model), wanted, strict=True):
            np.testing.assert_allclose(found, w, rtol=1e-5, atol=1e-7)
        assert history["val_loss"][0] != history["loss"][1], "validation is not weighted"


def test_wrong_weights_of_classes_are_named() -> None:
    labels = np.array([0, 0, 0, 1])
    assert class_weights(labels, "balanced", 2).tolist() == [4 / 6, 2.0]
    for given, message in [
        ("even", "must be 'balanced', a dict, or 2 finite numbers .* got 'even'"),
        ([1.0], "or 2 finite numbers"),
        ([1.0, -1.0], "numbers that are not negative, got"),
        ({5: 1.0}, "class_weight has 5, and labels are 0 to 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            class_weights(labels, given, 2)
    with pytest.raises(ValueError, match="class_weight is for labels under the default loss"):
        train(network(), class_weight="balanced", loss=nn.CrossEntropyLoss())


# --- a loss that is not finite ------------------------------------------------------------------


class Tenfold(nn.Module):
    def forward(self, x):
        return x * 10


@pytest.mark.parametrize("compile", [True, False])
def test_the_layer_with_the_first_inf_is_named(compile: bool) -> None:
    x, y = DATA.x.copy(), DATA.y
    x[25] = 3e38
    inner = nn.Sequential(Tenfold(), nn.BatchNorm1d(2))
    model = nn.Sequential(nn.Identity(), inner, network())
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 2, .*layer '1\.0' \(Tenfold"):
        train(model, (x, y), shuffle=False, compile=compile)
    norm = nn.BatchNorm1d(2)
    model = nn.Sequential(norm, nn.Dropout(0.5), Tenfold(), Tenfold(), network())
    x[25] = 0
    nn.init.constant_(norm.weight, 3e37)
    with pytest.raises(FloatingPointError, match=r"batch 1, .*layer '2' \(Tenfold"):
        train(model, (x, y), compile=compile)
    assert norm.running_mean.tolist() == [0, 0], "it looked without a trace"

    def loss(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
        return F.cross_entropy(outputs, targets) * float("inf")

    with pytest.raises(FloatingPointError, match="every layer's output is finite"):
        train(network(), loss=loss, compile=compile)
