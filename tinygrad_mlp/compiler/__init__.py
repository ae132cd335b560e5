"""The compiler: ``tg.compile`` turns a function of tensors into a program that runs natively.

The way of the first call, in reading order:

``ir.py``                 what a program is made of: buffers, regions, instructions
``compiled_function.py``  `CompiledFunction.__call__`: look up a specialization, or capture one
``guards.py``             the Python state that decides whether a program may run again
``reachable.py``          finds that state: modules, optimizers, variables that are named
``signature.py``          what of the arguments decides it: shapes, dtypes, Python values
``capture.py``            runs the function once, and records every op as an instruction
``tracer.py``             follows the user's code meanwhile, for the Python state that it reads and
                          changes, and for what it may not read
``watches.py``            finds that state; ``watch.py``: one value of it
``outside.py``            what a step may not read: random numbers, clocks, files
``origin.py``             whether code is the user's, a library's or this package's
``memory_map.py``         the buffers that the capture has met, by their addresses
``errors.py``             `CaptureError`, of a step that cannot be compiled
``specialization.py``     a captured call with its guards; calls ``passes/`` and ``executable.py``
``passes/``               dead code, repetitions, state writes, fusion
``schedule.py``           the phase and the threads of each kernel
``memory_plan.py``        where temporary buffers lie in the arena
``executable.py``         a program with memory: calls the two before, writes the argument words of
                          the kernels and the table that ``kernels/runtime/executor.py`` runs
``autotune.py``           measures whether a program is faster on one thread or on all of them

A later call checks guards and signature (``compiled_function.py``) and runs `Specialization.run` ->
`Executable.run` -> ``kernels/runtime/executor.py``.

To look at a program:

``printer.py``            a program as text
``profile.py``            the time of each kernel
``explain.py``            costs, guards and frozen values of a step
"""

from .compiled_function import CompiledFunction, compile
from .errors import CaptureError

__all__ = ["CaptureError", "CompiledFunction", "compile"]
