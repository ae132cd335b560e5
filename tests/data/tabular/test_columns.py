import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinygrad_mlp.data import Standardizer, Table, one_hot
from tinygrad_mlp.data.tabular.columns import (
    Categorical,
    Numeric,
    are_labels,
    fit_column,
    sort_names,
)


def column(*cells: str) -> Table:
    return Table("t.csv", ("c",), [[cell] for cell in cells], range(2, 2 + len(cells)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
@example([0.0, 3e-259])  # whose variance underflows
def test_numbers_are_standardised_as_arrays_are(values: list[float]) -> None:
    table = column(*map(repr, values))
    learned = Numeric.fit(table, "c")
    rows = np.array(values)[:, None]
    np.testing.assert_array_equal(
        learned.features(table), Standardizer.fit(rows)(rows).astype(np.float32)
    )
    assert learned.features(table).dtype == np.float32
    tolerance = 1e-6 * max(1.0, max(map(abs, values)))
    np.testing.assert_allclose(
        learned.inverse_transform(learned.targets(table)), values, atol=tolerance
    )


@pytest.mark.parametrize(("fill", "value"), [("mean", 3.0), ("median", 2.0)])
def test_missing_numbers_are_filled_as_learned(fill: str, value: float) -> None:
    learned = Numeric.fit(column("1", "", "2", "6"), "c", fill)
    assert learned.fill == value
    assert learned.inverse_transform(learned.targets(column("?", "7"))).tolist() == pytest.approx(
        [value, 7]
    )
    assert learned.mean == 3.0, "of the values that are there"


def test_missing_names_are_filled_with_the_most_frequent() -> None:
    learned = Categorical.fit(column("b", "a", "", "b", "?"), "c", "mean")
    assert learned.classes == ("a", "b")
    assert learned.features(column("", "a")).tolist() == [[0, 1], [1, 0]]
    assert Categorical.fit(column("b", "a"), "c", "median").fill == "a", "the first of equals"


@pytest.mark.parametrize("kind", [Numeric.fit(column("1"), "c"), Categorical.fit(column("x"), "c")])
def test_missing_values_are_refused_with_their_place_otherwise(kind) -> None:
    known = "1" if isinstance(kind, Numeric) else "x"
    with pytest.raises(
        ValueError, match=r"t.csv, line 3, column 'c': the value is missing; .*mean"
    ):
        kind.features(column(known, "NA"))


def test_an_unseen_name_is_named_with_its_place() -> None:
    learned = Categorical.fit(column("red", "blue"), "c")
    message = "t.csv, line 3, column 'c': 'green' does not occur in .*, which have: blue, red"
    with pytest.raises(ValueError, match=message):
        learned.features(column("red", "green"))


@pytest.mark.parametrize("cell", ["abc", "1,5", "inf", "1_000"])
def test_a_surprise_among_numbers_is_named_with_its_place(cell: str) -> None:
    message = rf"t.csv, line 4, column 'c': '{cell}' is not a finite number, .*categorical=\['c'\]"
    with pytest.raises(ValueError, match=message):
        fit_column(column("1", "2", cell), "c")
    assert fit_column(column("1", "2", cell), "c", categorical=True).width == 3


def test_a_value_beyond_float32_is_named_with_its_place() -> None:
    learned = Numeric.fit(column("1", "2"), "c")
    with pytest.raises(ValueError, match=r"t.csv, line 3, column 'c': 1e\+300 is too far from the"):
        learned.targets(column("1", "1e300"))


def test_a_column_whose_squares_overflow_is_named() -> None:
    with pytest.raises(ValueError, match=r"t\.csv, column 'c': the squares of its values overflow"):
        Numeric.fit(column("1e308", "-1e308", "0"), "c")


def test_a_column_is_what_most_of_it_is() -> None:
    assert isinstance(fit_column(column("1", "", "2"), "c"), Numeric)
    assert isinstance(fit_column(column("A1", "2"), "c"), Categorical)
    with pytest.raises(ValueError, match=r"t\.csv: column 'c' has no values in the training rows"):
        fit_column(column("", "?"), "c")
    with pytest.raises(ValueError, match=r"t\.csv: column 'c' has no values in the training rows"):
        Numeric.fit(column("", "?"), "c")


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["a", "b", "c"], True),
        (["0", "1"] * 2, True),
        (["-1", "+1"] * 2, True),
        (["0", "1", "2"], False),  # each met once: a quantity
        ([str(k) for k in range(20)] * 2, True),
        ([str(k) for k in range(21)] * 2, False),
        (["0.0", "1.0"] * 2, False),
        (["0", "1", "x"] * 2, False),  # a mistake among numbers
    ],
)
def test_what_a_target_is(cells: list[str], labels: bool) -> None:
    assert are_labels(cells) == labels


def test_names_are_in_the_order_of_their_numbers() -> None:
    assert sort_names({"10", "9", "-1"}) == ("-1", "9", "10")
    assert sort_names({"b", "a"}) == ("a", "b")


def test_one_hot_refuses_values_that_are_not_labels() -> None:
    assert one_hot([1, 0], 2).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(TypeError, match="labels must be integers, got dtype float64"):
        one_hot(np.array([0.0, 1.0]), 2)
    for wrong in ([0, 3], [-1]):
        with pytest.raises(ValueError, match="labels must be from 0 to 2, got"):
            one_hot(np.array(wrong), 3)
    assert one_hot(np.array([], int), 3).shape == (0, 3)
