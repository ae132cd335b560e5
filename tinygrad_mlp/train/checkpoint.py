"""Checkpoints: save the whole state of a training, and continue from it to the same bits.

A checkpoint is one safetensors file with a checksum. It holds the tensors of the state dicts; their
nesting and all numbers are JSON in the file's metadata. Python's JSON round-trips each float64
exactly, inf and nan included.

Loading checks every part before it changes any.
"""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .. import serialization
from .._common.array import Array
from ..autograd.tape import Value
from ..autograd.values import as_array
from ..kernels.runtime.layout import INT64
from ..nn import Module
from ..ops.create import tensor
from ..ops.random import get_rng_state, set_rng_state
from ..optim import Optimizer
from ..optim.lr_scheduler import LRScheduler
from .history import History
from .sigint import defer_sigint

FORMAT = 3  # 1: before the package was regrouped; 2: without names of callbacks
PARTS = {"model", "optimizer", "scheduler", "history", "callbacks", "rng"}


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: Optimizer,
    *,
    scheduler: LRScheduler | None = None,
    history: History | None = None,
    callbacks: Sequence[object] = (),
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the state of a training, the random number generator included, to one file.

    A temporary file is renamed to ``path``, so the file is complete or absent.

    Args:
        path: the file to write, ``.safetensors``.
        model, optimizer, scheduler, history: what `fit` was called with.
        callbacks: those with a ``state_dict`` are saved.
        metadata: strings by name to write into the file too, as in :func:`~tinygrad_mlp.save`.

    Raises:
        OSError: the file cannot be written; the error names it.

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
        "callbacks": [(_name(each), each.state_dict()) for each in stateful(callbacks)],
        "rng": get_rng_state(),
    }
    write(path, state, metadata or {})


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
    it had not been interrupted. The arguments are those of :func:`save_checkpoint`. After an error
    everything is as before: all parts are checked first, and a part of a user's own class whose
    ``load_state_dict`` fails is restored from its ``state_dict``.

    Raises:
        OSError: the file cannot be read, e.g. FileNotFoundError.
        ValueError: it is not a checkpoint, it is damaged, or it is one of another network,
            optimizer or schedule, or of other callbacks.

    >>> import os, tempfile
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> from tinygrad_mlp.train import Checkpoint, History
    >>> def parts():
    ...     model = nn.Linear(1, 1)
    ...     return model, optim.SGD(model.parameters(), lr=0.1)
    >>> data = [[1.0], [2.0]], [[2.0], [4.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.safetensors")
    ...     _ = tg.fit(*parts(), data, epochs=3, callbacks=[Checkpoint(path)], progress=False)
    ...     model, optimizer = parts()  # later, in another process
    ...     history = History()
    ...     load_checkpoint(path, model, optimizer, history=history)
    ...     _ = tg.fit(model, optimizer, data, epochs=5, history=history, progress=False)
    >>> history["epoch"]
    [1, 2, 3, 4, 5]
    """
    restore(path, read(path), model, optimizer, scheduler, history, callbacks)


def restore(
    path: str | os.PathLike[str],
    state: Any,
    model: Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    history: History | None,
    callbacks: Sequence[object],
) -> None:
    """Load what `read` returned into all parts, or raise ValueError and change nothing."""
    if not isinstance(state, Mapping) or not set(state) >= PARTS:
        raise ValueError(f"{path} is not a checkpoint: it does not hold {', '.join(sorted(PARTS))}")
    own = stateful(callbacks)
    try:
        parts: list[tuple[Any, Any]] = [(model, state["model"]), (optimizer, state["optimizer"])]
        parts += zip(own, _check_callbacks(own, state["callbacks"]), strict=True)
        if scheduler is not None:
            if state["scheduler"] is None:
                raise ValueError("it was saved without a scheduler; omit scheduler")
            parts.append((scheduler, state["scheduler"]))
        rows, rng = History(state["history"]).rows, _check_rng(state["rng"])
        loads = [part._prepare_load(saved) for part, saved in parts if _checks_first(type(part))]
        others = [(part, saved) for part, saved in parts if not _checks_first(type(part))]
        with defer_sigint() as ctrl_c:
            _load_or_undo(others)
            for load in loads:
                load()
            if history is not None:
                history.rows[:] = rows
            set_rng_state(rng)
    except MemoryError:
        raise
    except Exception as error:
        clear = isinstance(error, (ValueError, TypeError, RuntimeError))
        raise ValueError(
            f"{path} is a checkpoint of another training, and nothing was loaded: "
            f"{error if clear else repr(error)}"
        ) from error
    if ctrl_c.pressed:
        raise KeyboardInterrupt


def _checks_first(cls: type) -> bool:
    """Return whether ``_prepare_load`` belongs to the ``load_state_dict`` of this class."""
    classes = [
        next((c for c in cls.__mro__ if name in vars(c)), object)
        for name in ("_prepare_load", "load_state_dict")
    ]
    return classes[0] is not object and issubclass(*classes)


def _load_or_undo(parts: Sequence[tuple[Any, Any]]) -> None:
    """Load parts that only their own ``load_state_dict`` can check; after an error, restore all."""
    before: list[tuple[Any, Any]] = []
    try:
        for part, saved in parts:
            before.append((part, copy.deepcopy(part.state_dict())))
            part.load_state_dict(saved)
    except BaseException as error:
        for each, state in before:
            with suppress(Exception):  # the first error is the one to report
                each.load_state_dict(state)
        if isinstance(error, Exception):
            raise ValueError(f"{_name(part)}.load_state_dict raised {error!r}") from error
        raise


def _check_callbacks(own: Sequence[Any], saved: Any) -> list[Any]:
    """Return the saved states, which must be of callbacks of the same classes in this order."""
    pairs = saved if isinstance(saved, list) else [None]
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise ValueError("its callbacks must be a list of names and states")
    names = [str(name) for name, _ in saved]
    if names != [_name(each) for each in own]:
        given = ", ".join(map(_name, own)) or "none"
        raise ValueError(
            f"it was saved with {', '.join(names) or 'none'} (those that have a state), "
            f"and is loaded with {given}; pass the same callbacks in the same order"
        )
    return [state for _, state in saved]


def _check_rng(state: Any) -> Any:
    layout = state.layout if isinstance(state, Value) else None
    if layout is None or (layout.shape, layout.dtype) != ((2,), INT64):
        raise ValueError("its random state must be an int64 tensor of shape (2,)")
    return state


def _name(part: object) -> str:
    return type(part).__name__


def stateful(callbacks: Sequence[object]) -> list[Any]:
    """Return the callbacks that have a ``state_dict``."""
    return [each for each in callbacks if hasattr(each, "state_dict")]


def write(path: str | os.PathLike[str], tree: Any, metadata: Mapping[str, str]) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers and strings to one file."""
    arrays: dict[str, Array] = {}
    header = json.dumps({"format": FORMAT, "tree": _to_json(tree, "checkpoint", arrays)})
    serialization.write(arrays, path, {**metadata, "checkpoint": header})


def read(path: str | os.PathLike[str]) -> Any:
    """Return what :func:`write` wrote.

    Raises:
        OSError: the file cannot be read, e.g. FileNotFoundError.
        ValueError: it is not a checkpoint, damaged or incomplete.
    """
    arrays, metadata = serialization.read(path, signed=True)
    if "checkpoint" not in metadata:
        raise ValueError(
            f"{path} is not a checkpoint, but a file of tensors: load it with tg.load(path)"
        )
    try:
        header = json.loads(metadata["checkpoint"])
        version, tree = header["format"], header["tree"]
        if version == FORMAT:
            return _from_json(tree, arrays)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{path} is not a complete checkpoint") from None
    raise ValueError(
        f"{path} has the checkpoint format {version!r:.20}, this version reads {FORMAT}; train "
        "anew, or load it with the version that wrote it"
    )


def _to_json(tree: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Return ``tree`` for JSON; its tensors go to ``arrays`` by their dotted names."""
    if isinstance(tree, Value):
        arrays[name] = as_array(tree)
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
