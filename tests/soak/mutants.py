"""Mutants of files, drawn by a random generator: of bytes, of JSON, and of what containers hold."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable, Sequence

from safetensors.numpy import load

from tinygrad_mlp import serialization
from tinygrad_mlp.serialization import CHECKSUM

Mutator = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

NUMBERS = [
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"-inf",
    b"1" * 400,
    b"0.1",
    b"4294967296",
    b"1_0",
    b"9" * 20,
]
FRAGMENTS = [
    *NUMBERS,
    *(b",", b";", b'"', b'""', b"\r", b"\n", b"\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9"),
    *(
        b"\t|",
        b" ",
        b"NA",
        b"'",
        b"{",
        b"[",
        b"]}",
        b"\\u0000",
        b"\xe2\x80\xa8",
        b"\x1f\x8b",
        b"PK",
    ),
]
VALUES = [
    *(None, True, 0, -1, 3, 1.5, 1e308, 10**400, 2**63, float("nan"), float("inf")),
    *("", "x", "\0", "relu", "9" * 50, [], {}, [1], {"x": 1}, [[1.0]], [None]),
]


def mutate_bytes(draw: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Apply one to four changes at random places."""
    mutant = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        begin = draw.randrange(len(mutant) + 1)
        end = min(len(mutant), begin + draw.choice((1, 1, 2, 4, 8, 64, 1000)))
        piece = bytes(mutant[begin:end])
        choice = draw.randrange(10)
        if choice == 0 and piece:
            mutant[begin] ^= 1 << draw.randrange(8)
        elif choice == 1:
            mutant[begin:end] = b""
        elif choice == 2:
            mutant[begin:begin] = piece * draw.choice((1, 2, 100))
        elif choice == 3:
            mutant[begin:begin] = draw.choice(FRAGMENTS)
        elif choice == 4:
            mutant[begin:end] = draw.randbytes(len(piece))
        elif choice == 5:
            mutant = mutant[:begin] if draw.random() < 0.5 else mutant[begin:]
        elif choice == 6:
            other = draw.choice(others)
            mutant[begin:] = other[draw.randrange(len(other) + 1) :]
        elif choice == 7:
            mutant[begin:end] = draw.choice((b"\0", b"\xff", b"\x7f")) * len(piece)
        elif numbers := list(re.finditer(rb"\d+(\.\d+)?", mutant[:100_000])):
            found = draw.choice(numbers)
            mutant[found.start() : found.end()] = draw.choice(NUMBERS)
    return bytes(mutant)


def mutate_json(draw: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change values of the tree, or else bytes of the text."""
    if draw.random() < 0.3:
        return mutate_bytes(draw, data, others)
    tree = json.loads(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        tree = mutate_tree(draw, tree)
    return json.dumps(tree).encode()


def mutate_tree(draw: random.Random, tree: object) -> object:
    """Return a tree with one value replaced, deleted, repeated or renamed."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    if not places:
        return draw.choice(VALUES)
    parent, key = draw.choice(places)
    choice = draw.randrange(6)
    if choice == 0:
        del parent[key]
    elif choice == 1:
        other, name = draw.choice(places)
        parent[key] = copy.deepcopy(other[name])
    elif choice == 2 and isinstance(parent, dict):
        parent[draw.choice(("x", "", "dtype", "tensor", "classes"))] = parent.pop(key)
    elif choice == 2:
        parent.insert(key, parent[key])
    elif choice == 3 and isinstance(parent[key], (int, float)) and abs(parent[key]) < 1e9:
        parent[key] = parent[key] * draw.choice((-1, 0, 2, 1e300)) + draw.choice((0, 1, -1, 0.5))
    else:
        parent[key] = copy.deepcopy(draw.choice(VALUES))
    return tree


def _places(tree: object):
    children = ()
    if isinstance(tree, (dict, list)):
        children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, child in children:
        yield tree, key
        yield from _places(child)


def mutate_safetensors(draw: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change the header, whose length is then right, or the JSON inside it, or bytes."""
    choice = draw.random()
    if choice < 0.3:
        return mutate_bytes(draw, data, others)
    (length,) = struct.unpack("<Q", data[:8])
    header, content = json.loads(data[8 : 8 + length]), data[8 + length :]
    text = header.get("__metadata__", {}).get("checkpoint")
    if text is not None and choice < 0.75:
        mutant = mutate_json(draw, text.encode(), [b"{}"])
        header["__metadata__"]["checkpoint"] = mutant.decode(errors="replace")
    elif choice < 0.9:
        header = mutate_tree(draw, header)
    else:
        content = mutate_bytes(draw, content, [content])
    if draw.random() < 0.9:
        sign(header, content)
    return join_safetensors(header, content)


def join_safetensors(header: dict, content: bytes) -> bytes:
    """Return the file with this header."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def sign(header: dict, content: bytes) -> None:
    """Put the checksum that the mutant should have into it, so that more than that is tested."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or CHECKSUM not in metadata:
        return
    metadata.pop(CHECKSUM)
    try:
        metadata[CHECKSUM] = serialization._checksum(
            load(join_safetensors(header, content)), metadata
        )
    except Exception:  # no file of tensors at all
        metadata[CHECKSUM] = "0"


def mutate_npz(draw: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change the headers or contents of the arrays in an intact archive, or bytes of the file."""
    if draw.random() < 0.4:
        return mutate_bytes(draw, data, others)
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(written, "w") as mutant:
        for name in archive.namelist():
            content = archive.read(name)
            if draw.random() < 0.6:
                content = _mutate_npy(draw, content)
            method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            if draw.random() < 0.97:
                mutant.writestr(name, content, method)
    return written.getvalue()


def _mutate_npy(draw: random.Random, data: bytes) -> bytes:
    """Change the header, whose length is then mostly right, or the numbers."""
    end = 10 + int.from_bytes(data[8:10], "little")
    if draw.random() < 0.3:
        return data[:end] + mutate_bytes(draw, data[end:], [data])
    text = mutate_bytes(draw, data[10:end], [data])
    length = struct.pack("<H", len(text) % 65536) if draw.random() < 0.8 else data[8:10]
    return data[:8] + length + text + data[end:]


def mutate_gzip(draw: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change what a gzip stream holds, or its bytes."""
    if draw.random() < 0.5 or not data.startswith(b"\x1f\x8b"):
        return mutate_bytes(draw, data, others)
    content = gzip.decompress(data)
    if draw.random() < 0.1:
        return gzip.compress(content + bytes(draw.choice((1, 1000, 5_000_000))), 1)
    return gzip.compress(mutate_bytes(draw, content, [content]), 1)
