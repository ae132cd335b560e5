"""Which layer made the first number that is no number any more."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from ..autograd.tape import Value
from ..autograd.values import as_array
from ..nn import Module
from ..ops.random import get_rng_state, set_rng_state


class _Found(Exception):
    """Ends the forward pass."""


def first_not_finite(model: Module, x: Any) -> str:
    """The first layer of ``model`` whose output for ``x`` is inf or nan, said in words.

    The model runs once more, layer by layer; it and the random numbers stay as they are.
    """
    names = {id(module): name for name, module in model.named_modules()}
    found = "every layer's output is finite: it came about in the loss itself"

    def look(module: Module, inputs: Any, output: Any) -> None:
        nonlocal found
        if isinstance(output, Value) and not np.isfinite(as_array(output)).all():
            name = names[id(module)]
            which = f"layer {name!r} ({type(module).__name__})" if name else "the model"
            found = f"the first output that is not finite is that of {which}"
            raise _Found

    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    rng = get_rng_state()
    leaves = [module for module in model.modules() if not any(True for _ in module.children())]
    hooks = [module.register_forward_hook(look) for module in leaves]
    try:
        with no_grad():
            model(x)
    except _Found:
        pass
    finally:
        for hook in hooks:
            hook.remove()
        set_rng_state(rng)
        with no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
    return found
