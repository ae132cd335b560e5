"""`Optimizer`: what all optimizers share. Each of them is its hyperparameters and its update ops."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import tape
from ..kernels.layout import FLOAT64
from ..ops.arithmetic import add_, zero_
from ..ops.update import Update
from ..ops.values import as_array, constant, from_array
from ..tape import Value
from .group import FINITE, PAIRS, ParamGroup, Range, checked


class Optimizer:
    """Changes parameters by their gradients, group by group, one update op per parameter.

    A subclass declares in which ``ranges`` its hyperparameters may be, the ``updates`` it uses, and
    by `choose` which one a group takes; the op's own signature says which state and which numbers
    it wants. Or it overrides `step`, with ``self.param_groups`` and ``self.state`` as in PyTorch.

    ``params`` are tensors, (name, tensor) pairs, or dicts ``{"params": tensors, "lr": 0.1}``, one a
    group. Parameters without a gradient are left alone, and so is their state.

    Raises ValueError for no parameters, a parameter given twice, or one that is no leaf; TypeError
    for what is no floating tensor.
    """

    ranges: ClassVar[Mapping[str, Range]] = {}
    updates: ClassVar[Sequence[Update]] = ()
    counts: ClassVar[bool] = True  # whether every parameter's state has a `step`, as in PyTorch

    def __init__(self, params: Any, defaults: Mapping[str, Any]):
        if isinstance(params, Value):
            raise TypeError(
                f"{self.name}: params must be a list of tensors, or of dicts, not one tensor; write "
                f"{self.name}([x])"
            )
        given = list(params)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.defaults = dict(defaults)
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[ParamGroup] = []
        for group in groups:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(f"{self.name}: the list of parameters is empty")

    @property
    def name(self) -> str:
        """What it is called in errors: the name of its class."""
        return type(self).__name__

    def choose(self, group: Mapping[str, Any]) -> Update:
        """The update that a group with these hyperparameters takes."""
        raise NotImplementedError(f"{self.name} must say by choose(group) which update it makes")

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for hyperparameters that exclude each other."""

    def initial(self, name: str, parameter: Any, group: Mapping[str, Any]) -> np.ndarray:
        """What a parameter's state is before its first update."""
        return np.zeros(parameter.shape, parameter.dtype)

    def first_step(self, state: Mapping[str, Any]) -> float:
        """How many updates a state without a count has seen."""
        return 0.0

    # --- training --------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with ``set_to_none=False`` overwrite them with 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach()
                    zero_(parameter.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what ``closure()`` did, if given.

        Raises ValueError, before anything is changed, for a gradient of another shape or dtype than
        its parameter's.
        """
        loss = None
        if closure is not None:
            with tape.grad_mode(True):
                loss = closure()
        ready = [
            (group, [p for p in group["params"] if p.grad is not None])
            for group in self.param_groups
        ]
        for _, parameters in ready:
            for parameter in parameters:
                self._check_gradient(parameter)
        with tape.grad_mode(False):
            for group, parameters in ready:
                self._update(group, parameters)
        return loss

    def _check_gradient(self, parameter: Any) -> None:
        gradient = parameter.grad
        if gradient.layout is not parameter.layout and (
            gradient.shape != parameter.shape or gradient.dtype != parameter.dtype
        ):
            raise ValueError(
                f"{self.name}: a gradient is {gradient.dtype} of shape {gradient.shape}, its "
                f"parameter {parameter.dtype} of shape {parameter.shape}"
            )

    def _update(self, group: ParamGroup, parameters: list[Any]) -> None:
        update = self.choose(group)
        flags = {flag: bool(group[flag]) for flag in update.params}
        states = self._states(update, group, parameters)
        for parameter, state in zip(parameters, states, strict=True):
            rest = [state[n] if n in state else group.cells[n] for n in update.inputs[2:]]
            tape.apply(update, (parameter, parameter.grad, *rest), flags)

    # --- state -------------------------------------------------------------------------------------------

    def _states(
        self, update: Update, group: ParamGroup, parameters: list[Any]
    ) -> list[dict[str, Any]]:
        """The states for the next update of ``parameters``, made where they are missing.

        This is the one place where state comes from. It is memory, not computation: no op makes it,
        and so no recording of a step begins it anew.
        """
        states = [self.state[parameter] for parameter in parameters]
        if self.counts or "step" in update.numbers:
            self._count(group, states)
        for parameter, state in zip(parameters, states, strict=True):
            for name in update.state:
                if name not in state:
                    state[name] = from_array(self.initial(name, parameter, group))
        return states

    def _count(self, group: ParamGroup, states: list[dict[str, Any]]) -> None:
        """Add 1 to the step counts.

        Parameters of a group that have always been updated together share one count, a cell: one op
        advances it. Those updated now leave the cells of those that are not.
        """
        now = {id(state) for state in states}
        others = [self.state[p] for p in group["params"] if p in self.state]
        idle = {id(s["step"]) for s in others if id(s) not in now and "step" in s}
        cells: dict[Any, Any] = {}
        for state in states:
            if "step" not in state:
                key: Any = self.first_step(state)
                state["step"] = cells.get(key) or _cell(key)
            key = 
        for cell in cells.values():
            tape.apply(add_, (cell, constant(1.0, FLOAT64)))
