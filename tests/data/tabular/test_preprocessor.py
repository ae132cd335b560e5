import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tinygrad_mlp.data import Preprocessor, Standardizer, Table
from tinygrad_mlp.data.tabular.columns import Categorical, Numeric

NAMES = ("age", "city", "tall", "rent")
ROWS = [
    ["20", "Bern", "yes", "1500.5"],
    ["40", "Basel", "no", "2500.5"],
    ["60", "Bern", "no", "3500.5"],
]


def table(rows: list[list[str]] = ROWS, names: tuple[str, ...] = NAMES) -> Table:
    return Table("people.csv", names, rows, range(2, 2 + len(rows)))


@pytest.fixture
def rents() -> Preprocessor:
    return Preprocessor.fit(table(), "rent")


def test_columns_become_features(rents: Preprocessor) -> None:
    x = rents.x(table())
    assert x.dtype == np.float32
    assert rents.feature_names == ("age", "city=Basel", "city=Bern", "tall=no", "tall=yes")
    assert (rents.num_features, rents.num_outputs, rents.classes) == (5, 1, ())
    deviation = np.float32(np.sqrt(1.5))
    np.testing.assert_allclose(x[:, 0], [-deviation, 0, deviation], rtol=1e-6)
    assert x[:, 1:].tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 1, 0]]


def test_values_come_back_in_their_units(rents: Preprocessor) -> None:
    y = rents.y(table())
    assert y.dtype == np.float32
    assert (y.mean(), y.std()) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose(rents.inverse_transform(y), [1500.5, 2500.5, 3500.5])
    np.testing.assert_allclose(rents.inverse_transform(y[:, None])[:, 0], [1500.5, 2500.5, 3500.5])


def test_classes_are_labels() -> None:
    preprocessor = Preprocessor.fit(table(), "tall")
    assert preprocessor.classes == ("no", "yes")
    assert preprocessor.num_outputs == 2
    assert preprocessor.y(table()).tolist() == [1, 0, 0]
    with pytest.raises(TypeError, match="the target 'tall' is categorical: it has no units"):
        preprocessor.inverse_transform(np.zeros(3))


def test_new_rows_need_no_target_and_may_have_other_columns(rents: Preprocessor) -> None:
    new = table([["x", "no", "Basel", "40"]], ("note", "tall", "city", "age"))
    assert rents.x(new).tolist() == [[0, 1, 0, 1, 0]]


@pytest.mark.parametrize(
    ("names", "row", "message"),
    [
        (("age", "tall"), ["1", "no"], "no column of people.csv is called 'city'; .* are: age"),
        (NAMES[:3], ["old", "Bern", "no"], "line 2, column 'age': 'old' is not a finite number"),
        (NAMES[:3], ["1", "Bonn", "no"], "line 2, column 'city': 'Bonn' does not occur in"),
        (NAMES[:3], ["1", "Bern", ""], "line 2, column 'tall': the value is missing"),
    ],
)
def test_rows_that_do_not_fit_are_named(
    rents: Preprocessor, names: tuple[str, ...], row: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rents.x(table([row], names))


def test_a_missing_target_is_never_filled_in() -> None:
    rows = [*ROWS, ["20", "Bern", "no", ""]]
    with pytest.raises(ValueError, match=r"line 5, column 'rent': the value is missing.*drop"):
        Preprocessor.fit(table(rows), "rent", fill="mean")
    with pytest.raises(ValueError, match="line 5, column 'rent': the value is missing"):
        Preprocessor.fit(table(), "rent", fill="mean").y(table(rows))


def test_columns_can_be_categorical_or_ignored() -> None:
    preprocessor = Preprocessor.fit(table(), "rent", categorical=["age"], ignore=["city"])
    assert preprocessor.feature_names == ("age=20", "age=40", "age=60", "tall=no", "tall=yes")
    for wrong in ({"categorical": ["agee"]}, {"ignore": ["agee"]}):
        with pytest.raises(
            ValueError, match=r"no column of people.csv is called 'agee'.* you mean 'age'"
        ):
            Preprocessor.fit(table(), "rent", **wrong)
    with pytest.raises(ValueError, match=r"no column of people.csv is called .rents."):
        Preprocessor.fit(table(), "rents")
    with pytest.raises(ValueError, match="has no input column besides the target 'rent'"):
        Preprocessor.fit(table(), "rent", ignore=NAMES[:3])


@pytest.mark.parametrize(
    "preprocessor",
    [
        Preprocessor.fit(table(), "rent", fill="median"),
        Preprocessor.fit(table(), "tall"),
        Preprocessor.for_images(4, maximum=255, classes=("cat", "dög")),
        Preprocessor(Standardizer(np.array([1 / 3, 0]), np.array([0.1, 7])), Numeric("y", 0.1, 3)),
    ],
)
def test_it_is_the_same_to_the_bit_after_json(preprocessor: Preprocessor, tmp_path: Path) -> None:
    text = preprocessor.to_json()
    again = Preprocessor.from_json(text)
    assert again.to_json() == text
    assert again.target == preprocessor.target
    if isinstance(preprocessor.inputs, tuple):
        assert again.inputs == preprocessor.inputs
    else:
        assert (again.inputs.mean == preprocessor.inputs.mean).all()
        assert (again.inputs.scale == preprocessor.inputs.scale).all()


AGE = {"name": "age", "mean": 40.0, "scale": 2.0, "fill": None}
CITY = {"name": "city", "classes": ["Basel", "Bern"], "fill": None}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        {"inputs": [{"name": "a"}], "target": {}},
        {"inputs": 3},
        {"inputs": [AGE], "target": None},
        {"inputs": None, "target": CITY},
        {"inputs": ["age"], "target": CITY},
        {"inputs": [AGE | {"name": 3}], "target": CITY},
        {"inputs": [AGE | {"mean": "40"}], "target": CITY},
        {"inputs": [AGE | {"mean": True}], "target": CITY},
        {"inputs": [AGE | {"mean": 10**400}], "target": CITY},
        {"inputs": [AGE | {"mean": float("nan")}], "target": CITY},
        {"inputs": [AGE | {"scale": float("inf")}], "target": CITY},
        {"inputs": [AGE | {"scale": 0}], "target": CITY},
        {"inputs": [AGE | {"fill": "40"}], "target": CITY},
        {"inputs": [AGE], "target": CITY | {"classes": "Bern"}},
        {"inputs": [AGE], "target": CITY | {"classes": ["Bern", "Bern"]}},
        {"inputs": [AGE], "target": CITY | {"classes": ["Bern", 3]}},
        {"inputs": [AGE], "target": CITY | {"classes": None}},
        {"inputs": [AGE], "target": CITY | {"fill": "Genf"}},
        {"inputs": {"mean": [1.0], "scale": [1.0, 2.0]}, "target": CITY},
        {"inputs": {"mean": [1.0], "scale": [0.0]}, "target": CITY},
        {"inputs": {"mean": ["1"], "scale": [1.0]}, "target": CITY},
        {"inputs": {"mean": [[1.0]], "scale": [[1.0]]}, "target": CITY},
        {"inputs": {"mean": 1.0, "scale": 1.0}, "target": CITY},
    ],
)
def test_other_text_is_refused(wrong: object) -> None:
    for right in ([AGE], {"mean": [1.0], "scale": [2.0]}):
        Preprocessor.from_json(json.dumps({"inputs": right, "target": CITY}))
    with pytest.raises(ValueError, match="invalid preprocessor"):
        Preprocessor.from_json(wrong if isinstance(wrong, str) else json.dumps(wrong))


def test_it_fits_the_metadata_of_a_safetensors_file(rents: Preprocessor, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"w": np.zeros(2)}, path, metadata={"preprocessor": rents.to_json()})
    with safe_open(path, "np") as file:
        again = Preprocessor.from_json(file.metadata()["preprocessor"])
    assert (again.x(table()) == rents.x(table())).all()


def test_arrays_are_not_tables(rents: Preprocessor) -> None:
    pixels = Preprocessor.for_images(4, maximum=255, classes=("cat", "dog"))
    assert pixels.feature_names == ("x[0]", "x[1]", "x[2]", "x[3]")
    assert (pixels.x(np.full((1, 2, 2), 51, np.uint8)) == np.full((1, 4), np.float32(0.2))).all()
    assert pixels.x(np.zeros((1, 4), np.float64)).dtype == np.float32
    with pytest.raises(ValueError, match=r"people\.csv, line 2, column 'city': 'Bern' is not a"):
        pixels.x(table())
    with pytest.raises(TypeError, match="expected a table with the columns age, city, tall"):
        rents.x(np.zeros((1, 5)))
    with pytest.raises(ValueError, match=r"\(rows, 4\), as in the training rows"):
        pixels.x(np.zeros((1, 5)))


def test_a_row_of_a_table_is_seen_alone_as_among_others(rents: Preprocessor) -> None:
    together = rents.x(table())
    alone = [rents.x(table([row])) for row in ROWS]
    assert (np.concatenate(alone) == together).all()


def test_json_is_readable(rents: Preprocessor) -> None:
    parts = json.loads(rents.to_json())
    assert parts["inputs"][0] == {
        "name": "age",
        "mean": 40.0,
        "scale": np.std([20, 40, 60]),
        "fill": None,
    }
    assert parts["inputs"][1] == {"name": "city", "classes": ["Basel", "Bern"], "fill": None}
    assert isinstance(rents.inputs[1], Categorical)
