"""`study.summary` counts what there is to train, and leaves no trace."""

from __future__ import annotations

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


def test_a_lone_layer_has_no_name() -> None:
    assert str(summary(nn.Linear(2, 3), 2)).splitlines()[2].startswith("Linear  (N, 3)")
