"""MNIST and Fashion-MNIST, from a folder with their files or downloaded once.

Both are published as four files of the same names and sizes. The checksum of a file's decompressed
contents tells which of the two it belongs to, or that it belongs to neither.
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
from .tabular.preprocessor import Preprocessor

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLOTHES = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"


@dataclass(frozen=True)
class Published:
    """A published dataset in the format of MNIST.

    Attributes:
        title: its usual name.
        classes: name of each label.
        source: authors, year and publication.
        mirrors: addresses of folders with its files, gzip-compressed.
        sha256: checksums of the decompressed ``FILES``, in their order.
    """

    title: str
    classes: Sequence[str]
    source: str
    mirrors: Sequence[str]
    sha256: Sequence[str]


# The checksums of MNIST were computed from the files. Those of Fashion-MNIST are given by
# independent projects for the files whose compressed forms have the MD5 sums of Zalando's README.
PUBLISHED = {
    "mnist": Published(
        title="MNIST",
        classes=tuple("0123456789"),
        source="LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998",
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": Published(
        title="Fashion-MNIST",
        classes=tuple(CLOTHES.split(", ")),
        source="Xiao, Rasul and Vollgraf, Zalando Research, 2017, arXiv 1708.07747, MIT licence",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
}


def mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load 70,000 images of handwritten digits, 28 x 28 pixels.

    The four files, plain or gzip-compressed, are searched

    1. in ``data_dir``, if given: in its subfolder ``mnist`` or directly in it, and nowhere else;
    2. in the same way in ``$TINYGRAD_MLP_DATA``, if it is set;
    3. in the cache folder, in ``data/mnist``, to which they are downloaded if they are not there.

    Args:
        data_dir: folder with the files.

    Returns:
        x float32 (60000, 784) in [0, 1]; y int64 (60000,). The 10,000 test images of the authors
        are its ``held_out``.

    Raises:
        FileNotFoundError: ``data_dir`` lacks the files, or ``$TINYGRAD_MLP_DATA`` is not a folder.
        ValueError: a file is truncated, altered, or from another dataset; the message names it.
        OSError: the download failed, or a file cannot be read.

    Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998; in
    LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.

    ``train, test = split(mnist())`` needs no files. This folder lacks them:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mnist(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: ... has neither a folder 'mnist' nor the file train-images-idx3-ubyte or ...
    """
    return _load("mnist", data_dir)


def fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load 70,000 images of clothes, 28 x 28 pixels.

    Args, Returns and Raises are those of :func:`mnist`; the subfolder is ``fashion_mnist``.

    H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017, arXiv 1708.07747, MIT licence.

    ``train, test = split(fashion_mnist())`` needs no files. This folder lacks them:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fashion_mnist(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: ... has neither a folder 'fashion_mnist' nor the file ...
    """
    return _load("fashion_mnist", data_dir)


def _load(name: str, data_dir: str | os.PathLike[str] | None) -> Dataset:
    folder = _folder(name, data_dir)
    test = _part(name, folder, "t10k")
    return _part(name, folder, "train", held_out=test)


def _part(name: str, folder: Path, part: str, held_out: Dataset | None = None) -> Dataset:
    images = _read(name, folder, f"{part}-images-idx3-ubyte")  # uint8 (N, 28, 28)
    labels = _read(name, folder, f"{part}-labels-idx1-ubyte")  # uint8 (N,)
    pixels, published = images.reshape(len(images), -1), PUBLISHED[name]
    return Dataset(
        name=name,
        x=np.divide(pixels, np.float32(255), dtype=np.float32),
        y=labels.astype(np.int64),
        classes=tuple(published.classes),
        image_shape=(images.shape[1], images.shape[2]),
        source=published.source,
        held_out=held_out,
        preprocessor=Preprocessor.for_images(pixels.shape[1], 255, published.classes),
    )


def _folder(name: str, data_dir: str | os.PathLike[str] | None) -> Path:
    """Return the folder with the files of ``name``, after a download if there is none."""
    if data_dir is not None:
        found = _find_folder(name, Path(data_dir).expanduser())
        if found is None:
            raise FileNotFoundError(
                f"{data_dir} has neither a folder {name!r} nor the file {FILES[0]} or "
                f"{FILES[0]}.gz; name the folder that has them, data_dir=..., or omit it to "
                "download them"
            )
        return found
    if variable := os.environ.get("TINYGRAD_MLP_DATA"):
        folder = Path(variable).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"TINYGRAD_MLP_DATA is {variable!r}, which is not a folder; set it to "
                "the folder with the files, or unset it to download them"
            )
        if found := _find_folder(name, folder):
            return found
    folder = cache.root() / "data" / name
    for file in FILES:
        if _find(folder, file) is None:
            cache.root().mkdir(mode=0o700, parents=True, exist_ok=True)  # kernels are in it, too
            _download(name, folder, file)
    return folder


def _find_folder(name: str, folder: Path) -> Path | None:
    """Return ``folder / name`` if it exists, or ``folder`` if it has one of the files."""
    if (folder / name).is_dir():
        return folder / name
    return folder if any(_find(folder, file) for file in FILES) else None


def _find(folder: Path, file: str) -> Path | None:
    return next((p for p in (folder / file, folder / f"{file}.gz") if p.is_file()), None)


def _read(name: str, folder: Path, file: str) -> Array:
    path = _find(folder, file)
    if path is None:
        raise FileNotFoundError(f"{folder} has neither {file} nor {file}.gz")
    data = idx.decompress(path.read_bytes(), str(path))
    array = idx.parse(data, str(path))  # before the checksum, because its errors say more
    _check_contents(name, file, data, str(path))
    return array


def _download(name: str, folder: Path, file: str) -> None:
    def check(data: bytes) -> None:
        _check_contents(name, file, idx.decompress(data, "the download"), "the download")

    urls = [f"{mirror}{file}.gz" for mirror in PUBLISHED[name].mirrors]
    try:
        download(urls, folder / f"{file}.gz", check)
    except OSError as error:
        raise OSError(
            f"{error}. To work offline, put the four files of {PUBLISHED[name].title} into a "
            f"folder {name!r}; pass its parent folder, data_dir=..., or set TINYGRAD_MLP_DATA to it"
        ) from None


def _check_contents(name: str, file: str, data: bytes, what: str) -> None:
    """Raise ValueError unless ``data`` are those of ``file`` in the dataset ``name``."""
    digest = hashlib.sha256(data).hexdigest()
    title, expected = PUBLISHED[name].title, PUBLISHED[name].sha256[FILES.index(file)]
    if digest == expected:
        return
    for known in PUBLISHED.values():
        if digest in known.sha256:
            found = FILES[known.sha256.index(digest)]
            raise ValueError(f"{what} is {found} of {known.title}, not {file} of {title}")
    raise ValueError(
        f"{what} does not hold {file} of {title}: it was altered, or belongs to another dataset; "
        f"expected contents with SHA-256 {expected}, got {digest}"
    )
