"""Compiling all kernels before they are wanted.

A kernel is compiled when an op first meets a signature, so this meets them: it applies every op of
the registry, and every layer, loss and optimizer, forward and backward, to small tensors that lie
in the usual ways. Elementwise ops, layers and losses are found where they are registered and need
no line here; a test sees that nothing else is left out, and that training then compiles nothing.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import numpy as np

from .. import nn, optim
from .._tensor import Tensor
from ..autograd.op import REGISTRY
from ..data import digits
from ..kernels import gemm
from ..kernels.gemm import source
from ..kernels.runtime import cache, threads
from ..kernels.runtime.cpu_count import available
from ..kernels.runtime.launch import Launch
from ..nn.loss import Loss
from ..ops import create, random, reduce
from ..ops.elementwise.arithmetic import CONVERSIONS
from ..ops.elementwise.declare import Elementwise
from ..ops.fused import softmax
from ..ops.shape import index, join
from ..ops.shape.view import contiguous
from ..runs.build import OPTIMIZERS
from ..runs.config import Settings
from ..train.fit import evaluate, fit
from ..train.objective import Penalty

Task = Callable[[], object]
ROWS, COLUMNS, CLASSES = 6, 5, 4  # of the small tensors
MOST_OPERANDS = 12  # that an op's kernel has
ACTIVATIONS = ("ReLU", "Tanh", "Sigmoid", "GELU", "SiLU")  # whose chains with their neighbours too

# What the constructors of layers and optimizers want, where that is anything.
LAYERS: dict[str, tuple[Any, ...]] = {
    "Linear": (COLUMNS, CLASSES),
    "DropConnect": (COLUMNS, CLASSES),
    "BatchNorm1d": (COLUMNS,),
    "LayerNorm": (COLUMNS,),
    "Softmax": (1,),
    "LogSoftmax": (1,),
}
UPDATES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.9, "dampening": 0.1}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.9}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True}),
]


def warmup(
    dtypes: Iterable[str] = ("float32",),
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Compile what `tasks` meet, in as many processes as there are processors.

    ``progress`` is told how many tasks are done, of how many. Returns how many kernels the cache
    folder holds then. Raises OSError if there is no folder that outlasts the process.
    """
    if not cache.is_persistent():
        raise OSError("no folder for kernels can be written: name one by TINYGRAD_MLP_CACHE")
    todo = [(name, dtype) for dtype in dtypes for name in tasks(dtype)]
    processes = min(available(), len(todo))
    context = get_context("spawn")  # a fork would take this process's threads and locks along
    with ProcessPoolExecutor(processes, context, initializer=cache.silence) as pool:
        results = [pool.submit(run, *each) for each in todo]
        for done, result in enumerate(as_completed(results), 1):
            result.result()
            progress(done, len(todo))
    return cache.count()


@contextlib.contextmanager
def ahead(settings: Settings) -> Iterator[subprocess.Popen[bytes] | None]:
    """While the block trains, compile in another process what takes longest for a classifier.

    Only where no kernel has been compiled yet, and there is a processor for it. Both processes
    take turns at a kernel, so that neither compiles what the other does. The other is ended with
    the block; should this process be killed, it ends by itself, within seconds.
    """
    if not (cache.is_empty() and cache.is_persistent() and available() > 1 and sys.executable):
        yield None
        return
    optimizer = OPTIMIZERS[settings.optimizer].__name__
    code = f"from {__name__} import compile_longest; compile_longest({optimizer!r})"
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as other:
        try:
            yield other
        finally:
            other.kill()


def compile_longest(optimizer: str, dtype: str = "float32") -> None:
    """The kernels of a classifier's training that take longest, or are wanted late, as wanted."""
    for form in ("outer", "tiles"):
        source.address(form, dtype)
    x, labels = matrix(dtype), create.tensor(np.arange(ROWS) % COLUMNS)
    nn.CrossEntropyLoss()(x, labels).backward()
    parameter = nn.Parameter(matrix(dtype, grad=False))
    backward(parameter.sum(0))
    getattr(optim, optimizer)([parameter], lr=1e-3).step()
    evaluate(nn.Linear(COLUMNS, COLUMNS).to(dtype), (x.detach(), labels))
    softmax.softmax(x.detach(), 1)


def run(name: str, dtype: str) -> None:
    """Do one task."""
    with np.errstate(all="ignore"):
        tasks(dtype)[name]()


@functools.cache
def tasks(dtype: str) -> dict[str, Task]:
    """Everything to be met, by name, what takes longest first."""
    found: dict[str, Task] = {
        "training": functools.partial(training, dtype),
        "values": functools.partial(values, dtype),
        "shapes and indices": functools.partial(shapes_and_indices, dtype),
        "draws": functools.partial(draws, dtype),
        "integers": integers,
    }
    for form in source.KERNELS:
        found[f"product {form}"] = functools.partial(products, form, dtype)
    for operands in range(MOST_OPERANDS + 1):
        found[f"dispatch on {operands} operands"] = functools.partial(dispatch, operands)
    for name in ("sum", "mean", "prod", "amax", "amin", "max"):
        found[f"reduction {name}"] = functools.partial(reduction, name, dtype)
    for name in nn.__all__:
        kind = getattr(nn, name)
        if not isinstance(kind, type) or not issubclass(kind, nn.Module):
            continue
        if issubclass(kind, Loss):
            found[f"loss {name}"] = functools.partial(loss, kind, dtype)
        elif kind.forward is not nn.Module.forward:  # no mere container
            found[f"layer {name}"] = functools.partial(layer, kind, dtype)
    for name in ACTIVATIONS:
        found[f"chains of {name}"] = functools.partial(chains, name, dtype)
    for name, options in UPDATES:
        found[" ".join([name, *options])] = functools.partial(update, name, options, dtype)
    for name, op in REGISTRY.items():
        if isinstance(op, Elementwise):
            found[f"op {name}"] = functools.partial(elementwise, op, dtype)
    return found


def backward(out: Tensor) -> None:
    """Gradients from one that lies in C order, as an op in the middle of a network gets it."""
    if out.requires_grad:
        out.backward(create.ones_like(out))


def matrix(dtype: Any, *shape: int, grad: bool = True) -> Tensor:
    """Numbers between 0 and 1, for which most functions are defined."""
    values = np.random.default_rng(0).uniform(0.1, 0.9, shape or (ROWS, COLUMNS))
    x: Tensor = create.tensor(values.astype(dtype))
    return x.requires_grad_() if grad else x


# --- elementwise ops: every one in the registry ------------------------------------------------


def elementwise(op: Elementwise, dtype: str) -> None:
    """On tensors of one shape, and with numbers in place of some of them."""
    kind = "int64" if op.kind == "integer" else dtype
    for numbers in places_of_numbers(op):
        inputs: list[Any] = []
        for place, name in enumerate(op.inputs):
            if name in op.masks:
                inputs.append(matrix(dtype, grad=False) > 0.5)
            elif place in numbers:
                inputs.append(1)
            else:
                floating = place in op.rules and kind == dtype
                inputs.append(matrix(kind, grad=floating and not op.in_place))
        backward(op(*inputs))


def places_of_numbers(op: Elementwise) -> list[tuple[int, ...]]:
    """Which inputs are numbers: none, or the last few (slopes, bounds); of two also the first."""
    count = len(op.inputs)
    if count > 3:
        return [(count - 1,)]
    if op.kind == "integer":
        return [()]
    last = [tuple(range(first, count)) for first in range(count, 0, -1)]
    return [*last, (0,)] if count == 2 and not op.in_place else last


def integers() -> None:
    """Labels and counts."""
    x = matrix("int64", grad=False)
    for name in ("add", "sub", "mul", "eq", "ne", "lt", "le", "gt", "ge", "where"):
        op = REGISTRY[name]
        op(*([x > 0] if name == "where" else []), x, x)
        op(*([x > 0] if name == "where" else []), x, 1)
    for values in (x, x > 0):
        for kind in ("bool", "int64", "float32", "float64"):
            CONVERSIONS[np.dtype(kind)](values)
        for fold in (reduce.sum, reduce.any, reduce.all):
            fold(values)


def dispatch(operands: int) -> None:
    """What calls a kernel on so many operands, alone or on all threads."""
    Launch(0, operands, [0], 0)
    threads.compile_dispatch()


# --- all others -----------------------------------------------------------------------------


def reduction(name: str, dtype: str) -> None:
    """Along rows, across them, and over all."""
    for dim in (None, 0, 1):
        x = matrix(dtype)
        out = getattr(x, name)(*(() if dim is None else (dim,)))
        backward(out if isinstance(out, Tensor) else out[0])


def products(form: str, dtype: str) -> None:
    """One kernel of the matrix product, and the ways in which it is entered."""
    source.address(form, dtype)
    a, b = matrix(dtype), matrix(dtype, COLUMNS, CLASSES)
    backward(a @ b)
    backward(matrix(dtype, 2, ROWS, COLUMNS) @ matrix(dtype, 2, COLUMNS, CLASSES))
    matrix(dtype, 4, 512, grad=False) @ matrix(dtype, 512, 4, grad=False)  # a long sum, in chunks
    gemm.product(a.detach().numpy(), b.detach().numpy())


def shapes_and_indices(dtype: str) -> None:
    """Copies of what lies otherwise, joins, and indices."""
    x, labels = matrix(dtype), create.tensor(np.arange(ROWS) % COLUMNS)
    backward(contiguous(x.T))
    backward(join.cat([x, x]))
    backward(join.stack([x, x]))
    backward(x[labels])
    backward(x[1:, 2])
    backward(index.gather(x, 1, labels.reshape(ROWS, 1)))
    backward(x[x > 0.5])
    backward(softmax.logsumexp(x, 1))
    written = x.clone()
    written[1:].mul_(2)  # through a view, which the tape then knows as a region
    backward(written)
    target = x.detach().clone()
    target[0], target[labels] = 1.0, 2.0
    for fold in (reduce.argmax, reduce.argmin):
        fold(x, 1)
    reduce.var(x)
    index.argsort(x)
    create.arange(ROWS)
    create.eye(COLUMNS)


def draws(dtype: str) -> None:
    """Random numbers of each kind, from a state of our own: the global one stays as it is."""
    saved = random.get_rng_state()
    random.rand(ROWS, dtype=dtype)
    random.randn(ROWS, dtype=dtype)
    random.randint(0, COLUMNS, (ROWS,))
    random.randperm(ROWS)
    random.dropout_mask((ROWS,), 0.5)
    random.set_rng_state(saved)


def layer(kind: type[nn.Module], dtype: str) -> None:
    """In training and in evaluation."""
    module = kind(*LAYERS.get(kind.__name__, ())).to(dtype)
    for mode in (True, False):
        module.train(mode)
        backward(module(matrix(dtype)))


def loss(kind: type[Loss], dtype: str) -> None:
    """With each reduction; of labels, or of targets like the inputs."""
    for reduction in ("mean", "sum", "none"):
        x = matrix(dtype)
        target: Tensor = matrix(dtype, grad=False)
        if kind in (nn.CrossEntropyLoss, nn.NLLLoss):
            target = create.tensor(np.arange(ROWS) % COLUMNS)
        out = kind(reduction=reduction)(x, target)
        out.backward() if reduction != "none" else backward(out)


def update(name: str, options: dict[str, Any], dtype: str) -> None:
    """Two steps: the second finds its state there. Norms are clipped as well."""
    parameter = nn.Parameter(matrix(dtype, grad=False))
    optimizer = getattr(optim, name)([parameter], lr=1e-3, **options)
    for _ in range(2):
        optimizer.zero_grad()
        backward(parameter * 2)
        nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()


def chains(activation: str, dtype: str) -> None:
    """Whole epochs, in which an activation becomes one with the layers beside it."""
    x = matrix(dtype, 4 * ROWS, COLUMNS, grad=False).numpy()
    pair = (x, np.arange(4 * ROWS) % CLASSES)
    saved = random.get_rng_state()
    for norm, dropout in ((0, 0), (0, 1), (1, 0), (1, 1)):
        middle = [getattr(nn, activation)(), *[nn.Dropout(0.5)] * dropout]
        middle = [*[nn.BatchNorm1d(COLUMNS)] * norm, *middle]
        model = nn.Sequential(nn.Linear(COLUMNS, COLUMNS), *middle, nn.Linear(COLUMNS, CLASSES))
        model.to(dtype)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        fit(model, optimizer, pair, validation=pair, epochs=3, batch_size=ROWS, progress=False)
    random.set_rng_state(saved)


def training(dtype: str) -> None:
    """A little of what `fit` does with data, model and schedule."""
    x, y = digits()
    saved = random.get_rng_state()
    model = nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 10)
    ).to(dtype)
    pair = (x[:100], y[:100])
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    fit(
        model,
        optimizer,
        pair,
        validation=pair,
        epochs=2,
        batch_size=32,
        scheduler=schedule,
        progress=False,
    )
    evaluate(model, pair)
    random.set_rng_state(saved)


def values(dtype: str) -> None:
    """What `fit` does with values in place of labels, with penalties and a limit to gradients.

    The sum of the penalties is a chain as long as the network is deep: that of two layers is met.
    """
    x = matrix(dtype, 4 * ROWS, COLUMNS, grad=False).numpy()
    pair = (x, x[:, :1])
    saved = random.get_rng_state()
    for rates in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (0.1, 0.1)):
        model = nn.Sequential(nn.Linear(COLUMNS, COLUMNS), nn.ReLU(), nn.Linear(COLUMNS, 1))
        model.to(dtype)
        penalty = Penalty(model, l1=rates[0], l2=rates[1])
        optimizer = optim.AdamW(model.parameters(), lr=0.1)
        fit(
            model,
            optimizer,
            pair,
            validation=pair,
            epochs=3,
            batch_size=ROWS,
            metrics=("r2",),
            penalty=penalty if any(rates) else None,
            clip_grad=None if any(rates) else 1.0,
            progress=False,
        )
        evaluate(model, pair, metrics=("r2", "mse"))
    random.set_rng_state(saved)
