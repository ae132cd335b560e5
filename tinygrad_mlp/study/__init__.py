"""Everything that explains: gradients checked against differences, tapes printed."""

from .gradcheck import gradcheck
from .tape import tape

__all__ = ["gradcheck", "tape"]
