"""The compiled step: capture -> passes -> schedule -> arena -> run."""

from .capture import CaptureError
from .compiled import CompiledFunction, compile

__all__ = ["CaptureError", "CompiledFunction", "compile"]
