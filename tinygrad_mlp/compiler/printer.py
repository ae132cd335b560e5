"""Printer: a program as text, with inputs, state, and a numbered line for each instruction.

``%3`` is the result of line 3, ``%3.mean`` another result of it. Parameters, their gradients and
optimizer state have their names in the model. A constant prints as its value, ``.T`` is the same
memory read transposed, and an op whose name ends in an underscore writes into its first input.
Parameters of a call that have their default value are omitted.

>>> import tinygrad_mlp as tg
>>> import tinygrad_mlp.nn.functional as F
>>> from tinygrad_mlp import nn, optim
>>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
>>> optimizer = optim.SGD(model.parameters(), lr=0.1)
>>> @tg.compile
... def train_step(x, y):
...     optimizer.zero_grad()
...     loss = F.mse_loss(model(x), y)
...     loss.backward()
...     optimizer.step()
...     return loss
>>> _ = train_step(tg.ones(4, 2), tg.ones(4, 1))
>>> print(train_step.program)  # doctest: +ELLIPSIS
inputs
  x  float32 (4, 2)
  y  float32 (4, 1)
state
...
backward
...
returns %3
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from ..autograd.tape import new
from ..autograd.values import as_array
from ..ops.fused.optimizer_update import Update
from .ir import STATE, TEMPORARY, Buffer, Instruction, Program, Region, as_captured

_WIDTH = 78  # columns of a call, before its shape
DEFAULTS: dict[str, Any] = dict(ignore_index=-100, label_smoothing=0.0, reduction="mean")
DEFAULTS |= dict.fromkeys(("keepdim", "nesterov", "maximize"), False)
_OMITTED = ("shape", "dtype", "classes", "count", "function")  # parameters that repeat the shapes


def text(program: Program) -> str:
    """Return the program as text."""
    names = Names(program)
    lines = ["inputs", *_table([(names(r), dtype_and_shape(r)) for r in program.inputs])]
    state = [(names(region), _state_text(region)) for region in _named_state(program)]
    lines += ["state", *_table(state)] if state else []
    parts = _parts(program)
    calls = {i: names.call(i) for _, part in parts for i in part}
    width = min(max(map(len, calls.values()), default=0), _WIDTH)
    number = 0
    for title, part in parts:
        lines.append(title)
        for instruction in part:
            number += 1
            lines += _lines(number, calls[instruction], result_shape(instruction), width)
    results = ", ".join(names(region) for region in program.results)
    return "\n".join([*lines, f"returns {results}"] if results else lines)


Program.format = text


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {what}" for name, what in rows]


def _lines(number: int, call: str, shape: str, width: int) -> list[str]:
    first, *rest = textwrap.wrap(call, width, subsequent_indent="    ", break_long_words=False)
    return [f"{number:>4}  {first:<{width}}  {shape}".rstrip(), *(f"      {line}" for line in rest)]


def dtype_and_shape(region: Region) -> str:
    """Return the dtype and shape of a region."""
    return f"{region.layout.dtype!s:<7} {region.layout.shape}"


def result_shape(instruction: Instruction) -> str:
    """Return the dtype and shape of what an instruction makes, or else writes into."""
    made = [r for r in instruction.outputs if r.buffer.role == TEMPORARY]
    return dtype_and_shape((made or list(instruction.outputs) or list(instruction.inputs))[0])


def _named_state(program: Program) -> list[Region]:
    """Return each state that has a name once, in the order of first use."""
    found: dict[Buffer, Region] = {}
    for instruction in as_captured(program.instructions):
        for region in (*instruction.inputs, *instruction.outputs):
            if region.buffer.role == STATE and not is_anonymous(region.buffer):
                found.setdefault(region.buffer, region)
    return list(found.values())


def _state_text(region: Region) -> str:
    value = f" = {_constant(region):g}" if region.layout.shape == () else ""
    return f"{dtype_and_shape(region)}{value}"


def _parts(program: Program) -> list[tuple[str, list[Instruction]]]:
    """Return the instructions under headings; rules and gradients mark the backward part."""
    instructions = program.instructions
    gradients = {region.buffer for _, region in program.gradients}
    backward = []
    for k, instruction in enumerate(instructions):
        made = {region.buffer for region in instruction.outputs} & gradients
        gradients -= made
        rules = (".vjp", "_backward", ".backward")
        if made or any(each.op.name.endswith(rules) for each in as_captured([instruction])):
            backward.append(k)
    if not backward:
        return [("program", instructions)]
    first, last = backward[0], backward[-1] + 1
    update = any(isinstance(i.op, Update) for i in as_captured(instructions[last:]))
    parts = [
        ("forward", instructions[:first]),
        ("backward", instructions[first:last]),
        ("update" if update else "then", instructions[last:]),
    ]
    return [(title, part) for title, part in parts if part]


def is_anonymous(buffer: Buffer) -> bool:
    """Return whether a buffer is state without a name in the user's code."""
    return buffer.name.startswith("state") and buffer.name[5:].isdigit()


class Names:
    """The name of each buffer: its own, or the number of the line that makes it."""

    def __init__(self, program: Program):
        self.names: dict[Buffer, str] = {
            r.buffer: r.buffer.name for _, r in program.gradients if r.buffer.role == TEMPORARY
        }
        self.shapes = {region.buffer: region.layout.shape for region in program.inputs}
        order = [instruction for _, part in _parts(program) for instruction in part]
        for number, instruction in enumerate(order, 1):
            outputs = instruction.op.outputs
            for k, region in enumerate(instruction.outputs):
                self.shapes.setdefault(region.buffer, region.layout.shape)
                if region.buffer.role == TEMPORARY:
                    suffix = f".{outputs[k] if k < len(outputs) else k}" if k else ""
                    self.names.setdefault(region.buffer, f"%{number}{suffix}")

    def __call__(self, region: Region) -> str:
        """Return a region in words."""
        buffer, layout = region.buffer, region.layout
        name = self.names.get(buffer, buffer.name)
        if buffer.role == STATE and is_anonymous(buffer):
            value = _constant(region)
            if value is not None:
                return f"{value:g}"
        shape = self.shapes.get(buffer, layout.shape)
        if region.is_whole and shape != layout.shape == shape[::-1] and layout.ndim == 2:
            return f"{name}.T"  # of a column or row, in the same order in memory
        if region.is_whole or (layout.contiguous and buffer.role != TEMPORARY):
            return name
        if not any(layout.strides) or layout.contiguous:
            return name if not region.offset else f"{name}[{region.offset}:]"
        if layout.ndim == 2 and layout.strides[0] == layout.dtype.itemsize:
            return f"{name}.T"
        return f"{name}.view{layout.shape}"

    def call(self, instruction: Instruction) -> str:
        """Return an instruction in words."""
        made = [self(r) for r in instruction.outputs if r.buffer.role == TEMPORARY]
        shown = [each for k, each in enumerate(made) if k == 0 or each.endswith(".grad")]
        params = [
            f"{name}={value}"
            for name, value in instruction.params.items()
            if name not in _OMITTED and (name not in DEFAULTS or DEFAULTS[name] != value)
        ]
        python = "  # in Python" if instruction.in_python else ""
        arguments = ", ".join([*map(self, instruction.inputs), *params])
        body = f"{instruction.name}({arguments}){python}"
        read = {region.buffer for region in instruction.inputs}
        in_place = all(region.buffer in read for region in instruction.outputs)
        return body if in_place or not shown else f"{', '.join(shown)} = {body}"


def _constant(region: Region) -> float | None:
    """Return the number that all elements of a region are; None if they differ."""
    if not 0 < region.layout.size <= 1 << 16:
        return None
    value = new(region.buffer.owner, region.layout, region.buffer.address + region.offset)
    elements: np.ndarray = as_array(value)
    first = elements.flat[0]
    return float(first) if (elements == first).all() else None
