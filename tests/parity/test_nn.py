"""Layers, losses and state dicts against PyTorch: values, gradients, statistics, text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn
from tinygrad_mlp.nn import init

pytestmark = pytest.mark.parity

TOLERANCE = {"float64": 1e-11, "float32": 2e-5}


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def grid(**options):
    """All combinations of the options' values, as keyword arguments."""
    return [
        dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())
    ]


def arrays(*shapes, dtype="float64", seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape).astype(dtype) for shape in shapes]


def close(mine, theirs, dtype):
    mine = mine.detach().numpy()
    theirs = np.asarray(theirs.detach())
    assert mine.shape == theirs.shape
    assert mine.dtype == theirs.dtype
    scale = max(abs(theirs[np.isfinite(theirs)]).max(initial=0), 1e-3) if theirs.size else 1
    rtol = TOLERANCE[dtype]
    np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * scale)


def compare(torch, ours, theirs, inputs, dtype="float64", parameters=((), ())):
    """Values of two functions of the same arrays, and gradients by the floating ones."""
    mine = [tg.tensor(a, requires_grad=a.dtype.kind == "f") for a in inputs]
    other = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in inputs]
    a, b = ours(*mine), theirs(*other)
    close(a, b, dtype)
    if not b.requires_grad:
        return
    (g,) = arrays(tuple(a.shape), dtype=dtype, seed=9)
    a.backward(tg.tensor(g))
    b.backward(torch.tensor(g))
    for x, y in [*zip(mine, other, strict=True), *zip(*parameters, strict=True)]:
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            close(x.grad, y.grad, dtype)


# --- layers ---


def layers(**seeds):
    return {
        "Linear": [((4, 3), {}), ((4, 3), {"bias": False})],
        "BatchNorm1d": [
            ((4,), o)
            for o in grid(
                momentum=[0.1, 0.7, None], affine=[True, False], track_running_stats=[True, False]
            )
        ]
        + [((4,), {"eps": 0.1})],
        "LayerNorm": [
            ((4,), o)
            for o in grid(eps=[1e-5, 0.1], elementwise_affine=[True, False], bias=[True, False])
        ]
        + [(((4,),), {})],
        "ReLU": [((), {})],
        "SiLU": [((), {})],
        "Sigmoid": [((), {})],
        "Tanh": [((), {})],
        "LeakyReLU": [((), {}), ((0.3,), {})],
        "ELU": [((), {}), ((0.5,), {})],
        "GELU": [((), {}), ((), {"approximate": "tanh"})],
        "Softplus": [((), {}), ((3.0, 1.0), {})],
        "Softmax": [((), {"dim": 0}), ((), {"dim": -1})],
        "LogSoftmax": [((), {"dim": 0}), ((), {"dim": 1})],
        "Identity": [((), {})],
        "Flatten": [((), {}), ((), {"start_dim": 0})],
        "Dropout": [((0.0,), {})],
    }


LAYERS = [(name, *how) for name, hows in layers().items() for how in hows]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "args", "options"), LAYERS, ids=str)
def test_layer(torch, name, args, options, dtype, mode):
    ours = getattr(nn, name)(*args, **options).to(dtype)
    theirs = getattr(torch.nn, name)(*args, **options).to(getattr(torch, dtype))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn(parameter.shape, dtype=parameter.dtype) * 0.3)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(2):
        getattr(ours, mode)(), getattr(theirs, mode)()
        x = arrays((6, 4), dtype=dtype, seed=1)
        compare(torch, ours, theirs, x, dtype, (ours.parameters(), theirs.parameters()))
        for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
            close(a, b, dtype)
        ours.zero_grad(), theirs.zero_grad()
        mode = "eval" if mode == "train" else "train"


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_sequences(torch, training):
    x, weight, bias, mean, var = arrays((3, 4, 5), (4,), (4,), (4,), (4,))
    statistics = [(tg.tensor(a), torch.tensor(a)) for a in (mean, abs(var))]
    compare(
        torch,
        lambda x, w, b: F.batch_norm(x, *(s[0] for s in statistics), w, b, training),
        lambda x, w, b: torch.nn.functional.batch_norm(
            x, *(s[1] for s in statistics), w, b, training
        ),
        [x, weight, bias],
    )
    for mine, theirs in statistics:
        close(mine, theirs, "float64")


def test_layer_norm_of_several_axes(torch):
    compare(
        torch,
        lambda *a: F.layer_norm(a[0], (4, 5), *a[1:]),
        lambda *a: torch.nn.functional.layer_norm(a[0], (4, 5), *a[1:]),
        arrays((3, 4, 5), (4, 5), (4, 5)),
    )


# --- losses ---

LABELS = np.array([0, 4, 2, 2, -100, 1, 3])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    grid(reduction=["none", "mean", "sum"], label_smoothing=[0.0, 0.2], ignore_index=[-100, 2]),
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy(torch, options, weighted, dtype):
    weight = np.linspace(0.5, 2, 5).astype(dtype) if weighted else None
    ours = nn.CrossEntropyLoss(weight, **options)
    theirs = torch.nn.CrossEntropyLoss(None if weight is None else torch.tensor(weight), **options)
    (x, p) = arrays((7, 5), (7, 5), dtype=dtype)
    labels = np.where(LABELS == -100, options["ignore_index"], LABELS)
    compare(torch, ours, theirs, [x, labels], dtype)
    if options["ignore_index"] >= 0:
        return
    probabilities = np.exp(p) / np.exp(p).sum(1, keepdims=True)
    compare(torch, ours, theirs, [x, probabilities], dtype)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("ignore_index", [-100, 2])
def test_nll_loss(torch, reduction, ignore_index):
    weight = np.linspace(0.5, 2, 5)
    options = {"reduction": reduction, "ignore_index": ignore_index}
    labels = np.where(LABELS == -100, ignore_index, LABELS)
    for ours, theirs in [
        (nn.NLLLoss(**options), torch.nn.NLLLoss(**options)),
        (nn.NLLLoss(weight, **options), torch.nn.NLLLoss(torch.tensor(weight), **options)),
    ]:
        compare(torch, ours, theirs, [*arrays((7, 5)), labels])


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(5,), (2, 5, 3), (2, 5, 3, 4)])
def test_losses_by_label_of_any_rank(torch, shape, reduction):
    labels = np.random.default_rng(0).integers(0, 5, shape[:1] * (len(shape) > 1) + shape[2:])
    for name in ("cross_entropy", "nll_loss"):
        compare(
            torch,
            lambda x, y, f=name: getattr(F, f)(x, y, reduction=reduction),
            lambda x, y, f=name: getattr(torch.nn.functional, f)(x, y, reduction=reduction),
            [*arrays(shape), labels],
        )
    axis = 1 if len(shape) > 1 else 0
    p = np.exp(arrays(shape, seed=2)[0])
    p /= p.sum(axis, keepdims=True)
    compare(
        torch,
        lambda x, y: F.cross_entropy(x, y, reduction=reduction),
        lambda x, y: torch.nn.functional.cross_entropy(x, y, reduction=reduction),
        [*arrays(shape), p],
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MSELoss", {}),
        ("L1Loss", {}),
        ("HuberLoss", {}),
        ("HuberLoss", {"delta": 0.4}),
        ("BCEWithLogitsLoss", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementwise_loss(torch, name, options, reduction, dtype):
    ours = getattr(nn, name)(reduction=reduction, **options)
    theirs = getattr(torch.nn, name)(reduction=reduction, **options)
    x, y = arrays((6, 3), (6, 3), dtype=dtype)
    y = 1 / (1 + np.exp(-y)) if "BCE" in name else y
    compare(torch, ours, theirs, [2 * x, y.astype(dtype)], dtype)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_binary_cross_entropies_with_weights(torch, reduction):
    x, y, weight, pos_weight = (1 / (1 + np.exp(-a)) for a in arrays((6, 3), (6, 3), (3,), (3,)))
    compare(
        torch,
        nn.BCELoss(weight, reduction=reduction),
        torch.nn.BCELoss(torch.tensor(weight), reduction=reduction),
        [x, y],
    )
    options = {"weight": weight, "pos_weight": 3 * pos_weight}
    compare(
        torch,
        nn.BCEWithLogitsLoss(reduction=reduction, **options),
        torch.nn.BCEWithLogitsLoss(
            reduction=reduction, **{k: torch.tensor(v) for k, v in options.items()}
        ),
        [4 * x - 2, y],
    )


def test_binary_cross_entropy_at_its_ends(torch):
    x, y = np.float32([0, 1, 0, 1]), np.float32([0, 1, 1, 0])
    compare(
        torch,
        lambda x: nn.BCELoss(reduction="none")(x, tg.tensor(y)),
        lambda x: torch.nn.BCELoss(reduction="none")(x, torch.tensor(y)),
        [x],
        "float32",
    )


# --- whole networks ---


def network(module, dropped):
    return module.Sequential(
        module.Linear(5, 8),
        module.BatchNorm1d(8),
        module.ReLU(),
        module.Sequential(module.Linear(8, 8), module.LayerNorm(8), module.GELU()),
        module.Dropout(dropped),
        module.Linear(8, 3),
    )


def test_training_stays_together(torch):
    """Five steps of gradient descent through everything, in float64: the same numbers."""
    ours, theirs = network(nn, 0.0).double(), network(torch.nn, 0.0).double()
    ours.load_state_dict(theirs.state_dict())
    y = np.arange(12) % 3
    for step in range(5):
        (x,) = arrays((12, 5), seed=step)
        a = F.cross_entropy(ours(tg.tensor(x)), tg.tensor(y))
        b = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        assert a.item() == pytest.approx(b.item(), rel=1e-10)
        a.backward(), b.backward()
        with tg.no_grad(), torch.no_grad():
            for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
                p.sub_(0.1 * p.grad)
                q.sub_(0.1 * q.grad)
        ours.zero_grad(), theirs.zero_grad()
    for p, q in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        if p.dtype.kind == "f":
            close(p, q, "float64")
        else:
            assert p.item() == q.item() == 5


def test_state_dicts_travel_both_ways(torch):
    ours, theirs = network(nn, 0.5), network(torch.nn, 0.5)
    assert repr(ours) == repr(theirs)
    ours(tg.randn(4, 5))
    theirs.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
    (x,) = arrays((6, 5), dtype="float32")
    ours.eval(), theirs.eval()
    close(ours(tg.tensor(x)), theirs(torch.tensor(x)), "float32")
    other = network(nn, 0.5).eval()
    other.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(other(tg.tensor(x)).tolist(), ours(tg.tensor(x)).tolist())


CONTAINERS = {
    "list": lambda m: m.ModuleList([m.Linear(2, 2), m.Linear(2, 2), m.ReLU(inplace=True)]),
    "dict": lambda m: m.ModuleDict({"a": m.Linear(2, 2), "b": m.Sequential(m.Tanh())}),
    "nested list": lambda m: m.ModuleList([m.Sequential(m.ReLU()), m.Sequential(m.ReLU())]),
    "empty": lambda m: m.Sequential(m.Sequential(), m.ModuleList(), m.ModuleDict()),
    "losses": lambda m: m.ModuleList([m.CrossEntropyLoss(), m.HuberLoss(delta=2.0)]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_repr(torch, name):
    assert repr(CONTAINERS[name](nn)) == repr(CONTAINERS[name](torch.nn))


def test_backward_hooks_see_the_same(torch):
    seen = {}
    for kind, module, tensor in ((0, nn, tg.tensor), (1, torch.nn, torch.tensor)):
        layer = module.Linear(3, 2)
        values = arrays((2, 3), (2,), dtype="float32", seed=4)
        layer.load_state_dict({"weight": tensor(values[0]), "bias": tensor(values[1])})
        layer.register_full_backward_hook(lambda m, gi, go, k=kind: seen.update({k: (*gi, *go)}))
        x = tensor(arrays((4, 3), dtype="float32")[0], requires_grad=True)
        (layer(x) ** 2).sum().backward()
    for mine, theirs in zip(seen[0], seen[1], strict=True):
        close(mine, theirs, "float32")


# --- first values ---


@pytest.mark.parametrize("nonlinearity", ["linear", "sigmoid", "tanh", "relu", "selu"])
def test_gains(torch, nonlinearity):
    assert init.calculate_gain(nonlinearity) == torch.nn.init.calculate_gain(nonlinearity)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}),
        ("kaiming_normal_", {"nonlinearity": "relu"}),
        ("uniform_", {"a": -1.0, "b": 3.0}),
        ("normal_", {"mean": 1.0, "std": 0.1}),
    ],
    ids=str,
)
def test_first_values_are_distributed_alike(torch, name, options):
    tg.manual_seed(0)
    mine = getattr(init, name)(tg.zeros(200, 100, 4), **options).numpy().astype(float)
    theirs = np.asarray(getattr(torch.nn.init, name)(torch.zeros(200, 100, 4), **options), float)
    assert mine.mean() == pytest.approx(theirs.mean(), abs=0.02 * theirs.std())
    assert mine.std() == pytest.approx(theirs.std(), rel=0.02)
    if "uniform" in name:
        assert abs(mine).max() == pytest.approx(abs(theirs).max(), rel=1e-3)
