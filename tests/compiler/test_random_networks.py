"""Random networks: compiled, eager and interpreted steps give the same results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.compiler.interpreter import interpret
from tinygrad_mlp import nn, optim

STEPS = 10
ACTIVATIONS = ("ReLU", "Tanh", "Sigmoid", "GELU", "LeakyReLU", "ELU", "SiLU", "Softplus")
LOSSES = {
    "cross_entropy": lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1),
    "mse": lambda out, y: F.mse_loss(out, F.one_hot(y, out.shape[1]).to(out.dtype)),
    "bce": lambda out, y: F.binary_cross_entropy_with_logits(
        out, F.one_hot(y, out.shape[1]).to(out.dtype)
    ),
    "huber": lambda out, y: F.huber_loss(out.sum(1), y.to(out.dtype)),
}
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "dampened": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.5),
    "Adam": lambda p: optim.Adam(p, lr=0.01, eps=1e-3),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, eps=1e-3, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01, eps=1e-3),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, eps=1e-3),
    "centered": lambda p: optim.RMSprop(p, lr=0.01, eps=1e-2, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.01, eps=1e-3),
    "Adadelta": lambda p: optim.Adadelta(p, lr=0.5, eps=1e-3),
}


class Block(nn.Module):
    """A linear layer, normalisation, activation and dropout, perhaps with a residual connection."""

    def __init__(self, wide, out, norm, activation, drop, skip, layer):
        super().__init__()
        self.layer = layer or (
            nn.DropConnect(wide, out, 0.3, bias=not norm)
            if drop == "connect"
            else nn.Linear(wide, out, bias=not norm)
        )
        self.norm = getattr(nn, norm)(out) if norm else nn.Identity()
        self.activation = getattr(nn, activation)()
        self.drop = nn.Dropout(0.4) if drop == "dropout" else nn.Identity()
        self.skip = skip and wide == out

    def forward(self, x):
        out = self.drop(self.activation(self.norm(self.layer(x))))
        return x + out if self.skip else out


def repeated(out, low):
    """Return ops that are alike but for a parameter, an axis, or a write to their input."""
    h = out * 1
    found = [h.clamp(low, 1.0).sum(0), h.clamp(low, 2.0).sum(0), h.tanh(), h.amax(0), h.amax(1)]
    h.mul_(0.5)
    found += [h.tanh(), h.amax(1), h.clamp(low, 1.0).sum(0)]
    h[:1].add_(1.0)
    return [*found, h.tanh(), h.tanh(), h.amax(0)]


def build(plan):
    """Return the network, optimizer and step of a plan, from seed 0."""
    tg.manual_seed(0)
    blocks: list[Block] = []
    width = plan["features"]
    for out, norm, activation, drop, skip, tied in plan["blocks"]:
        layer = blocks[-1].layer if tied and blocks and not norm else None
        if layer is not None and layer.weight.shape != (out, width):
            layer = None
        blocks.append(Block(width, out, norm, activation, drop, skip, layer))
        width = out
    model = nn.Sequential(*blocks, nn.Linear(width, plan["classes"]))
    if plan["dtype"] == "float64":
        model.double()
    if plan["frozen"]:
        model[0].layer.weight.requires_grad_(False)
    optimizer = OPTIMIZERS[plan["optimizer"]](model.parameters())
    loss_of, penalty, clip = LOSSES[plan["loss"]], plan["penalty"], plan["clip"]

    def step(x, y):
        optimizer.zero_grad(set_to_none=plan["to_none"])
        out = model(x)
        loss = loss_of(out, y)
        for p in model.parameters() if penalty else ():
            loss = loss + 1e-3 * (p.abs().sum() if penalty == "L1" else (p * p).sum())
        loss.backward()
        if clip == "norm":
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        if clip == "value":
            nn.utils.clip_grad_value_(model.parameters(), 0.05)
        optimizer.step()
        return loss, out, *(repeated(out.detach(), plan["repeated"]) if plan["repeated"] else ())

    return model, optimizer, step


def batches(plan):
    generator = np.random.default_rng(1)
    for _ in range(STEPS):
        x = generator.standard_normal((plan["batch"], plan["features"])).astype(plan["dtype"])
        yield tg.tensor(x), tg.tensor(generator.integers(0, plan["classes"], plan["batch"]))


def tensors(model, optimizer):
    """Return all that a step changes, by name."""
    found = dict(model.state_dict(keep_vars=True))
    found["rng"] = tg.ops.random.state()
    for name, p in model.named_parameters():
        found |= {f"{name}.{key}": value for key, value in optimizer.state[p].items()}
    return found


def bits(model, optimizer, results):
    gradients = {n: p.grad for n, p in model.named_parameters()}
    every = tensors(model, optimizer) | {f"{n}.grad": g for n, g in gradients.items()}
    arrays = {n: None if v is None else v.detach().numpy() for n, v in every.items()}
    arrays |= {f"result {k}": v.detach().numpy() for k, v in enumerate(results)}
    return {
        n: None if a is None else (a.dtype.str, a.shape, a.tobytes()) for n, a in arrays.items()
    }


block = st.tuples(
    st.integers(1, 64),
    st.sampled_from([None, None, "BatchNorm1d", "LayerNorm"]),
    st.sampled_from(ACTIVATIONS),
    st.sampled_from([None, None, "dropout", "connect"]),
    st.booleans(),
    st.booleans(),
)
plans = st.fixed_dictionaries(
    {
        "features": st.integers(1, 64),
        "classes": st.integers(2, 10),
        "batch": st.integers(2, 40),
        "blocks": st.lists(block, min_size=1, max_size=6),
        "loss": st.sampled_from(sorted(LOSSES)),
        "dtype": st.sampled_from(["float32", "float64"]),
        "frozen": st.booleans(),
        "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
        "to_none": st.booleans(),
        "penalty": st.sampled_from([None, None, "L1", "L2"]),
        "clip": st.sampled_from([None, None, "norm", "value"]),
        "repeated": st.sampled_from([None, -1.0, -0.5]),
    }
)


def run(plan, compiled):
    """Return the state after each of ten steps, bit for bit."""
    model, optimizer, step = build(plan)
    step = tg.compile(step) if compiled else step
    return [bits(model, optimizer, step(x, y)) for x, y in batches(plan)]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(plans)
def test_compiled_is_eager_bit_for_bit(plan):
    eager, compiled = run(plan, False), run(plan, True)
    for k, (one, other) in enumerate(zip(eager, compiled, strict=True)):
        assert [n for n in one if one[n] != other[n]] == [], f"after step {k}"
        assert one.keys() == other.keys()


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(plans)
def test_the_bits_do_not_depend_on_threads(plan):
    before, found = tg.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            tg.set_num_threads(threads)
            found.append(run(plan, True)[-1])
    finally:
        tg.set_num_threads(before)
    assert found[0] == found[1] == found[2] == found[3]


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(plans)
def test_compiled_is_close_to_the_interpreter(plan):
    """Compare one step at a time, from equal state."""
    model, optimizer, step = build(plan)
    step = tg.compile(step)
    tolerance = 1e-3 if plan["dtype"] == "float32" else 1e-11  # of the largest element
    for k, (x, y) in enumerate(batches(plan)):
        if k < 2:  # with set_to_none=False the second call is captured as well
            step(x, y)
            continue
        before = bits(model, optimizer, ())
        found = interpret(step.program, [x, y])
        assert bits(model, optimizer, ()) == before  # nothing was changed
        results = step(x, y)
        pairs = {
            f"result {j}": (r, f)
            for j, (r, f) in enumerate(zip(results, found.results, strict=True))
        }
        pairs |= {n: (v, found.of(v)) for n, v in tensors(model, optimizer).items()}
        for name, (real, slow) in pairs.items():
            if slow is None:
                continue
            real = real.detach().numpy()
            apart = np.abs(slow - real).max(initial=0)
            scale = max(0.1, float(np.abs(real).max(initial=0)))
            assert apart <= tolerance * scale, f"step {k}: {name}"


@pytest.mark.parametrize("broken", ["0.weight", "loss"])
def test_the_comparison_can_fail(broken):
    """The comparison notices a program that computes something else."""
    plan = {
        "features": 3,
        "classes": 2,
        "batch": 4,
        "blocks": [(4, None, "Tanh", None, 0, 0)],
        "loss": "mse",
        "dtype": "float64",
        "frozen": False,
        "optimizer": "SGD",
        "to_none": True,
        "penalty": None,
        "clip": None,
        "repeated": None,
    }
    model, _, step = build(plan)
    step = tg.compile(step)
    for x, y in batches(plan):
        step(x, y)
    program = step.program
    if broken == "loss":
        program.instructions.remove(
            next(
                i for i in program.instructions if i.outputs[0].buffer is program.results[0].buffer
            )
        )
        assert np.isnan(interpret(program, [x, y]).results[0])
    else:
        weight = model[0].layer.weight
        program.instructions[:] = [
            i
            for i in program.instructions
            if not (i.op.name == "sgd_" and i.inputs[0].buffer.owner is weight.storage)
        ]
        assert interpret(program, [x, y]).of(weight).tolist() == weight.tolist()
