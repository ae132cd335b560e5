"""What a compiled step may do, as in eager mode, and what is refused with an error."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim


@pytest.mark.parametrize(
    "leave",
    [
        lambda x: x.item(),
        lambda x: bool(x > 0),
        lambda x: x.numpy(),
        lambda x: float(x),
        lambda x: int(x),
        lambda x: f"{x:.2f}",
        lambda x: x.tolist(),
        lambda x: x or 1,
        lambda x: np.asarray(x),
        lambda x: math.floor(x),
        lambda x: [1, 2, 3][x.long()],
        lambda x: x in [x + 1],
        lambda x: np.median(x),
        lambda x: tg.full((2,), x),
        lambda x: nn.init.orthogonal_(x.expand(2, 2).clone()),
    ],
    ids=[
        "item",
        "bool",
        "numpy",
        "float",
        "int",
        "format",
        "tolist",
        "or",
        "asarray",
        "floor",
        "index",
        "in",
        "median",
        "full",
        "orthogonal",
    ],
)
def test_reading_a_value_raises_and_names_the_line(leave):
    @tg.compile
    def step(x):
        leave(x.sum())
        return x

    with pytest.raises(tg.CaptureError, match=r"takes a value out.*in <lambda>, .*test_capture"):
        step(tg.ones(1))
    assert tg.compile(lambda x: x + 1)(tg.ones(1)).item() == 2  # nothing was left behind


def test_printing_happens_only_at_the_capture(capsys):
    step = tg.compile(lambda x: print(x) or x + 1)
    for k in range(3):
        assert step(tg.tensor([float(k)])).item() == k + 1
    assert capsys.readouterr().out == "tensor([0.])\n"


def test_setting_a_hyperparameter_in_a_step_is_refused():
    w = nn.Parameter(tg.ones(2))
    optimizer = optim.SGD([w], 0.1)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1)

    @tg.compile
    def with_number():
        optimizer.param_groups[0]["lr"] = 0.5

    @tg.compile
    def with_schedule():
        w.sum().backward()
        optimizer.step()
        schedule.step()

    for step in (with_number, with_schedule):
        with pytest.raises(tg.CaptureError, match=r"SGD: lr is set .*in with_.*between the calls"):
            step()


def test_a_hyperparameter_read_in_a_step_is_guarded():
    w = nn.Parameter(tg.ones(2))
    optimizer = optim.SGD([w], 0.1)
    step = tg.compile(lambda x: x * optimizer.param_groups[0]["lr"])
    for lr in (0.5, 0.25, 0.5):
        optimizer.param_groups[0]["lr"] = lr
        assert step(tg.ones(1)).item() == lr


def test_labels_out_of_range():
    model = nn.Linear(4, 3)

    @tg.compile
    def step(x, y):
        return F.cross_entropy(model(x), y) + F.nll_loss(model(x), y)

    x = tg.ones(5, 4)
    step(x, tg.tensor([0, 1, 2, 0, 1]))
    for bad in (3, -1):
        for run in (step, step.function):
            with pytest.raises(IndexError, match=rf"target\[3\] is {bad}, but"):
                run(x, tg.tensor([0, 1, 2, bad, 1]))
    assert step(x, tg.tensor([0, 1, 2, 0, -100])).item() > 0
    assert step.captures == 1


def test_random_draws():
    model = nn.Sequential(nn.Dropout(0.5), nn.DropConnect(4, 3, 0.5))

    def step(x):
        noise = tg.rand(4) + tg.randn(4) * 0.1 + tg.randint(0, 5, (4,))
        return F.dropout(model(x + noise), 0.2)

    runs = []
    for run in (step, tg.compile(step)):
        tg.manual_seed(3)
        runs.append([run(tg.ones(2, 4)).tolist() for _ in range(4)])
        runs[-1].append(tg.get_rng_state().tolist())
        tg.manual_seed(5)
        runs[-1].append(run(tg.ones(2, 4)).tolist())
    assert runs[0] == runs[1]
    assert runs[1][0] != runs[1][1]


class Cube(tg.autograd.Function):
    """x^3, by NumPy forward and backward; ``calls`` counts the calls."""

    calls = 0

    @staticmethod
    def forward(ctx, x, scale):
        Cube.calls += 1
        assert ctx.needs_input_grad == (True, False)
        ctx.save_for_backward(x)
        ctx.scale = scale
        return tg.tensor(x.detach().numpy() ** 3 * scale)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * tg.tensor(3 * x.detach().numpy() ** 2 * ctx.scale), None


class Choice(tg.autograd.Function):
    """A function that branches on the values of its input."""

    @staticmethod
    def forward(ctx, x):
        ctx.up = x.sum().item() > 0
        return x * 2 if ctx.up else x * 3

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2 if ctx.up else gradient * 3


def test_a_user_function_runs_in_python():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        first, second = nn.Linear(4, 6), nn.Linear(6, 1)
        optimizer = optim.SGD([*first.parameters(), *second.parameters()], 0.01)

        def step(x, first=first, second=second, optimizer=optimizer):
            optimizer.zero_grad()
            hidden = Choice.apply(Cube.apply(first(x).tanh(), 0.5).relu() * 2 - 0.5)
            loss = (second(hidden) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        step = tg.compile(step) if compiled else step
        Cube.calls = 0
        generator = np.random.default_rng(0)
        losses = [
            step(
                generator.standard_normal((5, 4)).astype(np.float32)
                if compiled
                else tg.tensor(generator.standard_normal((5, 4)).astype(np.float32))
            ).item()
            for _ in range(8)
        ]
        assert Cube.calls == 8
        runs.append((losses, [p.tolist() for p in optimizer.param_groups[0]["params"]]))
    assert runs[0] == runs[1]
    assert step.captures == 1
    assert "in Python" in str(step.program)


def test_after_an_error_in_a_user_function_the_step_works_again():
    class Fails(tg.autograd.Function):
        broken = False

        @staticmethod
        def forward(ctx, x):
            if Fails.broken:
                raise ValueError("broken")
            return tg.tensor(x.numpy() + 1)

    step = tg.compile(lambda x: Fails.apply(x * 2) * 2)
    assert step(tg.ones(1)).item() == 6
    Fails.broken = True
    with pytest.raises(ValueError, match="broken"):
        step(tg.ones(1))
    Fails.broken = False
    assert step(tg.ones(1)).item() == 6
    assert step.captures == 1


def test_after_an_error_in_a_step_it_works_again():
    w, broken = nn.Parameter(tg.ones(3)), True

    @tg.compile
    def step(x):
        out = x * w
        if broken:
            raise KeyError("mine")
        return out

    with pytest.raises(KeyError, match="mine"):
        step(tg.ones(3))
    broken = False
    assert step(tg.ones(3)).tolist() == step(tg.ones(3)).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="do not broadcast"):
        step(tg.ones(2))
    assert tg.is_grad_enabled()
    assert step(tg.ones(3)).tolist() == [1, 1, 1]


def test_tensor_hooks_and_backward_hooks():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = nn.Linear(3, 2)
        model.weight.register_hook(lambda g: g * 2)
        model.register_full_backward_hook(lambda m, gi, go: None)

        def step(x, model=model):
            model.zero_grad()
            h = model(x)
            h.register_hook(lambda g: g + 1)
            h.sum().backward()

        step = tg.compile(step) if compiled else step
        for k in range(3):
            step(tg.ones(4, 3) * k)
        runs.append([p.grad.tolist() for p in model.parameters()])
    assert runs[0] == runs[1]


def test_ops_without_kernels_run_in_python():
    def step(x, index):
        picked = x[index] + x[:, None].sum(1)
        return tg.cat([picked, x.sort(-1)[0]]), x.argsort(), tg.eye(2), x.nonzero() * 0 + 1

    run = tg.compile(step)
    generator = np.random.default_rng(0)
    for _ in range(3):
        x = tg.tensor(generator.standard_normal((4, 4)).astype(np.float32))
        index = tg.tensor(generator.integers(0, 4, 4))
        for one, other in zip(run(x, index), step(x, index), strict=True):
            assert one.tolist() == other.tolist()
    with pytest.raises(RuntimeError, match=r"shapes may not depend on values"):
        run(tg.zeros(4, 4), index)


def test_gradients_of_gradients():
    w = nn.Parameter(tg.tensor([1.0, 2.0]))

    def step(x):
        w.grad = None
        (g,) = tg.grad((w * x).tanh().sum(), [w], create_graph=True)
        (g * g).sum().backward()
        return w.grad

    run = tg.compile(step)
    for k in range(4):
        x = tg.tensor([0.1 * k, 0.2])
        assert run(x).tolist() == step(x).tolist()


@pytest.mark.parametrize("name", ["clip_grad_norm_", "clip_grad_value_"])
def test_clipping(name):
    runs = []
    for compiled in (False, True):
        w = nn.Parameter(tg.tensor([1.0, 2.0, 3.0]))
        idle = nn.Parameter(tg.ones(2))

        def step(x, w=w, idle=idle):
            w.grad = None
            (w * w * x).sum().backward()
            return getattr(nn.utils, name)([w, idle], 1.5)

        step = tg.compile(step) if compiled else step
        found = []
        for k in range(4):
            idle.grad = tg.ones(2) * 9 if k == 2 else None
            norm = step(tg.tensor([0.1, 1.0, -2.0]) * k)
            found.append(
                (
                    None if norm is None else norm.item(),
                    w.grad.tolist(),
                    None if idle.grad is None else idle.grad.tolist(),
                )
            )
        runs.append(found)
    assert runs[0] == runs[1]


def test_disable_and_wrong_types():
    def function(x):
        return x

    assert tg.compile(function, disable=True) is function
    assert tg.compile(disable=True)(function) is function
    with pytest.raises(TypeError, match="compile takes a function or a module, not int"):
        tg.compile(3)
    with pytest.raises(RuntimeError, match="call the compiled function once"):
        _ = tg.compile(function).program
