"""`Ensemble`: K networks of one shape, trained together. `EnsembleLoss`: the sum of their losses.

The ops: ``ops/fused/members.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.modes import grad_mode
from ..ops import random
from ..ops.create import tensor
from ..ops.elementwise.arithmetic import copy_
from ..ops.fused import members as ops
from ..ops.fused.softmax import softmax
from ..ops.reduce import mean
from ..ops.reduce import sum as sum_
from ..ops.shape.join import stack
from ..ops.shape.view import expand
from ..ops.validation import as_tensor, integer
from . import activation as activations
from . import functional as F
from .dropout import DropConnect, Dropout
from .linear import Flatten, Identity, Linear
from .loss import CrossEntropyLoss
from .module import Module
from .normalization import BatchNorm1d, LayerNorm
from .parameter import Parameter

ELEMENTWISE = (
    *(activations.ReLU, activations.LeakyReLU, activations.ELU, activations.GELU),
    *(activations.SiLU, activations.Sigmoid, activations.Tanh, activations.Softplus, Identity),
)
AXES = ("dim", "start_dim", "end_dim")  # options that count axes


class _Layer(Module):
    """One layer of all members: their parameters and buffers stacked, their options."""

    def __init__(self, modules: Sequence[Module], states: Tensor):
        super().__init__()
        first = modules[0]
        self.training = first.training
        # Not registered: the states are a buffer of the ensemble, the options are the first's.
        self.__dict__["states"], self.__dict__["options"] = states, first
        for name, parameter in first._parameters.items():
            own = None
            if parameter is not None:
                values = stack([each._parameters[name].detach() for each in modules])
                own = Parameter(values, requires_grad=parameter.requires_grad)
            self.register_parameter(name, own)
        for name, buffer in first._buffers.items():
            values = None if buffer is None else stack([each._buffers[name] for each in modules])
            self.register_buffer(name, values, name not in first._non_persistent)

    def give(self, index: int, module: Module) -> None:
        """Copy the values of one member into a layer of its own."""
        for name, value in (*module._parameters.items(), *module._buffers.items()):
            if value is not None:
                copy_(value, getattr(self, name).detach()[index])

    def __repr__(self) -> str:
        """Return the layer of one member."""
        return repr(self.options)


class _Linear(_Layer):
    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] != self.weight.shape[-1]:
            raise ValueError(
                f"{self.options}: `input` has shape {input.shape[1:]}, but its last size must be "
                f"in_features, {self.weight.shape[-1]}"
            )
        return ops.linear(input, self._weight(), self.bias)

    def _weight(self) -> Tensor:
        return self.weight  # type: ignore[no-any-return]


class _DropConnect(_Linear):
    def _weight(self) -> Tensor:
        p = self.options.p if self.training else 0.0
        return ops.dropout(self.weight, self.states, p)


class _Dropout(_Layer):
    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout(input, self.states, self.options.p) if self.training else input


class _BatchNorm(_Layer):
    def forward(self, input: Tensor) -> Tensor:
        given = self.running_mean, self.running_var, self.num_batches_tracked
        running = None if self.running_mean is None else given
        by_batch = self.training or running is None
        options = self.options.momentum, self.options.eps
        return ops.batch_norm(input, running, self.weight, self.bias, by_batch, *options)


class _Apart(Module):
    """Any other layer: each member's is called by itself, and the results are stacked."""

    def __init__(self, modules: Sequence[Module], states: Tensor):
        super().__init__()
        for k, module in enumerate(modules):
            self.add_module(str(k), copy.deepcopy(module))

    def forward(self, input: Tensor) -> Tensor:
        return stack([module(input[k]) for k, module in enumerate(self._modules.values())])

    def give(self, index: int, module: Module) -> None:
        """Copy the values of one member into a layer of its own."""
        module.load_state_dict(self._modules[str(index)].state_dict())
        module.train(self.training)


class _LayerNorm(_Layer):
    def forward(self, input: Tensor) -> Tensor:
        options = self.options
        shape = options.normalized_shape
        if input.shape[-len(shape) :] != shape:
            raise ValueError(f"{options}: `input` has shape {input.shape[1:]}")
        return ops.layer_norm(input, shape, self.weight, self.bias, options.eps)


LAYERS: dict[type[Module], type[_Layer]] = {
    Linear: _Linear,
    DropConnect: _DropConnect,
    Dropout: _Dropout,
    BatchNorm1d: _BatchNorm,
    LayerNorm: _LayerNorm,
}


class Ensemble(Module):
    """K networks of one architecture that are trained together in one program.

        out[k] = network_k(x)        x (N, ...), out (K, N, ...)

    Each parameter is stacked: a weight is (K, out, in). The members learn the same as when each is
    trained apart, bit for bit, and faster, because one step launches the kernels of all of them
    together. For that a member has a generator of its own for its initial values and its dropout:
    member k is the network that follows ``tg.manual_seed(seed + k)``. All see the same batches.

    Train it with the sum of the members' losses, `EnsembleLoss`, whose gradients are those of each
    member alone. What mixes the members mixes their gradients: `clip_grad` limits the norm of all
    together.

    In a network of your own class, `forward` sees tensors with one axis more: it may use layers,
    elementwise functions and axes counted from the end. Layers with parameters of their own that
    are not of `nn`, and `PReLU`, run one member after another.

    Args:
        model: a function that returns a new network, or a list of networks of one architecture.
        size: K; only with a function.
        seed: that of member 0; member k has ``seed + k``. Of a list, it seeds dropout alone.

    Raises:
        TypeError: ``model`` is neither a function nor a list of modules.
        ValueError: there are no members, or two of them differ in architecture.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn, optim
    >>> from tinygrad_mlp.data import spiral
    >>> def network():
    ...     return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 3))
    >>> ensemble = nn.Ensemble(network, 5, seed=0)
    >>> optimizer = optim.Adam(ensemble.parameters(), lr=0.03)
    >>> _ = tg.fit(ensemble, optimizer, spiral(), loss=nn.EnsembleLoss(), epochs=5, progress=False)
    >>> ensemble.eval().mean(tg.ones(4, 2)).shape  # the average of the members' probabilities
    (4, 3)
    >>> len(ensemble.members())
    5

    Source: L. K. Hansen and P. Salamon, "Neural network ensembles", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 12, 1990. Stacked parameters: PyTorch's
    ``torch.func.stack_module_state``.
    """

    rng: Tensor

    def __init__(
        self,
        model: Callable[[], Module] | Sequence[Module],
        size: int | None = None,
        *,
        seed: int = 0,
    ):
        super().__init__()
        seed = integer("Ensemble", "seed", seed, least=0)
        models, states = _members(model, size, seed)
        self.register_buffer("rng", tensor(np.stack(states)))
        self.__dict__["plain"] = copy.deepcopy(models[0])  # the architecture, for `members`
        self.network = _stacked(models, self.rng, {})
        self.training = models[0].training

    @property
    def size(self) -> int:
        """The number of members."""
        return int(self.rng.shape[0])

    def extra_repr(self) -> str:
        """Return the number of members."""
        return f"size={self.size}"

    def forward(self, input: Tensor) -> Tensor:
        """Return the outputs of all members, stacked: (K, N, ...) for an input (N, ...)."""
        x = as_tensor("Ensemble", "input", input)
        return self.network(expand(x, (self.size, *x.shape)))

    def mean(self, input: Tensor) -> Tensor:
        """Return the average of the members' probabilities, softmax(outputs): (N, C)."""
        return mean(softmax(self(input), -1), 0)

    def members(self) -> list[Module]:
        """Return the members as networks of their own, with copies of the present values."""
        return [self._member(k) for k in range(self.size)]

    def _member(self, index: int) -> Module:
        network: Module = copy.deepcopy(self.plain)
        layers = dict(self.network.named_modules())
        dtype = next((p.dtype for p in self.network.parameters()), None)
        if dtype is not None:
            network.to(dtype)
        with grad_mode(False):
            for name, module in network.named_modules():
                if (layer := layers.get(name)) is not None:
                    module.training = layer.training
                if isinstance(layer, _Layer | _Apart):
                    layer.give(index, module)
        return network


def _members(model: Any, size: int | None, seed: int) -> tuple[list[Module], list[Any]]:
    """Return the networks, and the state of each one's generator after its initial draws."""
    models, states, before = [], [], random.get_rng_state()
    if not isinstance(model, Sequence):
        if not callable(model) or isinstance(model, Module):
            raise TypeError(
                "Ensemble: `model` must be a function that returns a network, or a list of "
                f"networks, not {type(model).__name__}; write nn.Ensemble(lambda: "
                "nn.Sequential(...), 5)"
            )
        size = integer("Ensemble", "size", size, least=1)
    elif size is not None and size != len(model):
        raise ValueError(f"Ensemble: `size` is {size}, but `model` has {len(model)} networks")
    try:
        for k in range(len(model) if size is None else size):
            random.manual_seed(seed + k)
            models.append(model[k] if isinstance(model, Sequence) else model())
            states.append(random.get_rng_state().numpy())
    finally:
        random.set_rng_state(before)
    if not models:
        raise ValueError("Ensemble: `model` has no networks; pass at least one")
    for k, each in enumerate(models):
        if not isinstance(each, Module):
            raise TypeError(f"Ensemble: network {k} is {type(each).__name__}, not an nn.Module")
        if _architecture(each) != _architecture(models[0]):
            raise ValueError(
                f"Ensemble: network {k} has another architecture than network 0: {each} and "
                f"{models[0]}"
            )
    return models, states


def _architecture(model: Module) -> Any:
    """Return what members must have in common."""
    layers = [(name, type(module), module.extra_repr()) for name, module in model.named_modules()]
    return layers, [(k, v.shape, v.dtype) for k, v in model.state_dict().items()]


def _stacked(modules: Sequence[Module], states: Tensor, done: dict[int, Module]) -> Module:
    """Return the module of all members that takes the place of one of each."""
    first = modules[0]
    if id(first) in done:
        return done[id(first)]
    if layer := LAYERS.get(type(first)):
        new: Module = layer(modules, states)
    elif type(first) in ELEMENTWISE:
        new = copy.deepcopy(first)
    elif type(first) in (Flatten, activations.Softmax, activations.LogSoftmax):
        new = copy.deepcopy(first)
        for name in set(AXES) & set(vars(new)):
            axis = getattr(new, name)
            setattr(new, name, -1 if axis is None else axis + 1 if axis >= 0 else axis)
    elif first._modules and not (first._parameters or first._buffers):
        children = {
            name: _stacked([each._modules[name] for each in modules], states, done)
            for name, child in first._modules.items()
            if child is not None
        }
        memo: dict[int, Any] = {id(c): children[name] for name, c in first._modules.items() if c}
        new = copy.deepcopy(first, memo)
    else:
        new = _Apart(modules, states)
    done[id(first)] = new
    return new


class EnsembleLoss(Module):
    """The sum over members of their losses: sum_k loss(outputs[k], target).

    The gradient of each member's parameters is that of its own loss.

    Args:
        loss: a function of (outputs, target) of one member that returns a 0-d tensor; by default
            the mean cross-entropy. It and `CrossEntropyLoss` are computed for all members at once.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> nn.EnsembleLoss()(tg.zeros(5, 4, 10), tg.tensor([1, 2, 3, 4])).item() / 5
    2.302585220336914
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor] | None = None):
        super().__init__()
        self.loss = F.cross_entropy if loss is None else loss

    def each(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each member: (K,) for outputs (K, N, ...) and one target."""
        x, loss = as_tensor("EnsembleLoss", "input", input), self.loss
        if x.ndim < 2:
            raise ValueError(f"EnsembleLoss: `input` must be (K, N, ...), not {x.shape}")
        module = CrossEntropyLoss() if loss is F.cross_entropy else loss
        labels = x.ndim == 3 and target.dtype.kind in "iu"
        if type(module) is CrossEntropyLoss and labels and module.reduction == "mean":
            options = {name: getattr(module, name) for name in ("ignore_index", "label_smoothing")}
            return ops.cross_entropy(x, target, module.weight, **options)
        return stack([loss(outputs, target) for outputs in x.unbind(0)])

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the sum of the losses of all members."""
        return sum_(self.each(input, target))
