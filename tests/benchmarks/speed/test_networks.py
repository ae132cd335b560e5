"""The benchmark of random networks: its distribution, figures and geometric mean."""

import argparse
import math

import numpy as np
import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS, SHORT, script, written


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import networks

    return networks


def arguments(**options):
    defaults = dict(seed=0, count=30, flops=1e10, depth="log-uniform")
    return argparse.Namespace(**defaults | options)


def test_a_seed_determines_the_networks(benchmark):
    first, again = (list(benchmark.networks(arguments())) for _ in range(2))
    assert first == again
    assert len(set(map(str, first))) == 30
    assert first != list(benchmark.networks(arguments(seed=1)))
    assert first[:5] == list(benchmark.networks(arguments(count=5)))


def test_draws_follow_the_distribution(benchmark):
    for depth, middle in (("log-uniform", 7), ("uniform", 25)):
        drawn = list(benchmark.networks(arguments(count=2000, flops=math.inf, depth=depth)))
        depths = [len(network.sizes) - 1 for network in drawn]
        batches = [each.batch for each in drawn]
        widths = [width for each in drawn for width in set(each.sizes)]
        assert (min(depths), max(depths)) == (1, 50)
        assert abs(np.median(depths) - middle) <= 2
        assert min(widths) == 2
        assert 1900 < max(widths) <= 2048
        assert min(batches) == 1
        assert 9000 < max(batches) <= 10_000
        assert 80 < np.median(batches) < 125  # the root of 10,000
        assert {each.optimizer for each in drawn} == {*benchmark.OPTIMIZERS}
        assert {each.loss for each in drawn} == {*benchmark.LOSSES}
        assert {each.activation for each in drawn} == {*benchmark.ACTIVATIONS}


def test_steps_are_limited_and_no_batch_of_one_row_is_normalised(benchmark):
    for each in benchmark.networks(arguments(count=500, flops=1e6)):
        assert each.flops <= 1e6
        assert each.batch > 1 or each.norm != "BatchNorm1d" or len(each.sizes) == 2


def test_the_mean_is_geometric(benchmark, capsys):
    from rich.console import Console

    def row(name, ours, jax):
        return {
            "name": name,
            "seconds": {"ours, compiled": {"median": ours}, "JAX": {"median": jax}},
        }

    rows = [row("a", 1.0, 4.0), row("b", 2.0, 1.0), row("c", 1.0, 4.0)]
    summary = benchmark.summarize(Console(), rows)
    assert summary["geometric mean"] == pytest.approx(2)
    assert (summary["below 1"], summary["worst"], summary["of"]) == (1, 0.5, "b")
    assert "worst 0.50x (b)" in capsys.readouterr().out
    assert benchmark.summarize(Console(), [{"name": "alone", "seconds": {}}]) == {}


def test_figures():
    options = ["--count", "2", "--flops", "1e5", "--threads", "1", "--json", "-"]
    done = script("networks", *SHORT, *options)
    assert done.returncode == 0, done.stderr
    figures = written(done)
    assert len(figures["rows"]) == 2
    assert figures["summaries"][0]["threads"] == 1
    for row in figures["rows"]:
        assert row["flops"] <= 1e5
        assert row["seconds"]["ours, compiled"]["median"] > 0
