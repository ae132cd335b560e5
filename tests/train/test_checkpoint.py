"""Loading a checkpoint is all or nothing: what is refused leaves every part as it was."""

from __future__ import annotations

import copy
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.train import checkpoint
from tinygrad_mlp.train.callbacks import Callback, Checkpoint, EarlyStopping
from tinygrad_mlp.train.checkpoint import load_checkpoint, save_checkpoint
from tinygrad_mlp.train.history import History

INTERNALS = re.compile(
    r"zip\(|attribute|subscript|unpack|iterable|unhashable|Traceback|0x|KeyError"
)
DATA = (np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 3)


class Sums(Callback):
    """A user's callback: it notices what is wrong when half of it is loaded."""

    def __init__(self) -> None:
        self.first, self.second = 0.0, 0.0

    def on_epoch_end(self, trainer) -> None:
        self.first += trainer.history.last["loss"]
        self.second += 1

    def state_dict(self) -> dict[str, float]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.first = state["first"]
        self.second = float(state["second"])


class Parts:
    """All that a checkpoint holds, after some epochs."""

    def __init__(self, seed: int, epochs: int) -> None:
        tg.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
        self.optimizer = optim.AdamW(self.model.parameters(), lr=0.01 * seed)
        steps = lr_scheduler.MultiStepLR(self.optimizer, [2, 4], gamma=0.1)
        rest = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=9)
        self.scheduler = lr_scheduler.SequentialLR(self.optimizer, [steps, rest], [3])
        self.history, self.callbacks = History(), [Sums(), EarlyStopping("loss")]
        tg.fit(self.model, self.optimizer, DATA, epochs=epochs, progress=False, **self.rest())

    def rest(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("scheduler", "history", "callbacks")}

    def save(self, path: Path) -> None:
        save_checkpoint(path, self.model, self.optimizer, **self.rest())

    def load(self, path: Path) -> None:
        load_checkpoint(path, self.model, self.optimizer, **self.rest())

    def bits(self) -> str:
        """Everything that a load may change, exactly."""
        state = [each.state_dict() for each in (self.model, self.optimizer, self.scheduler)]
        state += [self.history.rows, *(vars(each) for each in self.callbacks)]
        state += [tg.get_rng_state(), self.optimizer.param_groups[0]["lr"]]
        arrays: dict[str, Any] = {}
        tree = checkpoint._to_json(state, "", arrays)
        return repr((tree, [(k, a.dtype, a.tobytes()) for k, a in arrays.items()]))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "c.safetensors"
    Parts(seed=1, epochs=5).save(path)
    return path


def error_of(ours: Parts, path: Path) -> Exception | None:
    try:
        ours.load(path)
    except Exception as error:
        return error
    return None


def test_a_damaged_file_is_refused_and_nothing_changes(saved: Path, tmp_path: Path) -> None:
    whole, draw, path = saved.read_bytes(), random.Random(0), tmp_path / "c.safetensors"
    ours = Parts(seed=2, epochs=2)
    before = ours.bits()
    for _ in range(400):
        data, at = bytearray(whole), draw.randrange(len(whole))
        kind, width = draw.randrange(4), draw.choice([1, 8, 200])
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[at : at + width] = draw.randbytes(width)
        elif kind == 2:
            del data[at : at + width]
        else:
            data[at:at] = data[-width:]
        if data == whole:
            continue
        path.write_bytes(data)
        error = error_of(ours, path)
        if error is None:  # another space between two words of the header
            found = ours.bits()
            ours.load(saved)
            assert found == ours.bits()
            before = found
            continue
        assert type(error) is ValueError
        assert str(path) in str(error)
        assert not INTERNALS.search(str(error)), error
        assert ours.bits() == before


WRONG = [None, True, -1, 2.5, "x", [], {}, [[]], {"a": 1}, [{}], float("nan")]


def spoil(tree: Any, draw: random.Random) -> Any:
    """Return the tree with one node deleted, replaced, or, if it is a tensor, of another kind."""
    if isinstance(tree, (dict, list, tuple)) and len(tree) and draw.random() < 0.85:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = draw.choice(keys)
        changed = tree.copy() if isinstance(tree, dict) else list(tree)
        if draw.random() < 0.1:
            del changed[key]
        else:
            changed[key] = spoil(tree[key], draw)
        return tuple(changed) if isinstance(tree, tuple) else changed
    if isinstance(tree, tg.Tensor) and draw.random() < 0.5:
        array = tree.numpy()
        return tg.tensor(draw.choice([array[None], array != 0, array.astype("int64") * 0 - 1]))
    return draw.choice(WRONG)


@pytest.mark.filterwarnings("default:.*not finite")
def test_a_state_that_does_not_fit_changes_nothing(saved: Path, tmp_path: Path) -> None:
    """The file is whole, with a checksum; a part in it is not what the part here can load."""
    tree, draw, path = checkpoint.read(saved), random.Random(1), tmp_path / "c.safetensors"
    refused = 0
    ours = Parts(seed=2, epochs=2)
    before = ours.bits()
    for _ in range(400):
        checkpoint.write(path, spoil(tree, draw), {})
        error = error_of(ours, path)
        if error is None:  # e.g. another number
            before = ours.bits()
        else:
            refused += 1
            assert type(error) is ValueError
            assert str(path) in str(error)
            by_user = "Sums.load_state_dict raised" in str(error)
            assert by_user or not INTERNALS.search(str(error)), error
            assert ours.bits() == before
    assert refused > 200


def test_a_failing_callback_is_undone(saved: Path, tmp_path: Path) -> None:
    tree = checkpoint.read(saved)
    tree["callbacks"][0][1]["second"] = "x"
    checkpoint.write(tmp_path / "c.safetensors", tree, {})
    ours = Parts(seed=2, epochs=2)
    before = ours.bits()
    with pytest.raises(ValueError, match=r"nothing .* Sums\.load_state_dict raised ValueError"):
        ours.load(tmp_path / "c.safetensors")
    assert ours.bits() == before


def test_what_was_saved_and_what_was_given(saved: Path) -> None:
    ours = Parts(seed=2, epochs=2)
    model, optimizer, rest = ours.model, ours.optimizer, ours.rest()
    for given, message in [
        ({"callbacks": []}, "saved with Sums, EarlyStopping .* loaded with none; pass the same"),
        ({"callbacks": rest["callbacks"][::-1]}, "loaded with EarlyStopping, Sums"),
        ({"scheduler": lr_scheduler.StepLR(optimizer, 2)}, "StepLR.load_state_dict: no base_lrs"),
    ]:
        with pytest.raises(ValueError, match=f"of another training, and nothing .*{message}"):
            load_checkpoint(saved, model, optimizer, **rest | given)
    save_checkpoint(saved.with_name("plain"), model, optimizer)
    with pytest.raises(ValueError, match="saved without a scheduler; omit scheduler"):
        load_checkpoint(saved.with_name("plain"), model, optimizer, scheduler=rest["scheduler"])
    sgd = optim.SGD(model.parameters())
    with pytest.raises(ValueError, match=r"SGD\.load_state_dict: a group has no dampening"):
        load_checkpoint(saved, model, sgd, callbacks=rest["callbacks"])


def test_early_stopping_refuses_the_weights_of_another_network() -> None:
    stopping = EarlyStopping("loss")
    state = {"best": 1.0, "best_epoch": 1, "waited": 0, "best_weights": {"w": tg.ones(2)}}
    stopping.load_state_dict(state)
    for wrong in ({"best": 1.0}, {**state, "waited": "1"}, {**state, "best_weights": None}):
        with pytest.raises((TypeError, ValueError), match=r"EarlyStopping\.load_state_dict"):
            stopping.load_state_dict(wrong)
    assert stopping.state_dict() == state
    model = nn.Linear(2, 3)
    with pytest.raises(RuntimeError, match="unexpected: w"):
        tg.fit(
            model,
            optim.SGD(model.parameters(), lr=0.1),
            DATA,
            history=History([{"epoch": 1, "loss": 1.0}]),
            callbacks=[stopping],
            progress=False,
        )


def test_two_trainings_do_not_write_to_one_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"

    class Second(Callback):
        def on_epoch_end(self, trainer) -> None:
            model = nn.Linear(2, 3)
            optimizer = optim.SGD(model.parameters(), lr=0.1)
            with pytest.raises(BlockingIOError, match=r"c\.safetensors is in use: process \d+ on"):
                tg.fit(model, optimizer, DATA, callbacks=[Checkpoint(path)], progress=False)

    (tmp_path / ".123-c.safetensors").write_text("of a killed process")
    model = nn.Linear(2, 3)
    optimizer, callbacks = optim.SGD(model.parameters(), lr=0.1), [Checkpoint(path), Second()]
    for _ in range(2):
        tg.fit(model, optimizer, DATA, epochs=1, callbacks=callbacks, progress=False)
        assert [each.name for each in tmp_path.iterdir()] == ["c.safetensors"]


def test_copies_of_a_checkpoint_callback_work(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    callback = copy.deepcopy(Checkpoint(tmp_path / "c.safetensors"))
    tg.fit(model, optimizer, DATA, epochs=1, callbacks=[callback], progress=False)
    assert len(checkpoint.read(callback.path)["history"]) == 1
