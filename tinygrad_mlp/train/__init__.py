"""Training: `fit` and `evaluate`, callbacks, metrics, history, checkpoints and plots.

From `tg.fit` to one step, in the order in which to read::

    fit(model, optimizer, (x, y))  fit.py         checks the arguments, builds what follows
      Samples                      validation.py  inputs and targets that passed the checks
      Objective                    objective.py   the loss to minimise, the metrics to measure
      Trainer.run()                trainer.py     the loop over epochs; the argument of callbacks
        TrainEpoch.run()           epoch.py       all batches of one epoch, natively in slices
          TrainEpoch.step()        epoch.py       one batch: forward, loss, backward, update
            RunningMeans.add()     metrics.py     adds the batch to the mean loss and metrics
        Epoch.run()                epoch.py       the same for validation data, without updates

`evaluate` runs one `Epoch`. The loop uses ``callbacks.py`` and ``loggers.py`` (called between
epochs), ``progress.py`` (bar and lines), ``sigint.py`` (Ctrl-C ends the epoch first) and
``nonfinite.py`` (finds the layer that made a loss inf or nan). Results are in ``history.py``,
``checkpoint.py``, ``predict.py`` and ``plots.py``.
"""

from .callbacks import Callback, Checkpoint, EarlyStopping
from .checkpoint import load_checkpoint, save_checkpoint
from .fit import evaluate, fit
from .history import History
from .loggers import CSVLogger, JSONLogger, TensorBoard
from .metrics import METRICS, TopK, confusion_matrix
from .objective import Penalty
from .plots import boundary, curves, mistakes, surface
from .sigint import Interrupted
from .trainer import Trainer

__all__ = [
    "METRICS", "CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "History", "Interrupted",
    "JSONLogger", "Penalty", "TensorBoard", "TopK", "Trainer", "boundary", "confusion_matrix",
    "curves", "evaluate", "fit", "load_checkpoint", "mistakes", "save_checkpoint", "surface",
]  # fmt: skip
