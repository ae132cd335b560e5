"""Wrong arguments and data are named before anything is trained."""

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.train.test_fit import blobs, network, same, weights
from tinygrad_mlp import nn, optim
from tinygrad_mlp.nn import functional as F
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.train.fit import fit


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_loss_that_is_not_finite_stops_before_its_update(batch_norm: bool) -> None:
    x, y = blobs(30)
    model, calls = network(batch_norm=batch_norm), []
    model.register_forward_pre_hook(lambda *_: model.training and calls.append(weights(model)))

    def loss(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
        value = F.cross_entropy(outputs, targets)
        return value * float("nan") if len(calls) == 5 else value

    with pytest.raises(FloatingPointError, match=r"nan in epoch 2, batch 2, with lr=0\.1; .*Lower"):
        fit(
            model,
            optim.SGD(model.parameters(), lr=0.1),
            (x, y),
            loss=loss,
            batch_size=10,
            progress=False,
            compile=False,
        )
    assert same(weights(model), calls[4])
    assert not same(calls[4], calls[3])


X, Y = blobs(30)
BAD = {
    "no pair": ({"data": X}, TypeError, r"data must be a pair, got ndarray"),
    "validation": ({"validation": 3}, TypeError, r"validation must be a pair.*got int"),
    "no rows": ({"data": (X[:0], Y[:0])}, ValueError, r"data has no rows: .*\(0, 2\)"),
    "lengths": ({"data": (X, Y[:9])}, ValueError, r"data: .*\(30, 2\) and y.*\(9,\) differ"),
    "flat": ({"data": (X[:, 0], Y)}, ValueError, r"x of data must be \(rows, features\).*\(30,\)"),
    "strings": ({"data": (X, Y.astype(str))}, TypeError, "y of data must be numbers.*np.unique"),
    "objects": ({"data": (X.astype(str), Y)}, TypeError, r"x of data must be numbers.*astype"),
    "negative": ({"data": (X, Y - 1)}, ValueError, "y of data must be labels from 0 to 2.*got -1 "),
    "too large": ({"data": (X, Y * 2)}, ValueError, "3 outputs, got 4 in row 2; number the"),
    "in validation": ({"validation": (X, Y + 1)}, ValueError, "y of validation.*got 3 in row 2"),
    "one-hot": ({"data": (X, np.eye(3, dtype=int)[Y])}, ValueError, r"\(30, 3\).*y\.argmax\(1\)"),
    "float labels": ({"data": (X, Y * 1.0)}, ValueError, r"labels must be integers: write y.asty"),
    "mixed": ({"validation": (X, X)}, TypeError, "y of validation has dtype float32.*integer lab"),
    "batch_size": ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0; write"),
    "half a batch": ({"batch_size": 2.5}, TypeError, r"batch_size must be an integer, got 2\.5"),
    "no batch": ({"batch_size": 31, "drop_last": True}, ValueError, "leaves no batch.*size=30"),
    "epochs": ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0; write epochs=20"),
    "seed": ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    "metric": ({"metrics": ["acuracy"]}, ValueError, "no metric is called 'acuracy'.*'accuracy'"),
    "metric of values": (
        {"metrics": ["r2"]},
        ValueError,
        r"r2 needs targets of the outputs' shape",
    ),
    "metric of labels": (
        {"metrics": ["accuracy"], "data": (X, X), "validation": None, "loss": F.mse_loss},
        ValueError,
        "accuracy needs outputs of shape",
    ),
    "progress": ({"progress": "no"}, ValueError, "progress must be True, False or"),
    "one row": ({"batch_size": 29}, ValueError, r"BatchNorm1d \('1'\).*batch_size=30 or drop_last"),
    "rows of one": ({"batch_size": 1}, ValueError, "a batch of one row out of 30.*batch_size=2$"),
    "no function": ({"loss": "mse"}, TypeError, "loss must be a function, got 'mse'"),
    "class": ({"scheduler": lr_scheduler.StepLR}, TypeError, "scheduler must be a schedule of the"),
    "name": ({"scheduler": "cosine"}, TypeError, "scheduler must be a schedule .* got 'cosine'"),
    "clip": ({"clip_grad": "1"}, TypeError, "clip_grad must be a number, got '1'"),
    "yes": ({"clip_grad": True}, TypeError, "clip_grad must be a number, got True"),
    "penalty": ({"penalty": 0.1}, TypeError, r"penalty must be a function, got 0\.1"),
    "history": ({"history": []}, TypeError, r"history must be a History, got \[\]"),
    "words": ({"class_weight": ["a"]}, ValueError, "class_weight must be .* 3 finite numbers"),
    "a single row": ({"data": (X[:1], Y[:1])}, ValueError, "out of 1.*pass more rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_before_anything_changed(case: str) -> None:
    changed, error, message = BAD[case]
    model = network(batch_norm=True)
    before = weights(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    arguments = {"data": (X, Y), "validation": (X, Y), "epochs": 1, "progress": False} | changed
    with pytest.raises(error, match=message):
        fit(model, optimizer, **arguments)
    assert same(weights(model), before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_inputs_that_are_not_finite_are_placed(value: float) -> None:
    x = X.astype(np.float64)
    x[7, 1] = value
    model = network()
    with pytest.raises(ValueError, match=r"x of data must be finite in float32.*at \[7, 1\] and 1"):
        fit(model, optim.SGD(model.parameters(), lr=0.1), (x, Y), progress=False)


def test_an_optimizer_that_cannot_train_the_model_is_refused() -> None:
    model = network()
    other = optim.SGD(network().parameters(), lr=0.1)
    for wrong, error, message in [
        (None, TypeError, "must be an Optimizer, got None; write"),
        (optim.SGD, TypeError, "must be an Optimizer, got <class .*SGD.*>; write"),
        (other, ValueError, "an SGD, trains none of the model's parameters"),
    ]:
        with pytest.raises(error, match=message):
            fit(model, wrong, (X, Y), progress=False)
    some = optim.SGD([*list(model.parameters())[:1], *other.param_groups[0]["params"]], lr=0.1)
    assert len(fit(model, some, (X, Y), epochs=1, progress=False)) == 1


def test_a_schedule_of_another_optimizer_is_refused() -> None:
    model = network()
    ours, other = (optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    with pytest.raises(ValueError, match="a StepLR, sets the learning rates of another"):
        fit(model, ours, (X, Y), scheduler=lr_scheduler.StepLR(other, 1), progress=False)


def test_a_plateau_that_waits_for_a_growing_loss_is_refused() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")
    with pytest.raises(ValueError, match='receives the loss, which falls: write mode="min"'):
        fit(model, optimizer, (X, Y), scheduler=scheduler, progress=False)


def test_training_requires_gradients() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with tg.no_grad(), pytest.raises(RuntimeError, match=r"outside of no_grad\(\)"):
        fit(model, optimizer, (X, Y), progress=False)


def test_targets_that_would_broadcast_are_refused() -> None:
    x = np.linspace(-1, 1, 16)[:, None]
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"\(16,\) where.*outputs have \(16, 1\); write y\[:, N"):
        fit(model, optimizer, (x, np.sin(x[:, 0])), progress=False)
    with pytest.raises(ValueError, match=r"\(16, 2\) where.*\(16, 1\); give the last layer one"):
        fit(model, optimizer, (x, np.hstack([x, x])), progress=False)


def test_batch_norm_takes_a_last_batch_of_one_if_it_is_dropped() -> None:
    model = network(batch_norm=True)
    history = fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        (X, Y),
        batch_size=29,
        drop_last=True,
        epochs=1,
        progress=False,
    )
    assert len(history) == 1


def test_the_way_out_that_is_named_is_one() -> None:
    for rows in range(2, 40):
        for size in range(1, 45):
            model, data = network(batch_norm=True), blobs(rows)
            optimizer = optim.SGD(model.parameters(), lr=0.1)
            last = rows % size or min(size, rows)
            if last != 1:
                continue
            with pytest.raises(ValueError, match="BatchNorm1d") as caught:
                fit(model, optimizer, data, batch_size=size, epochs=1, progress=False)
            way_out = str(caught.value).split("batch_size=")[-1].split()[0]
            assert rows % int(way_out) != 1
