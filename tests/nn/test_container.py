"""Containers: indexing, slicing, growing, and how they print."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn


def three():
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


def test_sequential_applies_in_order():
    model = three()
    x = tg.randn(4, 2)
    assert model(x).tolist() == model[2](model[1](model[0](x))).tolist()
    assert nn.Sequential()(3) == 3


def test_sequential_is_indexed_and_sliced():
    model = three()
    assert len(model) == 3
    assert [type(m).__name__ for m in model] == ["Linear", "ReLU", "Linear"]
    assert model[-1] is model[2]
    front = model[:2]
    assert isinstance(front, nn.Sequential)
    assert front[0] is model[0]
    model[1] = nn.Tanh()
    assert type(model[1]) is nn.Tanh
    del model[1]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    model.append(nn.Sigmoid()).insert(1, nn.ReLU())
    assert [type(m).__name__ for m in model] == ["Linear", "ReLU", "Linear", "Sigmoid"]
    model.extend([nn.Identity(), nn.Identity()])
    del model[3:]
    assert len(model) == 3
    with pytest.raises(IndexError, match="has 3 modules"):
        model[3]


def test_sequential_by_names():
    model = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), out=nn.Linear(3, 1)))
    assert list(model.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
    assert model.hidden is model[0]
    assert list(model[1:].state_dict()) == ["out.weight", "out.bias"]


def test_sequential_refuses_functions():
    with pytest.raises(TypeError, match="submodule '1' of Sequential must be a module"):
        nn.Sequential(nn.Linear(2, 2), tg.relu)


def test_sequential_prints_like_pytorch():
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Dropout(0.2)))) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): Dropout(p=0.2, inplace=False)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Sequential()) == "Sequential()"


def test_module_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.append(nn.ReLU())
    assert len(layers) == 4
    assert len(layers[1:3]) == 2
    assert layers[-1] is list(layers)[3]
    assert repr(layers) == (
        "ModuleList(\n"
        "  (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)\n"
        "  (3): ReLU()\n"
        ")"
    )
    with pytest.raises(NotImplementedError):
        layers(tg.ones(2))


def test_module_dict():
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.ReLU()
    heads.update([("c", nn.Tanh())])
    assert list(heads) == list(heads.keys()) == ["a", "b", "c"]
    assert "a" in heads
    assert "z" not in heads
    assert len(heads.values()) == len(heads) == 3
    assert isinstance(heads.pop("b"), nn.ReLU)
    del heads["c"]
    assert [name for name, _ in heads.items()] == ["a"]
    assert list(heads.state_dict()) == ["a.weight", "a.bias"]
    heads.clear()
    assert len(heads) == 0
    with pytest.raises(KeyError, match="already"):
        heads["keys"] = nn.ReLU()
