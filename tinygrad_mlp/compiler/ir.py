"""The intermediate representation: programs, instructions, buffers and regions.

A *buffer* is memory without an address yet. A *region* of it is an array: a layout at an offset. An
*instruction* is one applied op. It reads and writes regions by the *kernel calls* that the op made
when it was captured. A *program* is a list of instructions:

    %4 = linear(x, model.0.weight, model.0.bias)     float32 (128, 512)

The order of two instructions matters only if one writes what the other reads or writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..autograd.op import Op
from ..autograd.tape import Params
from ..kernels.runtime.launch import Launch
from ..kernels.runtime.layout import Layout

INPUT, STATE, TEMPORARY, SCRATCH = "input", "state", "temporary", "scratch"


@dataclass(eq=False)
class Buffer:
    """Memory that a program uses.

    ``role``: an *input* is memory of an argument, another one at each call. *State* outlives the
    program and keeps its address: parameters, optimizer state, running statistics, constants. A
    *temporary* is written by an instruction. It lies in the program's arena, as *scratch* does.
    """

    role: str
    nbytes: int
    name: str
    address: int = 0  # of state
    owner: Any = None  # of state: the storage, kept alive

    def __repr__(self) -> str:
        return f"<{self.role} {self.name}, {self.nbytes} bytes>"


@dataclass(frozen=True)
class BufferAddress:
    """An argument word that is an address: a byte of a buffer."""

    buffer: Buffer
    offset: int


@dataclass(frozen=True, eq=False)
class Region:
    """An array in a buffer: a layout at a byte offset."""

    buffer: Buffer
    offset: int
    layout: Layout

    def equals(self, other: Region) -> bool:
        """Return whether both are the same elements of the same memory in the same order."""
        own = (self.buffer, self.offset, self.layout)
        return own == (other.buffer, other.offset, other.layout)

    @property
    def address(self) -> BufferAddress:
        """The address of the first element."""
        return BufferAddress(self.buffer, self.offset)

    @property
    def is_whole(self) -> bool:
        """Whether the region is all of its buffer, in C order."""
        layout = self.layout
        return layout.contiguous and not self.offset and layout.nbytes == self.buffer.nbytes


Word = BufferAddress | int


@dataclass(frozen=True, eq=False)
class KernelCall:
    """A launch on buffers. ``words`` follow word 0, the address of the launch's constants."""

    launch: Launch
    words: tuple[Word, ...]


@dataclass(eq=False)
class Instruction:
    """One applied op, or several fused into one pass over memory (``parts``).

    An instruction without ``calls`` returns to Python, where the op runs on the regions.
    """

    op: Op
    inputs: tuple[Region, ...]
    params: Params
    outputs: tuple[Region, ...]
    calls: tuple[KernelCall, ...]
    parts: tuple[Instruction, ...] = ()
    label: str = ""  # printed instead of the op's name

    @property
    def in_python(self) -> bool:
        """Whether the instruction runs in Python."""
        return not self.calls

    @property
    def side_by_side(self) -> int:
        """How many of the calls, one after another, may run at the same time."""
        return int(self.inputs[0].layout.shape[0]) if self.op.per_slice else 1

    @property
    def error_flag(self) -> Region | None:
        """The int64 output after which the program ends unless it is 0."""
        name = self.op.error_flag
        return self.outputs[self.op.outputs.index(name)] if name else None

    @property
    def name(self) -> str:
        """The name to print."""
        return self.label or self.op.name

    @property
    def written(self) -> tuple[Region, ...]:
        """The outputs, and the inputs that the op changes."""
        return (*self.outputs, *(self.inputs[k] for k in self.op.mutates))

    def addresses(self) -> Iterator[BufferAddress]:
        """Yield the addresses among the words of the calls."""
        return (w for call in self.calls for w in call.words if isinstance(w, BufferAddress))

    def writes(self) -> set[Buffer]:
        """Return the buffers that are written, scratch included."""
        scratch = {a.buffer for a in self.addresses() if a.buffer.role == SCRATCH}
        return {region.buffer for region in self.written} | scratch

    def reads(self) -> set[Buffer]:
        """Return the buffers that are read."""
        used = {address.buffer for address in self.addresses()}
        return {region.buffer for region in self.inputs} | (used - self.writes())

    def writes_state(self) -> bool:
        """Return whether memory is written that outlives the program."""
        return any(buffer.role in (STATE, INPUT) for buffer in self.writes())


@dataclass(eq=False)
class Program:
    """A list of instructions, with the program's inputs, results and gradients."""

    format: ClassVar[Callable[[Program], str]] = object.__repr__  # set by printer.py

    instructions: list[Instruction]
    inputs: list[Region]  # the tensors among the arguments
    results: list[Region] = field(default_factory=list)  # the tensors that the function returns
    gradients: list[tuple[Any, Region]] = field(default_factory=list)  # leaf, its new gradient
    notes: list[str] = field(default_factory=list)  # what the passes did
    saved: list[tuple[Region, Region]] = field(default_factory=list)  # state, its initial copy

    def error_flags(self) -> list[Region]:
        """Return the error flags, in the order of the checks."""
        return [i.error_flag for i in self.instructions if i.error_flag is not None]

    def live_out(self) -> list[Region]:
        """Return the regions that are read after the last instruction."""
        gradients, saved = [g for _, g in self.gradients], [copy for _, copy in self.saved]
        return [*self.results, *gradients, *saved, *self.error_flags()]

    def __repr__(self) -> str:
        return Program.format(self)


def as_captured(instructions: Iterable[Instruction]) -> Iterator[Instruction]:
    """Yield the instructions as they were before fusion."""
    for instruction in instructions:
        if instruction.parts:
            yield from as_captured(instruction.parts)
        else:
            yield instruction


class ProgramError(Exception):
    """A program is malformed: an error in a pass, not in the user's code."""


def check(program: Program, after: str) -> None:
    """Raise `ProgramError` unless everything that is read was written before, inside its buffer.

    ``after`` names the pass that ran last, for the message.
    """
    defined = {region.buffer for region in program.inputs}
    for number, instruction in enumerate(program.instructions, 1):
        where = f"after {after}: instruction {number}, {instruction.name}"
        for region in (*instruction.inputs, *instruction.outputs):
            low, high = byte_range(region.layout)
            if region.offset + low < 0 or region.offset + high > region.buffer.nbytes:
                raise ProgramError(f"{where}: {region.layout} does not fit into {region.buffer}")
        for buffer in instruction.reads():
            if buffer.role in (TEMPORARY, SCRATCH) and buffer not in defined:
                raise ProgramError(f"{where}: reads {buffer}, which no instruction before it wrote")
        for address in instruction.addresses():
            if not 0 <= address.offset <= address.buffer.nbytes:
                raise ProgramError(f"{where}: an address is outside of {address.buffer}")
        defined |= instruction.writes()
    for region in program.live_out():
        if region.buffer.role == TEMPORARY and region.buffer not in defined:
            raise ProgramError(f"after {after}: {region.buffer} is read, and never written")


def byte_range(layout: Layout) -> tuple[int, int]:
    """Return the first byte and one past the last byte of an array, from its first element on."""
    if not layout.size:
        return 0, 0
    steps = [s * (n - 1) for n, s in zip(layout.shape, layout.strides, strict=True)]
    return sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps) + layout.dtype.itemsize


def readers(instructions: Iterable[Instruction]) -> dict[Buffer, list[Instruction]]:
    """Return the instructions that read each buffer."""
    found: dict[Buffer, list[Instruction]] = {}
    for instruction in instructions:
        for buffer in instruction.reads():
            found.setdefault(buffer, []).append(instruction)
    return found
