import gzip
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_mlp.data import idx

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def written(array: np.ndarray) -> bytes:
    """The IDX bytes of an array, by the description of the format."""
    head = bytes([0, 0, CODES[array.dtype.name], array.ndim])
    return (
        head
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@given(
    hnp.arrays(
        st.sampled_from(list(CODES)),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
def test_what_was_written_is_read(array: np.ndarray) -> None:
    read = idx.parse(written(array), "array")
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()
    assert read.flags.writeable


def test_files_are_read_compressed_or_not_whatever_they_are_called(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    for name, data in [
        ("a", written(array)),
        ("b.gz", written(array)),
        ("c", gzip.compress(written(array))),
    ]:
        (tmp_path / name).write_bytes(data)
        assert (idx.read(tmp_path / name) == array).all()
    with pytest.raises(FileNotFoundError):
        idx.read(tmp_path / "d")


IMAGES = written(np.zeros((3, 2, 2), np.uint8))
ZIPPED = gzip.compress(IMAGES, mtime=0)  # it names tests: the same in any process


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an IDX file: at byte 0 expected two zeros, a dtype of [8, 9, 11, 12, 13, 1"),
        (IMAGES[:3], "is not an IDX file: at byte 0 expected two zeros, .*, got [0, 0, 8]"),
        (b"\x89PNG" + IMAGES, "is not an IDX file: at byte 0 .*, got [137, 80, 78, 71]"),
        (b"\0\0\x07" + IMAGES[3:], "is not an IDX file: at byte 0 .*, got [0, 0, 7, 3]"),
        (IMAGES[:12], "is truncated: at byte 4 expected 3 dimensions of 4 bytes each, .* byte 12"),
        (IMAGES[:-1], "is truncated: from byte 16 expected uint8 of shape (3, 2, 2) .* 28, .* 27"),
        (b"\0\0\x08\x64" + bytes(400), "is not an IDX file: at byte 4 no array has shape (0, 0"),
        (IMAGES + b"\0", "is too long: from byte 16 expected uint8 of shape (3, 2, 2) .* 29"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "is truncated: from byte 20 expected uint8 of shape"),
        (ZIPPED + ZIPPED, "is too long: its header gives 28 bytes, but the gzip stream has more"),
        (
            gzip.compress(b"text", mtime=0),
            "is not an IDX file: at byte 0 .*, got [116, 101, 120, 116]",
        ),
        (gzip.compress(b"", mtime=0), "is not an IDX file: at byte 0 .*, got []"),
        (
            gzip.compress(
                written(np.zeros((1024 - 8) // 8)), mtime=0
            ),  # exactly the longest header
            "",
        ),
        (
            gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16, mtime=0),
            "is truncated: its header gives 340,282,366,604,025,813,",
        ),
        (ZIPPED[:-9], "is truncated: its gzip stream is incomplete at the end"),
        (ZIPPED[:-8] + bytes(8), "is corrupt: .* not a valid gzip stream: CRC"),
        (ZIPPED[:12] + bytes(20), "is corrupt: .* not a valid gzip stream"),
    ],
)
def test_an_error_in_a_file_is_located(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(data)
    if not message:
        assert not idx.read(path).any()
        return
    expected = ".*".join(re.escape(part) for part in f"{path} {message}".split(".*"))
    with pytest.raises(ValueError, match=expected):
        idx.read(path)


@given(
    start=st.sampled_from([b"", b"\0\0", b"\0\0\x08\x01", idx.GZIP]), data=st.binary(max_size=40)
)
def test_any_bytes_are_an_array_or_an_error_that_names_the_file(start: bytes, data: bytes) -> None:
    try:
        idx.parse(idx.decompress(start + data, "bytes"), "bytes")
    except ValueError as error:
        refused = str(error)
    else:
        refused = "bytes are an array"
    assert refused.startswith("bytes ")


def test_a_gzip_bomb_stops_at_the_size_of_its_header(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(IMAGES + bytes(200_000_000), 9))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"images\.gz is too long: its header gives 28 bytes"):
            idx.read(path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
