"""The modes of a thread: whether it records ops on the tape, and in a list for `compile`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .tape import Entry, Node

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


class _Mode(threading.local):
    grad: bool = True
    record: Record | None = None
    checked_node: Callable[..., Node] | None = None  # what makes nodes in `detect_anomaly`


mode = _Mode()


class grad_mode(contextlib.ContextDecorator):
    """Set whether ops are recorded on the tape, in a ``with`` block or a decorated function."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(mode.grad)
        mode.grad = self.enabled

    def __exit__(self, *_: object) -> None:
        mode.grad = self.before.pop()

    def _recreate_cm(self) -> grad_mode:
        """Return a new object for each call of a decorated function: threads share the function."""
        return grad_mode(self.enabled)

    def __call__(self, function: AnyFunction) -> AnyFunction:
        """Decorate a function; of a generator function, every step runs in this mode."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def stepwise(*args: Any, **kwargs: Any) -> Any:
            generator, sent = function(*args, **kwargs), None
            while True:
                try:
                    with self._recreate_cm():
                        produced = generator.send(sent)
                except StopIteration as end:
                    return end.value
                sent = yield produced

        return stepwise  # type: ignore[return-value]


class no_grad(grad_mode):
    """Record nothing on the tape inside ``with tg.no_grad():``, or a function so decorated.

    >>> import tinygrad_mlp as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(grad_mode):
    """Record on the tape, also inside `no_grad`: a ``with`` block or a decorated function.

    >>> import tinygrad_mlp as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.no_grad(), tg.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(grad_mode):
    """Set recording by a flag: from the call on, or as ``with tg.set_grad_enabled(training):``.

    >>> import tinygrad_mlp as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        grad_mode.__enter__(self)

    def __enter__(self) -> None:
        """Do nothing: the mode is set by the call."""

    def __call__(self, function: AnyFunction) -> AnyFunction:
        """Decorate a function, and restore the mode that the call set."""
        self.__exit__()
        return grad_mode(self.enabled)(function)


def is_grad_enabled() -> bool:
    """Return whether ops on tensors that require gradients are recorded on the tape.

    >>> is_grad_enabled()
    True
    """
    return mode.grad


# --- the list of applied ops ---


class Record(list["Entry"]):
    """The ops applied by a thread, in order.

    The methods are calls at which a compiled step must take care. They do nothing here;
    ``compiler/capture.py`` overrides them.
    """

    replayed = False  # whether what is recorded will run again

    def graph_break(self, what: str, instead: str = "") -> None:
        """Raise an error: ``what`` is not an op, but passes a value to Python or takes one."""

    def add_guard(self, fact: Callable[[], Any]) -> None:
        """Run what is recorded again only while ``fact()`` returns what it returns now."""

    def on_made(self, value: Any) -> None:
        """Note a tensor that was made on the memory of an array, without an op."""

    def on_grad_reset(self, leaf: Any) -> None:
        """Note that ``leaf.grad`` was set to None."""

    def guard_grad_is_none(self, leaf: Any) -> None:
        """Run what is recorded again only if ``leaf.grad`` is None."""


@contextlib.contextmanager
def record(into: Record | None = None) -> Iterator[Record]:
    """List every op applied by this thread inside the block, in order.

    >>> import tinygrad_mlp as tg
    >>> with record() as entries:
    ...     y = tg.ones(2) * 2
    >>> [entry.op.name for entry in entries]
    ['full', 'mul']
    """
    entries = Record() if into is None else into
    outer, mode.record = mode.record, entries
    try:
        yield entries
    finally:
        mode.record = outer
        if outer is not None:
            for entry in entries:
                outer.append(entry)


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """List no ops inside the block: they are part of an op that is listed."""
    outer, mode.record = mode.record, None
    try:
        yield
    finally:
        mode.record = outer


def recording() -> Record | None:
    """Return the list into which this thread records ops, if any."""
    return mode.record
