import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import tinygrad_mlp as tg
from tinygrad_mlp.nn import BatchNorm1d, Linear, ReLU
from tinygrad_mlp.runs.build import mlp
from tinygrad_mlp.runs.config import Settings
from tinygrad_mlp.runs.experiment import create_experiment
from tinygrad_mlp.train.fit import evaluate


def test_an_mlp_is_its_widths() -> None:
    kinds = [type(layer) for layer in mlp(64, 128, 64, 10, batch_norm=True)]
    assert kinds == [Linear, BatchNorm1d, ReLU] * 2 + [Linear]
    assert [type(layer) for layer in mlp(3, 2)] == [Linear]
    shapes = [tuple(layer.weight.shape) for layer in mlp(2, 100, 3) if isinstance(layer, Linear)]
    assert shapes == [(100, 2), (3, 100)]


def test_digits_reach_their_accuracy(tmp_path: Path) -> None:
    results = [
        create_experiment("digits", seed=seed, out=tmp_path / str(seed)).run(progress=False)
        for seed in range(5)
    ]
    assert np.mean([result.test["accuracy"] for result in results]) >= 0.98
    assert min(result.train["accuracy"] for result in results) >= 0.99


def test_spiral_reaches_its_accuracy(tmp_path: Path) -> None:
    result = create_experiment("spiral", out=tmp_path).run(progress=False)
    assert result.train["accuracy"] >= 0.99
    assert result.test["accuracy"] >= 0.95


def test_a_run_leaves_its_folder(tmp_path: Path) -> None:
    experiment = create_experiment("spiral", epochs=2, out=tmp_path / "run")
    result = experiment.run(progress=False)
    names = ("model.safetensors", "history.json", "curves.png", "boundary.png")
    assert result.files == names
    assert result.plot_error == ""
    left = sorted(path.name for path in result.folder.iterdir())
    assert left == sorted([*names, "config.json", "checkpoint.safetensors"])
    rows = json.loads((result.folder / "history.json").read_text())["epochs"]
    assert rows == result.history.rows
    assert imread(result.folder / "boundary.png").shape[:2] == (960, 960)

    again = mlp(2, 100, 3)
    again.load_state_dict(tg.load(result.folder / "model.safetensors"))
    assert evaluate(again, experiment.test)["accuracy"] == result.test["accuracy"]
    assert evaluate(again, experiment.train)["accuracy"] == result.train["accuracy"]
    assert result.history.last["val_accuracy"] == result.test["accuracy"]


def test_values_in_the_plane_leave_a_surface(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(tmp_path / "waves.npz", x=x, y=np.sin(x).sum(axis=1))
    result = create_experiment(str(tmp_path / "waves.npz"), epochs=1, out=tmp_path).run(
        progress=False
    )
    assert result.files[-1] == "surface.png"
    assert imread(tmp_path / "surface.png")[:, :, :3].std() > 0.05


@pytest.mark.parametrize("name", ["digits", "spiral"])
def test_a_seed_decides_the_bits(tmp_path: Path, name: str) -> None:
    def run(seed: int, folder: str) -> bytes:
        result = create_experiment(name, epochs=2, seed=seed, out=tmp_path / folder).run(
            progress=False
        )
        return (result.folder / "model.safetensors").read_bytes()

    first = run(3, "a")
    assert first == run(3, "b")
    assert first != run(4, "c")


@pytest.mark.parametrize("name", ["digits", "spiral"])
def test_a_seed_decides_what_is_held_out(tmp_path: Path, name: str) -> None:
    first, again, other = (
        create_experiment(name, seed=seed, out=tmp_path).test.x for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert first.shape == other.shape
    assert not (first == other).all()


def test_str_describes_the_experiment(tmp_path: Path) -> None:
    experiment = create_experiment("digits", epochs=7, lr=0.5, seed=2, out=tmp_path)
    assert str(experiment) == (
        "digits: 1,438 training rows, 359 test rows, target: 10 classes\n"
        "model: 17,610 parameters; AdamW, lr 0.5; 7 epochs, batch size 64, seed 2"
    )
    assert experiment.optimizer.param_groups[0]["lr"] == 0.5


def test_the_folder_is_named_after_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert create_experiment("spiral").folder == Path("runs", "spiral")
    assert (tmp_path / "runs" / "spiral").is_dir()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digts", {}, "no dataset is called 'digts'; the names are: digits, spiral, .*'digits'"),
        ("digits", {"epochs": 0}, "epochs must be at least 1, got 0"),
        ("digits", {"lr": 0.0}, "lr must be positive and finite, got 0"),
        ("digits", {"lr": float("nan")}, "lr must be positive and finite, got nan"),
        ("digits", {"lr": float("inf")}, "lr must be positive and finite, got inf"),
        ("spiral", {"seed": -1}, "seed must be at least 0, got -1"),
        ("spiral", {"dropout": "0.5"}, "dropout must be from 0 to below 1, got '0.5'"),
        ("spiral", {"l1": -1}, "l1 must be 0 or more, got -1"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_experiment(name, out=tmp_path, **options)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"lr": "0.1"}, "lr must be a number, got '0.1'"),
        ({"hidden": 64}, "hidden must be a list of widths, got 64"),
        ({"hidden": [8.5]}, r"hidden must be an integer, got 8\.5; write hidden=64"),
        ({"epochs": 1.5}, r"epochs must be an integer, got 1\.5; write epochs=20"),
    ],
)
def test_settings_of_a_wrong_type_are_named(setting: dict, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Settings.for_dataset("spiral", **setting)
