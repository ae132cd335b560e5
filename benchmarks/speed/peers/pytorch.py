"""PyTorch, eager and `torch.compile`."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from workload import Workload


def step(workload: Workload, torch: Any, compiled: bool = False) -> Callable[[], object]:
    """Return the step as PyTorch's tutorials write it.

    ``compiled``: forward with loss is one graph, the update another.
    """
    torch.manual_seed(0)
    model = workload.model(torch.nn)
    model.load_state_dict(workload.state(torch.from_numpy), strict=False)
    x, y = map(torch.from_numpy, workload.data())
    maybe_compile = torch.compile if compiled else lambda function: function
    if compiled:
        torch._logging.set_logs(dynamo=logging.ERROR)  # no warnings about code in torch.optim
    if not workload.training:
        infer = maybe_compile(model)
        return torch.inference_mode()(lambda: infer(x))
    optimizer = workload.make_optimizer(torch.optim, model.parameters())
    criterion = workload.criterion(torch.nn)
    loss_of = maybe_compile(lambda x, y: criterion(model(x), y))
    update = maybe_compile(optimizer.step)

    def train_step() -> object:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        update()
        return loss

    return train_step


def has_compiler() -> bool:
    """Whether `torch.compile` finds the C++ compiler that it needs; prints a note if not."""
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    if any(name and shutil.which(name) for name in names):
        return True
    print(
        "torch.compile is not measured: it needs a C++ compiler (c++, g++, clang++)",
        file=sys.stderr,
    )
    return False
