"""`Monitor`: what happens inside a network while it learns, layer by layer.

At sampled epochs a copy of the model computes the loss of a fixed batch, the probe, and its
gradients; a copy of the optimizer makes the update that would follow. The model, the optimizer and
the random generator are not touched, so training has the same bits with and without a monitor, and
its compiled steps run at full speed.
"""

from __future__ import annotations

import copy
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._common.array import Array
from .._common.files import atomic_write
from .._common.validation import check_int
from .._tensor import Tensor
from ..autograd import grad
from ..autograd.modes import enable_grad
from ..nn import DropConnect, Dropout, Ensemble, Module, ReLU, Sigmoid, Tanh
from ..nn import functional as F
from ..ops.create import tensor
from ..ops.random import get_rng_state, set_rng_state
from ..optim import Optimizer
from ..train.callbacks import Callback
from ..train.validation import check_data
from .advice import Warned, advice
from .events import Events

if TYPE_CHECKING:
    from ..train.trainer import Trainer

Record = dict[str, Any]
SLOPES: dict[type[Module], Callable[[Array], Array]] = {
    Sigmoid: lambda out: 4 * out * (1 - out),
    Tanh: lambda out: 1 - out * out,
}
"""The derivative of a saturating activation as a share of its largest value, from the outputs."""

SATURATED = 0.05  # a value is saturated if its slope is below this share of the largest


class Monitor(Callback):
    """Record statistics of layers, weights and gradients on a probe batch, and warn of trouble.

    Pass it to `fit` as a callback, or call `record` in a training loop of your own. Each record has
    the keys ``epoch``, ``loss``, ``gradient_norm`` (of all parameters together) and

    - ``layers``: for each module without submodules, in the order of the calls, its ``name``,
      ``type``, the ``activation`` (the output) and its ``gradient``; ``dead`` for `ReLU`, the
      share of units that are 0 for every row; ``saturated`` for `Sigmoid` and `Tanh`, the share of
      outputs where the slope is below 5 % of its maximum. Both are None for other layers.
    - ``parameters``: for each, its ``name``, ``value``, ``gradient``, and ``update_ratio``: the
      norm of the next update, divided by that of the parameter (about 0.001 is usual).

    Values and gradients are described by ``mean``, ``std``, ``norm``, ``min``, ``max``, and a
    ``histogram`` of ``edges`` and ``counts``; the gradient is that of the mean loss. What there is
    not (the gradient of a frozen parameter) is None.

    The copy computes in training mode, so that batch norm normalises by the probe, but without
    dropout.

    Args:
        probe: (x, y) or a Dataset; some 100 rows are enough.
        loss: a function of (outputs, targets); by default as in `fit`.
        every: the number of epochs between two records of `fit`.
        rows: the number of rows of the probe that are used, its first ones.
        bins: the number of bins of a histogram.
        tensorboard: a folder to write TensorBoard events to, as the run "probe": the graph of the
            network, and the scalars and histograms of each record. `train.TensorBoard` with the
            same folder writes the loss, the metrics and the learning rate. Needs
            ``tinygrad-mlp[tensorboard]``.
        warn: warn of dead ReLUs, saturated units, vanishing or exploding gradients and large
            updates, once for each layer; ``warned`` lists all, with what to do.

    Attributes:
        records: the records, plain dicts and lists.
        warned: dicts of ``epoch``, ``layer``, ``kind`` and ``message``.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> from tinygrad_mlp.data import spiral
    >>> tg.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> monitor = Monitor(spiral(), every=2, warn=False)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> _ = tg.fit(model, optimizer, spiral(), epochs=4, callbacks=[monitor], progress=False)
    >>> monitor.epochs
    [0, 2, 4]
    >>> [layer["name"] for layer in monitor.records[-1]["layers"]]
    ['0', '1', '2']
    >>> len(monitor.series("1", "dead")), len(monitor.series("0", "gradient", "norm"))
    (3, 3)

    Source of the statistics: X. Glorot and Y. Bengio, "Understanding the difficulty of training
    deep feedforward neural networks", AISTATS 2010; the update ratio: Stanford's CS231n, "Learning
    and evaluation".
    """

    def __init__(
        self,
        probe: Any,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        every: int = 1,
        rows: int = 256,
        bins: int = 30,
        warn: bool = True,
        tensorboard: str | os.PathLike[str] | None = None,
    ) -> None:
        self.probe, self.loss, self.warn = probe, loss, warn
        self.every = check_int("every", every, minimum=1, example=1)
        self.rows = check_int("rows", rows, minimum=2, example=256)
        self.bins = check_int("bins", bins, minimum=1, example=30)
        self.records: list[Record] = []
        self.warned: list[Warned] = []
        self.events = None if tensorboard is None else Events(os.path.join(tensorboard, "probe"))

    # --- recording ---

    def on_train_begin(self, trainer: Trainer) -> None:
        """Record the state before the first epoch."""
        if not self.records or self.records[-1]["epoch"] != len(trainer.history):
            self.record(trainer.model, trainer.optimizer, len(trainer.history))

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Record the state after every ``every``-th epoch."""
        if len(trainer.history) % self.every == 0:
            self.record(trainer.model, trainer.optimizer, len(trainer.history))

    def on_train_end(self, trainer: Trainer) -> None:
        """Close the TensorBoard events."""
        self.close()

    def close(self) -> None:
        """Close the TensorBoard events, after a training loop of your own."""
        if self.events is not None:
            self.events.close()

    def record(
        self, model: Module, optimizer: Optimizer | None = None, epoch: int | None = None
    ) -> Record:
        """Add a record of the present state of ``model``, and return it.

        Args:
            optimizer: that of the model; without it ``update_ratio`` is None.
            epoch: the number of the record; by default the next one.
        """
        epoch = len(self.records) if epoch is None else epoch
        samples = check_data("probe", self.probe, model)
        x, y = tensor(samples.x[: self.rows]), tensor(samples.y[: self.rows])
        loss = self.loss or (F.cross_entropy if samples.labels else F.mse_loss)
        state = get_rng_state()
        try:
            with enable_grad():
                twin, twin_optimizer = copy.deepcopy((model, optimizer))
                found = self._measure(twin, twin_optimizer, lambda: loss(twin(x), y))
        finally:
            set_rng_state(state)
        record = {"epoch": epoch} | found
        self.records.append(record)
        if self.events is not None:
            if len(self.records) == 1:
                self.events.graph(model, x)
            self.events.record(record)
        self._advise(record)
        return record

    def _measure(
        self, model: Module, optimizer: Optimizer | None, loss_of: Callable[[], Tensor]
    ) -> Record:
        """Return a record, without its epoch, of a model and an optimizer that may be changed."""
        model.train()
        names = {id(module): name for name, module in model.named_modules()}
        outputs: list[tuple[Module, Tensor]] = []

        def keep(module: Module, args: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                outputs.append((module, out))

        for module in model.modules():
            for hooks in module._hooks.values():
                hooks.clear()
            one = getattr(module, "options", module)  # of an ensemble's layer: the layer of one
            if isinstance(module, Dropout | DropConnect) or isinstance(one, Dropout | DropConnect):
                module.eval()
            if not any(True for _ in module.children()):
                module.register_forward_hook(keep)
        loss, axis = loss_of(), 1 if isinstance(model, Ensemble) else 0
        parameters = dict(model.named_parameters())
        wanted = [*(out for _, out in outputs), *parameters.values()]
        known = {id(value): value for value in wanted if value.requires_grad}
        found = grad(loss, list(known.values()), allow_unused=True) if known else ()
        gradients = dict(zip(known, found, strict=True))
        ratios = _update_ratios(parameters, gradients, optimizer)
        own = [gradients.get(id(value)) for value in parameters.values()]
        squares = [float((array.astype(np.float64) ** 2).sum()) for array in _arrays(own)]
        return {
            "loss": float(loss.item()),
            "gradient_norm": math.sqrt(sum(squares)),
            "layers": [
                self._layer(names[id(module)], module, out, gradients.get(id(out)), axis)
                for module, out in outputs
            ],
            "parameters": [
                {
                    "name": name,
                    "value": self._describe(value),
                    "gradient": self._describe(gradients.get(id(value))),
                    "update_ratio": ratios.get(name),
                }
                for name, value in parameters.items()
            ],
        }

    def _layer(
        self, name: str, module: Module, out: Tensor, gradient: Tensor | None, axis: int
    ) -> Record:
        """Return the record of a layer; ``axis`` is that of the rows."""
        array = out.detach().numpy()
        dead = saturated = None
        if isinstance(module, ReLU):
            dead = float((array == 0).all(axis=axis).mean())
        if slope := SLOPES.get(type(module)):
            saturated = float((slope(array) < SATURATED).mean())
        return {
            "name": name,
            "type": type(module).__name__,
            "activation": self._describe(out),
            "gradient": self._describe(gradient),
            "dead": dead,
            "saturated": saturated,
        }

    def _describe(self, value: Tensor | None) -> Record | None:
        """Return the statistics of a tensor, in float64; inf and nan do not count in histograms."""
        if value is None or not value.numel():
            return None
        array = value.detach().numpy().astype(np.float64).reshape(-1)
        finite = array[np.isfinite(array)]
        counts, edges = np.histogram(finite, bins=self.bins)
        histogram = {"edges": edges.tolist(), "counts": counts.tolist()}
        with np.errstate(invalid="ignore", over="ignore"):
            numbers: Record = {
                "mean": float(array.mean()),
                "std": float(array.std()),
                "norm": float(np.sqrt((array**2).sum())),
                "min": float(array.min()),
                "max": float(array.max()),
            }
        return numbers | {"histogram": histogram}

    def _advise(self, record: Record) -> None:
        """Warn of what is wrong in a record and was not warned of before."""
        before = {(each["layer"], each["kind"]) for each in self.warned}
        for each in advice(record):
            if (each["layer"], each["kind"]) not in before:
                self.warned.append(each)
                if self.warn:
                    warnings.warn(f"epoch {each['epoch']}: {each['message']}", stacklevel=3)

    # --- reading ---

    @property
    def epochs(self) -> list[int]:
        """The epochs of the records."""
        return [record["epoch"] for record in self.records]

    def series(self, name: str, *keys: str) -> list[Any]:
        """Return a value of a layer or a parameter, record by record.

        Args:
            name: the name of a layer, such as "0", or of a parameter, such as "0.weight".
            keys: the way to the value, such as "dead", or "gradient", "norm".

        Raises:
            KeyError: there is no layer or parameter of this name, or no such value.

        >>> from tinygrad_mlp import nn
        >>> monitor = Monitor(([[1.0], [2.0]], [0, 1]))
        >>> _ = monitor.record(nn.Sequential(nn.Linear(1, 2)))
        >>> monitor.series("0.weight", "update_ratio")
        [None]
        """
        values = []
        for record in self.records:
            value = next((each for each in _named(record) if each["name"] == name), None)
            if value is None:
                known = ", ".join(each["name"] for each in _named(record))
                raise KeyError(f"monitor has no {name!r}; it has {known}")
            for key in keys:
                if key not in value:
                    raise KeyError(f"{name!r} has no {key!r}; it has {', '.join(value)}")
                value = value[key]
            values.append(value)
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"records": [...], "warned": [...]}`` for JSON; inf and nan become None."""
        plain: dict[str, Any] = _finite({"records": self.records, "warned": self.warned})
        return plain

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as JSON to ``path``, atomically."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n")


def _update_ratios(
    parameters: Mapping[str, Tensor], gradients: Mapping[int, Tensor | None], optimizer: Any
) -> dict[str, float]:
    """Return by name the norm of each parameter's update divided by the parameter's norm."""
    if optimizer is None:
        return {}
    before = {name: value.detach().clone() for name, value in parameters.items()}
    for value in parameters.values():
        value.grad = gradients.get(id(value))
    optimizer.step()
    ratios = {}
    for name, old in before.items():
        norm = float(old.norm().item())
        change = float((parameters[name].detach() - old).norm().item())
        if norm and parameters[name].grad is not None:
            ratios[name] = change / norm
    return ratios


def _arrays(values: Sequence[Tensor | None]) -> Iterator[Array]:
    return (value.detach().numpy() for value in values if value is not None)


def _named(record: Record) -> list[Record]:
    """Return the layers and the parameters of a record."""
    return [*record["layers"], *record["parameters"]]


def _finite(value: Any) -> Any:
    """Return plain data with None for inf and nan."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
