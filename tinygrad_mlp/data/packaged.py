"""Datasets inside the package: real data that need no network connection."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from .dataset import Dataset
from .tabular.preprocessor import Preprocessor


def digits() -> Dataset:
    """Load 1,797 images of handwritten digits, 8 x 8 pixels.

    Pixels count ink from 0 to 16, here divided by 16. ``data/files/digits.txt`` has details.

    Returns:
        x float32 (1797, 64) in [0, 1]; y int64 (1797,).

    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, doi 10.24432/C50P49, CC BY 4.0.

    >>> digits()
    Dataset('digits', rows=1797, features=64, classes=10)
    """
    resource = files(__package__) / "files" / "digits.npz"
    with resource.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]  # uint8 (N, 8, 8) and (N,)
    classes = tuple("0123456789")
    return Dataset(
        name="digits",
        x=images.reshape(len(images), -1).astype(np.float32) / np.float32(16),
        y=labels.astype(np.int64),
        classes=classes,
        image_shape=(8, 8),
        source="Alpaydin and Kaynak, UCI, 1998, doi 10.24432/C50P49, CC BY 4.0",
        preprocessor=Preprocessor.for_images(64, maximum=16, classes=classes),
    )
