from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinygrad_mlp.data import Dataset, digits, split
from tinygrad_mlp.data.split import split_rows


def numbered(labels: list[int], classes: int | None = None) -> Dataset:
    """Rows whose only feature is their own number."""
    y = np.array(labels, dtype=np.int64)
    names = tuple(str(k) for k in range(max(labels) + 1 if classes is None else classes))
    return Dataset("numbered", np.arange(len(y), dtype=np.float32)[:, None], y, names)


@given(
    counts=st.lists(st.integers(2, 30), min_size=1, max_size=6),
    test=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**40),
)
def test_stratified_parts_share_rows_and_classes_out(
    counts: list[int], test: float, seed: int
) -> None:
    dataset = numbered(np.repeat(np.arange(len(counts)), counts).tolist())
    held_out = round(test * sum(counts))
    assume(0 < held_out < sum(counts))
    train_part, test_part = split(dataset, test, seed=seed)
    assert len(test_part.y) == held_out
    rows = np.concatenate([train_part.x, test_part.x]).ravel()
    assert sorted(rows) == list(range(sum(counts))), "every row is in one part, once"
    for label, count in enumerate(counts):
        share = held_out / sum(counts) * count
        assert abs((test_part.y == label).sum() - share) < 1


def test_rows_keep_their_targets() -> None:
    dataset = numbered([k % 3 for k in range(60)])
    for part in split(dataset, 0.25, seed=3):
        assert (part.y == part.x[:, 0] % 3).all()
        assert part.classes == dataset.classes


def test_a_seed_decides_the_split() -> None:
    first, again, other = (split(digits(), 0.2, seed=seed)[1] for seed in (1, 1, 2))
    assert (first.x == again.x).all()
    assert not (first.x == other.x).all()


def test_every_row_is_held_out_equally_often() -> None:
    dataset = numbered([0] * 30 + [1] * 10)
    held_out = np.zeros(40)
    for seed in range(400):
        held_out[split(dataset, 0.25, seed=seed)[1].x[:, 0].astype(int)] += 1
    # Binomial(400, 1/4): 100 on average, with a standard deviation of 8.7.
    assert held_out.min() > 60
    assert held_out.max() < 140


def test_without_stratification_any_rows_may_be_held_out() -> None:
    dataset = numbered([0] * 50 + [1] * 50)
    shares = {int(split(dataset, 0.5, seed=s, stratify=False)[1].y.sum()) for s in range(20)}
    assert len(shares) > 1
    assert {int(split(dataset, 0.5, seed=s)[1].y.sum()) for s in range(20)} == {25}


def test_targets_that_are_no_classes_are_not_stratified() -> None:
    x = np.arange(10, dtype=np.float32)[:, None]
    train, test = split(Dataset("line", x, x[:, 0] * 2), 0.3)
    assert (len(train.y), len(test.y)) == (7, 3)
    assert (test.y == test.x[:, 0] * 2).all()


def test_what_a_dataset_holds_out_is_its_test_part() -> None:
    dataset = replace(numbered([0, 0, 1, 1]), held_out=numbered([1]))
    train, test = split(dataset)
    assert (train.x == dataset.x).all()
    assert train.held_out is None
    assert test is dataset.held_out
    train, test = split(dataset, 0.5)
    assert (len(train.y), len(test.y)) == (2, 2), "unless a fraction is asked for"
    assert train.held_out is None
    assert repr(dataset) == "Dataset('numbered', rows=4, features=1, classes=2, held_out=1)"


def test_arrays_are_pointed_to_their_own_function() -> None:
    with pytest.raises(TypeError, match=r"takes a Dataset, got tuple; .* split_rows\(len\(x\)"):
        split((np.eye(4), np.arange(4)))
    with pytest.raises(TypeError, match=r"test must be a fraction, got '0\.2'; write test=0\.2"):
        split_rows(10, "0.2")


def test_a_fifth_is_held_out_by_default() -> None:
    assert len(split(numbered([0] * 10))[1].y) == 2


def test_rows_divide_as_datasets_do() -> None:
    dataset = numbered([k % 3 for k in range(60)])
    train, test = split_rows(60, 0.25, seed=5, labels=dataset.y)
    parts = split(dataset, 0.25, seed=5)
    assert train.tolist() == parts[0].x[:, 0].tolist()
    assert test.tolist() == parts[1].x[:, 0].tolist()


@pytest.mark.parametrize(
    ("labels", "test", "message"),
    [
        ([0, 0, 1, 1], 0.0, "test must be a fraction between 0 and 1, got 0.0"),
        ([0, 0, 1, 1], 1.0, "test must be a fraction between 0 and 1, got 1.0"),
        ([0, 0, 1, 1], float("nan"), "test must be a fraction between 0 and 1, got nan"),
        ([0, 0, 1, 1], 0.1, "test=0.1 of 4 rows leaves one part empty"),
        ([0, 0, 0, 1], 0.5, "class 1 has only one row.*write stratify=False"),
    ],
)
def test_what_cannot_be_split_is_refused(labels: list[int], test: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(numbered(labels), test)
