"""Run all experiments, one process each, and write one report with every table and picture.

    python benchmarks/experiments --out DIR

runs the quick form of each, in about ten minutes on two cores, and writes ``DIR/report.html``. The
page needs no other file. ``--full`` runs the full form, ``--only`` some of them.
"""

from __future__ import annotations

import argparse
import ast
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import REPORT, RESULT, atomic_write, claim, page, seed

HERE = Path(__file__).parent
SCRIPTS = (  # in the order of the report
    "spiral",
    "tensorboard",
    "dropout",
    "from_config",
    "activations",
    "capacity",
    "gradient_check",
    "custom_loss",
    "mnist_mlp",
    "mnist_networks",
    "optimizers",
    "ensemble",
    "best_mnist",
)


def main() -> int:
    """Run the scripts and write the report; return 1 if one failed or missed a target."""
    options = argparse.ArgumentParser(
        prog="python benchmarks/experiments",
        description=__doc__,
        epilog="\n".join(["experiments:", *(f"  {name:<16}{title(name)}" for name in SCRIPTS)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--seed", type=seed, default=0, help="seed of everything random (default: 0)")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("experiments"),
        help="write results here (default: experiments)",
    )
    form = options.add_mutually_exclusive_group().add_argument
    form("--full", action="store_true", help="run the full forms, which take hours")
    form("--tiny", action="store_true", help="run the shortest forms, to see that they work")
    add(
        "--only",
        nargs="+",
        choices=SCRIPTS,
        default=SCRIPTS,
        metavar="NAME",
        help="run these alone",
    )
    add("--overwrite", action="store_true", help="write into a folder that has files")
    given = options.parse_args()
    try:
        folder = claim(given.out, given.overwrite)
    except OSError as error:
        sys.exit(f"experiments: {error}")
    size = ["--tiny"] if given.tiny else [] if given.full else ["--quick"]
    results, failed, start = [], [], time.perf_counter()
    for name in dict.fromkeys(given.only):
        print(f"\n=== {name} ===", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--seed", str(given.seed), *size]
        out = folder / name
        if out.is_dir():  # --overwrite, and the script may end before it deletes its old result
            (out / RESULT).unlink(missing_ok=True)
        status = call([*command, "--out", str(out), *["--overwrite"] * given.overwrite])
        failed += [name] * (status != 0)
        if (out / RESULT).exists():
            results.append((json.loads((out / RESULT).read_text(encoding="utf-8")), out))
    if results:
        have = {out.name for _, out in results}
        missing = [name for name in failed if name not in have]
        with atomic_write(folder / REPORT) as path:
            path.write_text(page(results, "Experiments", missing), encoding="utf-8")
    minutes = (time.perf_counter() - start) / 60
    where = folder / REPORT if results else "no report"
    print(f"\n{len(results)} experiments in {minutes:.1f} minutes: {where}")
    if failed:
        print(f"failed, or missed a target: {', '.join(failed)}")
    return int(bool(failed))


def title(name: str) -> str:
    """Return the first line of the docstring of a script."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.split("\n", 1)[0]


def call(command: list[str]) -> int:
    """Run a command and return its exit status; Ctrl-C ends it before the exception goes on."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # A terminal sends Ctrl-C to both processes, `kill` to this one alone.
            for patience, then in ((1, signal.SIGINT), (60, signal.SIGKILL)):
                try:
                    process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(then)
            raise


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: there is no report", file=sys.stderr)
        sys.exit(130)
