"""Draw mutants of the package, run the tests on each, and print how many were killed.

    python tests/mutation/run.py --seed 1 --count 100

The tests of the mutated folder run first, then all others; the first that fails, or that takes many
times as long as it should, kills. Where ``--record`` has made ``coverage.jsonl`` (half an hour of
one processor, once), the tests that call the mutated function run before both: most mutants then
die in seconds. A mutant of ``equivalent.toml`` is left out, with its reason, and the next one is
drawn.

Each worker has a copy of the checkout in a temporary folder. They share a cache of kernels; a
mutant of ``kernels/`` compiles its own. Tests that kill must pass without a mutant: this is checked
at the end. Tests that need PyTorch or build distributions do not run.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import itertools
import json
import math
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.mutation.mutants import Mutant, draw, mutants_of  # noqa: E402

HERE = Path(__file__).parent
COVERAGE, EQUIVALENT = HERE / "coverage.jsonl", HERE / "equivalent.toml"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
PYTEST += ["-m", "not parity and not packaging and not soak"]
PART = 25.0  # seconds of tests that one process of pytest runs
PATIENCE = 8.0  # a test run that takes this many times as long as expected, and a minute, hangs
TOO_LONG = 124  # an exit code, as of timeout(1)


@dataclass
class Tests:
    """The ids of all tests, and of those recorded what they call and how long they take."""

    ids: list[str]
    seconds: dict[str, float] = field(default_factory=dict)
    callers: dict[str, list[str]] = field(default_factory=dict)  # of a function of the package

    @classmethod
    def collected(cls, folder: Path) -> Tests:
        """Collect the tests of a checkout; read what was recorded of them."""
        out = subprocess.run(
            [*PYTEST, "--collect-only"], cwd=folder, capture_output=True, text=True, check=True
        )
        tests = cls([line for line in out.stdout.splitlines() if "::" in line])
        known = set(tests.ids)
        for line in COVERAGE.read_text().splitlines() if COVERAGE.exists() else ():
            row = json.loads(line)
            if row["test"] in known:
                tests.seconds[row["test"]] = row["seconds"]
                for name in row["functions"]:
                    tests.callers.setdefault(name, []).append(row["test"])
        return tests

    def nearest(self, mutant: Mutant) -> Iterator[list[str]]:
        """Yield all tests in groups: those that call the function, of its folder, the others."""
        folder, _, file = mutant.file.rpartition("/")
        stem = file.removesuffix(".py").strip("_")
        module = ".".join(["tinygrad_mlp", *mutant.file.removesuffix(".py").split("/")])
        mirrored = f"tests/{folder}/" if folder else f"tests/test_{stem}.py"
        own = (mirrored, f"tests/test_docstrings.py::test_examples_run[{module}]")
        # A kernel is not seen to run, and a module is run by its import: all callers of the file.
        called = set(self.callers.get(f"{mutant.file}:{mutant.function}", ()))
        if not called or mutant.file.startswith("kernels/"):
            of_file = (t for name, t in self.callers.items() if name.startswith(mutant.file + ":"))
            called.update(*of_file)

        names = {name.strip("_") for name in mutant.function.split(".")} - {"<locals>", "<module>"}
        words = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, names | {stem}))})(?![a-z])")

        def distance(test: str) -> tuple[bool, bool, bool, float]:
            seconds = self.seconds_of(test)
            named = words.search(test) is not None or "docstrings" in test
            return seconds > 5, not named, not test.startswith(own), seconds

        def above(test: str) -> bool:
            return test.startswith(f"tests/{folder.split('/')[0]}/")

        done: set[str] = set()
        for group in (
            called,
            [test for test in self.ids if test.startswith(own)],
            [test for test in self.ids if above(test)],
            self.ids,
        ):
            new = sorted(set(group) - done, key=distance)
            done.update(new)
            while new:  # in parts, so that a test that kills early saves the collection of many
                taken = list(itertools.accumulate(map(self.seconds_of, new)))
                count = max(1, bisect.bisect(taken, PART))
                yield new[:count]
                new = new[count:]

    def seconds_of(self, test: str) -> float:
        """Return how long a test takes, as recorded."""
        return self.seconds.get(test, 0.3) + 0.02

    def phases(self, mutant: Mutant, budget: float) -> Iterator[list[str]]:
        """Yield the nearest tests in groups, as long as they fit into the budget of seconds."""
        for group in self.nearest(mutant):
            seconds = list(itertools.accumulate(map(self.seconds_of, group)))
            yield group[: bisect.bisect(seconds, budget)]
            budget -= seconds[-1]
            if budget < 0:
                return


class Worker:
    """A copy of the checkout in which one mutant at a time is tested."""

    def __init__(self, folder: Path, cache: Path):
        self.folder, self.cache = folder, cache
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        for name in filter(None, names.stdout.split("\0")):
            if (CHECKOUT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, folder / name)
        self.edits = 0

    def pytest(self, arguments: Iterable[str], cache: Path, seconds: float) -> tuple[int, str]:
        """Run pytest; return its exit code, or TOO_LONG, and its output."""
        list_of_tests = self.folder.parent / f"{self.folder.name}.args"
        list_of_tests.write_text("\n".join(arguments))
        environment = dict(
            os.environ, PYTHONPATH=str(self.folder), TINYGRAD_MLP_CACHE=str(cache), CI="1"
        )
        process = subprocess.Popen(
            [*PYTEST, "-x", "--tb=no", "-rfE", f"@{list_of_tests}"],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=None if seconds == math.inf else seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return TOO_LONG, process.communicate()[0]
        return process.returncode, out

    def kill(self, mutant: Mutant, tests: Tests, budget: float) -> str:
        """Return the test that kills a mutant, or how it died otherwise; "" for a survivor."""
        own = mutant.file.startswith("kernels/")
        cache = self.cache.parent / f"cache-{self.folder.name}" if own else self.cache
        try:
            for group in filter(None, tests.phases(mutant, budget)):
                limit = 60 + PATIENCE * sum(map(tests.seconds_of, group)) + (600 if own else 0)
                with self.mutated(mutant):
                    code, out = self.pytest(group, cache, limit)
                if code == TOO_LONG:  # is it the mutant, or a busy machine?
                    began = time.perf_counter()
                    self.pytest(group, cache, math.inf)
                    limit = 60 + PATIENCE * (time.perf_counter() - began)
                    with self.mutated(mutant):
                        code, out = self.pytest(group, cache, limit)
                if killer := killer_of(code, out):
                    return killer
            return ""
        finally:
            if own:
                shutil.rmtree(cache, ignore_errors=True)

    @contextlib.contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Apply a mutant, and undo it at the end of the block."""
        path = self.folder / "tinygrad_mlp" / mutant.file
        original, written = path.read_bytes(), path.stat().st_mtime_ns
        try:
            path.write_bytes(mutant.apply(original))
            self.edits += 1  # a time of its own, by which Python sees that its bytecode is old
            os.utime(path, ns=(written, written + 60 * 10**9 * self.edits))
            yield
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(written, written))


def killer_of(code: int, out: str) -> str:
    """Return what killed a mutant, from pytest's exit code and output; "" if all tests passed."""
    if code in (0, 5):  # passed, or nothing was collected
        return ""
    if failed := re.search(r"^(FAILED|ERROR) (.+?)( - .*)?$", out, re.MULTILINE):
        return failed[2] if "::" in failed[2] else f"import: {failed[2]}"
    if code == TOO_LONG:
        return "timeout: many times as long as without the mutant"
    if code < 0 or code > 128:
        return f"signal: {abs(code)}"
    if code == 4 and "conftest" in out:
        return "import: conftest.py"
    raise RuntimeError(f"pytest ended with {code}:\n{out[-2000:]}")


def equivalents() -> dict[tuple[str, str, str], str]:
    """Return the reason why a mutant changes nothing, by its file, line and mutated line."""
    rows = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(row["file"], row["before"], row["after"]): row["reason"] for row in rows}


def show(mutant: Mutant) -> str:
    """Return where a mutant is and its diff."""
    place = f"tinygrad_mlp/{mutant.file}:{mutant.line} [{mutant.operator}]"
    return f"{place}\n    - {mutant.before}\n    + {mutant.after}"


def record(arguments: argparse.Namespace) -> None:
    """Run the suite once and write which functions each test calls."""
    with tempfile.TemporaryDirectory(prefix="tinygrad_mlp-mutation-") as folder:
        trace = Path(folder) / "trace.jsonl"
        environment = dict(os.environ, MUTATION_TRACE=str(trace), PYTHONPATH=str(CHECKOUT))
        plugin = ["-p", "tests.mutation.trace_calls"]
        subprocess.run([*PYTEST, *plugin], cwd=CHECKOUT, env=environment, check=False)
        shutil.move(trace, COVERAGE)


def chosen(arguments: argparse.Namespace) -> tuple[list[Mutant], list[tuple[Mutant, str]]]:
    """Return the mutants to try, and the equivalent ones passed over with their reasons."""
    known, tried, skipped = equivalents(), [], []
    for mutant in draw(list(mutants_of(CHECKOUT / "tinygrad_mlp")), arguments.seed):
        if len(tried) == arguments.count:
            break
        if reason := known.get((mutant.file, mutant.before, mutant.after)):
            skipped.append((mutant, reason))
        else:
            tried.append(mutant)
    if arguments.only:
        tried = [m for m in tried if re.search(arguments.only, f"{m.file}:{m.line}")]
    return tried, skipped


def run(arguments: argparse.Namespace, work: Path) -> int:
    """Test the drawn mutants and print the result; return the number of survivors."""
    tried, skipped = chosen(arguments)
    cache = work / "cache"
    workers = [Worker(work / f"worker{k}", cache) for k in range(arguments.workers)]
    tests = Tests.collected(workers[0].folder)
    kept = work / "killed.json"
    killed = json.loads(kept.read_text()) if arguments.resume and kept.exists() else {}
    results = {mutant: killed[mutant.key] for mutant in tried if mutant.key in killed}
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in tried:
        if mutant not in results:
            waiting.put(mutant)

    def serve(worker: Worker) -> None:
        while True:
            try:
                mutant = waiting.get_nowait()
            except queue.Empty:
                return
            began = time.perf_counter()
            try:
                killer = worker.kill(mutant, tests, arguments.seconds)
            except RuntimeError as error:
                killer = f"error: {error}"
            results[mutant] = killer
            if killer and not killer.startswith("error"):
                killed[mutant.key] = killer
                kept.write_text(json.dumps(killed, indent=1))
            took = f"{time.perf_counter() - began:.0f} s"
            print(
                f"[{len(results)}] {show(mutant)}\n    {killer or 'SURVIVED'} ({took})", flush=True
            )

    threads = [threading.Thread(target=serve, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    killers = sorted({killer for killer in results.values() if "::" in killer})
    code, out = workers[0].pytest(killers, cache, 3600) if killers else (0, "")
    report(tried, results, skipped)
    if code:
        print(f"\nSome tests that kill fail without a mutant, so the count is wrong:\n{out}")
    return sum(not killer or killer.startswith("error") for killer in results.values())


def report(
    tried: list[Mutant], results: dict[Mutant, str], skipped: list[tuple[Mutant, str]]
) -> None:
    """Print the survivors, the equivalent mutants passed over, and the count."""
    alive = [m for m in tried if not results[m] or results[m].startswith("error")]
    for mutant, reason in skipped:
        print(f"\nequivalent: {show(mutant)}\n    {reason}")
    for mutant in alive:
        print(f"\nsurvived: {show(mutant)}")
    kinds = [killer.split(":")[0] for killer in results.values() if killer and "::" not in killer]
    others = ", ".join(f"{kinds.count(kind)} by {kind}" for kind in sorted(set(kinds)))
    print(
        f"\nkilled {len(tried) - len(alive)} of {len(tried)}"
        f"{f' ({others})' if others else ''}; {len(skipped)} equivalent passed over"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="which mutants are drawn")
    parser.add_argument("--count", type=int, default=100, help="how many are tried")
    parser.add_argument("--workers", type=int, default=1, help="how many at once")
    parser.add_argument("--only", help="of these, those whose FILE:LINE matches this expression")
    parser.add_argument("--list", action="store_true", help="print the mutants, and test none")
    parser.add_argument("--record", action="store_true", help="record what each test calls")
    parser.add_argument(
        "--resume", action="store_true", help="do not try again those killed before, in --work"
    )
    parser.add_argument("--work", type=Path, help="a folder to keep, for its compiled kernels")
    parser.add_argument(
        "--seconds",
        type=float,
        default=math.inf,
        help="run only the nearest tests, as many as take so long; default: the whole suite",
    )
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments)
        return 0
    if arguments.list:
        print(*map(show, chosen(arguments)[0]), sep="\n")
        return 0
    if arguments.work:
        arguments.work.mkdir(parents=True, exist_ok=True)
        return min(run(arguments, arguments.work.resolve()), 1)
    with tempfile.TemporaryDirectory(prefix="tinygrad_mlp-mutation-") as folder:
        return min(run(arguments, Path(folder)), 1)


if __name__ == "__main__":
    sys.exit(main())
