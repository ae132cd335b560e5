"""Reverse mode: from the gradient of an output to the gradients of all leaves.

Each node turns the gradients of its outputs into gradients of its inputs by its op's rules, the
chain rule from right to left:

    dL/dx = sum over outputs y of  dL/dy * dy/dx

An edge is a node and the number (slot) of one of its outputs, or a leaf and 0. `Node.pullback`
applies the rules of the node's op. A node's turn comes when all gradients of its outputs have
arrived: in reverse topological order.

`textbook_backward` is this in fifteen lines. `run_backward`, which the tests hold equal to it, adds
what users need: accumulation into ``.grad``, chosen inputs, hooks, and freeing of saved values.
It finds the order without a search: nodes are numbered in the order of their creation, after all
nodes that they depend on, so descending numbers are a reverse topological order.

Sources: A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3;
A. G. Baydin et al., "Automatic differentiation in machine learning: a survey", JMLR 18, 2018.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from .modes import grad_mode, recording
from .tape import Edge, Gradients, Hook, Node, Value, gradient_edge
from .values import from_array, ones_as

if TYPE_CHECKING:
    from .._tensor import Tensor


def textbook_backward(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor]
) -> dict[Value, Tensor]:
    """Return the gradient of each leaf: reverse mode in its simplest form.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> textbook_backward([x * x], [tg.tensor(1.0)])
    {tensor(3., requires_grad=True): tensor(6.)}
    """
    arrived: dict[Edge, Tensor] = {}  # the sum of the gradients that reached an edge

    def add(edge: Edge, gradient: Tensor) -> None:
        arrived[edge] = arrived[edge] + gradient if edge in arrived else gradient

    with grad_mode(False):
        for output, gradient in zip(outputs, gradients, strict=True):
            add(gradient_edge(output), gradient)
        for node in reversed(_topological_order([edge[0] for edge in arrived])):
            of_outputs = [arrived.get((node, slot)) for slot in range(len(node.results))]
            if all(gradient is None for gradient in of_outputs):
                continue
            of_inputs = node.pullback(of_outputs, node.edges, create_graph=False)
            for edge, layout, pulled in zip(node.edges, node.layouts, of_inputs, strict=False):
                if edge is not None and pulled is not None:
                    add(edge, pulled._sum_to_layout(layout))
    return {leaf: gradient for (leaf, _), gradient in arrived.items() if isinstance(leaf, Value)}


def _topological_order(targets: Sequence[Node | Value]) -> list[Node]:
    """Return the nodes that ``targets`` depend on, each after the nodes of its inputs."""
    order: list[Node] = []

    def visit(target: Node | Value) -> None:
        if isinstance(target, Node) and target not in order:
            for edge in filter(None, target.edges):
                visit(edge[0])
            order.append(target)

    for target in targets:
        visit(target)
    return order


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    *,
    inputs: Sequence[Tensor] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    accumulate: bool = True,
    walk: Walk | None = None,
) -> Gradients:
    """Compute the gradients of leaves, or of ``inputs``, from the ``gradients`` of ``outputs``.

    They are added to ``.grad`` of the leaves (if ``inputs`` are given, of these only), or with
    ``accumulate=False`` returned: one per input, None for an input that no output depends on.
    ``walk`` is a `Walk` of another class, which takes note of what happens (``study/steps.py``).
    """
    targets = {gradient_edge(value) for value in inputs} if inputs else set()
    useful = None if inputs is None else _nodes_between(outputs, {t for t, _ in targets})
    found: dict[Edge, Tensor | None] = {}  # gradients of targets
    walk = Walk() if walk is None else walk
    with grad_mode(create_graph):
        for output, gradient in zip(outputs, gradients, strict=True):
            walk.add(gradient_edge(output), gradient, False)
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
                walk.add_all(node, edges, arrived, node.pullback(arrived, edges, create_graph))
                if not (retain_graph or create_graph):
                    node.saved = None
        for leaf, (gradient, owned) in walk.leaves.items():
            for hook in list(leaf.hooks.values()) if leaf.hooks else ():
                gradient, owned = _call_hook(hook, gradient), False  # a hook may have stored it
            walk.finish(leaf, gradient)
            if inputs is not None:
                found[leaf, 0] = gradient
            elif accumulate:
                _accumulate(leaf, gradient, owned, create_graph)
        assert not walk.pending, "a gradient waits at a node that was never visited"
        if inputs is None:
            return []
        results = [found.get(gradient_edge(value)) for value in inputs]
        for value, result in zip(inputs, results, strict=True):
            if accumulate and result is not None:
                _accumulate(value, result, False, create_graph)
    return results


class Walk:
    """The gradients that have arrived at nodes not yet visited, and at leaves."""

    def __init__(self) -> None:
        self.pending: dict[Node, Gradients] = {}  # one gradient per output of the node
        self.queue: list[tuple[int, Node]] = []  # a heap: the newest node first
        self.leaves: dict[
            Value, tuple[Tensor, bool]
        ] = {}  # gradient, and whether nothing else holds it

    def add(self, edge: Edge, gradient: Tensor, owned: bool) -> None:
        """Add a gradient to what has arrived at an output of a node, or at a leaf."""
        target, slot = edge
        if isinstance(target, Node):
            sums = self.pending.get(target)
            if sums is None:
                sums = self.pending[target] = [None] * len(target.results)
                heapq.heappush(self.queue, (-target.number, target))
            before = sums[slot]
            sums[slot] = gradient if before is None else before + gradient
        elif target in self.leaves:
            self.leaves[target] = (self.leaves[target][0] + gradient, True)
        else:
            self.leaves[target] = (gradient, owned)

    def add_all(
        self, node: Node, edges: Sequence[Edge | None], arrived: Gradients, pulled: Gradients
    ) -> None:
        """Add the gradients of a node's inputs, each in the shape and dtype of its input."""
        known = [*map(id, arrived), *map(id, pulled)]
        shared = node.op.python_only  # a user's rule may have stored what it returned
        for edge, layout, gradient in zip(edges, node.layouts, pulled, strict=False):
            if edge is None or gradient is None:
                continue
            if gradient.layout is not layout:
                gradient = gradient._sum_to_layout(layout)
            owned = not shared and gradient.base is None and known.count(id(gradient)) < 2
            self.add(edge, gradient, owned)

    def finish(self, leaf: Value, gradient: Tensor) -> None:
        """Do nothing: called with the gradient of each leaf, after the leaf's hooks."""


def _run_hooks(node: Node, gradients: Gradients) -> None:
    """Call the hooks of a node's outputs, replace the gradients, and retain those asked for."""
    for slot, hooks in (node.hooks or {}).items():
        for hook in list(hooks.values()):
            if (gradient := gradients[slot]) is not None:
                gradients[slot] = _call_hook(hook, gradient)
    for slot, reference in (node.retained or {}).items():
        value, gradient = reference(), gradients[slot]
        if value is not None and gradient is not None:
            value.grad = gradient.clone() if value.grad is None else value.grad + gradient


def _call_hook(hook: Hook, gradient: Tensor) -> Tensor:
    """Return what the hook returns for a gradient, or the gradient itself if that is None."""
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
    return replaced  # type: ignore[return-value]


def _accumulate(leaf: Value, gradient: Tensor, owned: bool, create_graph: bool) -> None:
    """Add to ``.grad``. The first gradient is stored as it is if ``owned``, else copied."""
    if leaf.grad is None:
        if (record := recording()) is not None:
            record.guard_grad_is_none(leaf)
        leaf.grad = gradient if owned and gradient.layout.contiguous else gradient.clone()
    elif create_graph:
        leaf.grad = leaf.grad + gradient
    else:
        leaf.grad.add_(gradient)


def forget_gradient(leaf: Value) -> None:
    """Set ``leaf.grad`` to None."""
    if (record := recording()) is not None:
        record.on_grad_reset(leaf)
    leaf.grad = None


def _nodes_between(outputs: Sequence[Value], targets: set[Node | Value]) -> set[Node | Value]:
    """Return the nodes on the paths from ``outputs`` to ``targets``, and the targets."""
    stack = [gradient_edge(value)[0] for value in outputs]
    reached: set[Node] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in reached:
            reached.add(node)
            stack.extend(e[0] for e in node.edges if e is not None)
    useful = set(targets)
    for node in sorted(reached, key=attrgetter("number")):  # each after the nodes of its inputs
        if any(e is not None and e[0] in useful for e in node.edges):
            useful.add(node)
    return useful


def _gradient_of(output: Value, given: Any) -> Tensor:
    """Return the gradient to start from: the given one, checked, or 1 for a single element."""
    gradient_edge(output)  # updates a view whose memory was written to
    if not output.requires_grad:
        raise RuntimeError(
            "backward: this tensor does not require a gradient. Create an input with "
            "requires_grad=True, and compute outside no_grad()"
        )
    if given is None:
        if output.layout.size != 1:
            raise RuntimeError(
                f"backward of a tensor of shape {output.layout.shape} needs a gradient of that "
                "shape: loss.backward(gradient), or reduce it first, as in loss.sum().backward()"
            )
        return ones_as(output.layout)
    gradient: Tensor = given if isinstance(given, Value) else from_array(np.asarray(given))  # type: ignore[assignment]
    if gradient.layout.shape != output.layout.shape:
        raise ValueError(
            f"backward: gradient has shape {gradient.layout.shape}, the tensor has "
            f"{output.layout.shape}; they must be equal"
        )
    return gradient._sum_to_layout(output.layout)


def outputs_and_seeds(tensors: Any, gradients: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return the outputs, and for each the gradient to start from, checked."""
    outputs = _as_list(tensors)
    if gradients is None:
        gradients = [None] * len(outputs)
    given = gradients if isinstance(gradients, (list, tuple)) else [gradients]
    if len(given) != len(outputs):
        raise ValueError(f"{len(given)} gradients were given for {len(outputs)} outputs")
    return outputs, list(map(_gradient_of, outputs, given))


def _as_list(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Value) else list(tensors)  # type: ignore[list-item]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the derivatives of ``tensors`` to ``.grad`` of the leaves they were computed from.

        leaf.grad += sum over tensors of  grad_tensor * d(tensor)/d(leaf)

    Args:
        tensors: one tensor or several, each of any shape.
        grad_tensors: a gradient for each, of its shape; None is 1, for a tensor of one element.
        retain_graph: keep what the graph saved, for another backward; the default is create_graph.
        create_graph: record the computation of the gradients, for second derivatives.
        inputs: limit the accumulation to these tensors.

    Raises:
        RuntimeError: a tensor does not require a gradient, the graph was freed, or a saved value
            was changed in place.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.backward([x * x, 2 * x])
    >>> x.grad
    tensor(8.)
    """
    run_backward(
        *outputs_and_seeds(tensors, grad_tensors),
        inputs=None if inputs is None else _as_list(inputs),
        retain_graph=retain_graph,
        create_graph=create_graph,
    )


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """Return the derivatives of ``outputs`` by ``inputs``, without changing ``.grad``.

        result[i] = sum over outputs of  grad_output * d(output)/d(input i)

    Args:
        outputs: one tensor or several.
        inputs: one tensor or several, leaves or not.
        grad_outputs: a gradient for each output; None is 1, for an output of one element.
        retain_graph: as in `backward`.
        create_graph: as in `backward`.
        allow_unused: return None for an input that no output depends on, instead of an error.

    Returns:
        A tuple, one gradient per input, of its shape and dtype.

    Raises:
        RuntimeError: an output or input does not require a gradient, or an input was not used.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.grad(x * x, x)
    (tensor(6.),)
    """
    inputs = _as_list(inputs)
    for k, value in enumerate(inputs):
        if not value.requires_grad:
            raise RuntimeError(
                f"grad: input {k}, of shape {value.shape}, does not require a gradient; set "
                "requires_grad=True before computing with it"
            )
    found = run_backward(
        *outputs_and_seeds(outputs, grad_outputs),
        inputs=inputs,
        retain_graph=retain_graph,
        create_graph=create_graph,
        accumulate=False,
    )
    for k, gradient in enumerate(found):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"grad: input {k}, of shape {inputs[k].shape}, was not used for the outputs; "
                "pass allow_unused=True to get None for it"
            )
    return tuple(found)  # type: ignore[arg-type]  # None only if allow_unused
