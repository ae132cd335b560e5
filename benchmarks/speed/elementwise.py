"""Vector functions, fused passes, normalisation, losses, updates and reductions, beside the peers.

    python benchmarks/elementwise.py                       # everything, every number of threads
    python benchmarks/elementwise.py --only exp Adam --threads 1 --json elementwise.json

Bytes count each array once for each way it has to go, however often a kernel really touches it: so
the share of bandwidth says how near a row is to the least that memory allows. Rows whose arrays
fit a cache are held against that cache.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from report import OURS, Case, main, peer

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd.op import REGISTRY
from tinygrad_mlp.ops.elementwise.arithmetic import maximum
from tinygrad_mlp.ops.elementwise.declare import Elementwise

Calls = dict[str, Callable[[], object]]
CACHED = 1 << 15  # elements of a vector function's input: in and out fit the second-level cache
generator = np.random.default_rng(0)


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """All rows; the vector functions in both dtypes."""
    for name in FUNCTIONS:
        for dtype in ("float32", "float64"):
            yield Case(
                f"{name} {dtype}",
                functools.partial(function, name, dtype),
                bytes=2.0 * CACHED * np.dtype(dtype).itemsize,
                level="L2",
            )
    million = 1_000_000
    yield Case("chain of 5 ops, 1 M", chain, bytes=3.0 * 4 * million, level="L3")
    for shape in [(128, 10), (4096, 1000)]:
        yield fused("cross-entropy", cross_entropy, shape, arrays=3)  # x, x again, its gradient
    for shape in [(128, 512), (4096, 1024)]:
        yield fused("batch-norm", batch_norm, shape, arrays=5)  # x, y; g, x, its gradient
    yield Case("Adam, 10 M", adam, bytes=7.0 * 4 * 10 * million)  # p, g, m, v; p, m, v
    for name in ("sum", "amax"):
        for axis in (None, 1, 0):
            where = {None: "all", 1: "along rows", 0: "across rows"}[axis]
            yield Case(
                f"{name} {where}, 4096x4096",
                functools.partial(reduction, name, axis),
                bytes=4.0 * 4096**2,
            )
    yield Case("dropout, 4096x4096", dropout, bytes=2.0 * 4 * 4096**2)


def fused(what: str, build: Callable[..., Calls], shape: tuple[int, int], arrays: int) -> Case:
    """Forward and backward of an op on a matrix."""
    size = 4.0 * arrays * shape[0] * shape[1]
    level = "memory" if size > 1 << 25 else "L2"
    name = f"{what} forward and backward, {shape[0]}x{shape[1]}"
    return Case(name, functools.partial(build, shape), bytes=size, level=level)


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return generator.standard_normal(shape, dtype=np.float32).astype(dtype)


# --- vector functions ------------------------------------------------------------------------

# name -> (NumPy's own form or SciPy's, PyTorch's name, JAX's name); inputs are positive
FUNCTIONS: dict[str, tuple[Callable[..., Any] | str, str, str]] = {
    "exp": (np.exp, "exp", "numpy.exp"),
    "expm1": (np.expm1, "expm1", "numpy.expm1"),
    "log": (np.log, "log", "numpy.log"),
    "log1p": (np.log1p, "log1p", "numpy.log1p"),
    "tanh": (np.tanh, "tanh", "numpy.tanh"),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), "sigmoid", "nn.sigmoid"),
    "softplus": (
        lambda x: np.logaddexp(0, x, dtype=x.dtype),
        "nn.functional.softplus",
        "nn.softplus",
    ),
    "erf": ("special.erf", "erf", "scipy.special.erf"),
    "sqrt": (np.sqrt, "sqrt", "numpy.sqrt"),
    "rsqrt": (lambda x: 1 / np.sqrt(x), "rsqrt", "lax.rsqrt"),
    "pow": (np.power, "pow", "numpy.power"),
    "sin": (np.sin, "sin", "numpy.sin"),
    "cos": (np.cos, "cos", "numpy.cos"),
}
EXTRA: dict[str, tuple[float, ...]] = {"softplus": (1.0, 20.0)}  # our ops' further inputs


def function(name: str, dtype: str) -> Calls:
    """``ours, kernel``: the compiled code on memory that is there. Others make their results."""
    x = generator.uniform(0.1, 5, CACHED).astype(dtype)
    y = [generator.uniform(-2, 2, CACHED).astype(dtype)] if name == "pow" else []
    by_numpy, by_torch, by_jax = FUNCTIONS[name]
    tensors = [tg.from_numpy(each) for each in (x, *y)]
    further = [tg.tensor(value, dtype=dtype) for value in EXTRA.get(name, ())]
    op, out = REGISTRY[name], tg.empty(CACHED, dtype=dtype)
    inputs = [*tensors, *further]
    _, launch = op.planned(*[value.layout for value in inputs])

    def kernel() -> None:
        launch(*[value.address for value in inputs], out.address)

    calls: Calls = {f"{OURS}, kernel": kernel, OURS: lambda: op(*inputs)}
    if isinstance(by_numpy, str):
        if scipy := peer("scipy.special"):
            calls["SciPy"] = lambda: scipy.erf(x)
    else:
        calls["NumPy"] = lambda: by_numpy(x, *y)
    return calls | others(by_torch, by_jax, x, *y)


def others(by_torch: str, by_jax: str, *arrays: np.ndarray) -> Calls:
    """One of PyTorch's and one of JAX's functions on arrays, where they are installed."""
    calls: Calls = {}
    if torch := peer("torch"):
        apply, given = find(torch, by_torch), [torch.from_numpy(each) for each in arrays]
        calls["PyTorch"] = lambda: apply(*given)
    if jax := peer("jax", float64=True):
        compiled, on_jax = jax.jit(find(jax, by_jax)), [jax.numpy.asarray(a) for a in arrays]
        calls["JAX"] = lambda: compiled(*on_jax).block_until_ready()
    return calls


def find(module: Any, path: str) -> Any:
    """``find(torch, "nn.functional.softplus")``."""
    if module.__name__ == "jax":
        peer("jax.scipy.special")  # a part that has to be imported by itself
    return functools.reduce(getattr, path.split("."), module)


# --- passes over memory ----------------------------------------------------------------------


def chain() -> Calls:
    """max(x * y + x, 0) * y - x: five passes for NumPy, one for a generated kernel."""
    x, y = normal(1_000_000), normal(1_000_000)
    op = Elementwise("chain", lambda x, y: maximum(x * y + x, 0) * y - x, register=False)
    a, b = tg.from_numpy(x), tg.from_numpy(y)
    calls: Calls = {OURS: lambda: op(a, b)}
    calls["NumPy"] = lambda: np.maximum(x * y + x, 0) * y - x
    if torch := peer("torch"):
        p, q = torch.from_numpy(x), torch.from_numpy(y)
        calls["PyTorch"] = lambda: torch.relu(p * q + p) * q - p
    if jax := peer("jax", float64=True):
        compiled = jax.jit(lambda x, y: jax.numpy.maximum(x * y + x, 0) * y - x)
        u, v = jax.numpy.asarray(x), jax.numpy.asarray(y)
        calls["JAX"] = lambda: compiled(u, v).block_until_ready()
    return calls


def cross_entropy(shape: tuple[int, int]) -> Calls:
    """The mean over rows, and its gradient by the logits."""
    x, labels = normal(*shape), generator.integers(0, shape[1], shape[0])

    def by_numpy() -> object:
        shifted = x - x.max(1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(1, keepdims=True)
        rows = np.arange(len(labels))
        loss = (np.log(total[:, 0]) - shifted[rows, labels]).mean()
        p /= total
        p[rows, labels] -= 1
        p /= len(labels)
        return loss, p

    a, at = tg.from_numpy(x).requires_grad_(), tg.from_numpy(labels)
    calls: Calls = {OURS: with_gradient(a, lambda: F.cross_entropy(a, at)), "NumPy": by_numpy}
    if torch := peer("torch"):
        p, on = torch.from_numpy(x).requires_grad_(), torch.from_numpy(labels)
        loss = torch.nn.functional.cross_entropy
        calls["PyTorch"] = with_gradient(p, lambda: loss(p, on))
    if jax := peer("jax", float64=True):

        def by_jax(z: Any, k: Any) -> Any:
            picked = jax.numpy.take_along_axis(jax.nn.log_softmax(z), k[:, None], 1)
            return -picked.mean()

        both = jax.jit(jax.value_and_grad(by_jax))
        z, k = jax.numpy.asarray(x), jax.numpy.asarray(labels)
        calls["JAX"] = lambda: jax.block_until_ready(both(z, k))
    return calls


def batch_norm(shape: tuple[int, int]) -> Calls:
    """A layer in training mode, its running statistics kept, and all three gradients."""
    x, g = normal(*shape), normal(*shape)
    layer, a, up = nn.BatchNorm1d(shape[1]), tg.from_numpy(x).requires_grad_(), tg.from_numpy(g)
    calls: Calls = {OURS: with_gradient(a, lambda: layer(a), up)}

    def by_numpy() -> object:
        mean, variance = x.mean(0), x.var(0)
        r = 1 / np.sqrt(variance + 1e-5)
        h = (x - mean) * r
        out = h * weight + bias
        g_bias, g_weight = g.sum(0), (g * h).sum(0)
        return out, weight * r * (g - (g_bias + h * g_weight) / len(x)), g_weight, g_bias

    weight, bias = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    calls["NumPy"] = by_numpy
    if torch := peer("torch"):
        norm, p, from_above = (
            torch.nn.BatchNorm1d(shape[1]),
            torch.from_numpy(x).requires_grad_(),
            torch.from_numpy(g),
        )
        calls["PyTorch"] = with_gradient(p, lambda: norm(p), from_above)
    return calls


def with_gradient(x: Any, forward: Callable[[], Any], *cotangent: Any) -> Callable[[], object]:
    """Forward and backward, the gradient made anew each time."""

    def both() -> object:
        x.grad = None
        out = forward()
        out.backward(*cotangent)
        return out

    return both


def adam() -> Calls:
    """One tensor of 10 million parameters; the fused form in PyTorch."""
    size = 10_000_000
    p, g = normal(size), normal(size)
    parameter = nn.Parameter(tg.from_numpy(p))
    parameter.grad = tg.from_numpy(g)
    calls: Calls = {OURS: optim.Adam([parameter]).step}
    moments = [np.zeros_like(p), np.zeros_like(p)]

    def by_numpy() -> None:
        m, v = moments
        m *= 0.9
        m += 0.1 * g
        v *= 0.999
        v += 0.001 * g * g
        p[:] -= 1e-3 * m / (np.sqrt(v) + 1e-8)

    calls["NumPy"] = by_numpy
    if torch := peer("torch"):
        q = torch.nn.Parameter(torch.from_numpy(p.copy()))
        q.grad = torch.from_numpy(g)
        calls["PyTorch"] = torch.optim.Adam([q], fused=True).step
    return calls


def reduction(name: str, axis: int | None) -> Calls:
    x = normal(4096, 4096)
    a = tg.from_numpy(x)
    by_numpy = getattr(np, name)
    calls: Calls = {OURS: lambda: getattr(a, name)(axis), "NumPy": lambda: by_numpy(x, axis)}
    if torch := peer("torch"):
        p, by_torch = torch.from_numpy(x), getattr(torch, name)
        dim = () if axis is None else axis
        calls["PyTorch"] = lambda: by_torch(p, dim)
    return calls


def dropout() -> Calls:
    """Half of the elements; the random numbers are drawn in the same call."""
    x = normal(4096, 4096)
    a, draw = tg.from_numpy(x), np.random.default_rng(0)

    def by_numpy() -> object:
        return np.where(draw.random(x.shape, dtype=np.float32) < 0.5, 0, x * 2)

    calls: Calls = {OURS: lambda: F.dropout(a, 0.5), "NumPy": by_numpy}
    if torch := peer("torch"):
        p = torch.from_numpy(x)
        calls["PyTorch"] = lambda: torch.nn.functional.dropout(p, 0.5)
    return calls


if __name__ == "__main__":
    main(__doc__ or "", cases)
