"""Which dtype results have: PyTorch's rules, written out. tests/parity holds them to PyTorch."""

from __future__ import annotations

import itertools

import pytest

import tinygrad_mlp as tg

NAMES = ["bool", "uint8", "int32", "int64", "float32", "float64"]

# Both with dimensions, or both without.
ALIKE = """
         bool     uint8    int32    int64    float32  float64
bool     bool     uint8    int32    int64    float32  float64
uint8    uint8    uint8    int32    int64    float32  float64
int32    int32    int32    int32    int64    float32  float64
int64    int64    int64    int64    int64    float32  float64
float32  float32  float32  float32  float32  float32  float64
float64  float64  float64  float64  float64  float64  float64
"""
# Rows: a tensor with dimensions. Columns: one without, which counts only if of a higher kind.
WITH_0D = """
         bool     uint8    int32    int64    float32  float64
bool     bool     uint8    int32    int64    float32  float64
uint8    uint8    uint8    uint8    uint8    float32  float64
int32    int32    int32    int32    int32    float32  float64
int64    int64    int64    int64    int64    float32  float64
float32  float32  float32  float32  float32  float32  float32
float64  float64  float64  float64  float64  float64  float64
"""
# Columns: a Python number. Rows: a tensor, with dimensions or without.
WITH_NUMBER = """
         True     3        2.5
bool     bool     int64    float32
uint8    uint8    uint8    float32
int32    int32    int32    float32
int64    int64    int64    float32
float32  float32  float32  float32
float64  float64  float64  float64
"""


def cells(table: str) -> list[tuple[str, str, str]]:
    """(row, column, entry) of a table."""
    head, *lines = [line.split() for line in table.strip().splitlines()]
    return [(line[0], c, e) for line in lines for c, e in zip(head, line[1:], strict=True)]


def tensor(dtype: str, ndim: int):
    """Of no elements if it has dimensions: the dtype needs no kernel."""
    return tg.ones((0,) * ndim, dtype=dtype)


@pytest.mark.parametrize(("a", "b", "wanted"), cells(ALIKE))
def test_two_tensors(a: str, b: str, wanted: str) -> None:
    assert (tensor(a, 1) + tensor(b, 1)).dtype == wanted
    assert (tensor(a, 1) + tensor(b, 2)).dtype == wanted
    assert tg.promote_types(a, b) == wanted
    assert tg.cat([tensor(a, 1), tensor(b, 1)]).dtype == wanted


@pytest.mark.parametrize(("a", "b", "wanted"), cells(WITH_0D))
def test_with_a_0d_tensor(a: str, b: str, wanted: str) -> None:
    assert (tensor(a, 1) + tensor(b, 0)).dtype == wanted
    assert (tensor(b, 0) + tensor(a, 1)).dtype == wanted


@pytest.mark.parametrize(("a", "b", "wanted"), cells(WITH_NUMBER))
def test_with_a_python_number(a: str, b: str, wanted: str) -> None:
    number = {"True": True, "3": 3, "2.5": 2.5}[b]
    assert (tensor(a, 1) + number).dtype == wanted
    assert (number + tensor(a, 1)).dtype == wanted


@pytest.mark.parametrize(("a", "b"), list(itertools.product(NAMES, NAMES)))
def test_division_is_floating_and_comparison_bool(a: str, b: str) -> None:
    x, y = tensor(a, 1), tensor(b, 1)
    floating = "float64" if "float64" in (a, b) else "float32"
    assert (x / y).dtype == floating
    assert (x == y).dtype == (x < y).dtype == "bool"
    assert tg.maximum(x, y).dtype == tg.promote_types(a, b)
    assert tg.where(tensor("bool", 1), x, y).dtype == tg.promote_types(a, b)


def test_values_of_mixed_dtypes() -> None:
    """The kernels convert as the dtypes say."""
    x = tg.tensor([1, 2, 300])
    assert (x + 0.5).tolist() == [1.5, 2.5, 300.5]
    assert (x * tg.tensor(2.0, dtype="float64")).dtype == "float64"
    assert (tg.tensor([True, False]) + tg.tensor([1.5, 2.5])).tolist() == [2.5, 2.5]
    assert (tg.tensor([200], dtype="uint8") + 100).tolist() == [44]
    assert (tg.tensor([2**31 - 1], dtype="int32") + 1).tolist() == [-(2**31)]
    assert (tg.tensor([2**40]) + tg.tensor([1], dtype="int32")).tolist() == [2**40 + 1]
    assert (tg.tensor([True]) / 2).tolist() == [0.5]


def test_python_numbers_never_change_the_dtype() -> None:
    x = tg.ones(2)
    for result in (x + 1, 2.0 * x, x / 3, 1 - x, x**2, x**0.5, 2**x, x > 0.5):
        assert result.dtype in ("float32", "bool")
    assert (tg.ones(2, dtype="float64") * 0.1).tolist() == [0.1, 0.1]


def test_numbers_that_are_equal_and_yet_not_the_same() -> None:
    x = tg.tensor([1.0])
    assert [str((x * zero).tolist()) for zero in (0.0, -0.0, 0)] == ["[0.0]", "[-0.0]", "[0.0]"]
    flags = tg.tensor([True])
    assert [str((flags + one).dtype) for one in (1, True, 1.0)] == ["int64", "bool", "float32"]
    assert (x * float("nan")).isnan().item()
    assert (float("inf") * x).isinf().item()


def test_powers_promote_too() -> None:
    assert (tg.tensor([3]) ** 2).dtype == "int64"
    assert (tg.tensor([3]) ** 2.0).dtype == "float32"
    assert (tg.tensor([True]) ** 2).dtype == "int64"
    assert (tg.tensor([3], dtype="uint8") ** 2).dtype == "uint8"


def test_the_default_dtype() -> None:
    try:
        tg.set_default_dtype("float64")
        assert tg.tensor([1.0]).dtype == tg.zeros(2).dtype == tg.rand(2).dtype == "float64"
        assert (tg.tensor([1, 2]) / 2).dtype == (tg.tensor([1, 2]) + 0.5).dtype == "float64"
        assert tg.exp(tg.tensor([1, 2])).dtype == "float64"
        assert tg.tensor([1.0], dtype="float32").dtype == "float32"
    finally:
        tg.set_default_dtype("float32")
    assert tg.exp(tg.tensor([1, 2])).dtype == "float32"
    with pytest.raises(TypeError, match="float32 or float64"):
        tg.set_default_dtype("int64")


@pytest.mark.parametrize("wrong", ["float16", "int16", "complex64", "str", object, "no such"])
def test_dtypes_a_tensor_cannot_have(wrong: object) -> None:
    with pytest.raises(TypeError, match="is not supported; a tensor can have"):
        tg.zeros(2, dtype=wrong)


@pytest.mark.parametrize("operation", [lambda a, b: a @ b, lambda a, b: tg.matmul(a, b)])
def test_products_do_not_mix_dtypes(operation) -> None:
    with pytest.raises(TypeError, match=r"b\.to\(a\.dtype\)"):
        operation(tg.ones(2, 3), tg.ones(3, 2, dtype="float64"))
    with pytest.raises(TypeError, match="bools"):
        operation(tg.ones(2, 3) > 0, tg.ones(3, 2) > 0)
    assert operation(tg.tensor([[1, 2]]), tg.tensor([[3], [4]])).tolist() == [[11]]
