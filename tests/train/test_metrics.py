import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.train.metrics import (
    METRICS,
    RunningMeans,
    TopK,
    accuracy,
    batch_sums,
    confusion_matrix,
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


def test_metrics_go_by_their_names() -> None:
    def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
        return float(np.abs(outputs - targets).max())

    assert resolve_metrics(["accuracy", worst]) == {"accuracy": accuracy, "worst": worst}
    assert resolve_metrics([]) == {}
    assert METRICS["accuracy"] is accuracy


def test_wrong_metrics_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"no metric is called 'acuracy', there are: accuracy, .*; did"
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


def test_what_gives_no_number_is_no_metric() -> None:
    means = RunningMeans({"confusion_matrix": confusion_matrix}, np.zeros(1))
    with pytest.raises(TypeError, match=r"'confusion_matrix' must return a number, .*\(2, 2\)"):
        means.add_in_python(np.eye(2), np.array([0, 1]))


def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(outputs[:, 0] - targets).max())


def test_means_weigh_batches_by_their_rows() -> None:
    means = RunningMeans({"worst": worst, "accuracy": accuracy}, np.zeros(1))
    for loss, outputs, targets in [(1.0, [[0.0, 1.0]] * 3, [1, 1, 1]), (5.0, [[0.0, 1.0]], [0])]:
        x, y = tg.tensor(outputs), tg.tensor(targets)
        means.add(tg.tensor(loss), x, y)
        means.add_in_python(x.numpy(), y.numpy())
        means.count_rows(len(targets))
    assert means.rows == 4
    assert means.read() == {"loss": 2.0, "worst": 0.75, "accuracy": 0.75}
    assert list(means.read()) == ["loss", "worst", "accuracy"], "as they were asked for"
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
def test_what_ops_count_of_classes_is_what_the_metric_says(metric) -> None:
    outputs = np.random.default_rng(0).normal(size=(23, 4))
    targets = np.arange(23) % 4
    batches = [(outputs[:9], targets[:9]), (outputs[9:], targets[9:])]
    assert together(metric, batches) == pytest.approx(metric(outputs, targets), rel=1e-12)
    assert 0 < metric(outputs, targets) < 1
    (counted,) = batch_sums(metric).functions
    with pytest.raises(ValueError, match="accuracy needs outputs of shape"):
        counted(tg.zeros(4, 1), tg.zeros(4), tg.tensor(0.0))


@pytest.mark.parametrize("metric", [mse, r2])
def test_what_ops_sum_of_values_is_what_the_metric_says(metric) -> None:
    draw = np.random.default_rng(0)
    targets = draw.normal(size=(23, 1)) + 5
    outputs = targets + 0.3 * draw.normal(size=(23, 1))
    batches = [(outputs[:9], targets[:9]), (outputs[9:], targets[9:])]
    assert together(metric, batches) == pytest.approx(metric(outputs, targets), rel=1e-9)
    with pytest.raises(ValueError, match=r"needs targets of the outputs' shape.*\(4, 1\)"):
        batch_sums(metric).functions[0](tg.zeros(4, 1), tg.zeros(4), tg.tensor(0.0))


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


def test_confusion_has_a_row_for_each_class_and_a_column_for_what_is_said() -> None:
    outputs = np.eye(3)[[0, 2, 2, 1]]
    found = confusion_matrix(outputs, np.array([0, 0, 2, 1]))
    assert found.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
