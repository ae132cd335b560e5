"""Each benchmark script stays alive: it runs, prints its table, writes its figures."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def test_step_prints_a_table_and_writes_json(tmp_path):
    figures = tmp_path / "step.json"
    command = [sys.executable, str(BENCHMARKS / "step.py"), "--workload", "spiral"]
    options = ["--rounds", "1", "--seconds", "0.02", "--threads", "1", "--json", str(figures)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2-100-3, batch 300, SGD" in done.stdout
    measured = json.loads(figures.read_text())["steps"]["spiral"]
    assert {"tinygrad_mlp eager", "NumPy by hand"} <= set(measured)
    assert all(0 < timing["median"] < 10 for timing in measured.values())


def test_unknown_workload_is_refused():
    command = [sys.executable, str(BENCHMARKS / "step.py"), "--workload", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nonsense" in done.stderr
