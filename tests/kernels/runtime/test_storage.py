"""Memory is reused when no tensor refers to it, and not before."""

from __future__ import annotations

import importlib.util
import sys
import threading
import weakref
from collections import deque

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.kernels.runtime import storage
from tinygrad_mlp.kernels.runtime.layout import dense

LARGE = 100_000  # elements: more than a small storage holds


@pytest.fixture(autouse=True)
def own_rings(monkeypatch):
    """Replace the rings for one test; existing layouts hold the old ones."""
    monkeypatch.setattr(storage, "_rings", {})
    monkeypatch.setattr(storage, "_held", 0)


def take(size: int) -> storage.Storage:
    return storage.allocate(size, storage.ring_of(size))


@pytest.mark.parametrize("size", [1, 512, 70_000, 5_000_000])
def test_memory_is_used_again(size: int) -> None:
    first = take(size)
    address = first.address
    second = take(size)
    assert second.address != address
    assert address % 64 == 0
    del first
    third = take(size)
    assert third.address == address
    assert third.version == 0


@pytest.mark.parametrize("size", [16, LARGE])
def test_an_array_keeps_its_memory(size: int) -> None:
    kept = []
    for number in range(100):
        x = tg.full((size // 16, 16), float(number))
        array = x.numpy()
        kept.append((number, array[:1, 3:].T if number % 2 else array))
        del x, array
        tg.full((size // 16, 16), -1.0)
    assert all((array == number).all() for number, array in kept)


def test_views_keep_their_memory() -> None:
    rows = [tg.full((50, 20), float(number))[3] for number in range(200)]
    assert all(row.tolist() == [number] * 20 for number, row in enumerate(rows))


def test_what_lives_long_leaves_the_ring() -> None:
    """A ring full of parameters would have no free storage."""
    parameters = [take(512) for _ in range(3 * storage._LONGEST)]
    for _ in range(20 * storage._LONGEST):
        take(512)
    ring = storage.ring_of(512)
    assert not {id(each) for each in parameters} & {id(each) for each in ring}
    assert 0 < len(ring) <= storage._LONGEST


def test_what_is_free_again_every_time_stays_in_the_ring() -> None:
    """A storage in use once a step, and free at the next, stays in the ring."""
    kept = take(512)
    known = weakref.ref(kept)
    for _ in range(5 * storage._PATIENCE):
        passing = take(512)
        del passing
        passing = take(512)
        del passing, kept
        kept = take(512)
        assert kept is known()


def test_a_ring_may_be_emptied_between_a_look_and_a_take() -> None:
    """Another thread may take the last storage just after this one has checked for it."""

    class Emptied(deque):
        def __len__(self) -> int:
            return 1

    for _ in range(3):
        ring = Emptied()
        first, second = storage.allocate(64, ring), storage.allocate(64, ring)
        assert first is not second


def test_threads_never_get_one_memory_twice() -> None:
    """Many threads take from one ring, whose only storage another thread often holds."""
    wrong = []

    def work(number: int) -> None:
        for _ in range(3000):
            storage_ = take(64)
            storage_.array[storage_.place] = number
            mine = storage_.array[storage_.place] == number
            storage_.array[storage_.place] = 255
            if not mine:
                wrong.append(number)

    def run(number: int) -> None:
        try:
            work(number)
        except Exception as error:  # a thread's exception would not reach the test
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_the_rings_hold_only_so_much(monkeypatch) -> None:
    monkeypatch.setattr(storage, "_MOST", 10_000_000)
    for size in range(100_000, 3_000_000, 50_000):
        take(size)
        held = sum(each.array.size for ring in storage._rings.values() for each in ring)
        assert held <= 10_000_000
        assert held == storage._held


def test_a_room_is_no_larger_than_it_must_be() -> None:
    for size in (*range(0, 5000, 7), 70_001, 10_000_001):
        room = storage._room(size)
        assert size <= room <= max(1.25 * size + 64, 64)
        assert room % 64 == 0


def test_a_layout_asks_for_its_bytes() -> None:
    layout = dense((3, 5), np.dtype(np.float64))
    assert layout.nbytes == 120


def test_memory_is_told_free_however_python_counts(monkeypatch) -> None:
    """From Python 3.14 on a local name lends its reference to a call: one less is counted."""
    count = sys.getrefcount

    def lent(x: object) -> int:
        return count(x) - 1 - (type(x).__name__ == "Storage")  # 1: this function's own name

    monkeypatch.setattr(sys, "getrefcount", lent)
    spec = importlib.util.spec_from_file_location(f"{storage.__name__}_again", storage.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    ring = again.ring_of(512)
    used = [again.allocate(512, ring) for _ in range(20)]
    assert len({each.address for each in used}) == 20
    del used
    free = set(map(id, ring))
    for _ in range(20):
        again.allocate(512, ring)
    assert set(map(id, ring)) == free
