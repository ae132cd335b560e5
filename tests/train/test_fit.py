import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp._common.random import generator
from tinygrad_mlp.data import Batches, spiral
from tinygrad_mlp.nn import functional as F
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.train.fit import evaluate, fit

Array = np.ndarray


def blobs(rows: int = 37, classes: int = 3, seed: int = 0) -> tuple[Array, Array]:
    """Rows about one centre for each class, as read-only arrays."""
    random = generator(seed, "blobs")
    y = np.arange(rows) % classes
    x = (random.standard_normal((rows, 2)) + 4 * np.eye(classes, 2)[y]).astype(np.float32)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def network(dropout: float = 0.0, batch_norm: bool = False) -> nn.Module:
    tg.manual_seed(0)
    norm = [nn.BatchNorm1d(8)] if batch_norm else []
    return nn.Sequential(nn.Linear(2, 8), *norm, nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def weights(model: nn.Module) -> dict[str, Array]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def same(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


# --- what it computes ---------------------------------------------------------------------------


def test_fit_is_the_textbook_loop() -> None:
    random = generator(0, "line")
    x = random.standard_normal((10, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 0.1 * random.standard_normal((10, 1))
    model = nn.Linear(3, 1).double()
    w, b = (p.detach().numpy().copy() for p in model.parameters())  # (1, 3) and (1,)

    history = fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        (x, y),
        epochs=3,
        batch_size=4,
        seed=5,
        progress=False,
    )

    for epoch in range(3):
        total = 0.0
        for xb, yb in Batches((x, y), 4, seed=5).epoch(epoch + 1):
            error = xb @ w.T + b - yb  # (N, 1)
            total += (error**2).sum()
            w -= 0.1 * 2 / len(xb) * error.T @ xb
            b -= 0.1 * 2 / len(xb) * error.sum(axis=0)
        assert history["loss"][epoch] == pytest.approx(total / 10, rel=1e-12)
    np.testing.assert_allclose(model.weight.detach().numpy(), w, rtol=1e-12)
    np.testing.assert_allclose(model.bias.detach().numpy(), b, rtol=1e-12)


def test_losses_and_metrics_are_means_over_rows_not_over_batches() -> None:
    x, y = blobs(37)
    model = network()
    logits = model(tg.tensor(x)).detach().numpy().astype(np.float64)
    log_sum = np.log(np.exp(logits).sum(axis=1))
    history = fit(
        model,
        optim.SGD(model.parameters(), lr=1e-12),
        (x, y),
        epochs=1,
        batch_size=8,
        progress=False,
    )
    assert history["loss"] == [pytest.approx((log_sum - logits[range(37), y]).mean(), rel=1e-5)]
    assert history["accuracy"] == [pytest.approx((logits.argmax(axis=1) == y).mean())]


def test_a_history_has_a_row_for_each_epoch() -> None:
    x, y = blobs()
    model = network()
    history = fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        (x, y),
        validation=blobs(20, seed=1),
        epochs=4,
        progress=False,
    )
    assert history.names == (
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "lr",
        "seconds",
        "samples_per_second",
    )
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["lr"] == [0.1] * 4
    assert history["loss"][-1] < history["loss"][0]
    for row in history:
        assert row["seconds"] > 0
        assert row["samples_per_second"] == pytest.approx(37 / row["seconds"])


def test_validation_is_what_evaluate_gives() -> None:
    model, held_out = network(dropout=0.5, batch_norm=True), blobs(20, seed=1)
    history = fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        blobs(),
        validation=held_out,
        epochs=2,
        batch_size=10,
        progress=False,
    )
    measured = evaluate(model, held_out, batch_size=7)
    assert history.last["val_loss"] == pytest.approx(measured["loss"], rel=1e-6)
    assert history.last["val_accuracy"] == measured["accuracy"]


def test_evaluate_changes_nothing() -> None:
    model = network(dropout=0.5, batch_norm=True)
    before = weights(model)
    first, second = evaluate(model, blobs()), evaluate(model, blobs())
    assert first == second
    assert same(weights(model), before)
    assert all(p.grad is None for p in model.parameters())
    assert all(module.training for module in model.modules())


def test_a_seed_decides_everything() -> None:
    def run(seed: int) -> dict[str, Array]:
        model = network(dropout=0.5, batch_norm=True)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        fit(model, optimizer, blobs(), epochs=3, batch_size=8, seed=seed, progress=False)
        return weights(model)

    assert same(run(0), run(0))
    assert not same(run(0), run(1))


def test_without_shuffle_the_seed_decides_nothing() -> None:
    def run(seed: int) -> dict[str, Array]:
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        fit(
            model,
            optimizer,
            blobs(),
            epochs=2,
            batch_size=9,
            seed=seed,
            shuffle=False,
            progress=False,
        )
        return weights(model)

    assert same(run(0), run(1))


def test_drop_last_leaves_the_last_rows_out() -> None:
    model, met = network(), []

    def spy(outputs: Array, targets: Array) -> float:
        met.append(len(targets))
        return 0.0

    fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        blobs(37),
        epochs=1,
        batch_size=10,
        drop_last=True,
        metrics=[spy],
        progress=False,
    )
    assert met == [10, 10, 10]


# --- what it takes ------------------------------------------------------------------------------


def test_arrays_lists_tensors_and_datasets_are_the_same_data() -> None:
    dataset = spiral(points=10)
    x, y = dataset
    pairs = [
        dataset,
        (x, y),
        [x.tolist(), y.tolist()],
        (x.astype(np.float64), y.astype(np.uint8)),
        (tg.tensor(x), tg.tensor(y)),
    ]
    results = []
    for pair in pairs:
        model = network()
        fit(model, optim.SGD(model.parameters(), lr=0.1), pair, epochs=2, progress=False)
        results.append(weights(model))
    assert all(same(results[0], result) for result in results[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_are_cast_to_the_dtype_of_the_model(dtype: type) -> None:
    model = network().double() if dtype == np.float64 else network()
    seen = []

    def loss(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
        seen.append(outputs.numpy() if not outputs.requires_grad else outputs.detach().numpy())
        return F.cross_entropy(outputs, targets)

    x, y = blobs()
    fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        (np.rint(x).astype(np.int8), y),
        loss=loss,
        epochs=1,
        progress=False,
    )
    assert seen
    assert {outputs.dtype for outputs in seen} == {np.dtype(dtype)}


def test_a_loss_and_metrics_of_the_user() -> None:
    def worst(outputs: Array, targets: Array) -> float:
        return float(np.abs(outputs - targets).max())

    x = np.linspace(-1, 1, 16)[:, None]
    model = nn.Linear(1, 1)
    history = fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        (x, 3 * x),
        epochs=200,
        loss=lambda outputs, targets: (outputs - targets).abs().mean(),
        metrics=[worst],
        progress=False,
    )
    assert history.names[:3] == ("epoch", "loss", "worst")
    assert history.last["worst"] < 0.3 < history["worst"][0]
    values = model(tg.tensor(x.astype(np.float32))).detach().numpy()
    assert evaluate(model, (x, 3 * x), metrics=[worst])["worst"] == pytest.approx(
        np.abs(values - 3 * x).max(), abs=1e-5
    )


def test_values_have_no_accuracy() -> None:
    x = np.linspace(-1, 1, 16)[:, None]
    assert evaluate(nn.Linear(1, 1), (x, x)).keys() == {"loss"}


# --- schedulers ---------------------------------------------------------------------------------


def learning_rates(scheduler: object, optimizer: optim.Optimizer, model: nn.Module) -> list[float]:
    history = fit(
        model,
        optimizer,
        blobs(40),
        validation=blobs(40),
        epochs=4,
        batch_size=10,
        scheduler=scheduler,
        progress=False,
    )
    return history["lr"]


def test_a_scheduler_steps_after_each_epoch() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.8)
    scheduler = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    assert learning_rates(scheduler, optimizer, model) == [0.8, 0.8, 0.4, 0.4]


def test_one_cycle_steps_after_each_batch() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=17)
    rates = learning_rates(scheduler, optimizer, model)
    assert rates[0] == pytest.approx(0.04)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.04 / 10_000)


def test_plateau_is_stepped_with_the_validation_loss() -> None:
    calls = []

    class Spy(lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics: float) -> None:
            calls.append(metrics)
            super().step(metrics)

    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    options = {"epochs": 2, "scheduler": Spy(optimizer), "progress": False}
    history = fit(model, optimizer, blobs(), validation=blobs(seed=1), **options)
    assert calls == history["val_loss"]
    history = fit(model, optimizer, blobs(), **options)
    assert calls[2:] == history["loss"]


def test_plateau_lowers_the_learning_rate_of_the_next_epoch() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=1e-30)  # a loss that does not move
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0, eps=0.0)
    assert learning_rates(scheduler, optimizer, model) == pytest.approx(
        [1e-30, 1e-30, 1e-31, 1e-32], rel=1e-9, abs=0
    )


# --- modes --------------------------------------------------------------------------------------


def test_modes_are_set_and_each_put_back() -> None:
    model = network(batch_norm=True)
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(module.training))
    model.eval()
    model[1].train()
    fit(
        model,
        optim.SGD(model.parameters(), lr=0.1),
        blobs(20),
        validation=blobs(20),
        epochs=2,
        batch_size=10,
        progress=False,
        compile=False,
    )
    assert seen[-6:] == [True, True, False] * 2, "two batches of training, one of validation"
    assert [module.training for module in model] == [False, True, False, False, False]
    assert not model.training


def test_modes_are_put_back_after_an_error() -> None:
    model = network()
    model.eval()

    def broken(outputs: tg.Tensor, targets: tg.Tensor) -> tg.Tensor:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fit(model, optim.SGD(model.parameters(), lr=0.1), blobs(), loss=broken, progress=False)
    assert not any(module.training for module in model.modules())
