"""How a row of the table is run, and how gradients are compared with differences."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis
import numpy as np

import tinygrad_mlp as tg
from tests.ops.table import Case, Row
from tinygrad_mlp.autograd.op import REGISTRY
from tinygrad_mlp.ops.elementwise.declare import Elementwise

RTOL, ATOL = 1e-6, 1e-7  # a quotient's error is about f''' step^2 and 1e-16 f / step


def arrays_of(row: Row, case: Case, seed: int, dtype: Any = "float64") -> list[np.ndarray | None]:
    """Values for a case, the floating ones in ``dtype`` (or int64 if the row takes no floats)."""
    dtype = dtype if "f" in row.accepts else "int64"
    return [
        None if a is None else a.astype(dtype) if a.dtype.kind == "f" else a
        for a in row.draw(case, seed)
    ]


def whole_arrays(row: Row, case: Case, seed: int, dtype: Any) -> list[np.ndarray | None]:
    """Integers (or bools) instead of the floats that the row draws."""
    generator = np.random.default_rng(seed)
    low, high = row.whole
    low = low if np.dtype(dtype).kind == "i" else max(low, 0)
    return [
        None
        if a is None
        else generator.integers(low, high, a.shape).astype(dtype)
        if a.dtype.kind == "f"
        else a
        for a in row.draw(case, seed)
    ]


def tensors(arrays: Sequence[np.ndarray | None], places: Sequence[int] = ()) -> list[Any]:
    """Tensors on the memory of arrays; those at ``places`` require a gradient."""
    made = [None if a is None else tg.from_numpy(a) for a in arrays]
    for k in places:
        made[k].requires_grad_()
    return made


def results(row: Row, inputs: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """What the call returns, then the inputs that it mutated: clones of those given."""
    tg.manual_seed(0)
    given = [x.clone() if k in row.mutates and x is not None else x for k, x in enumerate(inputs)]
    returned = row.call(*given, **params)
    outputs = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    mutated = [given[k] for k in row.mutates if given[k] is not None]
    return outputs + [x for x in mutated if not any(x is out for out in outputs)]


def expected(row: Row, arrays: Sequence[Any], params: dict[str, Any]) -> list[np.ndarray]:
    """Return the results of the reference for the same inputs."""
    assert row.reference is not None
    with np.errstate(all="ignore"):
        found = row.reference(*arrays, **params)
    return [np.asarray(a) for a in (found if isinstance(found, tuple) else (found,))]


def places_of(row: Row, arrays: Sequence[np.ndarray | None]) -> list[int]:
    """The inputs to differentiate by: differentiable, and not left out."""
    return [k for k in row.differentiable if arrays[k] is not None]


@functools.cache
def example(name: str, place: int | None = None, nothing: bool = False) -> tuple[Case, int]:
    """A small case and a seed for it, with elements in every input.

    With a gradient by the input at ``place`` that is not 0 everywhere, if one is named. With
    ``nothing`` to compute, where the row has such a case: then no kernel is compiled.
    """
    from tests.ops.rows import TABLE

    row = TABLE[name]

    def good(case: Case) -> bool:
        if nothing:
            found = results(row, tensors(arrays_of(row, case, 1)), case.params)
            return all(out.numel() == 0 for out in found)
        if any(shape is not None and 0 in shape for shape in case.shapes):
            return False
        return place is None or _has_gradient(row, case, place)

    settings = hypothesis.settings(database=None, derandomize=True, deadline=None)
    try:
        return hypothesis.find(row.strategy, good, settings=settings), 1
    except hypothesis.errors.NoSuchExample:
        assert nothing, f"no case of {name} shows a gradient by input {place}"
        return example(name)


def _has_gradient(row: Row, case: Case, place: int) -> bool:
    if case.shapes[place] is None:
        return False
    inputs = tensors(arrays_of(row, case, 1), [place])
    outputs = [out for out in results(row, inputs, case.params) if out.requires_grad]
    if not outputs or outputs[0].numel() == 0:
        return False
    cotangents = random_like(outputs, 2)
    (gradient,) = tg.grad(outputs, inputs[place], cotangents, allow_unused=True)
    return row.flat or (gradient is not None and bool(np.any(abs(gradient.numpy()) > 0.05)))


def large_case(row: Row) -> Case:
    """Of an elementwise op: long enough for vectors and what is left over; else the example."""
    small, _ = example(row.op)
    if not isinstance(REGISTRY[row.op], Elementwise):
        return small
    return Case(((67,),) * len(row.inputs), small.params)


def random_like(outputs: Sequence[Any], seed: int) -> list[Any]:
    """A random cotangent for each output."""
    generator = np.random.default_rng(seed)
    return [tg.tensor(generator.normal(size=out.shape), dtype=out.dtype) for out in outputs]


Function = Callable[..., list[Any]]


def check(
    analytic: Function,
    arrays: list[np.ndarray],
    places: Sequence[int],
    seed: int,
    numeric: Function | None = None,
    step: float = 1e-5,
) -> None:
    """Compare the gradients of a function by the inputs at ``places`` with central differences.

    Random cotangents weigh the outputs. ``numeric`` computes the same values, if not by the same
    way. AssertionError names input, index and both numbers.
    """
    inputs = tensors(arrays, places)
    outputs = analytic(*inputs)
    live = [k for k, out in enumerate(outputs) if out.requires_grad]
    assert live, "no result requires a gradient"
    cotangents = random_like([outputs[k] for k in live], seed)
    found = tg.grad(
        [outputs[k] for k in live], [inputs[k] for k in places], cotangents, allow_unused=True
    )
    weights = [c.numpy().astype(float) for c in cotangents]

    def value() -> float:
        again = (numeric or analytic)(*tensors(arrays, places))
        terms = zip(live, weights, strict=True)
        return sum(float(np.sum(again[k].detach().numpy() * w)) for k, w in terms)

    for k, gradient in zip(places, found, strict=True):
        array = arrays[k]
        given = np.zeros(array.shape) if gradient is None else gradient.detach().numpy()
        assert given.shape == array.shape
        for place in np.ndindex(array.shape):
            slope = quotient(array, place, value, step)
            assert abs(given[place] - slope) <= ATOL + RTOL * max(abs(slope), 1), (
                f"input {k} of shape {array.shape} at {place}: gradient {given[place]:.9g}, "
                f"difference quotient {slope:.9g}"
            )


def quotient(
    array: np.ndarray, place: tuple[int, ...], value: Callable[[], float], step: float
) -> float:
    """The difference quotient of ``value()`` by one element of an array, left as it was.

    Over the step that was made: the array may be float32, which rounds it.
    """
    before = array[place]
    array[place] = before + step
    right, above = float(array[place]), value()
    array[place] = before - step
    left, below = float(array[place]), value()
    array[place] = before
    return (above - below) / (right - left)


def check_row(row: Row, case: Case, seed: int) -> None:
    """Check the gradients of a row's op for one case."""
    arrays = arrays_of(row, case, seed)
    places = places_of(row, arrays)
    check(lambda *x: results(row, x, case.params), arrays, places, seed + 1, step=row.step)


@contextlib.contextmanager
def planted(name: str, place: int, change: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Inside the block the rule for one input of an op is wrong: ``change(right, gradient)``."""
    op = REGISTRY[name]
    joint = op.joint_rule
    rule = op.rules[place] if joint is None else joint

    class Wrong:
        needed = rule.needed

        def __call__(self, gradient: Any, lookup: Callable[[str], Any], create_graph: bool) -> Any:
            right = rule(gradient, lookup, create_graph)
            if joint is None:
                return change(right, gradient)
            return [
                change(g, gradient) if k == place and g is not None else g
                for k, g in enumerate(right)
            ]

    def plant(planted: Any) -> None:
        if joint is None:
            op.rules[place] = planted
        else:
            op.joint_rule = planted

    plant(Wrong())
    try:
        yield
    finally:
        plant(rule)
