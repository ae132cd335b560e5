"""Each op that a function applies, checked by itself: where a wrong gradient comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..autograd.values import from_array
from .gradient_report import WrongOp
from .tape import Tape
from .watch import WatchedNode, watch

if TYPE_CHECKING:
    from .gradcheck import _Check


def wrong_ops(check: _Check) -> Iterator[WrongOp]:
    """Run the function again, check the gradient rules of each of its ops, yield the wrong ones."""
    with watch():
        outputs = check.run()
    names = {f"x{k}": check.inputs[k] for k in check.checked}
    done: set[Any] = set()
    for k in check.live:
        tape = Tape(outputs[k], names)
        for node in tape.nodes:
            if node in done or not isinstance(node, WatchedNode):
                continue
            done.add(node)
            for entry in _wrong_entries(node, check):
                name = tape.input(node, entry.input)
                call = f"{tape.names[id(node)]} = {tape.call(node)}"
                yield WrongOp(node.op.name, call, node.line, name, entry)


def _wrong_entries(node: WatchedNode, check: _Check) -> list[Any]:
    """Return the first wrong entry by each input of an op."""
    wanted = [k for k, edge in enumerate(node.edges) if edge is not None]
    if any(node.inputs[k].dtype != "float64" for k in wanted):
        return []  # differences need float64
    values = [from_array(array) for array in node.inputs]
    for k in wanted:
        values[k].requires_grad_()
    own = type(check)("op", _function(node), values, check.eps, check.atol, check.rtol)
    found = []
    for k in own.checked:
        wrong = [entry for entry in own.entries(k) if entry.status == "wrong"]
        found += wrong[:1]
    return found


def _function(node: WatchedNode) -> Callable[..., Any]:
    """Return the op of a node as a function of its inputs."""
    op: Any = node.op

    def function(*values: Any) -> Any:
        given: list[Any] = list(values)
        for k in op.mutates:
            given[k] = given[k].clone()
        if op.python_only:
            arguments = list(op.arguments)
            for place, value in zip(op.places, given, strict=True):
                arguments[place] = value
            return op.function.apply(*arguments, **op.keywords)
        return op(*given, **node.params)

    return function
