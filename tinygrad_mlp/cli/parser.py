"""The commands, and what each takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from ..version import __version__
from . import commands


class Parser(argparse.ArgumentParser):
    """Says in one line what it cannot parse."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}; --help shows the options\n")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = Parser(prog="tinygrad-mlp", description="Train multilayer perceptrons on a CPU.")
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    below = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, help: str, more: str = "") -> argparse.ArgumentParser:
        added = below.add_parser(name, help=help, description=f"{help.capitalize()}{more}.")
        added.set_defaults(command=function)
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return added

    _train(
        command(
            "train",
            commands.train,
            "train a network on a dataset",
            ", and leave weights, history and pictures in a folder",
        )
    )
    evaluate = command("evaluate", commands.evaluate, "measure a trained network")
    _folder(evaluate)
    evaluate.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="rows with targets; by default those that were held out",
    )
    _threads(evaluate)
    predict = command("predict", commands.predict, "write what a trained network says of rows")
    _folder(predict)
    predict.add_argument("file", type=Path, metavar="FILE", help="rows, with targets or without")
    predict.add_argument("--out", type=Path, help="CSV file to write; by default it is printed")
    _threads(predict)
    summary = command("summary", commands.summary, "show the layers and parameters of a network")
    _folder(summary, nargs="?")
    _network(summary)
    summary.add_argument("--inputs", type=int, default=784, help="features; default %(default)s")
    summary.add_argument("--outputs", type=int, default=10, help="classes; default %(default)s")
    command("datasets", commands.datasets, "list what there is to train on")
    warmup = command(
        "warmup",
        commands.warmup,
        "compile all kernels now",
        " and keep them, so that nothing has to be compiled later",
    )
    warmup.add_argument("--all", action="store_true", help="for float64 as well as float32")
    return whole


def _train(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "dataset",
        nargs="?",
        default="digits",
        metavar="DATASET|FILE",
        help="digits (8x8 pictures of handwriting, the default), spiral, moons, circles, xor, "
        "mnist, fashion_mnist, or a file: .csv, .npz with x and y",
    )
    _data(train.add_argument_group("data"))
    _network(train.add_argument_group("network"))
    how = train.add_argument_group("training; what is not said is as the dataset's recipe has it")
    _training(how)
    _threads(how)
    train.add_argument("--out", type=Path, help="folder for the results; default runs/DATASET")
    train.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    train.add_argument("--tensorboard", action="store_true", help="write events for TensorBoard")


def _data(options: argparse._ActionsContainer) -> None:
    options.add_argument(
        "--target", help="the column of a CSV file to predict; by default the last"
    )
    options.add_argument(
        "--missing",
        choices=("refuse", "mean", "median", "drop"),
        help="what to do with missing values in a CSV file; by default they are refused",
    )
    options.add_argument(
        "--ignore",
        action="append",
        metavar="COLUMN",
        help="a column of a CSV file that is no input, as a number of the row; may come again",
    )
    options.add_argument(
        "--categorical",
        action="append",
        metavar="COLUMN",
        help="a column whose numbers are names, as postal codes; may come again",
    )
    options.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="whether a target's whole numbers are classes or quantities; by default, classes if "
        "there are at most 20, each met twice on average",
    )
    options.add_argument("--encoding", help="of a CSV file; default utf-8")
    options.add_argument("--data-dir", type=Path, help="folder with the files of MNIST")


def _network(options: argparse._ActionsContainer) -> None:
    options.add_argument(
        "--model", choices=("linear", "mlp"), help="without hidden layers, or with"
    )
    options.add_argument(
        "--hidden", type=_widths, metavar="WIDTHS", help="of the hidden layers, as 512,128,64"
    )
    options.add_argument("--activation", metavar="NAME", help="relu, gelu, tanh, sigmoid, ...")
    options.add_argument(
        "--batch-norm",
        action=argparse.BooleanOptionalAction,
        help="normalise before each activation",
    )
    options.add_argument("--dropout", type=float, metavar="P", help="behind each activation")
    options.add_argument("--dropconnect", type=float, metavar="P", help="of hidden layers' weights")


def _training(options: argparse._ActionsContainer) -> None:
    options.add_argument("--optimizer", metavar="NAME", help="sgd, adam, adamw, rmsprop, ada...")
    options.add_argument("--momentum", type=float, help="of sgd and rmsprop")
    options.add_argument("--weight-decay", type=float, help="of the optimizer")
    options.add_argument(
        "--schedule",
        metavar="NAME",
        help="of lr: constant, cosine, linear, step, exponential, one-cycle, or plateau, which "
        "goes by a tenth of the rows, kept aside",
    )
    options.add_argument("--lr", type=float, help="the learning rate of the first epoch")
    options.add_argument("--epochs", type=int, help="how many times to go over the data")
    options.add_argument("--batch-size", type=int, help="rows in a step")
    options.add_argument(
        "--l1", type=float, help="this times the sum of |weights| is added to the loss"
    )
    options.add_argument("--l2", type=float, help="this times the sum of their squares is")
    options.add_argument(
        "--clip-grad",
        type=float,
        metavar="NORM",
        help="gradients of a larger norm are scaled down to this one",
    )
    options.add_argument(
        "--class-weight",
        choices=("balanced",),
        help="errors weigh as if all classes had as many rows",
    )
    options.add_argument(
        "--early-stopping",
        type=int,
        metavar="N",
        help="stop after N epochs without a better loss on a tenth of the rows, kept aside, and "
        "keep the best weights",
    )
    options.add_argument("--seed", type=int, help="decides all that is drawn; default 0")


def _folder(command: argparse.ArgumentParser, nargs: str | None = None) -> None:
    command.add_argument("folder", nargs=nargs, type=Path, metavar="DIR", help="that train left")


def _threads(options: argparse._ActionsContainer) -> None:
    options.add_argument("--threads", type=int, help="processors to use; by default, all there are")


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"widths are whole numbers with commas between, as 512,128,64, not {text!r}"
        ) from None
