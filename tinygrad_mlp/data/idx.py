"""IDX, the file format of MNIST: a few bytes that say dtype and shape, then the numbers.

    byte 0, 1   zero
    byte 2      the dtype: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
    byte 3      the number of dimensions
    byte 4 ...  each dimension, an unsigned integer of four bytes
    then        the numbers, row by row; all of it big-endian

Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", "File formats".
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from .._common.array import Array

DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
GZIP = b"\x1f\x8b"


def read(path: str | os.PathLike[str]) -> Array:
    """The array in an IDX file, which may be gzip-compressed, whatever its suffix.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a whole IDX file; the message says at which byte what was expected.
    """
    return parse(contents(Path(path).read_bytes(), str(path)), str(path))


def contents(data: bytes, name: str) -> bytes:
    """The ``data`` of the file ``name``, decompressed if they begin as gzip does.

    Raises:
        ValueError: the compressed data are truncated or altered.
    """
    if not data.startswith(GZIP):
        return data
    try:
        return gzip.decompress(data)
    except EOFError:
        raise ValueError(
            f"{name} is truncated: its gzip stream goes on where the file ends, at byte {len(data)}"
        ) from None
    except (OSError, zlib.error) as error:
        raise ValueError(
            f"{name} is altered: its {len(data)} bytes are no valid gzip stream: {error}"
        ) from None


def parse(data: bytes, name: str) -> Array:
    """The array that the IDX bytes ``data`` say, in native byte order; ``name`` is for errors.

    Raises:
        ValueError: they are not a whole IDX file; the message says at which byte what was expected.

    >>> parse(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]), "three labels")
    array([5, 0, 4], dtype=uint8)
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        raise ValueError(
            f"{name} is no IDX file: at byte 0 expected two zeros, a dtype of {list(DTYPES)} and "
            f"the number of dimensions, got {list(data[:4])}"
        )
    dtype, dimensions = np.dtype(DTYPES[data[2]]), data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise ValueError(
            f"{name} is truncated: at byte 4 expected {dimensions} dimensions of 4 bytes each, "
            f"and the contents end at byte {len(data)}"
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    end = start + math.prod(shape) * dtype.itemsize
    if len(data) != end:
        wrong = "is truncated" if len(data) < end else "goes on too long"
        raise ValueError(
            f"{name} {wrong}: from byte {start} expected {dtype.name} of shape {shape} up to "
            f"byte {end}, and the contents end at byte {len(data)}"
        )
    try:
        array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError:  # as of 200 dimensions, one of them 0
        raise ValueError(f"{name} is no IDX file: at byte 4 no array has shape {shape}") from None
    return array.astype(dtype.newbyteorder("="))
