"""The tape in print: what was recorded behind a tensor, and how each gradient will come about.

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

from collections.abc import Mapping
from typing import Any

from ..autograd.modes import grad_mode, record
from ..autograd.op import TextbookRule
from ..autograd.tape import Entry, Node, Value
from ..kernels.codegen import expression
from ..ops.create import zeros
from ..ops.elementwise.declare import Elementwise, ElementwiseRule


class Tape:
    """The nodes behind a tensor, oldest first; prints as text that a person can read."""

    def __init__(self, output: Any, names: Mapping[str, Any] | None = None):
        self.output = output
        self.nodes: list[Node] = _behind(output)
        self.leaves: list[Any] = []
        for node in self.nodes:
            for edge in node.edges:
                if (
                    edge is not None
                    and isinstance(edge[0], Value)
                    and not any(edge[0] is leaf for leaf in self.leaves)
                ):
                    self.leaves.append(edge[0])
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
        lines += [f"  {self.names[id(v)]:<10}{v.dtype} {v.shape}" for v in self.leaves]
        lines.append("tape, oldest first; backward goes up from the last line")
        for node, call in zip(self.nodes, calls, strict=True):
            results = ", ".join(f"{layout.dtype} {layout.shape}" for layout in node.results[:1])
            lines.append(f"  {call:<{width}}{results}")
            lines += [f"         {line}" for line in self._rules(node)]
        return "\n".join([*lines, "%n' is dL/d%n, the gradient that arrives at line n"])

    def _call(self, node: Node) -> str:
        inputs = [self._input(node, k) for k in range(len(node.edges))]
        params = [f"{name}={value}" for name, value in node.params.items() if value is not False]
        return f"{node.op.name}({', '.join([*inputs, *params])})"

    def _input(self, node: Node, k: int) -> str:
        """An input by its line or leaf; one without a gradient by its name, or its value."""
        edge = node.edges[k]
        if edge is not None:
            slot = f".{edge[1]}" if edge[1] else ""
            return self.names[id(edge[0])] + slot
        name = node.op.inputs[k] if k < len(node.op.inputs) else f"x{k}"
        saved = (node.saved or {}).get(name)
        return f"{saved[0].item():g}" if saved is not None and not saved[0].layout.shape else name

    def _rules(self, node: Node) -> list[str]:
        lines = []
        joint = node.op.joint_rule
        texts = _rule_texts(joint, self, node) if joint is not None else {}
        for k, edge in enumerate(node.edges):
            if edge is not None:
                text = texts[k] if joint is not None else _rule_text(node.op.rules[k], self, node)
                lines.append(f"dL/d{self._input(node, k)} = {text}")
        return lines


def _rule_text(rule: Any, tape: Tape, node: Node) -> str:
    """One gradient rule with the lines of this tape in place of its arguments."""
    if isinstance(rule, ElementwiseRule):
        names = [f"{tape.names[id(node)]}'", *(_name(tape, node, want) for want in rule.arguments)]
        return str(expression.trace(rule.function, names))
    return _spell(rule, tape, node)[0]


def _rule_texts(rule: Any, tape: Tape, node: Node) -> dict[int, str]:
    """A rule for all inputs at once, input by input."""
    if isinstance(rule, TextbookRule) or node.op.python_only:
        kind = "backward" if node.op.python_only else "textbook form, differentiated:"
        return dict.fromkeys(
            range(len(node.edges)), f"{node.op.name}'s {kind} ({tape.names[id(node)]}')"
        )
    return dict(enumerate(_spell(rule, tape, node)))


def _spell(rule: Any, tape: Tape, node: Node) -> list[str]:
    """Run a rule on zeros of the right shapes, record the ops it applies, and write them down."""
    gradient = zeros(node.results[0].shape, dtype=node.results[0].dtype)
    texts = {id(gradient): expression.Expression("input", value=f"{tape.names[id(node)]}'")}
    arguments, kept = [], [gradient]
    for want in rule.arguments:
        layout = _layout(node, want)
        if layout is None:
            arguments.append(node.lookup(want))
        else:
            stand_in = zeros(layout.shape, dtype=layout.dtype)
            texts[id(stand_in)] = expression.Expression("input", value=_name(tape, node, want))
            arguments.append(stand_in)
            kept.append(stand_in)
    with grad_mode(False), record() as entries:
        results = rule.function(gradient, *arguments)
    for entry in entries:
        inputs = [
            texts.get(id(x), expression.Expression("input", value=_constant(x)))
            for x in entry.inputs
        ]
        for k, output in enumerate(entry.outputs):
            text = _write(entry, inputs)
            texts[id(output)] = (
                text
                if k == 0
                else expression.Expression("input", value=f"{text}.{entry.op.outputs[k]}")
            )
    results = results if isinstance(results, (list, tuple)) else [results]
    return [str(texts.get(id(value), "0")) for value in results]


def _write(entry: Entry, inputs: list[Any]) -> Any:
    """One applied op as an expression: infix where mathematics has a sign, views as methods."""
    op = entry.op
    if isinstance(op, Elementwise):
        return inputs[0] if op.name == "clone" else op.formula(*inputs)
    if op.name == "matmul":
        return expression.Expression("matmul", inputs)
    head = (
        str(inputs[0])
        if inputs and inputs[0].operator == "input"
        else f"({inputs[0]})"
        if inputs
        else ""
    )
    if op.name == "transpose":
        return expression.Expression("input", value=f"{head}.mT")
    if op.name in ("reshape", "expand", "permute", "sum", "mean"):
        sizes = next(iter(entry.params.values()))
        return expression.Expression(
            "input", value=f"{head}.{op.name}({', '.join(map(str, sizes))})"
        )
    params = [f"{k}={v}" for k, v in entry.params.items() if v is not False]
    inside = ", ".join([*(str(x) for x in inputs), *params])
    return expression.Expression("input", value=f"{op.name}({inside})")


def _constant(value: Any) -> str:
    return f"{value.item():g}" if value.layout.size == 1 else "constant"


def _layout(node: Node, want: str) -> Any:
    if want in node.op.inputs:
        return node.layouts[node.op.inputs.index(want)]
    return node.results[node.op.outputs.index(want)] if want in node.op.outputs else None


def _name(tape: Tape, node: Node, want: str) -> str:
    """How a rule's argument is called on this tape."""
    if want in node.op.inputs:
        return tape._input(node, node.op.inputs.index(want))
    mine = tape.names[id(node)]
    return mine if want == node.op.outputs[0] else f"{mine}.{want}"


def _behind(output: Any) -> list[Node]:
    stack, found = [output.grad_fn], set()
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            stack.extend(edge[0] for edge in node.edges if edge is not None)
    return sorted(found, key=lambda node: node.number)


def tape(output: Any, names: Mapping[str, Any] | None = None) -> Tape:
    """The tape behind ``output``: print it.

    ``names`` labels leaves, as ``dict(model.named_parameters())`` does.

    One line an op, oldest first, with the shape of its result; under it the gradient rule of each
    input, in textbook form: dL/dx in terms of the gradient that arrives.
    """
    return Tape(output, names)
