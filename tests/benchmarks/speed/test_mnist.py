"""The race to a test accuracy, on small files: format, rules, figures."""

import gzip

import numpy as np
import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS, script, written
from tinygrad_mlp.data import load

NAMES = {"train": "train", "test": "t10k"}


def write_idx(path, array, compress):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    if compress:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    """The packaged digits as files in MNIST's format; one of them compressed."""
    x, y = load("digits").x, load("digits").y
    images = np.round(x.reshape(-1, 8, 8) * 255)
    for part, rows in (("train", slice(300, None)), ("test", slice(300))):
        write_idx(tmp_path / f"{NAMES[part]}-images-idx3-ubyte", images[rows], part == "train")
        write_idx(tmp_path / f"{NAMES[part]}-labels-idx1-ubyte", y[rows], False)
    return tmp_path


def test_files_are_read(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from races.race import read

    digits = load("digits")
    for part, rows in (("train", slice(300, None)), ("test", slice(300))):
        x, y = read(folder, part)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, digits.x[rows], atol=0.5 / 255 + 1e-7)
        np.testing.assert_array_equal(y, digits.y[rows])


def test_batches_hold_each_row_once_in_a_new_order(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from races.race import BATCH, Race, read

    arrays = *read(folder, "train"), *read(folder, "test")
    race = Race(*arrays, seed=0, threads=1, goal=0.8, epochs=2)
    first, second = (np.concatenate(list(race.batches())) for _ in range(2))
    assert len(first) == len(race.x) // BATCH * BATCH == len(np.unique(first))
    assert not np.array_equal(first, second)
    assert race.sizes == (64, 512, 512, 10)


def test_a_race_ends_at_its_goal_or_its_last_epoch(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from races.race import Race, read

    arrays = *read(folder, "train"), *read(folder, "test")
    right, wrong = arrays[3], (arrays[3] + 1) % 10

    def run(*predictions):
        race, classes = Race(*arrays, seed=0, threads=1, goal=0.8, epochs=3), iter(predictions)
        race.train(lambda: None, lambda: next(classes), lambda folder: (folder / "model").touch())
        return race.accuracies, race.reached

    assert run(wrong, right) == ([0.0, 1.0], True)
    assert run(wrong, wrong, wrong) == ([0.0, 0.0, 0.0], False)


def test_figures(folder):
    options = ["--data-dir", str(folder), "--goal", "0.8", "--rounds", "1", "--threads", "1"]
    done = script("mnist", *options, "--only", "ours", "PyTorch", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert "seconds to 80% test accuracy, 1 thread" in done.stderr
    rows = written(done)["rows"]
    assert rows[0]["name"] == "ours"
    for row in rows:
        (run,) = row["runs"]
        assert run["reached"]
        assert run["seconds"] > 0
        *earlier, last = run["accuracies"]
        assert last >= 0.8 > max(earlier, default=0)


def test_a_folder_without_the_files_is_refused(tmp_path):
    done = script("mnist", "--data-dir", str(tmp_path), "--threads", "1", "--only", "ours")
    assert done.returncode != 0
    assert "train-images-idx3-ubyte" in done.stderr
