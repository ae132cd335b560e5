"""tinygrad_mlp: automatic differentiation and multilayer perceptrons on Numba kernels.

>>> import tinygrad_mlp as tg
>>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

Read the package in this order:

0. ``study/textbook.py``: the whole of reverse mode on NumPy arrays, in one page.
1. ``autograd/``: reverse mode. ``_tensor.py``: `Tensor`; ``_repr.py`` and ``serialization.py``.
2. ``ops/``: one declaration per op. ``kernels/``: the machine code that ops run.
3. ``compiler/``: `compile`, a training step as a native program.
4. ``nn/``, ``optim/``, ``data/``, ``train/``: networks, optimizers, datasets, and `fit`.
5. ``study/``: tools that explain and check. ``runs/``, ``cli/``: commands. ``_common/``: helpers.
"""

from ._common import startup as _startup

# isort: split
from collections.abc import Callable as _Callable

from . import autograd, data, nn, optim, study, train
from ._tensor import Tensor
from .autograd import enable_grad, grad, no_grad, set_grad_enabled
from .autograd.dtypes import get_default_dtype, promote_types, set_default_dtype
from .autograd.modes import is_grad_enabled
from .autograd.op import REGISTRY as _REGISTRY
from .compiler import CaptureError, compile
from .kernels.runtime import layout as _layout
from .kernels.runtime.threads import get_num_threads, set_num_threads
from .ops.create import (
    arange,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand_like,
    randint_like,
    randn_like,
    tensor,
    zeros,
    zeros_like,
)
from .ops.derived import (
    allclose,
    dot,
    equal,
    expand_as,
    flip,
    masked_fill,
    mm,
    movedim,
    narrow,
    norm,
    outer,
    repeat,
    t,
    tril,
    triu,
)
from .ops.elementwise.arithmetic import clamp
from .ops.elementwise.arithmetic import power as pow
from .ops.fused.matmul import matmul
from .ops.fused.softmax import log_softmax, logsumexp, softmax
from .ops.random import get_rng_state, manual_seed, rand, randint, randn, randperm, set_rng_state
from .ops.reduce import all, amax, amin, any, argmax, argmin, mean, prod, std, sum, var
from .ops.shape.join import cat, stack
from .ops.shape.select import (
    argsort,
    chunk,
    gather,
    index_select,
    max,
    min,
    nonzero,
    sort,
    split,
    topk,
    unbind,
)
from .ops.shape.view import expand, flatten, permute, reshape, squeeze, transpose, unsqueeze
from .serialization import load, save
from .study.gradcheck import gradcheck
from .train import History, evaluate, fit
from .version import __version__

bool, uint8, int32, int64 = _layout.BOOL, _layout.UINT8, _layout.INT32, _layout.INT64
float32, float64 = _layout.FLOAT32, _layout.FLOAT64
autograd.gradcheck = gradcheck

# The functions of elementwise ops (exp, add, ...) come from the registry, by `__getattr__`.
__all__ = [
    "CaptureError", "History", "Tensor", "__version__", "all", "allclose", "amax", "amin", "any",
    "arange", "argmax", "argmin", "argsort", "autograd", "bool", "cat", "chunk", "clamp",
    "compile", "data", "dot", "empty", "empty_like", "enable_grad", "equal", "evaluate", "expand",
    "expand_as", "eye", "fit", "flatten", "flip", "float32", "float64", "from_numpy", "full",
    "full_like", "gather", "get_default_dtype", "get_num_threads", "get_rng_state", "grad",
    "gradcheck", "index_select", "int32", "int64", "is_grad_enabled", "linspace", "load",
    "log_softmax", "logsumexp", "manual_seed", "masked_fill", "matmul", "max", "mean", "min", "mm",
    "movedim", "narrow", "nn", "no_grad", "nonzero", "norm", "ones", "ones_like", "optim", "outer",
    "permute", "pow", "prod", "promote_types", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "randperm", "repeat", "reshape", "save", "set_default_dtype",
    "set_grad_enabled", "set_num_threads", "set_rng_state", "softmax", "sort", "split", "squeeze",
    "stack", "std", "study", "sum", "t", "tensor", "topk", "train", "transpose", "tril", "triu",
    "uint8", "unbind", "unsqueeze", "var", "zeros", "zeros_like",
]  # fmt: skip
__all__ += [name for name, op in _REGISTRY.items() if op.public]


def __getattr__(name: str) -> _Callable[..., Tensor]:
    op = _REGISTRY.get(name)
    if op is None or not op.public:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = op
    return op


def __dir__() -> list[str]:
    return sorted(__all__)
