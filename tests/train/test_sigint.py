"""The first Ctrl-C is a wish, the second is obeyed at once."""

from __future__ import annotations

import signal
import threading

import pytest

from tinygrad_mlp.train.sigint import politely


def test_the_first_is_noted_and_the_second_raises() -> None:
    before = signal.getsignal(signal.SIGINT)
    with politely() as wish:
        assert not wish.pressed
        signal.raise_signal(signal.SIGINT)
        assert wish.pressed
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_meaning_of_ones_own_is_left_alone() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with politely() as wish:
            signal.raise_signal(signal.SIGINT)
            assert not wish.pressed
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_another_thread_is_left_alone() -> None:
    found = []

    def inside() -> None:
        with politely() as wish:
            found.append(wish.pressed)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [False]
