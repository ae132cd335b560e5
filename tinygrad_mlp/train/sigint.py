"""Ctrl-C, so that it ends an epoch and does not tear it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .history import History


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed in a fit, which ended its epoch, and all that belongs to the end.

    Its ``history`` is what the fit would have returned: in a notebook it is
    ``sys.last_value.history``.
    """

    def __init__(self, history: History) -> None:
        super().__init__(f"stopped after epoch {len(history)}")
        self.history = history


class Wish:
    """Whether Ctrl-C was pressed."""

    pressed = False


@contextmanager
def politely() -> Iterator[Wish]:
    """Note the first Ctrl-C, and raise KeyboardInterrupt at the second.

    Where Ctrl-C means something else than KeyboardInterrupt, or in another thread than the main
    one, which alone is told of it, nothing is changed.
    """
    wish = Wish()

    def press(number: int, frame: FrameType | None) -> None:
        if wish.pressed:
            raise KeyboardInterrupt
        wish.pressed = True

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield wish
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
