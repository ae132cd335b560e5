"""A course goes over rows, batch after batch: each step of an epoch is one call of a function.

Its data, their order, the cursor along it and the sums are tensors. So a step takes the next batch
by itself, and a program of it can be run many times in a row: see ``runner.py``. Eager or compiled,
it is these functions that train and measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._common.array import Array
from .._tensor import Tensor
from ..autograd.values import from_memory
from ..data.batching import Batches
from ..nn import Module
from ..nn.clip_grad import clip_grad_norm_
from ..ops.create import zeros
from ..ops.elementwise.arithmetic import copy_
from ..ops.fused.epoch_ops import halt_unless_finite_, take_batch
from ..optim import Optimizer
from .metrics import Means, Metric

Loss = Callable[[Tensor, Tensor], Tensor]
Batch = tuple[Tensor, Tensor] | None


class Course:
    """The next batch of ``batches`` (of inputs and targets) through a model, and its loss."""

    def __init__(
        self, model: Module, loss: Loss, metrics: Mapping[str, Metric], batches: Batches
    ) -> None:
        self.model, self.loss, self.size = model, loss, batches.batch_size
        x, y = batches.arrays
        self.x = from_memory(x)
        # A program knows memory by its tensor: what two of them share would be unseen.
        self.y = self.x if y is x else from_memory(y.copy() if np.may_share_memory(x, y) else y)
        self.order = zeros(batches.rows, dtype="int64")
        self.cursor = zeros((), dtype="int64")  # batches that are done
        self.means = Means(metrics)
        self.sums = self.means.sums  # in reach: so that the program prints their names

    def start(self, order: Array) -> None:
        """Go to the first batch, of rows in this order."""
        copy_(self.order, from_memory(order))
        self.cursor.zero_()
        self.means.clear()

    def batch(self, rows: int) -> tuple[Tensor, Tensor]:
        """The inputs and targets of the next batch, of so many rows."""
        given: dict[str, Any] = {"batch": self.size, "rows": rows}
        x: Tensor = take_batch(self.x, self.order, self.cursor, **given)
        y: Tensor = take_batch(self.y, self.order, self.cursor, **given)
        return x, y

    def end(self, loss: Tensor, outputs: Tensor, y: Tensor) -> Batch:
        """Count the batch, and go on; what metrics in Python are to see of it."""
        self.means.add(loss, outputs, y)
        self.cursor.add_(1)
        return (outputs.detach(), y) if self.means.called else None

    def step(self, rows: int) -> Batch:
        """Measure the next ``rows`` rows."""
        x, y = self.batch(rows)
        outputs = self.model(x)
        return self.end(self.loss(outputs, y), outputs, y)


class Training(Course):
    """A course that updates the weights."""

    def __init__(
        self,
        model: Module,
        loss: Loss,
        metrics: Mapping[str, Metric],
        batches: Batches,
        optimizer: Optimizer,
        penalty: Callable[[], Tensor] | None = None,
        clip_grad: float | None = None,
    ) -> None:
        super().__init__(model, loss, metrics, batches)
        self.optimizer, self.stop = optimizer, zeros((), dtype="int64")
        self.penalty, self.clip_grad = penalty, clip_grad
        self.clipped = [p for group in optimizer.param_groups for p in group["params"]]

    def step(self, rows: int) -> Batch:
        """Train on the next ``rows`` rows; NotFinite, and nothing is changed, for such a loss."""
        x, y = self.batch(rows)
        self.optimizer.zero_grad()
        outputs = self.model(x)
        loss = self.loss(outputs, y)
        total = loss if self.penalty is None else loss + self.penalty()
        halt_unless_finite_(self.stop, total)
        total.backward()
        if self.clip_grad is not None:
            clip_grad_norm_(self.clipped, self.clip_grad)
        self.optimizer.step()
        return self.end(loss, outputs, y)
