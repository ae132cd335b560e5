"""One kind of call of a compiled function: its program, and how it runs on what it is given."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import tape
from ..autograd.tape import Value
from ..autograd.values import as_array, from_array
from ..kernels.runtime.layout import Layout
from ..kernels.runtime.memory import address_of
from ..kernels.runtime.storage import Storage
from ..ops.elementwise.arithmetic import clone
from .capture import Captured, CaptureError
from .executable import Executable
from .guards import PLAIN, GuardSnapshot
from .ir import MADE, STATE, Instruction, Region
from .passes import optimize
from .signature import mapped

_requires_grad = operator.attrgetter("requires_grad")


class Specialization:
    """A captured call, ready to be run again."""

    kinds: tuple[Any, ...] = ()  # of the arguments
    snapshot: GuardSnapshot  # what surrounded the function when it was last found to be the same
    expected: list[Any] | None = None  # of arguments that are tensors and arrays: their layouts

    modes: list[tuple[Any, bool]]  # that the function leaves modules in, where it changes them

    def __init__(self, captured: Captured, inputs: list[int]):
        """``inputs`` are the places of the program's inputs among the tensors of the arguments."""
        program = captured.program
        optimize(program)
        self.executable = Executable(program)
        self._guard(captured, inputs)
        written = {region.buffer for i in program.instructions for region in i.written}
        self.inputs = [
            (place, region.layout, region.buffer in written)
            for place, region in zip(inputs, program.inputs, strict=True)
        ]
        self.written = [b.owner for b in written if b.kind == STATE] + [self.executable.storage]
        # Arguments must not lie in memory that the program took for another's, and is written.
        changed = any(input_written for _, _, input_written in self.inputs)
        self.apart_from = frozenset(
            id(b.owner) for b in program.buffers() if b.kind == STATE and (changed or b in written)
        )
        self.checks = [
            (i, _word(self.executable, i.error_flag))
            for i in program.instructions
            if i.error_flag is not None
        ]
        self.result = Result(captured, self.executable)

    def _guard(self, captured: Captured, inputs: list[int]) -> None:
        """Sort out what has to be so before a run, and what is so after it."""
        place = {id(v): k for k, v in zip(inputs, captured.inputs, strict=True)}
        self.assumed = captured.assumed
        self.leaves = [leaf for leaf, _ in captured.leaves]
        self.wanted = [wanted for _, wanted in captured.leaves]
        self.without = [leaf for leaf in captured.guard_grad_is_none if id(leaf) not in place]
        self.gradients_given = captured.gradients_given
        if any(id(leaf) in place for leaf, _ in captured.gradients_given):
            raise CaptureError(
                "an argument comes with a gradient, to which the step adds: that would be the "
                "gradient of this one argument for ever. Set x.grad = None before the call"
            )
        self.forgotten = [leaf for leaf in captured.forgotten if id(leaf) not in place]
        self.gradients, self.input_gradients = [], []
        for leaf, region in captured.program.gradients:
            if id(leaf) in place:
                self.input_gradients.append((place[id(leaf)], Copy(region, self.executable)))
            else:
                self.gradients.append((leaf, self.executable.value(region)))

    def adopt(self) -> None:
        """Put the gradients of the captured run where those of all later runs will be."""
        for leaf, gradient in self.gradients:
            as_array(gradient)[...] = as_array(leaf.grad)
            leaf.grad = gradient

    def expect(self, args: tuple[Any, ...], own: frozenset[int]) -> None:
        """Remember arguments like these, if they are of the kind that is told in no time."""
        tensors = [value for value in args if isinstance(value, Value)]
        simple = all(not v.requires_grad and id(v) not in own for v in tensors)
        simple = simple and len({id(v.storage) for v in tensors}) == len(tensors)
        if simple and all(isinstance(value, (Value, np.ndarray)) for value in args):
            self.expected = [
                v.layout if isinstance(v, Value) else (v.shape, v.strides, v.dtype) for v in args
            ]

    def matches(self, args: tuple[Any, ...], own: frozenset[int]) -> bool:
        """Whether these are arguments as expected; where in doubt, no."""
        expected = self.expected
        if expected is None or len(args) != len(expected):
            return False
        storages: list[Any] = []
        for value, layout in zip(args, expected):  # noqa: B905 - of one length; strict takes time
            if type(value) is np.ndarray:
                if (value.shape, value.strides, value.dtype) != layout:
                    return False
            elif (
                not isinstance(value, Value)
                or value.layout is not layout
                or value.requires_grad
                or id(value) in own
                or value.storage in storages
                or id(value.storage) in self.apart_from
            ):
                return False
            else:
                storages.append(value.storage)
        return True

    def no_alias(self, given: Sequence[Any]) -> bool:
        """Whether none of its inputs lies in memory that it knows as something else."""
        return not any(
            isinstance(given[place], Value) and id(given[place].storage) in self.apart_from
            for place, *_ in self.inputs
        )

    def guards_hold(self) -> bool:
        """Whether what the capture took for granted is still so."""
        for leaf in self.without:
            if leaf.grad is not None:
                return False
        for leaf, gradient in self.gradients_given:
            if leaf.grad is not gradient:
                return False
        if [*map(_requires_grad, self.leaves)] != self.wanted:
            return False
        for fact, was in self.assumed:  # noqa: SIM110 - a generator takes twice the time
            if fact() != was:
                return False
        return True

    def with_gradient(self) -> set[int]:
        """The leaves that came without a gradient when this was captured, and have one now."""
        return {id(leaf) for leaf in self.without if leaf.grad is not None}

    def run(self, given: Sequence[Any], times: int = 1) -> Any:
        """Run the program on the tensors and arrays among the arguments; what the last run made."""
        inputs = []
        for place, layout, written in self.inputs:
            value = given[place]
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
            for leaf in self.forgotten:
                leaf.grad = None
            for module, training in self.modes:
                if module.training is not training:
                    module.training = training
        for check, error_flag in self.checks:
            if error_flag[0]:
                self._fail(check)
        for place, copy in self.input_gradients:
            given[place].grad = copy()
        return self.result()

    def _fail(self, check: Instruction) -> None:
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


def _word(executable: Executable, region: Region) -> memoryview:
    """The one element of a region, to be looked at in no time."""
    return as_array(executable.value(region)).reshape(1).data


def _on_array(array: np.ndarray, layout: Layout, written: bool) -> Any:
    """A tensor for an argument that is an array: on its memory, or where that will not do, a copy.

    An array that the step writes into stays as it is, as when the function runs itself.
    """
    if written or array.strides != layout.strides:
        return from_array(array)
    address = address_of(array)
    return tape.new(Storage(array, address), layout, address)


class Copy:
    """What lies in a region when the program has run: a tensor of its own at each call."""

    def __init__(self, region: Region, executable: Executable):
        self.region, self.executable = region, executable
        self.layout, self.launch = clone.planned(region.layout)
        self.source = executable.value(region).address if region.buffer.kind == MADE else 0

    def __call__(self) -> Any:
        """The tensor."""
        value, launch = tape.empty(self.layout), self.launch
        if launch is not None:
            source = self.source or self.executable.value(self.region).address
            launch.run((launch.constants_address, source, value.address))
        return value


class Result:
    """What the function returns: its structure, with tensors of its own at each call."""

    def __init__(self, captured: Captured, executable: Executable):
        places, results = captured.places, captured.program.results
        for value in _others(captured.result):
            raise CaptureError(
                f"the step returns a {type(value).__name__} with tensors in it, which would be "
                "those of the first call for ever; return tensors in tuples, lists or dicts"
            )
        self.structure = mapped(
            captured.result,
            lambda v: Copy(results[places[id(v)]], executable) if id(v) in places else v,
        )
        self.run_alone = isinstance(self.structure, Copy)

    def __call__(self) -> Any:
        """The result of the run that just ended."""
        if self.run_alone:
            return self.structure()
        return mapped(self.structure, lambda v: v() if isinstance(v, Copy) else v)


def first_result(captured: Captured) -> Any:
    """What the function returned when it was captured, each tensor of it one of its own."""
    return mapped(
        captured.result, lambda v: from_array(as_array(v)) if id(v) in captured.places else v
    )


def _others(value: Any) -> list[Any]:
    """What in a result has tensors where nobody would find them."""
    if isinstance(value, (tuple, list)):
        return [other for each in value for other in _others(each)]
    if isinstance(value, dict):
        return [other for each in value.values() for other in _others(each)]
    if isinstance(value, (Value, type, *PLAIN)):
        return []
    if isinstance(value, (set, frozenset)):
        return [value] if any(isinstance(each, Value) for each in value) else []
    named = hasattr(value, "named_parameters") or hasattr(value, "param_groups")
    holds = any(isinstance(each, Value) for each in getattr(value, "__dict__", {}).values())
    return [value] if holds and not named else []
