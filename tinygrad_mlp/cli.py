"""The command line: it parses, calls, and prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (those of the process by default); returns its exit code.

    0 after success, 1 after an error, which is one line on stderr, 130 after Ctrl-C. What cannot
    be parsed exits with 2, as argparse does.
    """
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        print("tinygrad-mlp: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        print(f"tinygrad-mlp: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _train(options: argparse.Namespace) -> None:
    from .kernels.threads import set_num_threads
    from .train.job import prepare

    if options.threads is not None:
        set_num_threads(options.threads)
    job = prepare(
        options.dataset, epochs=options.epochs, lr=options.lr, seed=options.seed, out=options.out
    )
    print(job, flush=True)
    outcome = job.run()
    print(f"saved {', '.join(outcome.files)} in {outcome.folder}")
    if outcome.missing:
        print(f"no pictures: {outcome.missing}")
    print(f"train accuracy {outcome.train_accuracy:.4f}")
    print(f"test accuracy {outcome.test_accuracy:.4f}")


def _warmup(options: argparse.Namespace) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from .kernels import cache
    from .train.warmup import warmup

    dtypes = ("float32", "float64") if options.all else ("float32",)
    columns = TextColumn("compiling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=None)
        count = warmup(dtypes, lambda done, of: progress.update(bar, completed=done, total=of))
    print(f"{count} compiled functions in {cache.folder()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinygrad-mlp", description="Train multilayer perceptrons on a CPU."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a network on a dataset",
        description="Train a network on a dataset, and leave weights, history and pictures.",
    )
    train.set_defaults(command=_train)
    train.add_argument(
        "dataset",
        nargs="?",
        default="digits",
        metavar="DATASET",
        help="digits (8x8 pictures of handwriting, the default) or spiral (points on three arms)",
    )
    train.add_argument("--epochs", type=int, help="how many times to go over the data")
    train.add_argument("--lr", type=float, help="the learning rate of the first epoch")
    train.add_argument("--seed", type=int, default=0, help="decides all that is drawn; default 0")
    train.add_argument("--threads", type=int, help="processors to use; by default, all there are")
    train.add_argument("--out", type=Path, help="folder for the results; default runs/DATASET")
    warmup = commands.add_parser(
        "warmup",
        help="compile all kernels now",
        description="Compile all kernels and keep them, so that nothing has to be compiled later.",
    )
    warmup.set_defaults(command=_warmup)
    warmup.add_argument("--all", action="store_true", help="for float64 as well as float32")
    for command in (train, warmup):
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser
