"""The benchmark of training steps runs, prints its table, writes its figures."""

import json

from tests.benchmarks.speed.scripts import SHORT, check_rows, figures, script

QUICK = ("--without", "torch.compile", "Keras", "scikit-learn")


def test_figures():
    rows = figures("step", "--only", "spiral", *QUICK, "--threads", "1")
    check_rows(rows, {"spiral: 2-100-3, batch 300, SGD"}, threads=1)
    assert rows[0]["seconds"].keys() >= {"ours, compiled", "ours, eager", "NumPy"}
    assert "torch.compile" not in rows[0]["seconds"]
    assert rows[0]["flops"] == 2 * 300 * (2 * 2 * 100 + 3 * 100 * 3)
    assert rows[0]["bytes"] == 4 * (4 * 603 + 300 * 105)


def test_table_and_json_file(tmp_path):
    options = ["--only", "spiral", *QUICK, "--threads", "1", "--json", str(tmp_path / "step.json")]
    done = script("step", *SHORT, *options)
    assert done.returncode == 0, done.stderr
    assert "microseconds on 1 thread" in done.stdout
    assert "milliseconds of the first call" in done.stdout
    assert "spiral: 2-100-3, batch 300, SGD" in done.stdout
    assert json.loads((tmp_path / "step.json").read_text(encoding="utf-8"))["rows"]


def test_a_name_of_no_case_is_an_error():
    done = script("step", "--only", "nonsense", "--threads", "1")
    assert done.returncode == 1
    assert "nonsense" in done.stderr


def test_figures_on_two_threads_come_from_a_process_with_two():
    check_rows(
        figures("step", "--only", "spiral", *QUICK, "--threads", "2"),
        {"spiral: 2-100-3, batch 300, SGD"},
        threads=2,
    )
