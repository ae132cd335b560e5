import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.train.metrics import METRICS, SUMS, Means, accuracy, named


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

    assert named(["accuracy", worst]) == {"accuracy": accuracy, "worst": worst}
    assert named([]) == {}
    assert METRICS["accuracy"] is accuracy


def test_wrong_metrics_are_named() -> None:
    with pytest.raises(ValueError, match="no metric is called 'acuracy', there are: accuracy; did"):
        named(["acuracy"])
    with pytest.raises(TypeError, match=r"got a string; write \('accuracy',\)"):
        named("accuracy")


def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(outputs[:, 0] - targets).max())


def test_means_weigh_batches_by_their_rows() -> None:
    means = Means({"worst": worst, "accuracy": accuracy})
    for loss, outputs, targets in [(1.0, [[0.0, 1.0]] * 3, [1, 1, 1]), (5.0, [[0.0, 1.0]], [0])]:
        x, y = tg.tensor(outputs), tg.tensor(targets)
        means.add(tg.tensor(loss), x, y)
        means.call(x.numpy(), y.numpy())
        means.met(len(targets))
    assert means.rows == 4
    assert means.read() == {"loss": 2.0, "worst": 0.75, "accuracy": 0.75}
    assert list(means.read()) == ["loss", "worst", "accuracy"], "as they were asked for"
    means.clear()
    means.add(tg.tensor(0.1, dtype="float64"), tg.zeros(3, 2), tg.zeros(3).long())
    means.met(3)
    assert means.read() == {"loss": 3 * 0.1 / 3, "worst": 0.0, "accuracy": 1.0}


def test_what_ops_sum_is_what_the_metric_says() -> None:
    outputs, targets = np.eye(5, 3), np.array([0, 1, 2, 0, 1])
    for metric, counted in SUMS.items():
        found = counted(tg.tensor(outputs), tg.tensor(targets)).item()
        assert found == 5 * metric(outputs, targets) == 4
        with pytest.raises(ValueError, match="accuracy needs outputs of shape"):
            counted(tg.zeros(4, 1), tg.zeros(4))
