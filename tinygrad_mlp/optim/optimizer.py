"""`Optimizer`: what all optimizers share. Each is its hyperparameters and its update ops."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .._common.change_counter import Watched, count_change
from ..autograd import modes, tape
from ..autograd.backward import forget_gradient
from ..autograd.tape import Params, Value
from ..autograd.values import as_array, constant, from_array
from ..kernels.runtime.layout import FLOAT64
from ..ops.elementwise.arithmetic import add_, zero_
from ..ops.fused.optimizer_update import Update
from . import state_dict as saved
from .param_group import FINITE, PAIRS, ParamGroup, Range

_ONE = constant(1.0, FLOAT64)


class State(Watched, defaultdict[Any, dict[str, Any]]):
    """What an optimizer remembers of each parameter; a compiled step is told of changes."""


_NOTHING: dict[str, Any] = {}


class _Call(NamedTuple):
    """An update of one parameter that will succeed: nothing is changed until it is made."""

    update: Update
    group: ParamGroup
    values: tuple[Any, ...]  # the parameter, its gradient, its state, the numbers
    made: dict[str, Any]  # the state that there was none of
    flags: Params


class Optimizer:
    """Changes parameters by their gradients, group by group, one update op per parameter.

    A subclass declares the ``ranges`` of its hyperparameters and the ``updates`` that it makes, and
    says by `choose` which of them a group takes; the signature of the op says which state and which
    numbers it wants. Or it overrides `step` and uses ``param_groups`` and ``state``, as in PyTorch.

    ``params`` are tensors, (name, tensor) pairs, or dicts ``{"params": tensors, "lr": 0.1}``, one a
    group. Parameters without a gradient are left alone, and so is their state.

    Raises ValueError for no parameters, one given twice, or one that is no leaf; TypeError for what
    is no floating tensor; both for hyperparameters out of range.
    """

    ranges: ClassVar[Mapping[str, Range]] = {}
    updates: ClassVar[Sequence[Update]] = ()
    counts: ClassVar[bool] = True  # whether all state has a `step`, wanted or not, as in PyTorch

    def __init__(self, params: Any, defaults: Mapping[str, Any]):
        if isinstance(params, Value):
            raise TypeError(
                f"{self.name}: params must be a list of tensors or of dicts, not one tensor; write "
                f"{self.name}([x])"
            )
        if isinstance(params, (set, frozenset)):
            raise TypeError(
                f"{self.name}: params must have an order, and a set has none; use a list"
            )
        given = list(params)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.defaults = dict(defaults)
        self.state: State = State(dict)
        self.param_groups: list[ParamGroup] = []
        for group in groups:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(f"{self.name}: the list of parameters is empty")

    @property
    def name(self) -> str:
        """What it is called in messages: the name of its class."""
        return type(self).__name__

    def choose(self, group: Mapping[str, Any]) -> Update:
        """The update that a group with these hyperparameters takes."""
        raise NotImplementedError(f"{self.name} must say, by choose(group), which update it makes")

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for hyperparameters that exclude each other."""

    def initial(self, name: str, parameter: Any, group: Mapping[str, Any]) -> np.ndarray:
        """What the state ``name`` of a parameter is before its first update."""
        return np.zeros(parameter.shape, parameter.dtype)

    def steps_before(self, state: Mapping[str, Any]) -> float:
        """How many updates a state without a `step` has seen."""
        return 0.0

    # --- training --------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with ``set_to_none=False`` overwrite them with 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    forget_gradient(parameter)
                elif parameter.grad is None:
                    if (record := modes.recording()) is not None:
                        record.guard_grad_is_none(parameter)
                else:
                    if not isinstance(parameter.grad, Value):
                        self._check_gradient("zero_grad", parameter)
                    if parameter.grad.requires_grad:
                        parameter.grad = parameter.grad.detach()
                    zero_(parameter.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what ``closure()`` did, if given.

        Raises, before any parameter, state or step count is changed: TypeError for a gradient that
        is no tensor; ValueError for one of another shape or dtype than its parameter's; either for
        state that does not fit its parameter.
        """
        loss = None
        if closure is not None:
            with modes.grad_mode(True):
                loss = closure()
        with modes.grad_mode(False):
            planned = [self._plan(group) for group in self.param_groups]
            for calls in planned:
                self._update(calls)
        return loss

    def _which(self, parameter: Any) -> str:
        """What a parameter is called in messages."""
        for number, group in enumerate(self.param_groups):
            for k, each in enumerate(group["params"]):
                if each is parameter and "param_names" in group:
                    return f"parameter {group['param_names'][k]!r}"
                if each is parameter:
                    return f"parameter {k} of group {number}"
        return "a parameter"

    def _check_gradient(self, method: str, parameter: Any) -> None:
        gradient, here = parameter.grad, f"{self.name}.{method}: the gradient of"
        if not isinstance(gradient, Value):
            raise TypeError(
                f"{here} {self._which(parameter)} must be a tensor, not {type(gradient).__name__}; "
                "write p.grad = tg.tensor(...)"
            )
        layout = gradient.layout
        if layout.shape != parameter.shape or layout.dtype != parameter.dtype:
            raise ValueError(
                f"{here} {self._which(parameter)} is {layout.dtype} of shape {layout.shape}, "
                f"its parameter {parameter.dtype} of shape {parameter.shape}"
            )

    def _plan(self, group: ParamGroup) -> list[_Call]:
        """The updates of a group, found to fit their gradients and states; nothing is changed.

        The one place that state comes from. Making it is no op: a recorded step that is run again
        goes on with its state, it does not begin anew.
        """
        calls: list[_Call] = []
        parameters = [p for p in group["params"] if p.grad is not None]
        if (record := modes.recording()) is not None:
            for parameter in group["params"]:
                if parameter.grad is None:
                    record.guard_grad_is_none(parameter)
        if not parameters:
            return calls
        update, flags = self._choice(group)
        if record is not None:
            record.add_guard(functools.partial(self._choice, group))
        numbers, names = {"step": _ONE, **group.cells}, update.inputs[2:]
        for parameter in parameters:
            gradient, state = parameter.grad, self.state.get(parameter, _NOTHING)
            if not isinstance(gradient, Value) or gradient.layout is not parameter.layout:
                self._check_gradient("step", parameter)
            missing = [name for name in update.state if name not in state]
            made = {name: from_array(self.initial(name, parameter, group)) for name in missing}
            known = {**numbers, **state, **made} if state or made else numbers
            values = (parameter, gradient, *[known[name] for name in names])
            try:
                if state and self.updates:
                    _check_tensors(state)
                update.plan_of(values, flags)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"{self.name}.step: the state of {self._which(parameter)} does not fit it: "
                    f"{error}. Nothing was changed; make the optimizer after what changes its "
                    "parameters, as model.double() does, or forget the state: "
                    "optimizer.state.clear()"
                ) from None
            calls.append(_Call(update, group, values, made, flags))
        return calls

    def _choice(self, group: ParamGroup) -> tuple[Update, Params]:
        """The update that a group takes, and its flags: made anew when the group was written to."""
        if group.choice is None:
            with modes.unrecorded():
                update = self.choose(group)
                group.choice = update, {flag: bool(group[flag]) for flag in update.params}
        chosen: tuple[Update, Params] = group.choice
        return chosen

    def _update(self, calls: list[_Call]) -> None:
        """Make the updates of a group: its step counts, then each parameter with its state."""
        states = [self.state[call.values[0]] for call in calls]
        counted = bool(calls) and (self.counts or "step" in calls[0].update.numbers)
        if counted:
            self._advance(calls[0].group, states)
        for (update, _, values, made, flags), state in zip(calls, states, strict=True):
            state.update(made)
            if counted:
                values = tuple(
                    state["step"] if name == "step" else value
                    for name, value in zip(update.inputs, values, strict=True)
                )
            tape.apply(update, values, flags)

    # --- state -----------------------------------------------------------------------------------

    def _advance(self, group: ParamGroup, states: list[dict[str, Any]]) -> None:
        """Add 1 to the step counts of ``states``.

        Parameters of a group that were always updated together share their count, so that one op
        advances it. Those that are updated now part from those that are not.
        """
        updated = {id(state) for state in states}
        known = [self.state[p] for p in group["params"] if p in self.state]
        idle = {id(s["step"]) for s in known if "step" in s and id(s) not in updated}
        fresh: dict[float, Any] = {}
        for state in states:
            cell = state.get("step")
            if cell is None or id(cell) in idle:
                steps = self.steps_before(state) if cell is None else as_array(cell).item()
                if steps not in fresh:
                    fresh[steps] = from_array(np.array(steps, FLOAT64))
                state["step"] = fresh[steps]
        for cell in {id(state["step"]): state["step"] for state in states}.values():
            tape.apply(add_, (cell, _ONE))

    # --- groups ----------------------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take on more parameters: ``{"params": tensors, "lr": 0.1}``, the rest by default."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(
                f'{self.name}: a parameter group is a dict {{"params": tensors, ...}}, not '
                f"{type(param_group).__name__} {param_group!r:.60}"
            )
        tensors, names = self._named(param_group["params"])
        self._check_parameters(tensors)
        values = {"params": tensors, **self.defaults, **param_group} | {"params": tensors}
        if names:
            values["param_names"] = names
        for group in self.param_groups:
            if group["params"] and tensors and ("param_names" in group) != bool(names):
                raise ValueError(f"{self.name}: give names for all parameters, or for none")
        ranges = {
            key: self.ranges.get(key, FINITE)
            for key, value in self.defaults.items()
            if key in self.ranges or key in PAIRS or type(value) is float
        }
        group = ParamGroup(self.name, values, ranges)
        self.check(group)
        self.param_groups.append(group)
        count_change()

    def _named(self, params: Any) -> tuple[list[Any], list[str]]:
        """A group's tensors, and their names if they come as (name, tensor) pairs."""
        if isinstance(params, (set, frozenset)):
            raise TypeError(
                f"{self.name}: params must have an order, and a set has none; use a list"
            )
        given = [params] if isinstance(params, Value) else list(params)
        pairs = [each for each in given if isinstance(each, tuple)]
        if pairs and len(pairs) < len(given):
            raise ValueError(f"{self.name}: give names for all parameters, or for none")
        tensors = [pair[1] for pair in pairs] or given
        return tensors, [pair[0] for pair in pairs]

    def _check_parameters(self, tensors: list[Any]) -> None:
        seen = {id(p) for group in self.param_groups for p in group["params"]}
        for k, parameter in enumerate(tensors):
            which = f"{self.name}: parameter {k} of group {len(self.param_groups)}"
            if not isinstance(parameter, Value):
                raise TypeError(f"{which} must be a tensor, not {type(parameter).__name__}")
            if parameter.layout.dtype.kind != "f":
                raise TypeError(f"{which} must be floating, not {parameter.layout.dtype}")
            if parameter.node is not None:
                raise ValueError(
                    f"{which}, of shape {parameter.layout.shape}, is no leaf: it was computed by "
                    f"{parameter.node.op.name}. Give what it was computed from, or x.detach()"
                )
            if id(parameter) in seen:
                raise ValueError(
                    f"{which}, of shape {parameter.layout.shape}, was given before; each parameter "
                    "belongs to one group, once"
                )
            seen.add(id(parameter))

    def __repr__(self) -> str:
        lines = [f"{self.name} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # --- saving and loading ----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """PyTorch's format: parameters are numbered through all groups, in order.

        ``{"state": {0: {name: tensor}}, "param_groups": [{"lr": 0.1, ..., "params": [0]}]}``. The
        tensors are the optimizer's own: deepcopy what is to be kept while training goes on.
        """
        parameters = [p for group in self.param_groups for p in group["params"]]
        number = {id(parameter): k for k, parameter in enumerate(parameters)}
        groups = [
            {**group, "params": [number[id(parameter)] for parameter in group["params"]]}
            for group in self.param_groups
        ]
        state = {k: dict(self.state[p]) for k, p in enumerate(parameters) if self.state.get(p)}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, here or in PyTorch. The tensors are copied.

        Raises ValueError or TypeError, and changes nothing, for the state of another optimizer or
        of other parameters.
        """
        groups, state = saved.read(self, state_dict)
        for group, values in zip(self.param_groups, groups, strict=True):
            group.update(values)
        self.state.clear()
        self.state.update(state)


def _check_tensors(state: Mapping[str, Any]) -> None:
    """Raise TypeError for state that is no tensor, ValueError for a count that is no number."""
    for name, value in state.items():
        if not isinstance(value, Value):
            raise TypeError(f"`{name}` must be a tensor, not {type(value).__name__}")
        if name == "step" and value.layout.shape != ():
            raise ValueError(f"`step` must have shape (), not {value.layout.shape}")
