"""The benchmark of the first step: its figures, and the cost of a new chain."""

from tests.benchmarks.speed.scripts import BENCHMARKS, script, written


def test_figures():
    options = ["--rounds", "1", "--threads", "1", "--only", "ours", "--no-chains", "--json", "-"]
    done = script("start", *options)
    assert done.returncode == 0, done.stderr
    assert "seconds to the end of the first step, 1 thread" in done.stderr
    (row,) = written(done)["rows"]
    (run,) = row["runs"]
    assert row["name"] == "ours"
    assert 0 < run["seconds"] < run["process"]


def test_a_new_chain_costs_the_difference_per_kernel(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import start
    from rich.console import Console

    chains = {"known": 0.25, "new": 0.75, "kernels": 4}
    rows = [{"name": "ours", "runs": [{"seconds": 0.5, "process": 1.5, "chains": chains}]}]
    console = Console(width=100)
    with console.capture() as printed:
        console.print(start.start_table(rows, threads=1))
    assert "0.125" in printed.get()
