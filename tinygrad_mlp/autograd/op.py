"""What an op is: a name, a way to compute, gradient rules, and the textbook form it must equal.

A gradient rule is a function of the gradient ``g`` and whatever it asks for by name:

===========  ============================================================================
``x``        an input of the op (the tape saves it)
``out``      its result, or another result by its name (the tape saves it)
``x_shape``  the shape of an input, without keeping the input
``dim``      a parameter of the call
===========  ============================================================================

So ``exp`` says ``x=lambda g, out: g * out``. What a rule returns may have any shape that broadcasts
with the input's and any floating dtype: the tape fits it. An op with no rule of its own but a
textbook form is differentiated through that form.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from types import MethodType
from typing import Any

from . import modes, tape
from .backward import backward
from .dtypes import plans_of_ops
from .tape import Ask, Params, Value

_layout = attrgetter("layout")
REGISTRY: dict[str, Op] = {}  # every op by name; the table of the gradient tests must equal it


class Rule:
    """A gradient rule: its function, and the names of what the function wants beside ``g``."""

    def __init__(self, function: Callable[..., Any], owner: Op):
        self.function, self.owner = function, owner
        self.wants = tuple(inspect.signature(function).parameters)[1:]

    def __call__(self, gradient: Any, argument: Ask, create_graph: bool) -> Any:
        return self.function(gradient, *map(argument, self.wants))


class TextbookRule:
    """The gradient of an op by differentiating its textbook form, on the inputs it had."""

    def __init__(self, op: Op):
        self.op, self.wants = op, (*op.inputs, *op.params)

    def __call__(self, gradient: Any, argument: Ask, create_graph: bool) -> list[Any]:
        op = self.op
        values = list(map(argument, op.inputs))
        with modes.grad_mode(True):
            floats = [
                k for k, v in enumerate(values) if v is not None and v.layout.dtype.kind == "f"
            ]
            for k in floats:  # one of its own each: inputs may be one tensor, or lead to another
                if create_graph and values[k].requires_grad:
                    values[k] = values[k].clone()
                else:
                    values[k] = values[k].alias()
                    values[k].requires_grad = True
            assert op.textbook is not None
            out = op.textbook(*values, **{name: argument(name) for name in op.params})
            out = out[0] if isinstance(out, tuple) else out
            targets = [values[k] for k in floats]
            found = backward(
                [out], [gradient], inputs=targets, accumulate=False, create_graph=create_graph
            )
        result: list[Any] = [None] * len(values)
        for k, value in zip(floats, found, strict=True):
            result[k] = value
        return result


class _Documentation:
    """The docstring of a class of ops; of an op, what `Op.document` says, made when asked for."""

    def __init__(self, text: str):
        self.text = text

    def __get__(self, op: Op | None, kind: type | None = None) -> str:
        return self.text if op is None else op.document()


class Op:
    """An op; subclasses say how it runs (`Elementwise`, `KernelOp`, `View`, `Host`)."""

    python_only = False
    error_flag = ""  # the int64 result that is 0 or more where `verify` has something to say
    early_exit: int | None = None  # an input, a word: a program ends after the op unless it is 0
    differentiable: tuple[int, ...] = (0,)  # further results are saved for rules, or are integers

    def __init__(
        self,
        name: str,
        inputs: Sequence[str],
        *,
        params: Sequence[str] = (),
        outputs: Sequence[str] = ("out",),
        vjp: Mapping[str, Callable[..., Any]] | Callable[..., Any] | None = None,
        textbook: Callable[..., Any] | None = None,
        mutates: Sequence[str] = (),
        in_place: bool = False,
        register: bool = True,
    ):
        self.name, self.__name__ = name, name
        self.inputs, self.outputs, self.params = tuple(inputs), tuple(outputs), tuple(params)
        self.values_of = _values_of(self.params)  # of the params, in whatever order they were given
        self.mutates = tuple(self.inputs.index(each) for each in mutates)
        self.in_place = in_place
        self.vjp, self.textbook = vjp, textbook
        self.rules: dict[int, Any] = self._rules()
        self.wants = {k: self._wanted(rule) for k, rule in self.rules.items()}
        self.planned = functools.lru_cache(maxsize=4096)(self.plan)
        if register:
            if name in REGISTRY:
                raise ValueError(f"an op named {name!r} exists already")
            REGISTRY[name] = self
            plans_of_ops.append(self.forget_plans)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As an attribute of a class, an op is a method."""
        return self if instance is None else MethodType(self, instance)

    def __init_subclass__(cls) -> None:
        cls.__doc__ = _Documentation(cls.__doc__ or "")  # type: ignore[assignment]

    def document(self) -> str:
        """The op's docstring: by default that of its class."""
        return type(self).__doc__ or ""

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join((*self.inputs, *self.params))})>"

    def _rules(self) -> dict[int, Any]:
        if isinstance(self.vjp, Mapping):
            return {self.inputs.index(k): self.make_rule(rule) for k, rule in self.vjp.items()}
        if self.vjp is not None:
            return {-1: Rule(self.vjp, self)}
        return {-1: TextbookRule(self)} if self.textbook is not None else {}

    def _wanted(self, rule: Any) -> tape.Wants:
        """Which inputs and results a rule wants saved, by name and place."""
        inputs = tuple((n, self.inputs.index(n)) for n in rule.wants if n in self.inputs)
        outputs = tuple(
            (n, self.outputs.index(n))
            for n in rule.wants
            if n in self.outputs and n not in self.inputs
        )
        return inputs, outputs

    def make_rule(self, function: Callable[..., Any]) -> Any:
        """How a declared rule is run."""
        return Rule(function, self)

    def plan(self, *signature: Any) -> Any:
        """Everything about a call that does not depend on values, worked out once a signature."""
        raise NotImplementedError(f"{type(self).__name__} {self.name} plans nothing")

    def plan_of(self, inputs: tuple[Value, ...], params: Params) -> Any:
        """Return the plan of a call."""
        return self.planned(*map(_layout, inputs), *self.values_of(params))

    def forget_plans(self) -> None:
        """Plan anew: the default dtype changed."""
        self.planned.cache_clear()

    def verify(self, inputs: tuple[Value, ...], outputs: tuple[Value, ...], params: Params) -> None:
        """Raise for inputs whose values are wrong; a compiled step asks by the ``error_flag``."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        """Compute on values, off the tape."""
        raise NotImplementedError(f"{type(self).__name__} {self.name} does not run")

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Apply to tensors; to a symbol or a formula: stand in it, spelled out."""
        for value in inputs:
            if not isinstance(value, Value) and hasattr(value, "__apply__"):
                return value.__apply__(self, inputs, params)
        return tape.apply(self, inputs, params)


def _values_of(names: tuple[str, ...]) -> Callable[[Params], tuple[Any, ...]]:
    """Return a function that finds the values of the params ``names``, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda params: ()
    (name,) = names
    return lambda params: (params[name],)
