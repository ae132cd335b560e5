"""The modes of a thread: recording on the tape or not, as calls, blocks and decorators."""

from __future__ import annotations

import threading

import pytest

import tinygrad_mlp as tg


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


def test_no_grad_and_enable_grad_nest() -> None:
    x = leaf(1.0)
    with tg.no_grad():
        assert not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
            with tg.set_grad_enabled(False):
                assert not tg.is_grad_enabled()
            assert tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_modes_decorate_functions() -> None:
    @tg.no_grad()
    def forward(x, depth=2):
        """Doc."""
        return forward(x, depth - 1) if depth else x * 2

    x = leaf(1.0)
    assert not forward(x).requires_grad
    assert tg.is_grad_enabled()
    assert (forward.__name__, forward.__doc__) == ("forward", "Doc.")
    with tg.no_grad():
        assert tg.enable_grad()(lambda: x * 2)().requires_grad


def test_modes_are_restored_after_an_error() -> None:
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert tg.is_grad_enabled()


def test_grad_mode_is_each_threads_own() -> None:
    inside, leave, seen = threading.Event(), threading.Event(), []

    @tg.no_grad()
    def hold():
        inside.set()
        leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    seen.append(tg.is_grad_enabled())
    with tg.no_grad():
        hold_too = threading.Thread(target=hold)
        hold_too.start()
        leave.set()
        thread.join()
        hold_too.join()
        seen.append(tg.is_grad_enabled())
    assert seen == [True, False]
    assert tg.is_grad_enabled()


def test_a_decorator_shared_by_threads_restores_each_ones_mode() -> None:
    """One thread records and one does not; they leave in the order in which they entered."""
    steps = [threading.Event() for _ in range(3)]

    @tg.no_grad()
    def work(mine: threading.Event, go: threading.Event):
        mine.set()
        go.wait(10)

    after = {}

    def without_recording():
        with tg.no_grad():
            work(steps[1], steps[2])

    def with_recording():
        work(steps[0], steps[1])  # leaves while the other is inside
        after["recording"] = tg.is_grad_enabled()
        steps[2].set()

    first = threading.Thread(target=with_recording)
    first.start()
    steps[0].wait(10)
    second = threading.Thread(target=without_recording)
    second.start()
    first.join()
    second.join()
    assert after == {"recording": True}


def test_set_grad_enabled_works_as_a_call_a_block_and_a_decorator() -> None:
    assert tg.is_grad_enabled()
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()

    @tg.set_grad_enabled(False)
    def mode():
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert mode() is False
    assert tg.is_grad_enabled()


def test_no_grad_reaches_into_generators_and_not_out_of_them() -> None:
    @tg.no_grad()
    def modes():
        sent = yield tg.is_grad_enabled()
        yield sent, tg.is_grad_enabled()
        return "done"

    steps = modes()
    assert next(steps) is False
    assert tg.is_grad_enabled()
    assert steps.send("sent") == ("sent", False)
    with pytest.raises(StopIteration, match="done"):
        next(steps)
