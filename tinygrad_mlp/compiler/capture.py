"""Capture: run a function once, for real, and record every op that it applies as an instruction.

Whatever else the function does happens once and is frozen: Python's numbers, branches, attributes.
What would take a *value* out of the program, such as `.item()`, raises `CaptureError`.

An op is recorded with the kernels that it launched. Their argument words are addresses, and each is
found in the memory of a tensor that is known by then. So an op needs no further declaration to be
captured. An op that launches no kernel and yet returns a new tensor runs in Python, and returns to
Python in the program too.
"""

from __future__ import annotations

import bisect
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..autograd.modes import Record, is_grad_enabled, record
from ..autograd.tape import Entry, Value
from ..kernels.runtime.launch import LaunchLog, record_launches
from ..kernels.runtime.memory import address_of, last_scratch
from ..kernels.runtime.storage import Storage
from ..ops.random import state
from . import ir
from .guards import GuardContext
from .signature import argument_names, arrays_in

_INSTEAD = (
    "its value is known only when the step runs. Return the tensor and read it after the call; "
    "choose between tensors with tg.where; or remove @tg.compile"
)
_LOWEST_ADDRESS = 1 << 12  # a smaller word is a number
_PREFIXES = {ir.INPUT: "in", ir.STATE: "state", ir.TEMPORARY: "%"}  # of the names of buffers


class CaptureError(RuntimeError):
    """A step does what a compiled program cannot do.

    The message names the line and what to write instead. Raised by the first call of a compiled
    function, and by later calls that are captured again.

    >>> import tinygrad_mlp as tg
    >>> half = tg.compile(lambda x: x / x.sum().item())
    >>> try:
    ...     half(tg.ones(2))
    ... except tg.CaptureError as error:
    ...     print(str(error).partition(",")[0])
    item() takes a value out of the step that is being compiled
    """

    completed = False  # whether the step ran to its end despite the error
    result: Any = None  # the result of the step, if completed

    def after(self, result: Any) -> CaptureError:
        """Return the error of a step that ran to its end and returned ``result``."""
        self.completed, self.result = True, result
        return self


@dataclass
class Captured:
    """A captured function: the program, and what it depends on."""

    program: ir.Program
    inputs: list[Any]  # the tensors among the arguments
    result: Any  # as returned, with the tensors of this run
    result_numbers: dict[int, int]  # of the tensors in it among the program's results, by id
    guards: list[tuple[Callable[[], Any], Any]]  # facts of Python, and their values
    leaves: list[tuple[Any, bool]]  # tensors from outside, and their requires_grad
    without_grad: list[Any]  # leaves whose gradient must be None before a run
    given_gradients: list[tuple[Any, Any]]  # leaves whose gradient must be this tensor
    reset: list[Any]  # leaves whose gradient is None after a run
    left_in: str  # the name of a place where the step left a tensor that it made


def capture(
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    inputs: list[Any],
    context: GuardContext,
    reset: frozenset[int],
    complete: bool,
) -> Captured:
    """Run the function of ``context`` and record what it does as a program.

    Args:
        arguments, keywords: what the function is called with.
        inputs: the tensors among the arguments that are others at the next call.
        context: the function, and what it can reach by name.
        reset: ids of leaves whose gradient the function is known to reset before it adds to it.
        complete: whether to run the function to its end even if it cannot be captured, and raise
            then.

    Raises:
        CaptureError: the function cannot be captured.
    """
    recorder = _Recorder(inputs, context.leaves(), reset, complete)
    with record_launches() as recorder.launches, record(recorder):
        result = context.function(*arguments, **keywords)
    try:
        if recorder.failure is not None:
            raise recorder.failure
        left_in = recorder.left_in(context.found.held())
        names = argument_names(context.function, arguments, keywords) | context.names()
        return recorder.finish(result, names, left_in)
    except CaptureError as error:
        error.after(result)
        raise


class _Recorder(Record):
    """A recording that turns the applied ops into instructions."""

    replayed = True
    failure: CaptureError | None = None

    launches: LaunchLog = []

    def __init__(
        self, inputs: list[Any], leaves: list[Any], known_reset: frozenset[int], complete: bool
    ):
        super().__init__()
        self.complete, self.known_reset = complete, known_reset
        self.memory = _Memory()
        self.inputs = inputs
        self.program = ir.Program([], [self.memory.region(value, ir.INPUT) for value in inputs])
        self.guards: list[tuple[Callable[[], Any], Any]] = []
        self.reset: dict[int, Any] = {}
        self.leaves: dict[int, Any] = {}
        self.without_grad: list[Any] = []
        self.initial = [(leaf, leaf.grad) for leaf in leaves]
        self.external: dict[int, Any] = {}  # tensors that existed before the run
        self.known = {id(value) for value in inputs}  # arguments, and tensors met since
        for value in inputs:
            self._check_off_tape(value, "an argument")

    # --- the calls of a recording ---

    def append(self, entry: Entry) -> None:
        """Record an applied op."""
        super().append(entry)  # keeps its tensors alive, and so their memory
        try:
            if self.failure is None:
                self._add_instruction(entry)
        except CaptureError as error:
            self._fail(error)

    def graph_break(self, what: str, instead: str = "") -> None:
        """Raise, as ``what`` cannot be a part of a program."""
        self._fail(CaptureError(f"{what}, {_user_line()}; {instead or _INSTEAD}"))

    def add_guard(self, fact: Callable[[], Any]) -> None:
        """Run the program only while ``fact()`` returns what it returns now."""
        self.guards.append((fact, fact()))

    def on_grad_reset(self, leaf: Any) -> None:
        """Note that the gradient that ``leaf`` came with does not matter."""
        self.reset[id(leaf)] = self.leaves[id(leaf)] = leaf

    def guard_grad_is_none(self, leaf: Any) -> None:
        """Note that ``leaf.grad`` is None, because the step reset it or because it came so."""
        self.leaves[id(leaf)] = leaf
        if id(leaf) not in self.reset and id(leaf) not in self.known_reset:
            self.reset[id(leaf)] = leaf
            self.without_grad.append(leaf)

    def _fail(self, error: CaptureError) -> None:
        if not self.complete:
            raise error
        self.failure = self.failure or error

    # --- instructions ---

    def _add_instruction(self, entry: Entry) -> None:
        op = entry.op
        inputs = tuple(self.memory.region(value, ir.STATE) for value in entry.inputs)
        for value, region in zip(entry.inputs, inputs, strict=True):
            if id(value) not in self.known:
                self._add_external(value, region)
        outputs = tuple(self.memory.region(value, ir.TEMPORARY) for value in entry.outputs)
        self.known.update(map(id, entry.outputs))
        calls = self._kernel_calls()
        if op.python_only:  # it may launch other kernels in the next run
            calls = ()
        read = [region.buffer for region in inputs]
        is_view = not op.mutates and all(out.buffer in read for out in outputs)
        if calls or op.python_only or not is_view:
            self.program.instructions.append(
                ir.Instruction(op, inputs, entry.params, outputs, calls)
            )

    def _add_external(self, value: Any, region: ir.Region) -> None:
        if region.buffer.role == ir.INPUT:
            raise CaptureError(
                f"the step reads the memory of its argument {list(value.layout.shape)} through "
                f"another tensor too, {_user_line()}, and at the next call these may be two "
                "memories; use the argument alone, or pass a clone of it"
            )
        self.known.add(id(value))
        if region.buffer.role == ir.STATE:
            self._check_off_tape(value, "a tensor from outside of the step")
            if value.node is None and value.base is None:
                self.external[id(value)] = value

    def _check_off_tape(self, value: Any, what: str) -> None:
        if value.node is not None and value.requires_grad and is_grad_enabled():
            raise CaptureError(
                f"{what}, of shape {value.layout.shape}, is a result of `{value.node.op.name}` on "
                "the tape, and gradients cannot flow from a compiled step to the ops before it: "
                "compute it inside the step, or pass x.detach()"
            )

    def _kernel_calls(self) -> tuple[ir.KernelCall, ...]:
        """Return the launches since the last op; none if an address belongs to no known memory."""
        launches, self.launches[:] = list(self.launches), []
        scratch_address, size = last_scratch()
        scratch = ir.Buffer(ir.SCRATCH, size, "scratch")

        def located(word: int) -> ir.Word | None:
            if 0 <= word < _LOWEST_ADDRESS:
                return word
            inside = scratch_address <= word <= scratch_address + size
            in_scratch = ir.BufferAddress(scratch, word - scratch_address) if inside else None
            return self.memory.locate(word) or in_scratch

        calls = []
        for launch, words in launches:
            found = [located(word) for word in words[1:]]
            if None in found:
                return ()
            calls.append(ir.KernelCall(launch, tuple(word for word in found if word is not None)))
        return tuple(calls)

    # --- after the run ---

    def left_in(self, reachable: Iterable[tuple[str, Any]]) -> str:
        """Return the name of a place where the step left a tensor that it made, or ""."""
        made = {id(value) for entry in self for value in entry.outputs}
        made -= {id(value) for value in self.inputs} | set(self.external)
        found = (name for name, v in reachable if isinstance(v, Value) and id(v) in made)
        return next(found, "")

    def finish(self, result: Any, names: dict[int, str], left_in: str) -> Captured:
        """Return the complete program, and what it depends on."""
        program, memory = self.program, self.memory
        result_numbers = {}
        for value in arrays_in((result,)):
            region = memory.region(value, ir.STATE) if isinstance(value, Value) else None
            if region is not None and region.buffer.role != ir.STATE:
                result_numbers[id(value)] = len(program.results)
                program.results.append(region)
        made = {id(v) for entry in self for v in entry.outputs} - set(self.external)
        floats = [v for v in (*self.inputs, *self.external.values()) if v.layout.dtype.kind == "f"]
        candidates = (*self.leaves.values(), *floats, *(leaf for leaf, _ in self.initial))
        given = []
        for leaf in {id(v): v for v in candidates if id(v) not in made}.values():
            if leaf.grad is not None:
                region = memory.region(leaf.grad, ir.STATE)
                if region.buffer.role == ir.TEMPORARY:
                    program.gradients.append((leaf, region))
                elif id(leaf.grad) in self.external:
                    given.append((leaf, leaf.grad))
        memory.check_disjoint()
        self._name_buffers(names)
        for buffer in memory.buffers:
            if buffer.role != ir.STATE:  # the program has other memory than this run
                buffer.owner, buffer.address = None, 0
        reset = {key: leaf for key, leaf in self.reset.items() if key not in made}
        reset |= {id(leaf): leaf for leaf, gradient in self.initial if gradient is not None}
        return Captured(
            program,
            self.inputs,
            result,
            result_numbers,
            self.guards,
            leaves=[(v, v.requires_grad) for v in floats if id(v) in self.external],
            without_grad=[leaf for leaf in self.without_grad if id(leaf) not in made],
            given_gradients=given,
            reset=[leaf for leaf in reset.values() if leaf.grad is None],
            left_in=left_in,
        )

    def _name_buffers(self, names: dict[int, str]) -> None:
        for value in (*self.inputs, *self.external.values()):
            if id(value) in names:
                self.memory.region(value, ir.STATE).buffer.name = names[id(value)]
        rng = self.memory.by_storage.get(id(state().storage))
        if rng is not None:
            rng.name = "rng"
        for leaf, region in self.program.gradients:
            region.buffer.name = f"{names.get(id(leaf), 'a leaf')}.grad"


def _user_line() -> str:
    """Return the innermost line of code that is outside of this package, in words."""
    package = __name__.split(".")[0]
    for frame, _ in traceback.walk_stack(sys._getframe()):
        if frame.f_globals.get("__name__", "").split(".")[0] != package:
            code = frame.f_code
            return f"in {code.co_name}, {code.co_filename}:{frame.f_lineno}"
    return "in the step"


class _Memory:
    """The buffers of a program, and which addresses belong to them."""

    def __init__(self) -> None:
        self.by_storage: dict[int, ir.Buffer] = {}
        self.starts: list[int] = []  # addresses, sorted
        self.buffers: list[ir.Buffer] = []  # in the same order
        self.counts = dict.fromkeys(_PREFIXES, 0)

    def region(self, value: Any, role: str) -> ir.Region:
        """Return where a tensor lies; unknown memory becomes a buffer with this role."""
        buffer = self.by_storage.get(id(value.storage))
        if buffer is None:
            buffer = self._add(value, value.storage, role)
        low, high = ir.byte_range(value.layout)
        offset = value.address - buffer.address
        if offset + low < 0:
            raise CaptureError(
                f"a tensor of shape {value.layout.shape} reaches memory in front of the tensor "
                f"that it is a view of, {buffer.name}; use .clone() on the one with negative steps"
            )
        buffer.nbytes = max(buffer.nbytes, offset + high)
        return ir.Region(buffer, offset, value.layout)

    def _add(self, value: Any, storage: Storage, role: str) -> ir.Buffer:
        array = storage.array
        low, high = ir.byte_range(value.layout)
        start, size = value.address + low, high - low
        if role != ir.TEMPORARY and array.flags.c_contiguous:  # all of what it is a view of
            start = address_of(array) + max(storage.place, 0)
            size = array.nbytes - max(storage.place, 0)
        self.counts[role] += 1
        buffer = ir.Buffer(role, size, f"{_PREFIXES[role]}{self.counts[role]}", start, storage)
        self.by_storage[id(storage)] = buffer
        at = bisect.bisect(self.starts, start)
        self.starts.insert(at, start)
        self.buffers.insert(at, buffer)
        return buffer

    def locate(self, address: int) -> ir.BufferAddress | None:
        """Return the buffer that an address belongs to, and the offset in it."""
        at = bisect.bisect(self.starts, address) - 1
        if at < 0 or address - self.starts[at] >= max(self.buffers[at].nbytes, 1):
            return None
        return ir.BufferAddress(self.buffers[at], address - self.starts[at])

    def check_disjoint(self) -> None:
        """Raise if two storages share memory: the program would not see it."""
        for one, other in zip(self.buffers, self.buffers[1:], strict=False):
            if one.address + one.nbytes > other.address:
                raise CaptureError(
                    f"{one.name} and {other.name} are arrays that share memory; pass the step "
                    "copies that do not"
                )
