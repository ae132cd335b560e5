import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp.data import Batches


@given(
    rows=st.integers(0, 60),
    batch_size=st.integers(1, 70),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    epoch=st.integers(0, 1000),
)
def test_an_epoch_meets_each_row_once(
    rows: int, batch_size: int, shuffle: bool, drop_last: bool, epoch: int
) -> None:
    x = np.arange(rows)
    batches = Batches((x, -x), batch_size, shuffle, drop_last)
    met = list(batches.epoch(epoch))
    assert len(met) == len(batches)
    assert (len(met[-1][0]) if met else 0) == batches.last
    assert all(len(a) == batch_size for a, _ in met[:-1])
    assert all(len(a) > 0 for a, _ in met)
    assert all((a == -b).all() for a, b in met), "rows of one array go with those of the other"
    seen = np.concatenate([a for a, _ in met]) if met else np.arange(0)
    assert len(set(seen.tolist())) == len(seen)
    assert len(seen) == (rows - rows % batch_size if drop_last else rows)
    if not shuffle:
        assert (seen == x[: len(seen)]).all()


def order(seed: int, epoch: int) -> list[int]:
    batches = Batches((np.arange(100),), 7, seed=seed)
    return [int(row) for (rows,) in batches.epoch(epoch) for row in rows]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert order(0, 0) != list(range(100))


def test_each_row_comes_first_about_equally_often() -> None:
    first = np.zeros(10)
    batches = Batches((np.arange(10),), 1)
    for epoch in range(2000):
        first[next(iter(batches.epoch(epoch)))[0]] += 1
    # Binomial(2000, 1/10): 200 on average, with a standard deviation of 13.4.
    assert first.min() > 140
    assert first.max() < 260


def test_batches_are_copies() -> None:
    x = np.zeros((4, 2))
    for shuffle in (True, False):
        for (rows,) in Batches((x,), 2, shuffle).epoch(0):
            rows += 1
    assert not x.any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0; write batch_size="),
        ({"batch_size": 2.0}, TypeError, r"batch_size must be an integer, got 2\.0"),
        ({"seed": -3}, ValueError, "seed must be at least 0, got -3"),
        ({"arrays": ()}, ValueError, r"arrays must be of one length, got lengths \[\]"),
        (
            {"arrays": (np.zeros(3), np.zeros(2))},
            ValueError,
            r"arrays must be of one length, got lengths \[3, 2\]",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Batches(**{"arrays": (np.zeros(3),), "batch_size": 2} | arguments)
