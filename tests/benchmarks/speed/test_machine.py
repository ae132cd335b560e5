"""The limits of the machine and the benchmark of threads: figures in plausible ranges."""

from tests.benchmarks.speed.scripts import figures


def test_roofline():
    (row,) = figures("roofline", "--threads", "1", turns=["--seconds", "0.005"])
    assert row["threads"] == 1
    assert row["flops"].keys() == {"float32", "float64"}
    assert all(1e8 < rate < 1e13 for rate in row["flops"].values())
    assert list(row["bytes"]) == ["L1", "L2", "L3", "memory"]
    for level in row["bytes"].values():
        assert level.keys() == {"read", "copy", "update", "triad"}
        assert all(1e8 < rate < 1e13 for rate in level.values())


def test_threads():
    (row,) = figures("threads", "--threads", "2")
    assert row["dispatch"].keys() == {
        f"{rows} rows, {label}" for rows in (0, 20) for label in ("one thread", "all threads")
    }
    assert row["steps"].keys() == row["ratios"].keys() == {"30 us", "1 ms", "30 ms"}
    for measured in (*row["dispatch"].values(), *row["steps"]["1 ms"].values()):
        assert 0 < measured["min"] <= measured["median"] <= measured["99 %"]
    assert 0.4e-3 < row["steps"]["1 ms"]["one thread"]["min"] < 4e-3
