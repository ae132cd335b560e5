"""Specialization: the program of one signature and one state of the guards, ready to run again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..autograd import tape
from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..kernels.runtime.layout import Layout
from ..kernels.runtime.memory import address_of
from ..kernels.runtime.storage import Storage
from ..ops.elementwise.arithmetic import clone
from .capture import Captured
from .errors import CaptureError
from .executable import Executable
from .guards import GuardContext, GuardSnapshot
from .ir import STATE, TEMPORARY, Instruction, Region
from .passes import optimize
from .reachable import PLAIN_TYPES
from .signature import map_structure
from .watch import Watch, same

_requires_grad = operator.attrgetter("requires_grad")


class Specialization:
    """A captured call, ready to be run again."""

    snapshot: GuardSnapshot  # of the guards when they were last found unchanged
    expected: list[Any] | None = None  # layouts of the arguments, if all are tensors and arrays
    key: Any  # of the arguments and guards
    watches: list[Watch]  # Python values that the function read, beyond those of the snapshot
    facts: list[tuple[Callable[[Any], Any], Any, Any]]  # of the watches: read, argument, value
    modes: list[tuple[Any, bool]]  # the modules whose mode the function changes, and the new mode

    def __init__(self, captured: Captured, input_places: list[int]):
        """``input_places``: where the program's inputs are among the arrays of the arguments."""
        program = captured.program
        optimize(program)
        self.executable = Executable(program)
        written = {region.buffer for i in program.instructions for region in i.written}
        self.inputs = [
            (place, region.layout, region.buffer in written)
            for place, region in zip(input_places, program.inputs, strict=True)
        ]
        self.written = [b.owner for b in written if b.role == STATE] + [self.executable.storage]
        # An argument must not share memory with state if one of them is written.
        changes_input = any(input_written for _, _, input_written in self.inputs)
        used = written.union(*(i.reads() for i in program.instructions if changes_input))
        self.no_alias_with = frozenset(id(b.owner) for b in used if b.role == STATE)
        self.checks = [
            (i, as_array(self.executable.value(i.error_flag)).reshape(1).data)
            for i in program.instructions
            if i.error_flag is not None
        ]
        self._set_guards(captured, input_places)
        self.result = Result(captured, self.executable)

    def _set_guards(self, captured: Captured, input_places: list[int]) -> None:
        """Set what must hold before a run, and what a run changes in Python."""
        place = {id(v): k for k, v in zip(input_places, captured.inputs, strict=True)}
        if any(id(leaf) in place for leaf, _ in captured.given_gradients):
            raise CaptureError(
                "an argument has a gradient, to which the step adds: in later calls it would add "
                "to the gradient of this argument. Set x.grad = None before the call"
            )
        self.guards = captured.guards
        self.leaves = [leaf for leaf, _ in captured.leaves]
        self.requires_grad = [wanted for _, wanted in captured.leaves]
        self.without_grad = [leaf for leaf in captured.without_grad if id(leaf) not in place]
        self.given_gradients = captured.given_gradients
        self.reset = [leaf for leaf in captured.reset if id(leaf) not in place]
        self.gradients, self.input_gradients = [], []
        for leaf, region in captured.program.gradients:
            if id(leaf) in place:
                self.input_gradients.append((place[id(leaf)], ResultCopy(region, self.executable)))
            else:
                self.gradients.append((leaf, self.executable.value(region)))

    def adopt_gradients(self) -> None:
        """Move the gradients of the captured run to the memory where later runs write them."""
        for leaf, gradient in self.gradients:
            as_array(gradient)[...] = as_array(leaf.grad)
            leaf.grad = gradient

    # --- guards ---

    def expect(self, args: tuple[Any, ...], named: frozenset[int]) -> None:
        """Prepare `matches` for arguments like these, if they are simple enough for it."""
        tensors = [value for value in args if isinstance(value, Value)]
        simple = all(not v.requires_grad and id(v) not in named for v in tensors)
        simple = simple and len({id(v.storage) for v in tensors}) == len(tensors)
        if simple and all(isinstance(value, (Value, np.ndarray)) for value in args):
            self.expected = [
                v.layout if isinstance(v, Value) else (v.shape, v.strides, v.dtype) for v in args
            ]

    def matches(self, args: tuple[Any, ...], named: frozenset[int]) -> bool:
        """Return whether these are arguments as expected. Fast; False when in doubt."""
        expected = self.expected
        if expected is None or len(args) != len(expected):
            return False
        storages: list[Any] = []
        for value, layout in zip(args, expected):  # noqa: B905 - same length; strict takes time
            if type(value) is np.ndarray:
                if (value.shape, value.strides, value.dtype) != layout:
                    return False
            elif (
                not isinstance(value, Value)
                or value.layout is not layout
                or value.requires_grad
                or id(value) in named
                or value.storage in storages
                or id(value.storage) in self.no_alias_with
            ):
                return False
            else:
                storages.append(value.storage)
        return True

    def no_alias(self, arrays: Sequence[Any]) -> bool:
        """Return whether no input shares memory with state that must not alias it."""
        return not any(
            isinstance(arrays[place], Value) and id(arrays[place].storage) in self.no_alias_with
            for place, *_ in self.inputs
        )

    def guards_hold(self) -> bool:
        """Return whether gradients, ``requires_grad`` and guarded facts are as at the capture."""
        for leaf in self.without_grad:
            if leaf.grad is not None:
                return False
        for leaf, gradient in self.given_gradients:
            if leaf.grad is not gradient:
                return False
        if [*map(_requires_grad, self.leaves)] != self.requires_grad:
            return False
        for fact, value in self.guards:
            if fact() != value:
                return False
        try:
            for read, argument, old in self.facts:
                if (new := read(argument)) is not old and not same(old, new):
                    return False
        except (ValueError, AttributeError, KeyError):  # deleted
            return False
        return True

    def gained_gradients(self) -> set[int]:
        """Return the ids of leaves that had no gradient at the capture, and have one now."""
        return {id(leaf) for leaf in self.without_grad if leaf.grad is not None}

    # --- running ---

    def run(self, arrays: Sequence[Any], times: int = 1) -> Any:
        """Run on the tensors and arrays among the arguments; return the last run's result."""
        inputs = []
        for place, layout, written in self.inputs:
            value = arrays[place]
            if not isinstance(value, Value):
                value = _on_array(value, layout, written)
            elif written:
                value.storage.version += 1
            inputs.append(value)
        for storage in self.written:
            storage.version += 1
        try:
            self.executable.run(inputs, times)
        finally:  # Ctrl-C comes between two runs
            for leaf, gradient in self.gradients:
                leaf.grad = gradient
            for leaf in self.reset:
                leaf.grad = None
            for module, training in self.modes:
                if module.training is not training:
                    module.training = training
        for check, flag in self.checks:
            if flag[0]:
                self._fail(check)
        for place, copy in self.input_gradients:
            arrays[place].grad = copy()
        return self.result()

    def _fail(self, check: Instruction) -> NoReturn:
        """Undo what the last run did before its early exit, and raise the error of the check."""
        value = self.executable.value
        for leaf, _ in self.gradients:
            leaf.grad = None
        inputs, outputs = tuple(map(value, check.inputs)), tuple(map(value, check.outputs))
        try:
            check.op.verify(inputs, outputs, check.params)
        finally:
            for region, copy in self.executable.program.saved:
                as_array(value(region))[...] = as_array(value(copy))
        raise AssertionError(f"{check.name} set its error flag and found no error")


def difference(old: Specialization, new: Specialization, context: GuardContext) -> str:
    """Return what two programs of one function differ in, in words."""
    (arguments, state), (new_arguments, new_state) = old.key, new.key
    names = ["modules and optimizers", "grad mode", "default dtype", "number of threads"]
    names += [name for name, _ in context.found.watched()]
    pairs = [
        *zip((f"argument {k}" for k in range(99)), arguments, new_arguments, strict=False),
        *zip(names, state, new_state, strict=False),
    ]
    found = [_in_words(name, a, b) for name, a, b in pairs if a != b]
    before = {watch.name: watch.old for watch in old.watches}
    found += [
        _in_words(watch.name, before[watch.name], watch.old)
        for watch in new.watches
        if watch.name in before and not same(before[watch.name], watch.old)
    ]
    return f"The last two differ in {'; '.join(found[:3]) or 'the gradients that they find'}"


def _in_words(name: str, old: Any, new: Any) -> str:
    words = []
    for key in (old, new):
        plain = isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], type)
        words.append(repr(key[1] if plain else key))
    return f"{name} ({', then '.join(words)})" if sum(map(len, words)) < 80 else name


def _on_array(array: np.ndarray, layout: Layout, written: bool) -> Any:
    """Return a tensor on the memory of an array argument, or on a copy where that is not possible.

    The step does not write into an array, as in eager mode.
    """
    if written or array.strides != layout.strides:
        return from_array(array)
    address = address_of(array)
    return tape.new(Storage(array, address), layout, address)


class ResultCopy:
    """Copies a region after a run: a new tensor for each call."""

    def __init__(self, region: Region, executable: Executable):
        self.region, self.executable = region, executable
        self.layout, self.launch = clone.planned(region.layout)
        temporary = region.buffer.role == TEMPORARY
        self.source = executable.value(region).address if temporary else 0

    def __call__(self) -> Any:
        """Return the copy."""
        value, launch = tape.empty(self.layout), self.launch
        if launch is not None:
            source = self.source or self.executable.value(self.region).address
            launch.run((launch.constants_address, source, value.address))
        return value


class Result:
    """Makes what the function returns: its structure, with new tensors for each call."""

    def __init__(self, captured: Captured, executable: Executable):
        numbers, regions = captured.result_numbers, captured.program.results
        holder = _tensor_holder(captured.result)
        if holder is not None:
            raise CaptureError(
                f"the step returns a {type(holder).__name__} with tensors in it, and later calls "
                "would return those of the first; return tensors in tuples, lists or dicts"
            )
        self.structure = map_structure(
            captured.result,
            lambda v: ResultCopy(regions[numbers[id(v)]], executable) if id(v) in numbers else v,
        )
        self.is_tensor = isinstance(self.structure, ResultCopy)

    def __call__(self) -> Any:
        """Return the result of the run that just ended."""
        if self.is_tensor:
            return self.structure()
        return map_structure(self.structure, lambda v: v() if isinstance(v, ResultCopy) else v)


def first_result(captured: Captured) -> Any:
    """Return what the function returned when it was captured, with copies of its tensors."""
    numbers = captured.result_numbers
    return map_structure(
        captured.result, lambda v: from_array(as_array(v)) if id(v) in numbers else v
    )


def _tensor_holder(value: Any) -> Any:
    """Return a part of a result that holds tensors and is not a tuple, list or dict; or None."""
    if isinstance(value, (tuple, list, dict)):
        parts = value.values() if isinstance(value, dict) else value
        return next((found for found in map(_tensor_holder, parts) if found is not None), None)
    if isinstance(value, (Value, type, *PLAIN_TYPES)):
        return None
    if hasattr(value, "named_parameters") or hasattr(value, "param_groups"):
        return None
    members = getattr(value, "__dict__", {}).values()
    members = value if isinstance(value, (set, frozenset)) else members
    return value if any(isinstance(each, Value) for each in members) else None
