"""Capture: run a function once, for real, and record every op that it applies as an instruction.

What else the function does happens once: its branches, and the Python values that it reads, which
are watched (``tracer.py``). What would take a *value* out of the program, such as `.item()`, and
what would bring one in that cannot be watched, such as `random.random()`, raises `CaptureError`.

An op is recorded with the kernels that it launched. Their argument words are addresses, and each is
found in the memory of a tensor that is known by then. So an op needs no further declaration to be
captured. An op that launches no kernel and yet returns a new tensor runs in Python, and returns to
Python in the program too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..autograd import tape
from ..autograd.modes import Record, grad_mode, is_grad_enabled, record
from ..autograd.tape import Entry, Value
from ..autograd.values import as_array, from_array
from ..kernels.runtime.launch import LaunchLog, record_launches
from ..kernels.runtime.memory import last_scratch
from ..ops.elementwise.arithmetic import copy_
from ..ops.random import state
from . import ir
from .errors import CaptureError
from .guards import GuardContext
from .memory_map import MemoryMap
from .origin import user_line
from .signature import argument_names, arrays_in
from .tracer import Change, Tracer
from .watch import Watch, same

_INSTEAD = (
    "its value is known only when the step runs. Return the tensor and read it after the call; "
    "choose between tensors with tg.where; or remove @tg.compile"
)
_LOWEST_ADDRESS = 1 << 12  # a smaller word is a number


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
    changes: list[Change]  # Python values that the step changed
    watches: list[Watch]  # Python values that it read


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
        recorder.tracer = tracer = Tracer(
            context.function, arguments, keywords, recorder, recorder.fail
        )
        with tracer:
            result = context.function(*arguments, **keywords)
        recorder.restore_constants()
    try:
        tracer.check_generators()
        if recorder.failure is not None:
            raise recorder.failure
        changes = tracer.changes()
        held = [*context.found.held(), *((each.name, each.value) for each in changes)]
        left_in = recorder.left_in(held)
        names = argument_names(context.function, arguments, keywords) | context.names()
        watches = tracer.guards()
        if "grad" in tracer.watches.names:
            watches += recorder.read_gradients(tracer.watches.gradients)
        return recorder.finish(result, names, left_in, changes, watches)
    except CaptureError as error:
        error.after(result)
        raise
    finally:
        del recorder.tracer  # no cycle keeps the tensors of this run alive


class _Recorder(Record):
    """A recording that turns the applied ops into instructions."""

    replayed = True
    failure: CaptureError | None = None
    launches: LaunchLog = []
    tracer: Tracer

    def __init__(
        self, inputs: list[Any], leaves: list[Any], known_reset: frozenset[int], complete: bool
    ):
        super().__init__()
        self.complete, self.known_reset = complete, known_reset
        self.memory = MemoryMap()
        self.inputs = inputs
        self.program = ir.Program([], [self.memory.region(value, ir.INPUT) for value in inputs])
        self.guards: list[tuple[Callable[[], Any], Any]] = []
        self.reset: dict[int, Any] = {}
        self.leaves: dict[int, Any] = {}
        self.without_grad: list[Any] = []
        self.initial = [(leaf, leaf.grad) for leaf in leaves]
        self.external: dict[int, Any] = {}  # tensors that existed before the run
        self.known = {id(value) for value in inputs}  # arguments, and tensors met since
        self.made: dict[int, tuple[Any, Any]] = {}  # by storage: tensor made in Python, its values
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
            self.fail(str(error))
        self.tracer.resume()

    def graph_break(self, what: str, instead: str = "") -> None:
        """Raise, as ``what`` cannot be a part of a program."""
        self.fail(f"{what}, {user_line(sys._getframe())}; {instead or _INSTEAD}")

    def fail(self, message: str) -> None:
        """Raise `CaptureError`, now and, if the step suppresses it, after the run."""
        self.failure = self.failure or CaptureError(message)
        if not self.complete:
            raise self.failure

    def on_made(self, value: Any) -> None:
        """Note a tensor that was made in Python, with the values that each run starts from."""
        array = value.storage.array
        if self.tracer.watches.existed(array):
            self.tracer.watches.forget_elements(array)
        else:
            self.made[id(value.storage)] = value, as_array(value).copy()
            self.known.add(id(value))

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
                f"another tensor too, {user_line(sys._getframe())}, and at the next call these may "
                "be two memories; use the argument alone, or pass a clone of it"
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

    def restore_constants(self) -> None:
        """Let the program begin with the first values of the constants that it writes to."""
        instructions = self.program.instructions
        written = {region.buffer for each in instructions for region in each.written}
        for value, first in [*self.made.values()]:
            buffer = self.memory.by_storage.get(id(value.storage))
            if buffer is None or buffer.role != ir.STATE or buffer not in written:
                continue
            array, count = as_array(value), len(instructions)
            last = array.copy()
            with grad_mode(False):
                tape.apply(copy_, (value.alias(), from_array(first)))
            array[...] = last
            instructions[:] = instructions[count:] + instructions[:count]

    def read_gradients(self, watches: list[Watch]) -> list[Watch]:
        """Return the watches of gradients that the step may have read, and did not set itself."""
        own = {*self.reset, *self.leaves, *self.known_reset, *map(id, self.inputs)}
        return [w for w in watches if id(w.argument) not in own and same(w.old, w.now())]

    def left_in(self, reachable: Iterable[tuple[str, Any]]) -> str:
        """Return the name of a place where the step left a tensor that it made, or ""."""
        made = {id(value) for entry in self for value in entry.outputs}
        made -= {id(value) for value in self.inputs} | set(self.external)
        found = (name for name, v in reachable if isinstance(v, Value) and id(v) in made)
        return next(found, "")

    def finish(
        self,
        result: Any,
        names: dict[int, str],
        left_in: str,
        changes: list[Change],
        watches: list[Watch],
    ) -> Captured:
        """Return the complete program, and what it depends on."""
        program, memory = self.program, self.memory
        result_numbers = {}
        for value in arrays_in((result,)):
            region = memory.region(value, ir.STATE) if isinstance(value, Value) else None
            own = region is not None and id(value.storage) in self.made
            if region is not None and (region.buffer.role != ir.STATE or own):
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
            changes=changes,
            watches=watches,
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
