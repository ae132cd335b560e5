"""What a program is made of: buffers, instructions on them, and how both are printed.

A *buffer* is memory known by number, not yet by address. A *region* of it is what an array was:
a layout at an offset. An *instruction* is one applied op: it reads regions and writes regions, by
the *calls* of kernels that it made when it was recorded. A *program* is a list of instructions.

    %4 = linear(x, model.0.weight, model.0.bias)     float32 (128, 512)

Between two of them order matters only if one writes what the other reads or writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..autograd.op import Op
from ..autograd.tape import Params
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import Layout

INPUT, STATE, MADE, SCRATCH = "input", "state", "made", "scratch"


@dataclass(eq=False)
class Buffer:
    """Memory that a program uses.

    ``kind``: an *input* is the caller's, another one at each call; *state* outlives the program and
    lies where it is (parameters, their optimizer's memory, running statistics, constants); what is
    *made* by an instruction, and *scratch*, lie in the program's arena.
    """

    kind: str
    nbytes: int
    name: str
    address: int = 0  # of state: where it is
    owner: Any = None  # of state: what keeps it alive

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}, {self.nbytes} bytes>"


@dataclass(frozen=True, eq=False)
class Region:
    """An array in a buffer: a layout at a byte offset."""

    buffer: Buffer
    offset: int
    layout: Layout

    def same(self, other: Region) -> bool:
        """Whether both are the same elements of the same memory in the same order."""
        return (
            self.buffer is other.buffer
            and self.offset == other.offset
            and self.layout is other.layout
        )

    @property
    def whole(self) -> bool:
        """Whether it is all of its buffer, in C order."""
        layout = self.layout
        return layout.contiguous and not self.offset and layout.nbytes == self.buffer.nbytes


@dataclass(frozen=True)
class Place:
    """An argument word that is an address: of a byte of a buffer."""

    buffer: Buffer
    offset: int


Word = Place | int


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel on places: what `Launch` is on addresses. Word 0, the constants, is the launch's."""

    launch: Launch
    words: tuple[Word, ...]


@dataclass(eq=False)
class Instruction:
    """One applied op, or several fused into one pass (then ``parts`` are what it stands for).

    Without ``calls`` it is a step back into Python: the op runs itself on the regions.
    """

    op: Op
    inputs: tuple[Region, ...]
    params: Params
    outputs: tuple[Region, ...]
    calls: tuple[Call, ...]
    parts: tuple[Instruction, ...] = ()
    label: str = ""  # of a fused one: what it is called instead of its op

    @property
    def in_python(self) -> bool:
        """Whether only Python can run it."""
        return not self.calls

    @property
    def error_flag(self) -> Region | None:
        """The int64 output after which the program ends unless it is 0."""
        name = self.op.error_flag
        return self.outputs[self.op.outputs.index(name)] if name else None

    @property
    def name(self) -> str:
        """What it is called in print."""
        return self.label or self.op.name

    @property
    def written(self) -> tuple[Region, ...]:
        """What it writes: its results, and the inputs that its op changes."""
        return (*self.outputs, *(self.inputs[k] for k in self.op.mutates))

    def places(self) -> Iterator[Place]:
        """Every address that its calls are given."""
        return (word for call in self.calls for word in call.words if isinstance(word, Place))

    def writes(self) -> set[Buffer]:
        """The buffers that it writes to, its scratch too."""
        used = {place.buffer for place in self.places()}
        scratch = {buffer for buffer in used if buffer.kind == SCRATCH}
        return {region.buffer for region in self.written} | scratch

    def reads(self) -> set[Buffer]:
        """The buffers that it reads."""
        used = {place.buffer for place in self.places()}
        return {region.buffer for region in self.inputs} | (used - self.writes())

    @property
    def work(self) -> float:
        """About how many nanoseconds it takes on one thread."""
        return sum(call.launch.work for call in self.calls)


@dataclass(eq=False)
class Program:
    """Instructions in order, what they are given, and what is looked at when they are done."""

    instructions: list[Instruction]
    inputs: list[Region]  # the tensors among the arguments
    results: list[Region] = field(default_factory=list)  # to be returned
    gradients: list[tuple[Any, Region]] = field(default_factory=list)  # leaf, what its grad becomes
    notes: list[str] = field(default_factory=list)  # what the passes did, in words
    saved: list[tuple[Region, Region]] = field(default_factory=list)  # state, its copy of before

    def buffers(self) -> list[Buffer]:
        """Every buffer, in the order in which it is met first."""
        met: dict[Buffer, None] = {region.buffer: None for region in self.inputs}
        for instruction in self.instructions:
            for region in (*instruction.inputs, *instruction.outputs):
                met[region.buffer] = None
            for place in instruction.places():
                met[place.buffer] = None
        for region in self.kept():
            met[region.buffer] = None
        return list(met)

    def error_flags(self) -> list[Region]:
        """Return the error flags, in the order of the checks."""
        return [i.error_flag for i in self.instructions if i.error_flag is not None]

    def kept(self) -> list[Region]:
        """Return the regions that are read after the last instruction."""
        gradients, saved = [g for _, g in self.gradients], [copy for _, copy in self.saved]
        return [*self.results, *gradients, *saved, *self.error_flags()]

    def __str__(self) -> str:
        from .printer import text

        return text(self)

    __repr__ = __str__


def as_captured(instructions: Iterable[Instruction]) -> Iterator[Instruction]:
    """The instructions before any were fused."""
    for instruction in instructions:
        if instruction.parts:
            yield from as_captured(instruction.parts)
        else:
            yield instruction


class ProgramError(Exception):
    """A program that is not well-formed: a mistake in a pass, not the user's."""


def check(program: Program, after: str) -> None:
    """Raise `ProgramError` unless all that is read was written before, inside its buffer.

    ``after``: what made the program so, for the message.
    """
    known = {region.buffer for region in program.inputs}
    for number, instruction in enumerate(program.instructions, 1):
        where = f"after {after}: instruction {number}, {instruction.name}"
        for region in (*instruction.inputs, *instruction.outputs):
            low, high = extent(region.layout)
            if region.offset + low < 0 or region.offset + high > region.buffer.nbytes:
                raise ProgramError(f"{where}: {region.layout} does not fit into {region.buffer}")
        for buffer in instruction.reads():
            if buffer.kind in (MADE, SCRATCH) and buffer not in known:
                raise ProgramError(f"{where}: reads {buffer}, which nothing before it wrote")
        for place in instruction.places():
            if not 0 <= place.offset <= place.buffer.nbytes:
                raise ProgramError(f"{where}: an address outside of {place.buffer}")
        known |= instruction.writes()
    for region in program.kept():
        if region.buffer.kind == MADE and region.buffer not in known:
            raise ProgramError(f"after {after}: {region.buffer} is wanted, and nothing wrote it")


def extent(layout: Layout) -> tuple[int, int]:
    """The first and one past the last byte of an array, from where its first element is."""
    if not layout.size:
        return 0, 0
    steps = [s * (n - 1) for n, s in zip(layout.shape, layout.strides, strict=True)]
    return (
        sum(step for step in steps if step < 0),
        sum(step for step in steps if step > 0) + layout.dtype.itemsize,
    )


def users(instructions: Iterable[Instruction]) -> dict[Buffer, list[Instruction]]:
    """The instructions that read each buffer."""
    found: dict[Buffer, list[Instruction]] = {}
    for instruction in instructions:
        for buffer in instruction.reads():
            found.setdefault(buffer, []).append(instruction)
    return found
