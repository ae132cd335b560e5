"""`Module`: a function with parameters, buffers and submodules, found by their attribute names.

What is assigned to an attribute is registered by its kind; what is registered can be listed, saved,
converted and moved between modes, all by one walk over the tree of submodules. Hooks are in
``hooks.py``, state dicts in ``state.py``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .._common.change_counter import Watched, count_change
from ..autograd.backward import forget_gradient
from ..autograd.dtypes import as_dtype
from ..autograd.hooks import RemovableHandle
from ..autograd.modes import grad_mode, recording
from ..autograd.tape import Value
from ..ops.elementwise.arithmetic import zero_
from .hooks import call_with_hooks
from .parameter import Parameter, move
from .state import IncompatibleKeys, load_state_dict, state_of

Self = TypeVar("Self", bound="Module")

KINDS = ("_parameters", "_buffers", "_modules")  # what a module registers, by name


class Module:
    """The base of layers and networks: subclass it, assign parts in `__init__`, write `forward`.

    >>> import tinygrad_mlp as tg
    >>> from tinygrad_mlp import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 8)
    ...         self.out = nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> model = Net()
    >>> model(tg.ones(3, 4)).shape
    (3, 2)
    >>> [name for name, _ in model.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training: bool
    _parameters: Watched
    _buffers: Watched
    _modules: Watched
    _non_persistent: set[str]
    _hooks: dict[str, Watched]

    def __init__(self) -> None:
        new = self.__dict__
        new["training"] = True
        new["_parameters"], new["_buffers"], new["_modules"] = (Watched(), Watched(), Watched())
        new["_non_persistent"] = set()
        new["_hooks"] = {"forward_pre": Watched(), "forward": Watched(), "backward": Watched()}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no forward: write `def forward(self, x): ...` in it"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward`, between the hooks if there are any."""
        hooks = self._hooks
        if hooks["forward"] or hooks["forward_pre"] or hooks["backward"]:
            return call_with_hooks(self, hooks, args, kwargs)
        return self.forward(*args, **kwargs)

    # --- attributes ------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        count_change()
        own = self.__dict__
        if isinstance(value, Parameter) or name in own.get("_parameters", ()):
            self.register_parameter(name, value)
        elif isinstance(value, Module) or name in own.get("_modules", ()):
            self.add_module(name, value)
        elif name in own.get("_buffers", ()):
            self.register_buffer(name, value, name not in self._non_persistent)
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for kind in KINDS:
            named = own.get(kind)
            if named is not None and name in named:
                return named[name]
        close = [] if name[:2] == "__" else difflib.get_close_matches(name, self.__dir__(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if "_parameters" not in own and name[:2] != "__":
            hint = ": its __init__ must begin with super().__init__()"
        message = f"{type(self).__name__} has no attribute {name!r}{hint}"
        raise AttributeError(message, name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        count_change()
        for kind in KINDS:
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._non_persistent.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        registered = (name for kind in KINDS for name in self.__dict__.get(kind, ()))
        return sorted({*object.__dir__(self), *registered})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make ``param`` the parameter ``name``; None keeps the name without a parameter."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"parameter {name!r} of {type(self).__name__} must be an nn.Parameter or None, not "
                f"{type(param).__name__}: write nn.Parameter(tensor), or into the one that is "
                f"there, `with tg.no_grad(): module.{name}.copy_(tensor)`"
            )
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make ``tensor`` the buffer ``name``: state that no gradient changes.

        It is saved in the state dict if ``persistent``.
        """
        if tensor is not None and not isinstance(tensor, Value):
            raise TypeError(
                f"buffer {name!r} of {type(self).__name__} must be a tensor or None, not "
                f"{type(tensor).__name__}: tg.tensor(...)"
            )
        self._register("_buffers", name, tensor)
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make ``module`` the submodule ``name``."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"submodule {name!r} of {type(self).__name__} must be a module or None, not "
                f"{type(module).__name__}"
            )
        self._register("_modules", name, module)

    register_module = add_module

    def _register(self, kind: str, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning {name!r}"
            )
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"a name is a string that is not empty and has no dot, not {name!r}")
        if hasattr(type(self), name):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")
        self.__dict__.pop(name, None)
        for other in KINDS:
            if other != kind:
                self.__dict__[other].pop(name, None)
        self.__dict__[kind][name] = value

    # --- what is in it ---------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with their dotted names."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                below = [(f"{path}.{n}" if path else n, m) for n, m in module.named_children(False)]
                stack.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self, once: bool = True) -> Iterator[tuple[str, Module]]:
        """The submodules directly in this one, with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and not (once and id(module) in seen):
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The submodules directly in this one."""
        return (module for _, module in self.named_children())

    def _members(self, kind: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in module.__dict__[kind].items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Any]]:
        """The parameters of this module and those below, each once, with their dotted names."""
        return self._members("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        """The parameters of this module and those below, each once."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Any]]:
        """The buffers of this module and those below, each once, with their dotted names."""
        return self._members("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """The buffers of this module and those below, each once."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    # --- what is done to all of it ---------------------------------------------------------------

    def apply(self: Self, function: Callable[[Module], Any]) -> Self:
        """Call ``function`` on every module below, children first, then on this one."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Put this module and those below in training mode (dropout drops, batch norm learns)."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: `mode` must be True or False, not {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Put this module and those below in evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Let all parameters require a gradient, or none: frozen ones are not trained."""
        count_change()
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; or, not ``set_to_none``, write 0 into them."""
        for parameter in self.parameters():
            if set_to_none:
                forget_gradient(parameter)
            elif parameter.grad is not None:
                if parameter.grad.requires_grad:
                    parameter.grad = parameter.grad.detach()
                zero_(parameter.grad)
            elif (record := recording()) is not None:
                record.guard_grad_is_none(parameter)

    def to(self: Self, dtype: Any) -> Self:
        """Convert all floating parameters, their gradients, and buffers to ``dtype``, in place."""
        target = as_dtype(dtype)
        if target.kind != "f":
            raise TypeError(f"to: parameters are floating: float32 or float64, not {target}")
        count_change()
        with grad_mode(False):
            for value in (*self.parameters(), *self.buffers()):
                if value.dtype.kind == "f" and value.dtype != target:
                    move(value, value.to(target))
                    if value.grad is not None:
                        value.grad = value.grad.to(target)
        return self

    def float(self: Self) -> Self:
        """Convert to float32."""
        return self.to("float32")

    def double(self: Self) -> Self:
        """Convert to float64."""
        return self.to("float64")

    # --- saving and loading ----------------------------------------------------------------------

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """All parameters and persistent buffers by their dotted names, PyTorch's.

        The tensors share memory with the module's, off the tape: ``tg.save`` writes them, deepcopy
        keeps them. ``keep_vars`` gives the parameters themselves.
        """
        found = state_of(self, prefix)
        return {name: value if keep_vars else value.detach() for name, value in found}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy values from a state dict of tensors (or NumPy arrays, or PyTorch tensors).

        Returns the missing and the unexpected keys, which ``strict`` does not allow.

        Raises RuntimeError, which lists every key that is missing, unexpected, or of another shape
        than here; then nothing was changed.

        >>> from tinygrad_mlp import nn
        >>> nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3).state_dict())
        <All keys matched successfully>
        """
        return load_state_dict(self, state_dict, strict)

    # --- hooks -----------------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, args)`` before forward; what it returns replaces the arguments."""
        return RemovableHandle(self._hooks["forward_pre"], hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after forward; what it returns replaces the output.

        >>> import tinygrad_mlp as tg
        >>> from tinygrad_mlp import nn
        >>> layer = nn.Linear(2, 3)
        >>> with layer.register_forward_hook(lambda module, args, out: print(out.shape)):
        ...     _ = layer(tg.ones(4, 2))
        (4, 3)
        """
        return RemovableHandle(self._hooks["forward"], hook)

    def register_full_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known.

        Both are tuples, None for what has no gradient; what it returns replaces ``grad_input``.
        """
        return RemovableHandle(self._hooks["backward"], hook)

    # --- in print --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What a layer prints between its parentheses."""
        return ""

    def __repr__(self) -> str:
        lines = [line for line in self.extra_repr().split("\n") if line]
        children = [
            f"({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self._modules.items()
        ]
        if not children and len(lines) < 2:
            return f"{type(self).__name__}({''.join(lines)})"
        body = "".join(f"\n  {line}" for line in (*lines, *children))
        return f"{type(self).__name__}({body}\n)"
