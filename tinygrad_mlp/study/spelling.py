"""Gradient rules as formulas, read from the rules themselves.

A rule is run once on symbols or, where it calls ops, on zeros of the right shapes; the ops that it
applies become the nodes of an expression. The same expression is printed (``tape.py``) and shown
with the numbers of one element (``page.py``). The tests compute it with NumPy, and hold it equal to
the gradient, for every op of the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.modes import grad_mode, record
from ..autograd.op import Rule
from ..autograd.tape import Entry, Node
from ..autograd.values import as_array
from ..compiler.printer import DEFAULTS
from ..kernels.codegen import expression
from ..kernels.codegen.expression import INFIX, Expression
from ..kernels.runtime.layout import Layout
from ..ops.create import zeros
from ..ops.elementwise.declare import Elementwise, ElementwiseRule
from ..ops.fused.declare import FusedRule

Inputs = Callable[[str], "Expression"]  # how an argument of a rule is written


class Call(Expression):
    """A function or a method of expressions, printed as ``text``."""

    __slots__ = ("name", "operands", "params", "raw")

    def __init__(self, name: str, operands: Sequence[Any], text: str = "", **params: Any):
        self.name, self.params = name, params
        self.raw: Expression | None = None  # see `in_layout`
        self.operands = tuple(map(expression.as_expression, operands))
        super().__init__("input", value=text or f"{name}({', '.join(map(str, self.operands))})")


def symbol(text: str) -> Expression:
    """Return a name as an expression."""
    return Expression("input", value=text)


def _receiver(of: Expression) -> str:
    """Return an expression as what stands before a dot."""
    infix = of.operator in INFIX or (of.operator == "constant" and str(of).startswith("-"))
    return f"({of})" if infix else str(of)


def method(name: str, of: Expression, *arguments: Any, **params: Any) -> Call:
    """Return ``of.name(arguments)``."""
    return Call(name, [of], f"{_receiver(of)}.{name}({', '.join(map(str, arguments))})", **params)


def transposed(of: Expression) -> Call:
    """Return ``of.mT``: with the last two axes exchanged."""
    return Call("mT", [of], f"{_receiver(of)}.mT")


def summed(of: Expression, dims: tuple[int, ...], keepdim: bool, name: str = "sum") -> Call:
    """Return ``of.sum(dims)`` or ``of.mean(dims)``."""
    arguments = [*map(str, dims), *(["keepdim=True"] if keepdim else [])]
    return method(name, of, *arguments, dims=dims, keepdim=keepdim)


def reshaped(of: Expression, shape: tuple[int, ...]) -> Call:
    """Return ``of.reshape(shape)``."""
    return method("reshape", of, *shape, shape=shape)


def in_layout(of: Expression, shape: tuple[int, ...], dtype: Any, wanted: Layout) -> Expression:
    """Return a gradient in the shape and dtype of its input: what the tape does after a rule.

    Broadcasting is undone by sums, a smaller gradient is expanded, promotion is undone by a cast.
    The result's ``raw`` is then the rule before that.
    """
    raw = of
    lead = len(shape) - len(wanted.shape)
    dims = tuple(
        k for k, n in enumerate(shape) if k < lead or (n != 1 and wanted.shape[k - lead] == 1)
    )
    if dims and (lead == len(dims) or lead <= 0):
        of = summed(of, dims, lead <= 0)
    elif dims:
        of = method("sum_to_size", of, *wanted.shape, shape=wanted.shape)
    left = shape[max(lead, 0) :]
    left = tuple(1 if k + max(lead, 0) in dims else n for k, n in enumerate(left))
    if left != wanted.shape:
        of = method("expand", of, *wanted.shape, shape=wanted.shape)
    if dtype != wanted.dtype:
        of = method("to", of, wanted.dtype, dtype=str(wanted.dtype))
    if of is not raw and isinstance(of, Call):
        of.raw = raw
    return of


def raw_of(formula: Expression) -> Expression:
    """Return the formula of a rule before its result is brought to the shape of its input."""
    raw = formula.raw if isinstance(formula, Call) else None
    return formula if raw is None else raw


def spell_rule(
    rule: Rule, node: Node, k: int, gradient: Expression, argument: Inputs
) -> Expression:
    """Return the gradient of one input, by its own rule."""
    if not isinstance(rule, ElementwiseRule):
        return spell(rule, node, gradient, argument)[k]
    names = {name: argument(name) for name in rule.arguments}
    formula = rule.function(gradient, *names.values())
    formula = expression.as_expression(formula)
    layouts = [node.results[0], *filter(None, (layout_of_argument(node, n) for n in names))]
    if formula is gradient:
        layouts = layouts[:1]
    shape = np.broadcast_shapes(*(layout.shape for layout in layouts))
    floats = [x.dtype for x in layouts if x.dtype.kind == "f"]
    return in_layout(formula, shape, np.result_type(*floats), node.layouts[k])


def spell(rule: Rule, node: Node, gradient: Expression, argument: Inputs) -> dict[int, Expression]:
    """Run a rule on zeros, list the ops that it applies, and return its results as expressions.

    A fused backward op is replaced by its textbook form.
    """
    stand_in = _zeros(node.results[0])
    terms: dict[int, Expression] = {id(stand_in): gradient}
    values = []
    for name in rule.arguments:
        layout = layout_of_argument(node, name)
        values.append(node.lookup(name) if layout is None else _zeros(layout))
        if layout is not None:
            terms[id(values[-1])] = argument(name)
    function = rule.function
    if isinstance(rule, FusedRule) and not rule.owner.per_slice:
        function = _by_keyword(rule)
    results = _trace(lambda: function(stand_in, *values), terms)
    places = [k for k, r in node.op.rules.items() if r is rule] or range(len(results))
    return {
        k: in_layout(terms[id(value)], value.layout.shape, value.layout.dtype, node.layouts[k])
        for k, value in zip(places, results, strict=True)
        if value is not None and node.edges[k] is not None
    }


def _trace(function: Callable[[], Any], terms: dict[int, Expression]) -> Sequence[Any]:
    """Run a function on zeros, add an expression for each tensor that an op makes to ``terms``."""
    with grad_mode(False), np.errstate(all="ignore"), record() as entries:
        results = function()
    for entry in entries:
        inputs = [terms[id(x)] if id(x) in terms else _constant(x) for x in entry.inputs]
        term = _write(entry, inputs)
        for k, output in enumerate(entry.outputs):
            terms[id(output)] = _part(term, entry.op.outputs[k], k) if k else term
    terms[0] = Call("ops", [], "ops", entries=list(entries))  # keeps the tensors, and so their ids
    return results if isinstance(results, (list, tuple)) else [results]


def spell_forward(node: Node, argument: Inputs) -> Expression | None:
    """Return the first result of a node as a formula of its inputs; None if it has no formula."""
    op = node.op
    if op.python_only or op.per_slice or len(node.layouts) > len(op.inputs):
        return None
    inputs = [argument(name) for name in op.inputs[: len(node.layouts)]]
    if op.name == "linear":
        product = Expression("matmul", [inputs[0], transposed(inputs[1])])
        return product if len(inputs) == 2 else product + inputs[2]
    if isinstance(op, Elementwise):
        return expression.as_expression(op.formula(*inputs))
    values = [_zeros(layout) for layout in node.layouts]
    terms = {id(value): text for value, text in zip(values, inputs, strict=True)}
    function = op.textbook or op
    try:
        results = _trace(lambda: function(*values, **node.params), terms)
    except NotImplementedError:  # an op that never runs, such as the rest of a view's base
        return None
    return terms.get(id(results[0]))


def _by_keyword(rule: FusedRule) -> Callable[..., Any]:
    """Return the textbook form of a fused backward op, with the arguments of its rule."""
    textbook, count, params = rule.backward.textbook, rule.count, rule.backward.params
    assert textbook is not None
    return lambda g, *values: textbook(
        g, *values[:count], **dict(zip(params, values[count:], strict=True))
    )


def layout_of_argument(node: Node, name: str) -> Layout | None:
    """Return the layout of a rule's argument; None for a shape or parameter."""
    layouts = dict(zip(node.op.outputs, node.results, strict=False))
    return {**layouts, **dict(zip(node.op.inputs, node.layouts, strict=False))}.get(name)


def _zeros(layout: Layout) -> Any:
    return zeros(layout.shape, dtype=layout.dtype)


def _part(term: Expression, output: str, k: int) -> Expression:
    return Call("part", [term], f"{term}.{output}", part=k)


def params_of(applied: Node | Entry) -> list[str]:
    """Return the parameters of an applied op as they are written in a call, without defaults."""
    return [
        f"{name}={index_text(value) if name == 'key' else value}"
        for name, value in applied.params.items()
        if value is not False and (name not in DEFAULTS or DEFAULTS[name] != value)
    ]


def index_text(key: tuple[Any, ...]) -> str:
    """Return the index of a slice as it is written: ``[0, 1:]``."""
    parts = []
    for part in key:
        if isinstance(part, tuple):
            start, stop, step = ("" if bound is None else str(bound) for bound in part[1:])
            parts.append(f"{start}:{stop}{f':{step}' if step else ''}")
        else:
            parts.append("..." if part is Ellipsis else str(part))
    return f"[{', '.join(parts) or '...'}]"


def _write(entry: Entry, inputs: list[Expression]) -> Expression:
    """Return one applied op as an expression: infix where there is a sign, views as methods."""
    op, params, of = entry.op, entry.params, inputs[0] if inputs else symbol("")
    if not entry.inputs:  # arange, full
        return _constant(entry.outputs[0])
    if isinstance(op, Elementwise):
        if op.name.startswith("to_"):
            dtype = entry.outputs[0].layout.dtype
            return method("to", of, dtype, dtype=str(dtype))
        return of if op.name == "clone" else expression.as_expression(op.formula(*inputs))
    if op.name == "matmul":
        return Expression("matmul", inputs)
    if op.name in ("sum", "mean") and "dims" in params:
        return summed(of, params["dims"], bool(params.get("keepdim")), op.name)
    if op.name == "transpose" and _exchanges_last_two(params, entry.inputs[0].layout.ndim):
        return transposed(of)
    if op.name == "reshape" or _only_adds_axes(entry):
        return reshaped(of, entry.outputs[0].layout.shape)
    if op.name in ("transpose", "expand", "permute"):
        values = [v for p in params.values() for v in (p if isinstance(p, tuple) else (p,))]
        return method(op.name, of, *values, **params)
    text = f"{op.name}({', '.join([*map(str, inputs), *params_of(entry)])})"
    if op.name == "slice":
        text = f"{_receiver(of)}{index_text(params['key'])}"
    return Call(op.name, inputs, text, **params)


def _only_adds_axes(entry: Entry) -> bool:
    """Return whether a slice has all elements in their order: ``x[:, None]``."""
    if entry.op.name != "slice":
        return False
    given, made = entry.inputs[0].layout, entry.outputs[0].layout
    return given.size == made.size and given.contiguous and made.contiguous


def _exchanges_last_two(params: Mapping[str, Any], ndim: int) -> bool:
    return {dim % max(ndim, 1) for dim in params.values()} == {ndim - 1, ndim - 2}


def _constant(value: Any) -> Expression:
    """Return a tensor that a rule made: its number, or an array."""
    array = as_array(value).copy()
    if array.size and (array == array.flat[0]).all():
        return Call("constant", [], f"{array.flat[0]:g}", value=array)
    arange = array.ndim == 1 and (array == np.arange(array.size)).all()
    text = f"arange({array.size})" if arange else np.array2string(array, separator=", ")
    return Call("constant", [], text, value=array)
