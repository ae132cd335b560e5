"""Run all experiments, one process each, and write one report with every table and picture.

    python benchmarks/experiments --out DIR

runs the quick form of each, in about ten minutes on two cores, and writes ``DIR/report.html``. The
page needs no other file. ``--full`` runs the full form, ``--only`` some of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from common import REPORT, RESULT, atomic_write, claim, page

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
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    add("--out", type=Path, metavar="DIR", default=Path("experiments"), help="write results here")
    add("--full", action="store_true", help="run the full forms, which take hours")
    add("--tiny", action="store_true", help="run the shortest forms, to see that they work")
    add("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS, help="run these alone")
    add("--overwrite", action="store_true", help="write into a folder that has files")
    given = options.parse_args()
    try:
        folder = claim(given.out, given.overwrite)
    except OSError as error:
        sys.exit(f"experiments: {error}")
    size = ["--tiny"] if given.tiny else [] if given.full else ["--quick"]
    results, failed, start = [], [], time.perf_counter()
    for name in given.only:
        print(f"\n=== {name} ===", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--seed", str(given.seed), *size]
        out = folder / name
        done = subprocess.run([*command, "--out", str(out), *["--overwrite"] * given.overwrite])
        failed += [name] * (done.returncode != 0)
        if (out / RESULT).exists():
            results.append((json.loads((out / RESULT).read_text(encoding="utf-8")), out))
    if results:
        with atomic_write(folder / REPORT) as path:
            path.write_text(page(results, "Experiments"), encoding="utf-8")
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{len(results)} experiments in {minutes:.1f} minutes: {folder / REPORT}")
    if failed:
        print(f"failed, or missed a target: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: there is no report", file=sys.stderr)
        sys.exit(130)
