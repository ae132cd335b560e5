"""The compiler: ``tg.compile`` turns a function of tensors into a program that runs natively.

The way of the first call, in reading order:

``ir.py``                 what a program is made of: buffers, regions, instructions
``compiled_function.py``  `CompiledFunction.__call__`: look up a specialization, or capture one
``guards.py``             the Python state that decides whether a program may run again
``reachable.py``          finds that state: modules, optimizers and variables the function names
``signature.py``          what of the arguments decides it: shapes, dtypes, Python values
``capture.py``            runs the function once, and records every op as an instruction
``specialization.py``     a captured call with its guards; optimizes the program and makes it run:
``passes/``               dead code, repetitions, state writes, fusion
``executable.py``         argument words, and the table that ``kernels/runtime/executor.py`` runs
``schedule.py``           for it: the phase and the threads of each kernel
``memory_plan.py``        for it: where temporary buffers lie in the arena
``autotune.py``           measures whether one thread or all of them are faster

A later call checks guards and signature (``compiled_function.py``) and runs `Specialization.run` ->
`Executable.run` -> ``kernels/runtime/executor.py``.

To look at a program:

``printer.py``            a program as text
``profile.py``            the time of each kernel
``explain.py``            costs, guards and frozen values of a step
"""

from .capture import CaptureError
from .compiled_function import CompiledFunction, compile

__all__ = ["CaptureError", "CompiledFunction", "compile"]
