"""Capture: a function of tensors is run once, for real, and every op that it applies is kept.

What the function does beside applying ops is done once and frozen: Python's numbers, branches and
attributes. What would carry a *value* out of the program, `.item()` and its like, raises.

An op is kept with the kernels that it launched. Their argument words are addresses, and each is
found again in the memory of a tensor that is known by then: so nothing has to be said of an op for
it to be captured, whatever it launches. An op that launched nothing, and yet made something, works
in Python, and will be run by Python in the program too.
"""

from __future__ import annotations

import bisect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..kernels.launch import Heard, listen
from ..kernels.memory import address_of, last_scratch
from ..kernels.storage import Storage
from ..tape import Entry, Record, Value, record
from .ir import (
    INPUT,
    MADE,
    SCRATCH,
    STATE,
    Buffer,
    Call,
    Instruction,
    Place,
    Program,
    Region,
    Word,
    extent,
)

_NUMBERS = 1 << 12  # a word below is no address but a number: a count, or nothing


class CaptureError(RuntimeError):
    """A step does what a program cannot: the message says where, and the way out."""

    done = False  # whether the step was taken all the same, to its end;
    result: Any = None  # then what it returned


@dataclass
class Captured:
    """A captured function: the program, what it returned, and what was taken for granted."""

    program: Program
    result: Any  # as it was returned, with this run's tensors
    regions: dict[int, Region]  # of the tensors in it, by their identity
    assumed: list[tuple[Callable[[], Any], Any]]  # facts of Python, and what they were
    leaves: list[tuple[Any, bool]]  # tensors that were there before; whether they want gradients
    without_gradient: list[Any]  # leaves that have to come without a gradient
    gradients_given: list[tuple[Any, Any]]  # leaves that come with a gradient, and it


def capture(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    names: dict[int, str],
    reset: frozenset[int] = frozenset(),
    finish: bool = False,
) -> Captured:
    """Run ``function`` and keep what it does as a program.

    ``names`` are those of tensors by identity. ``reset`` are leaves whose gradient the function is
    known to forget before it adds to it. ``finish``: run it to its end even if it cannot be
    captured, and raise then.

    Raises CaptureError, and whatever the function raises.
    """
    given = [v for v in (*arguments, *keywords.values()) if isinstance(v, Value)]
    with listen() as heard:
        recorder = _Recorder(function, given, names, heard, reset, finish)
        with record(recorder):
            result = function(*arguments, **keywords)
    try:
        if recorder.failed is not None:
            raise recorder.failed
        return recorder.finish(result)
    except CaptureError as error:
        error.done, error.result = True, result
        raise


class _Recorder(Record):
    """The entries of a capture, turned into instructions as they come."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: list[Any],
        names: dict[int, str],
        heard: Heard,
        reset: frozenset[int],
        to_the_end: bool,
    ):
        super().__init__()
        self.to_the_end, self.failed = to_the_end, None  # type: bool, CaptureError | None
        self.function, self.heard, self.names, self.reset_before = function, heard, names, reset
        self.memory = _Memory(names)
        regions = [self.memory.region(value, INPUT) for value in inputs]
        self.program = Program([], regions)
        self.assumed: list[tuple[Callable[[], Any], Any]] = []
        self.reset: set[int] = set()
        self.leaves: dict[int, Any] = {}
        self.without: list[Any] = []
        self.met: dict[int, Any] = {}  # tensors that were there before

    # --- what a recording is told ---

    def append(self, entry: Entry) -> None:
        """One more op was applied."""
        super().append(entry)  # keeps its tensors alive, and so their addresses theirs
        try:
            if self.failed is None:
                self._instruction(entry)
        except CaptureError as error:
            self._fail(error)

    def _fail(self, error: CaptureError) -> None:
        if not self.to_the_end:
            raise error
        self.failed = self.failed or error

    def _instruction(self, entry: Entry) -> None:
        inputs = tuple(self.memory.region(value, STATE) for value in entry.inputs)
        for value, region in zip(entry.inputs, inputs, strict=True):
            if region.buffer.kind == STATE and value.node is None and value.base is None:
                self.met[id(value)] = value
        outputs = tuple(self.memory.region(value, MADE) for value in entry.outputs)
        calls = self._calls()
        if entry.op.opaque:
            calls = ()  # it may do more than launch kernels
        view = all(out.buffer in [r.buffer for r in inputs] for out in outputs)
        if calls or not (view and not entry.op.mutates):
            self.program.instructions.append(
                Instruction(entry.op, inputs, entry.params, outputs, calls or ())
            )

    def refuse(self, what: str) -> None:
        """A value is about to leave the program."""
        error = CaptureError(
            f"{what} takes a value out of the step that is being compiled, {self._line()}; its "
            "value is known only when the step runs. Return the tensor and look at it after the "
            "call; choose between tensors with tg.where; or take @tg.compile off"
        )
        self._fail(error)

    def assume(self, fact: Callable[[], Any]) -> None:
        """The program will ask again, before each run."""
        self.assumed.append((fact, fact()))

    def no_gradient(self, leaf: Any) -> None:
        """What gradient the leaf came with does not matter."""
        self.reset.add(id(leaf))
        self.leaves[id(leaf)] = leaf

    def first_gradient(self, leaf: Any) -> None:
        """The leaf has no gradient: because it was forgotten here, or because it came so."""
        self.leaves[id(leaf)] = leaf
        if id(leaf) not in self.reset and id(leaf) not in self.reset_before:
            self.without.append(leaf)

    # --- turning it into a program ---

    def _calls(self) -> tuple[Call, ...]:
        """The launches since the last entry, on places; none if an address cannot be explained."""
        launches, self.heard[:] = list(self.heard), []
        scratch = _Scratch()
        calls = []
        for launch, words in launches:
            placed = [self._place(word, scratch) for word in words[1:]]
            if None in placed:
                return ()
            calls.append(Call(launch, tuple(word for word in placed if word is not None)))
        return tuple(calls)

    def _place(self, word: int, scratch: _Scratch) -> Word | None:
        if 0 <= word < _NUMBERS:
            return word
        return self.memory.place(word) or scratch.place(word)

    def _line(self) -> str:
        """Where in the user's code we are: the innermost line outside of this package."""
        own = __name__.split(".")[0]
        frames = [f for f, _ in traceback.walk_stack(None)]
        for frame in frames:
            if frame.f_globals.get("__name__", "").split(".")[0] != own:
                code = frame.f_code
                return f"in {code.co_name}, {code.co_filename}:{frame.f_lineno}"
        return "in the step"

    def finish(self, result: Any) -> Captured:
        """The program, complete."""
        program = self.program
        regions = {}
        for value in tensors_in(result):
            region = self.memory.region(value, STATE)
            if region.buffer.kind != STATE:
                regions[id(value)] = region
                program.results.append(region)
        leaves = [v for v in self.met.values() if v.layout.dtype.kind == "f"]
        given = []
        for leaf in {id(v): v for v in (*self.leaves.values(), *leaves)}.values():
            if leaf.grad is not None:
                region = self.memory.region(leaf.grad, STATE)
                if region.buffer.kind == MADE:
                    region.buffer.name = f"{self.names.get(id(leaf), region.buffer.name)}.grad"
                    program.gradients.append((leaf, region))
                elif id(leaf.grad) in self.met:
                    given.append((leaf, leaf.grad))
        self.memory.check()
        wanted = [(leaf, leaf.requires_grad) for leaf in leaves]
        return Captured(program, result, regions, self.assumed, wanted, self.without, given)


def tensors_in(value: Any) -> list[Any]:
    """The tensors in a structure of tuples, lists and dicts, in order."""
    if isinstance(value, Value):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for each in value for tensor in tensors_in(each)]
    if isinstance(value, dict):
        return [tensor for each in value.values() for tensor in tensors_in(each)]
    return []


class _Scratch:
    """The memory that an op asked for while it ran."""

    def __init__(self) -> None:
        self.address, self.size = last_scratch()
        self.buffer = Buffer(SCRATCH, self.size, "scratch")

    def place(self, word: int) -> Place | None:
        if self.address <= word <= self.address + self.size:
            return Place(self.buffer, word - self.address)
        return None


class _Memory:
    """The buffers met so far, and which addresses are theirs."""

    def __init__(self, names: dict[int, str]):
        self.names = names
        self.by_storage: dict[int, Buffer] = {}
        self.starts: list[int] = []  # sorted
        self.buffers: list[Buffer] = []  # beside their starts
        self.counts = {INPUT: 0, STATE: 0, MADE: 0}

    def region(self, value: Any, kind: str) -> Region:
        """Where a tensor lies; memory that was not met before becomes a buffer of this kind."""
        storage = value.storage
        buffer = self.by_storage.get(id(storage))
        if buffer is None:
            buffer = self._meet(value, storage, kind)
        low, high = extent(value.layout)
        begin = value.address - buffer.address + low
        if begin < 0:
            raise CaptureError(
                f"a tensor of shape {value.layout.shape} reaches memory in front of the tensor "
                f"that it is a view of, {buffer.name}; use .clone() on the one with negative steps"
            )
        buffer.nbytes = max(buffer.nbytes, begin + high - low)
        return Region(buffer, value.address - buffer.address, value.layout)

    def _meet(self, value: Any, storage: Storage, kind: str) -> Buffer:
        array = storage.array
        start = value.address + extent(value.layout)[0]
        size = extent(value.layout)[1] - extent(value.layout)[0]
        if kind != MADE and array.flags.c_contiguous:  # all of what it is a view of
            start = address_of(array) + max(storage.place, 0)
            size = array.nbytes - max(storage.place, 0)
        self.counts[kind] += 1
        letter = {INPUT: "in", STATE: "state", MADE: "%"}[kind]
        name = self.names.get(id(value), f"{letter}{self.counts[kind]}")
        buffer = Buffer(kind, size, name, start, storage)
        self.by_storage[id(storage)] = buffer
        at = bisect.bisect(self.starts, start)
        self.starts.insert(at, start)
        self.buffers.insert(at, buffer)
        return buffer

    def place(self, word: int) -> Place | None:
        """An address as a place in the buffer that it belongs to."""
        at = bisect.bisect(self.starts, word) - 1
        if at < 0 or word - self.starts[at] >= max(self.buffers[at].nbytes, 1):
            return None
        return Place(self.buffers[at], word - self.starts[at])

    def check(self) -> None:
        """Raise for memory that two storages share, unseen by the program."""
        for one, other in zip(self.buffers, self.buffers[1:], strict=False):
            if one.address + one.nbytes > other.address:
                raise CaptureError(
                    f"{one.name} and {other.name} are arrays that share memory; give the step "
                    "copies that do not"
                )
