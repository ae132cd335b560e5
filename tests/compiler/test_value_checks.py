"""Checks of values: a compiled step raises what eager mode raises, and leaves all state alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.ops.fused.epoch_ops import halt_unless_finite_, take_batch
from tinygrad_mlp.train.fit import fit

FEATURES, CLASSES, ROWS = 3, 4, 6


class Case(NamedTuple):
    """A loss that checks an argument; right and wrong values of it; the error of the wrong ones."""

    loss: Callable[[tg.Tensor, tg.Tensor], tg.Tensor]
    right: Any
    wrong: Any
    error: type[Exception]
    message: str


def integers(op: Callable[[tg.Tensor, tg.Tensor], Any]) -> Callable[..., tg.Tensor]:
    """A loss that holds ``op`` of integers, which has no gradient."""
    numbers = tg.tensor([7, -7, 9, 4, 5, 6])
    return lambda out, y: (out.mean(1) * op(numbers, y).float()).sum()


def take_rows(out: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    return (
        take_batch(out.detach(), y, tg.zeros((), dtype="int64"), batch=6, rows=6).sum() + out.sum()
    )


LABELS = [0, 1, 2, 3, 0, 1]
POWERS = [1, 2, 3, 0, 1, 2]
ONE_COLUMN = [[0.0], [1.0], [0.5], [0.25], [1.0], [0.0]]
DIVISION = "integer division or modulo by zero"
NEGATIVE = "Integers to negative integer powers are not allowed: use x.float() ** y"
CASES = {
    "cross_entropy": Case(
        F.cross_entropy,
        LABELS,
        [0, 1, 4, 3, -1, 1],
        IndexError,
        "cross_entropy: target[2] is 4, but `input` of shape (6, 4) has 4 classes: labels are 0 to "
        "3, or ignore_index (-100)",
    ),
    "nll_loss": Case(
        lambda out, y: F.nll_loss(F.log_softmax(out, 1), y, ignore_index=9),
        [9, 1, 2, 3, 0, 1],
        [9, 1, 2, 3, 0, -100],
        IndexError,
        "nll_loss: target[5] is -100, but `input` of shape (6, 4) has 4 classes: labels are 0 to "
        "3, or ignore_index (9)",
    ),
    "binary_cross_entropy of targets": Case(
        lambda out, y: F.binary_cross_entropy(out[:, :1].sigmoid(), y),
        ONE_COLUMN,
        [*ONE_COLUMN[:5], [1.5]],
        ValueError,
        "binary_cross_entropy: `target` must be probabilities from 0 to 1, but holds 1.5; 0 and 1 "
        "stand for the two classes",
    ),
    "binary_cross_entropy of inputs": Case(
        lambda out, y: F.binary_cross_entropy(out[:, :1].sigmoid() + y, tg.zeros(6, 1)),
        [[0.0]] * 6,
        [[0.0], [2.0], [math.nan], [0.0], [0.0], [0.0]],
        ValueError,
        "binary_cross_entropy: `input` must be probabilities from 0 to 1, but holds ",
    ),
    "nan is not a probability": Case(
        lambda out, y: F.binary_cross_entropy(out[:, :1].sigmoid(), y),
        ONE_COLUMN,
        [[math.nan], *ONE_COLUMN[1:]],
        ValueError,
        "binary_cross_entropy: `target` must be probabilities from 0 to 1, but holds nan; 0 and 1 "
        "stand for the two classes",
    ),
    "//": Case(integers(lambda x, y: x // y), POWERS[:3] * 2, POWERS, ZeroDivisionError, DIVISION),
    "%": Case(integers(lambda x, y: x % y), POWERS[:3] * 2, POWERS, ZeroDivisionError, DIVISION),
    "//=": Case(
        integers(lambda x, y: x.clone().floor_divide_(y)),
        POWERS[:3] * 2,
        POWERS,
        ZeroDivisionError,
        DIVISION,
    ),
    "%=": Case(
        integers(lambda x, y: x.clone().remainder_(y)),
        POWERS[:3] * 2,
        POWERS,
        ZeroDivisionError,
        DIVISION,
    ),
    "**": Case(integers(lambda x, y: x**y), POWERS, [-1] * 6, RuntimeError, NEGATIVE),
    "**=": Case(integers(lambda x, y: x.clone().pow_(y)), POWERS, [-1] * 6, RuntimeError, NEGATIVE),
    "index": Case(
        lambda out, y: out[:, y].sum(),
        [0, 3, -4, 1, 2, -1],
        [0, 3, -4, 1, -5, 4],
        IndexError,
        "index -5 is out of range for an axis of size 4: -4 to 3",
    ),
    "gather": Case(
        lambda out, y: out.gather(1, y.reshape(6, 1)).sum(),
        LABELS,
        [0, 1, 2, 3, 0, 7],
        IndexError,
        "index 7 is out of range for an axis of size 4: -4 to 3",
    ),
    "index_select": Case(
        lambda out, y: out.index_select(0, y).sum(),
        [0, 1, 2, 3, 4, 5],
        [0, 1, 2, 6, 4, 5],
        IndexError,
        "index 6 is out of range for an axis of size 6: -6 to 5",
    ),
    "one_hot": Case(
        lambda out, y: (out * F.one_hot(y, CLASSES).float()).sum(),
        LABELS,
        [0, 1, 2, 3, 0, 4],
        ValueError,
        "one_hot: `tensor` holds the label 4; with 4 classes labels are 0 to 3",
    ),
    "take_batch": Case(
        take_rows,
        [0, 1, 2, 3, 4, 5],
        [0, 1, 2, 3, 4, 6],
        IndexError,
        "take_batch: order has rows 0 to 6, x has 6",
    ),
}


class Counted(nn.Module):
    """A buffer that is written, then read, before the loss is known."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", tg.zeros(()))

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        with tg.no_grad():
            self.count.add_(1)
        return x * self.count.sign()


class Training:
    """A model with all sorts of state, its optimizer, and a step."""

    def __init__(self, loss: Callable[..., Any]):
        tg.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), Counted(),
            nn.Linear(8, CLASSES),
        )  # fmt: skip
        self.optimizer = optim.AdamW(self.model.parameters(), lr=0.1, amsgrad=True)
        self.loss = loss

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> list[Any]:
        """All that a step changes, by its bits."""
        states = [self.optimizer.state[p] for p in self.model.parameters()]
        tensors = [*self.model.state_dict().values(), *(v for s in states for v in s.values())]
        return [t.numpy().tobytes() for t in (*tensors, tg.get_rng_state())]


X = tg.tensor(np.random.default_rng(0).standard_normal((ROWS, FEATURES)).astype(np.float32))


def raised(function: Callable[[], object]) -> tuple[type[Exception], str]:
    """The error of a call."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - compared by its caller
        function()
    return caught.type, str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_step_raises_as_eager_mode_and_changes_nothing(name: str) -> None:
    case = CASES[name]
    right, wrong = tg.tensor(case.right), tg.tensor(case.wrong)
    eager = Training(case.loss)
    for _ in range(3):
        eager.step(X, right)
    wanted, rng = eager.state(), tg.get_rng_state()

    training = Training(case.loss)
    step = tg.compile(training.step)
    for _ in range(3):
        step(X, right)
    assert training.state() == wanted
    error = raised(lambda: step(X, wrong))
    assert error[0] is case.error
    assert error[1].startswith(case.message)
    assert training.state() == wanted
    assert all(p.grad is None for p in training.model.parameters())
    assert step.captures == 1, "the error is that of the program"
    step(X, right)
    after = training.state()

    tg.set_rng_state(rng)
    eager.step(X, right)
    assert eager.state() == after, "the step after it is as if nothing had been"
    rng = tg.get_rng_state()
    error = raised(lambda: eager.step(X, wrong))
    tg.set_rng_state(rng)
    assert raised(lambda: step(X, wrong)) == error


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_error_is_that_of_eager_mode(threads: int) -> None:
    """Both arguments are wrong: the target could be looked at long before the input is made."""

    def loss(out, y):
        return F.binary_cross_entropy(out[:, :1].sigmoid() + y, y)

    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        training = Training(loss)
        step = tg.compile(training.step)
        for _ in range(2):
            step(X, tg.zeros(6, 1))
        for value in (2.0, -3.0, 2.0):
            wrong = tg.full((6, 1), value)
            with pytest.raises(ValueError, match="`input` must be probabilities"):
                step(X, wrong)
        step(X, tg.zeros(6, 1))
    finally:
        tg.set_num_threads(before)


def test_python_numbers_are_checked_where_they_are_written() -> None:
    x = tg.tensor([4, 5])
    for function, error in (
        (lambda: x // 0, ZeroDivisionError),
        (lambda: x % 0, ZeroDivisionError),
        (lambda: x // np.int64(0), ZeroDivisionError),
        (lambda: x // np.array([1, 0]), ZeroDivisionError),
        (lambda: x // False, ZeroDivisionError),
        (lambda: 7 // (x - 4), ZeroDivisionError),
        (lambda: x ** (-1), RuntimeError),
        (lambda: 2 ** (x - 5), RuntimeError),
    ):
        with pytest.raises(error):
            function()
        with pytest.raises(error):
            tg.compile(function)()
    assert (x // 2).tolist() == [2, 2]
    assert (x // 0.0).tolist() == [math.inf, math.inf]
    assert (x.float() % 0).isnan().all()
    assert (x.double() ** -1).tolist() == [0.25, 0.2]


def test_updates_before_a_check_are_undone_too() -> None:
    """Two updates in a step, and the second loss is wrong: the step is all or nothing."""
    first, second = nn.Linear(2, 1), nn.Linear(1, 1)
    one = optim.SGD(first.parameters(), lr=0.5, momentum=0.9)
    other = optim.SGD(second.parameters(), lr=0.5)

    @tg.compile
    def step(x, y):
        one.zero_grad()
        first(x).square().sum().backward()
        one.step()
        other.zero_grad()
        p = second(first(x).detach()).sigmoid() + y
        F.binary_cross_entropy(p, tg.ones(4, 1)).backward()
        other.step()

    x, zero = tg.ones(4, 2), tg.zeros(4, 1)
    for _ in range(3):
        step(x, zero)
    parameters = [*first.parameters(), *second.parameters()]
    before = [p.tolist() for p in parameters]
    momentum = [s["momentum_buffer"].tolist() for s in one.state.values()]
    with pytest.raises(ValueError, match="`input` must be probabilities"):
        step(x, zero + 2)
    assert [p.tolist() for p in parameters] == before
    assert [s["momentum_buffer"].tolist() for s in one.state.values()] == momentum
    step(x, zero)
    assert [p.tolist() for p in parameters] != before


def test_an_argument_that_is_written_is_restored() -> None:
    @tg.compile
    def step(x, y):
        with tg.no_grad():
            x.add_(1)
        return F.binary_cross_entropy(x, y)

    x, y = tg.zeros(3), tg.ones(3)
    step(x, y)
    assert x.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"holds 2\.0"):
        step(x, y)
    assert x.tolist() == [1, 1, 1]


FIT = {
    "labels": (F.cross_entropy, lambda y: y % CLASSES, CLASSES, IndexError, "is 4, but `input`"),
    "probabilities": (
        lambda out, y: F.binary_cross_entropy(out.mean(1).sigmoid(), y),
        lambda y: (y % 2).astype(np.float32),
        1.5,
        ValueError,
        "`target` must be probabilities from 0 to 1, but holds 1.5",
    ),
}


@pytest.mark.parametrize("name", FIT)
def test_an_epoch_of_fit_ends_at_the_batch_with_an_error(name: str) -> None:
    """It leaves the state that the batches before it made: here, batches of 4, five of them."""
    loss, targets, bad, error, message = FIT[name]
    x = np.random.default_rng(1).standard_normal((40, FEATURES)).astype(np.float32)
    y = targets(np.arange(40))
    wrong = y.copy()
    wrong[22] = bad
    given = {"loss": lambda out, y: loss(out, y), "epochs": 1, "batch_size": 4, "shuffle": False}

    def trained(y: Any, rows: int, **options: Any) -> list[Any]:
        training = Training(loss)
        data = x[:rows], y[:rows]
        if rows == 40:
            with pytest.raises(error, match=message):
                fit(training.model, training.optimizer, data, progress=False, **given, **options)
        else:
            fit(training.model, training.optimizer, data, progress=False, **given, **options)
        return training.state()

    wanted = trained(y, 20, compile=False)
    assert trained(wrong, 40, compile=True) == wanted
    assert trained(wrong, 40, compile=False) == wanted


def test_values_that_would_have_to_leave_the_step_are_refused() -> None:
    y = tg.tensor([0, 1])
    for function in (lambda: F.one_hot(y), lambda: halt_unless_finite_(y[0], tg.ones(()).item())):
        with pytest.raises(tg.CaptureError, match="takes a value out of the step"):
            tg.compile(function)()
