"""Checkpoints: save the whole state of a training, and continue from it to the same bits.

A checkpoint is one safetensors file. It holds the tensors of the state dicts; their nesting and all
numbers are JSON in the file's metadata. Python's JSON round-trips each float64 exactly, inf and nan
included.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._common.files import atomic_write
from ..autograd.tape import Value
from ..autograd.values import as_array
from ..nn import Module
from ..ops.create import tensor
from ..ops.random import get_rng_state, set_rng_state
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from .history import History

FORMAT = 2  # 1: before the package was regrouped


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    *,
    scheduler: LRScheduler | None = None,
    history: History | None = None,
    callbacks: Sequence[object] = (),
) -> None:
    """Write the state of a training, the random number generator included, to one file.

    A temporary file is renamed to ``path``, so the file is complete or absent.

    Args:
        path: the file to write, ``.safetensors``.
        model, optimizer, scheduler, history: what `fit` was called with.
        callbacks: those with a ``state_dict`` are saved.

    >>> import os, tempfile
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.safetensors")
    ...     save_checkpoint(path, model, optimizer)
    ...     other = nn.Linear(2, 1)
    ...     load_checkpoint(path, other, optim.Adam(other.parameters()))
    >>> other.weight.tolist() == model.weight.tolist()
    True
    """
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "history": [] if history is None else history.rows,
        "callbacks": [each.state_dict() for each in stateful(callbacks)],
        "rng": get_rng_state(),
    }
    write(path, state)


def load_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    *,
    scheduler: LRScheduler | None = None,
    history: History | None = None,
    callbacks: Sequence[object] = (),
) -> None:
    """Restore the state that :func:`save_checkpoint` wrote, in place.

    Then ``fit(..., history=history, seed=...)``, with the same arguments as before, continues as if
    it had not been interrupted. The arguments are those of :func:`save_checkpoint`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint, or one of another network, optimizer or schedule.
    """
    state = read(path)
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if scheduler is not None:
            scheduler.load_state_dict(state["scheduler"])
        if history is not None:
            history.rows[:] = state["history"]
        for each, saved in zip(stateful(callbacks), state["callbacks"], strict=True):
            each.load_state_dict(saved)
        set_rng_state(state["rng"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is a checkpoint of another training: {error}") from error


def stateful(callbacks: Sequence[object]) -> list[Any]:
    """Return the callbacks that have a ``state_dict``."""
    return [each for each in callbacks if hasattr(each, "state_dict")]


def write(path: str | os.PathLike[str], tree: Any) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers and strings to one file."""
    from safetensors.numpy import save

    arrays: dict[str, Any] = {}
    header = json.dumps({"format": FORMAT, "tree": _to_json(tree, "checkpoint", arrays)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(arrays, metadata={"checkpoint": header}))


def read(path: str | os.PathLike[str]) -> Any:
    """Return what :func:`write` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint, or incomplete.
    """
    from safetensors import SafetensorError, safe_open

    Path(path).stat()  # raises FileNotFoundError
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["checkpoint"])
            if header["format"] != FORMAT:
                raise ValueError(
                    f"it has format {header['format']}, this version reads {FORMAT}; train anew, "
                    "or load it with the version that wrote it"
                )
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _from_json(header["tree"], arrays)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a complete checkpoint: {error}") from None


def _to_json(tree: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Return ``tree`` for JSON; its tensors go to ``arrays`` by their dotted names."""
    if isinstance(tree, Value):
        array = as_array(tree)
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)  # NumPy makes 0-d 1-d
        return {"tensor": name}
    if isinstance(tree, Mapping):
        pairs = [[key, _to_json(value, f"{name}.{key}", arrays)] for key, value in tree.items()]
        return {"counter" if isinstance(tree, Counter) else "dict": pairs}
    if isinstance(tree, (list, tuple)):
        items = [_to_json(value, f"{name}.{k}", arrays) for k, value in enumerate(tree)]
        return {"tuple": items} if isinstance(tree, tuple) else items
    return tree


def _from_json(tree: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(tree, list):
        return [_from_json(value, arrays) for value in tree]
    if not isinstance(tree, dict):
        return tree
    ((tag, content),) = tree.items()
    if tag == "tensor":
        return tensor(arrays[content])
    items = _from_json(content, arrays)
    if tag == "tuple":
        return tuple(items)
    return Counter(dict(items)) if tag == "counter" else dict(items)
