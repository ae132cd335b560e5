"""After `tinygrad-mlp warmup` nothing usual is compiled, and no op of the registry is new."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kernels.scripts import TIMEOUT, run
from tinygrad_mlp.cli import warmup
from tinygrad_mlp.runs.config import Settings

# What a person does afterwards: the packaged digits with the default settings, and every optimizer.
TRAIN = """
from numba.core import event
with event.install_recorder("numba:run_pass") as passes:
    import numpy as np
    import tinygrad_mlp as tg
    from tinygrad_mlp import nn, optim
    from tinygrad_mlp.runs.experiment import create_experiment
    from tinygrad_mlp.cli.warmup import UPDATES
    def train(dataset, epochs, out):
        create_experiment(dataset, epochs=epochs, out={folder!r} + out).run(progress=False)
    train("digits", 1, "/digits")
    train("spiral", 1, "/spiral")
    np.savez({folder!r} + "/values.npz", x=np.eye(200, 3), y=np.sin(np.arange(200.0)))
    train({folder!r} + "/values.npz", 2, "/values")
    for name, options in [(n, o) for n, variants in UPDATES.items() for o in variants]:
        x, y = tg.randn(50, 8), tg.randint(0, 3, (50,))
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 3))
        optimizer = getattr(optim, name)(model.parameters(), lr=0.01, weight_decay=0.1, **options)
        tg.fit(model, optimizer, (x, y), epochs=2, batch_size=20, progress=False)
print(len(passes.buffer))
"""

# In one process, on what is compiled: every op that plans a kernel has planned one.
EVERY_OP = """
import numpy as np
from numba.core import event
from tinygrad_mlp.autograd.op import REGISTRY, Op
from tinygrad_mlp.cli import warmup
with event.install_recorder("numba:run_pass") as passes:
    for name in warmup.tasks("float32"):
        warmup.run(name, "float32")
planning = [op for op in REGISTRY.values() if type(op).plan is not Op.plan]
print(len(passes.buffer), [op.name for op in planning if not op.planned.cache_info().currsize])
"""


@pytest.fixture(scope="module")
def warm() -> str:
    """What the command prints; it compiles what no test has compiled before."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tinygrad_mlp", "warmup"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_it_prints_the_number_of_kernels_and_the_folder(warm: str) -> None:
    found = re.search(r"(\d+) compiled functions in (\S+)\n$", warm)
    assert found
    assert int(found[1]) > 300
    assert os.path.isdir(found[2])


def test_training_then_compiles_nothing(warm: str, tmp_path: os.PathLike[str]) -> None:
    assert run(TRAIN.format(folder=str(tmp_path))) == "0\n"


def test_every_op_of_the_registry_is_met_and_compiled(warm: str) -> None:
    assert run(EVERY_OP) == "0 []\n"


def test_without_a_cache_folder_it_refuses(tmp_path: os.PathLike[str]) -> None:
    (file := os.path.join(tmp_path, "file"))
    with open(file, "w", encoding="utf-8"):
        pass
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_mlp", "warmup"],
        env={**os.environ, "TINYGRAD_MLP_CACHE": os.path.join(file, "kernels")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "name one by TINYGRAD_MLP_CACHE" in done.stderr


def test_another_process_compiles_in_the_background_and_ends_with_the_block(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINYGRAD_MLP_CACHE", str(tmp_path))  # where the other compiles
    monkeypatch.setattr(warmup.cache, "is_empty", lambda: True)
    monkeypatch.setattr(warmup, "available", lambda: 2)
    end = time.monotonic() + TIMEOUT
    with warmup.precompile_in_background(Settings("digits")) as other:
        assert other is not None
        while not list(tmp_path.rglob("gemm_outer*.py")):
            assert time.monotonic() < end
            assert other.poll() is None
            time.sleep(0.01)
    assert other.poll() is not None


@pytest.mark.parametrize(("cold", "processors"), [(False, 2), (True, 1)])
def test_nothing_is_compiled_in_the_background_without_gain(
    monkeypatch: pytest.MonkeyPatch, cold: bool, processors: int
) -> None:
    monkeypatch.setattr(warmup.cache, "is_empty", lambda: cold)
    monkeypatch.setattr(warmup, "available", lambda: processors)
    with warmup.precompile_in_background(Settings("digits")) as other:
        assert other is None


def test_the_slowest_kernels_compile() -> None:
    warmup.compile_slowest("AdamW")
    for form in ("gemm_outer_float32", "gemm_tiles_float32"):
        assert list(warmup.cache.folder().glob(f"{form}*.py"))
