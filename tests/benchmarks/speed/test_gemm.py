"""The benchmark of matrix products runs and writes its figures."""

import numpy as np
import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS, check_rows, figures


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_figures(dtype):
    names = {f"layer 128x128x64 {form}" for form in ("A B", "A' B", "A B'")} | {"thin 8x16x16"}
    rows = figures("gemm", "--only", "128x128x64", "8x16x16", "--dtype", dtype, "--threads", "1")
    check_rows(rows, names, threads=1)
    operations = {row["name"]: row["flops"] for row in rows}
    assert operations["thin 8x16x16"] == 2 * 8 * 16 * 16
    assert {row["dtype"] for row in rows} == {dtype}


def test_candidates_of_each_form_agree(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gemm import candidates

    for form in ("A B", "A' B", "A B'"):
        results = {name: call() for name, call in candidates(form, (6, 5, 4), "float64").items()}
        expected = results.pop("NumPy")
        for name, result in results.items():
            np.testing.assert_allclose(np.asarray(result), expected, err_msg=f"{form} by {name}")
