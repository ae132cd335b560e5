"""The first Ctrl-C sets a flag, the second raises."""

from __future__ import annotations

import signal
import threading

import pytest

from tinygrad_mlp.train.sigint import defer_sigint


def test_the_first_is_noted_and_the_second_raises() -> None:
    before = signal.getsignal(signal.SIGINT)
    with defer_sigint() as flag:
        assert not flag.pressed
        signal.raise_signal(signal.SIGINT)
        assert flag.pressed
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_handler_is_kept() -> None:
    caught = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        with defer_sigint() as flag:
            signal.raise_signal(signal.SIGINT)
            assert not flag.pressed
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT]


def test_another_thread_is_left_alone() -> None:
    found = []

    def inside() -> None:
        with defer_sigint() as flag:
            found.append(flag.pressed)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [False]
