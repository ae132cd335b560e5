"""TensorBoard events of a `Monitor`: scalars and histograms of its records, and the graph.

The graph has a node for each op of the forward pass, in a group for each layer.
"""

from __future__ import annotations

import copy
import importlib
import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.modes import enable_grad
from ..autograd.tape import Node
from ..nn import Module
from ..ops.random import get_rng_state, set_rng_state
from .tape import Tape

PRODUCER = 22  # the version of TensorFlow's graph format


def tensorboard(name: str) -> Any:
    """Return the module ``tensorboard.NAME``; an error names the command that installs it."""
    try:
        return importlib.import_module(f"tensorboard.{name}")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "TensorBoard events need the package tensorboard; "
            'pip install "tinygrad-mlp[tensorboard]" installs it'
        ) from None


class Events:
    """The writer of event files into a folder, which is a run of TensorBoard.

    The first event opens a file; the first one after `close` opens another.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.proto = tensorboard("compat.proto.event_pb2")
        self.summaries = tensorboard("compat.proto.summary_pb2")
        self.to_proto: Callable[..., Any] = tensorboard("util.tensor_util").make_tensor_proto
        self.metadata = {
            kind: tensorboard(f"plugins.{kind}.metadata").create_summary_metadata(None, "")
            for kind in ("scalar", "histogram")
        }
        self.open = tensorboard("summary.writer.event_file_writer").EventFileWriter
        self.folder = os.fspath(folder)
        self.writer: Any = None

    def record(self, record: dict[str, Any]) -> None:
        """Write the scalars and histograms of a record, at the step of its epoch."""
        summary = self.summaries.Summary()

        def add(kind: str, tag: str, value: Any, dtype: type) -> None:
            tensor = self.to_proto(np.asarray(value, dtype), dtype=dtype)
            summary.value.add(tag=tag, metadata=self.metadata[kind], tensor=tensor)

        for name in ("loss", "gradient_norm"):
            add("scalar", name, record[name], np.float32)
        for each in (*record["layers"], *record["parameters"]):
            for key, value in each.items():
                tag = f"{key}/{each['name'] or each.get('type')}"
                if isinstance(value, dict):
                    edges, counts = value["histogram"]["edges"], value["histogram"]["counts"]
                    rows = np.stack([edges[:-1], edges[1:], counts], axis=1)
                    add("histogram", tag, rows, np.float64)
                    add("scalar", f"{key}_norm/{each['name']}", value["norm"], np.float32)
                elif isinstance(value, float):
                    add("scalar", tag, value, np.float32)
        self._add(summary=summary, step=record["epoch"])

    def graph(self, model: Module, x: Tensor) -> None:
        """Write the graph of ``model`` applied to the rows ``x``."""
        self._add(graph_def=graph_of(model, x).SerializeToString())

    def _add(self, **fields: Any) -> None:
        if self.writer is None:
            self.writer = self.open(self.folder)
        self.writer.add_event(self.proto.Event(wall_time=time.time(), **fields))
        self.writer.flush()

    def close(self) -> None:
        """Close the file, if one is open."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def graph_of(model: Module, x: Tensor) -> Any:
    """Return the ops of a forward pass in training mode as TensorFlow's ``GraphDef``."""
    state = get_rng_state()
    try:
        with enable_grad():
            twin = copy.deepcopy(model).train()
            scopes, out, x = _run(twin, x)
    finally:
        set_rng_state(state)
    names = {f"{name}": value for name, value in twin.named_parameters()}
    tape = Tape(out, {"input": x, **names})
    graph = tensorboard("compat.proto.graph_pb2").GraphDef()
    graph.versions.producer = PRODUCER
    called: dict[int, str] = {id(x): "input"}
    for leaf in tape.leaves:
        name = tape.names[id(leaf)]
        layer = next((s for s in scopes.values() if name.startswith(f"{_plain(s)}.")), "")
        called[id(leaf)] = _path(layer, name.rpartition(".")[2])
        shape = leaf.layout.shape
        op = "Placeholder" if name == "input" else "Variable"
        _add_node(graph, called[id(leaf)], op, [], shape)
    for k, node in enumerate(tape.nodes):
        called[id(node)] = _path(scopes.get(id(node), ""), f"{node.op.name}_{k}")
        inputs = [called[id(edge[0])] for edge in node.edges if edge is not None]
        _add_node(graph, called[id(node)], node.op.name, inputs, node.results[0].shape)
    return graph


def _run(model: Module, x: Tensor) -> tuple[dict[int, str], Tensor, Tensor]:
    """Return the layer that each node of a forward pass belongs to, the output and the input."""
    calls: list[tuple[str, Tensor]] = []
    for name, module in model.named_modules():
        for hooks in module._hooks.values():
            hooks.clear()
        if name and not module._modules:
            scope = f"{name} {type(module).__name__}"
            module.register_forward_hook(_keep(calls, scope))
    x = x.detach().clone()
    x.requires_grad_(x.dtype.kind == "f")
    out = model(x)
    scopes: dict[int, str] = {}
    for scope, result in calls:
        found: list[Any] = [result.node]
        while found:
            node = found.pop()
            if isinstance(node, Node) and id(node) not in scopes:
                scopes[id(node)] = scope
                found += [edge[0] for edge in node.edges if edge is not None]
    return scopes, out, x


def _keep(calls: list[tuple[str, Tensor]], scope: str) -> Callable[..., None]:
    def hook(module: Module, args: Any, out: Any) -> None:
        if isinstance(out, Tensor):
            calls.append((scope, out))

    return hook


def _plain(scope: str) -> str:
    """Return the name of the layer of a scope."""
    return scope.partition(" ")[0]


def _path(scope: str, name: str) -> str:
    """Return the name of a node of TensorBoard, where slashes make groups."""
    parts = [re.sub(r"[^A-Za-z0-9_.-]", "_", part) for part in (*scope.split("."), name) if part]
    return "/".join(parts)


def _add_node(graph: Any, name: str, op: str, inputs: Sequence[str], shape: Sequence[int]) -> None:
    node = graph.node.add(name=name, op=op, input=inputs)
    sizes = node.attr["_output_shapes"].list.shape.add()
    for size in shape:
        sizes.dim.add(size=size)
