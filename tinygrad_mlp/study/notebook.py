"""What notebooks show of tensors, networks, tapes, programs and histories: HTML.

`install` gives the classes their method ``_repr_html_``; the package calls it once.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.values import as_array
from ..compiler.ir import Program
from ..nn import Module
from ..train import History
from .page import events_html
from .steps import Steps
from .tape import Tape

ROWS, COLUMNS = 12, 10  # of a tensor that are shown
LOW, HIGH = "33, 102, 172", "204, 102, 0"  # the colours of negative and positive numbers


def tensor_html(value: Tensor) -> str:
    """Return a tensor as a table of its first numbers, coloured by sign and size."""
    array = as_array(value)
    notes = f"{array.dtype} {array.shape}"
    if value.node is not None:
        notes += f", grad_fn {value.node.op.name}"
    elif value.requires_grad:
        notes += ", requires_grad"
    table = (
        array.reshape(-1, array.shape[-1]) if array.ndim and array.size else array.reshape(1, -1)
    )
    shown = table[:ROWS, :COLUMNS]
    size = float(np.abs(shown[np.isfinite(shown)]).max(initial=0)) or 1.0
    rows = [[_cell(number, size) for number in row] for row in shown.tolist()]
    if shown.size < table.size:
        notes += f"; {shown.size} of {table.size:,} elements"
    return _table(rows, caption=notes)


def _cell(number: Any, size: float) -> str:
    """Return a number with a background: blue if negative, orange if positive."""
    colour = LOW if number < 0 else HIGH
    share = min(abs(number) / size, 1.0) if number == number else 1.0
    style = f"background: rgba({colour}, {0.6 * share:.2f}); text-align: right"
    return f'<td style="{style}">{number:.5g}</td>'


def module_html(module: Module) -> str:
    """Return a network as its text and a table of its parameters."""
    rows = [
        [name, f"{p.dtype} {p.shape}", f"{p.numel():,}", "yes" if p.requires_grad else "no"]
        for name, p in module.named_parameters()
    ]
    total = sum(p.numel() for p in module.parameters())
    head = ("parameter", "shape", "elements", "trained")
    return _text(module) + _table(_cells(rows), head, f"{total:,} elements")


def history_html(history: History) -> str:
    """Return a history as a table with a row for each epoch."""
    rows = [[f"{number:.5g}" for number in row.values()] for row in history]
    return _table(_cells(rows), history.names, f"{len(history)} epochs")


def steps_html(steps: Steps) -> str:
    """Return a backward pass as the page of `tg.study.page`, in a frame."""
    text = html.escape(events_html(steps, "A backward pass, step by step"), quote=True)
    style = "width: 100%; height: 760px; border: 1px solid #888"
    return f'<iframe srcdoc="{text}" style="{style}" title="a backward pass"></iframe>'


def _text(value: object) -> str:
    return f"<pre>{html.escape(str(value))}</pre>"


def _cells(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    return [[f"<td>{html.escape(cell)}</td>" for cell in row] for row in rows]


def _table(rows: Iterable[Sequence[str]], head: Sequence[str] = (), caption: str = "") -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    lines = [f"<tr>{cells}</tr>"] if head else []
    lines += [f"<tr>{''.join(row)}</tr>" for row in rows]
    return f"<table><caption>{html.escape(caption)}</caption>{''.join(lines)}</table>"


CLASSES: dict[type, Callable[[Any], str]] = {
    Tensor: tensor_html,
    Module: module_html,
    History: history_html,
    Steps: steps_html,
    Tape: _text,
    Program: _text,
}


def install() -> None:
    """Give each class of `CLASSES` the method that notebooks call."""
    for each, function in CLASSES.items():
        setattr(each, "_repr_html_", function)  # noqa: B010
