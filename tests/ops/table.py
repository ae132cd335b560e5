"""The table of ops: one row for each op of the registry, from which the tests in this folder run.

A row has the call of an op, a NumPy reference for its results, and draws of its inputs:

    Row(
        "huber",                                    # the op's name in the registry
        lambda x, y, delta: huber(x, y, delta),     # called with tensors, then params by name
        lambda x, y, delta: np.where(abs(x - y) <= delta, 0.5 * (x - y) ** 2,
                                     delta * (abs(x - y) - 0.5 * delta)),  # on float64 arrays
        [odd_tenths(-2, 2), even_tenths(-2, 2)],    # one draw for each tensor input
        cases=broadcast(2, delta=0.65),             # shapes of the inputs, and params
    )

*Draws* (`real`, `odd_tenths`, ...) make the values of one input: such that derivatives are of order
one, and no value lies near a kink. ``labels``, ``mask`` and ``integers`` draw what has no gradient;
``constant(draw)`` draws floats that have none either.

*Cases* are a Hypothesis strategy of `Case`: one shape for each input (None: the input is left out,
the call and the reference get None) and params. The default is `broadcast`: shapes that broadcast,
with 0-d, empty and size-1 ones among them; in-place rows keep those that fit into the first input.
``fixed(((3, 4), (4,)), p=0.5)`` is a single case, ``one_of(...)`` several.

*Results* are what the call returns (a tensor or several), then the inputs that the op mutates, as
they are afterwards, unless they were returned; the reference returns the same in the same order.
An op that mutates is given clones, so its call may simply apply it. Where the result does not
depend on the inputs' values alone, ``reference=None``, and the op has a test of its own. Before
every call the global generator is seeded with 0, so a call may draw from it.

Other fields: `Row`. Rows stand in ``rows_*.py``, each a list ``ROWS``: those of the ops of ``nn``
in ``rows_nn.py``, of ``optim`` in ``rows_optim.py``; they import only from here. ``rows.TABLE`` is
all of them by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

Shape = tuple[int, ...]


# --- draws: values for one input ---


@dataclass(frozen=True)
class Draw:
    """Makes the values of an input, from a generator and a shape. ``grad``: it has a gradient."""

    make: Callable[[np.random.Generator, Shape], np.ndarray]
    grad: bool = True

    def __call__(self, generator: np.random.Generator, shape: Shape) -> np.ndarray:
        return np.asarray(self.make(generator, shape))


def real(low: float, high: float, *kinks: float, margin: float = 0.1) -> Draw:
    """Floats from ``low`` to ``high``, none nearer than ``margin`` to a kink."""

    def make(generator: np.random.Generator, shape: Shape) -> np.ndarray:
        x = np.asarray(generator.uniform(low, high, shape))
        for kink in kinks:
            side = np.where(x < kink, -1.0, 1.0)
            x = np.where(abs(x - kink) < margin, kink + side * (margin + abs(x - kink)), x)
        return x

    return Draw(make)


def binary(low: int, high: int) -> Draw:
    """Multiples of 1/64, which float32 holds exactly."""
    return Draw(lambda g, s: g.integers(64 * low, 64 * high, s) / 64)


def odd_tenths(low: float, high: float) -> Draw:
    """Odd multiples of 0.1: never equal to an even one, so two inputs are at least 0.1 apart."""
    return Draw(lambda g, s: (2 * g.integers(round(5 * low), round(5 * high), s) + 1) / 10)


def even_tenths(low: float, high: float) -> Draw:
    """Even multiples of 0.1; 0 only if ``low`` and ``high`` have different signs."""
    return Draw(lambda g, s: g.integers(round(5 * low), round(5 * high) + 1, s) / 5)


def between_integers(low: int, high: int) -> Draw:
    """Floats at least 0.2 from the next integer (and so 0.2 from a half: for rounding)."""

    def make(generator: np.random.Generator, shape: Shape) -> np.ndarray:
        quarter = np.where(generator.integers(0, 2, shape), 0.3, 0.7)
        return generator.integers(low, high, shape) + quarter + generator.uniform(-0.1, 0.1, shape)

    return Draw(make)


def distinct(low: float = -2, high: float = 2) -> Draw:
    """Floats evenly from ``low`` to ``high`` in random order: all different."""
    return Draw(lambda g, s: g.permutation(np.linspace(low, high, int(np.prod(s)))).reshape(s))


def integers(low: int, high: int, dtype: str = "int64") -> Draw:
    """Integers from ``low`` to ``high - 1``; no gradient."""
    return Draw(lambda g, s: g.integers(low, high, s).astype(dtype), grad=False)


labels = integers  # labels(0, classes)


def mask(p: float = 0.5) -> Draw:
    """Bools, True with probability ``p``; no gradient."""
    return Draw(lambda g, s: g.random(s) < p, grad=False)


def constant(draw: Draw) -> Draw:
    """The same values, but without a gradient."""
    return Draw(draw.make, grad=False)


def permutation() -> Draw:
    """The integers 0 to n - 1 in random order, along a 1-d shape; no gradient."""
    return Draw(lambda g, s: g.permutation(int(np.prod(s))).reshape(s), grad=False)


# --- cases: shapes of all inputs, and params ---


class Case(NamedTuple):
    """The inputs' shapes (None: left out), and the call's params."""

    shapes: tuple[Shape | None, ...]
    params: dict[str, Any]


Cases = st.SearchStrategy[Case]


def broadcast(count: int, **params: Any) -> Cases:
    """Shapes that broadcast, 0-d, empty and of size 1 among them; one shape for one input."""
    shapes = (
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4).map(lambda s: (s,))
        if count == 1
        else npst.mutually_broadcastable_shapes(
            num_shapes=count, min_side=0, max_side=3, max_dims=3
        ).map(lambda drawn: tuple(drawn.input_shapes))
    )
    return shapes.map(lambda s: Case(s, params))


def fixed(shapes: Sequence[Shape | None], **params: Any) -> Cases:
    """One case."""
    return st.just(Case(tuple(shapes), params))


def one_of(*cases: Cases) -> Cases:
    """Any of several."""
    return st.one_of(*cases)


def shaped(build: Callable[[Callable[..., Any]], tuple[Sequence[Shape | None], Any]]) -> Cases:
    """Cases from a function of Hypothesis's ``draw`` that returns (shapes, params)."""

    @st.composite
    def strategy(draw: Any) -> Case:
        shapes, params = build(draw)
        return Case(tuple(shapes), params)

    return strategy()


# --- rows ---


@dataclass(frozen=True)
class Row:
    """One op as the tests know it."""

    op: str  # its name in the registry
    call: Callable[..., Any]
    reference: Callable[..., Any] | None
    inputs: Sequence[Draw] = ()
    cases: Cases | None = None  # default: `broadcast`

    # Kinds of dtype that its number inputs may have (b: bool, i: uint8, int32, int64; f: float32,
    # float64); all others are refused with a TypeError. Inputs from ``mask``, ``integers`` and
    # ``labels`` keep the dtype they are drawn with.
    accepts: str = "f"
    whole: tuple[int, int] = (-3, 4)  # its integer inputs are tried with low, ..., high - 1
    # The dtype of the first result: "same" (that of the promoted number inputs), "float" (the same,
    # but integers become the default dtype), "sum" (the same, but integers and bools become int64),
    # "first" (that of the first input), or a dtype.
    gives: str = "same"

    # Values at which the formula is delicate: name -> (inputs, result), the results as NumPy has
    # them or as the docstring of the op has them. In float32 and float64; NaN equals NaN, and
    # 0 is not -0.
    special: dict[str, tuple[tuple[float, ...], float]] = dataclasses.field(default_factory=dict)
    # Conventions: name -> (inputs, derivative by each differentiable input).
    kinks: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = dataclasses.field(
        default_factory=dict
    )

    step: float = 1e-5  # of difference quotients; a power of 2 where results are rounded
    second: bool = True  # whether its gradient is differentiable in turn
    flat: bool = False  # its derivative is 0 everywhere: a rule that returns zeros is right
    mutates: tuple[int, ...] = ()  # the inputs it writes into
    # How near float32 comes to float64, relative to the largest result: accumulated rounding.
    float32: float = 2e-6
    # A row that exercises an op which only backward applies (`write_region`).
    backward_only: bool = False

    @property
    def strategy(self) -> Cases:
        """Its cases, the default ones if it names none."""
        return broadcast(len(self.inputs)) if self.cases is None else self.cases

    @property
    def differentiable(self) -> tuple[int, ...]:
        """The places of the inputs that have a gradient."""
        return tuple(k for k, draw in enumerate(self.inputs) if draw.grad)

    def draw(self, case: Case, seed: int) -> list[np.ndarray | None]:
        """Values for a case: float64, or the dtype of labels and masks."""
        generator = np.random.default_rng(seed)
        return [
            None if shape is None else make(generator, shape)
            for make, shape in zip(self.inputs, case.shapes, strict=True)
        ]


def in_place(base: Row, call: Callable[..., Any], **changes: Any) -> Row:
    """The row of ``add_`` from that of ``add``: the result must fit into the first input."""

    def fits(case: Case) -> Case:
        shape = np.broadcast_shapes(*(s for s in case.shapes if s is not None))
        return Case((shape, *case.shapes[1:]), case.params)

    accepts = "f" if base.gives == "float" else base.accepts
    return dataclasses.replace(
        base,
        op=f"{base.op}_",
        call=call,
        cases=base.strategy.map(fits),
        mutates=(0,),
        accepts=accepts,
        gives="first",
        **changes,
    )
