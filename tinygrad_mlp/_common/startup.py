"""Ctrl-C and errors while the command line is imported: no traceback, and a status.

Ctrl-C ends the process quietly, with status 130; an error, such as no memory, is one line.

The package imports this module before all others. It changes nothing unless the process runs
``tinygrad-mlp`` or ``python -m tinygrad_mlp``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType


def _runs_command_line() -> bool:
    program = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    if program == "-m":
        return not {"tinygrad_mlp", "-mtinygrad_mlp"}.isdisjoint(sys.orig_argv)
    return program.startswith("tinygrad-mlp")


def imported() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, and uncaught errors print their traceback."""
    _replace(_end, signal.default_int_handler)
    if sys.excepthook is _report:
        sys.excepthook = sys.__excepthook__


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(130)


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    text = " ".join(str(error).split()) or "out of memory"
    print(f"tinygrad-mlp: error: the package cannot be imported: {text}", file=sys.stderr)


def _replace(old: object, new: signal._HANDLER) -> None:
    with contextlib.suppress(ValueError):  # in another thread than the main one
        if signal.getsignal(signal.SIGINT) is old:
            signal.signal(signal.SIGINT, new)


if _runs_command_line():
    _replace(signal.default_int_handler, _end)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _report
