"""What may be in a compiled step, and what may not: refused by name, or done as eager does it."""

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
def test_values_that_leave_are_refused_by_line(leave):
    @tg.compile
    def step(x):
        leave(x.sum())
        return x

    with pytest.raises(tg.CaptureError, match=r"takes a value out.*in <lambda>, .*test_capture"):
        step(tg.ones(1))
    assert tg.compile(lambda x: x + 1)(tg.ones(1)).item() == 2  # nothing was left behind


def test_printing_is_done_once(capsys):
    step = tg.compile(lambda x: print(x) or x + 1)
    for k in range(3):
        assert step(tg.tensor([float(k)])).item() == k + 1
    assert capsys.readouterr().out == "tensor([0.])\n"


def test_hyperparameters_are_not_set_inside():
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


def test_a_number_read_from_a_group_is_watched():
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
    """x^3, by NumPy both ways; ``calls`` counts."""

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
    """The values decide what is done: each time anew."""

    @staticmethod
    def forward(ctx, x):
        ctx.up = x.sum().item() > 0
        return x * 2 if ctx.up else x * 3

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2 if ctx.up else gradient * 3


def test_a_function_of_the_user_runs_in_python():
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


def test_an_error_in_a_function_of_the_user_leaves_things_usable():
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


def test_an_error_inside_a_step_leaves_things_usable():
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


def test_ops_that_work_in_python():
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


def test_the_memory_of_the_captured_run_is_freed():
    import gc
    import weakref

    model = nn.Linear(4, 3)
    kept = []

    def step(x):
        hidden = model(x).tanh()
        kept.append(weakref.ref(hidden))
        return (hidden * 2).sum()

    run = tg.compile(step)
    with pytest.warns(UserWarning, match=r"step changes len\(kept\), a Python variable"):
        run(tg.ones(2, 4))
    gc.collect()
    assert kept[0]() is None


def test_leaves_made_inside_the_step():
    w = nn.Parameter(tg.tensor([1.0, 2.0]))

    def step(x):
        w.grad = None
        delta = tg.zeros(2, requires_grad=True)
        ((x + delta) * w).tanh().sum().backward()
        attacked = x + 0.1 * delta.grad.sign()
        w.grad = None
        (attacked * w).sum().backward()
        return attacked

    run = tg.compile(step)
    for k in range(5):
        x = tg.tensor([0.1 * k, -0.2])
        assert run(x).tolist() == step(x).tolist()
    assert run.captures <= 2


def test_several_losses_backward_one_after_another():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        trunk, one, two = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 1)
        optimizer = optim.Adam([*trunk.parameters(), *one.parameters(), *two.parameters()], 0.1)

        def step(x, y, trunk=trunk, one=one, two=two, optimizer=optimizer):
            optimizer.zero_grad()
            hidden = trunk(x).relu()
            first, second = F.cross_entropy(one(hidden), y), (two(hidden) ** 2).mean()
            first.backward(retain_graph=True)
            second.backward()
            optimizer.step()
            return {"first": first, "second": second}

        step = tg.compile(step) if compiled else step
        found = []
        for k in range(5):
            losses = step(tg.ones(4, 3) * k, tg.tensor([0, 1, 1, 0]))
            found.append({name: loss.item() for name, loss in losses.items()})
        runs.append((found, [p.tolist() for p in optimizer.param_groups[0]["params"]]))
    assert runs[0] == runs[1]


def test_tensors_left_behind_are_refused():
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", tg.zeros(2))
            self.seen = None

        def forward(self, x):
            if self.how == "buffer":
                self.mean = 0.9 * self.mean + 0.1 * x
            if self.how == "attribute":
                self.seen = x * 2
            if self.how == "in place":
                with tg.no_grad():
                    self.mean.mul_(0.5).add_(x)
            return x + self.mean

    losses, last = [], None

    def append(x):
        losses.append(x * 2)

    def rebind(x):
        nonlocal last
        last = x * 2

    def twice_and_once_more(function, name):
        step = tg.compile(function)
        for _ in range(2):  # it may be state that comes to be
            step(tg.ones(2))
        with pytest.raises(tg.CaptureError, match=f"leaves a tensor that it made in {name}"):
            step(tg.ones(2))

    for how, name in (("buffer", r".*\.mean"), ("attribute", r".*\.seen")):
        model = Running()
        model.how = how
        twice_and_once_more(model, name)
    for function, name in ((append, r"losses\[2\]"), (rebind, "last")):
        twice_and_once_more(function, name)
    model = Running()
    model.how = "in place"
    step = tg.compile(model)
    assert [step(tg.ones(2)).tolist() for _ in range(3)] == [[2, 2], [2.5, 2.5], [2.75, 2.75]]


class Heavy(optim.Optimizer):
    """A user's own optimizer, which makes its state when it is first wanted."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        with tg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    if "m" not in state:
                        state["m"] = tg.zeros_like(p)
                    state["m"].mul_(0.9).add_(p.grad)
                    p.sub_(group["lr"] * state["m"])


def test_state_that_comes_to_be_in_the_first_step():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = Heavy(model.parameters(), 0.1)

        def step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (model(x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = tg.compile(step) if compiled else step
        losses = []
        for k in range(6):
            optimizer.param_groups[0]["lr"] = 0.01 if k > 3 else 0.1
            losses.append(step(tg.ones(3, 4) * (k + 1) / 9).item())
        runs.append((losses, model.weight.tolist(), optimizer.state[model.weight]["m"].tolist()))
    assert runs[0] == runs[1]
    assert step.captures == 2  # for the rate is a number that went into Python


def test_a_step_with_a_closure_and_modes_set_inside():
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.2))
        optimizer = optim.SGD(model.parameters(), 0.1)

        def step(x, model=model, optimizer=optimizer):
            def closure():
                optimizer.zero_grad()
                loss = (model(x) ** 2).mean()
                loss.backward()
                return loss

            model.train()
            return optimizer.step(closure)

        def evaluate(x, model=model):
            model.eval()
            with tg.no_grad():
                return model(x)

        pair = [tg.compile(f) if compiled else f for f in (step, evaluate)]
        generator = np.random.default_rng(0)
        found = []
        for _ in range(5):
            x = tg.tensor(generator.standard_normal((5, 4)).astype(np.float32))
            for f in pair:
                found.append((f(x).tolist(), model.training, model[2].training))
        runs.append(found)
    assert runs[0] == runs[1]
    assert [f.captures for f in pair] == [2, 1]  # in training at first, then not


def test_a_tensor_made_of_numbers_is_made_anew_at_each_run():
    w = tg.ones(3, requires_grad=True)

    def losses(x):
        w.grad = None
        total = tg.tensor(0.0)
        for k in range(1, 4):
            total += (x * w).sum() * k
        total.backward()
        counts = tg.tensor(np.zeros(3, np.int64))
        counts.add_(x > 1)
        return total.detach(), counts, tg.tensor([1.0, 2.0, 3.0]) * x

    step = tg.compile(losses)
    for k in range(4):
        x = tg.tensor([0.5, 1.0, 1.5]) * k
        for got, wanted in zip(step(x), losses(x), strict=True):
            assert got.tolist() == wanted.tolist()
    # what nobody writes to is read where it is, not copied
    assert [i.name for i in step.program.instructions].count("clone") == 2
