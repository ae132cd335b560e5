import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import tinygrad_mlp as tg
from tinygrad_mlp.data import DATASETS
from tinygrad_mlp.nn import BatchNorm1d, Linear, ReLU
from tinygrad_mlp.runs.build import mlp
from tinygrad_mlp.runs.config import Settings
from tinygrad_mlp.runs.experiment import prepare
from tinygrad_mlp.runs.recipes import DATA, RECIPES
from tinygrad_mlp.train.fit import evaluate


def test_each_recipe_is_of_a_dataset() -> None:
    assert set(RECIPES) == set(DATASETS)
    assert set(DATA) <= set(DATASETS)
    for name in RECIPES:
        assert Settings.of(name).dataset == name


def test_an_mlp_is_its_widths() -> None:
    kinds = [type(layer) for layer in mlp(64, 128, 64, 10, batch_norm=True)]
    assert kinds == [Linear, BatchNorm1d, ReLU] * 2 + [Linear]
    assert [type(layer) for layer in mlp(3, 2)] == [Linear]
    shapes = [tuple(layer.weight.shape) for layer in mlp(2, 100, 3) if isinstance(layer, Linear)]
    assert shapes == [(100, 2), (3, 100)]


def test_digits_reach_their_accuracy(tmp_path: Path) -> None:
    outcomes = [
        prepare("digits", seed=seed, out=tmp_path / str(seed)).run(progress=False)
        for seed in range(5)
    ]
    assert np.mean([outcome.test["accuracy"] for outcome in outcomes]) >= 0.98
    assert min(outcome.train["accuracy"] for outcome in outcomes) >= 0.99


def test_spiral_reaches_its_accuracy(tmp_path: Path) -> None:
    outcome = prepare("spiral", out=tmp_path).run(progress=False)
    assert outcome.train["accuracy"] >= 0.99
    assert outcome.test["accuracy"] >= 0.95


def test_a_run_leaves_its_folder(tmp_path: Path) -> None:
    job = prepare("spiral", epochs=2, out=tmp_path / "run")
    outcome = job.run(progress=False)
    names = ("model.safetensors", "history.json", "curves.png", "boundary.png")
    assert outcome.files == names
    assert outcome.missing == ""
    left = sorted(path.name for path in outcome.folder.iterdir())
    assert left == sorted([*names, "config.json", "checkpoint.safetensors"])
    rows = json.loads((outcome.folder / "history.json").read_text())["epochs"]
    assert rows == outcome.history.rows
    assert imread(outcome.folder / "boundary.png").shape[:2] == (960, 960)

    again = mlp(2, 100, 3)
    again.load_state_dict(tg.load(outcome.folder / "model.safetensors"))
    assert evaluate(again, job.test)["accuracy"] == outcome.test["accuracy"]
    assert evaluate(again, job.train)["accuracy"] == outcome.train["accuracy"]
    assert outcome.history.last["val_accuracy"] == outcome.test["accuracy"]


def test_values_in_the_plane_leave_a_surface(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(tmp_path / "waves.npz", x=x, y=np.sin(x).sum(axis=1))
    outcome = prepare(str(tmp_path / "waves.npz"), epochs=1, out=tmp_path).run(progress=False)
    assert outcome.files[-1] == "surface.png"
    assert imread(tmp_path / "surface.png")[:, :, :3].std() > 0.05


@pytest.mark.parametrize("name", ["digits", "spiral"])
def test_a_seed_decides_the_bits(tmp_path: Path, name: str) -> None:
    def run(seed: int, folder: str) -> bytes:
        outcome = prepare(name, epochs=2, seed=seed, out=tmp_path / folder).run(progress=False)
        return (outcome.folder / "model.safetensors").read_bytes()

    assert run(3, "a") == run(3, "b")
    assert run(3, "a") != run(4, "c")


@pytest.mark.parametrize("name", ["digits", "spiral"])
def test_a_seed_decides_what_is_held_out(tmp_path: Path, name: str) -> None:
    first, again, other = (prepare(name, seed=seed, out=tmp_path).test.x for seed in (1, 1, 2))
    assert (first == again).all()
    assert first.shape == other.shape
    assert not (first == other).all()


def test_a_job_says_what_it_will_do(tmp_path: Path) -> None:
    job = prepare("digits", epochs=7, lr=0.5, seed=2, out=tmp_path)
    assert str(job) == (
        "digits: 1,438 rows to learn from, 359 held out, to predict 10 classes\n"
        "model: 17,610 parameters, AdamW with lr 0.5, 7 epochs of batches of 64, seed 2"
    )
    assert job.optimizer.param_groups[0]["lr"] == 0.5


def test_the_folder_is_named_after_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare("spiral").folder == Path("runs", "spiral")
    assert (tmp_path / "runs" / "spiral").is_dir()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digts", {}, "no dataset is called 'digts', there are: digits, spiral, .*'digits'"),
        ("digits", {"epochs": 0}, "epochs must be at least 1, got 0"),
        ("digits", {"lr": 0.0}, r"lr must be positive and finite, got 0; write lr=0\.003"),
        ("digits", {"lr": float("nan")}, "lr must be positive and finite, got nan"),
        ("digits", {"lr": float("inf")}, "lr must be positive and finite, got inf"),
        ("spiral", {"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(name, out=tmp_path, **options)
