"""The datasets by name: one line for each, and a place for the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arguments import one_of
from .dataset import Dataset
from .generated import spiral
from .packaged import digits

DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "spiral": spiral,
}


def load(name: str, **options: Any) -> Dataset:
    """The dataset called ``name``; ``options`` are those of its function in :data:`DATASETS`.

    Raises:
        ValueError: no dataset has this name.

    >>> load("spiral", arms=2, points=50)
    Dataset('spiral', rows=100, features=2, classes=2)
    """
    return DATASETS[one_of("dataset", name, DATASETS)](**options)
