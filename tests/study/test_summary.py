"""`study.summary` counts what there is to train, and leaves no trace."""

from __future__ import annotations

from itertools import pairwise

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn
from tinygrad_mlp.study import summary


def test_rows_are_layers_in_the_order_of_the_data() -> None:
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Sequential(nn.BatchNorm1d(8), nn.ReLU()))
    found = summary(model, 4)
    assert [(row.name, row.layer, row.shape) for row in found.rows] == [
        ("0", "Linear", ("N", 8)),
        ("1.0", "BatchNorm1d", ("N", 8)),
        ("1.1", "ReLU", ("N", 8)),
    ]
    assert [(row.trainable, row.fixed) for row in found.rows] == [(32, 0), (16, 16), (0, 0)]
    assert (found.total, found.trainable, found.fixed) == (64, 48, 16)


def test_what_is_frozen_is_fixed_and_what_is_tied_counts_once() -> None:
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(3, 2).requires_grad_(False))
    found = summary(model, 3)
    assert [row.trainable for row in found.rows] == [12, 0, 0, 0]
    assert found.fixed == 8


def test_a_summary_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).double()
    model[1].eval()
    before = {name: value.tolist() for name, value in model.state_dict().items()}
    rng = tg.get_rng_state().tolist()
    summary(model, 2)
    assert {name: value.tolist() for name, value in model.state_dict().items()} == before
    assert [layer.training for layer in model] == [True, False, True]
    assert tg.get_rng_state().tolist() == rng
    assert not any(any(module._hooks.values()) for module in model.modules())


def test_a_shape_may_be_one_argument() -> None:
    model = nn.Linear(3, 2)
    assert str(summary(model, (3,))) == str(summary(model, 3))
    assert str(summary(model, [4, 3])) == str(summary(model, 4, 3))


def layers(*sizes: int) -> list[nn.Module]:
    """Linear, ReLU, batch norm with Keras's momentum 0.99 and epsilon 1e-3; a last linear layer."""
    found: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        norm = nn.BatchNorm1d(outputs, eps=1e-3, momentum=0.01)
        found += [nn.Linear(inputs, outputs), nn.ReLU(), norm, nn.Dropout(0.5)]
    return [*found, nn.Linear(*sizes[-2:])]


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ((784, 512, 128, 64, 10), (479_306, 477_898, 1_408)),
        ((784, 512, 128, 128, 64, 64, 64, 10), (505_162, 503_242, 1_920)),
        # by hand: sum of (m + 1) n, 4 n for each norm, half of them moving statistics
        ((784, 512, 128, 128, 64, 10), (496_330, 494_666, 1_664)),
    ],
)
def test_counts_of_the_mnist_networks_are_those_of_keras(
    sizes: tuple[int, ...], counts: tuple[int, int, int]
) -> None:
    found = summary(nn.Sequential(*layers(*sizes)), 784)
    assert (found.total, found.trainable, found.fixed) == counts
    total, trainable, fixed = str(found).splitlines()[-3:]
    assert total.split() == ["total", "parameters", f"{counts[0]:,}"]
    assert trainable.split() == ["trainable", f"{counts[1]:,}"]
    assert fixed.split() == ["not", "trainable", f"{counts[2]:,}"]


def test_a_lone_layer_has_no_name() -> None:
    assert str(summary(nn.Linear(2, 3), 2)).splitlines()[2].startswith("Linear  (N, 3)")
