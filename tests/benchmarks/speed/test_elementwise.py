"""The benchmark of elementwise kernels runs, and all its candidates compute the same."""

import numpy as np
import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS, check_rows, figures


def test_figures():
    names = {f"exp {dtype}" for dtype in ("float32", "float64")}
    names |= {"cross-entropy forward and backward, 128x10"}
    rows = figures("elementwise", "--only", "exp float", "128x10", "--threads", "1")
    check_rows(rows, names, threads=1)
    assert rows[0]["limits"].keys() == {"L2"}


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import elementwise

    return elementwise


def array(result):
    return np.asarray(getattr(result, "detach", lambda: result)())


@pytest.mark.parametrize("name", ["exp", "sigmoid", "softplus", "rsqrt", "pow"])
def test_candidates_of_a_function_agree(benchmark, name):
    calls = benchmark.vector_function(name, "float64")
    del calls["ours, kernel"]  # returns nothing
    results = [array(call()) for call in calls.values()]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-12)


def test_candidates_of_a_pass_agree(benchmark):
    for calls in (benchmark.chain(), benchmark.reduction("amax", 0), benchmark.reduction("sum", 1)):
        results = [array(call()) for call in calls.values()]
        for result in results[1:]:
            np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-3)
