"""The formulas of all rules of a node; those of fused losses as calculus.

The textbook form of a fused loss is longer than its calculus, (softmax - onehot) / N.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.op import TextbookRule
from ..autograd.tape import Node
from ..autograd.values import as_array
from ..kernels.codegen.expression import Expression, as_expression
from .spelling import Call, Inputs, spell, spell_rule, summed


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


def spell_rules(node: Node, gradient: Expression, argument: Inputs) -> dict[int, Expression]:
    """Return the gradient of each input of a node, in the shape of that input.

    Args:
        node: a node of a tape, with its saved values.
        gradient: how the gradient that arrives is written.
        argument: returns how an argument of a rule is written.
    """
    op, joint = node.op, node.op.joint_rule
    inputs = [k for k, edge in enumerate(node.edges) if edge is not None]
    if joint is None:
        return {k: spell_rule(op.rules[k], node, k, gradient, argument) for k in inputs}
    if op.python_only or isinstance(joint, TextbookRule):
        form = "backward" if op.python_only else "textbook form, differentiated:"
        return {k: Call("rule", [gradient], f"{op.name}'s {form} ({gradient})") for k in inputs}
    if op.name in CALCULUS:
        return {0: CALCULUS[op.name](node, gradient, argument)}
    return spell(joint, node, gradient, argument)
