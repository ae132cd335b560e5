"""The command line: parse the arguments, call a command, print its results.

The way of ``tinygrad-mlp train file.csv``, file by file, in reading order:

1. ``cli/__init__.py``       ``main()`` parses the arguments, calls the command, prints errors
2. ``cli/parser.py``         the commands and their options
3. ``cli/commands.py``       ``train()`` calls what follows and prints the scores; the other
                             commands are there too
4. ``runs/config.py``        ``Settings.for_dataset``: the options and the dataset's defaults
5. ``cli/warmup.py``         compiles kernels before they are needed, also in the background
6. ``runs/experiment.py``    ``create_experiment()`` loads the data (see ``data/__init__.py``)
                             and builds model and optimizer (see ``runs/__init__.py``)
7. ``train/fit.py``          the training loop, called by ``Experiment.run``; then
                             ``compute_scores`` (``runs/run_folder.py``) and the plots

``cli/study.py`` is the command that shows a backward pass in a browser.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Collection, Sequence
from dataclasses import fields

from .._common.files import WITHOUT_NAME
from .._common.startup import imported
from ..runs import Settings
from ..train.progress import discard_stdout
from .parser import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (by default those of the process).

    Returns:
        The exit code: 0 after success, 1 after an error, which is printed as one line on stderr,
        130 after Ctrl-C. Arguments that cannot be parsed exit with 2.
    """
    options = Namespace(debug=False)
    try:
        imported()
        options = parser().parse_args(arguments)
        code: int = options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("tinygrad-mlp: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the pipe has closed it, as `head` does
        discard_stdout()
        return 0
    except Exception as error:
        if options.debug:
            raise
        # A hint of any command may name an option of train: "train with missing='mean'".
        known = {*vars(options), "resume", "overwrite", *(field.name for field in fields(Settings))}
        text = _with_options(_message(error), known - POSITIONAL)
        print(f"tinygrad-mlp: error: {text}", file=sys.stderr)
        return 1
    return code


def _message(error: Exception) -> str:
    """Return the message of ``error`` on one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {str(error.filename2 or error.filename)!r}"
    elif isinstance(error, OSError) and error.errno in WITHOUT_NAME:  # errors of files have names
        text = f"cannot write to standard output: {error.strerror}"
    if not text and isinstance(error, MemoryError):
        return "out of memory"
    return " ".join(text.split()) or type(error).__name__


ARGUMENT = re.compile(r"""(?<= )(\w+)=('[^']*'|"[^"]*"|\[[^]]*\]|[\w.+-]+)""")
OMIT = re.compile(r"\bomit (\w+)")
SUBJECT = re.compile(r"^(\w+)(?= must be )")
NO_OPTION = re.compile(r"^no option of (.+) is called '(\w+)'(; the names are: .*)?")
POSITIONAL = {"command", "dataset", "file", "folder"}
"""Arguments that are written without an option."""


def _with_options(text: str, known: Collection[str]) -> str:
    """Return ``text`` with Python arguments rewritten as command-line options, if ``known``.

    These are ``name=value``, names to ``omit``, and the name that a message begins with.

    >>> _with_options("leave it out: write ignore=['row id'] or missing='drop'", ["ignore"])
    "leave it out: write --ignore 'row id' or missing='drop'"
    >>> _with_options("write resume=True to continue it", ["resume"])
    'write --resume to continue it'
    >>> _with_options("it determines the network; omit batch_norm", ["batch_norm"])
    'it determines the network; omit --batch-norm'
    >>> _with_options("batch_size must be at least 1, got 0", ["batch_size"])
    '--batch-size must be at least 1, got 0'
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in known:
            return found[0]
        flag = f"--{name.replace('_', '-')}"
        if value == "True":
            return flag
        try:
            values = ast.literal_eval(value) if value[0] in "'\"[" else value
        except (SyntaxError, ValueError):  # a name with brackets in it
            return found[0]
        each = values if isinstance(values, list) else [values]
        return " ".join(f"{flag} {shlex.quote(str(value))}" for value in each)

    def named(found: re.Match[str]) -> str:
        name = found[1]
        return found[0].replace(name, f"--{name.replace('_', '-')}") if name in known else found[0]

    def refused(found: re.Match[str]) -> str:
        name = found[2]
        return f"{found[1]} takes no --{name.replace('_', '-')}" if name in known else found[0]

    text = NO_OPTION.sub(refused, SUBJECT.sub(named, text))
    return OMIT.sub(named, ARGUMENT.sub(option, text))
