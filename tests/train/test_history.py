import json
import math
from pathlib import Path

import pytest

from tinygrad_mlp.train.history import History

ROWS = [
    {"epoch": 1, "loss": 2.0, "accuracy": 0.5, "lr": 0.1},
    {"epoch": 2, "loss": 1.0, "accuracy": 0.75, "lr": 0.1},
]


def test_columns_rows_and_the_last_row() -> None:
    history = History(ROWS)
    assert history["loss"] == [2.0, 1.0]
    assert history.last == ROWS[1]
    assert list(history) == ROWS
    assert len(history) == 2
    assert history.names == ("epoch", "loss", "accuracy", "lr")
    validated = History([row | {"val_loss": 1.0, "seconds": 1.0} for row in ROWS])
    assert history.metrics == validated.metrics == ("loss", "accuracy")
    assert repr(history) == "History(epochs=2, last: epoch=2, loss=1, accuracy=0.75, lr=0.1)"


def test_an_empty_history() -> None:
    assert History().names == ()
    assert repr(History()) == "History(epochs=0)"
    with pytest.raises(KeyError, match="history has no 'loss'; it has no rows"):
        History()["loss"]


def test_rows_are_its_own() -> None:
    row = dict(ROWS[0])
    history = History()
    history.append(row)
    row["loss"] = 7.0
    assert history["loss"] == [2.0]


def test_a_wrong_name_is_answered_with_the_columns() -> None:
    with pytest.raises(KeyError, match="history has no 'val_loss'; it has epoch, loss, accuracy"):
        History(ROWS)["val_loss"]


def test_what_is_saved_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    History(ROWS).save(path)
    assert History(json.loads(path.read_text())["epochs"]).rows == ROWS
    assert [file.name for file in tmp_path.iterdir()] == ["history.json"]


def test_numbers_that_json_does_not_know_become_null(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    History([{"loss": float("nan"), "val_loss": float("inf"), "lr": 0.1}]).save(path)
    assert json.loads(path.read_text()) == {"epochs": [{"loss": None, "val_loss": None, "lr": 0.1}]}


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    History(ROWS).save(path)
    before = path.read_bytes()
    history = History()
    history.append({"loss": "not a number"})
    with pytest.raises(TypeError):
        history.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["history.json"]


def test_what_was_saved_is_read_nan_for_what_was_not_finite() -> None:
    saved = History([{"epoch": 1, "loss": math.inf, "lr": 0.5}]).to_dict()
    assert saved == {"epochs": [{"epoch": 1, "loss": None, "lr": 0.5}]}
    again = History(saved["epochs"])
    assert math.isnan(again["loss"][0])
    assert again.to_dict() == saved
    assert repr(again) == "History(epochs=1, last: epoch=1, loss=nan, lr=0.5)"


@pytest.mark.parametrize(
    "rows",
    [3, None, "ab", {"epoch": 1}, [3], [[1]], [{"loss": "1"}], [{"loss": 10**400}], [{1: 2.0}]],
)
def test_rows_are_numbers_by_name(rows: object) -> None:
    with pytest.raises(
        ValueError, match=r"rows must be a list with|a row of a history is a dict of"
    ):
        History(rows)
