"""What each command does; what it needs is imported when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import fields

ABOUT = {
    "digits": "1,797 pictures of handwriting, 8 x 8 pixels, packaged",
    "spiral": "points on three arms that turn about each other",
    "moons": "points on two half circles that reach into each other",
    "circles": "points on a circle inside a circle",
    "xor": "points about the corners of a square, a class for each diagonal",
    "mnist": "70,000 pictures of handwriting, 28 x 28 pixels, downloaded once",
    "fashion_mnist": "70,000 pictures of clothes, 28 x 28 pixels, downloaded once",
}
"""The datasets, for a person."""

FEW = 12
"""Classes, at most, that there is room for side by side."""

STOPPED = 130
"""The exit code after Ctrl-C."""


def train(options: argparse.Namespace) -> int:
    """Train a network, and leave a folder."""
    from ..runs.config import Settings
    from ..runs.experiment import prepare
    from ..train.progress import print_line
    from .warmup import ahead

    _threads(options)
    given = {f.name: getattr(options, f.name) for f in fields(Settings) if f.name != "dataset"}
    with ahead(Settings.of(options.dataset, **given)):
        job = prepare(
            options.dataset,
            out=options.out,
            resume=options.resume,
            tensorboard=options.tensorboard,
            **given,
        )
        print_line(str(job))  # who has seen enough of it does not end the training
        outcome = job.run()
    if outcome.best is not None:
        print(f"the weights are those of epoch {outcome.best}, the best of {len(outcome.history)}")
    print(f"saved {', '.join(outcome.files)} in {outcome.folder}")
    if outcome.missing:
        print(f"no pictures: {outcome.missing}")
    for part, scores in (("train", outcome.train), ("test", outcome.test)):
        _print_scores(part, scores)
    if outcome.interrupted:
        done = len(outcome.history)
        print(f"tinygrad-mlp: stopped after epoch {done}; --resume goes on", file=sys.stderr)
        return STOPPED
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a trained network on the rows held out, or on those of a file."""
    from ..runs.run_folder import open_run

    _threads(options)
    run = open_run(options.folder)
    rows, scores = run.evaluate(options.file)
    print(
        f"{rows.name}: {len(rows.y):,} rows {'held out' if options.file is None else ''}".rstrip()
    )
    print(f"loss {scores['loss']:.4f}")
    _print_scores("test", scores)
    if 0 < len(rows.classes) <= FEW:
        _print_confusion(rows.classes, run.confusion(rows).tolist())
    return 0


def predict(options: argparse.Namespace) -> int:
    """Write what a trained network says of the rows of a file."""
    from .._common.files import atomic_write, writable_folder
    from ..runs.run_folder import open_run

    _threads(options)
    header, rows = open_run(options.folder).predict(options.file)
    if options.out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows([header, *rows])
        return 0
    writable_folder(options.out.parent)
    with (
        atomic_write(options.out) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as f,
    ):
        csv.writer(f, lineterminator="\n").writerows([header, *rows])
    print(f"{len(rows):,} rows in {options.out}")
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print the layers of a saved network, or of one that could be made."""
    from .._common.validation import check_int
    from ..runs.config import Settings
    from ..runs.run_folder import open_run
    from ..study.summary import summary as summarise

    names = ("model", "hidden", "activation", "batch_norm", "dropout", "dropconnect")
    given = {name: getattr(options, name) for name in names}
    if options.folder is not None:
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{options.folder} is a network already; leave {name} out")
        run = open_run(options.folder)
        print(summarise(run.model, run.preprocessor.num_features))
        return 0
    inputs = check_int("inputs", options.inputs, minimum=1, example=784)
    outputs = check_int("outputs", options.outputs, minimum=1, example=10)
    print(summarise(Settings.of("", **given).network(inputs, outputs), inputs))
    return 0


def datasets(options: argparse.Namespace) -> int:
    """List the datasets that have a name, and the kinds of files."""
    from ..data import FILES

    width = max(map(len, ABOUT))
    for name, about in ABOUT.items():
        print(f"{name:<{width}}  {about}")
    print(f"{'FILE':<{width}}  {', '.join(FILES)}: your own rows")
    return 0


def warmup(options: argparse.Namespace) -> int:
    """Compile all kernels."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..kernels.runtime import cache
    from .warmup import warmup as compile_all

    dtypes = ("float32", "float64") if options.all else ("float32",)
    columns = TextColumn("compiling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=None)
        count = compile_all(dtypes, lambda done, of: progress.update(bar, completed=done, total=of))
    print(f"{count} compiled functions in {cache.folder()}")
    return 0


def _threads(options: argparse.Namespace) -> None:
    from ..kernels.runtime.threads import set_num_threads

    if options.threads is not None:
        set_num_threads(options.threads)


def _print_scores(part: str, scores: dict[str, float]) -> None:
    for name, value in scores.items():
        if name != "loss":
            print(f"{part} {name} {value:.6g}" if name == "rmse" else f"{part} {name} {value:.4f}")


def _print_confusion(classes: Sequence[str], counts: list[list[int]]) -> None:
    """A line for each class, a column for what the network says of its rows."""
    names = [name if len(name) <= 12 else f"{name[:11]}…" for name in classes]
    first = max(map(len, names))
    widths = [max(len(n), *(len(f"{line[k]:,}") for line in counts)) for k, n in enumerate(names)]
    print(f"{'':<{first}}  {'  '.join(f'{n:>{w}}' for n, w in zip(names, widths, strict=True))}")
    for name, line in zip(names, counts, strict=True):
        cells = "  ".join(f"{count:>{w},}" for count, w in zip(line, widths, strict=True))
        print(f"{name:<{first}}  {cells}")
