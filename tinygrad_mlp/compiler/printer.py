"""A program in print: what it is given, what it keeps, and a numbered line for each instruction.

``%3`` is what line 3 makes, ``%3.mean`` another result of it. Parameters, their gradients and what
optimizers remember have the names of the model; numbers stand for themselves, ``.T`` is the same
memory read transposed, and an op whose name ends in an underscore writes into its first input.
What is left out of a call is as by default.

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
>>> sections(train_step.program)
['inputs', 'state', 'forward', 'backward', 'update', 'returns']
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from ..autograd.tape import new
from ..autograd.values import as_array
from ..ops.fused.optimizer_update import Update
from .ir import MADE, STATE, Buffer, Instruction, Program, Region, as_captured

WIDTH = 110  # columns at most
_MIDDLE = 78  # of a call, before its shape
_DEFAULTS: dict[str, Any] = {
    "ignore_index": -100,
    "label_smoothing": 0.0,
    "reduction": "mean",
    "keepdim": False,
    "nesterov": False,
    "maximize": False,
}
_TOLD = ("shape", "dtype", "classes", "count")  # parameters that the shapes tell


def text(program: Program) -> str:
    """The program as a person reads it."""
    names = Names(program)
    lines = ["inputs", *_table([(names(r), array(r)) for r in program.inputs])]
    state = [(names(region), _kept(region)) for region in _state(program)]
    lines += ["state", *_table(state)] if state else []
    parts = _parts(program)
    calls = {i: names.call(i) for _, part in parts for i in part}
    width = min(max(map(len, calls.values()), default=0), _MIDDLE)
    number = 0
    for title, part in parts:
        lines.append(title)
        for instruction in part:
            number += 1
            lines += _line(number, calls[instruction], shape(instruction), width)
    kept = ", ".join(names(region) for region in program.results)
    return "\n".join([*lines, f"returns {kept}"] if kept else lines)


def sections(program: Program) -> list[str]:
    """The headings of the text of a program."""
    return [line.split()[0] for line in text(program).split("\n") if line and line[0] != " "]


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {what}" for name, what in rows]


def _line(number: int, call: str, made: str, width: int) -> list[str]:
    first, *rest = textwrap.wrap(call, width, subsequent_indent="    ", break_long_words=False)
    lines = [f"{number:>4}  {first:<{width}}  {made}".rstrip()]
    return lines + [f"      {line}" for line in rest]


def array(region: Region) -> str:
    """The dtype and shape of a region."""
    return f"{region.layout.dtype!s:<7} {region.layout.shape}"


def shape(instruction: Instruction) -> str:
    """What an instruction makes, or else what it writes into."""
    made = [r for r in instruction.outputs if r.buffer.kind == MADE]
    return array((made or list(instruction.outputs) or list(instruction.inputs))[0])


def _state(program: Program) -> list[Region]:
    """The state that has a name, once each, in the order in which it is met."""
    met: dict[Buffer, Region] = {}
    for instruction in as_captured(program.instructions):
        for region in (*instruction.inputs, *instruction.outputs):
            if region.buffer.kind == STATE and not anonymous(region.buffer):
                met.setdefault(region.buffer, region)
    return list(met.values())


def _kept(region: Region) -> str:
    value = f" = {_value(region):g}" if region.layout.shape == () else ""
    return f"{array(region)}{value}"


def _parts(program: Program) -> list[tuple[str, list[Instruction]]]:
    """The instructions under headings: what is backward is told by rules and first gradients."""
    instructions = program.instructions
    wanted = {region.buffer for _, region in program.gradients}
    back = []
    for k, instruction in enumerate(instructions):
        made = {region.buffer for region in instruction.outputs} & wanted
        wanted -= made
        if made or any(map(_is_rule, as_captured([instruction]))):
            back.append(k)
    if not back:
        return [("program", instructions)]
    first, last = back[0], back[-1] + 1
    update = any(isinstance(i.op, Update) for i in as_captured(instructions[last:]))
    parts = [
        ("forward", instructions[:first]),
        ("backward", instructions[first:last]),
        ("update" if update else "then", instructions[last:]),
    ]
    return [(title, part) for title, part in parts if part]


def _is_rule(instruction: Instruction) -> bool:
    return instruction.op.name.endswith((".vjp", "_backward", ".backward"))


def anonymous(buffer: Buffer) -> bool:
    """Whether it is state that the user has no name for."""
    return buffer.name.startswith("state") and buffer.name[5:].isdigit()


class Names:
    """What each buffer is called: its own name, or the number of the line that makes it."""

    def __init__(self, program: Program):
        self.names: dict[Buffer, str] = {}
        for _, region in program.gradients:
            if region.buffer.kind == MADE:
                self.names[region.buffer] = region.buffer.name
        order = [instruction for _, part in _parts(program) for instruction in part]
        for number, instruction in enumerate(order, 1):
            for k, region in enumerate(instruction.outputs):
                if region.buffer.kind == MADE and region.buffer not in self.names:
                    own = instruction.op.outputs
                    which = own[k] if k < len(own) else str(k)
                    self.names[region.buffer] = f"%{number}.{which}" if k else f"%{number}"

    def __call__(self, region: Region) -> str:
        """A region in words."""
        buffer, layout = region.buffer, region.layout
        name = self.names.get(buffer, buffer.name)
        if buffer.kind == STATE and anonymous(buffer):
            value = _value(region)
            if value is not None:
                return f"{value:g}"
        if region.whole or (layout.contiguous and buffer.kind != MADE):
            return name
        if not any(layout.strides) or layout.contiguous:
            return name if not region.offset else f"{name}[{region.offset}:]"
        if layout.ndim == 2 and layout.strides[0] == layout.dtype.itemsize:
            return f"{name}.T"
        return f"{name}.view{layout.shape}"

    def call(self, instruction: Instruction) -> str:
        """An instruction in words."""
        made = [self(r) for r in instruction.outputs if r.buffer.kind == MADE]
        shown = [each for k, each in enumerate(made) if k == 0 or each.endswith(".grad")]
        given = [self(region) for region in instruction.inputs]
        params = [
            f"{name}={value}"
            for name, value in instruction.params.items()
            if name not in _TOLD and (name not in _DEFAULTS or _DEFAULTS[name] != value)
        ]
        python = "  # in Python" if instruction.in_python else ""
        body = f"{instruction.name}({', '.join([*given, *params])}){python}"
        into = {region.buffer for region in instruction.inputs}
        in_place = all(region.buffer in into for region in instruction.outputs)
        return body if in_place or not shown else f"{', '.join(shown)} = {body}"


def _value(region: Region) -> float | None:
    """The number that all elements of a region are, if they are."""
    if not 0 < region.layout.size <= 1 << 16:
        return None
    value = new(region.buffer.owner, region.layout, region.buffer.address + region.offset)
    elements: np.ndarray = as_array(value)
    first = elements.flat[0]
    return float(first) if (elements == first).all() else None
