"""What is wrong with a record of `Monitor`, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypedDict

DEAD = SATURATED = 0.5  # shares of units above which a layer is in trouble
RATIO = 1000.0  # between the gradients of the first and the last layer
LARGE = 0.1  # an update, relative to the weight


class Warned(TypedDict):
    """A warning: the epoch, the layer or parameter, the kind, and a message with what to do."""

    epoch: int
    layer: str
    kind: str
    message: str


def advice(record: dict[str, Any]) -> Iterator[Warned]:
    """Yield the warnings that a record gives rise to.

    Kinds: "dead" and "saturated" for more than half of a layer's units; "not_finite" for a loss or
    gradient that is inf or nan; "vanishing" and "exploding" for gradients of the first layer's
    output that differ from those of the last (root mean square) by a factor of 1000; "update" for
    an update above a tenth of the weight.
    """

    def warned(layer: str, kind: str, message: str) -> Warned:
        return {"epoch": record["epoch"], "layer": layer, "kind": kind, "message": message}

    for layer in record["layers"]:
        name, what = layer["name"], f"layer {layer['name']!r} ({layer['type']})"
        if (share := layer["dead"]) is not None and share > DEAD:
            yield warned(
                name,
                "dead",
                f"{what}: {share:.0%} of its units are 0 for every row of the probe and do not "
                "learn; lower the learning rate, draw the weights before it by "
                "nn.init.kaiming_normal_, or use nn.LeakyReLU",
            )
        if (share := layer["saturated"]) is not None and share > SATURATED:
            yield warned(
                name,
                "saturated",
                f"{what}: {share:.0%} of its outputs are where it is flat, and pass on almost no "
                "gradient; standardise the inputs, draw the weights before it by "
                "nn.init.xavier_normal_, lower the learning rate, or use nn.ReLU",
            )
    total = record["gradient_norm"]
    if not (math.isfinite(total) and math.isfinite(record["loss"])):
        yield warned(
            "",
            "not_finite",
            f"the loss is {record['loss']} and the norm of the gradient {total}; lower the "
            "learning rate, clip the gradients (clip_grad=1.0), or scale the inputs",
        )
        return
    yield from _across_layers(record, warned)


def _across_layers(record: dict[str, Any], warned: Any) -> Iterator[Warned]:
    """Yield the warnings about gradients of layers, and updates of weights."""
    layers = [layer for layer in record["layers"] if layer["gradient"]]
    sizes = [math.hypot(each["gradient"]["mean"], each["gradient"]["std"]) for each in layers]
    if len(layers) > 2 and (sizes[0] or sizes[-1]):
        first, ratio = layers[0]["name"], sizes[0] / sizes[-1] if sizes[-1] else math.inf
        found = f"the gradient of layer {first!r} is {ratio:.1e} times that of the last layer"
        if ratio < 1 / RATIO:
            yield warned(
                first,
                "vanishing",
                f"{found}: it vanishes on the way back; draw the weights by "
                "nn.init.kaiming_normal_ (ReLU) or nn.init.xavier_normal_ (tanh), put "
                "nn.BatchNorm1d after the layers, or use fewer layers",
            )
        if ratio > RATIO:
            yield warned(
                first,
                "exploding",
                f"{found}: it explodes on the way back; draw smaller weights "
                "(nn.init.kaiming_normal_, nn.init.xavier_normal_), clip the gradients, or put "
                "nn.BatchNorm1d after the layers",
            )
    for parameter in record["parameters"]:
        name, change = parameter["name"], parameter["update_ratio"]
        if name.endswith("weight") and change is not None and change > LARGE:
            yield warned(
                name,
                "update",
                f"an update changes {name!r} by {change:.0%}, where 0.1 % is usual; lower the "
                "learning rate",
            )
