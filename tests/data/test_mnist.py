import gzip
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.server import Server
from tests.data.test_idx import written
from tinygrad_mlp.data import fashion_mnist, load, mnist, split
from tinygrad_mlp.data.mnist import FILES, PUBLISHED
from tinygrad_mlp.kernels.runtime import cache

TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


def small(name: str) -> dict[str, bytes]:
    """The four files of a dataset in MNIST's form, of 6 and 4 pictures."""
    number = list(TITLES).index(name)
    files = {}
    for part, rows in (("train", 6), ("t10k", 4)):
        images = np.arange(rows * 6, dtype=np.uint8).reshape(rows, 2, 3) * 4 + number
        labels = (np.arange(rows, dtype=np.uint8) + number) % 10
        files[f"{part}-images-idx3-ubyte"] = written(images)
        files[f"{part}-labels-idx1-ubyte"] = written(labels)
    return files


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request, server: Server) -> None:
    """Both datasets are small ones, on a server of our own, with an empty cache."""
    if request.node.get_closest_marker("data"):
        return
    for name in TITLES:
        sha256 = [hashlib.sha256(small(name)[file]).hexdigest() for file in FILES]
        mirrors = (server.url(f"first/{name}/"), server.url(f"second/{name}/"))
        known = replace(PUBLISHED[name], sha256=sha256, mirrors=mirrors)
        monkeypatch.setitem(PUBLISHED, name, known)
        server.files |= {
            f"{place}/{name}/{file}.gz": gzip.compress(data)
            for place in ("first", "second")
            for file, data in small(name).items()
        }
    monkeypatch.setenv("TINYGRAD_MLP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYGRAD_MLP_DATA", raising=False)


def put(folder: Path, name: str, compressed: bool = True) -> Path:
    folder.mkdir(parents=True)
    for file, data in small(name).items():
        if compressed:
            (folder / f"{file}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / file).write_bytes(data)
    return folder


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("compressed", [True, False])
def test_files_become_rows(tmp_path: Path, server: Server, compressed: bool) -> None:
    put(tmp_path / "here" / "mnist", "mnist", compressed)
    dataset = mnist(tmp_path / "here")
    train, test = split(dataset)
    assert (train.x.dtype, train.y.dtype) == (np.float32, np.int64)
    assert (train.x.shape, test.x.shape) == ((6, 6), (4, 6))
    assert train.x[1, 2] == np.float32(8 * 4) / np.float32(255)
    assert train.y.tolist() == [0, 1, 2, 3, 4, 5]
    assert (train.name, test.name, train.image_shape) == ("mnist", "mnist", (2, 3))
    assert train.classes == tuple("0123456789")
    assert "LeCun" in train.source
    raw = np.arange(36, dtype=np.uint8).reshape(6, 2, 3) * 4
    assert (train.preprocessor.x(raw) == train.x).all(), "later images are scaled in the same way"
    assert server.asked == []


def test_a_folder_may_hold_the_dataset_or_be_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "here" / "mnist", "mnist")
    for place in (folder, folder.parent):
        assert mnist(str(place)).x.shape == (6, 6)
        monkeypatch.setenv("TINYGRAD_MLP_DATA", str(place))
        assert load("mnist").x.shape == (6, 6)


def test_each_dataset_finds_its_own_files(tmp_path: Path) -> None:
    for name in TITLES:
        put(tmp_path / name, name)
    assert mnist(tmp_path).y[0] == 0
    assert fashion_mnist(tmp_path).y[0] == 1
    assert fashion_mnist(tmp_path).classes[1] == "Trouser"


@pytest.mark.parametrize("name", TITLES)
def test_files_of_the_other_dataset_are_noticed_and_named(tmp_path: Path, name: str) -> None:
    (other,) = set(TITLES) - {name}
    put(tmp_path / name, other)
    message = f"-ubyte.gz is t10k-.* of {TITLES[other]}, not t10k-.* of {TITLES[name]}"
    with pytest.raises(ValueError, match=message):
        load(name, data_dir=tmp_path)


def test_files_that_took_each_others_names_are_noticed(tmp_path: Path) -> None:
    folder = put(tmp_path / "mnist", "mnist", compressed=False)
    shutil.copy(folder / FILES[0], folder / FILES[2])
    with pytest.raises(ValueError, match=f"is {FILES[0]} of MNIST, not {FILES[2]} of MNIST"):
        mnist(tmp_path)


def test_altered_and_truncated_files_are_named(tmp_path: Path) -> None:
    path = put(tmp_path / "mnist", "mnist", compressed=False) / "train-images-idx3-ubyte"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\x01")
    with pytest.raises(
        ValueError, match=rf"{path} does not hold train-images.* of MNIST: it was al"
    ):
        mnist(tmp_path)
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match=rf"{path} is truncated: from byte 16 expected uint8 of"):
        mnist(tmp_path)


def test_a_folder_without_the_files_is_named(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} has neither a folder 'mnist' nor"):
        mnist(tmp_path)
    folder = put(tmp_path / "mnist", "mnist")
    (folder / f"{FILES[1]}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=f"{folder} has neither {FILES[1]} nor {FILES[1]}"):
        mnist(tmp_path)
    monkeypatch.setenv("TINYGRAD_MLP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"TINYGRAD_MLP_DATA is '.*nowhere', which is not"):
        mnist()
    assert server.asked == [], "who names a folder means it"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_download_does_not_open_the_cache_to_others() -> None:
    """A cache that others can write to is refused: it holds kernels."""
    before = os.umask(0)
    try:
        mnist()
    finally:
        os.umask(before)
    assert cache.root().stat().st_mode & 0o777 == 0o700


def test_it_is_downloaded_once(tmp_path: Path, server: Server) -> None:
    first = mnist()
    assert server.asked == [f"first/mnist/{file}.gz" for file in FILES]
    assert left(tmp_path / "cache") == sorted(f"{file}.gz" for file in FILES)
    assert (mnist().x == first.x).all()
    assert len(server.asked) == 4
    assert cache.root() == tmp_path / "cache"


def test_what_the_chosen_folder_lacks_is_downloaded(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "here" / "mnist", "mnist")
    monkeypatch.setenv("TINYGRAD_MLP_DATA", str(tmp_path / "here"))
    assert fashion_mnist().y[0] == 1
    assert len(server.asked) == 4
    assert left(tmp_path / "here") == sorted(f"{file}.gz" for file in FILES)


def test_a_mirror_with_the_wrong_dataset_is_passed_over(tmp_path: Path, server: Server) -> None:
    for file, data in small("fashion_mnist").items():
        server.files[f"first/mnist/{file}.gz"] = gzip.compress(data)
    assert mnist().y[0] == 0
    assert len(server.asked) == 8


def test_a_failed_download_keeps_complete_files_and_continues_from_there(
    tmp_path: Path, server: Server
) -> None:
    server.cut |= {f"{place}/mnist/{FILES[1]}.gz" for place in ("first", "second")}
    with pytest.raises(
        OSError, match=f"{FILES[1]}.gz could not be downloaded: .*ended at byte"
    ) as e:
        mnist()
    assert "put the four files of MNIST into a folder 'mnist'" in str(e.value)
    assert left(tmp_path / "cache") == [f"{FILES[0]}.gz"]
    server.cut.clear()
    server.asked.clear()
    assert mnist().x.shape == (6, 6)
    assert server.asked == [f"first/mnist/{file}.gz" for file in FILES[1:]]


@pytest.mark.data
def test_the_real_mnist(data_folder: Path) -> None:
    train, test = split(mnist(data_folder))
    assert (train.x.shape, test.x.shape) == ((60000, 784), (10000, 784))
    assert (train.x.dtype, train.y.dtype) == (np.float32, np.int64)
    assert (train.x.min(), train.x.max()) == (0.0, 1.0)
    assert np.bincount(train.y).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert train.y[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert train.x.mean() == pytest.approx(0.1307, abs=1e-4)
    assert train.x.std() == pytest.approx(0.3081, abs=1e-4)
    middle = train.x[1].reshape(28, 28)[13:15, 13:15]
    assert middle.max() == 0.0, "the middle of a 0 is empty"


@pytest.mark.data
def test_the_real_mnist_is_not_taken_for_fashion(data_folder: Path) -> None:
    folder = data_folder / "mnist" if (data_folder / "mnist").is_dir() else data_folder
    with pytest.raises(ValueError, match="of MNIST, not t10k-images-idx3-ubyte of Fashion-MNIST"):
        fashion_mnist(folder)


@pytest.mark.data
def test_a_real_file_with_one_bit_altered_is_noticed(data_folder: Path, tmp_path: Path) -> None:
    part = "t10k-labels-idx1-ubyte"
    folder = data_folder / "mnist" if (data_folder / "mnist").is_dir() else data_folder
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    found = next(path for path in tmp_path.iterdir() if path.name.startswith(part))
    data = bytearray(gzip.decompress(found.read_bytes()))
    data[5000] ^= 1
    found.unlink()
    (tmp_path / part).write_bytes(data)
    with pytest.raises(ValueError, match=f"does not hold {part} of MNIST: it was altered"):
        mnist(tmp_path)
