"""`compile`: make a function of tensors run natively from its second call on.

The first call with a new signature (shapes, dtypes, Python numbers) or new state of the guards runs
the function in Python and captures it. Later calls run the captured program.
"""

from __future__ import annotations

import functools
import threading
import types
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

import numpy as np

from .._common.change_counter import structure_version
from .._common.fork import fork_safe
from ..autograd.modes import recording
from ..autograd.values import from_array
from .capture import capture
from .errors import CaptureError
from .explain import Explanation, explain
from .guards import GuardContext
from .ir import Program
from .signature import arrays_in, map_structure, signature
from .specialization import Specialization, difference, first_result
from .tracer import Change

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

_MANY = 8  # captures of one function at which it warns
_LEFT_TWICE = 2  # calls that may leave tensors behind, such as new state; they run in Python
_LIMIT = 32  # programs kept of one function; the one not used for longest goes


class CompiledFunction(Generic[P, R]):
    """A function that runs as a program from the second call on. Made by `compile`.

    Attributes:
        function: the function itself.
        captures: how often it was captured.
        specializations: the captured calls, each with its program; the last was used last.

    >>> import tinygrad_mlp as tg
    >>> double = tg.compile(lambda x: x * 2)
    >>> double(tg.ones(2)), double(tg.tensor([3.0, 4.0]))  # captures, then runs the program
    (tensor([2., 2.]), tensor([6., 8.]))
    >>> double(tg.ones(1))  # another shape: captures again
    tensor([2.])
    >>> double.captures, len(double.specializations)
    (2, 2)
    >>> double.program
    inputs
      x  float32 (1,)
    program
       1  %1 = mul(x, 2)  float32 (1,)
    returns %1
    """

    # Run a call to its end even if it cannot be captured; the caller warns.
    complete_uncapturable = False

    def __init__(self, function: Callable[P, R]):
        if not callable(function):
            raise TypeError(
                f"compile takes a function or a module, not {type(function).__name__}: write "
                "@tg.compile above a function, or tg.compile(model)"
            )
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.context = GuardContext(function)
        self.specializations: list[Specialization] = []
        self.by_key: dict[Any, list[Specialization]] = {}
        self.last: Specialization | None = None
        self.captures = 0
        self.left_in: Counter[str] = Counter()  # how often a tensor was left behind, by place
        self.changing: Counter[Any] = Counter()  # how often Python values were changed, by key
        self.warned_of_changes = False
        self.in_python = False  # whether every call runs in Python, as no program can repeat it
        self.lock = fork_safe(threading.RLock())  # a program has one arena

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the program of this signature, or capture it first.

        Raises:
            CaptureError: the function cannot be captured.
        """
        if recording() is not None:  # a part of another step
            return self.function(*args, **kwargs)
        if self.in_python:
            return self._run_in_python(args, kwargs)  # type: ignore[no-any-return]
        with self.lock:
            context, last = self.context, self.last
            if last is not None and structure_version() != context.version:
                context.refresh()
            if (
                last is not None
                and not kwargs
                and last.matches(args, context.named)
                and context.unchanged(last.snapshot)
                and last.guards_hold()
            ):
                return last.run(args)  # type: ignore[no-any-return]
            arrays, called_with, found = self._look_up(args, kwargs)
            if found is None:
                return self._capture(called_with, args, kwargs)  # type: ignore[no-any-return]
            return found.run(arrays)  # type: ignore[no-any-return]

    @overload
    def __get__(self, instance: None, owner: type) -> CompiledFunction[P, R]: ...
    @overload
    def __get__(
        self: CompiledFunction[Concatenate[Any, Q], R], instance: object, owner: type | None = ...
    ) -> Callable[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind to an instance, as a method is."""
        return self if instance is None else types.MethodType(self, instance)

    def repeater(self, *args: Any) -> Callable[[int], Any] | None:
        """Return a function that makes n such calls in one run; None if none is captured yet.

        A function to be repeated fetches its own data: see ``ops/fused/epoch_ops.py``.
        """
        with self.lock:
            arrays, _, found = self._look_up(args, {})
            return None if found is None else functools.partial(self._repeat, found, arrays)

    def _repeat(self, found: Specialization, arrays: list[Any], times: int) -> Any:
        with self.lock:
            return found.run(arrays, times)

    def _look_up(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], tuple[Any, ...], Specialization | None]:
        """Return the arrays among the arguments, the signature, its specialization or None."""
        context = self.context
        context.scan()
        context.refresh()
        arrays = arrays_in((args, kwargs) if kwargs else args)
        called_with = signature(args, kwargs, arrays, context)
        for each in self.by_key.get((called_with, context.key(context.structure)), ()):
            if each.guards_hold() and each.no_alias(arrays):
                each.snapshot = context.snapshot(context.structure)
                self.last = each
                self.specializations.remove(each)  # the last ones were used last
                self.specializations.append(each)
                return arrays, called_with, each
        return arrays, called_with, None

    # --- capture ---

    def _capture(self, called_with: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        context, original = self.context, args if not kwargs else None
        variants = self.by_key.get((called_with, context.key(context.structure)), ())
        modes = context.modes
        args, kwargs = _as_tensors(args, kwargs)
        arrays = arrays_in((args, kwargs))
        training = tuple(training for _, training in modes)
        kind = training, *(value.layout for value in arrays)
        if self.changing[kind] > _LEFT_TWICE:
            return self._run_in_python(args, kwargs)
        places = [k for k, value in enumerate(arrays) if id(value) not in context.named]
        captured = capture(
            args,
            kwargs,
            [arrays[k] for k in places],
            context,
            frozenset(leaf for each in variants for leaf in each.gained_gradients()),
            self.complete_uncapturable,
        )
        result = first_result(captured)
        if captured.left_in:
            self._count_left_in(captured.left_in, result)
            return result
        if captured.changes:
            self._count_changes(captured.changes, kind, result)
            return result
        try:
            made = Specialization(captured, places)
        except CaptureError as error:
            error.after(captured.result)
            raise
        made.adopt_gradients()
        context.refresh(force=True)
        structure = context.structure_in(modes)  # of the call: the step may have set modes
        made.modes = [(m, m.training) for m, before in modes if m.training is not before]
        made.snapshot = context.snapshot(structure)
        made.watches = [watch for watch in captured.watches if not context.is_watched(watch)]
        made.facts = [watch.fact() for watch in made.watches]
        if original is not None:
            made.expect(original, context.named)
        self.captures += 1
        self._add(made, (called_with, context.key(structure)))
        if not self.complete_uncapturable:
            self._warn()
        return result

    def _run_in_python(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = _as_tensors(args, kwargs)
        return map_structure(self.function(*args, **kwargs), _off_tape)

    def _count_changes(self, changes: list[Change], kind: Any, result: Any) -> None:
        """Warn of a step that changes Python values; after a few calls, run it in Python."""
        self.changing[kind] += 1
        at_last = self.changing[kind] > _LEFT_TWICE
        real = [change for change in changes if at_last or not change.lazy]
        if real and self.complete_uncapturable:
            name, line, *_ = real[0]
            raise CaptureError(f"a step changes the Python value {name}, {line}").after(result)
        self.in_python = at_last and not self.specializations
        if real and not self.warned_of_changes:
            self.warned_of_changes = True
            name = getattr(self.function, "__name__", "a function")
            warnings.warn(
                f"{name} changes {real[0].name}, a Python variable, {real[0].line}: a program "
                "would not, so these calls run in Python. Count outside of it, or in a tensor",
                stacklevel=4,
            )

    def _count_left_in(self, place: str, result: Any) -> None:
        """Allow a step to leave a tensor behind, as state that it creates, but not at each call."""
        holder = place.partition("[")[0]
        self.left_in[holder] += 1
        if self.left_in[holder] > _LEFT_TWICE:
            raise CaptureError(
                f"the step leaves a tensor that it made in {place} at every call, which the "
                "compiled step would not do: return it, or if it is state, write into the existing "
                "tensor, as in `with tg.no_grad(): self.mean.copy_(new)`"
            ).after(result)

    def _add(self, made: Specialization, key: Any) -> None:
        self.by_key.setdefault(key, []).insert(0, made)
        self.specializations.append(made)
        made.key = key
        self.last = made
        if len(self.specializations) > _LIMIT:
            old = self.specializations.pop(0)
            same_key = self.by_key[old.key]
            same_key.remove(old)
            if not same_key:
                del self.by_key[old.key]

    def _warn(self) -> None:
        """Warn of many captures."""
        if self.captures == _MANY:
            name = getattr(self.function, "__name__", "a function")
            old, new = self.specializations[-2:]
            warnings.warn(
                f"{name} was captured {_MANY} times: each new shape, dtype, Python number or mode "
                f"among what it uses makes a program, and the last {_LIMIT} are kept. "
                f"{difference(old, new, self.context)}. Pass numbers that change as 0-d tensors, "
                "and batches of few sizes",
                stacklevel=4,
            )

    # --- inspection ---

    @property
    def program(self) -> Program:
        """The program that ran last, after all passes; prints as text.

        Raises:
            RuntimeError: before the first call.
        """
        if self.last is None:
            raise RuntimeError("nothing is captured yet: call the compiled function once")
        return self.last.executable.program

    def explain(self, peak: float | None = None, bandwidth: float | None = None) -> Explanation:
        """Explain the program that ran last, line by line.

        Lists the kernels, FLOPs, bytes, time and share of the roofline of each instruction, the
        guards, and what is frozen. Times are measured now, on copies of all that the step changes.

        Args:
            peak: FLOP/s of the machine; measured by default.
            bandwidth: bytes/s of its memory; measured by default.

        Returns:
            An `Explanation`, which prints as text.

        Raises:
            RuntimeError: before the first call.

        >>> import tinygrad_mlp as tg
        >>> double = tg.compile(lambda x: x * 2)
        >>> y = double(tg.ones(3))
        >>> print(double.explain(peak=1e11, bandwidth=1e10).rows[0].call)
        %1 = mul(x, 2)
        """
        with self.lock:
            self.program  # noqa: B018 - raises if there is none
            return explain(self, peak, bandwidth)


def _as_tensors(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with tensors for arrays; containers without arrays stay the same."""

    def converted(value: Any) -> Any:
        has_arrays = any(isinstance(each, np.ndarray) for each in arrays_in((value,)))
        return map_structure(value, _as_tensor) if has_arrays else value

    return tuple(map(converted, args)), {key: converted(each) for key, each in kwargs.items()}


def _as_tensor(value: Any) -> Any:
    return from_array(value) if isinstance(value, np.ndarray) else value


def _off_tape(value: Any) -> Any:
    return value.detach() if getattr(value, "node", None) is not None else value


@overload
def compile(
    function: Callable[P, R], *, disable: Literal[False] = ...
) -> CompiledFunction[P, R]: ...
@overload
def compile(function: Callable[P, R], *, disable: bool) -> Callable[P, R]: ...
@overload
def compile(
    function: None = ..., *, disable: Literal[False] = ...
) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...
@overload
def compile(*, disable: bool) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def compile(function: Any = None, *, disable: bool = False) -> Any:
    """Make a function of tensors run natively: ``@tg.compile`` above it, or ``tg.compile(model)``.

    The first call runs the function in Python and captures every op of forward pass, loss, backward
    pass and optimizer. Later calls run these ops as one program, without Python. The results are
    those of the function itself, bit for bit, for any number of threads.

    The function is captured again when any of these changes:

    - shape, dtype, layout or ``requires_grad`` of a tensor or array among the arguments;
    - another Python value among the arguments;
    - a Python value that the function reads, in itself or in functions that it calls: variables,
      attributes, entries of containers, elements of NumPy arrays; numbers, booleans and strings by
      value, other objects by identity;
    - mode, attributes, parameters or hooks of a module, groups or state of an optimizer;
    - grad mode, default dtype, number of threads.

    Learning rates and other hyperparameters of an optimizer are read at every call. A step that
    changes a Python value, such as a counter, runs in Python, with a warning that names the line.
    Printing, and lists that a forward hook appends to, happen only at the capture.

    The last 32 programs are kept. The eighth capture warns, and names what changes.

    If a value is refused (a label that is not a class, a probability above 1, integer division by
    zero, an index out of range), the call raises the error of eager mode, and parameters, buffers,
    optimizer state and the random generator are as they were before the call. Gradients that the
    step computes are None then. Two cases leave the state as eager mode leaves it: the call that
    captures, which runs in eager mode, and an error in a `Function` of your own.

    Args:
        function: a function or module whose arguments are tensors, arrays and Python values. None
            returns a decorator: ``@tg.compile(disable=DEBUG)``.
        disable: return the function itself.

    Returns:
        A `CompiledFunction` with the signature of ``function``. It returns new tensors at each
        call, off the tape. ``.grad`` of parameters is as after the function itself, but the next
        call overwrites its memory.

    Raises:
        CaptureError: when the function is captured, if a value would have to become a Python
            number (``.item()``, ``.numpy()``, ``if loss > 1:``), or if it reads what cannot be
            watched: Python's or NumPy's random numbers, the clock, a file, ``os.environ``, an
            iterator that existed before.

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
