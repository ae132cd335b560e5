"""Where Python code comes from: this package, a library, or the user.

Only the user's code is watched during a capture, and only its lines are named in messages.
"""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

PACKAGE, LIBRARY, USER = "package", "library", "user"

_PACKAGE_FOLDER = str(Path(__file__).parent.parent)
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_INSTALLED = re.compile(r"(?:site|dist)-packages[/\\](\w+)")
_LIBRARIES = {"numpy", "numba", "llvmlite", "safetensors", "rich"}  # what this package uses
known: dict[str, str] = {}  # origins by file


def origin(code: CodeType, variables: Mapping[str, Any]) -> str:
    """Return where a function comes from: `PACKAGE`, `LIBRARY` or `USER`.

    ``variables`` are its globals: generated code, such as a dataclass's ``__init__``, has no file.
    """
    file = code.co_filename
    if file == "<string>":
        if str(variables.get("__name__")).startswith("namedtuple_"):
            return LIBRARY
        file = variables.get("__file__") or file
    found = known.get(file)
    if found is None:
        found = known[file] = origin_of_file(file)
    return found


def origin_of_frame(frame: FrameType) -> str:
    """Return where the function of a frame comes from."""
    return origin(frame.f_code, frame.f_globals)


def origin_of_file(file: str) -> str:
    """Return where a file of code comes from."""
    if file.startswith(_PACKAGE_FOLDER):
        return PACKAGE
    installed = _INSTALLED.search(file)
    if installed is not None:
        return LIBRARY if installed.group(1) in _LIBRARIES else USER
    return LIBRARY if file.startswith((*_STANDARD, "<frozen ")) else USER


def caller(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame that is not a library's."""
    while frame is not None and origin_of_frame(frame) == LIBRARY:
        frame = frame.f_back
    return frame


def user_line(frame: FrameType | None) -> str:
    """Return the innermost line of the user's code, in words."""
    for each, _ in traceback.walk_stack(frame):
        if origin_of_frame(each) == USER:
            return place(each.f_code, each.f_lineno)
    return "in the step"


def place(code: CodeType, line: int) -> str:
    """Return a line of a function in words."""
    return f"in {code.co_name}, {code.co_filename}:{line}"
