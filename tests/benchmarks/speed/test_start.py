"""The benchmark of the first step runs; new chains are told apart."""

import json

from tests.benchmarks.speed.scripts import BENCHMARKS, script


def test_figures():
    options = ["--rounds", "1", "--threads", "1", "--only", "ours", "--known", "--json", "-"]
    done = script("start", *options)
    assert done.returncode == 0, done.stderr
    assert "seconds to the end of the first step, 1 thread" in done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    (run,) = row["runs"]
    assert row["name"] == "ours"
    assert 0 < run["seconds"] < run["process"]


def test_a_new_chain_costs_what_its_step_takes_longer(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import start
    from rich.console import Console

    novel = {"known": 0.25, "unknown": 0.75, "new": 4}
    rows = [{"name": "ours", "runs": [{"seconds": 0.5, "process": 1.5, "novel": novel}]}]
    console = Console(width=100)
    with console.capture() as printed:
        console.print(start.table(rows, threads=1))
    assert "0.125" in printed.get()
