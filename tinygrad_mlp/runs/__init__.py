"""A training run and its folder, for the command line and for Python.

The way of ``tinygrad-mlp train digits``, file by file, in reading order:

1. ``config.py``      ``Settings``: all options of a run, with the defaults of the dataset
2. ``build.py``       names of layers, optimizers and schedules -> the objects
3. ``experiment.py``  ``create_experiment()`` loads the data and builds model and optimizer;
                      ``Experiment.run()`` trains, evaluates, and returns a ``Result``
4. ``run_folder.py``  the files of a run and its scores; ``open_run()`` returns a ``SavedRun``,
                      which evaluates and predicts

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     result = create_experiment("xor", epochs=2, out=folder).run(progress=False)
...     run = open_run(folder)
>>> len(result.history), len(run.model)
(2, 5)
"""

from .config import Settings
from .experiment import Experiment, Result, create_experiment
from .run_folder import SavedRun, open_run

__all__ = ["Experiment", "Result", "SavedRun", "Settings", "create_experiment", "open_run"]
