"""State, leaves and modes that a captured step makes, changes or leaves behind."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim


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
    """A user's optimizer, which creates its state in the first step."""

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


def test_state_created_in_the_first_step():
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


def test_a_tensor_made_from_numbers_is_made_at_each_run():
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
    # memory that is not written is read in place, not copied
    assert [i.name for i in step.program.instructions].count("clone") == 2
