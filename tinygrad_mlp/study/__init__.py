"""Everything that explains: gradients checked against differences, tapes printed."""

from .gradcheck import gradcheck
from .summary import summary
from .tape import tape

__all__ = ["gradcheck", "summary", "tape"]
