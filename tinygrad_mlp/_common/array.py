"""The type of a NumPy array whose dtype and shape the docstring states."""

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
