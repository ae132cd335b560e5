"""The compiled step, to be read in the order in which it comes about.

``ir.py``         what a program is: buffers, instructions on them, and when it is well-formed
``capture.py``    a function is run once; every op that it applies becomes an instruction
``passes/``       what nobody needs is left out, what goes over memory together is joined
``schedule.py``   in which phase each kernel runs, and on which threads
``arena.py``      where what it makes lies in memory
``bind.py``       the table that ``kernels/runtime/executor.py`` runs through
``compiled.py``   `compile`: which program a call takes; ``arguments.py``, ``guard.py``, ``kind.py``
``interpret.py``  the same program run slowly and obviously, for tests
``text.py``       a program in print; ``explain.py`` and ``measure.py`` say what it costs
"""

from .capture import CaptureError
from .compiled_function import CompiledFunction, compile

__all__ = ["CaptureError", "CompiledFunction", "compile"]
