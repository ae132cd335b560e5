"""`from_config`: a network from a list of dictionaries, one for each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._common.validation import check_choice
from ..ops.validation import integer, probability
from . import activation as activations
from . import init as initialisers
from .container import Sequential
from .dropout import Dropout
from .linear import Identity, Linear
from .module import Module
from .normalization import BatchNorm1d

ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": activations.ReLU,
    "leaky_relu": activations.LeakyReLU,
    "prelu": activations.PReLU,
    "elu": activations.ELU,
    "gelu": activations.GELU,
    "silu": activations.SiLU,
    "sigmoid": activations.Sigmoid,
    "tanh": activations.Tanh,
    "softplus": activations.Softplus,
    "softmax": lambda: activations.Softmax(dim=1),
    "log_softmax": lambda: activations.LogSoftmax(dim=1),
    "identity": Identity,
}
"""The names that `from_config` accepts as ``activation``."""

INITIALISERS = tuple(
    f"{scheme}_{distribution}"
    for scheme in ("xavier", "kaiming", "lecun")
    for distribution in ("uniform", "normal")
)
"""The names that `from_config` accepts as ``init``: functions of `nn.init`, without the ``_``."""

PLACES = {True: "before", False: "", None: "", "before": "before", "after": "after"}
REQUIRED = ("input_dim", "output_dim")
OPTIONAL = ("activation", "bias", "batch_norm", "dropout", "init")


def from_config(config: Sequence[Mapping[str, Any]]) -> Sequential:
    """Return the network that a list of dictionaries describes, one dictionary for each layer.

    Each layer computes dropout(activation(batch_norm(x W^T + b))), without the parts that its
    dictionary does not have. The keys:

    ==============  ============================================================================
    ``input_dim``   the number of inputs; equal to the ``output_dim`` of the layer before
    ``output_dim``  the number of outputs
    ``activation``  a name, such as "relu", "tanh" or "sigmoid"; "identity" or None for none
    ``bias``        False for no b
    ``batch_norm``  True or "before" for `BatchNorm1d` before the activation, "after" for after it
    ``dropout``     the probability p of `Dropout`
    ``init``        how W is drawn: the name of a function of `nn.init` without the last ``_``, such
                    as "xavier_normal" or "kaiming_uniform", or a number, the standard deviation of
                    normal values; b then begins at 0. By default as `Linear` draws them
    ==============  ============================================================================

    "kaiming" takes the gain of the activation, and that of "relu" for one that has none.

    Args:
        config: the dictionaries, from the input to the output.

    Raises:
        TypeError: not a list of dictionaries, or a value of a wrong type.
        ValueError: a key or a name that does not exist, sizes that do not match; the message names
            the entry, counted from 0.

    >>> from tinygrad_mlp import nn
    >>> nn.from_config([
    ...     {"input_dim": 2, "output_dim": 25, "activation": "relu", "dropout": 0.5},
    ...     {"input_dim": 25, "output_dim": 1, "activation": "sigmoid"},
    ... ])
    Sequential(
      (0): Linear(in_features=2, out_features=25, bias=True)
      (1): ReLU()
      (2): Dropout(p=0.5, inplace=False)
      (3): Linear(in_features=25, out_features=1, bias=True)
      (4): Sigmoid()
    )
    """
    if isinstance(config, (str, Mapping)) or not isinstance(config, Sequence) or not config:
        raise TypeError(
            f"from_config: `config` must be a list of dictionaries, got {config!r:.60}; write "
            '[{"input_dim": 2, "output_dim": 3, "activation": "relu"}, ...]'
        )
    for index, entry in enumerate(config):  # all are checked before the first draws its weights
        _check(index, entry)
        before = config[index - 1]["output_dim"] if index else entry["input_dim"]
        if entry["input_dim"] != before:
            raise ValueError(
                f"from_config: config[{index}] has input_dim {entry['input_dim']}, but config"
                f"[{index - 1}] has output_dim {before}; write input_dim={before}"
            )
    return Sequential(*(module for entry in config for module in _layer(entry)))


def _check(index: int, entry: Any) -> None:
    """Raise an error that names the entry if it does not describe a layer."""
    where = f"from_config: config[{index}]"
    if not isinstance(entry, Mapping):
        raise TypeError(f"{where} must be a dictionary, got {entry!r:.60}")
    try:
        for key in entry:
            check_choice("key", key, (*REQUIRED, *OPTIONAL))
        for key in REQUIRED:
            if key not in entry:
                raise ValueError(f"{key!r} is missing; write {{..., {key!r}: 16}}")
            integer(where, key, entry[key], least=1)
        if entry.get("activation") is not None:
            check_choice("activation", entry["activation"], ACTIVATIONS)
        probability(where, "dropout", entry.get("dropout") or 0.0)
        if not isinstance(entry.get("bias", True), bool):
            raise TypeError(f"`bias` must be True or False, not {entry['bias']!r}")
        place = entry.get("batch_norm")
        if not isinstance(place, (bool, str, type(None))) or place not in PLACES:
            raise ValueError(f'`batch_norm` must be True, "before" or "after", not {place!r}')
        _check_init(entry.get("init"))
    except (TypeError, ValueError) as error:
        text = str(error)
        raise type(error)(text if text.startswith(where) else f"{where}: {text}") from None


def _check_init(init: Any) -> None:
    """Raise an error if ``init`` is neither the name of an initialiser nor a number."""
    if isinstance(init, bool) or not isinstance(init, (str, int, float, type(None))):
        raise TypeError(f"`init` must be a name or a number, not {init!r}")
    if isinstance(init, str):
        check_choice("initialiser", init, INITIALISERS)
    elif init is not None and not 0 <= init < float("inf"):
        raise ValueError(f"`init` is a standard deviation, 0 or more, not {init!r}")


def _layer(entry: Mapping[str, Any]) -> list[Module]:
    """Return the modules of a checked entry, in order."""
    linear = Linear(entry["input_dim"], entry["output_dim"], bias=entry.get("bias", True))
    name, place = entry.get("activation") or "identity", PLACES[entry.get("batch_norm")]
    _draw(linear, entry.get("init"), name)
    norm = [BatchNorm1d(entry["output_dim"])] if place else []
    activation = [] if name == "identity" else [ACTIVATIONS[name]()]
    dropout = [Dropout(entry["dropout"])] if entry.get("dropout") else []
    ordered = (*norm, *activation) if place == "before" else (*activation, *norm)
    return [linear, *ordered, *dropout]


def _draw(linear: Linear, init: str | float | None, activation: str) -> None:
    """Draw the weight by an initialiser; the bias is then 0."""
    if init is None:
        return
    if isinstance(init, str):
        function = getattr(initialisers, f"{init}_")
        known = activation in (*initialisers.GAINS, "leaky_relu")
        gain = {"nonlinearity": activation if known else "relu"}
        function(linear.weight, **(gain if init.startswith("kaiming") else {}))
    else:
        initialisers.normal_(linear.weight, std=float(init))
    if linear.bias is not None:
        initialisers.zeros_(linear.bias)
