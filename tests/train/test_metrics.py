import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.train.fit import evaluate, fit
from tinygrad_mlp.train.metrics import (
    METRICS,
    RunningMeans,
    TopK,
    accuracy,
    batch_sums,
    confusion_matrix,
    metric_mode,
    mse,
    r2,
    resolve_metrics,
)


def test_accuracy_counts_largest_outputs() -> None:
    outputs = np.array([[1.0, 3.0, 2.0], [5.0, -1.0, 0.0], [0.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    assert accuracy(outputs, np.array([1, 0, 2, 1])) == 0.75


@pytest.mark.parametrize(
    ("outputs", "targets"), [((4,), (4,)), ((4, 1), (4,)), ((4, 3), (4, 3)), ((4, 3, 2), (4,))]
)
def test_accuracy_refuses_other_shapes(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"accuracy needs outputs of shape \(N, classes\).*got"):
        accuracy(np.zeros(outputs), np.zeros(targets, np.int64))


def test_metrics_refuse_lengths_that_differ_and_no_rows() -> None:
    for metric in (accuracy, TopK(2), confusion_matrix):
        with pytest.raises(ValueError, match=r"needs outputs .* got \(1, 3\) and \(4,\)"):
            metric(np.zeros((1, 3)), np.zeros(4, int))
    with pytest.raises(ValueError, match=r"mse needs targets of the outputs' shape"):
        mse(np.zeros((1, 1)), np.zeros((4, 1)))
    for metric, targets in ((accuracy, np.zeros(0, int)), (mse, np.zeros((0, 2)))):
        with pytest.raises(ValueError, match=r"needs at least one row, got outputs of .*\(0, 2\)"):
            metric(np.zeros((0, 2)), targets)


def test_metrics_go_by_their_names() -> None:
    def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
        return float(np.abs(outputs - targets).max())

    assert resolve_metrics(["accuracy", worst]) == {"accuracy": accuracy, "worst": worst}
    assert resolve_metrics([]) == {}
    assert METRICS["accuracy"] is accuracy


def test_wrong_metrics_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"no metric is called 'acuracy'; the names are: accuracy, .*; did"
    ):
        resolve_metrics(["acuracy"])
    with pytest.raises(TypeError, match=r"got a string; write \('accuracy',\)"):
        resolve_metrics("accuracy")


def test_metrics_take_what_a_person_has() -> None:
    """A network's outputs as they are, or lists."""
    outputs, labels = [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3]], [1, 2]
    values = [[1.0], [3.0]]
    for take in (list, np.array, lambda x: tg.tensor(x, requires_grad=isinstance(x[0], list))):
        assert accuracy(take(outputs), take(labels)) == 0.5
        assert TopK(2)(take(outputs), take(labels)) == 1.0
        assert confusion_matrix(take(outputs), take(labels)).tolist()[1:] == [[0, 1, 0], [1, 0, 0]]
        assert mse(take(values), take([[1.0], [1.0]])) == 2.0
        assert r2(take(values), take([[0.0], [4.0]])) == 0.75
    for metric in (TopK(1), confusion_matrix):
        with pytest.raises(ValueError, match=r"needs labels from 0 to 2, because .* got -1 to 1"):
            metric(np.array(outputs), np.array([-1, 1]))
    with pytest.raises(TypeError, match="accuracy needs integer labels, got dtype float64"):
        accuracy(np.array(outputs), np.array([0.0, 1.0]))


def test_a_metric_that_returns_an_array_is_refused() -> None:
    means = RunningMeans({"confusion_matrix": confusion_matrix}, np.zeros(1))
    with pytest.raises(TypeError, match=r"'confusion_matrix' must return a number, .*\(2, 2\)"):
        means.add_in_python(np.eye(2), np.array([0, 1]))


def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(outputs[:, 0] - targets).max())


def test_means_are_weighted_by_the_rows_of_batches() -> None:
    means = RunningMeans({"worst": worst, "accuracy": accuracy}, np.zeros(1))
    for loss, outputs, targets in [(1.0, [[0.0, 1.0]] * 3, [1, 1, 1]), (5.0, [[0.0, 1.0]], [0])]:
        x, y = tg.tensor(outputs), tg.tensor(targets)
        means.add(tg.tensor(loss), x, y)
        means.add_in_python(x.numpy(), y.numpy())
        means.count_rows(len(targets))
    assert means.rows == 4
    assert means.read() == {"loss": 2.0, "worst": 0.75, "accuracy": 0.75}
    assert list(means.read()) == ["loss", "worst", "accuracy"], "in the order of the argument"
    means.clear()
    means.add(tg.tensor(0.1, dtype="float64"), tg.zeros(3, 2), tg.zeros(3).long())
    means.count_rows(3)
    assert means.read() == {"loss": 3 * 0.1 / 3, "worst": 0.0, "accuracy": 1.0}


def together(metric, batches) -> float:
    """What `Means` makes of a metric over batches, by ops."""
    means = RunningMeans({"it": metric}, np.concatenate([t for _, t in batches]))
    assert not means.in_python, "Python has no part in it"
    for outputs, targets in batches:
        means.add(tg.tensor(0.0), tg.tensor(outputs), tg.tensor(targets))
        means.count_rows(len(targets))
    return means.read()["it"]


@pytest.mark.parametrize("metric", [accuracy, TopK(2)])
def test_metrics_of_classes_by_ops_and_of_arrays(metric) -> None:
    outputs = np.random.default_rng(0).normal(size=(23, 4))
    targets = np.arange(23) % 4
    batches = [(outputs[:9], targets[:9]), (outputs[9:], targets[9:])]
    largest = np.argsort(-outputs, axis=1)[:, : getattr(metric, "k", 1)]
    expected = (largest == targets[:, None]).any(axis=1).mean()
    assert 0 < expected < 1
    assert metric(outputs, targets) == pytest.approx(expected, rel=1e-12)
    assert together(metric, batches) == pytest.approx(expected, rel=1e-12)
    (counted,) = batch_sums(metric).functions
    with pytest.raises(ValueError, match="accuracy needs outputs of shape"):
        counted(tg.zeros(4, 1), tg.zeros(4), tg.tensor(0.0))


@pytest.mark.parametrize("metric", [mse, r2])
def test_metrics_of_values_by_ops_and_of_arrays(metric) -> None:
    draw = np.random.default_rng(0)
    targets = draw.normal(size=(23, 1)) + 5
    outputs = targets + 0.3 * draw.normal(size=(23, 1))
    batches = [(outputs[:9], targets[:9]), (outputs[9:], targets[9:])]
    expected = np.square(outputs - targets).mean() if metric is mse else two_pass(outputs, targets)
    assert metric(outputs, targets) == pytest.approx(expected, rel=1e-12)
    assert together(metric, batches) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"needs targets of the outputs' shape.*\(4, 1\)"):
        batch_sums(metric).functions[0](tg.zeros(4, 1), tg.zeros(4), tg.tensor(0.0))


def two_pass(outputs: np.ndarray, targets: np.ndarray) -> float:
    """r2 in extended precision, with the mean subtracted first."""
    o, t = outputs.astype(np.longdouble), targets.astype(np.longdouble)
    return float(1 - np.square(o - t).sum() / np.square(t - t.mean()).sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("center", "spread"), [(1e8, 100.0), (-1e8, 100.0), (1e-8, 1e-10), (0.0, 1e-20), (0.0, 1e20)]
)
def test_r2_of_targets_far_from_zero(center: float, spread: float, dtype: str) -> None:
    """E[t^2] - E[t]^2 in float64 keeps no digit of a variance of 1e4 around 1e8."""
    draw = np.random.default_rng(0)
    targets = (center + spread * draw.normal(size=(501, 1))).astype(dtype)
    outputs = (targets + 0.3 * spread * draw.normal(size=(501, 1))).astype(dtype)
    expected = two_pass(outputs, targets)
    assert 0.8 < expected < 0.95
    batches = [(outputs[k : k + 50], targets[k : k + 50]) for k in range(0, 501, 50)]
    assert r2(outputs, targets) == pytest.approx(expected, rel=1e-7)
    assert together(r2, batches) == pytest.approx(expected, rel=1e-7)
    error = float(np.square(outputs.astype(np.longdouble) - targets).mean())
    assert mse(outputs, targets) == pytest.approx(error, rel=1e-9, abs=0)
    if 1e-19 < spread < 1e19:  # else squares overflow or underflow in float32, as in the loss
        assert together(mse, batches) == pytest.approx(error, rel=1e-6, abs=0)


@pytest.mark.parametrize("compile", [True, False])
def test_r2_of_an_epoch_far_from_zero(compile: bool) -> None:
    """Measured by `fit` and `evaluate`, with the rows in another order and a smaller last batch."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(103, 1)).astype(np.float32)
    y = (1e8 + 1000 * x + 100 * draw.normal(size=(103, 1))).astype(np.float32)
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 1000.0)
    nn.init.constant_(model.bias, 1e8)
    expected = two_pass(model(tg.tensor(x)).detach().numpy(), y)
    assert expected > 0.98
    options = {"metrics": ["r2"], "batch_size": 10, "compile": compile}
    assert evaluate(model, (x, y), **options)["r2"] == pytest.approx(expected, rel=1e-7)
    optimizer = optim.SGD(model.parameters(), lr=1e-30)
    history = fit(model, optimizer, (x, y), epochs=3, progress=False, **options)
    assert history["r2"] == pytest.approx([expected] * 3, rel=1e-7)


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.3, -3e-8])
def test_r2_of_equal_targets_is_zero(value: float) -> None:
    targets = np.full((7, 1), value, np.float32)
    assert r2(targets + 1, targets) == 0
    assert together(r2, [(targets[:3] + 1, targets[:3]), (targets[3:], targets[3:])]) == 0


MODES = {"accuracy": "max", "top_5_accuracy": "max", "mse": "min", "r2": "max"}


@pytest.mark.parametrize("name", METRICS)
def test_the_mode_of_each_metric(name: str) -> None:
    assert metric_mode(name) == metric_mode(f"val_{name}") == MODES[name]


def test_the_mode_of_a_metric_of_the_user() -> None:
    """Minimised, unless a word of the name is a metric known to grow."""
    shrinking = "loss val_loss mae val_mae rmse error my_error worst profit accuracy_error factor"
    growing = "acc top_k_accuracy val_auc F1 f1_score val_precision macro_recall explained_variance"
    assert {metric_mode(name) for name in shrinking.split()} == {"min"}
    assert {metric_mode(name) for name in growing.split()} == {"max"}
    assert metric_mode("profit", "max") == "max"
    assert metric_mode("accuracy", "min") == "min"
    with pytest.raises(ValueError, match='mode must be "auto", "min" or "max", got \'up\''):
        metric_mode("loss", "up")


def test_r2_is_of_the_whole_and_not_of_batches() -> None:
    targets = np.array([[0.0], [1.0], [10.0], [11.0]])
    outputs = np.array([[0.5], [0.5], [10.5], [10.5]])
    found = together(r2, [(outputs[:2], targets[:2]), (outputs[2:], targets[2:])])
    assert found == pytest.approx(1 - 1 / 101, rel=1e-12)
    assert r2(outputs[:2], targets[:2]) == 0.0
    assert r2(outputs, np.ones((4, 1))) == 0.0, "there is nothing to explain"


def test_top_k_looks_at_more_than_the_first() -> None:
    outputs, targets = np.array([[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]]), np.array([1, 0])
    assert [TopK(k)(outputs, targets) for k in (1, 2, 3)] == [0.0, 0.5, 1.0]
    found = resolve_metrics([TopK(3), "top_5_accuracy"])
    assert list(found) == ["top_3_accuracy", "top_5_accuracy"]
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        TopK(0)


def test_confusion_has_a_row_for_each_class_and_a_column_for_each_prediction() -> None:
    outputs = np.eye(3)[[0, 2, 2, 1]]
    found = confusion_matrix(outputs, np.array([0, 0, 2, 1]))
    assert found.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
