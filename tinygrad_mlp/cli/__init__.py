"""The command line: it parses, calls, and prints."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Collection, Sequence

from .parser import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (those of the process by default); returns its exit code.

    0 after success, 1 after an error, which is one line on stderr, 130 after Ctrl-C. What cannot
    be parsed exits with 2, as argparse does.
    """
    options = parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("tinygrad-mlp: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads the other end has seen enough, as `head` has
        from ..train.progress import discard_stdout

        discard_stdout()
        return 0
    except Exception as error:
        if options.debug:
            raise
        text = _in_options(_told(error), vars(options))
        print(f"tinygrad-mlp: error: {text}", file=sys.stderr)
        return 1
    return code


def _told(error: Exception) -> str:
    """What ``error`` says, on one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {str(error.filename2 or error.filename)!r}"
    return " ".join(text.split()) or type(error).__name__


ARGUMENT = re.compile(r"""(?<= )(\w+)=('[^']*'|"[^"]*"|\[[^]]*\]|[\w.+-]+)""")


def _in_options(text: str, known: Collection[str]) -> str:
    """``text`` with Python's arguments written as the options that are ``known``.

    >>> _in_options("leave it out: write ignore=['row id'] or missing='drop'", ["ignore"])
    "leave it out: write --ignore 'row id' or missing='drop'"
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in known:
            return found[0]
        try:
            values = ast.literal_eval(value) if value[0] in "'\"[" else value
        except (SyntaxError, ValueError):  # a name with brackets in it
            return found[0]
        each = values if isinstance(values, list) else [values]
        return " ".join(f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for value in each)

    return ARGUMENT.sub(option, text)
