"""Training: `fit` and `evaluate`, what is done between epochs, what is left, and pictures of it."""

from .callbacks import Callback, Checkpoint, EarlyStopping, Run
from .checkpoint import load_checkpoint, save_checkpoint
from .fit import evaluate, fit
from .history import History
from .loggers import CSVLogger, JSONLogger, TensorBoard
from .metrics import METRICS, TopK, confusion_matrix
from .objective import Penalty
from .plots import boundary, curves, mistakes, surface
from .sigint import Interrupted

__all__ = [
    "METRICS",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Interrupted",
    "JSONLogger",
    "Penalty",
    "Run",
    "TensorBoard",
    "TopK",
    "boundary",
    "confusion_matrix",
    "curves",
    "evaluate",
    "fit",
    "load_checkpoint",
    "mistakes",
    "save_checkpoint",
    "surface",
]
