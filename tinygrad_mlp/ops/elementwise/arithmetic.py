"""Arithmetic, order, rounding, comparison, logic, conversion: elementwise ops."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tape import Value
from ...autograd.values import constant
from ...kernels.codegen import expression
from ...kernels.runtime.layout import DTYPES, Layout
from ..value_check import ValueCheck
from .declare import Elementwise, elementwise, in_place
from .declare import where as where
from .transcendental import log

if TYPE_CHECKING:
    from ..._tensor import Tensor

# --- arithmetic ---

_number = functools.partial(elementwise, dtype="number")  # bools are refused

add = elementwise("add", lambda x, y: x + y, x=lambda g: g, y=lambda g: g)
sub = _number("sub", lambda x, y: x - y, numpy=np.subtract, x=lambda g: g, y=lambda g: -g)
mul = elementwise(
    "mul", lambda x, y: x * y, numpy=np.multiply, x=lambda g, y: g * y, y=lambda g, x: g * x
)

div = elementwise(
    "div",
    lambda x, y: x / y,
    dtype="float",
    about="Divide; integers give the default floating dtype.",
    numpy=np.divide,
    x=lambda g, y: g / y,
    y=lambda g, x, y: -g * (x / y) / y,
)
neg = _number("neg", lambda x: -x, numpy=np.negative, x=lambda g: -g)
square = _number("square", lambda x: x * x, x=lambda g, x: 2 * g * x)
reciprocal = elementwise(
    "reciprocal", lambda x: 1 / x, dtype="float", x=lambda g, out: -g * out * out
)


class Partial(Elementwise):
    """An op whose integer form is not defined at every ``y``: ``check`` raises there.

    Floating inputs are not checked: they give inf or NaN.
    """

    def __init__(self, *declared: Any, check: ValueCheck, **more: Any):
        self.check = check
        super().__init__(*declared, **more)
        self.declared["check"] = check

    def __call__(self, *inputs: Any) -> Tensor:
        if len(inputs) == 2 and all(map(_is_integer, inputs)):
            self.check(inputs[1])
        return super().__call__(*inputs)


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
    public=False,  # `power` is
    dtype="number",
    numpy=np.power,
    about="Raise to a power. The derivative by ``x`` is 0 at y = 0; by ``y`` at x = 0, y >= 0.",
    x=lambda g, x, y: where(y == 0, 0, g * y * x ** where(y == 0, 1, y - 1)),
    y=lambda g, x, y, out: where(
        (x == 0) & (y >= 0), 0, g * out * log(where((x == 0) & (y >= 0), 1, x))
    ),
)

floor_divide = Partial(
    "floor_divide",
    lambda x, y: x // y,
    check=_check_not_zero,
    dtype="number",
    about="Divide, and round towards minus infinity. The derivatives are 0.",
    x=lambda g: g * 0,
    y=lambda g: g * 0,
)

remainder = Partial(
    "remainder",
    lambda x, y: x % y,
    check=_check_not_zero,
    dtype="number",
    about="Return the remainder with the sign of ``y``, as Python's ``%``.",
    x=lambda g: g,
    y=lambda g, x, y: -g * (x // y),
)

# --- order ---

maximum = elementwise(
    "maximum",
    lambda x, y: expression.where((x > y) | (x != x), x, y),
    about="Return the larger of two; NaN if either is. Each has half the gradient where they are "
    "equal, and all of it where one is NaN.",
    x=lambda g, x, y: where(x == y, g / 2, where(x < y, 0, g)),
    y=lambda g, x, y: where(x == y, g / 2, where(y < x, 0, g)),
)

minimum = elementwise(
    "minimum",
    lambda x, y: expression.where((x < y) | (x != x), x, y),
    about="Return the smaller of two; NaN if either is. Each has half the gradient where they are "
    "equal, and all of it where one is NaN.",
    x=lambda g, x, y: where(x == y, g / 2, where(x > y, 0, g)),
    y=lambda g, x, y: where(x == y, g / 2, where(y > x, 0, g)),
)

clamp_min = elementwise(
    "clamp_min",
    lambda x, min: expression.where((x >= min) | (x != x), x, min),
    about="Limit ``x`` from below; NaN if either is. At the bound ``x`` has the gradient.",
    x=lambda g, x, min: where(x >= min, g, 0),
    min=lambda g, x, min: where(x < min, g, 0),
)

clamp_max = elementwise(
    "clamp_max",
    lambda x, max: expression.where((x <= max) | (x != x), x, max),
    about="Limit ``x`` from above; NaN if either is. At the bound ``x`` has the gradient.",
    x=lambda g, x, max: where(x <= max, g, 0),
    max=lambda g, x, max: where(x > max, g, 0),
)

abs = _number(
    "abs",
    lambda x: expression.absolute(x),
    about="Return the absolute value. The derivative at 0 is 0, at NaN it is NaN (in PyTorch 0).",
    x=lambda g, x: g * sign(x),
)

sign: Elementwise = elementwise(
    "sign",
    lambda x: expression.where(x > 0, 1, expression.where(x < 0, -1, x)),
    about="Return -1, 0 or 1; NaN for NaN, as in NumPy (in PyTorch 0). The derivative is 0.",
    x=lambda g: g * 0,
)

# --- rounding: the derivative is 0 ---

floor = elementwise("floor", lambda x: expression.floor(x), x=lambda g: g * 0)
ceil = elementwise("ceil", lambda x: expression.ceil(x), x=lambda g: g * 0)
trunc = elementwise("trunc", lambda x: expression.trunc(x), x=lambda g: g * 0)
round = elementwise(
    "round",
    lambda x: expression.rint(x),
    about="Round to the nearest integer, halves to even.",
    numpy=np.rint,
    x=lambda g: g * 0,
)

# --- comparison and logic ---

_predicate = functools.partial(elementwise, dtype="bool")
_integer = functools.partial(elementwise, dtype="integer")

eq = _predicate("eq", lambda x, y: x == y, numpy=np.equal)
ne = _predicate("ne", lambda x, y: x != y, numpy=np.not_equal)
lt = _predicate("lt", lambda x, y: x < y, numpy=np.less)
le = _predicate("le", lambda x, y: x <= y, numpy=np.less_equal)
gt = _predicate("gt", lambda x, y: x > y, numpy=np.greater)
ge = _predicate("ge", lambda x, y: x >= y, numpy=np.greater_equal)
isnan = _predicate("isnan", lambda x: x != x)
isinf = _predicate("isinf", lambda x: (x == x) & (x - x != 0))
isfinite = _predicate(
    "isfinite", lambda x: x - x == 0, about="Return whether x is not infinite or NaN."
)
logical_and = _predicate("logical_and", lambda x, y: (x != 0) & (y != 0))
logical_or = _predicate("logical_or", lambda x, y: (x != 0) | (y != 0))
logical_xor = _predicate("logical_xor", lambda x, y: (x != 0) ^ (y != 0))
logical_not = _predicate("logical_not", lambda x: x == 0)
bitwise_and = _integer("bitwise_and", lambda x, y: x & y)
bitwise_or = _integer("bitwise_or", lambda x, y: x | y)
bitwise_xor = _integer("bitwise_xor", lambda x, y: x ^ y)
bitwise_not = _integer("bitwise_not", lambda x: ~x)

# --- conversion and copies ---


class Convert(Elementwise):
    """A copy in another dtype."""

    def __init__(self, dtype: np.dtype):
        self.target = dtype
        about = f"Copy to {dtype}. From floats to integers the fraction is dropped."
        more: dict[str, Any] = {"x": lambda g: g} if dtype.kind == "f" else {}
        super().__init__(f"to_{dtype}", lambda x: x, about=about, public=False, **more)

    def dtypes(self, layouts: Sequence[Layout]) -> tuple[np.dtype, np.dtype]:
        return layouts[0].dtype, self.target


class Copy(Elementwise):
    """An op that overwrites a tensor, in its own dtype, with another one broadcast to it."""

    def dtypes(self, layouts: Sequence[Layout]) -> tuple[np.dtype, np.dtype]:
        return layouts[1].dtype, layouts[0].dtype


clone = elementwise("clone", lambda x: x, about="Copy.", x=lambda g: g)
copy_ = Copy(
    "copy_",
    lambda x, source: source,
    in_place=True,
    public=False,
    method=True,
    source=lambda g: g,
    about="Overwrite ``x`` with ``source``, converted to its dtype.",
)
CONVERSIONS = {dtype: Convert(dtype) for dtype in DTYPES}

# --- in-place forms ---

add_, sub_, mul_, div_, neg_, pow_ = in_place(add, sub, mul, div, neg, pow)
square_, reciprocal_, abs_, maximum_, minimum_ = in_place(square, reciprocal, abs, maximum, minimum)
clamp_min_, clamp_max_, floor_, ceil_, round_ = in_place(clamp_min, clamp_max, floor, ceil, round)
floor_divide_, remainder_ = in_place(floor_divide, remainder)
bitwise_and_, bitwise_or_, bitwise_xor_ = in_place(bitwise_and, bitwise_or, bitwise_xor)


# --- the public forms that take more than tensors ---


def power(x: Any, exponent: Any) -> Tensor:
    """Return ``x ** exponent``, of tensors or numbers; a square is one product.

    Raises:
        RuntimeError: an integer to a negative integer power.
        TypeError: both are bool.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([1.0, 3.0]) ** 2
    tensor([1., 9.])
    """
    if isinstance(x, Value) and type(exponent) in (int, float) and exponent == 2:
        kind = x.layout.dtype.kind
        if kind == "f" or (kind in "iu" and isinstance(exponent, int)):  # else the dtype changes
            return square(x)
    return pow(x, exponent)


def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Limit ``x`` to the range from ``min`` to ``max``, numbers or tensors; one may be left out.

        clamp(x) = minimum(maximum(x, min), max)

    Raises:
        ValueError: both are left out.

    >>> import tinygrad_mlp as tg
    >>> tg.tensor([-2.0, 0.5, 2.0]).clamp(-1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    return _clamp(x, min, max, clamp_min, clamp_max)


def clamp_(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Limit ``x`` in place, as `clamp`."""
    return _clamp(x, min, max, clamp_min_, clamp_max_)


def _clamp(x: Tensor, min: Any, max: Any, below: Elementwise, above: Elementwise) -> Tensor:
    if min is None and max is None:
        raise ValueError("clamp: give min, max, or both")
    x = x if min is None else below(x, min)
    return x if max is None else above(x, max)


def fill_(x: Tensor, value: Any) -> Tensor:
    """Overwrite every element with ``value``, a number or a tensor of one element.

    >>> import tinygrad_mlp as tg
    >>> tg.zeros(2).fill_(7)
    tensor([7., 7.])
    """
    number = isinstance(value, (bool, int, float))
    return copy_(x, constant(value, x.layout.dtype) if number else value)


def zero_(x: Tensor) -> Tensor:
    """Overwrite every element with 0."""
    return copy_(x, 0)


def where_method(x: Tensor, condition: Tensor, other: Any) -> Tensor:
    """Return ``x`` where the bool ``condition`` is True, else ``other``.

    >>> import tinygrad_mlp as tg
    >>> x = tg.tensor([1.0, -1.0])
    >>> x.where(x > 0, 0)
    tensor([1., 0.])
    """
    return where(condition, x, other)
