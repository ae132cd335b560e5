"""Scalar formulas as data: what an elementwise kernel computes for one element.

A formula is a Python function of scalars. Called with `Expression`s it builds a graph instead of
computing, which prints as mathematics and from which kernels are generated:

>>> print(trace(lambda g, out: g * (1 - out * out)))
g * (1 - out * out)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

INFIX = {  # how tightly each binds, as in Python
    "eq": ("==", 1),
    "ne": ("!=", 1),
    "lt": ("<", 1),
    "le": ("<=", 1),
    "gt": (">", 1),
    "ge": (">=", 1),
    "or": ("|", 2),
    "xor": ("^", 3),
    "and": ("&", 4),
    "add": ("+", 5),
    "sub": ("-", 5),
    "mul": ("*", 6),
    "matmul": ("@", 6),
    "div": ("/", 6),
    "floordiv": ("//", 6),
    "mod": ("%", 6),
    "neg": ("-", 7),
    "pow": ("**", 8),
}
_ASSOCIATIVE = {  # a + (b - c) may be written a + b - c
    "add": ("add", "sub"),
    "mul": ("mul",),
    "and": ("and",),
    "or": ("or",),
    "xor": ("xor",),
}
PREDICATES = ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not")


class Expression:
    """A node of a formula: an operator applied to expressions, or a named input, or a constant.

    Expressions are compared by identity; equal sub-expressions met while one formula is traced
    are shared by the generator.
    """

    __slots__ = ("arguments", "operator", "value")

    def __init__(self, operator: str, arguments: Sequence = (), value=None):
        self.operator = operator
        self.arguments = tuple(as_expression(argument) for argument in arguments)
        self.value = value

    def __str__(self) -> str:
        return _format(self)[0]

    def __apply__(self, op, inputs, params):
        """An op applied to expressions is its own formula, spelled out in place."""
        return op.formula(*inputs)

    def __add__(self, other):
        return Expression("add", (self, other))

    def __radd__(self, other):
        return Expression("add", (other, self))

    def __sub__(self, other):
        return Expression("sub", (self, other))

    def __rsub__(self, other):
        return Expression("sub", (other, self))

    def __mul__(self, other):
        return Expression("mul", (self, other))

    def __rmul__(self, other):
        return Expression("mul", (other, self))

    def __truediv__(self, other):
        return Expression("div", (self, other))

    def __rtruediv__(self, other):
        return Expression("div", (other, self))

    def __floordiv__(self, other):
        return Expression("floordiv", (self, other))

    def __mod__(self, other):
        return Expression("mod", (self, other))

    def __pow__(self, other):
        return Expression("pow", (self, other))

    def __rpow__(self, other):
        return Expression("pow", (other, self))

    def __neg__(self):
        return Expression("neg", (self,))

    def __invert__(self):
        return Expression("not", (self,))

    def __and__(self, other):
        return Expression("and", (self, other))

    def __or__(self, other):
        return Expression("or", (self, other))

    def __xor__(self, other):
        return Expression("xor", (self, other))

    def __lt__(self, other):
        return Expression("lt", (self, other))

    def __le__(self, other):
        return Expression("le", (self, other))

    def __gt__(self, other):
        return Expression("gt", (self, other))

    def __ge__(self, other):
        return Expression("ge", (self, other))

    def __eq__(self, other):  # type: ignore[override]
        return Expression("eq", (self, other))

    def __ne__(self, other):  # type: ignore[override]
        return Expression("ne", (self, other))

    __hash__ = object.__hash__

    def __bool__(self):
        raise TypeError(
            f"a formula is traced without values: it cannot branch on `{self}`; "
            "write where(condition, a, b) instead of `if`, `and`, `or` or a chained comparison"
        )


def as_expression(value) -> Expression:
    """An expression as it is; a Python number as a constant."""
    return value if isinstance(value, Expression) else Expression("constant", value=value)


def trace(formula: Callable, names: Sequence[str] | None = None) -> Expression | tuple:
    """Run ``formula`` on named inputs (by default its own parameter names); what it returns."""
    names = inspect.signature(formula).parameters if names is None else names
    result = formula(*(Expression("input", value=name) for name in names))
    if isinstance(result, tuple):
        return tuple(as_expression(part) for part in result)
    return as_expression(result)


def _function(name: str) -> Callable[..., Expression]:
    def build(*arguments):
        return Expression(name, arguments)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"``{name}`` of a scalar, elementwise: a node of a formula."
    return build


# The functions that kernels/codegen/elementwise.py knows how to write down.
exp = _function("exp")
expm1 = _function("expm1")
exp2 = _function("exp2")
log = _function("log")
log1p = _function("log1p")
log2 = _function("log2")
log10 = _function("log10")
sqrt = _function("sqrt")
sin = _function("sin")
cos = _function("cos")
tan = _function("tan")
asin = _function("asin")
acos = _function("acos")
atan = _function("atan")
sinh = _function("sinh")
cosh = _function("cosh")
tanh = _function("tanh")
asinh = _function("asinh")
acosh = _function("acosh")
atanh = _function("atanh")
erf = _function("erf")
rsqrt = _function("rsqrt")
sigmoid = _function("sigmoid")
softplus = _function("softplus")
floor = _function("floor")
ceil = _function("ceil")
trunc = _function("trunc")
rint = _function("rint")
absolute = _function("absolute")
maximum = _function("maximum")
minimum = _function("minimum")
where = _function("where")
atan2 = _function("atan2")


def _format(node: Expression) -> tuple[str, int]:
    """The text of a formula, and how tightly its outermost operator binds."""
    if node.operator == "input":
        return node.value, 9
    if node.operator == "constant":
        value = node.value.item() if isinstance(node.value, np.generic) else node.value
        return f"{value}", 9 if not isinstance(value, (int, float)) or value >= 0 else 7
    if node.operator not in INFIX:
        return f"{node.operator}({', '.join(map(str, node.arguments))})", 9
    symbol, level = INFIX[node.operator]
    parts = [_format(argument) for argument in node.arguments]
    if len(parts) == 1:
        return f"{symbol}{_wrap(*parts[0], level)}", level
    strict_left = level == 1 or node.operator == "pow"
    strict_right = node.arguments[1].operator not in _ASSOCIATIVE.get(node.operator, ())
    left = _wrap(*parts[0], level + strict_left)
    right = _wrap(*parts[1], level + strict_right)
    return f"{left} {symbol} {right}", level


def _wrap(text: str, level: int, least: int) -> str:
    return text if level >= least else f"({text})"
