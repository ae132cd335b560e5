"""What goes wrong in an epoch: the same error as in eager training, and the state as before."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.train.epochs import (
    CLASSES,
    FEATURES,
    Opaque,
    Outcome,
    Tenfold,
    adam,
    both,
    labelled,
    network,
    valued,
)
from tinygrad_mlp import nn, optim
from tinygrad_mlp.autograd import modes
from tinygrad_mlp.train.fit import fit


def too_large(batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are met in order, one of which (in this batch, from 1) makes the loss nan."""
    x, y = labelled()
    x[8 * (batch - 1) + 3] = 3e38  # times ten is inf: see `Tenfold`
    return x, y


def delicate() -> nn.Module:
    return nn.Sequential(Tenfold(), network())


@pytest.mark.parametrize("batch", [1, 2, 5, 7])
@pytest.mark.parametrize("model", [delicate, Opaque])
def test_a_loss_that_is_not_finite(batch: int, model: Callable[[], nn.Module]) -> None:
    """In the captured step, in the program and in that of the last batch: as if never met."""
    failed = both(model=model, data=lambda seed=0: too_large(batch), validation=None, shuffle=False)
    assert (
        f"nan in epoch 1, batch {batch}, with lr=0.01; this batch changed nothing" in failed.error
    )
    assert all(p.grad is None for p in failed.model.parameters())


def test_a_loss_that_is_not_finite_in_the_second_program() -> None:
    """The last batch is a program of its own from the second epoch on."""

    def growing(m: nn.Module) -> optim.Optimizer:
        return optim.SGD(m.parameters(), lr=1e12)

    failed = both(
        optimizer=growing,
        model=lambda: nn.Linear(FEATURES, 2),
        data=valued,
        epochs=9,
        batch_size=50,
        validation=None,
    )
    assert "the loss became" in failed.error
    assert "epoch 2" in failed.error, "not in the batches that are captured"


def test_with_batch_norm_nothing_of_the_batch_is_remembered() -> None:
    failed = both(model=delicate, data=lambda seed=0: too_large(4), validation=None, shuffle=False)
    before = Outcome(
        True,
        model=delicate,
        data=lambda seed=0: tuple(part[:24] for part in labelled()),
        validation=None,
        shuffle=False,
        epochs=1,
    )
    found, wanted = failed.parts()[3], before.parts()[3]
    assert found == wanted
    assert found["1.1.num_batches_tracked"] == 3


def test_error_names_the_label_out_of_range_in_its_batch() -> None:
    """A loss of one's own is not held against the labels beforehand."""
    x, y = labelled()
    y[8 * 3 + 5] = CLASSES
    for compile in (True, False):
        tg.manual_seed(0)
        model = network()
        with pytest.raises(IndexError, match=rf"target\[5\] is {CLASSES}"):
            fit(
                model,
                adam(model),
                (x, y),
                batch_size=8,
                shuffle=False,
                progress=False,
                loss=nn.CrossEntropyLoss(),
                compile=compile,
            )
        assert model[1].num_batches_tracked.item() == 3


def test_training_goes_on_after_such_a_loss() -> None:
    """The flag that ended one program does not end the next."""
    tg.manual_seed(0)
    model = delicate()
    optimizer = adam(model)
    options = {"epochs": 2, "batch_size": 8, "progress": False, "shuffle": False}
    with pytest.raises(FloatingPointError, match="batch 4"):
        fit(model, optimizer, too_large(4), **options)
    assert len(fit(model, optimizer, labelled(), **options)) == 2


def test_a_capture_error_of_the_model_itself_is_no_reason_to_go_on() -> None:
    """It came before the step had ended: to go on without compiling would skip a batch."""
    calls = []

    class Refusing(nn.Linear):
        def forward(self, x):
            if modes.recording() is not None and not calls:
                calls.append(x)
                raise tg.CaptureError("not this model")
            return super().forward(x)

    model = Refusing(FEATURES, CLASSES)
    with pytest.raises(tg.CaptureError, match="not this model"):
        fit(model, adam(model), labelled(), epochs=50, progress=False)


class Centred(nn.Module):
    """Subtracts a running mean that its own batch has moved: read before the loss is known."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)
        self.register_buffer("mean", tg.zeros(FEATURES))

    def forward(self, x):
        if self.training:
            with tg.no_grad():
                self.mean.mul_(0.5).add_(x.mean(0) * 0.5)
        return self.layer(10 * x - self.mean)


def peeking(outputs: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    loss = F.cross_entropy(outputs, y)
    return loss * 2 if loss.item() > 0.9 else loss


def counting() -> Callable[[tg.Tensor, tg.Tensor], tg.Tensor]:
    calls = 0

    def loss(outputs: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        nonlocal calls
        calls += 1
        return F.cross_entropy(outputs, y) * (1 + 0.1 * calls)

    return loss


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(FEATURES, CLASSES), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


FACTOR = 1.0


def grown(outputs: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    return F.cross_entropy(outputs, y) * FACTOR


def Growing() -> Callable[[optim.Optimizer], object]:
    """Makes a schedule of what the loss is multiplied by."""

    class Schedule:
        def __init__(self, optimizer: optim.Optimizer) -> None:
            global FACTOR
            FACTOR = 1.0

        def step(self) -> None:
            global FACTOR
            FACTOR *= 1.5

    return Schedule


def hooked() -> nn.Module:
    model = network()
    model[0].register_forward_hook(lambda module, args, out: out * 0.5)
    return model


def hooked_parameter() -> nn.Module:
    model = network()
    model[0].weight.register_hook(lambda g: g * 0.5)
    return model


FALLBACKS = {
    "item": ({"loss": lambda: peeking}, r"item\(\) takes a value out.*in peeking, .*compile=False"),
    "counting": ({"loss": counting}, "a step changes the Python value calls"),
    "attribute": ({"model": lambda: Counting}, "a step changes the Python value self.model"),
    "again": ({"scheduler": Growing, "loss": lambda: grown, "epochs": lambda: 9}, "keep changing"),
    "hooks": ({"model": lambda: hooked}, r"module '0' \(Linear\) has hooks"),
    "parameter": ({"model": lambda: hooked_parameter}, r"parameter '0.weight' has hooks"),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_cannot_be_captured_runs_in_python_with_one_warning(name: str) -> None:
    made, message = FALLBACKS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        native = Outcome(True, **{key: make() for key, make in made.items()})
    (warning,) = caught
    assert str(warning.message).startswith("fit runs each batch in Python")
    with pytest.warns(UserWarning, match=message):
        warnings.warn_explicit(warning.message, UserWarning, "", 0)
    python = Outcome(False, **{key: make() for key, make in made.items()})
    assert native.parts() == python.parts()


def test_a_buffer_that_is_read_before_the_loss_is_put_back_too() -> None:
    data = {"data": lambda seed=0: too_large(4), "validation": None, "shuffle": False}
    native = Outcome(True, model=Centred, **data)
    assert "batch 4" in native.error
    assert native == Outcome(False, model=Centred, **data)
    assert np.isfinite(native.parts()[3]["mean"]).all()
