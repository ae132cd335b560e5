"""The commands and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ..data import DATASETS, FILES
from ..runs.build import ACTIVATIONS, MOMENTUM, OPTIMIZERS, SCHEDULES
from ..runs.config import MODELS
from ..version import __version__
from . import commands

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """An argument parser that reports errors on one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}; --help lists the options\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = Parser(prog="tinygrad-mlp", description="Train multilayer perceptrons on a CPU.")
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Command, help: str, details: str = "") -> Parser:
        description = f"{help.capitalize()}{details}."
        added: Parser = subparsers.add_parser(name, help=help, description=description)
        added.set_defaults(command=function)
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return added

    details = ", and write weights, history and plots into a folder"
    _train(command("train", commands.train, "train a network on a dataset", details))
    evaluate = command("evaluate", commands.evaluate, "evaluate a trained network")
    _folder(evaluate)
    help = "rows with targets; default: the test rows of the training"
    evaluate.add_argument("file", nargs="?", type=Path, metavar="FILE", help=help)
    _encoding(evaluate)
    _threads(evaluate)
    predict = command("predict", commands.predict, "predict the rows of a file")
    _folder(predict)
    predict.add_argument("file", type=Path, metavar="FILE", help="rows; a target is not needed")
    _encoding(predict)
    help = "CSV file to write; default: print the table"
    predict.add_argument("--out", type=Path, metavar="FILE", help=help)
    _overwrite(predict, "replace the file given by --out if it exists")
    _threads(predict)
    summary = command("summary", commands.summary, "show the layers and parameters of a network")
    _folder(summary, nargs="?")
    _network(summary)
    help = "number of input features; default: %(default)s"
    summary.add_argument("--inputs", type=int, default=784, help=help)
    help = "number of outputs; default: %(default)s"
    summary.add_argument("--outputs", type=int, default=10, help=help)
    _study(command("study", commands.study, "show a backward pass step by step in a browser"))
    command("datasets", commands.datasets, "list the datasets")
    details = " and keep them on disk, so that later commands start at once"
    warmup = command("warmup", commands.warmup, "compile all kernels", details)
    warmup.add_argument("--all", action="store_true", help="for float64 too, not only float32")
    return top


def _train(train: argparse.ArgumentParser) -> None:
    names = f"{', '.join(DATASETS)}, or a file ({', '.join(FILES)})"
    help = f"{names}; default: digits, or that of the run to --resume"
    train.add_argument("dataset", nargs="?", metavar="DATASET|FILE", help=help)
    _data(train.add_argument_group("data"))
    _network(train.add_argument_group("network (defaults depend on the dataset)"))
    group = train.add_argument_group("training (defaults depend on the dataset)")
    _training(group)
    _threads(group)
    group = train.add_argument_group("results")
    help = "folder for the results; default: runs/DATASET"
    group.add_argument("--out", type=Path, metavar="DIR", help=help)
    help = "continue the run in this folder, with its dataset and options"
    group.add_argument("--resume", action="store_true", help=help)
    _overwrite(group, "replace the run in this folder")
    help = "write events for TensorBoard too"
    group.add_argument("--tensorboard", action="store_true", help=help)


def _study(study: argparse.ArgumentParser) -> None:
    help = (
        f"2-3-1, a network to compute by hand; a dataset ({', '.join(DATASETS)}), for a new "
        "network; or the folder of a finished run; default: 2-3-1"
    )
    study.add_argument("name", nargs="?", default="2-3-1", metavar="DATASET|DIR", help=help)
    study.add_argument(
        "--rows", type=int, default=16, help="rows of the pass; default: %(default)s"
    )
    help = "HTML file to write; default: a file in a temporary folder"
    study.add_argument("--out", type=Path, metavar="FILE", help=help)
    _overwrite(study, "replace the file given by --out if it exists")
    help = "open the page in a browser; default: yes"
    study.add_argument("--browser", action=argparse.BooleanOptionalAction, default=True, help=help)


def _data(group: argparse._ActionsContainer) -> None:
    add = group.add_argument
    add("--target", metavar="COLUMN", help="column of a CSV file to predict; default: the last")
    help = "what to do with missing values; default: refuse"
    add("--missing", choices=("refuse", "mean", "median", "drop"), help=help)
    help = "exclude this column, e.g. a row id (repeatable)"
    add("--ignore", action="append", metavar="COLUMN", help=help)
    help = "treat this numeric column as categories, e.g. a postal code (repeatable)"
    add("--categorical", action="append", metavar="COLUMN", help=help)
    help = (
        "predict a class or a number; default: classification if the target holds text, or at most "
        "20 different whole numbers that occur twice on average"
    )
    add("--task", choices=("classification", "regression"), help=help)
    add("--encoding", metavar="NAME", help="encoding of a CSV file; default: utf-8")
    help = "folder with the files of MNIST or Fashion-MNIST"
    add("--data-dir", type=Path, metavar="DIR", help=help)


def _network(group: argparse._ActionsContainer) -> None:
    add = group.add_argument
    add("--model", choices=MODELS, help="linear: no hidden layers")
    add(
        "--hidden", type=_widths, metavar="WIDTHS", help="widths of the hidden layers, e.g. 512,128"
    )
    add("--activation", metavar="NAME", help=", ".join(ACTIVATIONS))
    help = "batch normalisation before each activation"
    add("--batch-norm", action=argparse.BooleanOptionalAction, help=help)
    add("--dropout", type=float, metavar="P", help="dropout after each activation")
    add("--dropconnect", type=float, metavar="P", help="dropout of the hidden layers' weights")


def _training(group: argparse._ActionsContainer) -> None:
    add = group.add_argument
    add("--optimizer", metavar="NAME", help=", ".join(OPTIMIZERS))
    add("--momentum", type=float, help=f"momentum of {' or '.join(MOMENTUM)}")
    add("--weight-decay", type=float, help="weight decay of the optimizer")
    help = (
        f"learning-rate schedule: {', '.join(SCHEDULES)}; plateau lowers the rate by the loss on a "
        "tenth of the training rows"
    )
    add("--schedule", metavar="NAME", help=help)
    add("--lr", type=float, help="initial learning rate")
    add("--epochs", type=int, help="number of passes over the training rows")
    add("--batch-size", type=int, help="rows per training step")
    add("--l1", type=float, help="add this times the sum of absolute weights to the loss")
    add("--l2", type=float, help="add this times the sum of squared weights to the loss")
    help = "maximum norm of the gradients; larger ones are scaled down"
    add("--clip-grad", type=float, metavar="NORM", help=help)
    help = "weight each class by the inverse of its frequency"
    add("--class-weight", choices=("balanced",), help=help)
    help = (
        "stop after N epochs without a lower loss on a tenth of the training rows, and keep the "
        "best weights"
    )
    add("--early-stopping", type=int, metavar="N", help=help)
    add("--seed", type=int, help="seed of all random numbers; default: 0")


def _folder(command: argparse.ArgumentParser, nargs: str | None = None) -> None:
    help = "folder of a finished run"
    command.add_argument("folder", nargs=nargs, type=Path, metavar="DIR", help=help)


def _encoding(command: argparse.ArgumentParser) -> None:
    help = "encoding of a CSV file; default: that of the training"
    command.add_argument("--encoding", metavar="NAME", help=help)


def _overwrite(command: argparse._ActionsContainer, help: str) -> None:
    command.add_argument("--overwrite", action="store_true", help=help)


def _threads(group: argparse._ActionsContainer) -> None:
    group.add_argument("--threads", type=int, help="number of threads; default: all processors")


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        message = f"expected widths such as 512,128,64, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None
