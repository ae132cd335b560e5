"""tinygrad_mlp, compiled and eager."""

from __future__ import annotations

from collections.abc import Callable

from workload import Workload

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim


def step(workload: Workload, compiled: bool) -> Callable[[], object]:
    """Return the step as a user writes it."""
    tg.manual_seed(0)
    model = workload.model(nn)
    model.load_state_dict(workload.state(tg.tensor), strict=False)
    x, y = map(tg.tensor, workload.data())
    if not workload.training:
        infer = tg.compile(model, disable=not compiled)
        return tg.no_grad()(lambda: infer(x))
    optimizer = workload.make_optimizer(optim, model.parameters())
    criterion = workload.criterion(nn)

    @tg.compile(disable=not compiled)
    def train_step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        optimizer.zero_grad()
        loss: tg.Tensor = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return lambda: train_step(x, y)
