"""The memory of tensors, used again when nobody reads it any more.

Memory that was used before is worth keeping: its pages are there (a fresh megabyte costs 256 page
faults, about as long as ten kernels take to fill it), and it may still be in the cache. Blocks are
aligned to 64 bytes: a cache line, and the widest vector.

For each size a ring holds the storages made last. The one at its head is the oldest, so likely free
again; Python's count of references says whether it is, and nobody has to give anything back.
"""

from __future__ import annotations

from collections import deque
from sys import getrefcount

import numpy as np

from .memory import address_of

_ALIGNMENT = 64
_LOOKS = 8  # storages of a ring that are looked at before memory is asked for
_LONGEST = 256  # storages of a ring: more than the tape of a deep network holds of one size
_PATIENCE = 8  # how often one may be found in use, never free, before the ring lets go of it
_SMALL = 1 << 16  # bytes of a storage that do not count towards
_MOST = 1 << 29  # the bytes that all rings may hold


class Storage:
    """Memory that tensors share, and how often it was written to."""

    __slots__ = ("__weakref__", "address", "array", "busy", "place", "version")

    array: np.ndarray  # whose memory it is: bytes of our own, or the user's array
    address: int  # of its first element; of our own, the first that is aligned,
    place: int  # which is this byte, or -1: the memory is the user's
    version: int
    busy: int  # how often the ring has found it in use since it was free

    def __init__(self, array: np.ndarray, address: int, place: int = -1):
        self.array, self.address, self.place, self.version = array, address, place, 0
        self.busy = 0


def _unread() -> tuple[int, int]:
    """What Python counts of a storage that one local name leads to, and of its array.

    Asked, because it differs: the argument of ``getrefcount`` counts too, but from Python 3.14 on a
    local name only lends it.
    """
    storage = Storage(np.empty(0, np.uint8), 0)
    return getrefcount(storage), getrefcount(storage.array)


_UNREAD, _UNREAD_ARRAY = _unread()

Ring = deque[Storage]

_rings: dict[int, Ring] = {}
_held = 0


def ring_of(size: int) -> Ring:
    """The storages that serve ``size`` bytes; asked once a layout."""
    return _rings.setdefault(_room(size), deque())


def storage_of(array: np.ndarray) -> Storage:
    """The memory of a user's array."""
    return Storage(array, address_of(array))


def allocate(size: int, ring: Ring) -> Storage:
    """Memory for ``size`` bytes, not yet written, from the ring that serves that size."""
    try:
        storage = ring.popleft()
    except IndexError:  # empty, perhaps because another thread is looking at its only storage
        return _search(size, ring)
    if getrefcount(storage) == _UNREAD and getrefcount(storage.array) == _UNREAD_ARRAY:
        ring.append(storage)
        storage.version = storage.busy = 0
        return storage
    ring.appendleft(storage)
    return _search(size, ring)


def _search(size: int, ring: Ring) -> Storage:
    """A free storage of those that were taken last, or a new one.

    The oldest is in use: the tape of a deep network holds many, while what is made on the way back
    is free again soon. It goes to the end, or leaves the ring if it is never found free.
    """
    global _held
    try:
        oldest = ring.popleft()
    except IndexError:
        oldest = None
    in_use: list[Storage] = []
    found = None
    for _ in range(min(len(ring), _LOOKS)):
        try:
            storage = ring.pop()
        except IndexError:  # another thread took what was there
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
        elif size > _SMALL:  # it lives long, and is no use here
            _held -= oldest.array.size
    if found is not None:
        ring.append(found)
        found.version = found.busy = 0
        return found
    array = np.empty(_room(size) + _ALIGNMENT, np.uint8)
    place = -address_of(array) % _ALIGNMENT
    storage = Storage(array, address_of(array) + place, place)
    if size > _SMALL:
        if _held + array.size > _MOST:
            _let_go()
        _held += array.size
    ring.append(storage)
    return storage


def _let_go() -> None:
    """Empty all rings of large storages: what is in use lives on, all else is freed."""
    global _held
    for size, ring in list(_rings.items()):
        if size > _SMALL:
            ring.clear()
    _held = 0


def _room(size: int) -> int:
    """Bytes of the block for ``size`` bytes: steps of an eighth to a quarter, whole cache lines.

    >>> _room(1), _room(1000), _room(1030)
    (64, 1024, 1280)
    """
    step = max((1 << max(size - 1, 1).bit_length()) >> 3, _ALIGNMENT)
    return max(-(-size // step) * step, _ALIGNMENT)
