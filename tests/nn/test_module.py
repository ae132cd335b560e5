"""`Module`: registration, listing, modes, conversion, copies."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn
from tinygrad_mlp._common.change_counter import structure_version


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.scale = nn.Parameter(tg.ones(3))
        self.register_buffer("offset", tg.zeros(3))
        self.register_buffer("cache", tg.zeros(1), persistent=False)
        self.depth = 2

    def forward(self, x):
        return self.norm(self.first(x)) * self.scale + self.offset


def names(pairs):
    return [name for name, _ in pairs]


def test_what_is_assigned_is_registered():
    net = Net()
    assert names(net.named_parameters()) == [
        "scale",
        "first.weight",
        "first.bias",
        "norm.weight",
        "norm.bias",
    ]
    assert names(net.named_buffers()) == [
        "offset",
        "cache",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert names(net.named_children()) == ["first", "norm"]
    assert names(net.named_modules()) == ["", "first", "norm"]
    assert names(net.named_parameters("net", recurse=False)) == ["net.scale"]
    assert list(net.modules()) == [net, net.first, net.norm]
    assert len(list(net.parameters())) == 5
    assert "first" in dir(net)
    assert net.depth == 2


def test_shared_modules_and_parameters_are_listed_once():
    net = Net()
    net.again = net.first
    net.tied = net.scale
    assert len(list(net.parameters())) == 5
    assert names(net.named_modules()) == ["", "first", "norm"]
    assert {"again.weight", "tied"} <= set(net.state_dict())


def test_shared_modules_and_parameters_are_listed_under_all_names_on_demand():
    net = Net()
    net.again = net.first
    net.tied = net.scale
    every = names(net.named_parameters(remove_duplicate=False))
    assert {"scale", "tied", "first.weight", "again.weight"} <= set(every)
    assert names(net.named_modules(remove_duplicate=False)) == ["", "first", "norm", "again"]
    assert len(list(net.modules(remove_duplicate=False))) == 4
    assert names(net.named_modules({net.first}, "net")) == ["net", "net.norm"]


def test_a_parameter_in_place_of_a_buffer_that_is_not_saved_is_saved():
    net = Net()
    net.cache = nn.Parameter(tg.zeros(1))
    assert "cache" in net.state_dict()


def test_a_name_changes_its_kind():
    net = Net()
    net.offset = nn.Parameter(tg.zeros(3))
    assert "offset" in names(net.named_parameters())
    assert "offset" not in names(net.named_buffers())
    net.depth = nn.ReLU()
    assert "depth" in names(net.named_children())
    del net.depth
    assert not hasattr(net, "depth")
    net.scale = None
    assert net.scale is None
    assert "scale" not in names(net.named_parameters())
    net.offset = None
    net.scale = nn.Parameter(tg.zeros(2))
    assert net.scale.shape == (2,)


def test_buffers_are_replaced_by_tensors():
    net = Net()
    net.offset = tg.ones(3)
    assert net.offset.tolist() == [1, 1, 1]
    assert "offset" in net.state_dict()
    net.cache = tg.ones(2)
    assert "cache" not in net.state_dict()
    net.offset = None
    assert net.offset is None


def test_errors_say_what_to_write():
    net = Net()
    with pytest.raises(AttributeError, match="did you mean 'first'"):
        _ = net.frist
    with pytest.raises(AttributeError, match="did you mean 'weight'"):
        _ = net.first.wieght
    with pytest.raises(TypeError, match=r"nn\.Parameter\(tensor\)"):
        net.scale = tg.ones(3)
    with pytest.raises(TypeError, match="must be a module or None"):
        net.first = 3
    with pytest.raises(TypeError, match="buffer 'offset' of Net"):
        net.offset = [0, 0, 0]
    with pytest.raises(TypeError, match=r"nn\.Parameter"):
        net.register_parameter("other", tg.ones(3))
    with pytest.raises(KeyError, match="without dots"):
        net.register_buffer("a.b", tg.ones(1))
    with pytest.raises(KeyError, match="already"):
        net.register_buffer("forward", tg.ones(1))
    with pytest.raises(NotImplementedError, match="def forward"):
        nn.Module()(1)
    with pytest.raises(TypeError, match="mode"):
        net.train(1)

    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Early()

    class Never(nn.Module):
        def __init__(self):
            pass

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Never()(1)


def test_modes_reach_all_and_respect_overrides():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout()), Frozen(2))
    assert model.train() is model
    assert [m.training for m in model.modules()] == [True, True, True, True, False]
    model.eval()
    assert not any(m.training for m in model.modules())


def test_zero_grad_and_requires_grad():
    net = Net()
    net(tg.randn(5, 4)).sum().backward()
    gradient = net.scale.grad
    net.zero_grad(set_to_none=False)
    assert net.scale.grad is gradient
    assert gradient.tolist() == [0, 0, 0]
    net.zero_grad()
    assert net.scale.grad is None
    net.requires_grad_(False)
    assert not net(tg.randn(5, 4)).requires_grad


def test_apply_goes_children_first():
    seen = []
    Net().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "BatchNorm1d", "Net"]


def test_conversion_is_in_place():
    net = Net()
    net(tg.randn(5, 4)).sum().backward()
    parameter, buffer = net.first.weight, net.norm.running_mean
    before = parameter.detach().numpy().copy()
    assert net.double() is net
    assert net.first.weight is parameter
    assert net.norm.running_mean is buffer
    assert {v.dtype for v in net.parameters()} == {np.dtype("float64")}
    assert parameter.grad.dtype == buffer.dtype == np.float64
    assert net.norm.num_batches_tracked.dtype == np.int64
    np.testing.assert_array_equal(parameter.detach().numpy(), before)
    net(tg.randn(5, 4, dtype="float64")).sum().backward()
    net.float()
    assert parameter.dtype == np.float32
    with pytest.raises(TypeError, match="float32 or float64"):
        net.to("int64")


def test_conversion_after_recording_is_noticed():
    layer = nn.Linear(2, 2)
    out = layer(tg.randn(3, 2).requires_grad_()).sum()
    layer.double()
    with pytest.raises(RuntimeError, match="changed in place"):
        out.backward()


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_stand_alone(twin):
    net = Net()
    net.tied = net.scale
    net.eval()
    other = twin(net)
    x = tg.randn(5, 4)
    np.testing.assert_array_equal(net(x).detach().numpy(), other(x).detach().numpy())
    assert other.tied is other.scale
    assert isinstance(other.scale, nn.Parameter)
    assert not other.training
    with tg.no_grad():
        other.scale.fill_(7)
    assert net.scale.tolist() == [1, 1, 1]
    assert names(other.named_parameters()) == names(net.named_parameters())


def test_repr_has_a_line_for_each_line_of_the_options_and_each_child():
    class Options(nn.Module):
        def __init__(self, lines, child=None):
            super().__init__()
            self.lines, self.child = lines, child

        def extra_repr(self):
            return self.lines

    assert repr(Options("")) == "Options()"
    assert repr(Options("a=1")) == "Options(a=1)"
    assert repr(Options("a=1\nb=2")) == "Options(\n  a=1\n  b=2\n)"
    nested = Options("a=1", Options("b=2\nc=3"))
    assert repr(nested) == ("Options(\n  a=1\n  (child): Options(\n    b=2\n    c=3\n  )\n)")


def test_parameter_is_a_tensor():
    data = tg.ones(2)
    parameter = nn.Parameter(data)
    assert parameter.requires_grad
    with tg.no_grad():
        data.fill_(3)
    assert parameter.tolist() == [3, 3]
    assert type(parameter * 2) is tg.Tensor
    assert repr(parameter) == "Parameter containing:\ntensor([3., 3.], requires_grad=True)"
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter([1, 2])


CHANGES = {
    "attribute": lambda net: setattr(net, "depth", 3),
    "parameter": lambda net: setattr(net, "scale", nn.Parameter(tg.ones(3))),
    "buffer": lambda net: net.register_buffer("offset", tg.ones(3)),
    "module": lambda net: setattr(net, "norm", nn.Identity()),
    "deleted": lambda net: delattr(net, "norm"),
    "mode": lambda net: net.eval(),
    "option below": lambda net: setattr(net.norm, "momentum", None),
    "hook": lambda net: net.register_forward_hook(print),
    "conversion": lambda net: net.double(),
    "frozen": lambda net: net.requires_grad_(False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_structure_version_moves_with_every_change(change):
    net = Net()
    before = structure_version()
    net(tg.randn(5, 4)).sum().backward()
    assert structure_version() == before
    CHANGES[change](net)
    assert structure_version() > before


def test_structure_version_moves_when_a_hook_is_removed():
    handle = Net().register_forward_hook(print)
    before = structure_version()
    handle.remove()
    assert structure_version() > before


def test_named_modules_takes_a_set_first_as_in_pytorch():
    model = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="`memo` must be a set, not 'pre'"):
        next(model.named_modules("pre"))
    assert [name for name, _ in model.named_modules(prefix="pre")] == ["pre", "pre.0"]
