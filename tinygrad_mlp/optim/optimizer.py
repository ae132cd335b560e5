"""`Optimizer`: the base of all optimizers. Each adds its hyperparameters and its update ops."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar, overload

import numpy as np

from .._common.change_counter import Watched, WatchedList, count_change
from .._tensor import Tensor
from ..autograd import modes, tape
from ..autograd.tape import Params, Value
from ..autograd.values import as_array, constant, from_array
from ..kernels.runtime.layout import FLOAT64
from ..nn.parameter import reset_gradient
from ..ops.elementwise.arithmetic import add_
from ..ops.fused.optimizer_update import Update
from .param_group import PAIRS, ParamGroup, Range, ranges_of
from .state_dict import read_state_dict

ParamsT = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]
Loss = TypeVar("Loss")

_ONE = constant(1.0, FLOAT64)
_NO_STATE: dict[str, Any] = {}


class State(Watched, defaultdict[Any, dict[str, Any]]):
    """The state of each parameter. A compiled step checks its guards again when it changes."""


class _Planned(NamedTuple):
    """An update of one parameter that was checked, and has changed nothing yet."""

    update: Update
    values: tuple[Any, ...]  # the parameter, its gradient, its state, the numbers
    flags: Params
    new_state: dict[str, Any]


class Optimizer:
    """Base of optimizers: change parameters by their gradients, one update op per parameter.

    A subclass sets the ``updates`` that it makes, gives the range of each hyperparameter in the
    signature of its constructor (see ``param_group.py``), and returns by `choose` the update of a
    group. The inputs of that op are the state and the numbers that it takes. Or, as in PyTorch, a
    subclass overrides `step` and uses ``param_groups`` and ``state``.

    Parameters without a gradient are skipped, and so is their state. PyTorch's arguments
    ``foreach``, ``fused``, ``capturable`` and ``differentiable`` do not exist: a compiled step
    merges the updates.

    Args:
        params: tensors, (name, tensor) pairs, or dicts ``{"params": tensors, "lr": 0.1}``, one for
            each group.
        defaults: the hyperparameters of groups that do not set them.

    Raises:
        ValueError: for no parameters, one that is given twice, or one that is not a leaf.
        TypeError: for parameters that are not floating tensors.

    >>> import tinygrad_mlp as tg
    >>> class SignSGD(Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, dict(lr=lr))
    ...     def step(self):
    ...         with tg.no_grad():
    ...             for group in self.param_groups:
    ...                 for p in group["params"]:
    ...                     p.sub_(group["lr"] * p.grad.sign())
    >>> w = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SignSGD([w]).step()
    >>> w.tolist()
    [0.8999999761581421, -1.899999976158142]
    """

    ranges: ClassVar[Mapping[str, Range]] = {}
    updates: ClassVar[Sequence[Update]] = ()
    counts: ClassVar[bool] = True  # whether every state has a `step`, used or not, as in PyTorch

    def __init_subclass__(cls) -> None:
        if "updates" in vars(cls):
            cls.ranges = {**cls.ranges, **ranges_of(cls.__init__)}

    def __init__(self, params: ParamsT, defaults: Mapping[str, Any]):
        if isinstance(params, Value):
            raise TypeError(
                f"{self.name}: `params` must be a list of tensors or of dicts, not one tensor: "
                f"write {self.name}([x])"
            )
        given = self._as_list(params)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.defaults = dict(defaults)
        self.state: State = State(dict)
        self.param_groups: list[ParamGroup] = WatchedList()
        for group in groups:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(f"{self.name}: `params` is empty")

    @property
    def name(self) -> str:
        """The name of its class, for messages."""
        return type(self).__name__

    def choose(self, group: Mapping[str, Any]) -> Update:
        """Return the update of a group with these hyperparameters; by default the only one."""
        if len(self.updates) != 1:
            raise NotImplementedError(f"{self.name} must define choose(group), or step()")
        return self.updates[0]

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for hyperparameters that exclude each other."""

    def initial(self, name: str, parameter: Any, group: Mapping[str, Any]) -> np.ndarray:
        """Return the state ``name`` of a parameter before its first update: by default zeros."""
        return np.zeros(parameter.shape, parameter.dtype)

    def steps_before(self, state: Mapping[str, Any]) -> float:
        """Return the number of updates that made a state without a `step`."""
        return 0.0

    # --- training --------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients to None; or, not ``set_to_none``, fill them with 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if not (set_to_none or isinstance(parameter.grad, Value | None)):
                    self._check_gradient("zero_grad", parameter)
                reset_gradient(parameter, set_to_none)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...
    def step(self, closure: Callable[[], Loss] | None = None) -> Loss | None:
        """Update every parameter that has a gradient.

        Args:
            closure: called before, with gradients enabled; its result is returned.

        Raises:
            TypeError: for a gradient that is not a tensor.
            ValueError: for a gradient of another shape or dtype than its parameter's. In both
                cases, and for state that does not fit its parameter, nothing was changed.
        """
        loss = None
        if closure is not None:
            with modes.grad_mode(True):
                loss = closure()
        with modes.grad_mode(False):
            plans = [(group, self._plan(group)) for group in self.param_groups]
            for group, planned in plans:
                self._update(group, planned)
        return loss

    def _describe(self, parameter: Any) -> str:
        for number, group in enumerate(self.param_groups):
            names = group.get("param_names")
            for k, each in enumerate(group["params"]):
                if each is parameter:
                    return (
                        f"parameter {names[k]!r}" if names else f"parameter {k} of group {number}"
                    )
        return "a parameter"

    def _check_gradient(self, method: str, parameter: Any) -> None:
        gradient = parameter.grad
        if not isinstance(gradient, Value):
            raise TypeError(
                f"{self.name}.{method}: the gradient of {self._describe(parameter)} must be a "
                f"tensor, not {type(gradient).__name__}: write p.grad = tg.tensor(...)"
            )
        layout = gradient.layout
        if layout.shape != parameter.shape or layout.dtype != parameter.dtype:
            raise ValueError(
                f"{self.name}.{method}: the gradient of {self._describe(parameter)} is "
                f"{layout.dtype} of shape {layout.shape}, its parameter {parameter.dtype} of shape "
                f"{parameter.shape}"
            )

    def _plan(self, group: ParamGroup) -> list[_Planned]:
        """Return the updates of a group, checked against gradients and states; nothing is changed.

        New state is made here, and by no op: a recorded step that runs again must not reset it.
        """
        parameters = [p for p in group["params"] if p.grad is not None]
        if (record := modes.recording()) is not None:
            for parameter in group["params"]:
                if parameter.grad is None:
                    record.guard_grad_is_none(parameter)
            if parameters:
                record.add_guard(functools.partial(self._choose, group))
        if not parameters:
            return []
        update, flags = self._choose(group)
        numbers, names, planned = {"step": _ONE, **group.cells}, update.inputs[2:], []
        for parameter in parameters:
            gradient, state = parameter.grad, self.state.get(parameter, _NO_STATE)
            if not isinstance(gradient, Value) or gradient.layout is not parameter.layout:
                self._check_gradient("step", parameter)
            missing = [name for name in update.state if name not in state]
            new_state = {name: from_array(self.initial(name, parameter, group)) for name in missing}
            known = {**numbers, **state, **new_state} if state or new_state else numbers
            values = (parameter, gradient, *[known[name] for name in names])
            try:
                if state and self.updates:
                    _check_tensors(state)
                update.plan_of(values, flags)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"{self.name}.step: the state of {self._describe(parameter)} does not fit it: "
                    f"{error}. Nothing was changed; make the optimizer after what changes its "
                    "parameters, as model.double() does, or drop the state: optimizer.state.clear()"
                ) from None
            planned.append(_Planned(update, values, flags, new_state))
        return planned

    def _choose(self, group: ParamGroup) -> tuple[Update, Params]:
        """Return the update of a group and its flags, chosen again after the group was changed."""
        if group.chosen is None:
            with modes.unrecorded():
                update = self.choose(group)
                group.chosen = update, {flag: bool(group[flag]) for flag in update.params}
        chosen: tuple[Update, Params] = group.chosen
        return chosen

    def _update(self, group: ParamGroup, planned: list[_Planned]) -> None:
        """Advance the step counts of a group, then update each parameter and its state."""
        states = [self.state[each.values[0]] for each in planned]
        counted = bool(planned) and (self.counts or "step" in planned[0].update.numbers)
        if counted:
            self._advance(group, states)
        for (update, values, flags, new_state), state in zip(planned, states, strict=True):
            state.update(new_state)
            if counted:
                values = tuple(
                    state["step"] if name == "step" else value
                    for name, value in zip(update.inputs, values, strict=True)
                )
            tape.apply(update, values, flags)

    def _advance(self, group: ParamGroup, states: list[dict[str, Any]]) -> None:
        """Add 1 to the step counts of ``states``.

        Parameters of a group that were always updated together share their count, so that one op
        advances it. When some of them are not updated, the others get a count of their own.
        """
        updated = {id(state) for state in states}
        known = [self.state[p] for p in group["params"] if p in self.state]
        idle = {id(s["step"]) for s in known if "step" in s and id(s) not in updated}
        new: dict[float, Any] = {}
        for state in states:
            cell = state.get("step")
            if cell is None or id(cell) in idle:
                steps = self.steps_before(state) if cell is None else as_array(cell).item()
                if steps not in new:
                    new[steps] = from_array(np.array(steps, FLOAT64))
                state["step"] = new[steps]
        for cell in {id(state["step"]): state["step"] for state in states}.values():
            tape.apply(add_, (cell, _ONE))

    # --- groups ----------------------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group ``{"params": tensors, "lr": 0.1}``; the rest are the defaults."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(
                f'{self.name}: a parameter group is a dict {{"params": tensors, ...}}, not '
                f"{type(param_group).__name__} {param_group!r:.60}"
            )
        given = self._as_list(param_group["params"])
        names = [each[0] for each in given if isinstance(each, tuple)]
        tensors = [each[1] for each in given] if len(names) == len(given) else given
        named = {"param_names" in group for group in self.param_groups if group["params"]}
        if 0 < len(names) < len(given) or (given and named | {bool(names)} == {True, False}):
            raise ValueError(f"{self.name}: give names for all parameters, or for none")
        self._check_parameters(tensors)
        values = {**self.defaults, **param_group, "params": tensors}
        if names:
            values["param_names"] = names
        ranges = {
            key: self.ranges.get(key, Range())
            for key, value in self.defaults.items()
            if key in self.ranges or key in PAIRS or type(value) is float
        }
        group = ParamGroup(self.name, values, ranges)
        self.check(group)
        self.param_groups.append(group)
        count_change()

    def _as_list(self, params: Any) -> list[Any]:
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{self.name}: `params` must be a list: a set has no order")
        return [params] if isinstance(params, Value) else list(params)

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
                    f"{which}, of shape {parameter.layout.shape}, is not a leaf: it was computed "
                    f"by {parameter.node.op.name}. Give what it was computed from, or x.detach()"
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
        """Return the state in PyTorch's format: parameters are numbered through all groups.

        ``{"state": {0: {name: tensor}}, "param_groups": [{"lr": 0.1, ..., "params": [0]}]}``. The
        tensors are the optimizer's own: deepcopy them to keep their values while training
        continues.
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
        """Load what `state_dict` returned, here or in PyTorch. The tensors are copied.

        Raises:
            ValueError, TypeError: for the state of another optimizer or of other parameters;
                then nothing was changed.
        """
        self._prepare_load(state_dict)()

    def _prepare_load(self, state_dict: Mapping[str, Any]) -> Callable[[], object]:
        """Check a state dict, and return the function that loads it."""
        groups, state = read_state_dict(self, state_dict)

        def load() -> None:
            for group, values in zip(self.param_groups, groups, strict=True):
                group.update(values)
            self.state.clear()
            self.state.update(state)

        return load


def _check_tensors(state: Mapping[str, Any]) -> None:
    for name, value in state.items():
        if not isinstance(value, Value):
            raise TypeError(f"`{name}` must be a tensor, not {type(value).__name__}")
        if name == "step" and value.layout.shape != ():
            raise ValueError(f"`step` must have shape (), not {value.layout.shape}")
