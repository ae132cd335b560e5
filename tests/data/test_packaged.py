import hashlib
import io
from importlib.resources import files

import numpy as np
import pytest

from tinygrad_mlp.data import Dataset, digits

# Of the uint8 rows in optdigits.tes, each of 64 pixels and its label, as UCI publishes them.
PUBLISHED = "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2"


def test_digits_are_the_published_rows() -> None:
    x, y = digits()
    rows = np.concatenate([np.rint(x * 16), y[:, None]], axis=1).astype(np.uint8)
    assert rows.shape == (1797, 65)
    assert hashlib.sha256(rows.tobytes()).hexdigest() == PUBLISHED


def test_digits_say_what_they_are() -> None:
    dataset = digits()
    assert (dataset.x.dtype, dataset.y.dtype) == (np.float32, np.int64)
    assert dataset.x.min() == 0.0
    assert dataset.x.max() == 1.0
    assert np.bincount(dataset.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert dataset.classes == tuple("0123456789")
    assert dataset.image_shape == (8, 8)
    assert "10.24432/C50P49" in dataset.source
    assert "CC BY 4.0" in dataset.source


def test_the_first_digit_looks_like_a_zero() -> None:
    dataset = digits()
    picture = dataset.x[0].reshape(8, 8)
    assert dataset.y[0] == 0
    assert picture[3:5, 3:5].max() == 0.0, "the middle of a 0 is empty"
    assert picture[0, 3] > 0.5, "its top is not"


def test_the_package_holds_licence_and_source_and_stays_small() -> None:
    folder = files("tinygrad_mlp.data") / "files"
    text = (folder / "digits.txt").read_text(encoding="utf-8")
    for fact in ("Alpaydin", "Kaynak", "CC BY 4.0", "10.24432/C50P49", "1,797"):
        assert fact in text
    packed = (folder / "digits.npz").read_bytes()
    assert len(packed) < 60_000
    with np.load(io.BytesIO(packed)) as arrays:
        assert {name: arrays[name].dtype.name for name in arrays} == {
            "images": "uint8",
            "labels": "uint8",
        }


def test_a_dataset_unpacks_to_its_arrays_and_keeps_them() -> None:
    dataset = digits()
    x, y = dataset
    assert x is dataset.x
    assert y is dataset.y
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1.0


def test_a_dataset_does_not_freeze_the_arrays_it_was_given() -> None:
    x = np.zeros((2, 3), dtype=np.float32)
    dataset = Dataset("mine", x, np.array([0, 1]))
    x[0, 0] = 1.0
    assert dataset.x[0, 0] == 1.0


@pytest.mark.parametrize(("x", "y"), [((4,), (4,)), ((4, 2), (3,)), ((2, 2, 2), (2,))])
def test_a_dataset_refuses_shapes_that_do_not_fit(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Dataset 'mine'.*\(rows, features\).*got x of shape"):
        Dataset("mine", np.zeros(x, np.float32), np.zeros(y, np.int64))


def test_take_gives_the_rows_asked_for_in_their_order() -> None:
    dataset = digits().take(np.array([5, 0]))
    assert dataset.y.tolist() == [5, 0]
    assert (dataset.x[1] == digits().x[0]).all()
    assert repr(dataset) == "Dataset('digits', rows=2, features=64, classes=10)"
