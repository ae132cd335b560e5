"""Calling a module with hooks before, behind, and on the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..autograd import modes
from ..autograd.function import Function
from ..autograd.tape import Value


def call_with_hooks(
    module: Any, hooks: Mapping[str, Mapping[int, Any]], args: tuple[Any, ...], kwargs: Any
) -> Any:
    """``module.forward(*args, **kwargs)`` between its hooks."""
    for hook in list(hooks["forward_pre"].values()):
        replaced = hook(module, args)
        if replaced is not None:
            args = replaced if isinstance(replaced, tuple) else (replaced,)
    watch = None
    if hooks["backward"] and modes.is_grad_enabled():
        watch = _Watch(module, list(hooks["backward"].values()))
        args = watch.inputs(args)
    output = module.forward(*args, **kwargs)
    for hook in list(hooks["forward"].values()):
        replaced = hook(module, args, output)
        output = output if replaced is None else replaced
    return output if watch is None else watch.outputs(output)


class _Gate(Function):
    """The same tensors; on the way back ``then`` sees their gradients, and may replace them."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any, then: Callable[..., Any]) -> Any:
        ctx.then = then
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return tuple(ctx.then(gradients))


class _Watch:
    """One call of a module with backward hooks: gates on its inputs and outputs."""

    def __init__(self, module: Any, hooks: Sequence[Callable[..., Any]]):
        self.module, self.hooks = module, hooks
        self.places: list[int] = []  # of the inputs that require a gradient
        self.width = 0  # how many inputs there are
        self.grad_output: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, those that require a gradient through a gate."""
        self.width, self.places = len(args), _with_gradient(args)
        return _through(args, self.places, self.at_inputs)

    def outputs(self, output: Any) -> Any:
        """The output, a tensor or a tuple, through a gate."""
        parts = output if isinstance(output, tuple) else (output,)
        if not all(isinstance(part, Value) for part in parts):
            raise TypeError(
                f"{type(self.module).__name__} has a backward hook, so forward must return a "
                f"tensor or a tuple of tensors, not {type(output).__name__}"
            )
        places = _with_gradient(parts)

        def at_outputs(gradients: Sequence[Any]) -> Sequence[Any]:
            self.grad_output = _spread(gradients, places, len(parts))
            if not self.places:  # no input's gradient will come: this is the end
                self.call((None,) * self.width)
            return gradients

        passed = _through(parts, places, at_outputs)
        return passed if isinstance(output, tuple) else passed[0]

    def at_inputs(self, gradients: Sequence[Any]) -> Sequence[Any]:
        result = self.call(_spread(gradients, self.places, self.width))
        return [result[place] for place in self.places]

    def call(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.hooks:
            replaced = hook(self.module, grad_input, self.grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
                if len(grad_input) != self.width:
                    raise RuntimeError(
                        f"a backward hook of {type(self.module).__name__} returned "
                        f"{len(grad_input)} gradients for {self.width} inputs"
                    )
        return grad_input


def _with_gradient(values: Sequence[Any]) -> list[int]:
    return [k for k, v in enumerate(values) if isinstance(v, Value) and v.requires_grad]


def _through(values: tuple[Any, ...], places: list[int], then: Any) -> tuple[Any, ...]:
    if not places:
        return values
    passed = _Gate.apply(*(values[k] for k in places), then=then)
    passed = dict(zip(places, passed if isinstance(passed, tuple) else (passed,), strict=True))
    return tuple(passed.get(k, value) for k, value in enumerate(values))


def _spread(gradients: Sequence[Any], places: list[int], width: int) -> tuple[Any, ...]:
    at = dict(zip(places, gradients, strict=True))
    return tuple(at.get(k) for k in range(width))
