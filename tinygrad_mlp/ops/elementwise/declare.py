"""Elementwise ops: declared by a scalar formula, computed by a kernel generated from it.

    exp = elementwise("exp", lambda x: scalar.exp(x), x=lambda g, out: g * out)

says all there is to say: the formula, and for each input the rule of its gradient. The formula runs
as one pass over memory; so does each rule, unless second derivatives are wanted (``create_graph``):
then the rule runs as the ops it is written with, which are taped.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd import tape
from ...autograd.dtypes import floating, promote
from ...autograd.op import Op, Rule
from ...autograd.tape import Lookup, Params, Value
from ...autograd.values import as_values, copy_if_overlapping
from ...kernels import vmath
from ...kernels.codegen import elementwise as generator
from ...kernels.codegen import expression as scalar
from ...kernels.codegen.elementwise import Formula, Operand
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import BOOL, Layout, broadcast_strides, coalesce, dense

if TYPE_CHECKING:
    from ..._tensor import Tensor


def lower(
    formula: Formula, operands: Sequence[tuple[str, Layout]], shape: tuple[int, ...], real: np.dtype
) -> Launch | None:
    """The kernel call that computes ``formula`` over ``shape``; None if there is nothing to do."""
    if 0 in shape:
        return None
    strides = [broadcast_strides(layout, shape) for _, layout in operands]
    sizes, merged = coalesce(shape, strides)
    columns = sizes.pop() if sizes else 1
    steps = [operand.pop() if operand else None for operand in merged]
    items = [layout.dtype.itemsize for _, layout in operands]
    access = [
        "c" if step is None or step == item else "s" if step == 0 else "n"
        for step, item in zip(steps, items, strict=True)
    ]
    if "n" in access:
        access = ["n"] * len(access)
    constants = [len(sizes), math.prod(sizes), columns, *sizes]
    for operand, step, item in zip(merged, steps, items, strict=True):
        constants += [*operand, (step or 0) // item]
    signature = tuple(
        Operand(name, str(layout.dtype), how)
        for (name, layout), how in zip(operands, access, strict=True)
    )
    arrays = [layout for name, layout in operands if name not in formula.uniform]
    kernel = generator.address(formula, signature, str(real))
    return Launch(kernel, len(operands), constants, work_of(formula, arrays, shape))


def work_of(formula: Formula, arrays: Sequence[Layout], shape: tuple[int, ...]) -> float:
    """About how many nanoseconds a formula takes over a shape, reading and writing ``arrays``."""
    moved = sum(layout.dtype.itemsize for layout in arrays)
    return math.prod(shape) * (0.05 * moved + 0.5 * _calls(formula))


def _calls(formula: Formula) -> int:
    """How many expensive scalar functions a formula holds: what threads are worth it for."""
    stack, calls = [expression for _, expression in formula.results], 0
    while stack:
        node = stack.pop()
        calls += node.operator == "pow" or node.operator in vmath.UNARY
        stack.extend(node.arguments)
    return calls


class Elementwise(Op):
    """An op that computes each element of its result from one element of each input."""

    def __init__(
        self,
        name: str,
        formula: Callable[..., Any],
        *,
        dtype: str = "same",
        masks: Sequence[str] = (),
        textbook: Callable[..., Any] | None = None,
        about: str = "",
        in_place: bool = False,
        vjp: dict[str, Callable[..., Any]] | None = None,
        **registration: Any,
    ):
        self.formula, self.kind, self.masks, self.about = formula, dtype, tuple(masks), about
        inputs = tuple(scalar_inputs(formula))
        super().__init__(
            name,
            inputs,
            vjp=vjp or {},
            textbook=textbook,
            in_place=in_place,
            mutates=inputs[:1] if in_place else (),
            **registration,
        )

    @functools.cached_property
    def expression(self) -> scalar.Expression:
        """The formula, traced."""
        traced = scalar.trace(self.formula)
        assert isinstance(traced, scalar.Expression)
        return traced

    def make_rule(self, function: Callable[..., Any]) -> ElementwiseRule:
        return ElementwiseRule(function, self)

    def in_place_form(self) -> Elementwise:
        """The op that writes its result into its first input: ``x.add_(y)``."""
        return Elementwise(
            f"{self.name}_",
            self.formula,
            dtype=self.kind,
            masks=self.masks,
            vjp=self.vjp,  # type: ignore[arg-type]
            in_place=True,
            method=True,
            about=f"Like `{self.name}`, into ``{self.inputs[0]}``, which it returns.",
        )

    def __call__(self, *inputs: Any) -> Tensor:
        for value in inputs:
            if not isinstance(value, Value):
                return self._call_mixed(inputs)  # type: ignore[no-any-return]
        return tape.apply(self, inputs)  # type: ignore[no-any-return]

    def _call_mixed(self, inputs: tuple[Any, ...]) -> Any:
        for value in inputs:
            if not isinstance(value, (Value, int, float)) and hasattr(value, "__apply__"):
                return value.__apply__(self, inputs, {})
        return tape.apply(self, as_values(self.name, self.inputs, inputs))

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        if self.in_place:
            return self._run_in_place(inputs)
        if len(inputs) == 2:  # spelled out: Python takes twice as long to unpack arguments
            a, b = inputs
            layout, launch = self.planned(a.layout, b.layout)
            out = tape.empty(layout)
            if launch is not None:
                launch.run((launch.constants_address, a.address, b.address, out.address))
            return (out,)
        layout, launch = self.planned(*[value.layout for value in inputs])
        out = tape.empty(layout)
        if launch is not None:
            launch(*[value.address for value in inputs], out.address)
        return (out,)

    def _run_in_place(self, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        inputs = tuple([copy_if_overlapping(inputs[0], value) for value in inputs])
        _, launch = self.planned(*[value.layout for value in inputs])
        if launch is not None:
            launch(*[value.address for value in inputs])
        return inputs[:1]

    def plan(self, *layouts: Layout) -> tuple[Layout, Launch | None]:
        if len(layouts) != len(self.inputs):
            raise TypeError(
                f"{self.name}({', '.join(self.inputs)}) takes {len(self.inputs)} tensors, "
                f"not {len(layouts)}"
            )
        shape = broadcast(self.name, self.inputs, layouts)
        real, result = self.dtypes(layouts)
        operands = list(zip(self.inputs, layouts, strict=True))
        target = self.inputs[0] if self.in_place else "result"
        if self.in_place:
            layout = layouts[0]
            self._check_fits(layout, shape, result)
        else:
            layout = dense(shape, result)
            operands.append(("result", layout))
        formula = Formula(
            self.name, self.inputs, ((target, self.expression),), masks=frozenset(self.masks)
        )
        return layout, lower(formula, operands, shape, real)

    def dtypes(self, layouts: Sequence[Layout]) -> tuple[np.dtype, np.dtype]:
        """What the kernel computes in, and what it stores."""
        numbers = [
            layout
            for name, layout in zip(self.inputs, layouts, strict=True)
            if name not in self.masks
        ]
        for name, layout in zip(self.inputs, layouts, strict=True):
            if name in self.masks and layout.dtype != BOOL:
                raise TypeError(
                    f"{self.name}: `{name}` must be a bool tensor, not {layout.dtype}; "
                    f"write {name} != 0"
                )
        real = promote(numbers or layouts)
        if self.kind == "float":
            real = floating(real)
        if self.kind == "number" and real == BOOL:
            raise TypeError(
                f"{self.name} of bool tensors means nothing; use ^ or ~, or convert with .long()"
            )
        if self.kind == "integer" and real.kind == "f":
            raise TypeError(f"{self.name} takes bool and integer tensors, not {real}")
        return real, BOOL if self.kind == "bool" else real

    def _check_fits(self, layout: Layout, shape: tuple[int, ...], result: np.dtype) -> None:
        if shape != layout.shape:
            raise ValueError(
                f"{self.name} cannot change a tensor of shape {layout.shape} into the result's "
                f"shape {shape}; use {self.name.rstrip('_')}, which makes a new tensor"
            )
        if "bui f".index(result.kind) // 4 > "bui f".index(layout.dtype.kind) // 4 or (
            layout.dtype == BOOL and result != BOOL
        ):
            raise TypeError(
                f"{self.name}: a result of dtype {result} cannot be stored in a tensor of dtype "
                f"{layout.dtype}; use {self.name.rstrip('_')}, which makes a new tensor"
            )

    def document(self) -> str:
        """The op's docstring: its formula and rules, as declared."""
        lines = [self.about or f"`{self.name}`, element by element.", ""]
        formula = scalar.trace(self.textbook) if self.textbook else self.expression
        lines.append(f"    {self.name}({', '.join(self.inputs)}) = {formula}")
        for name, rule in (self.vjp or {}).items():  # type: ignore[union-attr]
            lines.append(f"    dL/d{name} = {rule_text(rule)}")
        what = {
            "same": "that of the promoted inputs",
            "number": "that of the promoted inputs",
            "integer": "that of the promoted inputs, bool or integer",
            "float": "floating: integers become the default dtype",
            "bool": "bool",
        }[self.kind]
        shape = "the inputs broadcast" if len(self.inputs) > 1 else "that of the input"
        return "\n".join([*lines, "", f"Shape: {shape}. Dtype: {what}."])


class ElementwiseRule(Rule):
    """A rule of an elementwise op: itself elementwise, so it too runs as one generated kernel."""

    def __call__(self, gradient: Any, lookup: Lookup, create_graph: bool) -> Any:
        if create_graph:
            return super().__call__(gradient, lookup, create_graph)
        if not self.arguments and self.is_identity:
            return gradient
        return tape.apply(self.fused, (gradient, *map(lookup, self.arguments)))

    @functools.cached_property
    def fused(self) -> Elementwise:
        """The rule as an op of its own; an in-place form shares the kernels of the other."""
        assert isinstance(self.owner, Elementwise)
        masks = [name for name in self.arguments if name in self.owner.masks]
        name = f"{self.owner.name.rstrip('_')}.vjp"
        return Elementwise(name, self.function, masks=masks, register=False)

    @functools.cached_property
    def is_identity(self) -> bool:
        """Whether the rule passes the gradient on as it is."""
        traced = scalar.trace(self.function)
        return isinstance(traced, scalar.Expression) and traced.operator == "input"


def elementwise(
    name: str,
    formula: Callable[..., Any],
    *,
    dtype: str = "same",
    masks: Sequence[str] = (),
    textbook: Callable[..., Any] | None = None,
    about: str = "",
    public: bool = True,
    method: bool | None = None,
    numpy: np.ufunc | None = None,
    **vjp: Callable[..., Any],
) -> Elementwise:
    """Declare an elementwise op: its formula, and the gradient rule of each input that has one.

    Args:
        name: the name of the op; of the function ``tg.NAME`` and the method ``Tensor.NAME``, if it
            is ``public``; and of the NumPy ufunc that calls it, if ``numpy`` is not given.
        formula: the result, of symbolic scalars; its parameters name the inputs.
        dtype: the dtype of the result: "same" or "number" (that of the promoted inputs), "integer",
            "float" or "bool".
        masks: the inputs that are bool tensors.
        textbook: the same function in textbook form.
        about: the first line of the docstring.
        public: whether the op is a function of the package.
        method: whether the op is a method of `Tensor`; the default is ``public``.
        numpy: the NumPy ufunc that calls this op on tensors.
        **vjp: for each differentiable input its rule.
    """
    ufunc = getattr(np, name, None) if numpy is None and public else numpy
    return Elementwise(
        name,
        formula,
        dtype=dtype,
        masks=masks,
        textbook=textbook,
        about=about,
        vjp=vjp,
        public=public,
        method=public if method is None else method,
        numpy=ufunc if isinstance(ufunc, np.ufunc) else None,
    )


def rule_text(rule: Callable[..., Any]) -> str:
    """A rule of an elementwise op as mathematics."""
    return str(scalar.trace(rule))


def scalar_inputs(formula: Callable[..., Any]) -> Sequence[str]:
    """The names of a formula's inputs: its parameters."""
    return formula.__code__.co_varnames[: formula.__code__.co_argcount]


def broadcast(op: str, names: Sequence[str], layouts: Sequence[Layout]) -> tuple[int, ...]:
    """The common shape of inputs, by NumPy's rules; ValueError that shows them if there is none."""
    try:
        return np.broadcast_shapes(*(layout.shape for layout in layouts))
    except ValueError:
        shapes = ", ".join(f"{n} {v.shape}" for n, v in zip(names, layouts, strict=True))
        raise ValueError(
            f"{op}: shapes do not broadcast: {shapes}. Aligned right, sizes must be equal or 1"
        ) from None


# The op that rules with kinks are written with.
where: Elementwise = elementwise(
    "where",
    lambda condition, x, y: scalar.where(condition, x, y),
    masks=["condition"],
    method=False,  # x.where(condition, y) takes them in another order
    about="``x`` where the condition holds, else ``y``. The condition is a bool tensor.",
    x=lambda g, condition: where(condition, g, 0),
    y=lambda g, condition: where(condition, 0, g),
)
