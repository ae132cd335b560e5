"""`tinygrad-mlp study`: the page of one backward pass, of an example, a dataset, or a run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from .._common.array import Array
from .._common.validation import check_int
from .._tensor import Tensor
from ..autograd.modes import no_grad
from ..data import DATASETS, Dataset
from ..nn import Linear, Module, ReLU, Sequential
from ..nn import functional as F
from ..ops.create import tensor
from ..ops.random import manual_seed
from ..runs import Settings, open_run
from ..runs.run_folder import CONFIG, fit_arrays
from ..study import page

EXAMPLE = "2-3-1"
"""The network that is small enough to compute by hand."""


def write_page(name: str, rows: int, out: Path | None, overwrite: bool) -> Path:
    """Write the page of the first training pass over ``rows`` rows; return the path of the file.

    Args:
        name: `EXAMPLE`, a key of ``DATASETS`` for a new network, or the folder of a run.
        rows: how many rows the pass has.
        out: the file to write; None: a file in a new temporary folder.
        overwrite: whether to replace the file ``out``.
    """
    if out is not None and out.is_file() and not overwrite:
        raise FileExistsError(f"{out} exists: use overwrite=True to replace it")
    check_int("rows", rows, minimum=1, example=16)
    manual_seed(0)
    model, x, y = _example() if name == EXAMPLE else _of(name, rows)
    model.train()
    if out is None:
        out = Path(tempfile.mkdtemp(prefix="tinygrad-mlp-")) / f"study-{Path(name).name}.html"

    def loss() -> Tensor:
        return F.mse_loss(model(x), y) if y.dtype.kind == "f" else F.cross_entropy(model(x), y)

    page(loss, out, names=model, title=f"{name}: a backward pass, step by step")
    return out


def _example() -> tuple[Module, Tensor, Tensor]:
    model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    numbers: list[Any] = [[[0.5, -0.25], [0.75, 1], [-1, 0.5]], [0.1, -0.2, -0.3]]
    numbers += [[[1, -0.5, 2]], [0.1]]
    with no_grad():
        for parameter, value in zip(model.parameters(), numbers, strict=True):
            parameter.copy_(tensor(value))
    return model, tensor([[1.0, 2.0]]), tensor([[1.0]])


def _of(name: str, rows: int) -> tuple[Module, Tensor, Tensor]:
    """Return the network of a run, or a new one for a dataset, and the first rows."""
    if name not in DATASETS:
        if not (Path(name) / CONFIG).is_file():
            raise ValueError(
                f"{name!r} is not {EXAMPLE}, a dataset ({', '.join(DATASETS)}) or the folder of a "
                "run; tinygrad-mlp train makes a run"
            )
        run = open_run(name)
        return run.model, *_tensors(run.test_rows(), rows)
    settings = Settings.for_dataset(name)
    train, _ = settings.load_data()
    outputs = max(1, len(train.classes))
    return settings.build_model(train.x.shape[1], outputs), *_tensors(train, rows)


def _tensors(data: Dataset, rows: int) -> tuple[Tensor, Tensor]:
    x, y = (_evenly(array, rows) for array in fit_arrays(data))
    return tensor(x), tensor(y)


def _evenly(array: Array, rows: int) -> Array:
    """Return so many rows from all of an array: rows may be sorted by class."""
    return array[:: max(1, len(array) // rows)][:rows]
