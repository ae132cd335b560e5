"""Vector functions, fused chains, losses, normalisation, updates and reductions.

They are compared with NumPy, SciPy, PyTorch and JAX.

    python benchmarks/speed/elementwise.py                 # all cases, every number of threads
    python benchmarks/speed/elementwise.py --only exp Adam --threads 1 --json elementwise.json

Bytes count each array once per direction (read, written), however often a kernel touches it. So the
share compares a time with the shortest that memory allows. Where the arrays fit a cache, the
bandwidth is that of this cache.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from report import OURS, Case, import_peer, main

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd.op import REGISTRY
from tinygrad_mlp.ops.elementwise.arithmetic import maximum
from tinygrad_mlp.ops.elementwise.declare import Elementwise

Calls = dict[str, Callable[[], object]]
SIZE = 1 << 15  # elements of a vector function's input: input and output fit the L2 cache
generator = np.random.default_rng(0)


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Yield all cases; the vector functions in both dtypes."""
    for name in FUNCTIONS:
        for dtype in ("float32", "float64"):
            yield Case(
                f"{name} {dtype}",
                functools.partial(vector_function, name, dtype),
                bytes=2.0 * SIZE * np.dtype(dtype).itemsize,
                level="L2",
            )
    million = 1_000_000
    yield Case("chain of 5 ops, 1 M", chain, bytes=3.0 * 4 * million, level="L3")
    for shape in [(128, 10), (4096, 1000)]:
        yield fused_case("cross-entropy", cross_entropy, shape, arrays=3)  # x; x, its gradient
    for shape in [(128, 512), (4096, 1024)]:
        yield fused_case("batch-norm", batch_norm, shape, arrays=5)  # x, y; g, x, its gradient
    yield Case("Adam, 10 M", adam, bytes=7.0 * 4 * 10 * million)  # p, g, m, v; p, m, v
    for name in ("sum", "amax"):
        for axis, direction in ((None, "all"), (1, "along rows"), (0, "across rows")):
            yield Case(
                f"{name} {direction}, 4096x4096",
                functools.partial(reduction, name, axis),
                bytes=4.0 * 4096**2,
            )
    yield Case("dropout, 4096x4096", dropout, bytes=2.0 * 4 * 4096**2)


def fused_case(op: str, build: Callable[..., Calls], shape: tuple[int, int], arrays: int) -> Case:
    """Return the case of an op on a matrix, forward and backward."""
    count = 4.0 * arrays * shape[0] * shape[1]
    level = "memory" if count > 1 << 25 else "L2"
    name = f"{op} forward and backward, {shape[0]}x{shape[1]}"
    return Case(name, functools.partial(build, shape), bytes=count, level=level)


def normal(*shape: int) -> np.ndarray:
    """Draw a float32 array from the standard normal distribution."""
    return generator.standard_normal(shape, dtype=np.float32)


# --- vector functions ------------------------------------------------------------------------

# name -> (NumPy's function, or a name in SciPy; PyTorch's name; JAX's name); inputs are positive
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
PARAMETERS: dict[str, tuple[float, ...]] = {"softplus": (1.0, 20.0)}  # our ops' further inputs


def vector_function(name: str, dtype: str) -> Calls:
    """Return the calls of one function.

    ``ours, kernel`` writes into memory that exists; all others allocate their results.
    """
    x = generator.uniform(0.1, 5, SIZE).astype(dtype)
    y = [generator.uniform(-2, 2, SIZE).astype(dtype)] if name == "pow" else []
    numpy_function, torch_name, jax_name = FUNCTIONS[name]
    parameters = [tg.tensor(value, dtype=dtype) for value in PARAMETERS.get(name, ())]
    inputs = [*map(tg.from_numpy, (x, *y)), *parameters]
    op, out = REGISTRY[name], tg.empty(SIZE, dtype=dtype)
    _, launch = op.planned(*[value.layout for value in inputs])

    def kernel() -> None:
        launch(*[value.address for value in inputs], out.address)

    calls: Calls = {f"{OURS}, kernel": kernel, OURS: lambda: op(*inputs)}
    if isinstance(numpy_function, str):
        if scipy := import_peer("scipy.special"):
            calls["SciPy"] = lambda: scipy.erf(x)
    else:
        calls["NumPy"] = lambda: numpy_function(x, *y)
    return calls | peer_functions(torch_name, jax_name, x, *y)


def peer_functions(torch_name: str, jax_name: str, *arrays: np.ndarray) -> Calls:
    """Return the calls of PyTorch's and of JAX's function, where these are installed."""
    calls: Calls = {}
    if torch := import_peer("torch"):
        function, inputs = resolve(torch, torch_name), list(map(torch.from_numpy, arrays))
        calls["PyTorch"] = lambda: function(*inputs)
    if jax := import_peer("jax", float64=True):
        compiled, operands = jax.jit(resolve(jax, jax_name)), list(map(jax.numpy.asarray, arrays))
        calls["JAX"] = lambda: compiled(*operands).block_until_ready()
    return calls


def resolve(module: Any, path: str) -> Any:
    """Return the attribute at a dotted path, as in ``resolve(torch, "nn.functional.softplus")``."""
    if module.__name__ == "jax":
        import_peer("jax.scipy.special")  # jax does not import it
    return functools.reduce(getattr, path.split("."), module)


# --- passes over memory ----------------------------------------------------------------------


def chain() -> Calls:
    """Return the calls of max(x * y + x, 0) * y - x: five passes in NumPy, one in our kernel."""
    x, y = normal(1_000_000), normal(1_000_000)
    op = Elementwise(
        "chain", lambda x, y: maximum(x * y + x, 0) * y - x, public=False, register=False
    )
    a, b = tg.from_numpy(x), tg.from_numpy(y)
    calls: Calls = {OURS: lambda: op(a, b)}
    calls["NumPy"] = lambda: np.maximum(x * y + x, 0) * y - x
    if torch := import_peer("torch"):
        p, q = torch.from_numpy(x), torch.from_numpy(y)
        calls["PyTorch"] = lambda: torch.relu(p * q + p) * q - p
    if jax := import_peer("jax", float64=True):
        compiled = jax.jit(lambda x, y: jax.numpy.maximum(x * y + x, 0) * y - x)
        u, v = jax.numpy.asarray(x), jax.numpy.asarray(y)
        calls["JAX"] = lambda: compiled(u, v).block_until_ready()
    return calls


def cross_entropy(shape: tuple[int, int]) -> Calls:
    """Return the calls of the mean over rows, and its gradient with respect to the logits."""
    x, labels = normal(*shape), generator.integers(0, shape[1], shape[0])

    def numpy_step() -> object:
        shifted = x - x.max(1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(1, keepdims=True)
        rows = np.arange(len(labels))
        loss = (np.log(total[:, 0]) - shifted[rows, labels]).mean()
        p /= total
        p[rows, labels] -= 1
        p /= len(labels)
        return loss, p

    a, b = tg.from_numpy(x).requires_grad_(), tg.from_numpy(labels)
    calls: Calls = {OURS: with_gradient(a, lambda: F.cross_entropy(a, b)), "NumPy": numpy_step}
    if torch := import_peer("torch"):
        p, q = torch.from_numpy(x).requires_grad_(), torch.from_numpy(labels)
        torch_loss = torch.nn.functional.cross_entropy
        calls["PyTorch"] = with_gradient(p, lambda: torch_loss(p, q))
    if jax := import_peer("jax", float64=True):

        def jax_loss(u: Any, v: Any) -> Any:
            picked = jax.numpy.take_along_axis(jax.nn.log_softmax(u), v[:, None], 1)
            return -picked.mean()

        compiled = jax.jit(jax.value_and_grad(jax_loss))
        u, v = jax.numpy.asarray(x), jax.numpy.asarray(labels)
        calls["JAX"] = lambda: jax.block_until_ready(compiled(u, v))
    return calls


def batch_norm(shape: tuple[int, int]) -> Calls:
    """Return the calls of a layer in training mode, forward and backward.

    Forward updates the running statistics; backward makes the gradients of input, weight and bias.
    """
    x, g = normal(*shape), normal(*shape)
    layer, a, b = nn.BatchNorm1d(shape[1]), tg.from_numpy(x).requires_grad_(), tg.from_numpy(g)
    calls: Calls = {OURS: with_gradient(a, lambda: layer(a), b)}
    weight, bias = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)

    def numpy_step() -> object:
        mean, variance = x.mean(0), x.var(0)
        r = 1 / np.sqrt(variance + 1e-5)
        h = (x - mean) * r
        out = h * weight + bias
        g_bias, g_weight = g.sum(0), (g * h).sum(0)
        return out, weight * r * (g - (g_bias + h * g_weight) / len(x)), g_weight, g_bias

    calls["NumPy"] = numpy_step
    if torch := import_peer("torch"):
        norm = torch.nn.BatchNorm1d(shape[1])
        p, q = torch.from_numpy(x).requires_grad_(), torch.from_numpy(g)
        calls["PyTorch"] = with_gradient(p, lambda: norm(p), q)
    return calls


def with_gradient(x: Any, forward: Callable[[], Any], *cotangent: Any) -> Callable[[], object]:
    """Return a call of forward and backward that allocates the gradient of ``x`` each time."""

    def call() -> object:
        x.grad = None
        out = forward()
        out.backward(*cotangent)
        return out

    return call


def adam() -> Calls:
    """Return the calls of an update of 10 million parameters; PyTorch's Adam is the fused one."""
    size = 10_000_000
    p, g = normal(size), normal(size)
    moments = np.zeros_like(p), np.zeros_like(p)
    parameter = nn.Parameter(tg.from_numpy(p))
    parameter.grad = tg.from_numpy(g)
    calls: Calls = {OURS: optim.Adam([parameter]).step}

    def numpy_step() -> None:
        m, v = moments
        m *= 0.9
        m += 0.1 * g
        v *= 0.999
        v += 0.001 * g * g
        p[:] -= 1e-3 * m / (np.sqrt(v) + 1e-8)

    calls["NumPy"] = numpy_step
    if torch := import_peer("torch"):
        q = torch.nn.Parameter(torch.from_numpy(p.copy()))
        q.grad = torch.from_numpy(g)
        calls["PyTorch"] = torch.optim.Adam([q], fused=True).step
    return calls


def reduction(name: str, axis: int | None) -> Calls:
    """Return the calls of a reduction of a matrix: of all elements, or along an axis."""
    x = normal(4096, 4096)
    a, numpy_function = tg.from_numpy(x), getattr(np, name)
    calls: Calls = {OURS: lambda: getattr(a, name)(axis), "NumPy": lambda: numpy_function(x, axis)}
    if torch := import_peer("torch"):
        p, torch_function = torch.from_numpy(x), getattr(torch, name)
        dim = () if axis is None else axis
        calls["PyTorch"] = lambda: torch_function(p, dim)
    return calls


def dropout() -> Calls:
    """Return the calls of dropout at rate 0.5, the drawing of its random numbers included."""
    x = normal(4096, 4096)
    a, random = tg.from_numpy(x), np.random.default_rng(0).random

    def numpy_step() -> object:
        return np.where(random(x.shape, dtype=np.float32) < 0.5, 0, x * 2)

    calls: Calls = {OURS: lambda: F.dropout(a, 0.5), "NumPy": numpy_step}
    if torch := import_peer("torch"):
        p = torch.from_numpy(x)
        calls["PyTorch"] = lambda: torch.nn.functional.dropout(p, 0.5)
    return calls


if __name__ == "__main__":
    main(__doc__ or "", cases)
