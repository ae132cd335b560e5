"""The compiler: ``tg.compile`` turns a function of tensors into a program that runs natively.

In reading order, the way of the first call:

``ir.py``                 what a program is made of: buffers, regions, instructions
``reachable.py``          what the function reaches by name: modules, optimizers, variables
``guards.py``             which of these decide whether a program may run again
``signature.py``          what of the arguments decides it
``capture.py``            the function runs once, and every op that it applies is an instruction
``passes/``               dead code, repetitions, state writes, fusion
``schedule.py``           the phase and the threads of each kernel
``memory_plan.py``        where temporary buffers lie in the arena
``executable.py``         argument words, and the table that ``kernels/runtime/executor.py`` runs
``autotune.py``           one thread or all of them

A later call compares guards and signature, binds its tensors to the program, and runs it:

``specialization.py``     the program of one signature and one state of the guards
``compiled_function.py``  `compile` and `CompiledFunction`: look up a specialization or capture one

To look at a program:

``printer.py``            a program as text
``profile.py``            the time of each kernel
``explain.py``            costs, guards and frozen values of a step
"""

from .capture import CaptureError
from .compiled_function import CompiledFunction, compile

__all__ = ["CaptureError", "CompiledFunction", "compile"]
