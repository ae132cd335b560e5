"""The tape: what each op leaves behind, so that gradients can find the way back.

`apply` is the one place where an op meets its inputs. It computes the outputs and, if an input
requires a gradient, leaves a `Node` behind: which op, which inputs, and what its gradient rules
will want to see again. The nodes form the tape; ``backward.py`` walks it.

The tape knows no mathematics: an op brings its own rules (see ``op.py``), and the rules are written
with ops, so they can be taped in turn: that is all there is to second derivatives.
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
    from .op import Op

Params = dict[str, Any]
Ask = Callable[[str], Any]  # `Node.argument`
Wants = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]


class Value:
    """An array that the tape can follow: memory, layout, and where it came from."""

    storage: Storage  # whose memory it is: the value's own, or shared with others
    layout: Layout
    address: int
    requires_grad: bool = False
    grad: Any = None
    node: Node | None = None  # what computed it; None for a leaf
    slot: int = 0  # which output of the node it is
    base: Any = None  # the value that this one is a view of
    seen: int = 0  # of a view: the version for which `node` is right
    hooks: Any = None  # of a leaf: callables run on its gradient

    def __init__(self, storage: Storage, layout: Layout, address: int):
        self.storage, self.layout, self.address = storage, layout, address

    def alias(self) -> Any:
        """The same memory, off the tape."""
        return _result(self.storage, self.layout, self.address)


_NONE: Params = {}
_numbers = itertools.count()
_result: type[Value] = Value


def set_tensor_class(kind: type[Value]) -> None:
    """What the tape makes of results; `tensor.py` says `Tensor`, once."""
    global _result
    _result = kind


def new(storage: Storage, layout: Layout, address: int) -> Any:
    """A value off the tape."""
    return _result(storage, layout, address)


def empty(layout: Layout) -> Any:
    """A value on memory of its own, not yet written; ``layout`` is dense."""
    storage = allocate(layout.nbytes, layout.ring)
    return _result(storage, layout, storage.address)


# --- forward: applying an op, and what it leaves behind ---


@dataclass(frozen=True, slots=True)
class Entry:
    """One applied op, as a recording keeps it."""

    op: Op
    inputs: tuple[Any, ...]
    params: Params
    outputs: tuple[Any, ...]


class Node:
    """One applied op on the tape: what backward needs, and nothing else.

    ``edges[k]`` says where the gradient of input ``k`` goes: to a node's output or to a leaf.
    ``saved`` maps a name that a rule wants to the value and the version it had.
    """

    results: tuple[Layout, ...] = ()
    hooks: dict[int, dict[int, Callable[[Any], Any]]] | None = None  # by output
    retained: dict[int, weakref.ref[Any]] | None = None  # outputs that keep their .grad

    def __init__(self, op: Op, inputs: tuple[Any, ...], params: Params):
        self.op, self.params, self.number = op, params, next(_numbers)
        self.layouts = [value.layout for value in inputs]
        self.edges: list[tuple[Any, int] | None] = []
        self.saved: dict[str, tuple[Any, int]] | None = {}
        joint = op.wants.get(-1)
        for k, value in enumerate(inputs):
            wanted = op.wants.get(k, joint) if value.requires_grad else None
            if wanted is None:
                self.edges.append(None)
                continue
            self.edges.append((value if value.node is None else value.node, value.slot))
            if wanted is joint and self.saved:  # by the first input
                continue
            for name, place in wanted[0]:
                kept = inputs[place]
                if op.in_place and kept is inputs[0]:  # it is about to change
                    kept = kept.clone()
                self.saved[name] = (kept, kept.storage.version)

    def save_results(self, outputs: tuple[Any, ...]) -> None:
        """Keep the results that rules want; a node must not own what owns it, but an alias."""
        self.results = tuple([value.layout for value in outputs])
        for k, wanted in self.op.wants.items():
            if wanted[1] and (k < 0 or self.edges[k] is not None):
                assert self.saved is not None
                for name, place in wanted[1]:
                    kept = outputs[place]
                    own = kept.alias() if place in self.op.differentiable else kept
                    self.saved[name] = (own, kept.storage.version)

    def argument(self, name: str) -> Any:
        """What a rule calls ``name``: a saved value, ``x_shape``, or a parameter of the op."""
        op = self.op
        if self.saved is None or name not in self.saved:
            if name.endswith("_shape") and name.removesuffix("_shape") in op.inputs:
                return self.layouts[op.inputs.index(name.removesuffix("_shape"))].shape
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

    def pull(self, gradients: list[Any], wanted: Sequence[Any], create_graph: bool) -> list[Any]:
        """The gradients of the ``wanted`` inputs from those of the outputs, by the op's rules."""
        op = self.op
        if self.saved is None:
            raise RuntimeError(
                f"backward has been here before: what `{op.name}` saved for its gradient is freed. "
                "Call backward(retain_graph=True) the first time to go back a second time"
            )
        gradient = gradients[0]
        if op.python_only and len(self.results) > 1:
            gradient = [
                _zeros(layout) if g is None else g
                for g, layout in zip(gradients, self.results, strict=True)
            ]
        if -1 in op.rules:
            rule = op.rules[-1]
            joint = rule(gradient, self.argument, create_graph)
            return [g if wanted[k] else None for k, g in enumerate(joint)]
        result: list[Any] = [None] * len(self.edges)
        for k, rule in op.rules.items():
            if k < len(wanted) and wanted[k]:  # an optional last input may be missing
                result[k] = rule(gradient, self.argument, create_graph)
        return result


def _zeros(layout: Layout) -> Any:
    storage = storage_of(np.zeros(layout.shape, layout.dtype))
    return new(storage, layout, storage.address)


def apply(op: Op, inputs: tuple[Any, ...], params: Params | None = None) -> Any:
    """Run ``op`` on values: the one place where ops are applied, taped and recorded."""
    params = _NONE if params is None else params
    node = None
    if mode.grad and op.rules:
        differentiate = False
        for value in inputs:
            if value.base is not None and value.seen != value.storage.version:
                _views.regenerate_grad_fn(value)
            differentiate = differentiate or value.requires_grad
        if differentiate:
            node = Node(op, inputs, params)
    if op.mutates:
        _may_write(op, inputs)
    outputs = op.run(inputs, params)
    if op.mutates:
        for k in op.mutates:
            inputs[k].storage.version += 1
    if node is not None:
        node.save_results(outputs)
        for slot in op.differentiable:
            value = outputs[slot]
            value.node, value.slot = node, slot
            value.requires_grad = value.layout.dtype.kind == "f"
            if op.in_place and value.base is not None:
                _views.rebase_history(value)
    if mode.record is not None:
        mode.record.append(Entry(op, inputs, params, outputs))
    return outputs[0] if len(op.outputs) == 1 else outputs


def _may_write(op: Op, inputs: tuple[Any, ...]) -> None:
    for k in op.mutates:
        value = inputs[k]
        if mode.grad and (value.requires_grad or value.base is not None):
            _may_write_on_tape(op, value, inputs)
        layout = value.layout
        if 0 in layout.strides and layout.size:
            axes = zip(layout.shape, layout.strides, strict=True)
            if any(s == 0 and n > 1 for n, s in axes):
                raise RuntimeError(
                    f"`{op.name}` cannot write into an expanded tensor of shape {layout.shape}: "
                    "several of its elements are one place in memory. Use x.clone() first"
                )


def _may_write_on_tape(op: Op, value: Any, inputs: tuple[Any, ...]) -> None:
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
        _views.where(value)  # raises if its base cannot be told of the write


# --- views: where a view's gradient goes after its memory was written to ---


class Views(Protocol):
    """What ``ops/shape/view.py`` does when a view, or what it is a view of, is written."""

    def where(self, view: Any) -> Params: ...
    def rebase_history(self, view: Any) -> None: ...
    def regenerate_grad_fn(self, view: Any) -> None: ...


_views: Views


def set_view_tracker(views: Views) -> None:
    """Who keeps the tape right when views are written to; ``ops/shape/view.py`` says so, once."""
    global _views
    _views = views


def gradient_edge(value: Any) -> tuple[Any, int]:
    """Where a gradient of ``value`` goes: the node that computed it, or the leaf itself."""
    if value.base is not None and value.seen != value.storage.version:
        _views.regenerate_grad_fn(value)
    return (value if value.node is None else value.node), value.slot
