import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp._common.random import generator
from tinygrad_mlp.data import Standardizer


@given(
    rows=st.integers(2, 40),
    columns=st.integers(1, 5),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_the_rows_it_learned_from_become_standard(
    rows: int, columns: int, seed: int, dtype: type
) -> None:
    x = generator(seed, "test").normal(3.0, 7.0, (rows, columns)).astype(dtype)
    x.flags.writeable = False
    z = Standardizer.fit(x)(x)
    assert z.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(z.mean(axis=0, dtype=np.float64), 0, atol=tolerance)
    np.testing.assert_allclose(z.std(axis=0, dtype=np.float64), 1, rtol=tolerance)


def test_other_rows_are_scaled_by_what_was_learned() -> None:
    scale = Standardizer.fit(np.array([[0.0], [4.0]]))
    assert scale(np.array([[2.0], [8.0]])).tolist() == [[0.0], [3.0]]


@pytest.mark.parametrize("value", [0.1, 1e8, -3.0])
def test_a_constant_column_becomes_zero_and_keeps_its_unit(value: float) -> None:
    x = np.full((7, 1), value, dtype=np.float32)
    scale = Standardizer.fit(x)
    assert (scale(x) == 0).all()
    assert scale(x.astype(np.float64) + 64) == pytest.approx(64)


def test_lists_are_rows_too() -> None:
    learned = Standardizer.fit([[1, 5], [3, 5]])
    assert learned([[1, 5], [5, 5]]).tolist() == [[-1, 0], [3, 0]]


def test_integers_become_float32() -> None:
    x = np.array([[0], [2]], dtype=np.uint8)
    z = Standardizer.fit(x)(x)
    assert z.dtype == np.float32
    assert z.tolist() == [[-1.0], [1.0]]


def test_what_cannot_be_scaled_is_refused_and_what_underflows_is_not() -> None:
    for wrong in (np.inf, np.nan, 1e200):
        with pytest.raises(ValueError, match="column 1 is not finite, or overflows"):
            Standardizer.fit(np.array([[1.0, 0.0], [2.0, wrong]]))
    tiny = np.array([[0.0], [3e-259]])
    assert np.isfinite(Standardizer.fit(tiny)(tiny)).all()


def test_dividing_learns_nothing() -> None:
    assert Standardizer.divide_by(4, 2)(np.array([[1, 2]], np.uint8)).tolist() == [[0.25, 0.5]]
    with pytest.raises(ValueError, match=r"\(rows, 2\), as in the training rows"):
        Standardizer.divide_by(4, 2)(np.zeros((1, 3)))


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"x must be \(rows, features\) with at least.*\(0, 3\)"):
        Standardizer.fit(np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"\(rows, 2\), as in the training rows.*\(4, 3\)"):
        Standardizer.fit(np.zeros((4, 2)))(np.zeros((4, 3)))
