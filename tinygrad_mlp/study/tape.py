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
         dL/d%2 = %3'
%n' is dL/d%n, the gradient that arrives at line n
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._tensor import Tensor
from ..autograd.modes import grad_mode, record
from ..autograd.op import Rule, TextbookRule
from ..autograd.tape import Entry, Node, Value
from ..kernels.codegen import expression
from ..kernels.runtime.layout import Layout
from ..ops.create import zeros
from ..ops.elementwise.declare import Elementwise, ElementwiseRule


class Tape:
    """The graph behind a tensor: its nodes, oldest first, and its leaves. It prints as text."""

    def __init__(self, output: Tensor, names: Mapping[str, Tensor] | None = None):
        self.output = output
        self.nodes = _nodes_behind(output)
        targets = [edge[0] for node in self.nodes for edge in node.edges if edge is not None]
        self.leaves = list({id(t): t for t in targets if isinstance(t, Value)}.values())
        given = {id(value): name for name, value in (names or {}).items()}
        self.names: dict[int, str] = {
            id(leaf): given.get(id(leaf), f"leaf{k}") for k, leaf in enumerate(self.leaves, 1)
        }
        self.names |= {id(node): f"%{k}" for k, node in enumerate(self.nodes, 1)}

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        if not self.nodes:
            return "an empty tape: this tensor was not computed from one that requires a gradient"
        calls = [f"{self.names[id(node)]} = {self._call(node)}" for node in self.nodes]
        width = max(len(call) for call in calls) + 2
        lines = ["leaves"]
        lines += [
            f"  {self.names[id(v)]:<10}{v.layout.dtype} {v.layout.shape}" for v in self.leaves
        ]
        lines.append("tape, oldest first; backward goes up from the last line")
        for node, call in zip(self.nodes, calls, strict=True):
            result = node.results[0]
            lines.append(f"  {call:<{width}}{result.dtype} {result.shape}")
            lines += [f"         {line}" for line in self._rules(node)]
        return "\n".join([*lines, "%n' is dL/d%n, the gradient that arrives at line n"])

    def _call(self, node: Node) -> str:
        inputs = [self._input(node, k) for k in range(len(node.edges))]
        return f"{node.op.name}({', '.join([*inputs, *_params(node)])})"

    def _input(self, node: Node, k: int) -> str:
        """Return the line or leaf of an input; without a gradient, its name or value."""
        edge = node.edges[k]
        if edge is not None:
            return self.names[id(edge[0])] + (f".{edge[1]}" if edge[1] else "")
        name = node.op.inputs[k] if k < len(node.op.inputs) else f"x{k}"
        saved = (node.saved or {}).get(name)
        return f"{saved[0].item():g}" if saved is not None and not saved[0].layout.shape else name

    def _argument(self, node: Node, name: str) -> str:
        """Return how the argument ``name`` of a rule is called on this tape."""
        if name in node.op.inputs:
            return self._input(node, node.op.inputs.index(name))
        own = self.names[id(node)]
        return own if name == node.op.outputs[0] else f"{own}.{name}"

    def _rules(self, node: Node) -> list[str]:
        """Return the gradient rule of each input, in terms of this tape's lines."""
        op, gradient = node.op, f"{self.names[id(node)]}'"
        inputs = [k for k, edge in enumerate(node.edges) if edge is not None]
        texts: Mapping[int, str] | Sequence[str]
        if op.joint_rule is None:
            texts = {k: self._rule(op.rules[k], node) for k in inputs}
        elif op.python_only or isinstance(op.joint_rule, TextbookRule):
            form = "backward" if op.python_only else "textbook form, differentiated:"
            texts = [f"{op.name}'s {form} ({gradient})"] * len(node.edges)
        else:
            texts = self._spell(op.joint_rule, node)
        return [f"dL/d{self._input(node, k)} = {texts[k]}" for k in inputs]

    def _rule(self, rule: Rule, node: Node) -> str:
        if not isinstance(rule, ElementwiseRule):
            return self._spell(rule, node)[0]
        names = [self._argument(node, name) for name in rule.arguments]
        return str(expression.trace(rule.function, [f"{self.names[id(node)]}'", *names]))

    def _spell(self, rule: Rule, node: Node) -> list[str]:
        """Run a rule on zeros, list the ops that it applies, and return its results as text."""
        gradient = _zeros(node.results[0])
        texts = {id(gradient): _symbol(f"{self.names[id(node)]}'")}
        arguments = []
        for name in rule.arguments:
            layout = _layout(node, name)
            arguments.append(node.lookup(name) if layout is None else _zeros(layout))
            if layout is not None:
                texts[id(arguments[-1])] = _symbol(self._argument(node, name))
        with grad_mode(False), record() as entries:
            results = rule.function(gradient, *arguments)
        for entry in entries:
            inputs = [texts.get(id(x), _constant(x)) for x in entry.inputs]
            text = _write(entry, inputs)
            for k, output in enumerate(entry.outputs):
                texts[id(output)] = _symbol(f"{text}.{entry.op.outputs[k]}") if k else text
        results = results if isinstance(results, (list, tuple)) else [results]
        return [str(texts.get(id(value), "0")) for value in results]


def _symbol(text: str) -> expression.Expression:
    return expression.Expression("input", value=text)


def _zeros(layout: Layout) -> Any:
    return zeros(layout.shape, dtype=layout.dtype)


def _params(applied: Node | Entry) -> list[str]:
    return [f"{name}={value}" for name, value in applied.params.items() if value is not False]


def _write(entry: Entry, inputs: list[Any]) -> Any:
    """Return one applied op as an expression: infix where there is a sign, views as methods."""
    op = entry.op
    if isinstance(op, Elementwise):
        return inputs[0] if op.name == "clone" else op.formula(*inputs)
    if op.name == "matmul":
        return expression.Expression("matmul", inputs)
    if op.name in ("transpose", "reshape", "expand", "permute", "sum", "mean"):
        receiver = str(inputs[0]) if inputs[0].operator == "input" else f"({inputs[0]})"
        if op.name == "transpose":
            return _symbol(f"{receiver}.mT")
        sizes = ", ".join(map(str, next(iter(entry.params.values()))))
        return _symbol(f"{receiver}.{op.name}({sizes})")
    return _symbol(f"{op.name}({', '.join([*map(str, inputs), *_params(entry)])})")


def _constant(value: Any) -> expression.Expression:
    return _symbol(f"{value.item():g}" if value.layout.size == 1 else "constant")


def _layout(node: Node, name: str) -> Layout | None:
    """Return the layout of a rule's argument; None for a shape or parameter."""
    layouts = dict(zip(node.op.outputs, node.results, strict=False))
    return {**layouts, **dict(zip(node.op.inputs, node.layouts, strict=False))}.get(name)


def _nodes_behind(output: Tensor) -> list[Node]:
    stack: list[Any] = [output.grad_fn]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            stack.extend(edge[0] for edge in node.edges if edge is not None)
    return sorted(found, key=lambda node: node.number)


def tape(output: Tensor, names: Mapping[str, Tensor] | None = None) -> Tape:
    """Return the recorded ops behind a tensor, to be printed.

    One line for each op, oldest first, with the dtype and shape of its result. Below it the
    gradient rule of each input: dL/dx in terms of the gradient that arrives.

    Args:
        output: a tensor, such as a loss.
        names: the names of leaves, as ``dict(model.named_parameters())`` has them.
    """
    return Tape(output, names)
