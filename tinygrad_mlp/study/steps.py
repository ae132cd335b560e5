"""`steps`: a backward pass event by event, noted by the loop that computes every gradient.

`Observer` is a `Walk` (``autograd/backward.py``) that writes down what passes through it. Nothing
is computed a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.backward import Walk, outputs_and_seeds, run_backward
from ..autograd.tape import Edge, Gradients, Node, Value
from ..autograd.values import as_array
from .spelling import raw_of
from .tape import Names, Tape

KINDS = ("seed", "arrive", "hook", "rule", "unbroadcast", "accumulate", "leaf")
_NUMBERS: dict[str, Any] = dict(threshold=24, edgeitems=2, separator=", ")
_NUMBERS["formatter"] = {"float_kind": lambda number: f"{number:.5g}"}


@dataclass(eq=False)
class Event:
    """One event of a backward pass. It prints as a line of a textbook.

    ``kind`` is one of

    - ``seed``: the gradient that backward starts with, 1 for a loss;
    - ``arrive``: the gradient of a result is complete: all its consumers have reported;
    - ``hook``: a hook replaced a gradient;
    - ``rule``: what an op's rule gives for one input;
    - ``unbroadcast``: the same in the shape of the input: summed over repeated axes, or expanded;
    - ``accumulate``: it is added to what arrived there before;
    - ``leaf``: the gradient of a leaf is complete: what ``backward`` adds to ``.grad``.

    ``edge`` is where the gradient belongs: an output of a node, or a leaf. Of a rule, unbroadcast
    and accumulate, ``node`` is the op and ``input`` the number of its input. ``value`` is None if a
    rule gives no gradient; ``before`` is what had arrived; ``total`` is the sum with ``value``.
    """

    kind: str
    edge: Edge
    value: np.ndarray | None
    node: Node | None = None
    input: int = 0
    before: np.ndarray | None = None
    total: np.ndarray | None = None
    reported: int = 0
    consumers: int = 0
    name: str = ""  # of `edge`, such as %3 or 0.weight
    text: str = ""  # the formula of a rule; what was done to a shape
    line: str = field(default="", repr=False)  # the source line of a watched op

    def __str__(self) -> str:
        target = f"dL/d{self.name}"
        if self.kind == "rule" and self.value is None:
            return f"rule         {target}: none; {self.text}"
        value = numbers(self.value)
        if self.kind in ("seed", "arrive", "hook"):
            note = {"hook": "  (a hook replaced it)"}.get(self.kind, "")
            return f"{self.kind:<12} {self.name}' = {value}{note}"
        if self.kind == "rule":
            return f"rule         {target} = {self.text} = {value}"
        if self.kind == "unbroadcast":
            return f"unbroadcast  {target}, {self.text} = {value}"
        if self.kind == "leaf":
            return f"leaf         {self.name}.grad: {value}"
        of = f"({self.reported} of {self.consumers} consumers reported)"
        if self.before is None:
            return f"accumulate   {target} = {value}  {of}"
        return f"accumulate   {target} += {value}, now {numbers(self.total)}  {of}"


def numbers(array: Any) -> str:
    """Return an array on one line, shortened if it is long."""
    text = np.array2string(np.asarray(array), **_NUMBERS)
    return " ".join(text.split())


class Steps(Sequence[Event]):
    """The events of a backward pass in order. It prints as one line for each."""

    def __init__(self, tape: Tape, events: list[Event]):
        self.tape, self.events = tape, events
        formulas = {node: tape.formulas(node) for node in tape.nodes}
        for event in events:
            event.name = tape.edge(event.edge)
            event.line = getattr(event.node, "line", "")
            if event.kind == "rule" and event.node is not None:
                formula = formulas[event.node].get(event.input)
                event.text = "no gradient" if formula is None else str(raw_of(formula))

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, k: Any) -> Any:
        return self.events[k]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __str__(self) -> str:
        return "\n".join(map(str, self.events))


class Observer(Walk):
    """A `Walk` that lists the events of the backward pass that it belongs to."""

    def __init__(self, consumers: Counter[Edge]):
        super().__init__()
        self.events: list[Event] = []
        self.consumers, self.reported = consumers, Counter[Edge]()
        self.sums: dict[Edge, Any] = {}  # what has arrived, before hooks
        self.node: Node | None = None  # the op whose rules ran
        self.pulled: list[tuple[int, Any]] = []  # its inputs, and what their rules gave

    def add(self, edge: Edge, gradient: Tensor, owned: bool) -> None:
        """Add a gradient, and note where it came from, what was there, and the sum."""
        if self.node is None:
            self._note("seed", edge, gradient)
            super().add(edge, gradient, owned)
            self.sums[edge] = self._arrived(edge)
            return
        k, raw = self._rules_until_next()
        origin: Any = dict(node=self.node, input=k)
        self._note("rule", edge, raw, **origin)
        if raw.layout.shape != gradient.layout.shape:
            text = _reshaping(raw.layout.shape, gradient.layout.shape)
            self._note("unbroadcast", edge, gradient, text=text, **origin)
        before = self._arrived(edge)
        super().add(edge, gradient, owned)
        self.sums[edge] = self._arrived(edge)
        self.reported[edge] += 1
        self._note(
            "accumulate",
            edge,
            gradient,
            before=_copy(before),
            total=_copy(self.sums[edge]),
            reported=self.reported[edge],
            consumers=self.consumers[edge],
            **origin,
        )

    def _rules_until_next(self) -> tuple[int, Any]:
        """Return the next input that gets a gradient; note the inputs before it that get none."""
        while True:
            k, raw = self.pulled.pop(0)
            if raw is not None:
                return k, raw
            self._note_none(k)

    def _note_none(self, k: int) -> None:
        assert self.node is not None
        edge = self.node.edges[k]
        assert edge is not None
        self.reported[edge] += 1
        self._note("rule", edge, None, node=self.node, input=k)

    def _arrived(self, edge: Edge) -> Any:
        target, slot = edge
        if isinstance(target, Node):
            return self.pending[target][slot] if target in self.pending else None
        return self.leaves[target][0] if target in self.leaves else None

    def add_all(
        self, node: Node, edges: Sequence[Edge | None], arrived: Gradients, pulled: Gradients
    ) -> None:
        """Note what arrived at a node, then the results of its rules, each added in `add`."""
        for slot, gradient in enumerate(arrived):
            if gradient is None:
                continue
            complete = self.sums[node, slot]
            self._note("arrive", (node, slot), complete)
            if gradient is not complete:
                self._note("hook", (node, slot), gradient)
        self.node = node
        self.pulled = [(k, raw) for k, raw in enumerate(pulled) if k < len(edges) and edges[k]]
        super().add_all(node, edges, arrived, pulled)
        for k, _ in self.pulled:  # what is left has no gradient
            self._note_none(k)

    def finish(self, leaf: Value, gradient: Tensor) -> None:
        """Note the gradient of a leaf."""
        if gradient is not self.leaves[leaf][0]:
            self._note("hook", (leaf, 0), gradient)
        self._note("leaf", (leaf, 0), gradient)

    def _note(self, kind: str, edge: Edge, gradient: Any, **more: Any) -> None:
        self.events.append(Event(kind, edge, _copy(gradient), **more))


def _copy(gradient: Any) -> np.ndarray | None:
    return None if gradient is None else np.array(as_array(gradient))


def _reshaping(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return in words how a gradient comes from one shape to another."""
    lead = len(given) - len(wanted)
    axes = [
        k for k, n in enumerate(given) if k < lead or (n != 1 and wanted[k - lead] == 1)
    ]  # those along which the input was repeated
    if not axes:
        return f"expanded from {given} to {wanted}"
    plural = "axes" if len(axes) > 1 else "axis"
    return f"summed over {plural} {', '.join(map(str, axes))}, {given} to {wanted}"


def steps(loss: Tensor, gradient: Any = None, *, names: Names = None) -> Steps:
    """Run a backward pass, and return its events in order.

    The pass is the one of ``loss.backward(gradient)``, with the hooks, but no ``.grad`` changes,
    and the graph is kept. Ops recorded inside `watch` also have their source lines.

    Args:
        loss: a tensor that requires a gradient.
        gradient: the gradient to start from, as in `Tensor.backward`.
        names: as in `tape`.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> print(tg.study.steps((x * x).sum(), names={"x": x}))
    seed         %2' = 1
    arrive       %2' = 1
    rule         dL/d%1 = %2' = 1
    unbroadcast  dL/d%1, expanded from () to (2,) = [1, 1]
    accumulate   dL/d%1 = [1, 1]  (1 of 1 consumers reported)
    arrive       %1' = [1, 1]
    rule         dL/dx = %1' * x = [1, -2]
    accumulate   dL/dx = [1, -2]  (1 of 2 consumers reported)
    rule         dL/dx = %1' * x = [1, -2]
    accumulate   dL/dx += [1, -2], now [2, -4]  (2 of 2 consumers reported)
    leaf         x.grad: [2, -4]
    """
    outputs, seeds = outputs_and_seeds(loss, gradient)
    tape = Tape(loss, names)
    observer = Observer(Counter(e for node in tape.nodes for e in node.edges if e is not None))
    retained = [
        reference() for node in tape.nodes for reference in (node.retained or {}).values()
    ]  # their .grad is kept too
    kept = [(value, value.grad) for value in retained if value is not None]
    try:
        run_backward(outputs, seeds, retain_graph=True, accumulate=False, walk=observer)
    finally:
        for value, grad in kept:
            value.grad = grad
    return Steps(tape, observer.events)
