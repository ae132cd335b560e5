"""Values and gradients at NaN, at infinity, at zeros and at kinks: the same as PyTorch's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F

pytestmark = pytest.mark.parity

INF, NAN = math.inf, math.nan
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 6.0, 1e-30, 200.0]
PAIRS = np.array(list(itertools.product([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.5], repeat=2))).T


def named(owner, *names):
    """Functions of both packages that have the same name: of the package, of nn, or methods."""

    def call(name):
        return {
            "m": lambda m, f, *x: getattr(m, name)(*x),
            "f": lambda m, f, *x: getattr(f, name)(*x),
            "x": lambda m, f, x: getattr(x, name)(1),
        }[owner]

    return {name: call(name) for name in names}


# name -> the same for both, with `m` the package and `f` its nn.functional
UNARY = {
    **named("m", "abs", "sign", "square", "reciprocal", "neg", "floor", "ceil", "round", "trunc"),
    **named("m", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "erf"),
    **named("m", "sin", "cos", "tan", "asin", "acos", "atan", "sigmoid", "tanh"),
    **named("m", "sinh", "cosh", "asinh", "acosh", "atanh"),
    **named("f", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"),
    "leaky_relu 0.2": lambda m, f, x: f.leaky_relu(x, 0.2),
    "elu 0.7": lambda m, f, x: f.elu(x, 0.7),
    "gelu tanh": lambda m, f, x: f.gelu(x, approximate="tanh"),
    "softplus 2": lambda m, f, x: f.softplus(x, 2, 6),
    "clamp": lambda m, f, x: x.clamp(-0.5, 1.0),
    "clamp min": lambda m, f, x: x.clamp(min=0.0),
    "clamp max": lambda m, f, x: x.clamp(max=1.0),
    "pow 0": lambda m, f, x: x**0,
    "pow 1": lambda m, f, x: x**1,
    "pow 2": lambda m, f, x: x**2,
    "pow 3": lambda m, f, x: x**3,
    "pow -1": lambda m, f, x: x**-1,
    "pow 0.5": lambda m, f, x: x**0.5,
    "0 pow": lambda m, f, x: 0.0**x,
    "2 pow": lambda m, f, x: 2.0**x,
    "remainder": lambda m, f, x: x % 2.0,
    "maximum": lambda m, f, x: m.maximum(x, m.tensor(0.0, dtype=x.dtype)),
}
BINARY = {
    **named("m", "add", "sub", "mul", "div", "maximum", "minimum", "pow", "atan2", "remainder"),
    "clamp min": lambda m, f, x, y: x.clamp(min=y),
    "clamp max": lambda m, f, x, y: x.clamp(max=y),
    "where": lambda m, f, x, y: m.where(x > y, x, y),
    "huber": lambda m, f, x, y: f.huber_loss(x, y, reduction="none"),
    "mse": lambda m, f, x, y: f.mse_loss(x, y, reduction="none"),
    "l1": lambda m, f, x, y: f.l1_loss(x, y, reduction="none"),
    "bce logits": lambda m, f, x, y: f.binary_cross_entropy_with_logits(
        x, m.sigmoid(y), reduction="none"
    ),
}
ROWS = np.array(
    [
        [1.0, 3.0, 2.0],
        [3.0, 3.0, 1.0],
        [NAN, 1.0, 2.0],
        [NAN, NAN, 2.0],
        [INF, 1.0, INF],
        [-INF, -INF, -INF],
        [0.0, 0.0, 0.0],
        [0.0, 2.0, 3.0],
        [INF, 0.0, 1.0],
    ]
)
FOLDS = {
    **named("x", "sum", "mean", "prod", "amax", "amin", "logsumexp", "softmax", "log_softmax"),
    "max": lambda m, f, x: x.max(1)[0],
    "min": lambda m, f, x: x.min(1)[0],
    "max of all": lambda m, f, x: x[:2].max(),
    "var": lambda m, f, x: x[:4].var(1),
    "std": lambda m, f, x: x[:4].std(1),
    "norm": lambda m, f, x: x.norm(dim=1),
    "norm 1": lambda m, f, x: x[4:].norm(p=1, dim=1),
}
CASES = [
    *((name, function, [np.array(SPECIAL)]) for name, function in UNARY.items()),
    *((name, function, list(PAIRS)) for name, function in BINARY.items()),
    *((f"{name} of rows", function, [ROWS]) for name, function in FOLDS.items()),
]

# Where the two differ on purpose, as the ops' docstrings say: a result ("out") or the gradient by
# an input ("x", "y"), and the inputs at which it differs.
DIFFERENT = {
    ("sign", "out"): np.isnan,  # NaN, as in NumPy; PyTorch has 0
    ("gelu", "out"): lambda x: x == INF,  # inf; the float32 kernel of PyTorch has NaN
    ("abs", "x"): np.isnan,
    ("l1", "x"): lambda x, y: np.isnan(x - y),
    ("l1", "y"): lambda x, y: np.isnan(x - y),
    ("pow 0.5", "out"): lambda x: x == -INF,  # a power, as in C; PyTorch takes the square root
    ("pow 0.5", "x"): lambda x: (x == -INF) | (x == 0),
}


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def outcome(module, functional, function, arrays, dtype):
    """The result of a function and its gradients by all inputs."""
    inputs = [module.tensor(a, dtype=getattr(module, dtype), requires_grad=True) for a in arrays]
    out = function(module, functional, *inputs)
    out.backward(module.ones_like(out))
    none = [np.zeros(a.shape) for a in arrays]
    gradients = [n if x.grad is None else x.grad.numpy() for x, n in zip(inputs, none, strict=True)]
    return dict(zip(("out", "x", "y"), [out.detach().numpy(), *gradients], strict=False))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "function", "arrays"), CASES, ids=[case[0] for case in CASES])
def test_special_values(torch, name, function, arrays, dtype):
    with np.errstate(all="ignore"):
        ours = outcome(tg, F, function, arrays, dtype)
        theirs = outcome(torch, torch.nn.functional, function, arrays, dtype)
        for which, found in ours.items():
            same = np.ones(found.shape, bool)
            if (name, which) in DIFFERENT:
                same = ~DIFFERENT[name, which](*arrays)
            rtol = 1e-12 if dtype == "float64" else 2e-4  # of PyTorch's gelu at -3
            np.testing.assert_allclose(
                found[same], theirs[which][same], rtol, 1e-7, err_msg=f"{name}: {which}"
            )
