"""Forty networks drawn by a seed: their losses and weights after 50 steps have recorded bits.

The hashes in ``golden_bits.json`` were made once. They hold on any x86-64 processor, on any number
of threads, for eager and compiled steps, and, each with a hash of its own, under `tg.fit`.
``tests/kernels/test_bits.py`` does the same kernel by kernel, to find out where two differ.

    python -m tests.test_golden_bits                                          # records the hashes
    TINYGRAD_MLP_SOAK=1 python -m pytest tests/test_golden_bits.py -m soak    # all, on all units
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests import drawn_networks as drawn
from tests.kernels.conftest import use_threads  # noqa: F401  # a fixture
from tests.kernels.scripts import finish, start
from tests.kernels.units import EXPECTED, UNITS, missing

FILE = Path(__file__).with_name("golden_bits.json")
RECORDED: list[dict[str, str]] = json.loads(FILE.read_text()) if FILE.is_file() else []
SEEDS = range(40)
COMPILED = SEEDS[3::8]  # what is compiled and fitted in the default suite
FORCED = (5, 9, 18, 21, 35)  # of the processes with a forced unit
THREADS = {3: 2, 9: 2, 18: 8, 21: 3, 35: 3}  # of those not on one; more in the soak test


@pytest.fixture(autouse=True)
def _generator_is_left_as_it_was() -> Iterator[None]:
    before = drawn.tg.get_rng_state()
    yield
    drawn.tg.set_rng_state(before)


def test_the_forty_networks_have_everything() -> None:
    plans = [drawn.draw(seed) for seed in SEEDS]
    for name, every in (
        ("init", drawn.INITS),
        ("loss", drawn.LOSSES),
        ("optimizer", drawn.OPTIMIZERS),
        ("schedule", drawn.SCHEDULES),
        ("clip", (None, "2", "3", "inf", "value")),
        ("dtype", ("float32", "float64")),
        ("penalty", (True, False)),
    ):
        assert {asdict(plan)[name] for plan in plans} == set(every), name
    blocks = [block for plan in plans for block in plan.blocks]
    for k, every in enumerate((drawn.NORMS, drawn.ACTIVATIONS, drawn.DROPS), 1):
        assert {block[k] for block in blocks} == set(every)


@pytest.mark.parametrize("seed", SEEDS)
def test_eager(seed: int, use_threads: Callable[[int], None]) -> None:  # noqa: F811
    use_threads(THREADS.get(seed, 1))
    assert drawn.train(drawn.draw(seed), compiled=False) == RECORDED[seed]["steps"]


@pytest.mark.parametrize("seed", COMPILED)
def test_compiled_and_fit(seed: int, use_threads: Callable[[int], None]) -> None:  # noqa: F811
    use_threads(THREADS.get(seed, 1))
    plan = drawn.draw(seed)
    assert drawn.train(plan, compiled=True) == RECORDED[seed]["steps"]
    assert drawn.fit(plan) == RECORDED[seed]["fit"]


EAGER = f"""
import json
from tests.drawn_networks import draw, train
from tinygrad_mlp.kernels import gemm
print(json.dumps([gemm.host(), [train(draw(seed), compiled=False) for seed in {FORCED}]]))
"""


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start a process for each unit that this machine has, all at once."""
    started = {
        name: start(EAGER, **settings) for name, (settings, _) in UNITS.items() if not missing(name)
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("unit", UNITS)
def test_every_vector_unit(processes: dict[str, subprocess.Popen[str]], unit: str) -> None:
    if unit not in processes:
        pytest.skip(f"this machine has no {unit}: {sorted(missing(unit))} missing")
    host, found = json.loads(finish(processes[unit], timeout=900))
    assert host == EXPECTED.get(unit, "avx512"), "forced in vain"
    assert found == [RECORDED[seed]["steps"] for seed in FORCED]


@pytest.mark.parametrize(
    "change",
    [
        # exponentials of fewer than 24 classes are summed one by one
        "from tinygrad_mlp.kernels.fused import softmax\nsoftmax.SHORT = 24",
        # a * b + c is rounded twice
        "from tinygrad_mlp.kernels.vmath import bits\n"
        "bits.fma = lambda builder, a, b, c: builder.fadd(builder.fmul(a, b), c)",
    ],
    ids=["order", "contraction"],
)
def test_a_planted_change_is_noticed(change: str, tmp_path: Path) -> None:
    read = "from tests.drawn_networks import draw, train\nprint(train(draw(9), compiled=False))"
    process = start(f"{change}\n{read}", TINYGRAD_MLP_CACHE=str(tmp_path))
    found = finish(process, timeout=900).strip()  # it compiles every kernel anew
    assert len(found) == 16
    assert found != RECORDED[9]["steps"]


ALL = """
import json, sys
from tests.drawn_networks import draw, fit, train
from tinygrad_mlp import set_num_threads
from tinygrad_mlp.kernels import gemm
from tinygrad_mlp.kernels.runtime import threads
threads.SMALL = threads._BACK_OFF = 0
tried, wrong = 0, []
for seed, recorded in enumerate(json.load(sys.stdin)):
    counts = (1, 2, 3, 8) if seed % 8 == 0 else (1, 2, 3, 2)  # 8 threads take long on 2 processors
    for k, (name, way) in enumerate([("steps", train), ("fit", fit)] * 2):
        compiled, count = k > 1, counts[(seed // 8 + k + seed) % 4]
        set_num_threads(count)
        tried += 1
        if way(draw(seed), compiled) != recorded[name]:
            wrong.append([seed, name, count, compiled])
print(json.dumps([gemm.host(), tried, wrong]))
"""


@pytest.mark.soak
@pytest.mark.parametrize("unit", UNITS)
def test_all_networks_on_every_vector_unit(unit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty networks: steps and `fit`, eager and compiled, each on another number of threads."""
    if missing(unit):
        pytest.skip(f"this machine has no {unit}: {sorted(missing(unit))} missing")
    host, tried, wrong = json.loads(
        finish(start(ALL, **UNITS[unit][0]), json.dumps(RECORDED), 7200)
    )
    assert host == EXPECTED.get(unit, "avx512"), "forced in vain"
    with capsys.disabled():
        print(f"\n{unit}: {tried - len(wrong)} of {tried} trainings have the recorded bits")
    assert not wrong


def record() -> None:
    """Write the hashes of this machine, from eager steps and an eager fit on one thread."""
    drawn.tg.set_num_threads(1)
    found = []
    for plan in map(drawn.draw, SEEDS):
        found.append({"steps": drawn.train(plan, False), "fit": drawn.fit(plan, False)})
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(record())
