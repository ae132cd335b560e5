"""Training: `fit` and `evaluate`, callbacks, metrics, history, checkpoints and plots.

From `tg.fit` to one step, in the order in which to read::

    fit(model, optimizer, (x, y))  fit.py            checks the arguments, builds what follows
      Samples                      validation.py     inputs and targets that passed the checks
      Batches                      data/batching.py  the order of the rows in each epoch
      Objective                    objective.py      the loss to minimise, the metrics to measure
      Trainer.run()                trainer.py        the loop over epochs; passed to callbacks
        TrainEpoch.run()           epoch.py          all batches of one epoch
          TrainEpoch.step()        epoch.py          one batch: forward, loss, backward, update
            RunningMeans.add()     metrics.py        adds the batch to the mean loss and metrics
          CompiledFunction         compiler/         captures the step, runs slices of batches
        Epoch.run()                epoch.py          the same for validation data, without updates

`evaluate` runs one `Epoch`. The loop uses ``callbacks.py`` and ``loggers.py`` (called at the start,
after each batch, after each epoch and at the end), ``progress.py`` (bar and lines), ``sigint.py``
(Ctrl-C stops after the current epoch) and ``nonfinite.py`` (finds the layer that made a loss inf or
nan). The history is in ``history.py``; ``checkpoint.py`` saves a training, ``exclusive.py`` locks
its file, ``predict.py`` computes outputs, ``plots.py`` draws.
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
