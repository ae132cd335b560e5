"""`compile`: a function of tensors that runs natively from its second call on.

The first call of a kind (shapes, dtypes, Python numbers, modes) runs the function in Python and
captures it; the calls after it run the program. What tells one kind of call from another is in
``arguments.py`` and ``guard.py``; how a program runs on what it is given, in ``kind.py``.
"""

from __future__ import annotations

import functools
import threading
import types
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from .._common.change_counter import structure_version
from ..autograd.modes import recording
from ..autograd.tape import Value
from ..autograd.values import from_array
from .capture import CaptureError, capture
from .explain import Explanation, explain
from .guards import PLAIN, GuardContext, names_of
from .ir import Program
from .signature import arrays, kinds, mapped
from .specialization import Specialization, first_result

_MANY = 8  # captures of one function, from which on it says so
_ONCE = 2  # calls that may leave tensors behind, state that comes to be: they run in Python
_ALIKE = 4  # programs kept of one kind of call, which differ in the gradients that they find


class CompiledFunction:
    """A function, and the ``programs`` that its calls have become."""

    # Whether a call that cannot be captured still runs to its end, and the caller does the warning.
    to_the_end = False

    def __init__(self, function: Callable[..., Any]):
        if not callable(function):
            raise TypeError(
                f"compile takes a function or a module, not {type(function).__name__}: write "
                "@tg.compile above a function, or tg.compile(model)"
            )
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.surroundings = GuardContext(function)
        self.programs: list[Specialization] = []
        self.by_key: dict[Any, list[Specialization]] = {}
        self.last: Specialization | None = None
        self.captures = 0
        self.left: Counter[str] = Counter()  # how often a tensor was left behind, by where
        self.lock = threading.RLock()  # a program has one arena

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program of this kind of call; of the first of its kind, the function."""
        if recording() is not None:  # a part of another step
            return self.function(*args, **kwargs)
        with self.lock:
            around, kind = self.surroundings, self.last
            if kind is not None and structure_version() != around.version:
                around.refresh()
            if (
                kind is not None
                and not kwargs
                and kind.matches(args, around.own)
                and around.unchanged(kind.snapshot)
                and kind.guards_hold()
            ):
                return kind.run(args)
            around.scan()
            around.refresh()
            given = arrays((args, kwargs) if kwargs else args)
            mine = kinds(args, kwargs, given, around)
            kind = self._find(mine, given)
            if kind is None:
                return self._capture(mine, args, kwargs)
            self.last = kind
            return kind.run(given)

    def ready(self, *args: Any) -> Callable[[int], Any] | None:
        """What makes so many such calls in a row, in one run of the program; None before it is.

        A function to be repeated takes its data along by itself: see ``ops/fused/epoch_ops.py``.
        """
        with self.lock:
            around = self.surroundings
            around.scan()
            around.refresh()
            given = arrays(args)
            kind = self._find(kinds(args, {}, given, around), given)
            if kind is None:
                return None
            self.last = kind
            return functools.partial(self._repeat, kind, given)

    def _repeat(self, kind: Specialization, given: list[Any], times: int) -> Any:
        with self.lock:
            return kind.run(given, times)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As an attribute of a class it is a method, as the function would be."""
        return self if instance is None else types.MethodType(self, instance)

    def _find(self, mine: tuple[Any, ...], given: list[Any]) -> Specialization | None:
        """The program for these arguments in these surroundings, if there is one."""
        around = self.surroundings
        for kind in self.by_key.get((mine, around.key(around.look)), ()):
            if kind.guards_hold() and kind.no_alias(given):
                kind.snapshot = around.snapshot(around.look)
                return kind
        return None

    def _capture(self, mine: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        around = self.surroundings
        before = self.by_key.get((mine, around.key(around.look)), ())
        modes = around.modes
        reset = frozenset(leaf for kind in before for leaf in kind.with_gradient())
        variables = around.values()
        kept, kept_kwargs = args, kwargs
        args, kwargs = mapped(args, _tensor), mapped(kwargs, _tensor)
        given = arrays((args, kwargs))
        inputs = [k for k, value in enumerate(given) if id(value) not in around.own]
        captured = capture(
            self.function,
            args,
            kwargs,
            [given[k] for k in inputs],
            around.leaves(),
            lambda: _names(self.function, args, kwargs) | around.names(),
            around.held,
            reset,
            self.to_the_end,
        )
        result = first_result(captured)
        if captured.left:
            self._left(captured.left, result)
            return result
        try:
            kind = Specialization(captured, inputs)
        except CaptureError as error:
            error.done, error.result = True, captured.result
            raise
        kind.adopt()
        around.look_again()
        look = around.look_in(modes)  # the step may set modes: it was called in those before
        kind.modes = [(m, m.training) for m, before in modes if m.training is not before]
        kind.kinds, key = mine, (mine, around.key(look))
        kind.snapshot = around.snapshot(look)
        if not kept_kwargs:
            kind.expect(kept, around.own)
        self.captures += 1
        self._keep(kind, key)
        if not self.to_the_end:
            self._warn(variables)
        return result

    def _left(self, place: str, result: Any) -> None:
        """A tensor was left behind: state that came to be, once, or what no program would leave."""
        self.left[place.partition("[")[0]] += 1
        if self.left[place.partition("[")[0]] > _ONCE:
            error = CaptureError(
                f"the step leaves a tensor that it made in {place}, again and again, where the "
                "compiled step would leave nothing: return it, or if it is state, write into the "
                "tensor that is there, as in `with tg.no_grad(): self.mean.copy_(new)`"
            )
            error.done, error.result = True, result
            raise error

    def _keep(self, kind: Specialization, key: Any) -> None:
        alike = self.by_key.setdefault(key, [])
        alike.insert(0, kind)
        self.programs.append(kind)
        for old in alike[_ALIKE:]:
            self.programs.remove(old)
        del alike[_ALIKE:]
        self.last = kind

    def _warn(self, before: list[Any]) -> None:
        """Say what was captured and is not what it seems."""
        name, around = getattr(self.function, "__name__", "a function"), self.surroundings
        changed = [
            variable
            for (variable, now), was in zip(around.watched(), before, strict=True)
            if isinstance(was, PLAIN) and isinstance(now, PLAIN) and now is not was and now != was
        ]
        if changed:
            warnings.warn(
                f"{name} changes {', '.join(changed)}, a Python variable: the compiled function "
                "did so once, when it was captured, and will not again. Count outside of it, or "
                "in a tensor",
                stacklevel=4,
            )
        if self.captures == _MANY:
            warnings.warn(
                f"{name} was captured {_MANY} times: each new shape, dtype, Python number or mode "
                "among what it uses makes a program. Pass numbers that change as 0-d tensors, and "
                "batches of few sizes",
                stacklevel=4,
            )

    @property
    def program(self) -> Program:
        """What ran last, as captured and optimised; prints as text.

        Raises RuntimeError before the first call.
        """
        if self.last is None:
            raise RuntimeError("nothing is captured yet: call the compiled function once")
        return self.last.executable.program

    def explain(self, peak: float | None = None, bandwidth: float | None = None) -> Explanation:
        """What ran last, line by line: kernels, FLOPs, bytes, time, share of the roofline.

        And what a change of would be noticed, and what is frozen. Times are measured now, on copies
        of all that the step changes: nothing is changed. ``peak`` is in FLOP/s, ``bandwidth`` in
        bytes/s; both are measured too, unless given.

        Raises RuntimeError before the first call.
        """
        with self.lock:
            self.program  # noqa: B018 - raises if there is none
            return explain(self, peak, bandwidth)


def _tensor(value: Any) -> Any:
    return from_array(value) if isinstance(value, np.ndarray) else value


def _names(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> dict[int, str]:
    """What the function calls its arguments: for print."""
    if hasattr(function, "forward"):
        function = function.forward
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if hasattr(function, "__self__"):
        names = names[1:]
    names += [f"x{k}" for k in range(len(names), len(args))]
    found: dict[int, str] = {}
    for name, value in (*zip(names, args, strict=False), *kwargs.items()):
        if isinstance(value, Value):
            found[id(value)] = name
        elif hasattr(value, "named_modules"):
            found |= names_of([(name, value)], [])
        elif hasattr(value, "param_groups"):
            found |= names_of([], [(name, value)])
        elif isinstance(value, (tuple, list, dict)):
            found |= {id(v): f"{name}[{k}]" for k, v in enumerate(arrays((value,)))}
    return found


def compile(function: Any = None, *, disable: bool = False) -> Any:
    """Make a function of tensors run natively: `@tg.compile` above it, or ``tg.compile(model)``.

    The first call runs the function as it is, for real, and captures every op that it applies, in
    forward, backward and optimizer alike; later calls run that as one program without Python. The
    results are those of the function itself, bit for bit, for any number of threads.

    Arguments are tensors, arrays, and Python values. Captured anew is what a new shape, dtype or
    Python number makes another step: arguments, the variables that the function names, what is in
    short lists and dicts among them, a module's attribute, mode or hook, the default dtype,
    `no_grad`. Learning rates and other numbers of an optimizer's groups are read at every step.
    Everything else is frozen as it was when captured, `explain` of the result lists it; what Python
    does beside (printing, counting, a module's forward hooks) it does once, at the capture.

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
