import io
import re
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.train import progress
from tinygrad_mlp.train.metrics import RunningMeans
from tinygrad_mlp.train.progress import (
    Bar,
    Lines,
    Reporter,
    format_metrics,
    format_speed,
    reporter,
    sparklines,
)

ROW = {
    "epoch": 1,
    "loss": 0.5,
    "accuracy": 0.8125,
    "val_loss": 0.75,
    "val_accuracy": 0.625,
    "lr": 0.1,
    "seconds": 2.0,
    "samples_per_second": 12345.6,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    # pytest sets sys.stdout between fixture and test, so the module is patched.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stdout=stream))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    return stream


def test_lines_are_one_for_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter(True, epochs=10, batches=3) as report:
        report.batch(1, 1, RunningMeans({}, np.zeros(1)))
        report.epoch(ROW)
        report.epoch(ROW | {"epoch": 10})
    assert capsys.readouterr().out == (
        "epoch  1/10  loss 0.5000  accuracy 0.8125  val_loss 0.7500  val_accuracy 0.6250"
        "  12,346 samples/s\n"
        "epoch 10/10  loss 0.5000  accuracy 0.8125  val_loss 0.7500  val_accuracy 0.6250"
        "  12,346 samples/s\n"
    )


def test_who_reports_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert type(reporter(True, 1, 1)) is Lines
    assert type(reporter("auto", 1, 1)) is Reporter
    with reporter(False, 1, 1) as silent:
        silent.batch(1, 1, RunningMeans({}, np.zeros(1)))
        silent.epoch(ROW)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_bar(terminal: Terminal) -> None:
    assert type(reporter(True, 1, 1)) is Bar
    assert type(reporter("auto", 1, 1)) is Bar
    assert type(reporter(False, 1, 1)) is Reporter


def test_the_bar_shows_measures_speed_and_time_left(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bar, "PERIOD", 0.0)
    means = RunningMeans({}, np.zeros(1))
    with reporter(True, epochs=2, batches=4) as report:
        for batch in range(1, 5):
            time.sleep(0.01)
            means.add(tg.tensor(0.375), None, tg.zeros(32))
            means.count_rows(32)
            report.batch(1, batch, means)
        report.epoch(ROW)
        halfway = terminal.getvalue()
        report.batch(2, 1, means)
        report.epoch(ROW | {"epoch": 2})
    text = terminal.getvalue()
    assert "epoch 1/2" in halfway
    assert "loss 0.3750" in halfway
    assert "samples/s" in halfway
    assert re.search(r"\d\d:\d\d", halfway), "the time left"
    assert "epoch 2/2" not in halfway
    assert "val_accuracy 0.6250" in text
    assert "epoch 2/2" in text
    assert "12,346 samples/s" in text
    assert "\x1b[" in text, "it is drawn in place"


def test_the_bar_draws_both_losses_on_one_scale(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bar, "PERIOD", 0.0)
    with reporter(True, epochs=3, batches=1) as report:
        for number, (loss, held) in enumerate(((4.0, 4.5), (2.0, 3.0), (1.0, 2.5)), start=1):
            report.epoch(ROW | {"epoch": number, "loss": loss, "val_loss": held})
            if number == 1:
                assert "▇" not in terminal.getvalue(), "one epoch is no curve"
    assert "loss     ▇▃▁ 1.0000" in terminal.getvalue()
    assert "val_loss █▅▄ 2.5000" in terminal.getvalue()


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([1.0, 2.0, 3.0, 4.0], 2, "loss ▃█ 4.0000"),  # the second and the fourth: 7/3 and 7
        ([float("nan"), 1.0, float("inf")], 9, "loss !▁! inf"),
        ([1.0, 1.0], 9, "loss ▁▁ 1.0000"),
    ],
)
def test_curves_of_blocks(values: list[float], width: int, drawn: str) -> None:
    assert sparklines({"loss": values}, width) == [drawn]


def test_the_time_left_of_a_resumed_run_is_of_its_own_pace(terminal: Terminal) -> None:
    """99 of 100 epochs at once would promise an end at once."""
    with Bar(epochs=100, batches=10, done=99) as report:
        assert "epoch 100" in terminal.getvalue()
        (task,) = report.progress.tasks
        assert (task.completed, task.total) == (990, 1000)
        for batch, seconds in ((1, 2.0), (2, 4.0)):
            report.progress.get_time = lambda seconds=seconds: task.start_time + seconds
            report._draw(100, batch, ROW, 1.0)
        assert task.time_remaining == 16, "8 batches of 2 seconds"


def test_a_narrow_terminal_gets_what_fits(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with reporter(True, epochs=1, batches=1) as report:
        report.epoch(ROW)
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue()).rstrip().splitlines()[-1]
    assert "epoch 1/1" in last
    assert "loss 0.5000  accuracy 0.8125" in last
    assert "12,346 samples/s" in last
    assert len(last.rsplit("\r", 1)[-1]) <= 80


def test_the_bar_draws_no_oftener_than_its_period(terminal: Terminal) -> None:
    means = RunningMeans({}, np.zeros(1))
    means.add(tg.tensor(0.375), None, tg.zeros(1))
    means.count_rows(1)
    with reporter(True, epochs=1, batches=10**6) as report:
        before = len(terminal.getvalue())
        for batch in range(1, 201):
            report.batch(1, batch, means)
        assert len(terminal.getvalue()) == before


def test_an_error_in_training_leaves_the_terminal_whole(terminal: Terminal) -> None:
    with pytest.raises(RuntimeError, match="boom"), reporter(True, 1, 1):
        raise RuntimeError("boom")
    assert terminal.getvalue().rstrip("\n").endswith("\x1b[?25h"), "the cursor is back"


def test_progress_is_true_false_or_auto() -> None:
    with pytest.raises(ValueError, match="progress must be True, False or \"auto\", got 'yes'"):
        reporter("yes", 1, 1)


def test_metrics_and_speed_as_text() -> None:
    assert (
        format_metrics(ROW) == "loss 0.5000  accuracy 0.8125  val_loss 0.7500  val_accuracy 0.6250"
    )
    assert format_speed(0.4) == "0 samples/s"


@pytest.mark.parametrize("live", [False, True])
def test_fit_tells_why_it_stopped(
    live: bool, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    if not live:
        progress.sys.stdout = sys.stdout
    model = tg.nn.Linear(1, 1)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.0)
    callbacks = [tg.train.EarlyStopping(patience=2)]
    data = [[1.0], [2.0]], [[2.0], [4.0]]
    tg.fit(model, optimizer, data, epochs=9, callbacks=callbacks)
    printed = terminal.getvalue() if live else capsys.readouterr().out
    assert "stopped after epoch 3: no improvement over epoch 1 in 2 epochs\n" in printed
    tg.fit(model, optimizer, data, epochs=9, callbacks=callbacks, progress=False)
    assert capsys.readouterr().out == ""
