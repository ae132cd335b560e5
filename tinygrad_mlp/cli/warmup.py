"""Compile kernels before they are needed.

A kernel is compiled when an op first sees a signature. The tasks below therefore apply every op of
the registry and every layer, loss and optimizer, forward and backward, to small tensors in the
usual layouts. Elementwise ops, layers and losses are found in their registries and need no line
here. A test checks that no other op is missing, and that training then compiles nothing.
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
from ..ops.shape import join, select
from ..ops.shape.view import contiguous
from ..runs.build import OPTIMIZERS
from ..runs.config import Settings
from ..train.fit import evaluate, fit
from ..train.objective import Penalty

Task = Callable[[], object]
ROWS, COLUMNS, CLASSES = 6, 5, 4  # sizes of the small tensors
MAX_OPERANDS = 12  # of the kernel of an op
FUSED_ACTIVATIONS = ("ReLU", "Tanh", "Sigmoid", "GELU", "SiLU")  # compiled with their neighbours

# Arguments of the constructors of layers, where there are any.
LAYERS: dict[str, tuple[int, ...]] = {
    "Linear": (COLUMNS, CLASSES),
    "DropConnect": (COLUMNS, CLASSES),
    "BatchNorm1d": (COLUMNS,),
    "LayerNorm": (COLUMNS,),
    "Softmax": (1,),
    "LogSoftmax": (1,),
}
# Options of each optimizer that need kernels of their own.
MOMENTUM, CENTERED, AMSGRAD = {"momentum": 0.9}, {"centered": True}, {"amsgrad": True}
UPDATES: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, MOMENTUM, MOMENTUM | {"nesterov": True}, MOMENTUM | {"dampening": 0.1}],
    "Adagrad": [{}],
    "Adadelta": [{}],
    "RMSprop": [{}, MOMENTUM, CENTERED, MOMENTUM | CENTERED],
    "Adam": [{}, AMSGRAD],
    "AdamW": [{}, AMSGRAD],
}


def compile_all(
    dtypes: Iterable[str] = ("float32",),
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Run all :func:`tasks`, in as many processes as there are processors.

    Args:
        dtypes: dtypes to compile for.
        progress: called with the number of finished tasks and of all tasks.

    Returns:
        The number of kernels in the cache folder.

    Raises:
        OSError: no cache folder can be written.
    """
    if not cache.is_persistent():
        raise OSError("no folder for kernels can be written: name one by TINYGRAD_MLP_CACHE")
    todo = [(name, dtype) for dtype in dtypes for name in tasks(dtype)]
    processes = min(available(), len(todo))
    context = get_context("spawn")  # fork would copy the threads and locks of this process
    with ProcessPoolExecutor(processes, context, initializer=cache.silence) as pool:
        futures = [pool.submit(run, *each) for each in todo]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            progress(done, len(todo))
    return cache.count()


@contextlib.contextmanager
def precompile_in_background(settings: Settings) -> Iterator[subprocess.Popen[bytes] | None]:
    """Run :func:`compile_slowest` in another process during the block.

    It does so only if no kernel has been compiled yet and there are two processors or more. A file
    lock per kernel keeps the processes from compiling the same kernel twice. The other process is
    killed at the end of the block; if this process is killed, it ends within seconds.
    """
    if not (cache.is_empty() and cache.is_persistent() and available() > 1 and sys.executable):
        yield None
        return
    optimizer = OPTIMIZERS[settings.optimizer].__name__
    code = f"from {__name__} import compile_slowest; compile_slowest({optimizer!r})"
    null = subprocess.DEVNULL
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=null, stdout=null, stderr=null) as process:
        try:
            yield process
        finally:
            process.kill()


def compile_slowest(optimizer: str, dtype: str = "float32") -> None:
    """Compile the kernels of a classifier that take longest or are needed late, in that order."""
    for form in ("outer", "tiles"):
        source.address(form, dtype)
    x = matrix(dtype)
    nn.CrossEntropyLoss()(x, row_labels(COLUMNS)).backward()
    parameter = nn.Parameter(matrix(dtype, grad=False))
    backward(parameter.sum(0))
    getattr(optim, optimizer)([parameter], lr=1e-3).step()
    evaluate(nn.Linear(COLUMNS, COLUMNS).to(dtype), (x.detach(), row_labels(COLUMNS)))
    softmax.softmax(x.detach(), 1)


def run(name: str, dtype: str) -> None:
    """Run one task. The random state afterwards is that before."""
    state = random.get_rng_state()
    with np.errstate(all="ignore"):
        tasks(dtype)[name]()
    random.set_rng_state(state)


@functools.cache
def tasks(dtype: str) -> dict[str, Task]:
    """Return all tasks by name, the longest first."""
    found: dict[str, Task] = {}

    def add(name: str, function: Callable[..., object], *args: Any) -> None:
        found[name] = functools.partial(function, *args, dtype)

    add("training", classifier)
    add("values", regression)
    add("shapes and indices", shapes_and_indices)
    add("draws", draws)
    found["integers"] = integers
    for form in source.KERNELS:
        add(f"product {form}", products, form)
    for operands in range(MAX_OPERANDS + 1):
        found[f"dispatch on {operands} operands"] = functools.partial(dispatch, operands)
    for name in ("sum", "mean", "prod", "amax", "amin", "max"):
        add(f"reduction {name}", reduction, name)
    add("ensembles", ensembles)
    for name in nn.__all__:
        module = getattr(nn, name)
        if module in (nn.Ensemble, nn.EnsembleLoss):  # with the networks that they hold, above
            continue
        if not isinstance(module, type) or not issubclass(module, nn.Module):
            continue
        if issubclass(module, Loss):
            add(f"loss {name}", loss, module)
        elif module.forward is not nn.Module.forward:  # not a mere container
            add(f"layer {name}", layer, module)
    for name in FUSED_ACTIVATIONS:
        add(f"chains of {name}", chains, name)
    for name, variants in UPDATES.items():
        for options in variants:
            add(" ".join([name, *options]), update, name, options)
    for name, op in REGISTRY.items():
        if isinstance(op, Elementwise):
            add(f"op {name}", elementwise, op)
    return found


def backward(out: Tensor) -> None:
    """Backpropagate a contiguous gradient, as an op inside a network receives it."""
    if out.requires_grad:
        out.backward(create.ones_like(out))


def matrix(dtype: Any, *shape: int, grad: bool = True) -> Tensor:
    """Return numbers between 0 and 1, where most functions are defined."""
    values = np.random.default_rng(0).uniform(0.1, 0.9, shape or (ROWS, COLUMNS))
    x: Tensor = create.tensor(values.astype(dtype))
    return x.requires_grad_() if grad else x


def row_labels(classes: int, rows: int = ROWS) -> Tensor:
    """Return int64 labels (rows,)."""
    labels: Tensor = create.tensor(np.arange(rows) % classes)
    return labels


# --- elementwise ops: every one in the registry ------------------------------------------------


def elementwise(op: Elementwise, dtype: str) -> None:
    """Apply ``op`` to tensors of one shape, and with Python numbers for some of them."""
    dtype_of_op = "int64" if op.dtype_rule == "integer" else dtype
    for numbers in number_positions(op):
        inputs: list[Any] = []
        for position, name in enumerate(op.inputs):
            if name in op.masks:
                inputs.append(matrix(dtype, grad=False) > 0.5)
            elif position in numbers:
                inputs.append(1)
            else:
                floating = position in op.rules and dtype_of_op == dtype
                inputs.append(matrix(dtype_of_op, grad=floating and not op.in_place))
        backward(op(*inputs))


def number_positions(op: Elementwise) -> list[tuple[int, ...]]:
    """Return which inputs are numbers: none, the last few (bounds), or the first of two."""
    count = len(op.inputs)
    if count > 3:
        return [(count - 1,)]
    if op.dtype_rule == "integer":
        return [()]
    last = [tuple(range(first, count)) for first in range(count, 0, -1)]
    return [*last, (0,)] if count == 2 and not op.in_place else last


def integers() -> None:
    """Compile the kernels of labels and counts."""
    x = matrix("int64", grad=False)
    for name in ("add", "sub", "mul", "eq", "ne", "lt", "le", "gt", "ge", "where"):
        condition = [x > 0] if name == "where" else []
        for other in (x, 1):
            REGISTRY[name](*condition, x, other)
    for values in (x, x > 0):
        for target in ("bool", "int64", "float32", "float64"):
            CONVERSIONS[np.dtype(target)](values)
        for function in (reduce.sum, reduce.any, reduce.all):
            function(values)


def dispatch(operands: int) -> None:
    """Compile the functions that launch a kernel, on one thread or on all."""
    Launch(0, operands, [0], 0)
    threads.compile_dispatch()


# --- all others -----------------------------------------------------------------------------


def reduction(name: str, dtype: str) -> None:
    """Reduce all elements, columns, and rows."""
    for dim in ((), (0,), (1,)):
        out = getattr(matrix(dtype), name)(*dim)
        backward(out if isinstance(out, Tensor) else out[0])


def products(form: str, dtype: str) -> None:
    """Compile one kernel of the matrix product, and its entry points."""
    source.address(form, dtype)
    a, b = matrix(dtype), matrix(dtype, COLUMNS, CLASSES)
    backward(a @ b)
    backward(matrix(dtype, 2, ROWS, COLUMNS) @ matrix(dtype, 2, COLUMNS, CLASSES))
    matrix(dtype, 4, 512, grad=False) @ matrix(dtype, 512, 4, grad=False)  # summed in chunks
    gemm.product(a.detach().numpy(), b.detach().numpy())


def shapes_and_indices(dtype: str) -> None:
    """Copy non-contiguous tensors, join and index."""
    x, labels = matrix(dtype), row_labels(COLUMNS)
    written = x.clone()
    written[1:].mul_(2)  # through a view
    column = select.gather(x, 1, labels.reshape(ROWS, 1))
    joined = join.cat([x, x]), join.stack([x, x])
    indexed = x[labels], x[1:, 2], x[x > 0.5], column
    for out in (contiguous(x.T), *joined, *indexed, softmax.logsumexp(x, 1), written):
        backward(out)
    target = x.detach().clone()
    target[0], target[labels] = 1.0, 2.0
    for function in (reduce.argmax, reduce.argmin):
        function(x, 1)
    reduce.var(x)
    select.argsort(x)
    create.arange(ROWS)
    create.eye(COLUMNS)


def draws(dtype: str) -> None:
    """Draw random numbers of each distribution."""
    random.rand(ROWS, dtype=dtype)
    random.randn(ROWS, dtype=dtype)
    random.randint(0, COLUMNS, (ROWS,))
    random.randperm(ROWS)
    random.dropout_mask((ROWS,), 0.5)


def layer(module: type[nn.Module], dtype: str) -> None:
    """Run a layer in training and in evaluation mode."""
    built = module(*LAYERS.get(module.__name__, ())).to(dtype)
    for mode in (True, False):
        built.train(mode)
        backward(built(matrix(dtype)))


def loss(module: type[Loss], dtype: str) -> None:
    """Compute a loss with each reduction, of labels or of targets like the inputs."""
    for reduction in ("mean", "sum", "none"):
        labels = module in (nn.CrossEntropyLoss, nn.NLLLoss)
        target = row_labels(COLUMNS) if labels else matrix(dtype, grad=False)
        out = module(reduction=reduction)(matrix(dtype), target)
        out.backward() if reduction != "none" else backward(out)


def ensembles(dtype: str) -> None:
    """Train two networks in one program, with each layer that has parameters or draws."""
    x, y = matrix(dtype, 4 * ROWS, COLUMNS, grad=False), row_labels(CLASSES, 4 * ROWS)
    for middle in (nn.BatchNorm1d, nn.LayerNorm):

        def network(middle: type[nn.Module] = middle) -> nn.Module:
            layers = nn.Linear(COLUMNS, COLUMNS), middle(COLUMNS), nn.ReLU(), nn.Dropout(0.5)  # type: ignore[call-arg]
            return nn.Sequential(*layers, nn.Linear(COLUMNS, CLASSES)).to(dtype)

        model = nn.Ensemble(network, 2)
        options: dict[str, Any] = dict(validation=(x, y), epochs=3, batch_size=ROWS, progress=False)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        fit(model, optimizer, (x, y), loss=nn.EnsembleLoss(), **options)
        model.eval().mean(x)


def update(name: str, options: dict[str, Any], dtype: str) -> None:
    """Do two optimizer steps (the second finds the state of the first), and clip gradients."""
    parameter = nn.Parameter(matrix(dtype, grad=False))
    optimizer = getattr(optim, name)([parameter], lr=1e-3, **options)
    for _ in range(2):
        optimizer.zero_grad()
        backward(parameter * 2)
        nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()


def train(model: nn.Module, optimizer: optim.Optimizer, data: Any, **options: Any) -> None:
    """Fit and evaluate with little data."""
    settings = dict(validation=data, epochs=3, batch_size=ROWS, progress=False) | options
    fit(model, optimizer, data, **settings)
    evaluate(model, data)


def chains(activation: str, dtype: str) -> None:
    """Train whole epochs, in which an activation is fused with the layers next to it."""
    data = matrix(dtype, 4 * ROWS, COLUMNS, grad=False), row_labels(CLASSES, 4 * ROWS)
    for norm, dropout in ((0, 0), (0, 1), (1, 0), (1, 1)):
        middle = [getattr(nn, activation)(), *[nn.Dropout(0.5)] * dropout]
        middle = [*[nn.BatchNorm1d(COLUMNS)] * norm, *middle]
        model = nn.Sequential(nn.Linear(COLUMNS, COLUMNS), *middle, nn.Linear(COLUMNS, CLASSES))
        model.to(dtype)
        train(model, optim.SGD(model.parameters(), lr=0.1), data)


def classifier(dtype: str) -> None:
    """Train a classifier with a schedule, as the command line does."""
    x, y = digits()
    model = nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 10)
    ).to(dtype)
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    train(model, optimizer, (x[:100], y[:100]), batch_size=32, epochs=2, scheduler=schedule)


def regression(dtype: str) -> None:
    """Train a regression with penalties and with gradient clipping.

    The sum of the penalties is a fused chain as long as the network is deep; that of two layers is
    compiled here.
    """
    x = matrix(dtype, 4 * ROWS, COLUMNS, grad=False)
    data = x, x[:, :1]
    for l1, l2 in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (0.1, 0.1)):
        model = nn.Sequential(nn.Linear(COLUMNS, COLUMNS), nn.ReLU(), nn.Linear(COLUMNS, 1))
        model.to(dtype)
        optimizer = optim.AdamW(model.parameters(), lr=0.1)
        penalty = Penalty(model, l1=l1, l2=l2) if l1 or l2 else None
        clip_grad = None if penalty else 1.0
        train(model, optimizer, data, metrics=("r2",), penalty=penalty, clip_grad=clip_grad)
        evaluate(model, data, metrics=("r2", "mse"))
