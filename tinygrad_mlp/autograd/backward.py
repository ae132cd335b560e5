"""Reverse mode: gradients walk the tape from the newest node to the oldest.

Each node turns the gradient of its output into gradients of its inputs by its op's rules:

    dL/dx = sum over outputs y of  dL/dy * dy/dx        (the chain rule, right to left)

The order needs no search. A node is numbered when it is made, after everything it reads, so going
down the numbers meets each node when all gradients that it waits for have arrived.

Sources: A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3;
A. G. Baydin et al., "Automatic differentiation in machine learning: a survey", JMLR 18, 2018.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .modes import grad_mode, recording
from .tape import Node, Value, gradient_edge
from .values import from_array, ones_as


def backward(
    outputs: Sequence[Any],
    gradients: Sequence[Any],
    *,
    inputs: Sequence[Any] | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    accumulate: bool = True,
) -> list[Any]:
    """Pull ``gradients`` of ``outputs`` back along the tape.

    They are added to ``.grad`` of the leaves (if ``inputs`` are given, of these and no others), or
    with ``accumulate=False`` returned, one per input, None where nothing leads.
    """
    targets = {gradient_edge(value) for value in inputs} if inputs else set()
    useful = None if inputs is None else _leading_to({t for t, _ in targets}, outputs)
    found: dict[tuple[Any, int], Any] = {}  # gradients of targets
    walk = _Walk()
    with grad_mode(create_graph):
        for output, gradient in zip(outputs, gradients, strict=True):
            walk.send(gradient_edge(output), gradient, False)
        while walk.queue:
            node = heapq.heappop(walk.queue)[1]
            arrived = walk.pending.pop(node)
            if node.hooks or node.retained:
                _run_hooks(node, arrived)
            for slot in range(len(arrived)) if targets else ():
                if (node, slot) in targets:
                    found[node, slot] = arrived[slot]
            edges = node.edges
            if useful is not None:
                edges = [e if e is not None and e[0] in useful else None for e in edges]
            if any(edges):
                walk.spread(node, edges, arrived, node.pull(arrived, edges, create_graph))
                if not (retain_graph or create_graph):
                    node.saved = None
        for leaf, (gradient, owned) in walk.leaves.items():
            for hook in list(leaf.hooks.values()) if leaf.hooks else ():
                gradient, owned = _after(hook, gradient), False  # a hook may have kept it
            if inputs is not None:
                found[leaf, 0] = gradient
            elif accumulate:
                _accumulate(leaf, gradient, owned, create_graph)
        assert not walk.pending, "a gradient waits at a node that was never visited"
        if inputs is None:
            return []
        results = [found.get(gradient_edge(value)) for value in inputs]
        for value, gradient in zip(inputs, results, strict=True):
            if accumulate and gradient is not None:
                _accumulate(value, gradient, False, create_graph)
    return results


class _Walk:
    """The gradients on their way: at nodes not yet visited, and at leaves."""

    def __init__(self) -> None:
        self.pending: dict[Node, list[Any]] = {}  # one gradient per output of the node
        self.queue: list[tuple[int, Node]] = []  # a heap: the newest node first
        self.leaves: dict[Any, tuple[Any, bool]] = {}  # gradient, and whether it is ours alone

    def send(self, way: tuple[Any, int], gradient: Any, owned: bool) -> None:
        """Add a gradient to what has arrived at an output of a node, or at a leaf."""
        target, slot = way
        if isinstance(target, Node):
            waiting = self.pending.get(target)
            if waiting is None:
                waiting = self.pending[target] = [None] * len(target.results)
                heapq.heappush(self.queue, (-target.number, target))
            before = waiting[slot]
            waiting[slot] = gradient if before is None else before + gradient
        elif target in self.leaves:
            self.leaves[target] = (self.leaves[target][0] + gradient, True)
        else:
            self.leaves[target] = (gradient, owned)

    def spread(
        self, node: Node, edges: Sequence[Any], arrived: list[Any], pulled: Sequence[Any]
    ) -> None:
        """Send the gradients of a node's inputs on, each in the shape and dtype of its input."""
        known = [*map(id, arrived), *map(id, pulled)]
        shared = node.op.python_only  # a user's rule: it may have kept what it returned
        for way, layout, gradient in zip(edges, node.layouts, pulled, strict=False):
            if way is None or gradient is None:
                continue
            if gradient.layout is not layout:
                gradient = gradient.fit(layout)  # undoes broadcasting and promotion
            owned = not shared and gradient.base is None and known.count(id(gradient)) < 2
            self.send(way, gradient, owned)


def _run_hooks(node: Node, gradients: list[Any]) -> None:
    """Show the gradients of a node's outputs to the hooks of those tensors, and replace them."""
    for slot, hooks in (node.hooks or {}).items():
        for hook in list(hooks.values()) if gradients[slot] is not None else ():
            gradients[slot] = _after(hook, gradients[slot])
    for slot, reference in (node.retained or {}).items():
        value = reference()
        if value is not None and gradients[slot] is not None:
            gradient = gradients[slot]  # others have it too: keep a copy
            value.grad = gradient.clone() if value.grad is None else value.grad + gradient


def _after(hook: Callable[[Any], Any], gradient: Any) -> Any:
    """The gradient that goes on after a hook saw it: what it returned, or the same."""
    replaced = hook(gradient)
    if replaced is None:
        return gradient
    if not isinstance(replaced, Value):
        raise TypeError(
            f"a tensor hook must return a tensor or None, not {type(replaced).__name__}"
        )
    new, old = replaced.layout, gradient.layout
    if new.shape != old.shape or new.dtype != old.dtype:
        raise ValueError(
            f"a tensor hook returned a gradient of {new.dtype} {new.shape} in place of "
            f"{old.dtype} {old.shape}; shape and dtype must stay"
        )
    return replaced


def _accumulate(leaf: Any, gradient: Any, owned: bool, create_graph: bool) -> None:
    """Add to ``.grad``: keep a gradient that is ours alone, copy one that others can see."""
    if leaf.grad is None:
        if (record := recording()) is not None:
            record.guard_grad_is_none(leaf)
        ours = owned and gradient.layout.contiguous
        leaf.grad = gradient if ours else gradient.clone()
    elif create_graph:
        leaf.grad = leaf.grad + gradient
    else:
        leaf.grad.add_(gradient)


def forget_gradient(leaf: Any) -> None:
    """Leave ``leaf`` without a gradient."""
    if (record := recording()) is not None:
        record.on_grad_reset(leaf)
    leaf.grad = None


def _leading_to(targets: set[Any], outputs: Sequence[Any]) -> set[Any]:
    """The nodes through which a gradient gets from ``outputs`` to ``targets``, and the targets."""
    stack = [gradient_edge(value)[0] for value in outputs]
    reached: set[Any] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in reached:
            reached.add(node)
            stack.extend(e[0] for e in node.edges if e is not None)
    useful = set(targets)
    for node in sorted(reached, key=lambda node: node.number):
        if any(e is not None and e[0] in useful for e in node.edges):
            useful.add(node)
    return useful


def cotangent(output: Any, gradient: Any) -> Any:
    """The gradient to start from: the one given, of the output's shape, or 1 for one element."""
    gradient_edge(output)  # a view of what was written to learns so now
    if not output.requires_grad:
        raise RuntimeError(
            "backward: nothing this tensor was computed from requires a gradient; make a leaf with "
            "requires_grad=True, and compute outside no_grad()"
        )
    if gradient is None:
        if output.layout.size != 1:
            raise RuntimeError(
                f"backward of a tensor of shape {output.layout.shape} needs a gradient of that "
                "shape: loss.backward(gradient), or reduce it first, as in loss.sum().backward()"
            )
        return ones_as(output.layout)
    gradient = gradient if isinstance(gradient, Value) else from_array(np.asarray(gradient))
    if gradient.layout.shape != output.layout.shape:
        raise ValueError(
            f"backward: gradient has shape {gradient.layout.shape}, the tensor has "
            f"{output.layout.shape}; they must be equal"
        )
    return gradient.fit(output.layout)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The derivatives of ``outputs`` by ``inputs``, returned instead of added to ``.grad``.

        result[i] = sum over outputs of  grad_output * d(output)/d(input i)

    One tensor or a sequence for each; a tuple comes back, one entry per input.

    Raises RuntimeError if an output requires no gradient, or an input was not used (unless
    ``allow_unused``: then its entry is None).

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.grad(x * x, x)
    (tensor(6.),)
    """
    outputs = [outputs] if isinstance(outputs, Value) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Value) else list(inputs)
    given = [grad_outputs] if isinstance(grad_outputs, Value) else list(grad_outputs or ())
    given += [None] * (len(outputs) - len(given))
    for k, value in enumerate(inputs):
        if not value.requires_grad:
            raise RuntimeError(
                f"grad: input {k}, of shape {value.shape}, does not require a gradient; set "
                "requires_grad=True before computing with it"
            )
    found = backward(
        outputs,
        [cotangent(o, g) for o, g in zip(outputs, given, strict=True)],
        inputs=inputs,
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
        accumulate=False,
    )
    for k, gradient in enumerate(found):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"grad: input {k}, of shape {inputs[k].shape}, was not used for the outputs; "
                "pass allow_unused=True to get None for it"
            )
    return tuple(found)
