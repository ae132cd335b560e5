"""Training: `fit` and `evaluate`, the history that they leave, and pictures of it."""

from .history import History
from .loop import evaluate, fit
from .plots import boundary, curves

__all__ = ["History", "boundary", "curves", "evaluate", "fit"]
