"""All candidates of a benchmark run the same step: equal losses from equal weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS


def test_losses_are_equal():
    script = Path(__file__).with_name("losses.py")
    paths = [str(BENCHMARKS), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert done.returncode == 0, done.stderr
    for row in map(json.loads, done.stdout.splitlines()):
        losses = row["losses"]
        expected = losses["ours, eager"]
        assert expected[0] > expected[-1] + 1e-3
        if row["name"] in ("norm", "plain", "Adam"):
            assert "NumPy" in losses
        for name, found in losses.items():
            if name != "Keras":  # returns running means
                assert found == pytest.approx(expected, abs=1e-5), (row["name"], name)
            assert found[0] == pytest.approx(expected[0], abs=1e-5), (row["name"], name)
