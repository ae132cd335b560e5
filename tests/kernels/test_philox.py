"""Random numbers: Philox's known answers, and statistical tests of the draws.

Statistics of fixed seeds: a bound of five standard deviations fails for a wrong generator only.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.kernels.philox_reference import (
    np_integers,
    np_mask,
    np_normal,
    np_uniform,
    np_uniform32,
    philox4x32,
    words,
)
from tinygrad_mlp.kernels.philox import philox
from tinygrad_mlp.ops.random import dropout_mask

N = 200_000
BITS32 = 2**32 - 1

# counter, key, answer: from the tests of Random123, `kat_vectors`, philox 4x32 of 10 rounds
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((BITS32,) * 4, (BITS32,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.fixture(autouse=True)
def _state_is_left_as_it_was() -> Iterator[None]:
    before = tg.get_rng_state()
    yield
    tg.set_rng_state(before)


def drawn(draw: Callable[[], tg.Tensor], seed: int = 0) -> np.ndarray:
    tg.manual_seed(seed)
    return draw().numpy()


def chi_square(counts: np.ndarray, expected: np.ndarray | float) -> float:
    """Return the distance of the chi-square statistic from its mean, in standard deviations."""
    degrees = counts.size - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float((statistic - degrees) / math.sqrt(2 * degrees))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: tuple, key: tuple, answer: tuple) -> None:
    assert tuple(philox4x32(np.array([counter], np.uint64), key)[0]) == answer
    block, draw, seed = (
        np.uint64(low | high << 32) for low, high in (counter[:2], counter[2:], key)
    )
    assert philox(block, draw, seed) == answer


@pytest.mark.parametrize("seed", [0, 7, 2**40 + 3, -1])
def test_draws_are_philox_of_seed_and_draw(seed: int) -> None:
    """All types of draws of odd sizes, the fifth draw of a seed, and one beyond 32 bits."""
    for draw, size in ((5, 4097), (2**33 + 1, 7)):
        kinds = [
            (lambda s: tg.rand(s), np_uniform32),
            (lambda s: tg.rand(s, dtype="float64"), np_uniform),
            (lambda s: tg.randint(-5, 6, (s,)), lambda *a: np_integers(*a, -5, 11)),
            (lambda s: dropout_mask((s,), 0.3), lambda *a: np_mask(*a, 0.3)),
        ]
        for k, (ours, reference) in enumerate(kinds):
            tg.set_rng_state(tg.tensor([seed, draw + k]))
            np.testing.assert_array_equal(ours(size).numpy(), reference(seed, draw + k, (size,)))
        for dtype, tolerance in (("float64", 1e-14), ("float32", 6e-8)):
            tg.set_rng_state(tg.tensor([seed, draw]))
            found = tg.randn(size, dtype=dtype).numpy()
            wanted = np_normal(seed, draw, (size,))
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(dtype: str) -> None:
    values = drawn(lambda: tg.rand(N, dtype=dtype))
    assert values.dtype == dtype
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(chi_square(np.histogram(values, 200, (0, 1))[0], N / 200)) < 5
    assert abs(values.mean(dtype=float) - 0.5) < 5 * math.sqrt(1 / 12 / N)
    fine = np.floor(values.astype(float) * 2**20) % 64  # the low bits are random too
    assert abs(chi_square(np.bincount(fine.astype(int), minlength=64), N / 64)) < 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype: str) -> None:
    values = drawn(lambda: tg.randn(N, dtype=dtype)).astype(float)
    assert np.isfinite(values).all()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((values**power).mean() - moment) < 5 * math.sqrt(variance / N), power
    edges = np.array([-np.inf, *np.linspace(-3.5, 3.5, 71), np.inf])
    below = np.array([0.5 * (1 + math.erf(edge / math.sqrt(2))) for edge in edges])
    assert abs(chi_square(np.histogram(values, edges)[0], N * np.diff(below))) < 5


@pytest.mark.parametrize("draw", [tg.rand, tg.randn])
def test_draws_are_independent(draw: Callable[..., tg.Tensor]) -> None:
    """Independent of the previous draw, of the neighbours, and of another seed's draw."""
    tg.manual_seed(3)
    first, second = (draw(N, dtype="float64").numpy() for _ in range(2))
    tg.manual_seed(4)
    other = draw(N, dtype="float64").numpy()
    pairs = [(first, second), (first, other)]
    pairs += [(first[:-lag], first[lag:]) for lag in (1, 2, 3, 4, 256)]
    for a, b in pairs:
        assert not np.array_equal(a, b)
        for f in (np.asarray, np.square):
            assert abs(np.corrcoef(f(a), f(b))[0, 1]) < 5 / math.sqrt(a.size)


def test_lanes_and_counters_are_independent() -> None:
    """Each bit of each word is fair, and independent of the block and of the next blocks."""
    block = words(12345, 6, N // 4)  # (N / 4, 4) uint32
    bits = np.unpackbits(np.ascontiguousarray(block.astype("<u4")).view(np.uint8), axis=1)
    signs = 2.0 * bits - 1  # (N / 4, 128)
    bound = 5.5 / math.sqrt(signs.shape[0])  # of 16,384 pairs: five and a half deviations
    assert abs(signs.mean(0)).max() < bound
    together = signs.T @ signs / signs.shape[0]
    assert abs(together - np.eye(128)).max() < bound
    for lag in (1, 2, 8):
        assert abs(signs[:-lag].T @ signs[lag:] / signs.shape[0]).max() < bound
    np.testing.assert_array_equal(  # the kernel draws from these words
        drawn(lambda: tg.rand(400), 12345),
        (words(12345, 0, 100).ravel() >> 8).astype(np.float32) * np.float32(2**-24),
    )


def test_pairs_fill_the_square() -> None:
    tg.manual_seed(5)
    a, b = (tg.rand(N).numpy() for _ in range(2))
    for x, y in ((a, b), (a[0::2], a[1::2])):
        counts = np.histogram2d(x, y, 16, ((0, 1), (0, 1)))[0].ravel()
        assert abs(chi_square(counts, x.size / 256)) < 5


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 1),
        (-3, 4),
        (-10, -5),
        (0, 2**31),
        (-(2**40), 2**40),
        (0, 2**63 - 1),
        (-(2**63), 2**63 - 1),
    ],
)
def test_integers(low: int, high: int) -> None:
    values = drawn(lambda: tg.randint(low, high, (N,)), seed=2)
    assert values.dtype == np.int64
    assert values.min() >= low
    assert values.max() < high
    if high - low < 100:
        assert set(values.tolist()) == set(range(low, high))
    bins = min(high - low, 32)
    place = [(value - low) * bins // (high - low) for value in values.tolist()]
    counts = np.bincount(place, minlength=bins)
    assert counts.size == bins
    assert bins == 1 or abs(chi_square(counts, N / bins)) < 5


def test_integers_refuse_an_empty_range() -> None:
    for low, high in ((3, 3), (3, 2)):
        with pytest.raises(ValueError, match="high must be above low"):
            tg.randint(low, high, (2,))


def test_integers_refuse_what_int64_does_not_hold() -> None:
    for low, high in ((-(2**63) - 1, 0), (0, 2**63 + 1)):
        with pytest.raises(ValueError, match="int64"):
            tg.randint(low, high, (2,))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_bernoulli(p: float) -> None:
    kept = drawn(lambda: dropout_mask((N,), p))
    assert kept.dtype == bool
    assert abs(kept.mean() - (1 - p)) <= 5 * math.sqrt(p * (1 - p) / N)


def test_permutation() -> None:
    order = drawn(lambda: tg.randperm(1000))
    assert sorted(order.tolist()) == list(range(1000))
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 5 / math.sqrt(1000)


def test_same_numbers_on_any_number_of_threads(use_threads: Callable[[int], None]) -> None:
    def numbers() -> list[bytes]:
        tg.manual_seed(11)
        draws = [
            draw.numpy()
            for size in (1, 2, 3, 5, 1003)
            for draw in (
                tg.rand(size),
                tg.rand(size, dtype="float64"),
                tg.randn(size),
                tg.randn(size, dtype="float64"),
                tg.randint(-7, 9, (size,)),
                dropout_mask((size,), 0.4),
            )
        ]
        return [draw.tobytes() for draw in draws]

    use_threads(1)
    alone = numbers()
    for count in (2, 3, 8):
        use_threads(count)
        assert numbers() == alone


def test_a_saved_state_resumes() -> None:
    tg.manual_seed(1)
    tg.rand(5)
    saved = tg.get_rng_state()
    first = [tg.rand(3).tolist(), tg.randn(3).tolist()]
    assert [tg.rand(3).tolist(), tg.randn(3).tolist()] != first
    tg.set_rng_state(saved)
    assert [tg.rand(3).tolist(), tg.randn(3).tolist()] == first
    tg.rand(3)
    tg.set_rng_state(saved)  # neither the draws nor a resume changed the saved state
    assert [tg.rand(3).tolist(), tg.randn(3).tolist()] == first
    with pytest.raises(ValueError, match="takes the result of get_rng_state"):
        tg.set_rng_state(tg.zeros(2))


def test_manual_seed() -> None:
    same, again, other = (drawn(lambda: tg.rand(50), seed) for seed in (9, 9, 10))
    assert (same == again).all()
    assert (same != other).any()
    assert (drawn(lambda: tg.rand(50), -1) == drawn(lambda: tg.rand(50), 2**64 - 1)).all()
    assert (drawn(lambda: tg.rand(50), np.int32(9)) == same).all()
    for seed in (1.5, True, "1", None):
        with pytest.raises(TypeError, match="seed must be an integer"):
            tg.manual_seed(seed)


def test_words_differ_in_every_lane() -> None:
    """Some of the draws above would not detect a lane that is left out or copied."""
    assert np.unique(words(0, 0, 1000)).size == 4000
    assert np.unique(drawn(lambda: tg.rand(1000, dtype="float64"))).size == 1000


def test_python_threads_never_draw_the_same_numbers() -> None:
    tg.manual_seed(0)
    drawn: list[float] = []

    def draw() -> None:
        for _ in range(300):
            drawn.append(tg.rand(1, dtype="float64").item())

    workers = [threading.Thread(target=draw) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(drawn)) == len(drawn) == 1200
