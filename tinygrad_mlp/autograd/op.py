"""What an op is: a name, a forward computation, gradient rules, and its textbook form.

A gradient rule is a function of the gradient ``g`` of the result, and of whatever else its
parameters name:

===========  ============================================================================
``x``        an input of the op (saved on the tape)
``out``      the result, or another result by its name (saved on the tape)
``x_shape``  the shape of an input; the input itself is not kept
``dim``      a parameter of the call
===========  ============================================================================

The rule of ``exp`` is ``x=lambda g, out: g * out``. A rule is written with ops, so that it can be
differentiated in turn. Its result may have any shape that broadcasts with the input's, and any
floating dtype: the tape sums and casts it. An op without rules but with a textbook form is
differentiated through that form.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from types import MethodType
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from . import modes, tape
from .backward import run_backward
from .dtypes import plans_of_ops
from .tape import Lookup, Params, Saves, Value

if TYPE_CHECKING:
    from .._tensor import Tensor

_layout = attrgetter("layout")
REGISTRY: dict[str, Op] = {}  # every op by its name; tests/ops has a row for each
UFUNCS: dict[np.ufunc, Op] = {}  # the op that replaces a NumPy ufunc called with tensors


class Rule:
    """A gradient rule: a function, and the names of its arguments after ``g``."""

    def __init__(self, function: Callable[..., Any], owner: Op):
        self.function, self.owner = function, owner
        self.arguments = tuple(inspect.signature(function).parameters)[1:]
        self.needed = self.arguments  # what the tape saves for it

    def __call__(self, gradient: Any, lookup: Lookup, create_graph: bool) -> Any:
        """Return the gradient of one input; a joint rule returns a list, one entry per input."""
        return self.function(gradient, *map(lookup, self.arguments))


class TextbookRule(Rule):
    """The joint rule that differentiates the textbook form of an op, on its saved inputs."""

    def __init__(self, owner: Op):
        assert owner.textbook is not None
        self.function, self.owner = owner.textbook, owner
        self.arguments = self.needed = (*owner.inputs, *owner.params)

    def __call__(self, gradient: Any, lookup: Lookup, create_graph: bool) -> list[Any]:
        """Return the gradients of all inputs, None for an input that is not floating."""
        values = list(map(lookup, self.owner.inputs))
        params = {name: lookup(name) for name in self.owner.params}
        floats = [k for k, v in enumerate(values) if v is not None and v.layout.dtype.kind == "f"]
        with modes.grad_mode(True):
            for k in floats:  # a separate tensor each: two inputs may be the same or depend
                if create_graph and values[k].requires_grad:
                    values[k] = values[k].clone()
                else:
                    values[k] = values[k].alias()
                    values[k].requires_grad = True
            out = self.function(*values, **params)
            out = out[0] if isinstance(out, tuple) else out
            found = run_backward(
                [out],
                [gradient],
                inputs=[values[k] for k in floats],
                accumulate=False,
                create_graph=create_graph,
            )
        gradients = dict(zip(floats, found, strict=True))
        return [gradients.get(k) for k in range(len(values))]


class _Documentation:
    """The docstring of a class of ops; on an instance, the result of `Op.document`."""

    def __init__(self, text: str):
        self.text = text

    def __get__(self, op: Op | None, owner: type | None = None) -> str:
        return self.text if op is None else op.document()


class Op:
    """An operation on tensors. Subclasses define how it runs (`Elementwise`, `View`, `Fused`).

    Args:
        name: the name in `REGISTRY`, error messages and printed tapes.
        inputs: the names of the tensor inputs.
        params: the names of the other arguments, passed by keyword.
        outputs: the names of the results.
        vjp: a rule for each differentiable input, or one joint rule that returns a list.
        textbook: the same function of simpler ops.
        mutates: the inputs that the op writes into.
        in_place: whether the result is the first input.
        method: make the op a method of `Tensor`, under its own or this name.
        public: make the op a function ``tg.NAME``.
        numpy: the NumPy ufuncs that run this op when called with a tensor.
        register: whether the op is in `REGISTRY`.
    """

    python_only = False  # whether a compiled step must return to Python for it
    error_flag = ""  # the name of the int64 result that is not 0 where `verify` raises
    differentiable: tuple[int, ...] = (0,)  # which results have gradients
    per_slice = False  # whether each of its kernels is launched for every slice of the inputs

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
        method: bool | str = False,
        public: bool = False,
        numpy: np.ufunc | Sequence[np.ufunc] | None = None,
        register: bool = True,
    ):
        self.name, self.__name__ = name, name
        self.inputs, self.outputs, self.params = tuple(inputs), tuple(outputs), tuple(params)
        self.values_of = _values_of(self.params)  # of the params, in whatever order they were given
        self.mutates = tuple(self.inputs.index(each) for each in mutates)
        self.in_place, self.public = in_place, public
        self.vjp, self.textbook = vjp, textbook
        named = vjp if isinstance(vjp, Mapping) else {}
        for of, rule in named.items():
            self._check_rule(of, rule)
        self.rules = {self.inputs.index(k): self.make_rule(rule) for k, rule in named.items()}
        self.joint_rule = self.make_joint_rule()
        self.saves = {k: self._saves(rule) for k, rule in self.rules.items()}
        self.joint_saves = None if self.joint_rule is None else self._saves(self.joint_rule)
        self.has_gradient = bool(self.rules or self.joint_rule)
        saves = [self.joint_saves] if self.joint_saves else self.saves.values()
        self.saves_results = any(outputs for _, outputs in saves)
        self.planned = functools.lru_cache(maxsize=4096)(self.plan)
        method = name if method is True else method
        if method and (hasattr(tape.tensor_class(), method) or method in Value.__annotations__):
            raise ValueError(
                f"op {name!r}: tensors have an attribute {method!r} already; choose another name, "
                "or pass method=False"
            )
        if register:
            if name in REGISTRY:
                raise ValueError(f"an op named {name!r} exists already")
            REGISTRY[name] = self
            plans_of_ops.append(self.forget_plans)
            self.__signature__ = _signature(self.inputs, self.params)
        if method:
            setattr(Value, method, self)
        ufuncs = (numpy,) if isinstance(numpy, np.ufunc) else numpy or ()
        UFUNCS.update(dict.fromkeys(ufuncs, self))

    @overload
    def __get__(self, instance: Value, owner: type) -> Callable[..., Tensor]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Self: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind the op to a tensor: as a class attribute it is a method."""
        return self if instance is None else MethodType(self, instance)

    def __init_subclass__(cls) -> None:
        cls.__doc__ = _Documentation(cls.__doc__ or "")  # type: ignore[assignment]

    def document(self) -> str:
        """Return the op's docstring: by default that of its class."""
        return type(self).__doc__ or ""

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join((*self.inputs, *self.params))})>"

    def make_rule(self, function: Callable[..., Any]) -> Rule:
        """Wrap the declared rule of one input."""
        return Rule(function, self)

    def make_joint_rule(self) -> Rule | None:
        """Return one rule for all inputs at once, or None."""
        if callable(self.vjp):
            return Rule(self.vjp, self)
        return TextbookRule(self) if self.vjp is None and self.textbook is not None else None

    def _check_rule(self, of: str, rule: Callable[..., Any]) -> None:
        """Raise ValueError for a rule of an unknown input, or of arguments that it cannot get."""
        if of not in self.inputs:
            raise ValueError(
                f"op {self.name!r} has a rule for {of!r}; its inputs are: {', '.join(self.inputs)}"
            )
        first, *names = inspect.signature(rule).parameters
        known = (*self.inputs, *self.outputs, *self.params, *(f"{x}_shape" for x in self.inputs))
        unknown = [name for name in names if name not in known]
        if unknown or (first != "g" and first in known):
            raise ValueError(
                f"op {self.name!r}: the rule of {of!r} takes ({', '.join((first, *names))}); the "
                f"first is g, the gradient of the result, others can be: {', '.join(known)}"
            )

    def _saves(self, rule: Rule) -> Saves:
        """Return the inputs and the results to save for a rule: pairs of name and index."""
        inputs = {n: self.inputs.index(n) for n in rule.needed if n in self.inputs}
        outputs = {n: self.outputs.index(n) for n in rule.needed if n in self.outputs}
        return tuple(inputs.items()), tuple((n, k) for n, k in outputs.items() if n not in inputs)

    def plan(self, *signature: Any) -> Any:
        """Compute what depends on layouts and parameters alone; cached for each signature."""
        raise NotImplementedError(f"{type(self).__name__} {self.name} has no plan")

    def plan_of(self, inputs: tuple[Value, ...], params: Params) -> Any:
        """Return the plan of a call."""
        return self.planned(*map(_layout, inputs), *self.values_of(params))

    def forget_plans(self) -> None:
        """Empty the cache of plans, as after a change of the default dtype."""
        self.planned.cache_clear()

    def verify(self, inputs: tuple[Value, ...], outputs: tuple[Value, ...], params: Params) -> None:
        """Raise if an input's values are invalid; compiled steps call it if `error_flag` is set."""

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        """Compute the results, without recording."""
        raise NotImplementedError(f"{type(self).__name__} {self.name} does not run")

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
        """Apply the op to tensors, or build an expression of it from symbolic inputs."""
        for value in inputs:
            if not isinstance(value, Value) and hasattr(value, "__apply__"):
                return value.__apply__(self, inputs, params)  # type: ignore[no-any-return]
        return tape.apply(self, inputs, params)  # type: ignore[no-any-return]


def _signature(inputs: Sequence[str], params: Sequence[str]) -> inspect.Signature:
    """Return the signature that ``help`` and editors show."""
    positional = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in inputs]
    keyword = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in params]
    return inspect.Signature([*positional, *keyword])


def _values_of(names: tuple[str, ...]) -> Callable[[Params], tuple[Any, ...]]:
    """Return a function that finds the values of the params ``names``, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda params: ()
    (name,) = names
    return lambda params: (params[name],)
