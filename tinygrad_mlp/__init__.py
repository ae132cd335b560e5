"""tinygrad_mlp: automatic differentiation and multilayer perceptrons on Numba kernels.

>>> import tinygrad_mlp as tg
>>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from __future__ import annotations

from . import autograd, nn, optim, study
from .autograd import enable_grad, grad, no_grad, set_grad_enabled
from .kernels.layout import BOOL, FLOAT32, FLOAT64, INT32, INT64, UINT8
from .kernels.threads import get_num_threads, set_num_threads
from .ops.activation import relu
from .ops.arithmetic import (
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
)  # fmt: skip
from .ops.arithmetic import power as pow
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
)  # fmt: skip
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
)  # fmt: skip
from .ops.dtypes import get_default_dtype, promote_types, set_default_dtype
from .ops.index import (
    argsort,
    chunk,
    gather,
    index_select,
    max,
    min,
    nonzero,
    split,
    unbind,
)  # fmt: skip
from .ops.join import cat, stack
from .ops.matmul import matmul
from .ops.random import get_rng_state, manual_seed, rand, randint, randn, randperm, set_rng_state
from .ops.reduce import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    mean,
    prod,
    std,
    sum,
    var,
)  # fmt: skip
from .ops.softmax import log_softmax, logsumexp, softmax
from .ops.transcendental import (
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
)  # fmt: skip
from .ops.view import expand, flatten, permute, reshape, squeeze, transpose, unsqueeze
from .program import CaptureError, compile
from .serialization import load, save
from .study.gradcheck import gradcheck
from .tape import is_grad_enabled
from .tensor import Tensor
from .train import History, evaluate, fit
from .version import __version__

bool, uint8, int32, int64 = BOOL, UINT8, INT32, INT64
float32, float64 = FLOAT32, FLOAT64
