"""Values from outside of the program: random numbers, clocks, files, the environment.

A step that reads one would repeat the value of its capture for ever. `outside_call` recognizes the
C functions that read them, `outside_code` the Python functions.
"""

from __future__ import annotations

import _random
import concurrent.futures
import datetime
import gc
import io
import os
import signal
import threading
from types import CodeType, FrameType, ModuleType
from typing import Any

from .origin import USER, caller, origin_of_frame

# C functions by module; None: all.
_FUNCTIONS: dict[str, tuple[str, set[str] | None]] = {
    "time": (
        "the clock",
        {
            *("time", "perf_counter", "monotonic", "process_time", "thread_time", "clock_gettime"),
            *("time_ns", "perf_counter_ns", "monotonic_ns", "process_time_ns", "thread_time_ns"),
            *("clock_gettime_ns", "localtime", "gmtime", "ctime", "asctime", "strftime"),
        },
    ),
    "os": (
        "the system",
        {
            *("open", "read", "pread", "readv", "readlink", "listdir", "scandir", "stat", "lstat"),
            *("fstat", "access", "getcwd", "times", "getloadavg", "cpu_count", "statvfs", "popen"),
        },
    ),
    "io": ("a file", {"open", "open_code"}),
    "builtins": ("the keyboard", {"input"}),
    "_uuid": ("a random identifier", None),
    "_posixsubprocess": ("another process", None),
    "_socket": ("the network", None),
}
_ALIASES = {"posix": "os", "nt": "os", "_io": "io"}
_READS = {"read", "read1", "readline", "readlines", "readinto", "readall", "peek"}
_NOW = {"now", "utcnow", "today"}
# Modules that read clocks and files for themselves: to log, to warn, to import, to compile.
_EXEMPT = {
    *("numba", "llvmlite", "typing_extensions"),
    *("logging", "warnings", "linecache", "traceback", "tokenize", "importlib", "inspect"),
    *("_frozen_importlib", "_frozen_importlib_external", "zipimport", "threading", "gc"),
}
_ENVIRONMENT, _THREAD = "os.environ is read", "code runs in another thread"
_CODES: dict[CodeType, str] = {
    method.__code__: what
    for what, owner, names in (
        (_ENVIRONMENT, type(os.environ), ("__getitem__", "__iter__", "__len__")),
        (_THREAD, threading.Thread, ("start",)),
        (_THREAD, concurrent.futures.ThreadPoolExecutor, ("submit",)),
        (_THREAD, concurrent.futures.ProcessPoolExecutor, ("submit",)),
    )
    for name in names
    if (method := getattr(owner, name, None)) is not None
}


def outside_call(function: Any) -> str:
    """Return what a C function reads from outside, in words, or ""."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, ModuleType):
        module = _ALIASES.get(owner.__name__, owner.__name__)
        if module == "os" and name in ("urandom", "getrandom"):
            return f"{name}() draws random bytes"
        what, names = _FUNCTIONS.get(module, ("", set()))
        return f"{name}() reads {what}" if names is None or name in names else ""
    if isinstance(owner, _random.Random):
        return f"{name}() uses Python's random numbers"
    if isinstance(owner, type) and issubclass(owner, datetime.date) and name in _NOW:
        return f"{owner.__name__}.{name}() reads the clock"
    if isinstance(owner, io.IOBase) and name in _READS:
        return "" if isinstance(owner, (io.StringIO, io.BytesIO)) else f"{name}() reads a file"
    return ""


def outside_code(code: CodeType) -> str:
    """Return what a function of the standard library reads from outside, in words, or ""."""
    return _CODES.get(code, "")


def is_step_code(frame: FrameType, base: FrameType) -> bool:
    """Return whether ``frame``, called from ``base``, runs for the step.

    Not for a logger, a compiler or an import, and not because Python called it at any moment: a
    finalizer, a callback of the garbage collector, a handler of a signal.
    """
    callbacks = [*gc.callbacks, *map(signal.getsignal, signal.valid_signals())]
    codes = {id(code) for each in callbacks if (code := getattr(each, "__code__", None))}
    each: FrameType | None = frame
    while each is not None and each is not base:
        module = str(each.f_globals.get("__name__", "")).split(".")[0]
        code = each.f_code
        if module in _EXEMPT or code.co_name in ("<module>", "__del__") or id(code) in codes:
            return False
        each = each.f_back
    return True


def returns_to_user(frame: FrameType, base: FrameType) -> bool:
    """Return whether what is called in ``frame`` can return a value to the user's code.

    Not where this package called it for its own use.
    """
    outer = caller(frame)
    return outer is not None and origin_of_frame(outer) == USER and is_step_code(frame, base)
