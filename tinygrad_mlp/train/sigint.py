"""Handling of Ctrl-C (SIGINT) during training.

The first one stops training after the current epoch, the second raises KeyboardInterrupt at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .history import History


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed during `fit`, which completed the epoch and called ``on_train_end``.

    Attributes:
        history: what `fit` would have returned; in a notebook ``sys.last_value.history``.

    >>> import signal
    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> class CtrlC(tg.train.Callback):
    ...     def on_epoch_end(self, trainer):
    ...         if len(trainer.history) == 1:  # once: the second one ends it at once
    ...             signal.raise_signal(signal.SIGINT)
    >>> model, data = nn.Linear(1, 1), ([[1.0], [2.0]], [[2.0], [4.0]])
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> try:
    ...     _ = tg.fit(model, optimizer, data, epochs=9, callbacks=[CtrlC()], progress=False)
    ... except tg.train.Interrupted as error:
    ...     print(error, "with loss", error.history["loss"][0] > 0)
    stopped after epoch 2 with loss True
    """

    def __init__(self, history: History) -> None:
        super().__init__(f"stopped after epoch {len(history)}")
        self.history = history


class SigintFlag:
    """Whether Ctrl-C was ``pressed`` inside `defer_sigint`."""

    pressed = False


@contextmanager
def defer_sigint() -> Iterator[SigintFlag]:
    """Set a flag at the first Ctrl-C, and raise KeyboardInterrupt at the second.

    Does nothing in other threads than the main one, which alone receives signals, and where another
    handler than Python's default one is installed.
    """
    flag = SigintFlag()

    def handle(number: int, frame: FrameType | None) -> None:
        if flag.pressed:
            raise KeyboardInterrupt
        flag.pressed = True

    default = signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not default:
        yield flag
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, default)
