"""MNIST and Fashion-MNIST: from a folder that has them, or downloaded once.

Both come as four files of the same names and sizes. So the checksum of each file's contents, which
compression does not change, says which of the two it is, or that it is neither.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._common.array import Array
from ..kernels.runtime import cache
from . import idx
from .dataset import Dataset
from .download import download
from .tabular.preprocessor import Preparation


@dataclass(frozen=True)
class Published:
    """A dataset in MNIST's form, as it was published.

    Attributes:
        title: what people call it.
        classes: the name of each label.
        source: who made it.
        mirrors: addresses of folders with its files, gzip-compressed.
        contents: the SHA-256 of each file, decompressed.
    """

    title: str
    classes: tuple[str, ...]
    source: str
    mirrors: Sequence[str]
    contents: dict[str, str]


# The checksums of MNIST were taken of the files; those of Fashion-MNIST are what independent
# projects give for the files whose compressed forms have the MD5 sums of Zalando's README.
PUBLISHED = {
    "mnist": Published(
        title="MNIST",
        classes=tuple("0123456789"),
        source="LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998",
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        contents={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
    ),
    "fashion_mnist": Published(
        title="Fashion-MNIST",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        source="Xiao, Rasul and Vollgraf, Zalando Research, 2017, arXiv 1708.07747, MIT licence",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        contents={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
    ),
}


def mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """70,000 handwritten digits of 28 x 28 pixels: x float32 (60000, 784) in [0, 1], y int64.

    The 10,000 that its authors hold out to test with are its ``held_out``. The four files, plain
    or gzip-compressed, are looked for

    1. in ``data_dir``, if given: in its folder ``mnist``, or in itself; nowhere else,
    2. so too in ``$TINYGRAD_MLP_DATA``, if that is set and has them,
    3. in the cache, ``data/mnist`` beside the kernels, to which they are downloaded otherwise.

    Raises:
        FileNotFoundError: ``data_dir`` does not have them, or ``$TINYGRAD_MLP_DATA`` is no folder.
        ValueError: a file is truncated, altered, or of another dataset; the message names it.
        OSError: the download failed.

    Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998; in
    LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.

    Example::

        train, test = split(mnist(data_dir="downloads"))
    """
    return _load("mnist", data_dir)


def fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """70,000 pictures of clothes in the form of :func:`mnist`, which says all of the arguments.

    H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017, arXiv 1708.07747.

    Example::

        train, test = split(fashion_mnist())
    """
    return _load("fashion_mnist", data_dir)


def _load(name: str, data_dir: str | os.PathLike[str] | None) -> Dataset:
    folder = _folder(name, data_dir)
    test, train = (_part(name, folder, part) for part in ("t10k", "train"))
    return _dataset(name, *train, held_out=_dataset(name, *test))


def _part(name: str, folder: Path, part: str) -> tuple[Array, Array]:
    images = _read(name, folder, f"{part}-images-idx3-ubyte")  # uint8 (N, 28, 28)
    labels = _read(name, folder, f"{part}-labels-idx1-ubyte")  # uint8 (N,)
    return images, labels


def _dataset(name: str, images: Array, labels: Array, held_out: Dataset | None = None) -> Dataset:
    pixels, known = images.reshape(len(images), -1), PUBLISHED[name]
    preparation = Preparation.of_pixels(pixels.shape[1], most=255, classes=known.classes)
    return Dataset(
        name=name,
        x=np.divide(pixels, np.float32(255), dtype=np.float32),
        y=labels.astype(np.int64),
        classes=known.classes,
        image_shape=(images.shape[1], images.shape[2]),
        source=known.source,
        held_out=held_out,
        preparation=preparation,
    )


def _folder(name: str, data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder with the files of ``name``, which are downloaded if no folder has them."""
    files, chosen = PUBLISHED[name].contents, os.environ.get("TINYGRAD_MLP_DATA")
    if data_dir is not None:
        folder = _holding(name, Path(data_dir).expanduser())
        if folder is None:
            raise FileNotFoundError(
                f"{data_dir} has neither a folder {name!r} nor {next(iter(files))} or .gz itself; "
                "data_dir is the folder of the datasets, and without it they are downloaded"
            )
        return folder
    if chosen:
        if not Path(chosen).expanduser().is_dir():
            raise FileNotFoundError(f"TINYGRAD_MLP_DATA is {chosen!r}, which is no folder")
        if folder := _holding(name, Path(chosen).expanduser()):
            return folder
    folder = cache.root() / "data" / name
    for file in files:
        if _find(folder, file) is None:
            _download(name, folder, file)
    return folder


def _holding(name: str, folder: Path) -> Path | None:
    """``folder / name`` if it is there, or ``folder`` if it has one of the files itself."""
    if (folder / name).is_dir():
        return folder / name
    return folder if any(_find(folder, file) for file in PUBLISHED[name].contents) else None


def _find(folder: Path, file: str) -> Path | None:
    return next((p for p in (folder / file, folder / f"{file}.gz") if p.is_file()), None)


def _read(name: str, folder: Path, file: str) -> Array:
    path = _find(folder, file)
    if path is None:
        raise FileNotFoundError(f"{folder} has neither {file} nor {file}.gz")
    data = idx.contents(path.read_bytes(), str(path))
    array = idx.parse(data, str(path))  # first, because it says more than a checksum
    _identify(name, file, data, str(path))
    return array


def _download(name: str, folder: Path, file: str) -> None:
    urls = [f"{mirror}{file}.gz" for mirror in PUBLISHED[name].mirrors]

    def check(data: bytes) -> None:
        _identify(name, file, idx.contents(data, "what came"), "what came")

    try:
        download(urls, folder / f"{file}.gz", check)
    except OSError as error:
        raise OSError(
            f"{error}. To go without the network, put the four files of {PUBLISHED[name].title} "
            f"into a folder {name!r} and name the folder that holds it: data_dir=..."
        ) from None


def _identify(name: str, file: str, data: bytes, what: str) -> None:
    """Refuse ``data`` that are not those of ``file`` in the dataset ``name``, and say whose."""
    digest = hashlib.sha256(data).hexdigest()
    wanted = PUBLISHED[name]
    if digest == wanted.contents[file]:
        return
    for known in PUBLISHED.values():
        for other, theirs in known.contents.items():
            if digest == theirs:
                expected = "that" if other == file else file
                raise ValueError(
                    f"{what} is {other} of {known.title}, not {expected} of {wanted.title}"
                )
    raise ValueError(
        f"{what} does not hold {file} of {wanted.title}: it was altered, or is of another dataset; "
        f"expected contents of SHA-256 {wanted.contents[file]}, got {digest}"
    )
