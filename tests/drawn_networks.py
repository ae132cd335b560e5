"""Networks drawn by a seed, their training, and the hash of what it gives.

Inputs are made of integers, exactly, and draws come from Python's generator, so that a seed stands
for the same training on any machine: see ``test_golden_bits.py``.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.kernels.numbers import numbers, words
from tinygrad_mlp import nn, optim
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.train import Checkpoint, History, Penalty, load_checkpoint

STEPS, EPOCHS = 50, 5
ACTIVATIONS = ("ReLU", "Tanh", "Sigmoid", "GELU", "LeakyReLU", "ELU", "SiLU", "Softplus")
NORMS = (None, None, "BatchNorm1d", "LayerNorm")
DROPS = (None, None, "Dropout", "DropConnect")
INITS: dict[str, Callable[[Any], Any]] = {
    "default": lambda w: w,
    "kaiming_normal_": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "kaiming_uniform_": nn.init.kaiming_uniform_,
    "lecun_normal_": nn.init.lecun_normal_,
    "lecun_uniform_": nn.init.lecun_uniform_,
    "normal_": lambda w: nn.init.normal_(w, 0.0, 0.2),
    "orthogonal_": lambda w: nn.init.orthogonal_(w, 1.1),
    "uniform_": lambda w: nn.init.uniform_(w, -0.3, 0.3),
    "xavier_normal_": nn.init.xavier_normal_,
    "xavier_uniform_": lambda w: nn.init.xavier_uniform_(w, 5 / 3),
}
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.03, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "dampened": lambda p: optim.SGD(p, lr=0.05, momentum=0.8, dampening=0.5),
    "Adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.001),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01, betas=(0.8, 0.99)),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.005),
    "centered": lambda p: optim.RMSprop(p, lr=0.005, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.02, lr_decay=0.01),
    "Adadelta": lambda p: optim.Adadelta(p, lr=0.5),
}
SCHEDULES: dict[str, Callable[[optim.Optimizer], Any]] = {
    "none": lambda o: None,
    "steps": lambda o: lr_scheduler.StepLR(o, 2, gamma=0.7),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, [1, 1, 3], gamma=0.6),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 7, eta_min=1e-4),
    "linear": lambda o: lr_scheduler.LinearLR(o, 0.2, 1.0, total_iters=4),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.ConstantLR(o, 0.3, total_iters=2), lr_scheduler.CosineAnnealingLR(o, 5)],
        [2],
    ),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=STEPS),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0),
}


def _values(y: tg.Tensor, outputs: tg.Tensor) -> tg.Tensor:
    return F.one_hot(y, outputs.shape[1]).to(outputs.dtype)


def _weights(outputs: tg.Tensor) -> tg.Tensor:
    return (tg.arange(outputs.shape[1]) % 3 + 1).to(outputs.dtype)


LOSSES: dict[str, Callable[[tg.Tensor, tg.Tensor], tg.Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "smooth": lambda out, y: F.cross_entropy(out, y, _weights(out), label_smoothing=0.1),
    "nll": lambda out, y: F.nll_loss(tg.log_softmax(out), y, _weights(out)),
    "mse": lambda out, y: F.mse_loss(out, _values(y, out)),
    "l1": lambda out, y: F.l1_loss(out, _values(y, out)),
    "huber": lambda out, y: F.huber_loss(out.sum(1), y.to(out.dtype), delta=0.7),
    "bce": lambda out, y: F.binary_cross_entropy(tg.sigmoid(out), _values(y, out)),
    "logits": lambda out, y: F.binary_cross_entropy_with_logits(
        out, _values(y, out), pos_weight=_weights(out)
    ),
    "margin": lambda out, y: (
        (tg.logsumexp(out, 1) - (tg.softmax(out) * _values(y, out)).sum(1)).exp().log1p().mean()
    ),
}


class Block(nn.Module):
    """A layer, normalisation, activation and dropout, perhaps with a residual connection."""

    def __init__(self, wide: int, out: int, norm: str | None, activation: str, drop: str | None):
        super().__init__()
        connect = drop == "DropConnect"
        self.layer = nn.DropConnect(wide, out, 0.3) if connect else nn.Linear(wide, out)
        self.norm = getattr(nn, norm)(out) if norm else nn.Identity()
        self.activation = getattr(nn, activation)()
        self.drop = nn.Dropout(0.3) if drop == "Dropout" else nn.Identity()
        self.skip = wide == out

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        out = self.drop(self.activation(self.norm(self.layer(x))))
        return x + out if self.skip else out


@dataclass(frozen=True)
class Plan:
    """A network, its loss and its training."""

    seed: int
    dtype: str
    features: int
    classes: int
    batch: int
    blocks: tuple[tuple[int, str | None, str, str | None], ...]
    init: str
    loss: str
    optimizer: str
    schedule: str
    clip: str | None
    penalty: bool


def draw(seed: int) -> Plan:
    """Draw a plan. What has few kinds is taken in turn, so that forty plans have all of them."""
    numbers = random.Random(seed)  # its `random` is the same in every version of Python

    def below(n: int) -> int:
        return int(numbers.random() * n)

    def one(of: Any) -> Any:
        return list(of)[below(len(of))]

    def turn(of: Any) -> Any:
        return list(of)[seed % len(of)]

    def width() -> int:
        return 1 + int(math.ldexp(numbers.random(), 1 + below(8)))  # to 256, most of them small

    blocks: list[tuple[int, str | None, str, str | None]] = []
    for _ in range(1 + below(4)):
        out = blocks[-1][0] if blocks and below(3) == 0 else width()
        blocks.append((out, one(NORMS), one(ACTIVATIONS), one(DROPS)))
    return Plan(
        seed=seed,
        dtype="float64" if numbers.random() < 0.4 else "float32",
        features=one((2, 3, 10, 30, 64, 100, 300)),
        classes=2 + below(11),
        batch=one((2, 7, 16, 33, 64, 100, 300)),
        blocks=tuple(blocks),
        init=turn(INITS),
        loss=turn(LOSSES),
        optimizer=turn(OPTIMIZERS),
        schedule=one(SCHEDULES),
        clip=one((None, None, "2", "3", "inf", "value")),
        penalty=below(4) == 0,
    )


def build(plan: Plan) -> tuple[nn.Module, optim.Optimizer, Any]:
    """Return the model, optimizer and scheduler of a plan."""
    tg.manual_seed(plan.seed)
    widths = [plan.features, *(block[0] for block in plan.blocks)]
    blocks = [Block(*pair) for pair in zip(widths, *zip(*plan.blocks, strict=True), strict=False)]
    model = nn.Sequential(*blocks, nn.Linear(widths[-1], plan.classes))
    if plan.dtype == "float64":
        model.double()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            INITS[plan.init](parameter)
    optimizer = OPTIMIZERS[plan.optimizer](model.parameters())
    return model, optimizer, SCHEDULES[plan.schedule](optimizer)


def data(plan: Plan, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs from -2 to 2, and labels that follow from them."""
    x = numbers(rows, plan.features, dtype=plan.dtype, seed=plan.seed) / 4
    noise = (words(rows, plan.seed + 1) >> np.uint64(60)).astype(np.int64) // 12
    return x, (np.floor(x[:, 0] * plan.classes).astype(np.int64) + noise) % plan.classes


def step_of(plan: Plan, model: nn.Module, optimizer: optim.Optimizer) -> Callable[..., tg.Tensor]:
    """Return the training step of a plan."""
    loss_of = LOSSES[plan.loss]
    penalty = Penalty(model, l1=1e-4, l2=1e-3) if plan.penalty else None

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        (loss + penalty() if penalty else loss).backward()
        if plan.clip == "value":
            nn.utils.clip_grad_value_(model.parameters(), 0.05)
        elif plan.clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5, float(plan.clip))
        optimizer.step()
        return loss

    return step


def train(plan: Plan, compiled: bool) -> str:
    """Make 50 steps, a step of the schedule after each tenth, and return the hash."""
    model, optimizer, schedule = build(plan)
    step = step_of(plan, model, optimizer)
    step = tg.compile(step) if compiled else step
    x, y = data(plan, plan.batch * 10)
    losses = []
    for k in range(STEPS):
        rows = slice(k % 10 * plan.batch, (k % 10 + 1) * plan.batch)
        losses.append(step(tg.tensor(x[rows]), tg.tensor(y[rows])).item())
        if schedule and (plan.schedule == "one cycle" or k % 10 == 9):
            schedule.step(*[losses[-1]] * (plan.schedule == "plateau"))
    return digest(model, losses)


def fit(plan: Plan, compiled: bool = True, resumed: Path | None = None) -> str:
    """Train by `tg.fit` for five epochs, the last batches smaller, and return the hash.

    ``resumed``: a file for a checkpoint after two epochs, from which new objects continue.
    """
    x, y = data(plan, plan.batch * 9 + max(plan.batch // 2, 2))
    held_out = data(plan, 50)
    history = History()
    for epochs in (2, EPOCHS) if resumed else (EPOCHS,):
        model, optimizer, schedule = build(plan)
        if len(history):
            tg.manual_seed(0)
            history = History()
            load_checkpoint(resumed, model, optimizer, scheduler=schedule, history=history)
        tg.fit(
            model,
            optimizer,
            (x, y),
            validation=held_out,
            epochs=epochs,
            batch_size=plan.batch,
            loss=LOSSES[plan.loss],
            scheduler=schedule,
            clip_grad=0.5 if plan.clip else None,
            penalty=Penalty(model, l1=1e-4, l2=1e-3) if plan.penalty else None,
            callbacks=[Checkpoint(resumed)] if resumed else (),
            history=history,
            seed=plan.seed,
            progress=False,
            compile=compiled,
        )
    return digest(model, [*history["loss"], *history["val_loss"]])


def digest(model: nn.Module, losses: list[float]) -> str:
    """Return the first 16 digits of the SHA-256 of losses, weights and buffers, all finite."""
    found = hashlib.sha256()
    for array in _arrays(model, losses):
        assert np.isfinite(array).all(), "a NaN has no bits of its own"
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _arrays(model: nn.Module, losses: list[float]) -> Iterator[np.ndarray]:
    yield np.array(losses)
    for value in model.state_dict().values():
        yield value.numpy()


def described(plan: Plan) -> str:
    """Return a plan as text, for a failed test."""
    return json.dumps(plan.__dict__)
