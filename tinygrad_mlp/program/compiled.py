"""`compile`: a function of tensors that runs natively from its second call on.

The first call of a kind (shapes, dtypes, Python numbers, modes) runs the function in Python and
captures it; the calls after it run the program. What tells one kind of call from another is in
``guard.py``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.values import as_array, from_array, shared
from ..tape import Value
from .bind import Executable
from .capture import Captured, capture
from .guard import PLAIN, Surroundings
from .ir import STATE, Program, Region, check
from .passes import optimize

_MANY = 8  # programs of one function, from which on it says so


class CompiledFunction:
    """A function, and the programs that its calls have become."""

    finish = False  # whether a call that cannot be captured is still run to its end

    def __init__(self, function: Callable[..., Any]):
        if not callable(function):
            raise TypeError(
                f"compile takes a function or a module, not {type(function).__name__}: write "
                "@tg.compile above a function, or tg.compile(model)"
            )
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.surroundings = Surroundings(function)
        self.programs: dict[Any, _Kind] = {}
        self.last: _Kind | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program of this kind of call; of the first of its kind, the function."""
        key = self._key(args, kwargs)
        kind = self.programs.get(key)
        if kind is not None and kind.holds():
            self.last = kind
            return kind.run(args, kwargs)
        return self._capture(key, args, kwargs)

    def ready(self, *args: Any, **kwargs: Any) -> Callable[[int], Any] | None:
        """What makes so many such calls in a row, in one run of the program; None before it is.

        A function to be repeated takes its data along by itself: see ``ops/batch.py``.
        """
        kind = self.programs.get(self._key(args, kwargs))
        if kind is None or not kind.holds():
            return None
        self.last = kind
        return functools.partial(kind.run, args, kwargs)

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        return (*map(_kind_of, args), *_keywords(kwargs), *self.surroundings.now())

    def _capture(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = self.programs.get(key)
        reset = frozenset() if before is None else before.with_gradient()
        arguments = [_tensor(v) for v in args]
        keywords = {name: _tensor(value) for name, value in kwargs.items()}
        names = self.surroundings.names() | _argument_names(self.function, arguments, keywords)
        captured = capture(self.function, tuple(arguments), keywords, names, reset, self.finish)
        self.last = self.programs[self._key(args, kwargs)] = _Kind(captured, (args, kwargs))
        if len(self.programs) == _MANY:
            warnings.warn(
                f"{getattr(self.function, '__name__', 'a function')} was captured {_MANY} times: "
                "each new shape, dtype, Python number or mode among what it uses makes a program. "
                "Pass numbers that change as 0-d tensors, and batches of few sizes",
                stacklevel=3,
            )
        return captured.result

    @property
    def program(self) -> Program:
        """What was captured last, optimised; prints as text. RuntimeError before the first call."""
        if self.last is None:
            raise RuntimeError("nothing is captured yet: call the compiled function once")
        return self.last.executable.program


class _Kind:
    """One kind of call: its program, and how to run it on what such a call is given."""

    def __init__(self, captured: Captured, given: tuple[Any, Any]):
        self.given = given[1]
        program = captured.program
        check(program)
        optimize(program)
        check(program)
        self.executable = Executable(program)
        self.assumed = captured.assumed
        self.without_gradient = captured.without_gradient
        self.gradients_given = captured.gradients_given
        self.leaves = captured.leaves
        self.result = _Result(captured, self.executable)
        self.gradients = [(leaf, self.executable.value(r)) for leaf, r in program.gradients]
        self.inputs = [region.layout for region in program.inputs]
        written = {r.buffer for i in program.instructions for r in i.written}
        self.copied = [region.buffer in written for region in program.inputs]
        self.mutated = [b.owner for b in written if b.kind == STATE]
        self.verified = [
            (i.op.verify, (*i.inputs, *i.outputs))
            for i in program.instructions
            if i.op.verify is not None
        ]

    def holds(self) -> bool:
        """Whether what the capture took for granted is still so."""
        for leaf in self.without_gradient:
            if leaf.grad is not None:
                return False
        for leaf, gradient in self.gradients_given:
            if leaf.grad is not gradient:
                return False
        for leaf, wanted in self.leaves:
            if leaf.requires_grad is not wanted:
                return False
        return all(fact() == was for fact, was in self.assumed)

    def with_gradient(self) -> frozenset[int]:
        """The leaves that came without a gradient when this was captured, and have one now."""
        return frozenset(id(leaf) for leaf in self.without_gradient if leaf.grad is not None)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], times: int = 1) -> Any:
        """Run the program on the tensors and arrays among the arguments."""
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, (Value, np.ndarray))]
        inputs = []
        for value, layout, copied in zip(given, self.inputs, self.copied, strict=True):
            value = value if isinstance(value, Value) else shared(value)
            if copied or value.layout is not layout:
                value = from_array(as_array(value))
            inputs.append(value)
        try:
            self.executable.run(inputs, times)
        finally:  # Ctrl-C too comes after a whole run
            for storage in self.mutated:
                storage.version += 1
            for leaf, gradient in self.gradients:
                leaf.grad = gradient
        for verify, regions in self.verified:
            verify(*map(self.executable.value, regions))
        return self.result.fresh()


class _Result:
    """What the function returns: its structure, with a tensor of its own at each call."""

    def __init__(self, captured: Captured, executable: Executable):
        self.structure, self.regions = captured.result, captured.regions
        self.executable = executable
        alone = self.regions.get(id(self.structure))
        self.alone = None if alone is None else alone
        self.structure = _emptied(self.structure, self.regions)

    def fresh(self) -> Any:
        """The result of the run that just ended."""
        return _filled(self.structure, self._copy)

    def _copy(self, region: Region) -> Any:
        return from_array(as_array(self.executable.value(region)))


def _emptied(value: Any, regions: dict[int, Region]) -> Any:
    """A structure with regions in place of the tensors that each run makes anew."""
    if isinstance(value, Value):
        return regions.get(id(value), value)
    if isinstance(value, (tuple, list)):
        parts = [_emptied(each, regions) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: _emptied(each, regions) for key, each in value.items()}
    return value


def _filled(value: Any, copy: Callable[[Region], Any]) -> Any:
    if isinstance(value, Region):
        return copy(value)
    if isinstance(value, (tuple, list)):
        parts = [_filled(each, copy) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: _filled(each, copy) for key, each in value.items()}
    return value


def _tensor(value: Any) -> Any:
    return from_array(value) if isinstance(value, np.ndarray) else value


def _kind_of(value: Any) -> Any:
    """What of an argument decides which program a call takes."""
    if isinstance(value, Value):
        return value.layout, value.requires_grad
    if isinstance(value, np.ndarray):
        return value.shape, value.strides, value.dtype
    if isinstance(value, PLAIN):
        return type(value), value
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(_kind_of, value))
    return id(value)


def _keywords(kwargs: dict[str, Any]) -> tuple[Any, ...]:
    return tuple((name, _kind_of(value)) for name, value in kwargs.items())


def _argument_names(
    function: Callable[..., Any], arguments: list[Any], keywords: dict[str, Any]
) -> dict[int, str]:
    """What the function calls its arguments: for print."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    names = list(code.co_varnames) if code is not None else []
    if names[:1] == ["self"] and hasattr(function, "__self__"):
        names = names[1:]
    names += [f"x{k}" for k in range(len(names), len(arguments))]
    found = {id(v): n for n, v in zip(names, arguments, strict=False) if isinstance(v, Value)}
    return found | {id(v): n for n, v in keywords.items() if isinstance(v, Value)}


def compile(function: Any = None, *, disable: bool = False) -> Any:
    """Make a function of tensors run natively: `@tg.compile` above it, or ``tg.compile(model)``.

    The first call runs the function as it is, for real, and captures every op that it applies, in
    forward, backward and optimizer alike; later calls run that as one program without Python. The
    results are those of the function itself, bit for bit, for any number of threads.

    Arguments are tensors, arrays, and Python values. Captured anew is what a new shape, dtype or
    Python number makes another step: arguments, numbers and booleans in the closure and globals
    that the function names, a module's attribute or mode, the default dtype, `no_grad`. Learning
    rates and other numbers of an optimizer's groups are read at every step. Everything else is
    frozen as it was when captured; `explain` of the result lists it.

    What it returns is fresh at each call and off the tape. ``.grad`` of parameters reads as after
    the function itself, but its memory is the program's, which the next call writes to.

    ``disable=True`` leaves the function as it is.

    Raises CaptureError, a RuntimeError, at the first call, where a value would have to become a
    Python number: `.item()`, `.numpy()`, `if loss > 1:`.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> tg.manual_seed(0)
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> @tg.compile
    ... def train_step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = ((model(x) - y) ** 2).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = tg.ones(4, 2), tg.zeros(4, 1)
    >>> losses = [train_step(x, y).item() for _ in range(3)]
    >>> losses[0] > losses[1] > losses[2]
    True
    """
    if function is None:
        return functools.partial(compile, disable=disable)
    return function if disable else CompiledFunction(function)


__all__ = ["CompiledFunction", "compile"]
