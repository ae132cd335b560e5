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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..autograd.modes import Record, is_grad_enabled, record
from ..autograd.tape import Entry, Value
from ..kernels.runtime.launch import LaunchLog, record_launches
from ..kernels.runtime.memory import address_of, last_scratch
from ..kernels.runtime.storage import Storage
from ..ops.random import state
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

_LEAVING = (
    "its value is known only when the step runs. Return the tensor and look at it after the call; "
    "choose between tensors with tg.where; or take @tg.compile off"
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
    inputs: list[Any]  # the tensors that it was given
    result: Any  # as it was returned, with this run's tensors
    places: dict[int, int]  # of the tensors in it among the program's results, by their identity
    assumed: list[tuple[Callable[[], Any], Any]]  # facts of Python, and what they were
    leaves: list[tuple[Any, bool]]  # tensors that were there before; whether they want gradients
    guard_grad_is_none: list[Any]  # leaves that have to come without a gradient
    gradients_given: list[tuple[Any, Any]]  # leaves that come with a gradient, and it
    forgotten: list[Any]  # leaves that are left without a gradient
    left: str = ""  # the name of a place where a tensor was left that only this run made


def capture(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    inputs: list[Any],
    leaves: list[Any],
    names: Callable[[], dict[int, str]],
    held: Callable[[], Iterable[tuple[str, Any]]],
    reset: frozenset[int] = frozenset(),
    to_the_end: bool = False,
) -> Captured:
    """Run ``function`` and keep what it does as a program.

    ``inputs`` are the tensors among the arguments that will be others at the next call, ``leaves``
    those whose gradients the function may read or set. ``names`` says what tensors are called, by
    their identity; it is asked when all is done, for an optimizer makes its state on the way.
    ``held`` says, when all is done, what the surroundings hold.
    ``reset`` are leaves whose gradient the function is known to forget before it adds to it.
    ``to_the_end``: run the function to its end even if it cannot be captured, and raise then.

    Raises CaptureError, and whatever the function raises.
    """
    with record_launches() as heard:
        recorder = _Recorder(inputs, leaves, heard, reset, to_the_end)
        with record(recorder):
            result = function(*arguments, **keywords)
    try:
        if recorder.failed is not None:
            raise recorder.failed
        left = recorder.left(held())
        return replace(recorder.finish(result, names()), left=left)
    except CaptureError as error:
        error.done, error.result = True, result
        raise


class _Recorder(Record):
    """The entries of a capture, turned into instructions as they come."""

    replayed = True
    failed: CaptureError | None = None

    def __init__(
        self,
        inputs: list[Any],
        leaves: list[Any],
        heard: LaunchLog,
        reset: frozenset[int],
        to_the_end: bool,
    ):
        super().__init__()
        self.to_the_end = to_the_end
        self.heard, self.reset_before = heard, reset
        self.memory = _Memory()
        self.inputs = inputs
        self.program = Program([], [self.memory.region(value, INPUT) for value in inputs])
        self.assumed: list[tuple[Callable[[], Any], Any]] = []
        self.reset: dict[int, Any] = {}
        self.leaves: dict[int, Any] = {}
        self.without: list[Any] = []
        self.before = [(leaf, leaf.grad) for leaf in leaves]
        self.met: dict[int, Any] = {}  # tensors that were there before
        self.known = {id(value) for value in inputs}  # arguments, and what was made since
        for value in inputs:
            self._check_off_tape(value, "an argument")

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
            if id(value) not in self.known:
                self._meet(value, region)
        outputs = tuple(self.memory.region(value, MADE) for value in entry.outputs)
        self.known.update(map(id, entry.outputs))
        calls = self._calls()
        if entry.op.python_only:  # what it launched is what it chose to: it may choose again
            calls = ()
        view = all(out.buffer in [r.buffer for r in inputs] for out in outputs)
        if calls or entry.op.python_only or not (view and not entry.op.mutates):
            self.program.instructions.append(
                Instruction(entry.op, inputs, entry.params, outputs, calls or ())
            )

    def _meet(self, value: Any, region: Region) -> None:
        """A tensor that was there before the step."""
        if region.buffer.kind == INPUT:
            raise CaptureError(
                f"the step reads the memory of its argument {list(value.layout.shape)} through "
                f"another tensor too, {self._line()}, and the next argument would be only one of "
                "them; use the argument alone, or give the step a clone of it"
            )
        self.known.add(id(value))
        if region.buffer.kind == STATE:
            self._check_off_tape(value, "a tensor from outside of the step")
            if value.node is None and value.base is None:
                self.met[id(value)] = value

    def _check_off_tape(self, value: Any, what: str) -> None:
        if value.node is not None and value.requires_grad and is_grad_enabled():
            raise CaptureError(
                f"{what}, of shape {value.layout.shape}, is a result of `{value.node.op.name}` on "
                "the tape, and gradients cannot go on from the compiled step to what came before "
                "it: compute it inside the step, or give x.detach()"
            )

    def graph_break(self, what: str, instead: str = "") -> None:
        """``what`` cannot be a part of a program."""
        self._fail(CaptureError(f"{what}, {self._line()}; {instead or _LEAVING}"))

    def add_guard(self, fact: Callable[[], Any]) -> None:
        """The program will ask again, before each run."""
        self.assumed.append((fact, fact()))

    def on_grad_reset(self, leaf: Any) -> None:
        """What gradient the leaf came with does not matter."""
        self.reset[id(leaf)] = self.leaves[id(leaf)] = leaf

    def guard_grad_is_none(self, leaf: Any) -> None:
        """The leaf has no gradient: because it was forgotten here, or because it came so."""
        self.leaves[id(leaf)] = leaf
        if id(leaf) not in self.reset and id(leaf) not in self.reset_before:
            self.reset[id(leaf)] = leaf
            self.without.append(leaf)

    # --- turning it into a program ---

    def left(self, held: Iterable[tuple[str, Any]]) -> str:
        """Where the step left a tensor that it made, as the program would not; or ""."""
        made = {id(value) for entry in self for value in entry.outputs}
        made -= {id(value) for value in self.inputs} | set(self.met)
        found = (name for name, value in held if isinstance(value, Value) and id(value) in made)
        return next(found, "")

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

    def finish(self, result: Any, names: dict[int, str]) -> Captured:
        """The program, complete."""
        program = self.program
        places = {}
        for value in tensors_in(result):
            region = self.memory.region(value, STATE)
            if region.buffer.kind != STATE:
                places[id(value)] = len(program.results)
                program.results.append(region)
        leaves = [v for v in (*self.inputs, *self.met.values()) if v.layout.dtype.kind == "f"]
        given = []
        around = [leaf for leaf, _ in self.before]
        own = {id(v) for entry in self for v in entry.outputs} - set(self.met)
        self.without = [v for v in self.without if id(v) not in own]
        self.reset = {k: v for k, v in self.reset.items() if k not in own}
        known = {id(v): v for v in (*self.leaves.values(), *leaves, *around) if id(v) not in own}
        for leaf in known.values():
            if leaf.grad is not None:
                region = self.memory.region(leaf.grad, STATE)
                if region.buffer.kind == MADE:
                    program.gradients.append((leaf, region))
                elif id(leaf.grad) in self.met:
                    given.append((leaf, leaf.grad))
        self.memory.check()
        self._name(names)
        for buffer in self.memory.buffers:
            if buffer.kind != STATE:  # this run's memory is not the program's
                buffer.owner, buffer.address = None, 0
        had = {id(v): v for v, gradient in self.before if gradient is not None}
        forgotten = [v for v in (self.reset | had).values() if v.grad is None]
        wanted = [(v, v.requires_grad) for v in leaves if id(v) in self.met]
        return Captured(
            program,
            self.inputs,
            result,
            places,
            self.assumed,
            wanted,
            self.without,
            given,
            forgotten,
        )

    def _name(self, names: dict[int, str]) -> None:
        """Call buffers what the user calls them."""
        for value in (*self.inputs, *self.met.values()):
            if id(value) in names:
                self.memory.region(value, STATE).buffer.name = names[id(value)]
        rng = self.memory.by_storage.get(id(state().storage))
        if rng is not None:
            rng.name = "rng"
        for leaf, region in self.program.gradients:
            region.buffer.name = f"{names.get(id(leaf), 'a leaf')}.grad"


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

    def __init__(self) -> None:
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
        buffer = Buffer(kind, size, f"{letter}{self.counts[kind]}", start, storage)
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
