"""`tape`: the recorded ops behind a tensor and their gradient rules, printed.

>>> import tinygrad_mlp as tg
>>> x = tg.tensor([[1.0, 2.0]], requires_grad=True)
>>> w = tg.tensor([[0.5], [0.25]], requires_grad=True)
>>> print(tg.study.tape((x @ w).tanh().sum(), names={"x": x, "w": w}))
leaves
  x         float32 (1, 2)
  w         float32 (2, 1)
tape, oldest first; backward goes up from the last line
  %1 = matmul(x, w)          float32 (1, 1)
         dL/dx = %1' @ w.mT
         dL/dw = x.mT @ %1'
  %2 = tanh(%1)              float32 (1, 1)
         dL/d%1 = %2' * (1 - %2 * %2)
  %3 = sum(%2, dims=(0, 1))  float32 ()
         dL/d%2 = %3'.expand(1, 1)
%n' is dL/d%n, the gradient that arrives at line n
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._tensor import Tensor
from ..autograd.tape import Edge, Node, Value
from ..autograd.values import from_array
from ..kernels.codegen.expression import Expression, as_expression
from ..kernels.runtime.layout import Layout
from ..nn import Module
from .calculus import spell_rules
from .spelling import index_text, layout_of_argument, params_of, symbol
from .watch import WatchedNode


class Tape:
    """The graph behind a tensor: its nodes, oldest first, and its leaves. It prints as text.

    ``names[id(x)]`` is the name of a node or leaf: ``%3`` for the node of line 3.
    """

    def __init__(self, output: Tensor, names: Names = None):
        self.output = output
        self.nodes = _nodes_behind(output)
        targets: list[Any] = [e[0] for node in self.nodes for e in node.edges if e is not None]
        targets += [] if self.nodes else [output]
        self.leaves = list({id(t): t for t in targets if isinstance(t, Value)}.values())
        self.given = _given_names(names)
        self.names: dict[int, str] = {
            id(leaf): self._given(leaf) or f"leaf{k}" for k, leaf in enumerate(self.leaves, 1)
        }
        self.names |= {id(node): f"%{k}" for k, node in enumerate(self.nodes, 1)}

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        if not self.nodes:
            return f"an empty tape: {_why_empty(self.output)}"
        calls = [f"{self.names[id(node)]} = {self.call(node)}" for node in self.nodes]
        width = max(len(call) for call in calls) + 2
        named = max(8, *(len(self.names[id(v)]) for v in self.leaves)) + 2
        lines = ["leaves"]
        lines += [
            f"  {self.names[id(v)]:<{named}}{v.layout.dtype} {v.layout.shape}" for v in self.leaves
        ]
        lines.append("tape, oldest first; backward goes up from the last line")
        rules, added = self._rules()
        for node, call in zip(self.nodes, calls, strict=True):
            result = node.results[0]
            lines.append(f"  {call:<{width}}{result.dtype} {result.shape}")
            lines += [f"         {line}" for line in rules[node]]
        lines.append("%n' is dL/d%n, the gradient that arrives at line n")
        if added:
            lines.append("+= adds to the gradient that came from a line further down")
        return "\n".join(lines)

    def call(self, node: Node) -> str:
        """Return an applied op as a call: ``matmul(x, w)``."""
        inputs = [self.input(node, k) for k in range(len(node.edges))]
        if node.op.name == "slice":
            return f"{inputs[0]}{index_text(node.params['key'])}"
        return f"{node.op.name}({', '.join([*inputs, *params_of(node)])})"

    def edge(self, edge: Edge) -> str:
        """Return where a gradient goes: the name of a line or leaf."""
        target, slot = edge
        part = f".{target.op.outputs[slot]}" if slot and isinstance(target, Node) else ""
        return self.names[id(target)] + part

    def input(self, node: Node, k: int) -> str:
        """Return the line or leaf of an input; without a gradient, its name or value."""
        edge = node.edges[k]
        if edge is not None:
            return self.edge(edge)
        name = node.op.inputs[k] if k < len(node.op.inputs) else f"x{k}"
        given = self._given_input(node, k)
        number = self._number(node, name)
        return given or (name if number is None else f"{number:g}")

    def _number(self, node: Node, name: str) -> float | None:
        """Return an input that is a number: without a shape, a gradient or a name."""
        k = node.op.inputs.index(name) if name in node.op.inputs else -1
        value = input_value(node, k) if k >= 0 and node.edges[k] is None else None
        if value is None or value.layout.shape or self._given_input(node, k):
            return None
        exact = value.item()
        for short in (int(exact) if abs(exact) < 1e9 else exact, float(f"{exact:g}")):
            if value.layout.dtype.type(short) == exact:
                return short
        return float(exact)

    def _given(self, value: Value) -> str:
        """Return the name that the caller gave to a tensor, or one on the same elements."""
        return self.given.get((value.address, value.layout), "")

    def _given_input(self, node: Node, k: int) -> str:
        if isinstance(node, WatchedNode):
            return self.given.get(node.sources[k], "")
        value = input_value(node, k)
        return "" if value is None else self._given(value)

    def argument(self, node: Node, name: str) -> str:
        """Return how the argument ``name`` of a rule is called on this tape."""
        if name in node.op.inputs:
            return self.input(node, node.op.inputs.index(name))
        own = self.names[id(node)]
        return own if name == node.op.outputs[0] else f"{own}.{name}"

    def symbol_of(self, node: Node) -> Callable[[str], Expression]:
        """Return a function that writes an argument of a node's rule: a number, or its name."""

        def argument(name: str) -> Expression:
            if layout_of_argument(node, name) is None:
                return as_expression(node.lookup(name))
            number = self._number(node, name)
            return symbol(self.argument(node, name)) if number is None else as_expression(number)

        return argument

    def formulas(self, node: Node) -> dict[int, Expression]:
        """Return the gradient of each input of a node, in terms of this tape's lines."""
        return spell_rules(node, symbol(f"{self.names[id(node)]}'"), self.symbol_of(node))

    def _rules(self) -> tuple[dict[Node, list[str]], bool]:
        """Return the lines of each node's rules, and whether one of them adds to another.

        In the order of backward the first gradient of an edge is ``=``, those after it are ``+=``.
        """
        seen: set[Edge] = set()
        rules: dict[Node, list[str]] = {}
        added = False
        for node in reversed(self.nodes):
            formulas = {} if node.saved is None else self.formulas(node)
            rules[node] = []
            for k, edge in enumerate(node.edges):
                if edge is None:
                    continue
                again = edge in seen
                added = added or again
                seen.add(edge)
                text = formulas.get(k, "freed by an earlier backward; pass retain_graph=True to it")
                rules[node].append(f"dL/d{self.edge(edge)} {'+=' if again else '='} {text}")
        return rules, added


Names = Mapping[str, Tensor] | Module | None


def _given_names(names: Names) -> dict[tuple[int, Layout], str]:
    named = names.named_parameters() if isinstance(names, Module) else (names or {}).items()
    return {(value.address, value.layout): name for name, value in named}


def input_value(node: Node, k: int) -> Any:
    """Return input ``k`` of a node if the node has it, or None."""
    name = node.op.inputs[k] if k < len(node.op.inputs) else ""
    if isinstance(node, WatchedNode):
        return from_array(node.inputs[k])
    pair = (node.saved or {}).get(name)
    return None if pair is None else pair[0]


def _why_empty(output: Tensor) -> str:
    if output.requires_grad:
        return "this tensor is a leaf; pass what was computed from it, such as a loss"
    return (
        "this tensor has no history. It was not computed from one that requires a gradient, or "
        "inside no_grad(), or detached; or a compiled step returned it, which runs forward and "
        "backward as one program without a tape: print(step.program) shows that program, "
        "step.function is the function that records a tape"
    )


def _nodes_behind(output: Tensor) -> list[Node]:
    stack: list[Any] = [output.grad_fn]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            stack.extend(edge[0] for edge in node.edges if edge is not None)
    return sorted(found, key=lambda node: node.number)


def tape(output: Tensor, names: Names = None) -> Tape:
    """Return the recorded ops behind a tensor, to be printed.

    One line for each op, oldest first, with the dtype and shape of its result. Below it the
    gradient rule of each input: dL/dx in terms of the gradient that arrives, in the shape of x.

    Args:
        output: a tensor, such as a loss.
        names: the names of leaves and of other inputs, ``{"x": x}``; or a model, whose parameters
            have names.
    """
    return Tape(output, names)
