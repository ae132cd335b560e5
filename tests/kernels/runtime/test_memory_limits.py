"""Where memory runs out: a MemoryError that says what was wanted, and no wait for a worker."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.kernels.scripts import run
from tinygrad_mlp.kernels.runtime import memory, storage

HUGE = 1 << 60

LADDER = """
import resource
import tinygrad_mlp as tg

tg.set_num_threads(4)

@tg.compile
def step(x):
    return (x @ x.T).exp().sum()

def work(n):
    x = tg.ones(n, n)
    step(x), step(x)
    return (x + 1).sum().item()

if {warm}:
    work(50)
pages = int(open("/proc/self/statm").read().split()[0])
soft = pages * resource.getpagesize() + {extra} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
n, kept = 100, []
try:
    while True:
        kept.append(tg.ones(n, n))
        work(n)
        n *= 2
except MemoryError as error:
    message = str(error)
kept.clear()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert work(64) == 2 * 64 * 64, "all works again"
print(message)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a limit of address space")
@pytest.mark.parametrize(
    ("extra", "warm"), [(1, False), (1, True), (12, True), (70, False), (100, True), (300, True)]
)
def test_under_a_limit_of_memory(extra: int, warm: bool) -> None:
    message = run(LADDER.format(extra=extra, warm=warm))
    assert "llocate" in message, message  # ours, or NumPy's
    assert len(message.splitlines()) == 1


def test_a_tensor_that_is_too_large_says_how_large() -> None:
    x = tg.ones(1 << 20, 1).expand(1 << 20, 1 << 22)
    with pytest.raises(MemoryError, match=r"^cannot allocate 17,592,[\d,]+ bytes for a tensor$"):
        x.exp()


@pytest.mark.parametrize("zeros", [False, True])
def test_the_error_names_bytes_and_purpose(zeros: bool) -> None:
    for size, text in (
        (HUGE, "1,152,921,504,606,846,976"),
        (1 << 64, "18,446,744,073,709,551,616"),
    ):
        with pytest.raises(MemoryError) as raised:
            memory.new_bytes(size, "a test", zeros)
        assert str(raised.value) == f"cannot allocate {text} bytes for a test"
    assert memory.new_bytes(3, "a test", True).tolist() == [0, 0, 0]


def test_scratch_is_as_before_after_an_error() -> None:
    address = memory.scratch(1000)
    with pytest.raises(MemoryError, match="for the working memory of a kernel"):
        memory.scratch(HUGE)
    assert memory.scratch(1000) == address


def test_free_memory_is_given_back_before_an_allocation_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = 3 << 20
    x = tg.ones(size // 4) + 1
    del x
    ring = storage.ring_of(size)
    assert ring
    make, calls = np.empty, []

    def fails_once(*args: object) -> np.ndarray:
        calls.append(len(ring))
        if len(calls) == 1:
            raise MemoryError
        return make(*args)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(np, "empty", fails_once)
    assert storage._new_array(size).size == size
    assert calls[0] > 0
    assert calls[1] == 0
