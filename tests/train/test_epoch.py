"""Compiled training gives the same numbers as training batch by batch in Python."""

from __future__ import annotations

import _thread
import importlib
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.train.epochs import (
    FEATURES,
    ROWS,
    Opaque,
    Outcome,
    adam,
    both,
    labelled,
    network,
    valued,
)
from tinygrad_mlp import nn, optim
from tinygrad_mlp.compiler import schedule
from tinygrad_mlp.compiler.executable import Executable
from tinygrad_mlp.data import Batches
from tinygrad_mlp.kernels.runtime import threads
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.train import epoch as epochs
from tinygrad_mlp.train.epoch import TrainEpoch
from tinygrad_mlp.train.fit import evaluate, fit
from tinygrad_mlp.train.objective import Objective
from tinygrad_mlp.train.validation import check_data


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often each native slice repeats its program."""
    counts: list[int] = []
    run = Executable.run

    def spy(self, inputs, times=1):
        counts.append(times)
        run(self, inputs, times)

    monkeypatch.setattr(Executable, "run", spy)
    return counts


# --- the same numbers -----------------------------------------------------------------------------


OPTIMIZERS: dict[str, Callable[[nn.Module], optim.Optimizer]] = {
    "SGD": lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "Adam": adam,
    "AdamW": lambda m: optim.AdamW(m.parameters(), lr=0.01, amsgrad=True),
    "RMSprop": lambda m: optim.RMSprop(m.parameters(), lr=0.01, centered=True),
    "Adagrad": lambda m: optim.Adagrad(m.parameters(), lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str, ran: list[int]) -> None:
    both(optimizer=OPTIMIZERS[name])
    assert max(ran) > 1, "nothing ran natively"


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [8, 12, 53, 60])
def test_last_batches(batch_size: int, drop_last: bool) -> None:
    if drop_last and batch_size > ROWS:
        with pytest.raises(ValueError, match="leaves no batch"):
            both(batch_size=batch_size, drop_last=drop_last)
    else:
        both(batch_size=batch_size, drop_last=drop_last, epochs=4)


def test_values_and_float64(ran: list[int]) -> None:
    both(model=lambda: network(2), data=valued)
    both(model=lambda: network(2).double(), data=valued, shuffle=False)
    assert max(ran) > 1


def test_inputs_that_are_their_own_targets() -> None:
    def autoencoder() -> tuple[np.ndarray, np.ndarray]:
        x, _ = labelled()
        return x, x

    def next_row() -> tuple[np.ndarray, np.ndarray]:
        x, _ = labelled()
        return x[:-1], x[1:]

    for data in (autoencoder, next_row):
        both(model=lambda: network(FEATURES), data=lambda seed=0, data=data: data())


def test_schedules(ran: list[int]) -> None:
    both(scheduler=lambda o: lr_scheduler.StepLR(o, step_size=1, gamma=0.5))
    assert max(ran) > 1
    ran.clear()
    native = both(scheduler=lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=21))
    assert set(ran) == {1}, "its learning rates are Python's, batch by batch"
    assert len({row["lr"] for row in native.history}) == 3


def test_metrics_in_python() -> None:
    def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
        return float(np.abs(outputs[np.arange(len(targets)), targets]).max())

    native = both(metrics=[worst, "accuracy"])
    assert list(native.history[0])[1:4] == ["loss", "worst", "accuracy"]


def test_losses_of_the_user() -> None:
    both(loss=nn.CrossEntropyLoss(label_smoothing=0.1))
    both(loss=lambda outputs, y: F.cross_entropy(outputs * 0.5, y) + outputs.square().mean())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_threads(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = both()
    before = tg.get_num_threads()
    for module, name in ((threads, "SMALL"), (threads, "_BACK_OFF"), (schedule, "SHARED")):
        monkeypatch.setattr(module, name, 0)
    try:
        tg.set_num_threads(count)
        assert Outcome(True) == one
    finally:
        tg.set_num_threads(before)


def test_evaluation(ran: list[int]) -> None:
    model = network()
    found = [evaluate(model, labelled(), batch_size=5, compile=flag) for flag in (True, False)]
    assert found[0] == found[1]
    assert max(ran) > 1
    ran.clear()
    evaluate(model, labelled())
    assert not ran, "one batch is not worth a program"


def test_steps_back_into_python(ran: list[int]) -> None:
    both(model=Opaque)
    assert max(ran) > 1


# --- how it runs ----------------------------------------------------------------------------------


def test_slices_are_short_and_each_is_reported(
    ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    class Spy:
        def __init__(self, *args):
            pass

        __enter__ = __exit__ = lambda self, *_: self and None

    class Report(Spy):
        def __enter__(self):
            return self

        def batch(self, epoch, number, means):
            calls.append((epoch, number, means.rows, means.read()["loss"] > 0))

        def epoch(self, row):
            pass

    monkeypatch.setattr(importlib.import_module("tinygrad_mlp.train.fit"), "reporter", Report)
    tg.manual_seed(0)
    model = network()
    x, y = (np.concatenate([part] * 200) for part in labelled())  # 10,600 rows
    fit(model, adam(model), (x, y), batch_size=10, epochs=2)
    assert calls[-1] == (2, 1060, 10600, True)
    assert all(rows == 10 * number for _, number, rows, _ in calls)
    assert 4 <= len(calls) < 400, "neither once an epoch nor after each batch"
    slices = max(ran)
    ran.clear()
    monkeypatch.setattr(epochs, "SLICE", 1e-4)
    fit(model, adam(model), (x, y), batch_size=10, epochs=2)
    assert max(ran) < slices


def test_ctrl_c_comes_between_two_batches() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(3000, 64)).astype(np.float32), draw.integers(0, 9, 3000)

    def start() -> tuple[nn.Module, optim.Optimizer]:
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
        return model, adam(model)

    fit(*start(), (x, y), epochs=1, progress=False)  # compiles
    model, optimizer = start()
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        fit(model, optimizer, (x, y), batch_size=100, epochs=10**6, progress=False)
    assert time.perf_counter() - began < 10
    steps = int(next(iter(optimizer.state.values()))["step"].item())
    assert steps > 10
    again, other = start()
    batches = Batches((x, y), 100)
    objective = Objective(again, check_data("data", (x, y), again), None, ())
    epoch = TrainEpoch(again, objective, batches, optimizer=other)
    for step in range(steps):
        if step % 30 == 0:
            epoch.start(batches.order(1 + step // 30))
        epoch.step(100)
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        assert p.tolist() == q.tolist()
