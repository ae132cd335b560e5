"""What each command does."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from .._common.files import atomic_write, writable_folder
from .._common.validation import check_int
from ..data import DATASETS, FILES
from ..kernels.runtime.cpu_count import available
from ..kernels.runtime.threads import most_threads, set_num_threads
from ..runs import Settings, create_experiment, open_run
from ..runs.experiment import resolve_settings
from ..study.summary import summary as summarise
from ..train.progress import print_line

MAX_CLASSES = 12
"""Classes up to which the confusion matrix fits on a terminal."""

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def train(options: argparse.Namespace) -> int:
    """Train a network and write the files of the run."""
    from .warmup import precompile_in_background

    _set_threads(options)
    settings = _take(options, *(f.name for f in fields(Settings) if f.name != "dataset"))
    _, chosen, _ = resolve_settings(options.dataset, options.out, options.resume, settings)
    with precompile_in_background(chosen):
        results = _take(options, "out", "resume", "overwrite", "tensorboard")
        experiment = create_experiment(options.dataset, **results, **settings)
        print_line(str(experiment))  # a closed pipe does not end the training
        result = experiment.run()
    epochs = len(result.history)
    if result.best_epoch is not None:
        print(f"kept the weights of epoch {result.best_epoch}, the best of {epochs}")
    if result.trained == 0 and not result.interrupted:
        print(f"the run in {result.folder} is finished: nothing was left to train")
    else:
        print(f"saved {', '.join(result.files)} in {result.folder}")
    if result.plot_error:
        print(f"no plots: {result.plot_error}")
    for part, scores in (("train", result.train), ("test", result.test)):
        _print_scores(part, scores)
    if result.interrupted:
        message = f"stopped after epoch {epochs}; continue the run with --resume"
        print(f"tinygrad-mlp: {message}", file=sys.stderr)
        return INTERRUPTED
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate a trained network on its test rows, or on the rows of a file."""
    _set_threads(options)
    run = open_run(options.folder)
    rows, scores = run.evaluate(options.file, encoding=options.encoding)
    print(f"{rows.name}: {len(rows.y):,} {'test rows' if options.file is None else 'rows'}")
    print(f"loss {scores['loss']:.4f}")
    _print_scores("test", scores)
    if 0 < len(rows.classes) <= MAX_CLASSES:
        print("confusion matrix: a row per true class, a column per predicted class")
        _print_confusion(rows.classes, run.confusion(rows).tolist())
    return 0


def predict(options: argparse.Namespace) -> int:
    """Predict the rows of a file, and print or write them as CSV."""
    _set_threads(options)
    out = options.out
    if out is not None and out.is_file() and not options.overwrite:
        raise FileExistsError(f"{out} exists: use overwrite=True to replace it")
    run = open_run(options.folder)
    header, rows = run.predict(options.file, encoding=options.encoding)
    if out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows([header, *rows])
        return 0
    writable_folder(out.parent)
    with atomic_write(out) as path, path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print(f"wrote {len(rows):,} rows to {out}")
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print the layers of a saved network, or of the one that the options describe."""
    names = ("model", "hidden", "activation", "batch_norm", "dropout", "dropconnect")
    settings = _take(options, *names)
    if options.folder is not None:
        for name, value in settings.items():
            if value is not None:
                raise ValueError(f"{options.folder} already determines the network; omit {name}")
        run = open_run(options.folder)
        print(summarise(run.model, run.preprocessor.num_features))
        return 0
    inputs = check_int("inputs", options.inputs, minimum=1, example=784)
    outputs = check_int("outputs", options.outputs, minimum=1, example=10)
    print(summarise(Settings.for_dataset("", **settings).build_model(inputs, outputs), inputs))
    return 0


def study(options: argparse.Namespace) -> int:
    """Write the page of a backward pass, and open it in the browser."""
    import webbrowser

    from .study import write_page

    path = write_page(options.name, options.rows, options.out, options.overwrite).resolve()
    print(f"wrote {path}", flush=True)
    if options.browser and not webbrowser.open(path.as_uri()):
        print("no browser was found: open the file in one")
    return 0


def datasets(options: argparse.Namespace) -> int:
    """List the datasets with a name and the kinds of files."""
    lines = {name: entry.description for name, entry in DATASETS.items()}
    lines["FILE"] = f"your own rows: {', '.join(FILES)}"
    width = max(map(len, lines))
    for name, description in lines.items():
        print(f"{name:<{width}}  {description}")
    return 0


def warmup(options: argparse.Namespace) -> int:
    """Compile all kernels."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..kernels.runtime import cache
    from .warmup import compile_all

    dtypes = ("float32", "float64") if options.all else ("float32",)
    columns = TextColumn("compiling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=None)
        count = compile_all(dtypes, lambda done, of: progress.update(bar, completed=done, total=of))
    print(f"{count} compiled functions in {cache.folder()}")
    return 0


def _take(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names}


def _set_threads(options: argparse.Namespace) -> None:
    if options.threads is not None:
        most = most_threads()
        if not 1 <= options.threads <= most:
            raise ValueError(
                f"--threads must be from 1 to {most}, four times the number of processors, got "
                f"{options.threads}; write --threads {available()}"
            )
        set_num_threads(options.threads)


def _print_scores(part: str, scores: dict[str, float]) -> None:
    for name, value in scores.items():
        if name != "loss":
            print(f"{part} {name} {value:.6g}" if name == "rmse" else f"{part} {name} {value:.4f}")


def _print_confusion(classes: Sequence[str], counts: list[list[int]]) -> None:
    names = [name if len(name) <= 12 else f"{name[:11]}…" for name in classes]
    table = [["", *names]]
    table += [[n, *(f"{count:,}" for count in row)] for n, row in zip(names, counts, strict=True)]
    first, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    for name, *cells in table:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{name:<{first}}  {'  '.join(aligned)}")
