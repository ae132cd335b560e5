"""Find the first layer whose output is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from ..autograd.tape import Value
from ..autograd.values import as_array
from ..nn import Module
from .validation import restore_state


class _NotFiniteOutput(Exception):
    """Ends the forward pass; its message describes the layer."""


def first_not_finite(model: Module, x: Any) -> str:
    """Return a description of the first layer of ``model`` whose output for ``x`` is inf or nan.

    The model runs once more, with a hook on each layer; its buffers and the random number
    generator are restored.
    """
    names = {id(module): name for name, module in model.named_modules()}

    def check_output(module: Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Value) and not np.isfinite(as_array(output)).all():
            name = names[id(module)]
            layer = f"layer {name!r} ({type(module).__name__})" if name else "the model"
            raise _NotFiniteOutput(f"the first output that is not finite is that of {layer}")

    leaves = [module for module in model.modules() if not any(True for _ in module.children())]
    hooks = [module.register_forward_hook(check_output) for module in leaves]
    try:
        with restore_state(model, always=True), no_grad():
            model(x)
    except _NotFiniteOutput as found:
        return str(found)
    finally:
        for hook in hooks:
            hook.remove()
    return "every layer's output is finite: the loss itself is not"
