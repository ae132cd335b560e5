"""Read IDX, the file format of MNIST: a header with dtype and shape, then the numbers.

    byte 0, 1   zero
    byte 2      the dtype: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
    byte 3      the number of dimensions
    byte 4 ...  each dimension, an unsigned integer of four bytes
    then        the numbers in row-major order; everything is big-endian

Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", "File formats".
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .._common.array import Array

DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
GZIP = b"\x1f\x8b"
LONGEST_HEADER = 4 + 4 * 255
MAX_RATIO = 1032  # one byte of deflate decompresses to at most so many, says zlib's documentation


def read(path: str | os.PathLike[str]) -> Array:
    """Return the array in an IDX file, which may be gzip-compressed, whatever its suffix.

    Raises:
        OSError: the file does not exist (FileNotFoundError), or cannot be read.
        ValueError: it is not a complete IDX file; the message gives the byte.
    """
    return parse(decompress(Path(path).read_bytes(), str(path)), str(path))


def decompress(data: bytes, name: str) -> bytes:
    """Decompress the gzip data of an IDX file; return other data unchanged. Errors give ``name``.

    Decompression stops at the size that the header gives, so a small file cannot fill the memory.

    Raises:
        ValueError: the compressed data are truncated or corrupt, or are no IDX file.
    """
    if not data.startswith(GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            head = stream.read(LONGEST_HEADER)
            _, _, _, end = _parse_header(head, name)
            if end > MAX_RATIO * len(data):
                raise ValueError(
                    f"{name} is truncated: its header gives {end:,} bytes, more than its "
                    f"{len(data):,} compressed bytes can hold"
                )
            content = head + stream.read(max(0, end + 1 - len(head)))
    except EOFError:
        reason = f"is truncated: its gzip stream is incomplete at the end, byte {len(data)}"
    except (OSError, zlib.error) as error:
        reason = f"is corrupt: its {len(data)} bytes are not a valid gzip stream: {error}"
    else:
        if len(content) <= end:
            return content
        reason = f"is too long: its header gives {end:,} bytes, but the gzip stream has more"
    raise ValueError(f"{name} {reason}")


def parse(data: bytes, name: str) -> Array:
    """Return the array that is encoded in the IDX bytes ``data``, in native byte order.

    Args:
        data: the bytes, decompressed.
        name: name of the file, for errors.

    Raises:
        ValueError: ``data`` is not a complete IDX file; the message gives the byte.

    >>> parse(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]), "three labels")
    array([5, 0, 4], dtype=uint8)
    """
    dtype, shape, start, end = _parse_header(data, name)
    if len(data) != end:
        problem = "is truncated" if len(data) < end else "is too long"
        raise ValueError(
            f"{name} {problem}: from byte {start} expected {dtype.name} of shape {shape} up to "
            f"byte {end}, but the contents end at byte {len(data)}"
        )
    try:
        array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError:  # e.g. 200 dimensions, one of them 0
        raise ValueError(
            f"{name} is not an IDX file: at byte 4 no array has shape {shape}"
        ) from None
    return array.astype(dtype.newbyteorder("="))


def _parse_header(data: bytes, name: str) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Return dtype, shape, and the bytes where the numbers begin and end."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        raise ValueError(
            f"{name} is not an IDX file: at byte 0 expected two zeros, a dtype of {list(DTYPES)} "
            f"and the number of dimensions, got {list(data[:4])}"
        )
    dtype, dimensions = np.dtype(DTYPES[data[2]]), data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise ValueError(
            f"{name} is truncated: at byte 4 expected {dimensions} dimensions of 4 bytes each, "
            f"but the contents end at byte {len(data)}"
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    return dtype, shape, start, start + math.prod(shape) * dtype.itemsize
