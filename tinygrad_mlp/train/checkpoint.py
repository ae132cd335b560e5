"""A training on disk, to go on from exactly: weights, optimizer, schedule, random numbers, place.

It is one safetensors file. Its tensors are those of the state dicts; what else they hold, numbers
and their nesting, is JSON in the file's metadata. Python's JSON writes each float64 so that reading
gives the same bits, and knows inf and nan.
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
from .history import History

FORMAT = 1
TENSOR, TUPLE, PAIRS, COUNTS = "<tensor>", "<tuple>", "<dict>", "<counter>"


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    *,
    scheduler: Any = None,
    history: History | None = None,
    callbacks: Sequence[Any] = (),
) -> None:
    """Write the state of all of them, and of the random numbers, to ``path``.

    The file appears whole or not at all. Of ``callbacks`` those count that have a ``state_dict``.
    """
    write(
        path,
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
            "history": [] if history is None else history.rows,
            "callbacks": [each.state_dict() for each in stateful(callbacks)],
            "rng": get_rng_state(),
        },
    )


def load_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    *,
    scheduler: Any = None,
    history: History | None = None,
    callbacks: Sequence[Any] = (),
) -> None:
    """Give all of them, and the random numbers, the state that :func:`save_checkpoint` wrote.

    Then ``fit(..., history=history, seed=...)`` goes on as if it had never stopped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or one of another network, optimizer or schedule.
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


def stateful(callbacks: Sequence[Any]) -> list[Any]:
    """Those of ``callbacks`` that have something to remember."""
    return [each for each in callbacks if hasattr(each, "state_dict")]


def write(path: str | os.PathLike[str], tree: Any) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers and strings to one file."""
    from safetensors.numpy import save

    arrays: dict[str, Any] = {}
    plain = json.dumps({"format": FORMAT, "tree": _packed(tree, "", arrays)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(arrays, metadata={"checkpoint": plain}))


def read(path: str | os.PathLike[str]) -> Any:
    """What :func:`write` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or not whole.
    """
    from safetensors import SafetensorError, safe_open

    Path(path).stat()  # raises if it is not there
    try:
        with safe_open(path, framework="numpy") as file:
            told = json.loads((file.metadata() or {})["checkpoint"])
            if told["format"] != FORMAT:
                raise ValueError(f"its format is {told['format']}, not {FORMAT}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _unpacked(told["tree"], arrays)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no whole checkpoint: {error}") from None


def _packed(tree: Any, name: str, arrays: dict[str, Any]) -> Any:
    """``tree`` as JSON, with its tensors put into ``arrays`` by their dotted names."""
    if isinstance(tree, Value):
        array = as_array(tree)
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)  # NumPy makes 0-d 1-d
        return {TENSOR: name}
    if isinstance(tree, Mapping):
        pairs = [
            [k, _packed(v, f"{name}.{k}" if name else str(k), arrays)] for k, v in tree.items()
        ]
        if isinstance(tree, Counter):
            return {COUNTS: pairs}
        return dict(pairs) if all(isinstance(k, str) for k in tree) else {PAIRS: pairs}
    if isinstance(tree, (list, tuple)):
        items = [_packed(value, f"{name}.{k}", arrays) for k, value in enumerate(tree)]
        return {TUPLE: items} if isinstance(tree, tuple) else items
    return tree


def _unpacked(tree: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(tree, list):
        return [_unpacked(value, arrays) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if TENSOR in tree:
        return tensor(arrays[tree[TENSOR]])
    if TUPLE in tree:
        return tuple(_unpacked(value, arrays) for value in tree[TUPLE])
    for mark, kind in ((PAIRS, dict), (COUNTS, Counter)):
        if mark in tree:
            return kind({key: _unpacked(value, arrays) for key, value in tree[mark]})
    return {key: _unpacked(value, arrays) for key, value in tree.items()}
