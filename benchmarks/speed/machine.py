"""Measure the limits of this machine: arithmetic on registers, bytes from memory and caches.

    peak("float32", threads=2)         FLOP/s of fused multiply-adds on vectors in registers
    bandwidth(threads=2)               bytes/s of the best of four streams, far larger than caches

The other benchmarks print their share of these. The kernels run on the package's own workers.
STREAM: J. D. McCalpin, *Memory Bandwidth and Machine Balance*, IEEE TCCA Newsletter, 1995.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import float64, int64, types
from numba.core import cgutils
from numba.extending import intrinsic

import tinygrad_mlp as tg
from tinygrad_mlp.kernels.gemm import UNITS, host
from tinygrad_mlp.kernels.runtime.launch import Launch, compiled
from tinygrad_mlp.kernels.runtime.memory import address_of, pointer

CHAINS = 24  # independent sums: two units of latency 4 or 5 need 10, and 24 still fit 32 registers
# Bytes of all arrays, multiples of 48: per thread in caches of a core, in total elsewhere.
LEVELS = {"L1": 24 << 10, "L2": 384 << 10, "L3": 12 << 20, "memory": 384 << 20}
CORE_CACHES = ("L1", "L2")


def peak(dtype: str = "float32", threads: int = 1, seconds: float = 0.2) -> float:
    """Measure FLOP/s of ``x = x * a + b`` on vectors, in a loop that reads no memory."""
    rounds = 100_000
    out = np.zeros(threads * 8)
    launch = Launch(arithmetic_kernel(dtype), 1, [rounds], 1e9)
    best = _fastest(lambda: launch(address_of(out)), threads, seconds)
    return rounds * vector_flops(dtype) / best


def vector_flops(dtype: str) -> int:
    """Return the operations in one round of the arithmetic kernel's loop."""
    return CHAINS * _lanes(dtype) * 2


def _lanes(dtype: str) -> int:
    return UNITS[host()].lanes(np.dtype(dtype).itemsize)


def bandwidth(threads: int = 1, level: str = "memory", seconds: float = 0.2) -> float:
    """Measure bytes/s, each byte counted once per direction: the best of `STREAMS`."""
    return max(stream(name, threads, level, seconds) for name in STREAMS)


def stream(name: str, threads: int = 1, level: str = "memory", seconds: float = 0.2) -> float:
    """Measure bytes/s of one loop over float64 arrays that together fill ``level``."""
    arrays, kernel = STREAMS[name]
    size = LEVELS[level] // 8 // arrays * (threads if level in CORE_CACHES else 1)
    operands = np.split(_buffer(size * arrays), arrays)
    rounds = max(1, (1 << 21) // (size // threads))
    launch = Launch(compiled(kernel, fastmath={"reassoc"}), arrays, [size, rounds], 1e9)
    words = [address_of(array) for array in operands]
    best = _fastest(lambda: launch(*words), threads, seconds)
    directions = arrays + (name == "update")  # which reads and writes its first array
    return directions * size * 8 * rounds / best


@functools.lru_cache(maxsize=1)
def _buffer(size: int) -> np.ndarray:
    """Return memory that has been written once, so that all its pages are mapped."""
    return np.ones(size)


def _fastest(call: Callable[[], object], threads: int, seconds: float) -> float:
    """Return the shortest time of many calls: that of a call that nothing disturbed."""
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        call()
        best, end = np.inf, time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            call()
            best = min(best, time.perf_counter() - start)
        return best
    finally:
        tg.set_num_threads(before)


# --- streams: word 0 -> elements of an array, rounds; then the arrays --------------------------


def _read(arguments, thread, threads):
    words = pointer(arguments, int64)
    sizes, a = pointer(words[0], int64), pointer(words[1], float64)
    total = 0.0
    for _ in range(sizes[1]):
        for i in range(sizes[0] * thread // threads, sizes[0] * (thread + 1) // threads):
            total += a[i]
    if total == -1.0:  # never true; it keeps the compiler from dropping the sum
        a[0] = total


def _copy(arguments, thread, threads):
    words = pointer(arguments, int64)
    sizes = pointer(words[0], int64)
    a, b = pointer(words[1], float64), pointer(words[2], float64)
    for _ in range(sizes[1]):
        for i in range(sizes[0] * thread // threads, sizes[0] * (thread + 1) // threads):
            a[i] = b[i]


def _update(arguments, thread, threads):
    words = pointer(arguments, int64)
    sizes = pointer(words[0], int64)
    a, b = pointer(words[1], float64), pointer(words[2], float64)
    for _ in range(sizes[1]):
        for i in range(sizes[0] * thread // threads, sizes[0] * (thread + 1) // threads):
            a[i] = 0.5 * a[i] + b[i]


def _triad(arguments, thread, threads):
    words = pointer(arguments, int64)
    sizes = pointer(words[0], int64)
    a, b, c = pointer(words[1], float64), pointer(words[2], float64), pointer(words[3], float64)
    for _ in range(sizes[1]):
        for i in range(sizes[0] * thread // threads, sizes[0] * (thread + 1) // threads):
            a[i] = b[i] + 3.0 * c[i]


# name -> (arrays, kernel)
STREAMS = {"read": (1, _read), "copy": (2, _copy), "update": (2, _update), "triad": (3, _triad)}


# --- arithmetic ------------------------------------------------------------------------------


@functools.cache
def arithmetic_kernel(dtype: str) -> int:
    """Return a kernel that divides ``rounds`` (its only constant) among the threads.

    Word 1 is the address of its output: a cache line for each thread.
    """
    real, lanes = getattr(types, dtype), _lanes(dtype)

    def arithmetic(arguments, thread, threads):
        words = pointer(arguments, int64)
        rounds = pointer(words[0], int64)[0] // threads
        _multiply_add_chains(real, lanes, rounds, words[1] + 64 * thread)

    return compiled(arithmetic)


@intrinsic(prefer_literal=True)
def _multiply_add_chains(typingctx, real, lanes, rounds, out):
    """Compute x[c] = x[c] * a + b for all chains c, ``rounds`` times, and store a sum.

    Each x[c] is a vector of ``lanes`` elements.
    """
    signature = types.void(real, lanes, types.int64, types.int64)
    count = lanes.literal_value

    def codegen(context, builder, signature, values):
        element = context.get_value_type(real.dtype)
        vector = ir.VectorType(element, count)
        function_type = ir.FunctionType(vector, [vector] * 3)
        name = f"llvm.fma.v{count}f{real.dtype.bitwidth}"
        multiply_add = cgutils.get_or_insert_function(builder.module, function_type, name)
        a, b = (ir.Constant(vector, [value] * count) for value in (0.5, 1.0))
        entry, loop = builder.block, builder.append_basic_block("chains")
        done = builder.append_basic_block("chains.done")
        builder.branch(loop)
        builder.position_at_end(loop)
        index = builder.phi(values[2].type)
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        after = [builder.call(multiply_add, [x, a, b]) for x in sums]
        next_round = builder.add(index, ir.Constant(index.type, 1))
        index.add_incoming(ir.Constant(index.type, 0), entry)
        index.add_incoming(next_round, loop)
        for chain, (x, y) in enumerate(zip(sums, after, strict=True)):
            x.add_incoming(ir.Constant(vector, [float(chain)] * count), entry)
            x.add_incoming(y, loop)
        builder.cbranch(builder.icmp_signed("<", next_round, values[2]), loop, done)
        builder.position_at_end(done)
        total = functools.reduce(builder.fadd, after)
        first = builder.extract_element(total, ir.IntType(32)(0))
        builder.store(first, builder.inttoptr(values[3], ir.PointerType()))
        return context.get_dummy_value()

    return signature, codegen
