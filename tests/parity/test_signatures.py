"""The signatures of `nn` and `optim` against PyTorch's: names, order, defaults, keyword-only."""

from __future__ import annotations

import inspect
from inspect import Parameter

import pytest

import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.optim import lr_scheduler

pytestmark = pytest.mark.parity

# Arguments of PyTorch's that do not exist here.
ABSENT = {
    "device": "there is one, the CPU",
    "size_average": "deprecated",
    "reduce": "deprecated",
    "foreach": "a compiled step merges the updates",
    "fused": "every update is one kernel",
    "capturable": "for CUDA graphs",
    "differentiable": "updates have no gradient",
    "decoupled_weight_decay": "AdamW",
    "generator": "there is one generator, which manual_seed seeds",
    "_stacklevel": "private",
    "assign": "load_state_dict copies",
    "prepend": "hooks run in the order in which they were registered",
    "with_kwargs": "hooks see positional arguments",
    "always_call": "hooks run after a forward that returned",
    "epoch": "deprecated",
}
# (function, argument): what differs on purpose.
ABSENT_HERE = {
    ("nn.functional.mse_loss", "weight"),
    ("nn.functional.l1_loss", "weight"),
    ("nn.functional.huber_loss", "weight"),
    ("optim.lr_scheduler.SequentialLR", "last_epoch"),  # load_state_dict resumes
}
ADDED = {
    ("nn.functional.batch_norm", "num_batches_tracked")  # for momentum=None
}
OTHER_DEFAULT = {
    ("nn.functional.batch_norm", "running_mean"),  # may be left out in training
    ("nn.functional.batch_norm", "running_var"),
    ("nn.Parameter", "data"),  # must be given
}
OURS_ALONE = {  # PyTorch has no such names
    "nn.DropConnect",
    "nn.Ensemble",
    "nn.EnsembleLoss",
    "nn.functional.drop_connect",
    "nn.init.lecun_uniform_",
    "nn.init.lecun_normal_",
}
BUILT_IN = {  # PyTorch's are written in C++ and show no signature
    "nn.functional.linear": {"input": ..., "weight": ..., "bias": None},
    "nn.functional.prelu": {"input": ..., "weight": ...},
    "nn.functional.gelu": {"input": ..., "approximate": "none"},
    "nn.functional.softplus": {"input": ..., "beta": 1.0, "threshold": 20.0},
    "nn.functional.one_hot": {"tensor": ..., "num_classes": -1},
}
INITIALISERS = [
    "calculate_gain",
    *("uniform_", "normal_", "constant_", "zeros_", "ones_", "orthogonal_"),
    *(f"{name}_{how}_" for name in ("xavier", "kaiming", "lecun") for how in ("uniform", "normal")),
]
OBJECTS = [
    *(f"nn.{name}" for name in nn.__all__ if inspect.isclass(getattr(nn, name))),
    *(f"nn.functional.{name}" for name in F.__all__),
    *(f"nn.init.{name}" for name in INITIALISERS),
    *(f"nn.utils.{name}" for name in nn.utils.__all__),
    *(f"optim.{name}" for name in optim.__all__ if inspect.isclass(getattr(optim, name))),
    *(f"optim.lr_scheduler.{name}" for name in lr_scheduler.__all__),
]
CLASSES = [name for name in OBJECTS if name.rpartition(".")[2][0].isupper()]


def find(root, path):
    for name in path.split("."):
        root = getattr(root, name, None)
    return root


def compare(name, ours, theirs):
    """What of two signatures differs, and not on purpose."""
    mine = {p.name: p for p in ours.parameters.values()}
    found, expected, shifted = [], [], False
    for p in theirs.parameters.values():
        if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            return []  # anything goes
        if p.name in ABSENT or (name, p.name) in ABSENT_HERE:
            shifted = shifted or p.kind is Parameter.POSITIONAL_OR_KEYWORD
            continue
        expected.append(p.name)
        if p.name not in mine:
            found.append(f"no {p.name}")
            continue
        if mine[p.name].default != p.default and (name, p.name) not in OTHER_DEFAULT:
            found.append(f"{p.name}={mine[p.name].default}, not {p.default}")
        keyword_only = shifted or p.kind is Parameter.KEYWORD_ONLY  # where positions would differ
        if keyword_only != (mine[p.name].kind is Parameter.KEYWORD_ONLY):
            found.append(f"{p.name} is {mine[p.name].kind.description}")
    actual = [each for each in mine if (name, each) not in ADDED]
    positional = [each for each in actual if mine[each].kind is not Parameter.KEYWORD_ONLY]
    if positional != [each for each in expected if each in positional]:
        found.append(f"the order is {positional}")
    if set(actual) - set(expected):
        found.append(f"added: {sorted(set(actual) - set(expected))}")
    return found


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.mark.parametrize("name", OBJECTS)
def test_signature(torch, name):
    import tinygrad_mlp

    ours, theirs = inspect.signature(find(tinygrad_mlp, name)), find(torch, name)
    if name in OURS_ALONE:
        assert theirs is None
        return
    if name in BUILT_IN:
        defaults = {p.name: p.default for p in ours.parameters.values()}
        wanted = {k: Parameter.empty if v is ... else v for k, v in BUILT_IN[name].items()}
        assert list(defaults.items()) == list(wanted.items())
        return
    assert compare(name, ours, inspect.signature(theirs)) == []


@pytest.mark.parametrize("name", CLASSES)
def test_methods(torch, name):
    import tinygrad_mlp

    ours, theirs = find(tinygrad_mlp, name), find(torch, name)
    differences = {}
    for method, function in vars(ours).items():
        other = getattr(theirs, method, None)
        if method.startswith("_") or not inspect.isfunction(function) or not callable(other):
            continue
        found = compare(f"{name}.{method}", inspect.signature(function), inspect.signature(other))
        if found:
            differences[method] = found
    assert differences == {}


@pytest.mark.parametrize(
    ("ours", "differences"),
    [
        (lambda x, p=0.5, *, dtype=None: 0, []),
        (lambda x, p=0.5, dtype=None: 0, ["dtype is positional or keyword"]),
        (lambda x, p=0.4, *, dtype=None: 0, ["p=0.4, not 0.5"]),
        (lambda x, *, p=0.5, dtype=None: 0, ["p is keyword-only"]),
        (lambda p=0.5, x=0.5, *, dtype=None: 0, ["x=0.5, not", "the order is ['p', 'x']"]),
        (lambda x, q, *, dtype=None: 0, ["no p", "the order", "added: ['q']"]),
    ],
)
def test_a_difference_is_noticed(ours, differences):
    theirs = inspect.signature(lambda x, p=0.5, device=None, dtype=None: 0)
    found = compare("f", inspect.signature(ours), theirs)
    assert len(found) == len(differences)
    assert all(f.startswith(d) for f, d in zip(found, differences, strict=True))
