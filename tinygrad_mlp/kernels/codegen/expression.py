"""Scalar formulas as data: what an elementwise kernel computes for one element.

A formula is a Python function of scalars. Called with `Expression`s, it builds a graph instead of
computing. The graph prints as mathematics, and kernels are generated from it:

>>> print(trace(lambda g, out: g * (1 - out * out)))
g * (1 - out * out)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

INFIX = {  # symbol and precedence, as in Python
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
# The functions of formulas: codegen/elementwise.py writes them as code.
FUNCTIONS = """
exp expm1 exp2 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan atan2 sinh cosh tanh asinh
acosh atanh erf sigmoid softplus floor ceil trunc rint absolute maximum minimum where
"""
PREDICATES = ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not")


def _binary(operator: str) -> tuple[Callable, Callable]:
    """The method of an operator, and the one with its operands exchanged."""
    return (
        lambda self, other: Expression(operator, (self, other)),
        lambda self, other: Expression(operator, (other, self)),
    )


class Expression:
    """A node of a formula: an operator applied to expressions, or a named input, or a constant.

    ``==`` builds a node; expressions are compared by identity. The generator shares equal
    sub-expressions.
    """

    __slots__ = ("arguments", "operator", "value")

    def __init__(self, operator: str, arguments: Sequence = (), value=None):
        self.operator = operator
        self.arguments = tuple(as_expression(argument) for argument in arguments)
        self.value = value

    def __str__(self) -> str:
        return _format(self)[0]

    def __apply__(self, op, inputs, params):
        """Apply an op to expressions: expand its formula in place."""
        return op.formula(*inputs)

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("sub")
    __mul__, __rmul__ = _binary("mul")
    __truediv__, __rtruediv__ = _binary("div")
    __pow__, __rpow__ = _binary("pow")
    (__floordiv__, _), (__mod__, _) = _binary("floordiv"), _binary("mod")
    (__and__, _), (__or__, _), (__xor__, _) = _binary("and"), _binary("or"), _binary("xor")
    (__lt__, _), (__le__, _), (__gt__, _) = _binary("lt"), _binary("le"), _binary("gt")
    (__ge__, _), (__eq__, _), (__ne__, _) = _binary("ge"), _binary("eq"), _binary("ne")

    def __neg__(self):
        return Expression("neg", (self,))

    def __invert__(self):
        return Expression("not", (self,))

    __hash__ = object.__hash__

    def __bool__(self):
        raise TypeError(
            f"a formula is traced without values: it cannot branch on `{self}`; "
            "write where(condition, a, b) instead of `if`, `and`, `or` or a chained comparison"
        )


def as_expression(value) -> Expression:
    """Return an expression unchanged, and a Python number as a constant."""
    return value if isinstance(value, Expression) else Expression("constant", value=value)


def trace(formula: Callable, names: Sequence[str] | None = None) -> Expression | tuple:
    """Return the graph of ``formula`` of inputs with these names (default: its parameters)."""
    names = inspect.signature(formula).parameters if names is None else names
    result = formula(*(Expression("input", value=name) for name in names))
    if isinstance(result, tuple):
        return tuple(as_expression(part) for part in result)
    return as_expression(result)


def __getattr__(name: str) -> Callable[..., Expression]:
    """Return a function of formulas, such as ``exp``: it builds a node of that name."""
    if name not in FUNCTIONS.split():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda *arguments: Expression(name, arguments)


def _format(node: Expression) -> tuple[str, int]:
    """Return the text of a formula, and the precedence of its outermost operator."""
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
