"""tinygrad_mlp: automatic differentiation and multilayer perceptrons on Numba kernels.

>>> import tinygrad_mlp as tg
>>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from __future__ import annotations

from . import autograd, nn, optim, study
from ._tensor import Tensor
from .autograd.backward import grad
from .autograd.dtypes import get_default_dtype, promote_types, set_default_dtype
from .autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .compiler import CaptureError, compile
from .kernels.runtime.layout import BOOL, FLOAT32, FLOAT64, INT32, INT64, UINT8
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
    sort,
    t,
    topk,
    tril,
    triu,
)
from .ops.elementwise.activation import relu
from .ops.elementwise.arithmetic import (
    abs,
    add,
    ceil,
    clamp,
    clone,
    div,
    eq,
    floor,
    floor_divide,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    reciprocal,
    remainder,
    round,
    sign,
    square,
    sub,
    trunc,
    where,
)
from .ops.elementwise.arithmetic import power as pow
from .ops.elementwise.transcendental import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    erf,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    log10,
    rsqrt,
    sigmoid,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)
from .ops.fused.matmul import matmul
from .ops.fused.softmax import log_softmax, logsumexp, softmax
from .ops.random import get_rng_state, manual_seed, rand, randint, randn, randperm, set_rng_state
from .ops.reduce import all, amax, amin, any, argmax, argmin, mean, prod, std, sum, var
from .ops.shape.index import argsort, chunk, gather, index_select, max, min, nonzero, split, unbind
from .ops.shape.join import cat, stack
from .ops.shape.view import expand, flatten, permute, reshape, squeeze, transpose, unsqueeze
from .serialization import load, save
from .study.gradcheck import gradcheck
from .train import History, evaluate, fit
from .version import __version__

bool, uint8, int32, int64 = BOOL, UINT8, INT32, INT64
float32, float64 = FLOAT32, FLOAT64
