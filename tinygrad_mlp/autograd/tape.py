"""The tape: `apply` runs an op on values, and records what its gradient will need.

`apply` is the one place where ops are applied. It computes the results and, if an input requires a
gradient, makes a `Node`: the op, its inputs' nodes or leaves, and the values that its gradient
rules use. Nodes that point to their inputs' nodes form the graph; ``backward.py`` walks it.

The tape contains no mathematics. An op brings its own gradient rules (see ``op.py``), which are
written with ops, so they can be recorded in turn: second derivatives need nothing else.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..kernels.runtime.layout import Layout
from ..kernels.runtime.storage import Storage, allocate, storage_of
from .modes import mode

if TYPE_CHECKING:
    from .._tensor import Tensor
    from .op import Op

Params = dict[str, Any]
Lookup = Callable[[str], Any]  # `Node.lookup`
Hook = Callable[[Any], Any]  # of a gradient
Edge = tuple["Node | Value", int]  # a node and the number of its output, or a leaf and 0
Gradients = list["Tensor | None"]
Saves = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]  # of inputs, of results


class Value:
    """An array in memory, and the node that computed it. `Tensor` adds methods and operators."""

    storage: Storage  # the memory; views share it
    layout: Layout  # shape, strides and dtype
    address: int  # of the first element
    requires_grad: bool = False
    grad: Tensor | None = None
    node: Node | None = None  # what computed it; None for a leaf
    slot: int = 0  # which output of the node it is
    base: Value | None = None  # the value that this one is a view of
    seen: int = 0  # of a view: the version of the storage for which `node` is right
    hooks: dict[int, Hook] | None = None  # of a leaf

    def __init__(self, storage: Storage, layout: Layout, address: int):
        self.storage, self.layout, self.address = storage, layout, address

    def alias(self) -> Tensor:
        """Return a value on the same memory, without a node."""
        return new(self.storage, self.layout, self.address)


_NO_PARAMS: Params = {}
_numbers = itertools.count()
_create = object.__new__
_tensor_class: type[Value] = Value


def set_tensor_class(tensor_class: type[Value]) -> None:
    """Set the class of op results (called once, by ``_tensor.py``)."""
    global _tensor_class
    _tensor_class = tensor_class


def tensor_class() -> type[Value]:
    """Return the class of op results."""
    return _tensor_class


def new(storage: Storage, layout: Layout, address: int) -> Tensor:
    """Return a tensor without a node. Skips ``Tensor.__init__``, which is for users."""
    value: Any = _create(_tensor_class)
    value.storage, value.layout, value.address = storage, layout, address
    return value  # type: ignore[no-any-return]


def empty(layout: Layout) -> Tensor:
    """Return a tensor on new memory, uninitialised; ``layout`` is dense."""
    storage = allocate(layout.nbytes, layout.ring)
    return new(storage, layout, storage.address)


# --- the graph ---


@dataclass(frozen=True, slots=True)
class Entry:
    """One applied op in a `Record`."""

    op: Op
    inputs: tuple[Value, ...]
    params: Params
    outputs: tuple[Value, ...]


class Node:
    """One applied op of the graph, with what its gradient needs.

    ``edges[k]`` is where the gradient of input ``k`` goes: an output of another node, or a leaf.
    ``saved`` maps the names that a rule uses to the value and the version that its memory had.
    Nodes are numbered in the order of their creation: each after all nodes that it depends on.
    """

    results: tuple[Layout, ...] = ()
    hooks: dict[int, dict[int, Hook]] | None = None  # by output
    retained: dict[int, weakref.ref[Value]] | None = None  # outputs that retain their gradient

    def __init__(self, op: Op, inputs: tuple[Any, ...], params: Params):
        self.op, self.params, self.number = op, params, next(_numbers)
        self.layouts = [value.layout for value in inputs]
        self.edges: list[Edge | None] = []
        self.saved: dict[str, tuple[Any, int]] | None = {}
        joint = op.joint_saves
        for k, value in enumerate(inputs):
            saves = (joint or op.saves.get(k)) if value.requires_grad else None
            if saves is None:
                self.edges.append(None)
                continue
            self.edges.append((value if value.node is None else value.node, value.slot))
            if saves is joint and self.saved:  # saved for an earlier input
                continue
            for name, place in saves[0]:
                source = inputs[place]
                if op.in_place and source is inputs[0]:  # it is about to change
                    source = source.clone()
                self.saved[name] = (source, source.storage.version)

    def __repr__(self) -> str:
        results = ", ".join(f"{layout.dtype} {layout.shape}" for layout in self.results)
        return f"<node {self.op.name}({', '.join(self.op.inputs)}) -> {results}>"

    def save_results(self, outputs: tuple[Value, ...]) -> None:
        """Save the results that rules use: as aliases, for a result owns its node already."""
        self.results = tuple([value.layout for value in outputs])
        op, edges = self.op, self.edges
        if not op.saves_results:
            return
        assert self.saved is not None
        for k, (_, names) in op.saves.items() if op.joint_saves is None else ((0, op.joint_saves),):
            if op.joint_saves is None and (k >= len(edges) or edges[k] is None):
                continue  # an optional last input may be missing
            for name, place in names:
                result = outputs[place]
                saved = result.alias() if place in op.differentiable else result
                self.saved[name] = (saved, result.storage.version)

    def lookup(self, name: str) -> Any:
        """Return the argument ``name`` of a rule: a saved value, a shape, or a parameter."""
        op = self.op
        if self.saved is None or name not in self.saved:
            source = name.removesuffix("_shape")
            if source != name and source in op.inputs:
                return self.layouts[op.inputs.index(source)].shape
            return self.params[name]
        value, version = self.saved[name]
        if value.storage.version != version:
            raise RuntimeError(
                f"`{name}` of `{op.name}`, a {value.layout.dtype} tensor of shape "
                f"{value.layout.shape}, was changed in place after it was recorded (version "
                f"{value.storage.version}, saved at {version}), and its gradient needs the old "
                "values. Change a clone instead: x = x.clone(), or use the form without the "
                "underscore"
            )
        if mode.grad and name in op.outputs and value.node is None:  # put it back on the tape
            value = value.alias()
            value.node, value.slot = self, op.outputs.index(name)
            value.requires_grad = value.slot == 0
        return value

    def pullback(
        self, gradients: Gradients, edges: Sequence[Edge | None], create_graph: bool
    ) -> Gradients:
        """Return the gradients of the inputs that have an edge, from those of the outputs."""
        op = self.op
        if self.saved is None:
            raise RuntimeError(
                f"backward a second time: what `{op.name}` saved for its gradient was freed. "
                "Pass retain_graph=True to the first backward"
            )
        gradient: Any = gradients[0]
        if op.python_only and len(self.results) > 1:
            gradient = [
                _zeros(layout) if g is None else g
                for g, layout in zip(gradients, self.results, strict=True)
            ]
        if op.joint_rule is not None:
            joint = op.joint_rule(gradient, self.lookup, create_graph)
            return [g if edges[k] else None for k, g in enumerate(joint)]
        found: Gradients = [None] * len(edges)
        for k, rule in op.rules.items():
            if k < len(edges) and edges[k]:  # an optional last input may be missing
                found[k] = rule(gradient, self.lookup, create_graph)
        return found


def _zeros(layout: Layout) -> Tensor:
    storage = storage_of(np.zeros(layout.shape, layout.dtype))
    return new(storage, layout, storage.address)


# --- forward ---


def apply(op: Op, inputs: tuple[Value, ...], params: Params = _NO_PARAMS) -> Any:
    """Run ``op`` on values, and record it: the one place where ops are applied.

    Returns a tensor, or a tuple of them if the op has several outputs.
    """
    node = None
    if mode.grad and op.has_gradient:
        differentiate = False
        for value in inputs:
            if value.base is not None and value.seen != value.storage.version:
                _views.regenerate_grad_fn(value)
            differentiate = differentiate or value.requires_grad
        if differentiate:
            node = (mode.checked_node or Node)(op, inputs, params)
    if op.mutates:
        _check_writable(op, inputs)
    outputs = op.run(inputs, params)
    for k in op.mutates:
        inputs[k].storage.version += 1
    if node is not None:
        node.save_results(outputs)
        for slot in op.differentiable:
            value = outputs[slot]
            if value.node is not None and value.node.retained:  # an in-place op
                move_retained(value, node, slot)
            value.node, value.slot = node, slot
            value.requires_grad = value.layout.dtype.kind == "f"
            if op.in_place and value.base is not None:
                _views.rebase_history(value)
    if mode.record is not None:
        mode.record.append(Entry(op, inputs, params, outputs))
    return outputs[0] if len(op.outputs) == 1 else outputs


def move_retained(value: Value, node: Node, slot: int) -> None:
    """Make `retain_grad` of ``value`` hold for ``node``, which takes the place of its node."""
    assert value.node is not None
    retained = value.node.retained
    if retained and (reference := retained.get(value.slot)) and reference() is value:
        value.node.retained = {k: v for k, v in retained.items() if k != value.slot}
        node.retained = {**(node.retained or {}), slot: reference}


def _check_writable(op: Op, inputs: tuple[Value, ...]) -> None:
    for k in op.mutates:
        value = inputs[k]
        if mode.grad and (value.requires_grad or value.base is not None):
            _check_recorded_write(op, value, inputs)
        layout = value.layout
        if 0 in layout.strides and layout.size:
            axes = zip(layout.shape, layout.strides, strict=True)
            if any(s == 0 and n > 1 for n, s in axes):
                raise RuntimeError(
                    f"`{op.name}` cannot write into an expanded tensor of shape {layout.shape}: "
                    "several of its elements are one place in memory. Use x.clone() first"
                )


def _check_recorded_write(op: Op, value: Value, inputs: tuple[Value, ...]) -> None:
    origin = value if value.base is None else value.base
    if origin.requires_grad and not value.requires_grad:
        raise RuntimeError(
            f"`{op.name}` would change a tensor that requires a gradient through a view that "
            "is not on the tape, as it was made before or inside no_grad(): make the view "
            "again, or write inside `with tg.no_grad():`"
        )
    leaf = value.node is None or (origin.requires_grad and origin.node is None)
    if value.requires_grad and leaf:
        raise RuntimeError(
            f"`{op.name}` would change a leaf that requires a gradient"
            f"{'' if origin is value else ' through a view of it'}: its gradient would no "
            "longer be the derivative by the value you gave it. Write inside "
            "`with tg.no_grad():`, or on x.clone()"
        )
    if origin is not value and any(each.requires_grad for each in inputs):
        _views.where(value)  # raises if the view is not a region of its base


# --- views: after a write to shared memory ---


class Views(Protocol):
    """Updates nodes after writes to memory that views share; see ``ops/shape/view_history.py``."""

    def where(self, view: Value) -> Params:
        """Return the region of its base that a view covers."""

    def rebase_history(self, view: Value) -> None:
        """Make the history of the base run through a write to ``view``."""

    def regenerate_grad_fn(self, view: Value) -> None:
        """Replace the node of ``view``, whose memory was written to, by a view of the base."""


_views: Views


def set_view_tracker(views: Views) -> None:
    """Set what updates nodes after writes to views (called once, by ``ops/shape``)."""
    global _views
    _views = views


def gradient_edge(value: Value) -> Edge:
    """Return where a gradient of ``value`` goes: the node that computed it, or the leaf itself."""
    if value.base is not None and value.seen != value.storage.version:
        _views.regenerate_grad_fn(value)
    return (value if value.node is None else value.node), value.slot
