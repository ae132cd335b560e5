"""Calling a module with its forward pre-hooks, forward hooks and full backward hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..autograd.function import Function
from ..autograd.modes import is_grad_enabled
from ..autograd.tape import Value


def call_with_hooks(
    module: Any, hooks: Mapping[str, Mapping[int, Any]], args: tuple[Any, ...], kwargs: Any
) -> Any:
    """Return ``module.forward(*args, **kwargs)``, as the hooks before and after it change it."""
    for hook in list(hooks["forward_pre"].values()):
        replaced = hook(module, args)
        if replaced is not None:
            args = replaced if isinstance(replaced, tuple) else (replaced,)
    backward = None
    if hooks["backward"] and is_grad_enabled():
        backward = _BackwardHooks(module, list(hooks["backward"].values()))
        args = backward.at_inputs(args)
    output = module.forward(*args, **kwargs)
    for hook in list(hooks["forward"].values()):
        replaced = hook(module, args, output)
        output = output if replaced is None else replaced
    return output if backward is None else backward.at_outputs(output)


class _Identity(Function):
    """Return the tensors; in backward, call ``on_gradients``, which may replace the gradients."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any, on_gradients: Callable[..., Any]) -> Any:
        ctx.on_gradients = on_gradients
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return tuple(ctx.on_gradients(gradients))


class _BackwardHooks:
    """One call of a module with full backward hooks: an `_Identity` on its inputs and outputs."""

    def __init__(self, module: Any, hooks: Sequence[Callable[..., Any]]):
        self.module, self.hooks = module, hooks

    def at_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments; in backward their gradients go to the hooks."""
        self.count, self.differentiable = len(args), bool(_differentiable(args))
        return _identity(args, self._call)

    def at_outputs(self, output: Any) -> Any:
        """Return the output, a tensor or a tuple; in backward its gradients are kept."""
        parts = output if isinstance(output, tuple) else (output,)
        if not all(isinstance(part, Value) for part in parts):
            raise TypeError(
                f"{type(self.module).__name__} has a backward hook, so forward must return a "
                f"tensor or a tuple of tensors, not {type(output).__name__}"
            )
        results = _identity(parts, self._keep)
        return results if isinstance(output, tuple) else results[0]

    def _keep(self, grad_output: tuple[Any, ...]) -> tuple[Any, ...]:
        self.grad_output = grad_output
        if not self.differentiable:  # no gradient of an input will follow
            self._call((None,) * self.count)
        return grad_output

    def _call(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.hooks:
            replaced = hook(self.module, grad_input, self.grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
                if len(grad_input) != self.count:
                    raise RuntimeError(
                        f"a backward hook of {type(self.module).__name__} returned "
                        f"{len(grad_input)} gradients for {self.count} inputs"
                    )
        return grad_input


def _differentiable(values: Sequence[Any]) -> list[int]:
    """Return the places of the tensors that require a gradient."""
    return [k for k, v in enumerate(values) if isinstance(v, Value) and v.requires_grad]


def _identity(values: tuple[Any, ...], on_gradients: Callable[..., Any]) -> tuple[Any, ...]:
    """Return the values; in backward ``on_gradients`` may replace their gradients."""
    places = _differentiable(values)
    if not places:
        return values

    def of_places(gradients: Sequence[Any]) -> list[Any]:
        given = dict(zip(places, gradients, strict=True))
        replaced = on_gradients(tuple(given.get(k) for k in range(len(values))))
        return [replaced[k] for k in places]

    new = _Identity.apply(*(values[k] for k in places), on_gradients=of_places)
    tensors = dict(zip(places, new if isinstance(new, tuple) else (new,), strict=True))
    return tuple(tensors.get(k, value) for k, value in enumerate(values))
