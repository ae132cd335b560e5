"""Ctrl-C while the command line is imported: the process ends quietly, with status 130.

The package imports this module before all others. It changes nothing unless the process runs
``tinygrad-mlp`` or ``python -m tinygrad_mlp``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType


def _runs_command_line() -> bool:
    program = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    if program == "-m":
        return not {"tinygrad_mlp", "-mtinygrad_mlp"}.isdisjoint(sys.orig_argv)
    return program.startswith("tinygrad-mlp")


def raise_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    _replace(_end, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(130)


def _replace(old: object, new: signal._HANDLER) -> None:
    with contextlib.suppress(ValueError):  # in another thread than the main one
        if signal.getsignal(signal.SIGINT) is old:
            signal.signal(signal.SIGINT, new)


if _runs_command_line():
    _replace(signal.default_int_handler, _end)
