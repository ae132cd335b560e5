"""The gradients of fused losses as calculus: shorter than their textbook form, term by term."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.tape import Node
from ..autograd.values import as_array
from ..kernels.codegen.expression import Expression, as_expression
from .spelling import Call, Inputs, summed


def _column(of: Expression) -> Call:
    """Return (N,) as (N, 1)."""
    return Call("unsqueeze", [of], f"{of}.unsqueeze(1)", dim=1)


def _cross_entropy(node: Node, g: Expression, argument: Inputs) -> Any:
    """Return  g * (softmax(logits) - onehot(target)) / N,  and what the call adds to it."""
    smoothing, classes = node.params["label_smoothing"], node.layouts[0].shape[1]
    logits, wanted = argument("logits"), _onehot(node, argument)
    if smoothing:
        wanted = (1 - smoothing) * wanted + smoothing / classes
    softmax = Call("softmax", [logits])
    if not _is_plain(node):
        wanted = wanted * argument("weight")
        softmax = softmax * summed(wanted, (1,), True)
    return _scaled(node, g, softmax - wanted, argument)


def _nll_loss(node: Node, g: Expression, argument: Inputs) -> Any:
    """Return  g * -onehot(target) / N,  and what the call adds to it."""
    wanted = _onehot(node, argument)
    return _scaled(node, g, -(wanted if _is_plain(node) else wanted * argument("weight")), argument)


def _onehot(node: Node, argument: Inputs) -> Expression:
    return Call("onehot", [argument("target")], classes=node.layouts[0].shape[1])


def _is_plain(node: Node) -> bool:
    """Return whether all classes have weight 1."""
    return bool((as_array(node.lookup("weight")) == 1).all())


def _scaled(node: Node, g: Expression, of_row: Any, argument: Inputs) -> Any:
    """Return the gradient of a loss per row: times g, divided for a mean, 0 for ignored rows."""
    target, ignored = as_array(node.lookup("target")), node.params["ignore_index"]
    if (target == ignored).any():
        here = _column(argument("target")) == ignored
        of_row = Expression("where", [here, as_expression(0), of_row])
    if node.params["reduction"] == "none":
        return _column(g) * of_row
    if node.params["reduction"] == "sum":
        return g * of_row
    rows = int((target != ignored).sum())
    return g * of_row / (rows if _is_plain(node) else argument("total_weight"))


CALCULUS: dict[str, Callable[[Node, Expression, Inputs], Any]] = {
    "cross_entropy": _cross_entropy,
    "nll_loss": _nll_loss,
}
