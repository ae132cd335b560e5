import gzip
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinygrad_mlp._common.random import generator
from tinygrad_mlp.data import Preprocessor, load, npz, read_npz, split


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "arrays.npz"


def normal(*shape: int) -> np.ndarray:
    return generator(0, "arrays").normal(5, 3, shape)


def test_values_are_standardised_by_the_training_rows(file: Path) -> None:
    x = normal(50, 3)
    np.savez(file, x=x, y=x.sum(axis=1) * 100)
    dataset = npz(file)
    assert repr(dataset) == "Dataset('arrays', rows=40, features=3, held_out=10)"
    assert (dataset.x.dtype, dataset.y.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(dataset.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.x.std(axis=0), 1, rtol=1e-6)
    assert (dataset.y.mean(), dataset.y.std()) == pytest.approx((0, 1), abs=1e-6)
    assert abs(dataset.held_out.y.mean()) > 1e-4
    for part in split(dataset):
        inputs = part.x * dataset.preprocessor.inputs.scale + dataset.preprocessor.inputs.mean
        values = dataset.preprocessor.inverse_transform(part.y)
        np.testing.assert_allclose(inputs.sum(axis=1) * 100, values, rtol=1e-4)
    again = Preprocessor.from_json(dataset.preprocessor.to_json())
    assert {tuple(row) for row in dataset.x} < {tuple(row) for row in again.x(x)}


def test_pictures_are_flattened_and_bytes_divided(file: Path) -> None:
    pictures = np.arange(20 * 6, dtype=np.uint8).reshape(20, 2, 3) * 2 + 17  # up to 255
    np.savez_compressed(file, x=pictures, y=np.arange(20) % 2)
    dataset = load(file, test=None)
    assert dataset.image_shape == (2, 3)
    np.testing.assert_array_equal(dataset.x, pictures.reshape(20, 6) / np.float32(255))
    assert dataset.classes == ("0", "1")
    assert dataset.y.dtype == np.int64
    assert dataset.held_out is None
    assert dataset.x.max() == 1
    np.savez(file, x=pictures // 51, y=np.arange(20) % 2)
    assert sorted(set(npz(file, test=None).x.ravel().tolist())) == [
        pytest.approx(k / 5) for k in range(6)
    ]
    np.savez(file, x=pictures * 0, y=np.arange(20) % 2)
    assert not npz(file).x.any()


def test_halves_are_scaled_as_wider_numbers_are(file: Path) -> None:
    halves, y = normal(20, 3).astype(np.float16), np.arange(20) % 2
    np.savez(file, x=halves, y=y)
    scaled = npz(file).x
    np.savez(file, x=halves.astype(np.float32), y=y)
    assert (scaled == npz(file).x).all()


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array(["cat", "dog"] * 10), ("cat", "dog")),
        (np.array([True, False] * 10), ("False", "True")),
        (np.array([7, 10] * 10, np.uint8), ("7", "10")),
        (np.array([[7], [10]] * 10), ("7", "10")),
        (np.arange(20), ()),
        (np.array([0.0, 1.0] * 10), ()),
    ],
)
def test_what_y_is(file: Path, y: np.ndarray, classes: tuple[str, ...]) -> None:
    np.savez(file, x=normal(20, 2), y=y)
    dataset = npz(file)
    assert dataset.classes == classes
    assert dataset.y.shape == (16,)
    flat = [str(value) for value in np.ravel(y).tolist()]
    full = npz(file, test=None)
    if classes:
        assert [classes[label] for label in full.y] == flat
        assert np.bincount(dataset.held_out.y).tolist() == [2, 2], "in proportion"


def test_the_task_can_be_set(file: Path) -> None:
    np.savez(file, x=normal(20, 2), y=np.arange(20) % 4)
    assert npz(file, task="regression").classes == ()
    np.savez(file, x=normal(20, 2), y=np.arange(20) % 4 / 2)
    assert npz(file, task="classification").classes == ("0.0", "0.5", "1.0", "1.5")


def test_rows_to_predict_need_no_y(file: Path) -> None:
    np.savez(file, x=normal(4, 2))
    assert list(read_npz(file, target=False)) == ["x"]
    with pytest.raises(ValueError, match=r"arrays\.npz has no array 'y', only: x"):
        read_npz(file)


X, Y = normal(4, 2), np.arange(4)
OBJECTS = np.array([{"a": 1}] * 4, dtype=object)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "has no array 'x', only: none"),
        ({"X": X, "y": Y}, "has no array 'x', only: X, y"),
        ({"x": X[:, 0], "y": Y}, r"x must be numbers of .*, got float64 of shape \(4,\)"),
        ({"x": X[:0], "y": Y[:0]}, r"x must be numbers of shape .* of shape \(0, 2\)"),
        ({"x": np.array([["a"]]), "y": Y[:1]}, "x must be numbers of shape .*, got <U1"),
        ({"x": X * 1j, "y": Y}, "x must be numbers of shape .*, got complex128"),
        ({"x": X, "y": Y[:3]}, r"y must be .* shape \(4,\), .* int64 of shape \(3,\)"),
        ({"x": X, "y": X}, r"y must be .*, got float64 of shape \(4, 2\); .* one-hot .* y.argmax"),
        ({"x": X, "y": Y * 1j}, "y must be .*, got complex128"),
        ({"x": OBJECTS, "y": Y}, "holds Python objects, which are not loaded"),
        ({"x": X, "y": OBJECTS}, "holds Python objects, which are not loaded"),
        ({"x": [[1, 2], [3, np.nan]], "y": [0, 1]}, r"x must be finite, got nan at \[1, 1\]"),
        ({"x": X, "y": [1, 2, np.nan, 3]}, r"y must be finite, got nan at \[2\]"),
        ({"x": X, "y": ["a", "a", "b", "a"]}, "row 2, column 'y': class 'b' has only this row"),
        ({"x": X, "y": [1, 2, np.inf, 3]}, r"y must be finite, got inf at \[2\]"),
    ],
)
def test_wrong_arrays_are_named(file: Path, arrays: dict, message: str) -> None:
    np.savez(file, **arrays)
    with pytest.raises(ValueError, match=message):
        npz(file)


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"arrays\.npz"):
        npz(file)
    np.savez(file, x=normal(40, 2), y=np.arange(40))
    full = file.read_bytes()
    np.save(tmp_path / "one.npy", normal(3))
    for data in (
        b"",
        b"text",
        gzip.compress(full),
        full[: len(full) // 2],
        (tmp_path / "one.npy").read_bytes(),
    ):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=r"arrays.npz is not an .npz file; np.savez"):
            npz(file)
    altered = bytearray(full)
    altered[200] ^= 0xFF
    file.write_bytes(altered)
    with pytest.raises(ValueError, match=r"arrays.npz cannot be read: .*CRC"):
        npz(file)


def member(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An .npy file with this header."""
    text = header.encode("latin-1") + b"\n"
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + content


def archive(file: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> None:
    with zipfile.ZipFile(file, "w", method) as written:
        for name, data in members.items():
            written.writestr(f"{name}.npy", data)


def header(descr: str = "'<f8'", shape: str = "(4, 2)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


HUGE = "(1000000000000, 2)"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (member(header(), bytes(64)), ""),
        (member(header(), bytes(64), b"\x02\x00"), ""),
        (member(header(), bytes(63)), "x.npy has 1.. bytes, but its header gives 1.. bytes, for f"),
        (member(header(), bytes(65)), "x.npy has 1.. bytes, but its header gives 1.. bytes, for f"),
        (member(header(shape=HUGE), bytes(64)), "gives 16,000,.* for float64 of shape .1000000000"),
        (member(header("'|O'"), bytes(64)), "x.npy holds Python objects, which are not loaded"),
        (member(header("[('a', '|O')]"), bytes(64)), "x.npy holds Python objects, which are not"),
        (member(header(), bytes(64), b"\x03\x00"), r"x.npy has the .npy format \(3, 0\), not 1.0"),
        (member(header("'<f8"), bytes(64)), "cannot be read: "),  # an open string: TokenError
        (member(header(shape="('a', 2)"), bytes(64)), "cannot be read: shape is not valid"),
        (member(header(shape="(-4, -2)"), bytes(64)), "cannot be read: "),
        (member(header("('<f8', 'x', None)"), bytes(64)), "cannot be read: "),
        (member("(" * 5000, bytes(64)), "cannot be read: "),
        (b"text", "cannot be read: .*magic"),
        (b"", "cannot be read: "),
    ],
)
def test_a_damaged_array_is_one_documented_error(file: Path, data: bytes, message: str) -> None:
    archive(file, x=data)
    if not message:
        assert read_npz(file, target=False)["x"].tolist() == [[0.0, 0.0]] * 4
        return
    with pytest.raises(ValueError, match=message) as refused:
        read_npz(file, target=False)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


def test_other_compressions_and_encrypted_files_are_refused(file: Path) -> None:
    archive(file, zipfile.ZIP_LZMA, x=member(header(), bytes(64)))
    with pytest.raises(ValueError, match=r"x\.npy is compressed by method 14, not by NumPy's"):
        read_npz(file, target=False)
    archive(file, zipfile.ZIP_STORED, x=member(header(), bytes(64)))
    data = bytearray(file.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    for flags in (6, central + 8):
        data[flags] |= 1  # encrypted
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"arrays\.npz cannot be read: .*encrypted, password requ"):
        read_npz(file, target=False)
    data[central + 10 : central + 12] = b"\x63\x00"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.npy is compressed by method 99, not by NumPy's"):
        read_npz(file, target=False)


def test_a_zip_bomb_stops_at_the_size_of_its_header(file: Path) -> None:
    """The archive says 128 bytes and more follow in the deflate stream: 100 MB of zeros."""
    bomb = member(header(), bytes(64))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("x.npy", bomb + bytes(100_000_000))
    data = bytearray(file.read_bytes())
    for at in (22, data.rindex(b"PK\x01\x02") + 24):
        data[at : at + 4] = struct.pack("<I", len(bomb))
    file.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"arrays\.npz cannot be read: .*CRC"):
            read_npz(file, target=False)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_what_does_not_fit_into_memory_names_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(file, x=X)

    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("numpy.lib.format.read_array", full)
    with pytest.raises(ValueError, match=r"arrays\.npz cannot be read: MemoryError"):
        read_npz(file, target=False)


def test_values_that_cannot_be_scaled_name_the_file(file: Path) -> None:
    np.savez(file, x=np.array([[1e308, 1], [-1e308, 2]] * 4), y=np.arange(8))
    with pytest.raises(ValueError, match=r"arrays\.npz: .*column 0 is not finite, or overflows"):
        npz(file)
    refused = []
    for row in range(20):  # of a training row the large value scales all; of the 4 test rows not
        x = normal(20, 2)
        x[row, 0] = 1e150
        np.savez(file, x=x, y=np.arange(20) % 2)
        try:
            npz(file)
        except ValueError as error:
            refused.append(str(error))
            wanted = f"{file}: 1e+150 in row {row}, feature 0: too far from the training rows"
            assert refused[-1].startswith(wanted)
    assert len(refused) == 4


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_npz(tmp_path)


@pytest.mark.parametrize("order", "<>")
def test_strings_are_text(file: Path, order: str) -> None:
    np.savez(file, x=X, y=np.array(["a", "é😀", "a", "é😀"], f"{order}U2"))
    assert npz(file, test=None).classes == ("a", "é😀")
    for code in (0x110000, 0xD800, 0xFFFFFFFF):
        y = np.array([97, code, 97, 97], f"{order}u4").view(f"{order}U1")
        np.savez(file, x=X, y=y)
        with pytest.raises(ValueError, match=r"arrays\.npz: y has strings with characters that Un"):
            npz(file)


def test_strings_may_be_empty(file: Path) -> None:
    np.savez(file, x=X, y=np.array([""] * 4))
    with pytest.raises(ValueError, match=r"row 0, column 'y': the value is missing"):
        npz(file)
