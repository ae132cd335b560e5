import numpy as np
import pytest

from tinygrad_mlp.train.metrics import METRICS, Means, accuracy, named


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


def test_means_weigh_batches_by_their_rows() -> None:
    means = Means({"accuracy": accuracy})
    means.add(1.0, np.array([[0.0, 1.0]] * 3), np.array([1, 1, 1]))
    means.add(5.0, np.array([[0.0, 1.0]]), np.array([0]))
    assert means.rows == 4
    assert means.read() == {"loss": 2.0, "accuracy": 0.75}
