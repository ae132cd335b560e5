"""Each op's results are those of its reference: values, shapes and dtypes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tests.ops.harness import (
    arrays_of,
    example,
    expected,
    large_case,
    results,
    tensors,
    whole_arrays,
)
from tests.ops.rows import TABLE
from tests.ops.table import Row
from tinygrad_mlp.kernels.runtime.layout import DTYPES

REFERRED = [name for name, row in TABLE.items() if row.reference is not None]
SEEDS = st.integers(0, 2**32 - 1)


def agree(found: list, wanted: list, rtol: float) -> None:
    """The same shapes; the same values, to a tolerance relative to the largest."""
    assert len(found) == len(wanted)
    for tensor, array in zip(found, wanted, strict=True):
        assert tensor.shape == array.shape
        value = tensor.detach().numpy()
        if array.dtype.kind != "f":
            np.testing.assert_array_equal(value, array)
            continue
        finite = abs(array[np.isfinite(array)])
        np.testing.assert_allclose(value, array, rtol=rtol, atol=rtol * finite.max(initial=0))


@pytest.mark.parametrize("name", REFERRED)
@given(data=st.data(), seed=SEEDS)
@settings(max_examples=20)
def test_float64(name: str, data: st.DataObject, seed: int) -> None:
    row = TABLE[name]
    case = data.draw(row.strategy)
    arrays = arrays_of(row, case, seed)
    found = results(row, tensors(arrays), case.params)
    agree(found, expected(row, arrays, case.params), 1e-13)


@pytest.mark.parametrize("name", [n for n in REFERRED if "f" in TABLE[n].accepts])
@pytest.mark.parametrize("seed", [1, 2])
def test_float32(name: str, seed: int) -> None:
    """Other code than float64: near enough on values that float32 can hold."""
    row = TABLE[name]
    case = large_case(row)
    arrays = arrays_of(row, case, seed, "float32")
    exact = [a.astype(float) if a is not None and a.dtype.kind == "f" else a for a in arrays]
    found = results(row, tensors(arrays), case.params)
    assert found[0].dtype != "float64" or row.gives == "float64"
    agree(found, expected(row, exact, case.params), row.float32)


# Where small integers and bools are computed by code of their own.
NARROW = [
    "add",
    "sub",
    "mul",
    "neg",
    "abs",
    "floor_divide",
    "maximum",
    "clamp_min",
    "sign",
    "floor",
    "where",
    "lt",
    "isfinite",
    "bitwise_not",
    "bitwise_xor",
    "logical_and",
    "clone",
    "add_",
    "copy_",
    "to_bool",
    "to_uint8",
    "to_float32",
    "exp",
    "div",
    "sum",
    "prod",
    "amax",
    "any",
    "argmax",
    "cat",
    "slice",
    "take",
    "set_slice_",
    "argsort",
    "matmul",
]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("name", [n for n in REFERRED if "i" in TABLE[n].accepts])
def test_integers(name: str, dtype: str) -> None:
    row = TABLE[name]
    if (dtype != "int64" and name not in NARROW) or (dtype == "bool" and "b" not in row.accepts):
        return
    case, seed = example(name)
    arrays = whole_arrays(row, case, seed, dtype)
    found = results(row, tensors(arrays), case.params)
    exact = [
        None if a is None else a.astype(float if row.gives == "float" else a.dtype) for a in arrays
    ]
    wanted = expected(row, exact, case.params)
    agree(found, [a.astype(out.dtype) for a, out in zip(wanted, found, strict=True)], 1e-6)


def result_dtype(row: Row, dtype: np.dtype) -> np.dtype:
    """Return the dtype that the row expects of the result."""
    integer = dtype.kind != "f"
    return np.dtype(
        {
            "same": dtype,
            "first": dtype,
            "float": "float32" if integer else dtype,
            "sum": "int64" if integer else dtype,
        }.get(row.gives, row.gives)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", TABLE)
def test_dtype_rule(name: str, dtype: np.dtype) -> None:
    row = TABLE[name]
    case, seed = example(name, nothing=True)
    if all(a is None or a.dtype.kind != "f" for a in row.draw(case, seed)):
        return  # its inputs have the dtypes they have
    arrays = whole_arrays(row, case, seed, dtype)
    inputs = tensors(arrays)
    if dtype.kind.replace("u", "i") not in row.accepts:
        with pytest.raises(TypeError, match=r"\w{3,}"):
            results(row, inputs, case.params)
    else:
        assert results(row, inputs, case.params)[0].dtype == result_dtype(row, dtype)


SPECIAL = [(name, which) for name, row in TABLE.items() for which in row.special]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "which"), SPECIAL)
def test_special_values(name: str, which: str, dtype: str) -> None:
    row = TABLE[name]
    values, wanted = row.special[which]
    case, _ = example(name)
    for shape in [(), (19,)]:  # 19: a vector and what is left over
        arrays = [np.full(shape, v, bool if isinstance(v, bool) else dtype) for v in values]
        (found,) = results(row, tensors(arrays), case.params)
        assert found.shape == shape
        for value in np.ravel(found.numpy()).tolist():
            same = value == wanted or (value != value and wanted != wanted)
            near = same or abs(value - wanted) <= 1e-6 * abs(wanted)
            assert near, f"{name}{values} = {value}, not {wanted}"
            assert value != 0 or math.copysign(1, value) == math.copysign(1, wanted), "sign of 0"


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (0,), (2, 0, 3)])
@pytest.mark.parametrize("name", [n for n in REFERRED if TABLE[n].cases is None])
def test_delicate_shapes(name: str, shape: tuple[int, ...]) -> None:
    row = TABLE[name]
    arrays = [np.ones(shape, "float64" if "f" in row.accepts else "int64") for _ in row.inputs]
    (found,) = results(row, tensors(arrays), {})
    assert found.shape == shape
    assert found.is_contiguous()
    assert tg.tensor(found.numpy()).shape == shape
