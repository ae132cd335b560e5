"""Every benchmark names the processor and describes its options."""

import re

import pytest

from tests.benchmarks.speed.scripts import BENCHMARKS, script

SCRIPTS = sorted(
    path.stem
    for path in BENCHMARKS.glob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)
INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 207
model name\t: INTEL(R) XEON(R) PLATINUM 8581C

processor\t: 1
model name\t: another
"""


@pytest.fixture
def processor(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import processor

    return processor


def test_name_is_that_of_cpuinfo(processor, tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(INTEL)
    expected = "INTEL(R) XEON(R) PLATINUM 8581C (family 6, model 207)"
    assert processor.processor_name(path) == expected


def test_name_without_cpuinfo_is_the_microarchitecture(processor, tmp_path):
    path = tmp_path / "cpuinfo"
    name = processor.processor_name(path)
    assert name
    path.write_text("processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\n")
    assert processor.processor_name(path) == name


def test_description_is_one_line(processor):
    machine = processor.describe()
    text = processor.as_text(machine)
    assert "\n" not in text
    assert machine["vector_unit"] in ("avx512", "avx2", "neon", "plain")
    assert machine["processors"] >= 1
    assert all(str(value) in text for value in machine.values())


def test_all_scripts_are_found():
    assert {"step", "gemm", "mnist", "start", "threads", "roofline", "first_step"} <= {*SCRIPTS}


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_describes_every_option(name):
    done = script(name, "--help")
    assert done.returncode == 0, done.stderr
    if name != "first_step":  # a part of start.py
        assert f"python benchmarks/speed/{name}.py" in done.stdout
    usage, _, options = done.stdout.partition("\noptions:\n")
    option = re.compile(r"^  (?:-h, )?(--[\w-]+)(.*(?:\n {3,}.*)*)", re.MULTILINE)
    described = dict(option.findall(options))
    assert {"--help", *re.findall(r"\[(--[\w-]+)", usage.split("\n\n")[0])} == described.keys()
    for name, text in described.items():
        assert re.search(r"\s{2}[a-z][\w',-]* \w", text), f"{name}: {text}"
