"""The memory that a capture has met: the buffers of the program, and the addresses in them."""

from __future__ import annotations

import bisect
from typing import Any

from ..kernels.runtime.memory import address_of
from ..kernels.runtime.storage import Storage
from . import ir
from .errors import CaptureError

_PREFIXES = {ir.INPUT: "in", ir.STATE: "state", ir.TEMPORARY: "%"}  # of the names of buffers


class MemoryMap:
    """The buffers of a program, and which addresses belong to them."""

    def __init__(self) -> None:
        self.by_storage: dict[int, ir.Buffer] = {}
        self.starts: list[int] = []  # addresses, sorted
        self.buffers: list[ir.Buffer] = []  # in the same order
        self.counts = dict.fromkeys(_PREFIXES, 0)

    def region(self, value: Any, role: str) -> ir.Region:
        """Return where a tensor lies; unknown memory becomes a buffer with this role."""
        buffer = self.by_storage.get(id(value.storage))
        if buffer is None:
            buffer = self._add(value, value.storage, role)
        low, high = ir.byte_range(value.layout)
        offset = value.address - buffer.address
        if offset + low < 0:
            raise CaptureError(
                f"a tensor of shape {value.layout.shape} reaches memory in front of the tensor "
                f"that it is a view of, {buffer.name}; use .clone() on the one with negative steps"
            )
        buffer.nbytes = max(buffer.nbytes, offset + high)
        return ir.Region(buffer, offset, value.layout)

    def _add(self, value: Any, storage: Storage, role: str) -> ir.Buffer:
        array = storage.array
        low, high = ir.byte_range(value.layout)
        start, size = value.address + low, high - low
        if role != ir.TEMPORARY and array.flags.c_contiguous:  # all of what it is a view of
            start = address_of(array) + max(storage.place, 0)
            size = array.nbytes - max(storage.place, 0)
        self.counts[role] += 1
        buffer = ir.Buffer(role, size, f"{_PREFIXES[role]}{self.counts[role]}", start, storage)
        self.by_storage[id(storage)] = buffer
        at = bisect.bisect(self.starts, start)
        self.starts.insert(at, start)
        self.buffers.insert(at, buffer)
        return buffer

    def locate(self, address: int) -> ir.BufferAddress | None:
        """Return the buffer that an address belongs to, and the offset in it."""
        at = bisect.bisect(self.starts, address) - 1
        if at < 0 or address - self.starts[at] >= max(self.buffers[at].nbytes, 1):
            return None
        return ir.BufferAddress(self.buffers[at], address - self.starts[at])

    def check_disjoint(self) -> None:
        """Raise if two storages share memory: the program would not see it."""
        for one, other in zip(self.buffers, self.buffers[1:], strict=False):
            if one.address + one.nbytes > other.address:
                raise CaptureError(
                    f"{one.name} and {other.name} are arrays that share memory; pass the step "
                    "copies that do not"
                )
