"""`Ensemble`: the members learn the same bits as when each is trained apart."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import spiral

K = 3


class Own(nn.Module):
    """A layer that `Ensemble` does not batch."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(tg.ones(16))

    def forward(self, x):
        return x * self.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 16), nn.Linear(16, 3)

    def forward(self, x):
        hidden = self.first(x).tanh()
        return self.last(hidden + F.relu(hidden))


NETWORKS = {
    "plain": lambda: nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(2, 5, bias=False), nn.Tanh(), nn.Linear(5, 3)),
    "batch norm and dropout": lambda: nn.Sequential(
        *(nn.Dropout(0.2), nn.Linear(2, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Dropout(0.5)),
        *(nn.Linear(16, 8), nn.BatchNorm1d(8, affine=False, momentum=None), nn.Linear(8, 3)),
    ),
    "batch norm first": lambda: nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3)),
    "drop connect": lambda: nn.Sequential(nn.DropConnect(2, 16), nn.GELU(), nn.Linear(16, 3)),
    "apart": lambda: nn.Sequential(
        nn.Linear(2, 16), Own(), nn.LayerNorm(16), nn.PReLU(), nn.Linear(16, 3)
    ),
    "axes": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(2, 16), nn.Softmax(dim=1), nn.Linear(16, 3), nn.LogSoftmax(dim=1)
    ),
    "own class": Net,
    "one row": lambda: nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Linear(1, 3)),
}
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
}
FIT = dict(epochs=3, progress=False, seed=4)


def apart(make, optimizer, seed, loss=F.cross_entropy, data=None, **options):
    tg.manual_seed(seed)
    model = make()
    data = spiral() if data is None else data
    history = tg.fit(model, optimizer(model.parameters()), data, loss=loss, **FIT, **options)
    return model, history["loss"], tg.get_rng_state().tolist()


def together(make, optimizer, seed, loss=F.cross_entropy, data=None, **options):
    ensemble = nn.Ensemble(make, K, seed=seed)
    data = spiral() if data is None else data
    loss = nn.EnsembleLoss(loss)
    history = tg.fit(ensemble, optimizer(ensemble.parameters()), data, loss=loss, **FIT, **options)
    return ensemble, history["loss"], ensemble.rng.tolist()


def check_equal(make, optimizer=OPTIMIZERS["SGD"], **options):
    ensemble, losses, states = together(make, optimizer, 10, **options)
    alone = [apart(make, optimizer, 10 + k, **options) for k in range(K)]
    assert losses == pytest.approx(np.sum([each[1] for each in alone], axis=0), rel=1e-5)
    assert states == [each[2] for each in alone]
    for member, (model, _, _) in zip(ensemble.members(), alone, strict=True):
        found, wanted = member.state_dict(), model.state_dict()
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert found[key].tolist() == value.tolist(), key
    x = tg.tensor(spiral().x[:5])
    ensemble.eval()
    with tg.no_grad():
        outputs = ensemble(x)
        for k, (model, _, _) in enumerate(alone):
            assert outputs[k].tolist() == model.eval()(x).tolist()


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_members_learn_what_they_learn_alone(name, compile):
    check_equal(NETWORKS[name], batch_size=64, compile=compile)


@pytest.mark.parametrize("name", ["plain", "batch norm and dropout"])
def test_with_adam(name):
    check_equal(NETWORKS[name], OPTIMIZERS["Adam"], batch_size=100)


@pytest.mark.parametrize("threads", [1, 2])
def test_large_batches_are_summed_in_chunks(threads):
    """Weight gradients of a long batch are sums of chunks; layers large enough for two threads."""
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        make = NETWORKS["batch norm and dropout"]
        check_equal(make, batch_size=600, data=spiral(points=400))
        wide = lambda: nn.Sequential(nn.Linear(2, 300), nn.ReLU(), nn.Linear(300, 3))  # noqa: E731
        check_equal(wide, batch_size=128)
    finally:
        tg.set_num_threads(before)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=tg.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1),
        nn.CrossEntropyLoss(ignore_index=1),
        lambda out, y: (out.square().sum(1) * y).mean(),
    ],
    ids=["weighted", "ignored", "own"],
)
def test_other_losses(loss):
    check_equal(NETWORKS["plain"], loss=loss, batch_size=64)


def test_regression():
    x = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32)
    data = x, np.concatenate([x, x[:, :1] * x[:, 1:]], axis=1)
    check_equal(NETWORKS["plain"], loss=F.mse_loss, data=data, batch_size=32)


def test_a_compiled_step_and_stacked_parameters():
    ensemble = nn.Ensemble(NETWORKS["plain"], K)
    assert [p.shape for p in ensemble.parameters()] == [(3, 16, 2), (3, 16), (3, 3, 16), (3, 3)]
    optimizer, loss = optim.SGD(ensemble.parameters(), lr=0.1), nn.EnsembleLoss()

    @tg.compile
    def step(x, y):
        optimizer.zero_grad()
        each = loss.each(ensemble(x), y)
        each.sum().backward()
        optimizer.step()
        return each

    data = spiral()
    losses = [step(tg.tensor(data.x), tg.tensor(data.y)).numpy() for _ in range(20)]
    assert (losses[-1] < losses[0]).all()
    assert "Python" not in str(step)


def test_the_kernels_of_members_run_side_by_side():
    """More members are more kernels in the same phases, and as many barriers."""
    from tinygrad_mlp.compiler.schedule import schedule

    def steps(size):
        ensemble = nn.Ensemble(NETWORKS["batch norm and dropout"], size)
        optimizer, loss = optim.SGD(ensemble.parameters(), lr=0.1), nn.EnsembleLoss()

        @tg.compile
        def step(x, y):
            optimizer.zero_grad()
            loss(ensemble(x), y).backward()
            optimizer.step()

        data = spiral()
        step(tg.tensor(data.x), tg.tensor(data.y))
        return schedule(step.program.instructions)

    two, six = steps(2), steps(6)
    assert max(step.phase for step in two) == max(step.phase for step in six)
    assert sum(step.barrier for step in two) == sum(step.barrier for step in six)
    products = [step for step in six if step.instruction.name == "members_linear"]
    assert len(products) == 3 * 6  # layers times members
    assert {step.instruction.side_by_side for step in products} == {6}
    if tg.get_num_threads() == 2:
        assert [(step.threads, step.first % 2) for step in products[:6]] == [(1, 0), (1, 1)] * 3


def test_it_prints_the_network_of_a_member():
    assert repr(nn.Ensemble(lambda: nn.Sequential(nn.Linear(2, 3)), 5)).splitlines() == [
        "Ensemble(",
        "  size=5",
        "  (network): Sequential(",
        "    (0): Linear(in_features=2, out_features=3, bias=True)",
        "  )",
        ")",
    ]


def test_second_derivatives_and_gradcheck():
    from tinygrad_mlp.ops.fused import members

    tg.manual_seed(0)
    x, w = (tg.randn(2, *s, dtype="float64", requires_grad=True) for s in ((4, 3), (5, 3)))
    b = tg.randn(2, 5, dtype="float64", requires_grad=True)
    assert tg.gradcheck(lambda *a: members.linear(*a).tanh(), (x, w, b))

    def norm(x):
        return members.batch_norm(x, None, None, None, True, 0.1, 1e-5)

    assert tg.gradcheck(norm, (x,))
    first = tg.grad(norm(x).square().sum(), x, create_graph=True)[0]
    assert first.requires_grad
    y = tg.tensor([0, 2, 1, 1])

    def loss(x):
        return members.cross_entropy(x, y, ignore_index=-100, label_smoothing=0.1)

    assert tg.gradcheck(loss, (x,))


def test_the_mean_is_that_of_the_probabilities():
    ensemble = nn.Ensemble(NETWORKS["plain"], K)
    x = tg.randn(5, 2)
    wanted = np.mean([F.softmax(m(x), 1).detach().numpy() for m in ensemble.members()], axis=0)
    np.testing.assert_allclose(ensemble.mean(x).detach().numpy(), wanted, rtol=1e-5)


def test_networks_that_exist_can_be_joined():
    models = [NETWORKS["plain"]() for _ in range(2)]
    models[0][0].requires_grad_(False)
    models[1][0].requires_grad_(False)
    before = tg.get_rng_state().tolist()
    ensemble = nn.Ensemble(models)
    assert tg.get_rng_state().tolist() == before
    assert [p.requires_grad for p in ensemble.parameters()] == [False, False, True, True]
    x = tg.randn(5, 2)
    assert ensemble(x)[1].tolist() == models[1](x).tolist()
    assert ensemble.members()[1][0].weight.requires_grad is False


def test_members_have_the_dtype_of_the_ensemble():
    ensemble = nn.Ensemble(NETWORKS["batch norm and dropout"], K).double()
    ensemble(tg.randn(8, 2, dtype="float64"))
    for member in ensemble.members():
        assert {v.dtype.kind + str(v.dtype.itemsize) for v in member.parameters()} == {"f8"}


def test_modes_and_state_dicts():
    make = NETWORKS["batch norm and dropout"]
    one, other = nn.Ensemble(make, K, seed=1), nn.Ensemble(make, K, seed=7)
    one(tg.randn(8, 2))
    other.load_state_dict(one.state_dict())
    x = tg.randn(8, 2)
    assert one(x).tolist() == other(x).tolist()  # with the same masks
    one.eval()
    assert all(not module.training for member in one.members() for module in member.modules())
    assert one(x).tolist() == one(x).tolist()


WRONG = [
    (lambda: nn.Ensemble(nn.Linear(2, 3), 2), TypeError, "must be a function.*not Linear"),
    (lambda: nn.Ensemble(lambda: nn.Linear(2, 3)), TypeError, "`size` must be an integer"),
    (lambda: nn.Ensemble(lambda: nn.Linear(2, 3), 0), ValueError, "`size` must be 1 or more"),
    (lambda: nn.Ensemble(lambda: 3, 2), TypeError, "network 0 is int"),
    (lambda: nn.Ensemble([]), ValueError, "no networks"),
    (lambda: nn.Ensemble([nn.Linear(2, 3)], 2), ValueError, "`size` is 2, but `model` has 1"),
    (
        lambda: nn.Ensemble([nn.Linear(2, 3), nn.Linear(2, 4)]),
        ValueError,
        "network 1 has another architecture",
    ),
    (
        lambda: nn.Ensemble(lambda: nn.Linear(2, 3), 2)(tg.ones(4, 5)),
        ValueError,
        r"Linear.*\(4, 5\).*in_features, 2",
    ),
    (
        lambda: nn.Ensemble(lambda: nn.BatchNorm1d(3), 2)(tg.ones(1, 3)),
        ValueError,
        "one value for each feature",
    ),
    (
        lambda: nn.EnsembleLoss()(tg.ones(2, 4, 3), tg.tensor([0, 1, 2, 3])),
        IndexError,
        r"target\[3\] is 3",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
