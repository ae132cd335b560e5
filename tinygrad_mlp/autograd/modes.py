"""What this thread does with the ops that it applies: tape them, record them, both or neither."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any


class _Mode(threading.local):
    grad: bool = True
    record: Record | None = None


mode = _Mode()


class grad_mode(contextlib.ContextDecorator):
    """Set whether ops are taped, inside a ``with`` block or a decorated function."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(mode.grad)
        mode.grad = self.enabled

    def __exit__(self, *_: object) -> None:
        mode.grad = self.before.pop()

    def _recreate_cm(self) -> grad_mode:
        """A decorated function takes a new one for each call: it may run in several threads."""
        return grad_mode(self.enabled)

    def __call__(self, function: Any) -> Any:
        """Decorate a function; of a generator function, each step runs in this mode."""
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

        return stepwise


class no_grad(grad_mode):
    """Do not tape what happens inside ``with tg.no_grad():``, or a function so decorated."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(grad_mode):
    """Tape what happens inside, also within `no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(grad_mode):
    """Tape or not, by a flag: from the call on, or as ``with tg.set_grad_enabled(training):``."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        grad_mode.__enter__(self)

    def __enter__(self) -> None:
        """The call has set it already."""

    def __call__(self, function: Any) -> Any:
        """Decorate a function: then the call was not meant for what comes after it."""
        self.__exit__()
        return grad_mode(self.enabled)(function)


def is_grad_enabled() -> bool:
    """Whether ops that read a tensor with ``requires_grad`` are being taped."""
    return mode.grad


# --- recording ---


class Record(list[Any]):
    """Every op applied by a thread, in order; and what else a recording may want to be told.

    Here that falls on deaf ears; the capture of a compiled step (``program/``) listens.
    """

    replayed = False  # whether what is recorded will be run again

    def graph_break(self, what: str, instead: str = "") -> None:
        """``what`` is no op: a value that goes out into Python, or comes in. What to do instead."""

    def add_guard(self, fact: Callable[[], Any]) -> None:
        """What is recorded depends on this ``fact`` of Python being what it is now."""

    def on_grad_reset(self, leaf: Any) -> None:
        """The gradient of ``leaf`` was forgotten."""

    def guard_grad_is_none(self, leaf: Any) -> None:
        """What follows depends on ``leaf`` having no gradient now."""


@contextlib.contextmanager
def record(into: Record | None = None) -> Iterator[Record]:
    """Collect every op applied by this thread inside the block, in order.

    >>> with record() as entries:
    ...     pass
    >>> entries
    []
    """
    entries = Record() if into is None else into
    before, mode.record = mode.record, entries
    try:
        yield entries
    finally:
        mode.record = before
        for entry in entries if before is not None else ():
            before.append(entry)  # type: ignore[union-attr]


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """Inside the block no op is recorded: it is part of one that is."""
    before, mode.record = mode.record, None
    try:
        yield
    finally:
        mode.record = before


def recording() -> Record | None:
    """The recording of this thread, if there is one."""
    return mode.record
