"""`page`: a forward and backward pass as one HTML file, to be stepped through in a browser.

The file needs no network. Its parts are in ``web/``: ``formula.js`` computes formulas and writes
them with numbers, ``app.js`` is the page. The data are the events of `steps`.
"""

from __future__ import annotations

import base64
import html
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._common.files import atomic_write
from .._tensor import Tensor
from ..autograd.tape import Edge, Node, Value
from ..autograd.values import as_array
from ..kernels.codegen.expression import Expression
from ..nn import Module
from .spelling import Call, raw_of, spell_forward
from .steps import Steps, steps
from .tape import Names
from .watch import WatchedNode, watch

WEB = Path(__file__).parent / "web"


def page(
    loss: Tensor | Callable[[], Tensor],
    path: str | os.PathLike[str],
    *,
    names: Names = None,
    gradient: Any = None,
    title: str = "A backward pass, step by step",
) -> None:
    """Write an HTML file that shows a forward and backward pass, one step at a time.

    It shows the graph by module, all values and gradients, and for each step what arrived, the
    rule, the rule with the numbers of one element, the sum that undid broadcasting, and what the
    result was added to. It is one file, which needs no network. ``.grad`` does not change.

    Args:
        loss: a tensor computed inside `watch`, or a function that returns it, which is called
            inside `watch`. Of other tensors the page shows those values that were saved.
        path: the file to write.
        names: as in `tape`: names of tensors, or the model.
        gradient: as in `steps`.
        title: the heading.

    >>> import tempfile, pathlib
    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "page.html"
    ...     tg.study.page(lambda: (x * x).sum(), path, names={"x": x})
    ...     path.read_text(encoding="utf-8").startswith("<!doctype html>")
    True
    """
    text = page_html(loss, names, gradient, title)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page_html(loss: Tensor | Callable[[], Tensor], names: Names, gradient: Any, title: str) -> str:
    """Return the text of the HTML file."""
    if not isinstance(loss, Value):
        if not callable(loss):
            raise TypeError(
                f"page: `loss` is a tensor, or a function that returns one, not {loss!r}"
            )
        model = names if isinstance(names, Module) else None
        with watch(model):
            loss = loss()
        if not isinstance(loss, Value):
            raise TypeError(
                f"page: `loss` is a tensor, or a function that returns one; it returned "
                f"{type(loss).__name__}"
            )
    return events_html(steps(loss, gradient, names=names), title)


def events_html(events: Steps, title: str) -> str:
    """Return the text of the HTML file that shows a backward pass."""
    data = _Page(events).data()
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    script = "\n".join(
        (WEB / name).read_text(encoding="utf-8") for name in ("formula.js", "app.js")
    )
    parts = {
        "TITLE": html.escape(title),
        "STYLE": (WEB / "page.css").read_text(encoding="utf-8"),
        "DATA": text,
        "SCRIPT": script.replace('"use strict";\n', ""),
    }
    template = (WEB / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\b(TITLE|STYLE|DATA|SCRIPT)\b", lambda found: parts[found[0]], template)


class _Page:
    """The data of a page: tensors, nodes and events, and the arrays that they share."""

    def __init__(self, events: Steps):
        self.events, self.tape = events, events.tape
        self.arrays: list[dict[str, Any]] = []
        self.places: dict[Any, int] = {}
        self.keys: dict[Any, str] = {}  # of edges, and of inputs without a gradient
        self.tensors: dict[str, dict[str, Any]] = {}
        self.consumers = {
            (id(e.edge[0]), e.edge[1]): e.consumers for e in events if e.kind == "accumulate"
        }
        recorded = self._leaf_values()
        for k, leaf in enumerate(self.tape.leaves):
            value = recorded.get(id(leaf), as_array(leaf))
            self._tensor(f"l{k}", (leaf, 0), "leaf", value)
        for k, node in enumerate(self.tape.nodes):
            for slot in self._slots(node):
                self._tensor(f"n{k}.{slot}", (node, slot), "result", self._result(node, slot), k)

    def data(self) -> dict[str, Any]:
        """Return what the page reads, as JSON."""
        nodes = [self._node(k, node) for k, node in enumerate(self.tape.nodes)]
        return {
            "tensors": self.tensors,
            "nodes": nodes,
            "events": [self._event(event) for event in self.events],
            "arrays": self.arrays,
            "output": self.keys[self._id(self.events[0].edge)],
        }

    def _id(self, edge: Edge) -> tuple[int, int]:
        return id(edge[0]), edge[1]

    def _slots(self, node: Node) -> list[int]:
        """Return the results of a node that others use: the first, and those with a gradient."""
        used = {e.edge[1] for e in self.events if e.edge[0] is node}
        return sorted({0, *used})

    def _leaf_values(self) -> dict[int, np.ndarray]:
        """Return the values that leaves had in the forward pass, where they were recorded."""
        found: dict[int, np.ndarray] = {}
        for node in self.tape.nodes:
            if isinstance(node, WatchedNode):
                for edge, array in zip(node.edges, node.inputs, strict=True):
                    if edge is not None and isinstance(edge[0], Value):
                        found[id(edge[0])] = array
        return found

    def _result(self, node: Node, slot: int) -> np.ndarray | None:
        """Return a result, if it was recorded, or saved by its op or by one that used it."""
        if isinstance(node, WatchedNode):
            return node.values[slot]
        own = (node.saved or {}).get(node.op.outputs[slot])
        if own is not None:
            return as_array(own[0])
        for other in self.tape.nodes:
            for name, edge in zip(other.op.inputs, other.edges, strict=False):
                saved = (other.saved or {}).get(name)
                if saved is not None and edge == (node, slot):
                    return as_array(saved[0])
        return None

    def _tensor(
        self, key: str, edge: Edge, kind: str, value: np.ndarray | None, node: int | None = None
    ) -> None:
        layout = edge[0].layout if isinstance(edge[0], Value) else edge[0].results[edge[1]]
        self.keys[self._id(edge)] = key
        self.tensors[key] = {
            "name": self.tape.edge(edge),
            "kind": kind,
            "shape": layout.shape,
            "dtype": str(layout.dtype),
            "value": self._array(value),
            "node": node,
            "consumers": self.consumers.get(self._id(edge), 0),
        }

    def _array(self, array: np.ndarray | None) -> int | None:
        """Return the number of an array; equal arrays are one."""
        if array is None:
            return None
        dtype = "float32" if array.dtype == np.float32 else "float64"
        raw = np.ascontiguousarray(array, dtype).tobytes()
        place = (array.shape, dtype, raw)
        if place not in self.places:
            self.places[place] = len(self.arrays)
            text = base64.b64encode(raw).decode()
            self.arrays.append({"s": array.shape, "d": dtype, "b": text})
        return self.places[place]

    def _node(self, k: int, node: Node) -> dict[str, Any]:
        known = self._known(node)
        inputs, names = [], []
        for place, edge in enumerate(node.edges):
            name = self.tape.input(node, place)
            if edge is not None:
                inputs.append(self.keys[self._id(edge)])
                names.append(name)
            elif name in known and self.arrays[known[name]]["s"]:
                inputs.append(self._constant(name, known[name], node, place))
                names.append(name)
        saved = [
            {"name": name, "bytes": value.layout.nbytes, "version": version}
            for name, (value, version) in (node.saved or {}).items()
        ]
        rules = {
            place: {"raw": self._tree(raw_of(formula)), "full": self._tree(formula)}
            for place, formula in self.tape.formulas(node).items()
        }
        forward = spell_forward(node, self.tape.symbol_of(node))
        return {
            "name": self.tape.names[id(node)],
            "op": node.op.name,
            "call": self.tape.call(node),
            "module": getattr(node, "module", ""),
            "line": getattr(node, "line", ""),
            "source": getattr(node, "source", ""),
            "inputs": inputs,
            "names": names,
            "outputs": [self.keys[id(node), slot] for slot in self._slots(node)],
            "saved": saved,
            "rules": rules,
            "known": known,
            "forward": None if forward is None else self._tree(forward),
        }

    def _constant(self, name: str, array: int, node: Node, place: int) -> str:
        """Return the key of an input without a gradient: one for each array and name."""
        key = self.keys.setdefault((name, array), f"c{len(self.keys)}")
        layout = node.layouts[place]
        self.tensors[key] = {
            "name": name,
            "kind": "constant",
            "shape": layout.shape,
            "dtype": str(layout.dtype),
            "value": array,
            "node": None,
            "consumers": 0,
        }
        return key

    def _known(self, node: Node) -> dict[str, Any]:
        """Return the arrays of the names in a node's formulas, except other lines and leaves."""
        found: dict[str, Any] = {}
        for name, (value, _) in (node.saved or {}).items():
            found[self.tape.argument(node, name)] = self._array(as_array(value))
        if isinstance(node, WatchedNode):
            for place, array in enumerate(node.inputs):
                found[self.tape.input(node, place)] = self._array(array)
            for output, array in zip(node.op.outputs, node.values, strict=False):
                found[self.tape.argument(node, output)] = self._array(array)
        return found

    def _event(self, event: Any) -> dict[str, Any]:
        node = None if event.node is None else self.tape.nodes.index(event.node)
        return {
            "kind": event.kind,
            "key": self.keys[self._id(event.edge)],
            "name": event.name,
            "node": node,
            "input": event.input,
            "value": self._array(event.value),
            "before": self._array(event.before),
            "total": self._array(event.total),
            "reported": event.reported,
            "consumers": event.consumers,
            "text": event.text,
            "line": str(event),
        }

    def _tree(self, of: Expression) -> dict[str, Any]:
        """Return an expression as JSON."""
        if isinstance(of, Call):
            if of.name == "constant":
                return {"a": self._array(np.asarray(of.params["value"]))}
            params = {k: v for k, v in of.params.items() if _is_plain(v)}
            return {"call": of.name, "x": [self._tree(x) for x in of.operands], "p": params}
        if of.operator == "input":
            return {"in": of.value}
        if of.operator == "constant":
            value = of.value
            return {"c": value if math.isfinite(value) else _word(value)}
        return {"op": of.operator, "x": [self._tree(x) for x in of.arguments]}


def _word(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return isinstance(value, (int, str)) or (isinstance(value, float) and math.isfinite(value))
