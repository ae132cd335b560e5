"""A run that is stopped and resumed ends with the same bits as one that was not stopped."""

from __future__ import annotations

import _thread
import json
import signal
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.runs.experiment import Experiment, create_experiment
from tinygrad_mlp.runs.run_folder import CHECKPOINT, MODEL, open_run
from tinygrad_mlp.train import checkpoint, plots
from tinygrad_mlp.train.callbacks import Callback, Checkpoint, EarlyStopping
from tinygrad_mlp.train.checkpoint import load_checkpoint, save_checkpoint
from tinygrad_mlp.train.fit import fit
from tinygrad_mlp.train.history import History
from tinygrad_mlp.train.sigint import Interrupted

PACE = ("seconds", "samples_per_second")


class CtrlC(Callback):
    """Presses it at the end of an epoch: the next one is still done."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, run) -> None:
        if len(run.history) == self.epoch:
            _thread.interrupt_main()


def pressed(experiment: Experiment, epoch: int) -> Experiment:
    """The experiment, with Ctrl-C pressed in the epoch after this one."""
    object.__setattr__(experiment, "callbacks", (CtrlC(epoch), *experiment.callbacks))
    return experiment


def rows(history: History) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k not in PACE} for row in history]


SETTINGS = {
    "all that is drawn": dict(dropout=0.2, batch_norm=True, optimizer="adam"),
    "momentum and weights": dict(
        dropconnect=0.2,
        optimizer="sgd",
        lr=0.05,
        l1=1e-5,
        l2=1e-4,
        clip_grad=0.5,
        class_weight="balanced",
    ),
    "rates by batch": dict(schedule="one-cycle", optimizer="rmsprop", momentum=0.5, lr=0.01),
    "rates by loss": dict(schedule="plateau", weight_decay=0.1, early_stopping=4, epochs=9),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_resumed_run_gives_the_same_bits(tmp_path: Path, case: str) -> None:
    given = {"epochs": 7, "hidden": (16, 8), "seed": 3} | SETTINGS[case]
    full = create_experiment("spiral", out=tmp_path / "full", **given).run(progress=False)
    stopped = tmp_path / "stopped"
    first = pressed(create_experiment("spiral", out=stopped, **given), 2).run(progress=False)
    assert first.interrupted
    assert not full.interrupted
    assert len(first.history) == 3, "the epoch is done first"
    assert set(first.files) == set(full.files)
    assert len(json.loads((stopped / "history.json").read_text())["epochs"]) == 3
    experiment = create_experiment("spiral", out=stopped, resume=True, **given)
    assert "epochs (3 done)" in str(experiment)
    second = experiment.run(progress=False)
    assert rows(second.history) == rows(full.history)
    assert (stopped / MODEL).read_bytes() == (full.folder / MODEL).read_bytes()
    assert second.test == full.test
    ours, theirs = (checkpoint.read(f / CHECKPOINT) for f in (stopped, full.folder))
    assert ours["rng"].tolist() == theirs["rng"].tolist()
    for number, state in theirs["optimizer"]["state"].items():
        for name, value in state.items():
            assert (ours["optimizer"]["state"][number][name].numpy() == value.numpy()).all()


def test_a_killed_run_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    class Killed(Callback):
        def on_epoch_end(self, run) -> None:
            if len(run.history) == 4:
                raise KeyboardInterrupt  # the second Ctrl-C, or worse

    given = {"epochs": 6, "dropout": 0.2}
    full = create_experiment("spiral", out=tmp_path / "full", **given).run(progress=False)
    experiment = create_experiment("spiral", out=tmp_path / "killed", **given)
    object.__setattr__(experiment.callbacks[-1], "seconds", 0.0)
    object.__setattr__(experiment, "callbacks", (*experiment.callbacks, Killed()))
    with pytest.raises(KeyboardInterrupt):
        experiment.run(progress=False)
    left = sorted(path.name for path in experiment.folder.iterdir())
    assert left == [CHECKPOINT, "config.json"], "only what resuming needs"
    again = create_experiment("spiral", out=experiment.folder, resume=True, **given)
    assert len(again.history) == 4
    assert rows(again.run(progress=False).history) == rows(full.history)
    assert (experiment.folder / MODEL).read_bytes() == (full.folder / MODEL).read_bytes()


def test_a_run_that_is_done_stays_as_it_is(tmp_path: Path) -> None:
    first = create_experiment("moons", epochs=2, out=tmp_path).run(progress=False)
    weights = (tmp_path / MODEL).read_bytes()
    again = create_experiment("moons", epochs=2, out=tmp_path, resume=True).run(progress=False)
    assert again.history.rows == first.history.rows
    assert (tmp_path / MODEL).read_bytes() == weights


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    given = dict(epochs=300, early_stopping=2, lr=0.3, seed=1, schedule="constant")
    first = create_experiment("xor", out=tmp_path, **given).run(progress=False)
    assert len(first.history) < 300
    weights = (tmp_path / MODEL).read_bytes()
    losses = first.history["val_loss"]
    assert int(np.argmin(losses)) == len(losses) - 3, "two epochs were waited for"
    again = create_experiment("xor", out=tmp_path, resume=True, **given).run(progress=False)
    assert len(again.history) == len(first.history)
    assert (tmp_path / MODEL).read_bytes() == weights


def test_results_before_a_nonfinite_loss_are_written(tmp_path: Path) -> None:
    class Breaks(Callback):
        def on_epoch_end(self, run) -> None:
            if len(run.history) == 3:
                run.optimizer.param_groups[0]["lr"] = 1e38

    experiment = create_experiment(
        "moons", epochs=9, optimizer="sgd", early_stopping=9, out=tmp_path
    )
    object.__setattr__(experiment, "callbacks", (*experiment.callbacks, Breaks()))
    with pytest.raises(FloatingPointError, match=r"epoch 4, batch .* this batch changed nothing"):
        experiment.run(progress=False)
    assert len(json.loads((tmp_path / "history.json").read_text())["epochs"]) == 3
    weights = open_run(tmp_path).model.state_dict()
    for name, best in experiment.callbacks[0].best_weights.items():
        assert (weights[name].numpy() == best.numpy()).all(), "those of the best epoch"


def test_ctrl_c_while_the_results_are_written_is_deferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = plots.boundary

    def pressed(*given) -> None:
        signal.raise_signal(signal.SIGINT)
        draw(*given)

    monkeypatch.setattr(plots, "boundary", pressed)
    experiment = create_experiment("moons", epochs=1, out=tmp_path)
    try:
        result = experiment.run(progress=False)
    except KeyboardInterrupt:  # which would end pytest
        pytest.fail("it was torn")
    assert result.interrupted
    assert "boundary.png" in result.files


def test_what_decides_something_is_not_tested_with(tmp_path: Path) -> None:
    for given in ({"schedule": "plateau"}, {"early_stopping": 3}):
        experiment = create_experiment("moons", out=tmp_path, **given)
        assert (len(experiment.train.y), len(experiment.validation.y), len(experiment.test.y)) == (
            144,
            16,
            40,
        )
    experiment = create_experiment("moons", out=tmp_path)
    assert experiment.validation is experiment.test


def test_another_run_does_not_go_on_there(tmp_path: Path) -> None:
    create_experiment("moons", epochs=2, out=tmp_path).run(progress=False)
    with pytest.raises(ValueError, match=r"began with lr=0\.01, not 0\.5"):
        create_experiment("moons", epochs=2, lr=0.5, out=tmp_path, resume=True)
    with pytest.raises(ValueError, match="epochs=2, not 9"):
        create_experiment("moons", epochs=9, out=tmp_path, resume=True)
    with pytest.raises(FileNotFoundError, match=r"is not the folder of a run: it has no"):
        create_experiment("moons", out=tmp_path / "elsewhere", resume=True)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / CHECKPOINT).write_bytes(b"short")
    with pytest.raises(ValueError, match="is not a complete safetensors file"):
        create_experiment("moons", epochs=2, out=tmp_path, resume=True)
    (tmp_path / CHECKPOINT).unlink()
    with pytest.raises(FileNotFoundError, match="continue; train anew with overwrite=True"):
        create_experiment("moons", epochs=2, out=tmp_path, resume=True)


def test_a_run_that_was_stopped_is_not_overwritten_unasked(tmp_path: Path) -> None:
    given = dict(epochs=9, out=tmp_path)
    pressed(create_experiment("moons", **given), 2).run(progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for dataset in ("moons", "xor"):
        with pytest.raises(FileExistsError, match=r"use resume=True to .* overwrite=True to"):
            create_experiment(dataset, **given)
    with pytest.raises(ValueError, match="resume and overwrite exclude each other"):
        create_experiment("moons", resume=True, overwrite=True, **given)
    create_experiment("moons", overwrite=True, **given)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    again = create_experiment("moons", resume=True, **given).run(progress=False)
    assert len(again.history) == 9
    anew = create_experiment("moons", overwrite=True, **given).run(progress=False)
    assert rows(anew.history) == rows(again.history)


def test_a_new_run_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    create_experiment("moons", epochs=1, out=tmp_path).run(progress=False)
    refused = create_experiment(
        "xor", batch_norm=True, batch_size=319, out=tmp_path, overwrite=True
    )
    with pytest.raises(ValueError, match="makes a batch of one row out of 320"):
        refused.run(progress=False)
    assert open_run(tmp_path).config.settings.dataset == "moons", "it is as it was"
    events = tmp_path / "train" / "events.out.tfevents.1"
    events.parent.mkdir()
    events.write_text("")
    given = dict(epochs=2, lr=1e30, optimizer="sgd")
    experiment = create_experiment("xor", out=tmp_path, overwrite=True, **given)
    assert (tmp_path / MODEL).exists(), "until it begins"
    with pytest.raises(FloatingPointError, match="the loss became"):
        experiment.run(progress=False)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        CHECKPOINT,
        "config.json",
    ]


# --- in Python ------------------------------------------------------------------------------------


def parts() -> tuple[nn.Module, optim.Optimizer, lr_scheduler.MultiStepLR]:
    tg.manual_seed(5)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    optimizer = optim.AdamW(model.parameters(), lr=0.02, betas=(0.8, 0.9))
    return model, optimizer, lr_scheduler.MultiStepLR(optimizer, [2, 4], gamma=0.1)


def test_fit_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    path, data = tmp_path / "c.safetensors", spiral(points=20)
    model, optimizer, scheduler = parts()
    full = fit(model, optimizer, data, epochs=6, scheduler=scheduler, progress=False, seed=1)
    weights = {name: value.tolist() for name, value in model.state_dict().items()}

    model, optimizer, scheduler = parts()
    history = fit(model, optimizer, data, epochs=3, scheduler=scheduler, progress=False, seed=1)
    save_checkpoint(path, model, optimizer, scheduler=scheduler, history=history)

    model, optimizer, scheduler = parts()
    tg.manual_seed(77)
    again = History()
    load_checkpoint(path, model, optimizer, scheduler=scheduler, history=again)
    assert scheduler.milestones[3] == 0, "still a Counter"
    found = fit(
        model, optimizer, data, epochs=6, scheduler=scheduler, history=again, progress=False, seed=1
    )
    assert found is again
    assert rows(found) == rows(full)
    assert weights == {name: value.tolist() for name, value in model.state_dict().items()}


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    model, optimizer, scheduler = parts()
    save_checkpoint(path, model, optimizer, scheduler=scheduler)
    other = nn.Linear(2, 3)
    with pytest.raises(ValueError, match="a checkpoint of another training"):
        load_checkpoint(path, other, optim.SGD(other.parameters(), lr=0.1))
    tg.save(model.state_dict(), path)
    with pytest.raises(ValueError, match="is not a checkpoint, but a file of tensors"):
        load_checkpoint(path, model, optimizer)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none", model, optimizer)


def test_nested_state_is_restored(tmp_path: Path) -> None:
    tree = {
        "a": [1, 0.1, True, None, "x", float("inf")],
        "b": {0: tg.tensor(2.5), 7: (1, (2.0, tg.tensor([1, 2])))},
        "c": {},
    }
    checkpoint.write(tmp_path / "tree", tree, {})
    found = checkpoint.read(tmp_path / "tree")
    assert found["a"] == tree["a"]
    assert found["b"][0].shape == ()
    assert found["b"][7][1][1].tolist() == [1, 2]
    assert isinstance(found["b"][7], tuple)
    assert found["c"] == {}


def test_ctrl_c_in_fit_keeps_the_history_and_the_best_weights(tmp_path: Path) -> None:
    model, optimizer, _ = parts()
    history, data = History(), spiral(points=20)
    stopping = EarlyStopping("accuracy", patience=50)
    keeping = Checkpoint(tmp_path / "c.safetensors")
    with pytest.raises(Interrupted, match="stopped after epoch 5") as error:
        fit(
            model,
            optimizer,
            data,
            epochs=1000,
            progress=False,
            history=history,
            callbacks=[stopping, CtrlC(4), keeping],
        )
    assert len(history) == 5
    assert error.value.history is history
    assert stopping.best == max(history["accuracy"])
    best = {name: value.tolist() for name, value in stopping.best_weights.items()}
    assert best == {name: value.tolist() for name, value in model.state_dict().items()}
    assert len(checkpoint.read(keeping.path)["history"]) == 5
