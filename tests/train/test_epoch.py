"""Training natively is training: the same numbers as batch by batch in Python, and errors too."""

from __future__ import annotations

import _thread
import importlib
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
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

ROWS, FEATURES, CLASSES = 53, 4, 3
PACE = ("seconds", "samples_per_second")


def labelled(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = np.arange(ROWS) % CLASSES
    return (draw.normal(size=(ROWS, FEATURES)) + y[:, None]).astype(np.float32), y


def valued(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, _ = labelled(seed)
    return x, np.stack([x.sum(1), np.sin(x[:, 0])], 1)


def network(outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(
        nn.Linear(FEATURES, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(16, outputs),
    )


def adam(model: nn.Module) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=0.01)


class Outcome:
    """All that a fit leaves behind, to the bit; an error too."""

    def __init__(self, compile: bool, model=network, optimizer=adam, data=labelled, **options):
        tg.manual_seed(3)
        self.model = model()
        self.optimizer = optimizer(self.model)
        given = {"validation": data(1), "epochs": 3, "batch_size": 8, "progress": False} | options
        if "scheduler" in options:
            given["scheduler"] = options["scheduler"](self.optimizer)
        self.history, self.error = [], ""
        try:
            history = fit(self.model, self.optimizer, data(), compile=compile, **given)
            self.history = [{k: v for k, v in row.items() if k not in PACE} for row in history]
        except FloatingPointError as error:
            self.error = str(error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self.parts() == other.parts()

    def parts(self):
        states = [self.optimizer.state[p] for p in self.model.parameters()]
        return (
            self.history,
            self.error,
            tg.get_rng_state().tolist(),
            {name: value.tolist() for name, value in self.model.state_dict().items()},
            [None if p.grad is None else p.grad.tolist() for p in self.model.parameters()],
            [{name: value.tolist() for name, value in state.items()} for state in states],
        )


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


def both(**options) -> Outcome:
    """Compiled and not: the same."""
    native, python = Outcome(True, **options), Outcome(False, **options)
    assert native.parts() == python.parts()
    assert native.history or native.error
    return native


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


def test_losses_of_ones_own() -> None:
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


class Tenfold(nn.Module):
    """What is too large already becomes inf."""

    def forward(self, x):
        return x * 10


class Twice(tg.autograd.Function):
    """An op that only Python knows."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


class Opaque(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        return Twice.apply(self.layer(10 * x))


def test_steps_back_into_python(ran: list[int]) -> None:
    both(model=Opaque)
    assert max(ran) > 1


# --- how it runs ----------------------------------------------------------------------------------


def test_slices_are_short_and_each_is_reported(
    ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    class Spy:
        def __init__(self, *args):
            pass

        __enter__ = __exit__ = lambda self, *_: self and None

    class Report(Spy):
        def __enter__(self):
            return self

        def batch(self, epoch, number, means):
            told.append((epoch, number, means.rows, means.read()["loss"] > 0))

        def epoch(self, row):
            pass

    monkeypatch.setattr(importlib.import_module("tinygrad_mlp.train.fit"), "reporter", Report)
    tg.manual_seed(0)
    model = network()
    x, y = (np.concatenate([part] * 200) for part in labelled())  # 10,600 rows
    fit(model, adam(model), (x, y), batch_size=10, epochs=2)
    assert told[-1] == (2, 1060, 10600, True)
    assert all(rows == 10 * number for _, number, rows, _ in told)
    assert 4 <= len(told) < 400, "neither once an epoch nor after each batch"
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


# --- what goes wrong ------------------------------------------------------------------------------


def too_large(batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are met in order, one of which (in this batch, from 1) makes the loss nan."""
    x, y = labelled()
    x[8 * (batch - 1) + 3] = 3e38  # times ten is inf: see `Tenfold`
    return x, y


def delicate() -> nn.Module:
    return nn.Sequential(Tenfold(), network())


@pytest.mark.parametrize("batch", [1, 2, 5, 7])
@pytest.mark.parametrize("model", [delicate, Opaque])
def test_a_loss_that_is_no_number(batch: int, model: Callable[[], nn.Module]) -> None:
    """In the captured step, in the program and in that of the last batch: as if never met."""
    failed = both(model=model, data=lambda seed=0: too_large(batch), validation=None, shuffle=False)
    assert (
        f"nan in epoch 1, batch {batch}, with lr=0.01; this batch changed nothing" in failed.error
    )
    assert all(p.grad is None for p in failed.model.parameters())


def test_a_loss_that_is_no_number_in_the_second_program() -> None:
    """The last batch is a program of its own from the second epoch on."""

    def growing(m: nn.Module) -> optim.Optimizer:
        return optim.SGD(m.parameters(), lr=1e12)

    failed = both(
        optimizer=growing,
        model=lambda: nn.Linear(FEATURES, 2),
        data=valued,
        epochs=9,
        batch_size=50,
        validation=None,
    )
    assert "the loss became" in failed.error
    assert "epoch 2" in failed.error, "not in the batches that are captured"


def test_with_batch_norm_nothing_of_the_batch_is_remembered() -> None:
    failed = both(model=delicate, data=lambda seed=0: too_large(4), validation=None, shuffle=False)
    before = Outcome(
        True,
        model=delicate,
        data=lambda seed=0: tuple(part[:24] for part in labelled()),
        validation=None,
        shuffle=False,
        epochs=1,
    )
    found, wanted = failed.parts()[3], before.parts()[3]
    assert found == wanted
    assert found["1.1.num_batches_tracked"] == 3


def test_a_label_that_is_no_class_is_named_in_its_batch() -> None:
    """A loss of one's own is not held against the labels beforehand."""
    x, y = labelled()
    y[8 * 3 + 5] = CLASSES
    for compile in (True, False):
        tg.manual_seed(0)
        model = network()
        with pytest.raises(IndexError, match=rf"target\[5\] is {CLASSES}"):
            fit(
                model,
                adam(model),
                (x, y),
                batch_size=8,
                shuffle=False,
                progress=False,
                loss=nn.CrossEntropyLoss(),
                compile=compile,
            )
        assert model[1].num_batches_tracked.item() == 3


def test_training_goes_on_after_such_a_loss() -> None:
    """The flag that ended one program does not end the next."""
    tg.manual_seed(0)
    model = delicate()
    optimizer = adam(model)
    options = {"epochs": 2, "batch_size": 8, "progress": False, "shuffle": False}
    with pytest.raises(FloatingPointError, match="batch 4"):
        fit(model, optimizer, too_large(4), **options)
    assert len(fit(model, optimizer, labelled(), **options)) == 2


class Centred(nn.Module):
    """Subtracts a running mean that its own batch has moved: read before the loss is known."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)
        self.register_buffer("mean", tg.zeros(FEATURES))

    def forward(self, x):
        if self.training:
            with tg.no_grad():
                self.mean.mul_(0.5).add_(x.mean(0) * 0.5)
        return self.layer(10 * x - self.mean)


def peeking(outputs: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    loss = F.cross_entropy(outputs, y)
    return loss * 2 if loss.item() > 0.9 else loss


def counting() -> Callable[[tg.Tensor, tg.Tensor], tg.Tensor]:
    calls = 0

    def loss(outputs: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        nonlocal calls
        calls += 1
        return F.cross_entropy(outputs, y) * (1 + 0.1 * calls)

    return loss


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(FEATURES, CLASSES), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


FACTOR = 1.0


def grown(outputs: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    return F.cross_entropy(outputs, y) * FACTOR


def Growing() -> Callable[[optim.Optimizer], object]:
    """Makes a schedule of what the loss is multiplied by."""

    class Schedule:
        def __init__(self, optimizer: optim.Optimizer) -> None:
            global FACTOR
            FACTOR = 1.0

        def step(self) -> None:
            global FACTOR
            FACTOR *= 1.5

    return Schedule


def hooked() -> nn.Module:
    model = network()
    model[0].register_forward_hook(lambda module, args, out: out * 0.5)
    return model


def hooked_parameter() -> nn.Module:
    model = network()
    model[0].weight.register_hook(lambda g: g * 0.5)
    return model


FALLBACKS = {
    "item": ({"loss": lambda: peeking}, r"item\(\) takes a value out.*in peeking, .*compile=False"),
    "counting": ({"loss": counting}, "a step changes the Python value calls"),
    "attribute": ({"model": lambda: Counting}, "a step changes the Python value self.model"),
    "again": ({"scheduler": Growing, "loss": lambda: grown, "epochs": lambda: 9}, "keep changing"),
    "hooks": ({"model": lambda: hooked}, r"module '0' \(Linear\) has hooks"),
    "parameter": ({"model": lambda: hooked_parameter}, r"parameter '0.weight' has hooks"),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_cannot_be_captured_runs_in_python_and_says_so_once(name: str) -> None:
    made, message = FALLBACKS[name]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        native = Outcome(True, **{key: make() for key, make in made.items()})
    (warning,) = heard
    assert str(warning.message).startswith("fit runs each batch in Python")
    with pytest.warns(UserWarning, match=message):
        warnings.warn_explicit(warning.message, UserWarning, "", 0)
    python = Outcome(False, **{key: make() for key, make in made.items()})
    assert native.parts() == python.parts()


def test_a_buffer_that_is_read_before_the_loss_is_put_back_too() -> None:
    data = {"data": lambda seed=0: too_large(4), "validation": None, "shuffle": False}
    native = Outcome(True, model=Centred, **data)
    assert "batch 4" in native.error
    assert native == Outcome(False, model=Centred, **data)
    assert np.isfinite(native.parts()[3]["mean"]).all()
