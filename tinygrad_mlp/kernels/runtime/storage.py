"""The memory of tensors, reused when no tensor refers to it any more.

Reused memory is faster: its pages are mapped (a fresh megabyte costs 256 page faults, about the
time in which ten kernels fill it), and it may still be in the cache. Blocks are aligned to 64
bytes: a cache line, and the widest vector.

For each size a ring (free list) holds the storages made last. The one at its head is the oldest and
most likely free. A storage is free when Python's reference count shows that only the ring refers to
it, so no tensor has to return its memory.
"""

from __future__ import annotations

from collections import deque
from sys import getrefcount

import numpy as np

from .memory import address_of, new_bytes

_ALIGNMENT = 64
_PROBES = 8  # storages of a ring that are examined before new memory is allocated
_LONGEST = 256  # storages of a ring: more than the tape of a deep network holds of one size
_PATIENCE = 8  # how often a storage may be found in use before it leaves the ring
_SMALL = 1 << 16  # storages up to this size do not count towards the limit
_MOST = 1 << 29  # bytes that all rings may hold


class Storage:
    """A block of memory that tensors share, with a version that counts the writes."""

    __slots__ = ("__weakref__", "address", "array", "busy", "place", "version")

    array: np.ndarray  # the owner of the memory: bytes of ours, or the user's array
    address: int  # of the first element
    place: int  # the offset of the first aligned byte in ``array``; -1 for a user's array
    version: int
    busy: int  # how often the ring has found it in use since it was last free

    def __init__(self, array: np.ndarray, address: int, place: int = -1):
        self.array, self.address, self.place, self.version = array, address, place, 0
        self.busy = 0


def _counts_of_a_free_storage() -> tuple[int, int]:
    """Return the reference counts of a storage with one local name, and of its array.

    They are measured, because they differ: the argument of ``getrefcount`` counts too, except from
    Python 3.14 on, where a local name lends its reference.
    """
    storage = Storage(np.empty(0, np.uint8), 0)
    return getrefcount(storage), getrefcount(storage.array)


_UNREAD, _UNREAD_ARRAY = _counts_of_a_free_storage()

Ring = deque[Storage]

_rings: dict[int, Ring] = {}
_held = 0


def ring_of(size: int) -> Ring:
    """Return the ring of storages for ``size`` bytes. Each layout looks it up once."""
    return _rings.setdefault(_room(size), deque())


def storage_of(array: np.ndarray) -> Storage:
    """Return a storage on the memory of a user's array."""
    return Storage(array, address_of(array))


def allocate(size: int, ring: Ring) -> Storage:
    """Return uninitialised memory for ``size`` bytes, from the ring of that size."""
    try:
        storage = ring.popleft()
    except IndexError:  # empty, perhaps because another thread examines its only storage
        return _search(size, ring)
    if getrefcount(storage) == _UNREAD and getrefcount(storage.array) == _UNREAD_ARRAY:
        ring.append(storage)
        storage.version = storage.busy = 0
        return storage
    ring.appendleft(storage)
    return _search(size, ring)


def _search(size: int, ring: Ring) -> Storage:
    """Return a free storage from the end of the ring, or a new one.

    The oldest storage is in use, as with the tape of a deep network, which holds many; the newest
    ones, from the backward pass, are soon free again. The oldest moves to the end of the ring, or
    leaves it if it was never found free.
    """
    global _held
    try:
        oldest = ring.popleft()
    except IndexError:
        oldest = None
    in_use: list[Storage] = []
    found = None
    for _ in range(min(len(ring), _PROBES)):
        try:
            storage = ring.pop()
        except IndexError:  # another thread took the last
            break
        if getrefcount(storage) == _UNREAD and getrefcount(storage.array) == _UNREAD_ARRAY:
            found = storage
            break
        in_use.append(storage)
    ring.extend(reversed(in_use))
    if oldest is not None:
        oldest.busy += 1
        if oldest.busy < _PATIENCE and len(ring) < _LONGEST:
            ring.append(oldest)
        elif size > _SMALL:  # it is long-lived: it leaves the ring
            _held -= oldest.array.size
    if found is not None:
        ring.append(found)
        found.version = found.busy = 0
        return found
    array = _new_array(_room(size) + _ALIGNMENT)
    place = -address_of(array) % _ALIGNMENT
    storage = Storage(array, address_of(array) + place, place)
    if size > _SMALL:
        if _held + array.size > _MOST:
            _clear_rings()
        _held += array.size
    ring.append(storage)
    return storage


def _new_array(size: int) -> np.ndarray:
    """Return new memory, if need be after the free memory in the rings is given back."""
    try:
        return np.empty(size, np.uint8)
    except (MemoryError, ValueError):
        _clear_rings()
        return new_bytes(size, "a tensor")


def _clear_rings() -> None:
    """Empty the rings of large storages: those in use live on, the others are freed."""
    global _held
    for size, ring in list(_rings.items()):
        if size > _SMALL:
            ring.clear()
    _held = 0


def _room(size: int) -> int:
    """Return the block size for ``size`` bytes: steps of an eighth to a quarter, whole cache lines.

    >>> _room(1), _room(1000), _room(1030)
    (64, 1024, 1280)
    """
    step = max((1 << max(size - 1, 1).bit_length()) >> 3, _ALIGNMENT)
    return max(-(-size // step) * step, _ALIGNMENT)
