"""Matrix products compared with the peers, as a share of this machine's peak arithmetic.

    python benchmarks/speed/gemm.py                    # all shapes, float32, all numbers of threads
    python benchmarks/speed/gemm.py --only square --dtype float64 --threads 1 2 --json gemm.json

``ours, Tensor`` is ``a @ b`` of tensors that require no gradient; ``ours, arrays`` is the kernel on
NumPy arrays.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from report import OURS, Case, import_peer, main

import tinygrad_mlp as tg
from tinygrad_mlp.kernels import gemm

SQUARE = (512, 1024, 2048)
LAYERS = [(128, 784, 512), (128, 512, 128), (128, 128, 64)]  # batch M, inputs K, outputs N
THIN = [
    (128, 64, 10),
    (128, 512, 10),
    (300, 100, 3),
    (300, 2, 100),
    (1, 784, 512),
    (1, 512, 10),
    (8, 16, 16),
]

# Shapes of the operands in memory, and the operand that is transposed: the product C = A B, and
# the gradients of a layer y = x W, dW = x' g and dx = g W'.
FORMS = {
    "A B": lambda m, k, n: ((m, k), (k, n), ""),
    "A' B": lambda m, k, n: ((m, k), (m, n), "left"),
    "A B'": lambda m, k, n: ((m, n), (k, n), "right"),
}


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Yield a case for every shape, named M x K x N."""
    for n in SQUARE:
        yield case(f"square {n}", "A B", (n, n, n), args.dtype)
    for shape in LAYERS:
        for form in FORMS:
            yield case(f"layer {'x'.join(map(str, shape))} {form}", form, shape, args.dtype)
    for shape in THIN:
        yield case(f"thin {'x'.join(map(str, shape))}", "A B", shape, args.dtype)


def case(name: str, form: str, shape: tuple[int, int, int], dtype: str) -> Case:
    """Return the case of one product: each form takes 2 M K N operations."""
    m, k, n = shape
    return Case(name, lambda: candidates(form, shape, dtype), flops=2.0 * m * k * n, dtype=dtype)


def candidates(
    form: str, shape: tuple[int, int, int], dtype: str
) -> dict[str, Callable[[], object]]:
    """Return the same product by every library that is installed."""
    left, right, transposed = FORMS[form](*shape)
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(size).astype(dtype) for size in (left, right))
    a, b = a.T if transposed == "left" else a, b.T if transposed == "right" else b
    x, y = tg.from_numpy(a), tg.from_numpy(b)

    calls: dict[str, Callable[[], object]] = {
        f"{OURS}, Tensor": lambda: x @ y,
        f"{OURS}, arrays": lambda: gemm.product(a, b),
        "NumPy": lambda: a @ b,
    }
    if torch := import_peer("torch"):
        p, q = torch.from_numpy(a), torch.from_numpy(b)
        calls["PyTorch"] = lambda: p @ q
    if jax := import_peer("jax", float64=True):
        multiply = jax.jit(lambda x, y: x @ y)
        u, v = jax.numpy.asarray(a), jax.numpy.asarray(b)
        calls["JAX"] = lambda: multiply(u, v).block_until_ready()
    return calls


if __name__ == "__main__":
    dtype = dict(choices=["float32", "float64"], default="float32", help="dtype of the matrices")
    main(__doc__ or "", cases, dtype=dtype)
