"""An error in training ends every callback that began; the first error is raised."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral
from tinygrad_mlp.nn import functional as F
from tinygrad_mlp.train.callbacks import Callback, EarlyStopping
from tinygrad_mlp.train.fit import fit
from tinygrad_mlp.train.history import History
from tinygrad_mlp.train.loggers import CSVLogger, JSONLogger, TensorBoard
from tinygrad_mlp.train.trainer import Trainer

HOOKS = ("on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end")


class Logger(Callback):
    """Holds a file open from the beginning of training to its end."""

    def __init__(self, path: Path) -> None:
        self.path, self.file, self.stop_reason = path, None, ""

    def on_train_begin(self, trainer: Trainer) -> None:
        self.file = self.path.open("w")

    def on_train_end(self, trainer: Trainer) -> None:
        self.file.close()
        self.stop_reason = trainer.stop_reason


def raising(hook: str, error: BaseException) -> Callback:
    """A callback that raises in one hook."""

    def method(self: Callback, trainer: Trainer) -> None:
        raise error

    return type("Raises", (Callback,), {hook: method})()


def train(callbacks: list[Callback], **options) -> History:
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = options.pop("optimizer", lambda m: optim.SGD(m.parameters(), lr=0.1))(model)
    given = {"epochs": 3, "batch_size": 20, "progress": False} | options
    return fit(model, optimizer, spiral(points=20), callbacks=callbacks, **given)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_in_a_hook_ends_all_callbacks_that_began(
    hook: str, error: BaseException, tmp_path: Path
) -> None:
    """Files are closed; else the ResourceWarning of an open one fails this test."""
    first, second = Logger(tmp_path / "1"), Logger(tmp_path / "2")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(type(error)) as caught:
        train([first, raising(hook, error), second])
    assert caught.value is error
    assert first.file.closed
    if hook == "on_train_begin":
        assert second.file is None, "it did not begin, and does not end"
    else:
        assert second.file.closed
    if hook != "on_train_end":
        assert first.stop_reason == repr(error)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("hook", HOOKS)
def test_later_errors_are_notes_of_the_first(hook: str, tmp_path: Path) -> None:
    logger, later = Logger(tmp_path / "log"), raising("on_train_end", OSError("disk full"))
    error = ValueError("broken")
    with pytest.raises(ValueError, match="broken") as caught:
        train([raising(hook, error), later, logger])
    if hook == "on_train_begin":
        assert not hasattr(caught.value, "__notes__")
    else:
        assert caught.value.__notes__ == ["Raises.on_train_end then raised OSError('disk full')"]
        assert logger.file.closed


def test_a_loss_that_is_not_finite_ends_the_callbacks(tmp_path: Path) -> None:
    logger, stopping = Logger(tmp_path / "log"), EarlyStopping(patience=9)
    failing = raising("on_train_end", RuntimeError("too"))
    with pytest.raises(FloatingPointError, match="the loss became") as caught:
        train(
            [logger, failing, stopping],
            loss=lambda outputs, y: F.cross_entropy(outputs * 1e30, y) * 1e30,
        )
    assert logger.file.closed
    assert logger.stop_reason.startswith("FloatingPointError(")
    assert caught.value.__notes__ == ["Raises.on_train_end then raised RuntimeError('too')"]


def test_an_error_in_the_loss_or_the_schedule_ends_the_callbacks(tmp_path: Path) -> None:
    class Schedule:
        def step(self) -> None:
            raise RuntimeError("no rate")

    def loss(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
        raise RuntimeError("no loss")

    for options, message in (({"scheduler": Schedule()}, "no rate"), ({"loss": loss}, "no loss")):
        logger = Logger(tmp_path / "log")
        with pytest.raises(RuntimeError, match=message):
            train([logger], **options)
        assert logger.file.closed


def test_ctrl_c_ends_the_callbacks_after_the_epoch(tmp_path: Path) -> None:
    class Presses(Callback):
        def __init__(self, times: int) -> None:
            self.times = times

        def on_batch_end(self, trainer: Trainer) -> None:
            if trainer.batch == 2:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)

    for times, epochs, reason in ((1, 1, "Ctrl-C"), (2, 0, "KeyboardInterrupt()")):
        logger, history = Logger(tmp_path / "log"), History()
        with pytest.raises(KeyboardInterrupt):
            train([logger, Presses(times)], history=history)
        assert logger.file.closed
        assert logger.stop_reason == reason
        assert len(history) == epochs
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_tensorboard_closes_the_writer_that_it_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Writer:
        def __init__(self, folder: str) -> None:
            if folder.endswith("validation"):
                raise OSError("disk full")

        def close(self) -> None:
            closed.append(self)

    board = object.__new__(TensorBoard)
    board.path, board.writers = "events", {}
    board.tensorboard = type("summary", (), {"Writer": Writer})
    with pytest.raises(OSError, match="disk full"):
        train([board])
    assert len(closed) == 1


def test_a_monitor_is_checked_before_the_first_epoch() -> None:
    model = nn.Linear(2, 3)
    optimizer, before = optim.SGD(model.parameters(), lr=0.1), model.weight.tolist()
    data = np.zeros((4, 2), "float32"), np.array([0, 1, 2, 0])
    for monitor, message in [
        ("val_loss", r"got 'val_loss'; it has epoch, loss, accuracy, .*; pass validation=\(x, y\)"),
        ("acuracy", "got 'acuracy'; it has epoch, loss, accuracy, lr, seconds, samples_per_"),
    ]:
        callbacks = [EarlyStopping(monitor)]
        with pytest.raises(ValueError, match=f"monitor must be a column of the history, {message}"):
            tg.fit(model, optimizer, data, callbacks=callbacks, progress=False)
    assert model.weight.tolist() == before
    stopping = EarlyStopping("val_accuracy")
    tg.fit(model, optimizer, data, validation=data, epochs=1, callbacks=[stopping], progress=False)
    assert stopping.best_epoch == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("logger", [CSVLogger, JSONLogger])
def test_errors_of_a_logger_name_its_file(logger: type) -> None:
    model = nn.Linear(2, 3)
    data = np.zeros((4, 2), "float32"), np.array([0, 1, 2, 0])
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        tg.fit(
            model,
            optim.SGD(model.parameters(), lr=0.1),
            data,
            epochs=1,
            callbacks=[logger("/dev/full")],
            progress=False,
        )
