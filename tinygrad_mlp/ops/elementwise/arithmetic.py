"""Arithmetic, comparison, logic, rounding: elementwise ops that need no special functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.tape import Value
from ...autograd.values import constant
from ...kernels.codegen import expression
from ...kernels.runtime.layout import DTYPES, Layout
from ..value_check import ValueCheck
from .declare import Elementwise, elementwise
from .declare import where as where
from .transcendental import log

# --- arithmetic ---

add = elementwise("add", lambda x, y: x + y, x=lambda g: g, y=lambda g: g)

sub = elementwise(
    "sub", lambda x, y: x - y, dtype="number", numpy=np.subtract, x=lambda g: g, y=lambda g: -g
)

mul = elementwise(
    "mul", lambda x, y: x * y, numpy=np.multiply, x=lambda g, y: g * y, y=lambda g, x: g * x
)

div = elementwise(
    "div",
    lambda x, y: x / y,
    dtype="float",
    about="True division: integers give the default floating dtype.",
    numpy=np.divide,
    x=lambda g, y: g / y,
    y=lambda g, x, y: -g * (x / y) / y,
)

neg = elementwise("neg", lambda x: -x, dtype="number", numpy=np.negative, x=lambda g: -g)


class Partial(Elementwise):
    """An op whose integer form is not defined at every ``y``: ``check`` raises there.

    Floating inputs are not checked: they give inf or NaN.
    """

    def __init__(self, *declared: Any, check: ValueCheck, **more: Any):
        self.check = check
        super().__init__(*declared, **more)

    def __call__(self, *inputs: Any) -> Any:
        if len(inputs) == 2 and all(map(_is_integer, inputs)):
            self.check(inputs[1])
        return super().__call__(*inputs)

    def in_place_form(self) -> Elementwise:
        declared: dict[str, Any] = {"dtype": self.kind, "vjp": self.vjp}
        about = f"Like `{self.name}`, into ``x``, which it returns."
        return Partial(
            f"{self.name}_",
            self.formula,
            check=self.check,
            in_place=True,
            method=True,
            about=about,
            **declared,
        )


def _is_integer(value: Any) -> bool:
    """Return whether a tensor, array or number is an integer or a bool."""
    dtype = value.layout.dtype if isinstance(value, Value) else getattr(value, "dtype", None)
    return isinstance(value, int) if dtype is None else dtype.kind in "biu"


_check_not_zero = ValueCheck(
    "check_not_zero",
    lambda: (0, 0),
    lambda y, k: ZeroDivisionError("integer division or modulo by zero"),
    inside=False,
)
_check_not_negative = ValueCheck(
    "check_not_negative",
    lambda: (0, 2**63 - 1),
    lambda y, k: RuntimeError(
        "Integers to negative integer powers are not allowed: use x.float() ** y"
    ),
)

pow = Partial(
    "pow",
    lambda x, y: x**y,
    check=_check_not_negative,
    dtype="number",
    numpy=np.power,
    about="Power. The derivative by ``x`` at y = 0 is 0; by ``y`` at x = 0, y >= 0 it is 0.",
    vjp={
        "x": lambda g, x, y: where(y == 0, 0, g * y * x ** where(y == 0, 1, y - 1)),
        "y": lambda g, x, y, out: where(
            (x == 0) & (y >= 0), 0, g * out * log(where((x == 0) & (y >= 0), 1, x))
        ),
    },
)

square = elementwise("square", lambda x: x * x, dtype="number", x=lambda g, x: 2 * g * x)

reciprocal = elementwise(
    "reciprocal", lambda x: 1 / x, dtype="float", x=lambda g, out: -g * out * out
)

floor_divide = Partial(
    "floor_divide",
    lambda x, y: x // y,
    check=_check_not_zero,
    dtype="number",
    public=True,
    method=True,
    numpy=np.floor_divide,
    about="The quotient rounded towards minus infinity. A staircase: its derivatives are 0.",
    vjp={"x": lambda g: g * 0, "y": lambda g: g * 0},
)

remainder = Partial(
    "remainder",
    lambda x, y: x % y,
    check=_check_not_zero,
    dtype="number",
    public=True,
    method=True,
    numpy=np.remainder,
    about="Python's ``%``: the remainder with the sign of ``y``.",
    vjp={"x": lambda g: g, "y": lambda g, x, y: -g * (x // y)},
)

# --- order ---

maximum = elementwise(
    "maximum",
    lambda x, y: expression.where((x > y) | (x != x), x, y),
    about="The larger of two; NaN if either is. Each gets half the gradient where they are equal, "
    "and the whole of it where one is NaN.",
    x=lambda g, x, y: where(x == y, g / 2, where(x < y, 0, g)),
    y=lambda g, x, y: where(x == y, g / 2, where(y < x, 0, g)),
)

minimum = elementwise(
    "minimum",
    lambda x, y: expression.where((x < y) | (x != x), x, y),
    about="The smaller of two; NaN if either is. Each gets half the gradient where they are equal, "
    "and the whole of it where one is NaN.",
    x=lambda g, x, y: where(x == y, g / 2, where(x > y, 0, g)),
    y=lambda g, x, y: where(x == y, g / 2, where(y > x, 0, g)),
)

clamp_min = elementwise(
    "clamp_min",
    lambda x, min: expression.where((x >= min) | (x != x), x, min),
    about="``x``, but at least ``min``, NaN if either is. At the bound ``x`` has the gradient.",
    x=lambda g, x, min: where(x >= min, g, 0),
    min=lambda g, x, min: where(x < min, g, 0),
)

clamp_max = elementwise(
    "clamp_max",
    lambda x, max: expression.where((x <= max) | (x != x), x, max),
    about="``x``, but at most ``max``, NaN if either is. At the bound ``x`` has the gradient.",
    x=lambda g, x, max: where(x <= max, g, 0),
    max=lambda g, x, max: where(x > max, g, 0),
)

abs = elementwise(
    "abs",
    lambda x: expression.absolute(x),
    dtype="number",
    about="Absolute value. The derivative at 0 is 0, at NaN it is NaN (in PyTorch 0).",
    x=lambda g, x: g * sign(x),
)

sign: Elementwise = elementwise(
    "sign",
    lambda x: expression.where(x > 0, 1, expression.where(x < 0, -1, x)),
    about="-1, 0 or 1; NaN for NaN, as in NumPy (0 in PyTorch). Its derivative is 0.",
    x=lambda g: g * 0,
)

# --- rounding: staircases, derivative 0 ---

floor = elementwise("floor", lambda x: expression.floor(x), x=lambda g: g * 0)
ceil = elementwise("ceil", lambda x: expression.ceil(x), x=lambda g: g * 0)
trunc = elementwise("trunc", lambda x: expression.trunc(x), x=lambda g: g * 0)
round = elementwise(
    "round",
    lambda x: expression.rint(x),
    about="To the nearest integer, halves to even.",
    numpy=np.rint,
    x=lambda g: g * 0,
)

# --- comparison and logic ---

eq = elementwise("eq", lambda x, y: x == y, dtype="bool", numpy=np.equal)
ne = elementwise("ne", lambda x, y: x != y, dtype="bool", numpy=np.not_equal)
lt = elementwise("lt", lambda x, y: x < y, dtype="bool", numpy=np.less)
le = elementwise("le", lambda x, y: x <= y, dtype="bool", numpy=np.less_equal)
gt = elementwise("gt", lambda x, y: x > y, dtype="bool", numpy=np.greater)
ge = elementwise("ge", lambda x, y: x >= y, dtype="bool", numpy=np.greater_equal)
isnan = elementwise("isnan", lambda x: x != x, dtype="bool")
isinf = elementwise("isinf", lambda x: (x == x) & (x - x != 0), dtype="bool")
isfinite = elementwise(
    "isfinite", lambda x: x - x == 0, dtype="bool", about="Neither infinite nor NaN."
)
logical_and = elementwise("logical_and", lambda x, y: (x != 0) & (y != 0), dtype="bool")
logical_or = elementwise("logical_or", lambda x, y: (x != 0) | (y != 0), dtype="bool")
logical_xor = elementwise("logical_xor", lambda x, y: (x != 0) ^ (y != 0), dtype="bool")
logical_not = elementwise("logical_not", lambda x: x == 0, dtype="bool")
bitwise_and = elementwise("bitwise_and", lambda x, y: x & y, dtype="integer")
bitwise_or = elementwise("bitwise_or", lambda x, y: x | y, dtype="integer")
bitwise_xor = elementwise("bitwise_xor", lambda x, y: x ^ y, dtype="integer")
bitwise_not = elementwise("bitwise_not", lambda x: ~x, dtype="integer")

# --- conversion and copies ---


class Convert(Elementwise):
    """A copy in another dtype: computed in the source's, stored in the target's."""

    def __init__(self, dtype: np.dtype):
        self.target = dtype
        about = f"A copy in {dtype}. Floats lose their fraction on the way to integers."
        rule = {"x": lambda g: g} if dtype.kind == "f" else {}
        super().__init__(f"to_{dtype}", lambda x: x, about=about, vjp=rule)

    def dtypes(self, layouts: Sequence[Layout]) -> tuple[np.dtype, np.dtype]:
        return layouts[0].dtype, self.target


class Copy(Elementwise):
    """``copy_``: overwrite a tensor, in its own dtype, with another one broadcast to it."""

    def dtypes(self, layouts: Sequence[Layout]) -> tuple[np.dtype, np.dtype]:
        return layouts[1].dtype, layouts[0].dtype


clone = elementwise("clone", lambda x: x, about="A copy.", x=lambda g: g)
copy_ = Copy(
    "copy_",
    lambda x, source: source,
    in_place=True,
    method=True,
    vjp={"source": lambda g: g},
    about="Overwrite ``x`` with ``source``, converted to its dtype.",
)
CONVERSIONS = {dtype: Convert(dtype) for dtype in DTYPES}

# --- in-place forms ---

add_, sub_, mul_, div_, neg_, pow_, square_, reciprocal_, abs_, maximum_, minimum_ = (
    op.in_place_form()
    for op in (add, sub, mul, div, neg, pow, square, reciprocal, abs, maximum, minimum)
)
clamp_min_, clamp_max_, floor_, ceil_, round_, floor_divide_, remainder_ = (
    op.in_place_form() for op in (clamp_min, clamp_max, floor, ceil, round, floor_divide, remainder)
)

bitwise_and_, bitwise_or_, bitwise_xor_ = (
    op.in_place_form() for op in (bitwise_and, bitwise_or, bitwise_xor)
)


# --- the public forms that take more than tensors ---


def power(x: Any, exponent: Any) -> Any:
    """``x ** exponent``; a square is one product."""
    if isinstance(x, Value) and type(exponent) in (int, float) and exponent == 2:
        kind = x.layout.dtype.kind
        if kind == "f" or (kind in "iu" and isinstance(exponent, int)):  # else another dtype comes
            return square(x)
    return pow(x, exponent)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """``x`` kept between ``min`` and ``max``, numbers or tensors; either may be left out."""
    if min is None and max is None:
        raise ValueError("clamp: give min, max, or both")
    x = x if min is None else clamp_min(x, min)
    return x if max is None else clamp_max(x, max)


def clamp_(x: Any, min: Any = None, max: Any = None) -> Any:
    """`clamp` in place."""
    if min is None and max is None:
        raise ValueError("clamp_: give min, max, or both")
    x = x if min is None else clamp_min_(x, min)
    return x if max is None else clamp_max_(x, max)


def fill_(x: Any, value: Any) -> Any:
    """Overwrite every element with ``value``."""
    number = isinstance(value, (bool, int, float))
    return copy_(x, constant(value, x.layout.dtype) if number else value)


def zero_(x: Any) -> Any:
    """Overwrite every element with 0."""
    return copy_(x, 0)


def where_method(x: Any, condition: Any, other: Any) -> Any:
    """``x`` where the condition holds, else ``other``."""
    return where(condition, x, other)
