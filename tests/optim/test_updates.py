"""The update ops: each kernel equals its textbook form, in one pass and in place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.autograd.op import REGISTRY
from tinygrad_mlp.ops.fused import optimizer_update as module
from tinygrad_mlp.ops.fused.optimizer_update import Update, sgd_, sgd_momentum_

UPDATES = [op for op in REGISTRY.values() if isinstance(op, Update)]
NUMBERS = {
    "step": 3.0,
    "lr": 0.1,
    "momentum": 0.9,
    "dampening": 0.3,
    "weight_decay": 0.2,
    "lr_decay": 0.1,
    "eps": 1e-3,
    "rho": 0.9,
    "alpha": 0.95,
    "beta1": 0.9,
    "beta2": 0.99,
}
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


def variants():
    for op in UPDATES:
        for flags in itertools.product([False, True], repeat=len(op.params)):
            yield op, dict(zip(op.params, flags, strict=True))


VARIANTS = list(variants())
NAMES = [".".join([op.name, *(f for f, on in flags.items() if on)]) for op, flags in VARIANTS]


def inputs_of(op, dtype, shape=(5, 7), seed=0):
    """Tensors: state of the order of one, and above 0 where it is a mean of squares."""
    generator = np.random.default_rng(seed)
    arrays = {"parameter": generator.normal(size=shape), "gradient": generator.normal(size=shape)}
    for name in op.state:
        signed = name in ("momentum_buffer", "exp_avg", "grad_avg")
        arrays[name] = 0.4 * generator.normal(size=shape) if signed else generator.uniform(0.5, 2)
    arrays = {name: np.broadcast_to(a, shape).astype(dtype) for name, a in arrays.items()}
    cells = [tg.tensor(np.array(NUMBERS[name])) for name in op.numbers]
    return [tg.tensor(a) for a in arrays.values()], cells


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "flags"), VARIANTS, ids=NAMES)
def test_kernel_equals_textbook(op, flags, dtype):
    arrays, cells = inputs_of(op, dtype)
    expected = op.textbook(*arrays, *cells, **flags)
    gradient = arrays[1].numpy().copy()
    result = op(*arrays, *cells, **flags)
    assert result is arrays[0]
    written = [arrays[0], *arrays[2:]]
    assert len(expected) == len(written)
    for name, new, right in zip(op.written, written, expected, strict=True):
        assert new.dtype == right.dtype == dtype
        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(new.numpy(), right.numpy(), tolerance, tolerance, err_msg=name)
    assert (arrays[1].numpy() == gradient).all()
    assert [c.item() for c in cells] == [NUMBERS[name] for name in op.numbers]


@pytest.mark.parametrize(("op", "flags"), VARIANTS, ids=NAMES)
def test_float32_is_near_float64(op, flags):
    both = {}
    for dtype in ("float32", "float64"):
        arrays, cells = inputs_of(op, dtype, shape=(300,))
        op(*arrays, *cells, **flags)
        both[dtype] = [x.numpy() for x in (arrays[0], *arrays[2:])]
    for single, double in zip(both["float32"], both["float64"], strict=True):
        np.testing.assert_allclose(single, double, 3e-6, 3e-6)


@pytest.mark.parametrize("op", UPDATES, ids=lambda op: op.name)
def test_any_layout_and_size(op):
    for shape in [(), (1,), (6, 4), (1, 3, 1)]:
        arrays, cells = inputs_of(op, "float64", shape)
        expected = op.textbook(*arrays, *cells)
        strided = tg.tensor(arrays[1].numpy().T.copy()).T  # the same gradient, other strides
        op(arrays[0], strided, *arrays[2:], *cells)
        for new, right in zip((arrays[0], *arrays[2:]), expected, strict=True):
            np.testing.assert_allclose(new.numpy(), right.numpy(), 1e-14, 1e-14)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_on_any_number_of_threads(threads):
    before = tg.get_num_threads()
    op = module.adam_
    try:
        found = []
        for count in (1, threads):
            tg.set_num_threads(count)
            arrays, cells = inputs_of(op, "float32", shape=(333, 401))
            op(*arrays, *cells)
            found.append([x.numpy() for x in arrays])
    finally:
        tg.set_num_threads(before)
    for one, many in zip(*found, strict=True):
        assert (one == many).all()


def test_inputs_writes_and_formula_are_declared():
    assert sgd_momentum_.inputs == (
        "parameter",
        "gradient",
        "momentum_buffer",
        "lr",
        "momentum",
        "weight_decay",
    )
    assert [sgd_momentum_.inputs[k] for k in sgd_momentum_.mutates] == [
        "parameter",
        "momentum_buffer",
    ]
    assert "parameter = parameter - lr * (gradient + weight_decay * parameter)" in sgd_.document()


def test_versions_move():
    arrays, cells = inputs_of(sgd_momentum_, "float32")
    sgd_momentum_(*arrays, *cells)
    assert [x.storage.version for x in arrays] == [1, 0, 1]


def test_numbers_may_be_python_numbers():
    x = tg.tensor([1.0, 2.0])
    sgd_(x, tg.tensor([1.0, 1.0]), 0.5, 0)
    assert x.tolist() == [0.5, 1.5]


def test_it_is_not_differentiable():
    x, g = tg.tensor([1.0]), tg.tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="no_grad"):
        sgd_(x, g, 0.5, 0.0)
    with pytest.raises(RuntimeError, match="leaf"):
        sgd_(g, x, 0.5, 0.0)
    assert (x.item(), g.item()) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros(3), np.zeros(2), 0.1, 0.0), ValueError, r"`gradient` must have shape \(3,\)"),
        ((np.zeros(3), np.zeros(3, "float32"), 0.1, 0.0), TypeError, "`gradient` must be float64"),
        ((np.zeros(3), np.zeros(3), np.zeros(3), 0.0), ValueError, r"`lr` must have shape \(\)"),
        ((np.zeros(3, int), np.zeros(3, int), 0.1, 0.0), TypeError, "`parameter` must be floating"),
        ((np.zeros(3), np.zeros(3), 0.1), TypeError, "takes 4 tensors"),
    ],
)
def test_wrong_inputs(arguments, error, message):
    arguments = [tg.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with pytest.raises(error, match=message):
        sgd_(*arguments)
    with pytest.raises(TypeError, match="no flag"):
        sgd_(*arguments, nesterov=True)
