"""Each pass transforms what it should and nothing else, and keeps the results bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.compiler import ir
from tinygrad_mlp.compiler.ir import TEMPORARY, Buffer, Instruction, ProgramError, Region, check
from tinygrad_mlp.kernels.codegen import elementwise
from tinygrad_mlp.kernels.runtime.layout import layout_of


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Any, list[str]]:
    """Compile and call a function, compare the results with eager mode; return it and its ops."""
    run = tg.compile(function)
    wanted = function(*args)
    for _ in range(3):
        got = run(*args)
        for one, other in zip(flat(got), flat(wanted), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    return run, [instruction.name for instruction in run.program.instructions]


def flat(value: Any) -> list[Any]:
    return [v.detach() for v in (value if isinstance(value, tuple) else (value,))]


X = tg.tensor(np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32))
W = tg.tensor(np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32))


def test_dead_code_is_removed() -> None:
    def step(x):
        x.exp().sum()
        return x.sum(0)

    assert compiled(step, X)[1] == ["sum"]


def test_writes_to_state_are_not_dead() -> None:
    total = tg.zeros(5)

    def step(x):
        total.add_(x.sum(0))
        return x.sum(1)

    run = tg.compile(step)
    for _ in range(3):
        run(X)
    np.testing.assert_allclose(total.numpy(), 3 * X.numpy().sum(0), rtol=1e-6)


def test_a_repeated_op_is_removed() -> None:
    def step(x):
        return x.sum(0) + 1, x.sum(0) * 2

    assert compiled(step, X)[1].count("sum") == 1


def test_an_op_is_repeated_after_its_input_changed() -> None:
    memory = tg.zeros(6, 5)

    def step(x):
        before = memory.sum(0)
        memory.add_(x)
        return before, memory.sum(0)

    run = tg.compile(step)
    for k in range(3):
        before, after = run(X)
        np.testing.assert_allclose(before.numpy(), k * X.numpy().sum(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(after.numpy(), (k + 1) * X.numpy().sum(0), rtol=1e-5, atol=1e-6)


def test_random_draws_are_not_merged() -> None:
    def step():
        return tg.rand(4), tg.rand(4)

    run = tg.compile(step)
    for _ in range(3):
        first, second = run()
        assert first.tolist() != second.tolist()


def test_a_copy_of_unchanged_memory_is_removed() -> None:
    def step(x):
        y = x.sum(0)
        return y.clone() @ x.sum(0)

    assert "clone" not in compiled(step, X)[1]


def test_a_removed_result_is_still_returned() -> None:
    assert compiled(lambda x: x.sum(0).clone(), X)[1] == ["sum"]

    def step(x):
        y, z = x.sum(0), x.sum(0)
        return z, y.exp(), z[1:]

    assert compiled(step, X)[1] == ["sum", "exp"]


def test_a_copy_of_memory_that_is_changed_stays() -> None:
    def step(x):
        y = x * 2
        z = y.clone()
        y.add_(1.0)
        return y, z

    _, names = compiled(step, X)
    assert any("clone" in name for name in names)


def test_two_gradients_never_share_memory() -> None:
    p, q = tg.zeros(5, 5, requires_grad=True), tg.zeros(5, 5, requires_grad=True)

    @tg.compile
    def step(x):
        y = (x.mT @ x).clone()
        p.grad, q.grad = y.clone(), y.clone()

    for _ in range(2):
        step(X)
    p.grad.zero_()
    assert q.grad.numpy().any()


def test_a_chain_becomes_one_kernel() -> None:
    def step(x):
        return ((x * 2 + 1).tanh() - x).exp()

    run, names = compiled(step, X)
    assert names == ["mul+add+tanh+sub+exp"]
    assert len(run.program.instructions[0].parts) == 5


def test_a_chain_writes_only_what_is_read() -> None:
    def step(x):
        y = x.exp()
        z = y * y + 1
        return z, y.sum()

    run, names = compiled(step, X)
    assert names[0] == "exp+mul+add"
    assert len(run.program.instructions[0].outputs) == 2


def test_ops_of_different_shapes_or_dtypes_are_not_fused() -> None:
    def step(x):
        row = x.sum(0).exp()
        return x * row, (x.double() * 2).float()

    assert not any("exp" in name and "mul" in name for name in compiled(step, X)[1])


def test_ops_are_not_fused_across_a_dependency() -> None:
    """The sum between exp and mul reads the one and is read by the other."""

    def step(x):
        y = x.exp()
        s = y.sum(0)
        return y * s

    assert compiled(step, X)[1] == ["exp", "sum", "mul"]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_an_activation_is_fused_into_the_product(activation: str) -> None:
    def step(x, w):
        return getattr(x @ w.T, activation)()

    assert compiled(step, X, W)[1] == [f"matmul+{activation}"]


@pytest.mark.parametrize("product", [False, True])
def test_a_chain_does_not_read_other_views_of_its_results(product: bool) -> None:
    def step(x):
        y = x @ x if product else x * 3
        z = y.exp()
        return z + z.T, z, y.tanh() * y[:, :1] + y[0], z * z

    x = tg.tensor(np.random.default_rng(0).standard_normal((33, 33)).astype(np.float32))
    first, *others = compiled(step, x)[1]
    assert first.endswith("+exp+tanh+mul")  # z * z: the same view of z
    assert len(others) == 2


def test_a_product_that_is_read_elsewhere_is_written() -> None:
    def step(x, w):
        z = x @ w.T
        return z.tanh(), z.sum()

    run, names = compiled(step, X, W)
    assert names == ["matmul+tanh", "sum"]
    assert len(run.program.instructions[0].outputs) == 2


@pytest.mark.parametrize("shape", [(1, 5, 4), (6, 1, 4), (6, 5, 1), (300, 2, 100), (64, 700, 33)])
def test_fused_products_of_any_shape_are_bit_identical(shape: tuple[int, int, int]) -> None:
    rows, depth, columns = shape
    draw = np.random.default_rng(2)
    layer = nn.Linear(depth, columns)
    bias = tg.tensor(draw.standard_normal(columns).astype(np.float32))
    x = tg.tensor(draw.standard_normal((rows, depth)).astype(np.float32))
    column = tg.tensor(draw.standard_normal((rows, 1)).astype(np.float32))

    def step(x):
        return (layer(x).relu() * bias + column).tanh()

    compiled(step, x)


def test_the_gradient_of_an_activation_is_fused_into_the_product() -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))

    def step(x):
        for p in model.parameters():
            p.grad = None
        model(x).square().sum().backward()

    run = tg.compile(step)
    run(X)
    wanted = [p.grad.tolist() for p in model.parameters()]
    run(X)
    assert [p.grad.tolist() for p in model.parameters()] == wanted
    names = [instruction.name for instruction in run.program.instructions]
    assert "linear+relu" in names
    assert "matmul+relu.vjp" in names


def test_a_malformed_program_raises() -> None:
    def step(x):
        return x.exp() @ x.T

    run = tg.compile(step)
    run(X)
    program = run.program
    check(program, "nothing")
    first = program.instructions.pop(0)
    with pytest.raises(ProgramError, match=r"after a mistake: instruction 1.*no instr"):
        check(program, "a mistake")
    program.instructions.insert(0, first)
    out = first.outputs[0]
    small = Buffer(TEMPORARY, 3, "small")
    wrong = Region(small, 0, out.layout)
    program.instructions[0] = Instruction(
        first.op, first.inputs, first.params, (wrong,), first.calls
    )
    with pytest.raises(ProgramError, match="does not fit"):
        check(program, "another")


@pytest.mark.parametrize(
    ("array", "first", "end"),
    [
        (np.zeros((2, 3), np.float32), 0, 24),
        (np.zeros((2, 3), np.float32).T, 0, 24),
        (np.zeros((4, 6), np.float32)[::2, ::3], 0, 2 * 24 + 3 * 4 + 4),
        (np.zeros((2, 3), np.float64)[::-1], -24, 24),
        (np.zeros(5, np.float32)[::-2], -16, 4),
        (np.zeros((), np.int64), 0, 8),
        (np.zeros((0, 3), np.float32), 0, 0),
    ],
)
def test_the_bytes_that_an_array_covers(array, first, end):
    layout = layout_of(array.shape, array.strides, array.dtype)
    assert ir.byte_range(layout) == (first, end)


def test_equal_chains_of_two_programs_share_their_kernels() -> None:
    """Kernels are never freed: a program that is compiled again must not load its own."""

    def train() -> None:
        model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = optim.Adam(model.parameters())

        @tg.compile
        def step(x):
            optimizer.zero_grad()
            (model(x).exp() * 2 + 1).mean().backward()
            optimizer.step()

        step(X)
        assert any(each.parts for each in step.program.instructions), "something is fused"

    train()
    before = elementwise.address.cache_info().misses
    train()
    assert elementwise.address.cache_info().misses == before


def test_chains_that_differ_in_a_number_do_not_share_a_kernel() -> None:
    for factor in (2.0, 3.0, -0.0, 0.0, 2):
        step = tg.compile(lambda x, f=factor: (x.tanh() * f + 1).exp())
        wanted = np.exp(np.tanh(np.float64(X.numpy())) * factor + 1)
        np.testing.assert_allclose(step(X).numpy(), wanted, rtol=1e-5)
        np.testing.assert_allclose(step(X).numpy(), wanted, rtol=1e-5)
