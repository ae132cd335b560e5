"""The command line: it parses, calls, and prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .options import parser


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"tinygrad-mlp: error: {text}", file=sys.stderr)
        return 1
    return code
