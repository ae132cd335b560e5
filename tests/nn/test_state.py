"""State dicts: what they hold, and how they are loaded or refused."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn


def model():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2, bias=False))


KEYS = {
    "0.weight": (3, 4),
    "0.bias": (3,),
    "1.weight": (3,),
    "1.bias": (3,),
    "1.running_mean": (3,),
    "1.running_var": (3,),
    "1.num_batches_tracked": (),
    "3.weight": (2, 3),
}


def test_keys_and_shapes():
    assert {k: v.shape for k, v in model().state_dict().items()} == KEYS
    assert next(iter(model().state_dict(prefix="net."))) == "net.0.weight"


def test_entries_are_off_the_tape_and_share_memory():
    net = model()
    state = net.state_dict()
    assert not any(value.requires_grad for value in state.values())
    with tg.no_grad():
        net[0].bias.fill_(5)
    assert state["0.bias"].tolist() == [5, 5, 5]
    assert net.state_dict(keep_vars=True)["0.bias"] is net[0].bias


def test_there_and_back():
    source, target = model(), model()
    source(tg.randn(8, 4))
    found = target.load_state_dict(source.state_dict())
    assert repr(found) == "<All keys matched successfully>"
    assert (found.missing_keys, found.unexpected_keys) == ([], [])
    for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert target[0].weight.requires_grad
    assert target[0].weight.storage.version > 0


def test_numpy_arrays_and_other_dtypes_are_converted():
    net = model().double()
    net.load_state_dict({k: np.ones(s, "float32") for k, s in KEYS.items()})
    assert net[0].weight.dtype == np.float64
    assert net[1].num_batches_tracked.dtype == np.int64


class Foreign:
    """As a PyTorch Parameter: NumPy gets its values only when it is detached."""

    def __init__(self, array, detached=False):
        self.array, self.detached, self.shape = array, detached, array.shape

    def detach(self):
        return Foreign(self.array, detached=True)

    def __array__(self, dtype=None, copy=None):
        if not self.detached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        return self.array


def test_what_requires_a_gradient_is_detached():
    net = nn.Linear(2, 1)
    net.load_state_dict(
        {"weight": Foreign(np.ones((1, 2), "float32")), "bias": tg.ones(1, requires_grad=True)}
    )
    assert (net.weight.tolist(), net.bias.tolist()) == ([[1, 1]], [1])
    assert net.weight.is_leaf
    assert net.bias.is_leaf


@pytest.mark.parametrize("count", [1.5, np.nan, np.inf, 1e30])
def test_a_count_is_a_whole_number(count):
    net = model()
    state = {**net.state_dict(), "0.bias": tg.ones(3)}
    state["1.num_batches_tracked"] = np.array(count)
    with pytest.raises(RuntimeError, match=r"1\.num_batches_tracked is float64, wanted int64"):
        net.load_state_dict(state)
    assert net[0].bias.tolist() != [1, 1, 1]
    net.load_state_dict({"1.num_batches_tracked": np.array(7.0)}, strict=False)
    assert net[1].num_batches_tracked.item() == 7


def test_every_problem_is_listed_and_nothing_loaded():
    net = model()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    state = {k: tg.ones(s) for k, s in KEYS.items() if k not in ("0.bias", "1.weight")}
    state |= {
        "3.weight": tg.ones(9, 9),
        "0.weight": tg.ones(4, 3),
        "5.weight": tg.ones(1),
        "head": tg.ones(2),
    }
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    for part in [
        "missing: 0.bias",
        "missing: 1.weight",
        "unexpected: 5.weight",
        "unexpected: head",
        "3.weight is (9, 9), wanted (2, 3)",
        "0.weight is (4, 3), wanted (3, 4)",
        "nothing was loaded",
    ]:
        assert part in message
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_not_strict_loads_what_is_there():
    net = model()
    found = net.load_state_dict({"0.bias": tg.ones(3), "head": tg.ones(1)}, strict=False)
    assert found.unexpected_keys == ["head"]
    assert "0.weight" in found.missing_keys
    assert net[0].bias.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="wanted"):
        net.load_state_dict({"0.bias": tg.ones(4)}, strict=False)


def test_input_that_is_not_a_state_dict():
    with pytest.raises(TypeError, match=r"tg\.load"):
        model().load_state_dict("model.safetensors")
    with pytest.raises(TypeError, match=r"0\.bias is str"):
        model().load_state_dict({"0.bias": "ones"}, strict=False)


def test_tied_parameters_have_both_names():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(list(net.parameters())) == 3
    net.load_state_dict(state)
    assert net[1].weight is net[0].weight


def test_through_a_file(tmp_path):
    source, target = model(), model()
    tg.save(source.state_dict(), tmp_path / "model.safetensors")
    target.load_state_dict(tg.load(tmp_path / "model.safetensors"))
    header = (tmp_path / "model.safetensors").read_bytes()[:8]
    assert int.from_bytes(header, "little") % 8 == 0, "the format aligns what follows"
    x = tg.randn(5, 4)
    source.eval(), target.eval()
    np.testing.assert_array_equal(source(x).detach().numpy(), target(x).detach().numpy())
