"""`Module`: a function with parameters, buffers and submodules, registered by attribute name.

Assigning a parameter or a module to an attribute registers it. All that is registered, here and in
the submodules, can be listed, saved, converted and switched between training and evaluation. Hooks
are in ``hooks.py``, state dicts in ``state.py``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from .._common.change_counter import Watched, count_change
from .._tensor import Tensor
from ..autograd.dtypes import as_dtype
from ..autograd.hooks import RemovableHandle
from ..autograd.modes import grad_mode
from .hooks import call_with_hooks
from .parameter import Parameter, reset_gradient, set_memory
from .state import IncompatibleKeys, prepare_load, tensors_of


class Module:
    """Base of layers and networks: subclass it, assign parts in `__init__`, write `forward`.

    A call ``model(x)`` is typed as a Tensor; `forward` may return anything.

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
    _parameters: dict[str, Parameter]
    _buffers: dict[str, Tensor]
    _modules: dict[str, Module]
    _non_persistent: set[str]
    _hooks: dict[str, Watched]

    def __init__(self) -> None:
        own = self.__dict__
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = Watched(), Watched(), Watched()
        own["_non_persistent"] = set()
        own["_hooks"] = {"forward_pre": Watched(), "forward": Watched(), "backward": Watched()}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no forward: write `def forward(self, x): ...` in it"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return what `forward` does, and call the hooks before and after it."""
        hooks = self._hooks
        output: Tensor
        if hooks["forward"] or hooks["forward_pre"] or hooks["backward"]:
            output = call_with_hooks(self, hooks, args, kwargs)
        else:
            output = self.forward(*args, **kwargs)
        return output

    # --- registering -----------------------------------------------------------------------------

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
        for registry in REGISTRIES:
            registered = own.get(registry)
            if registered is not None and name in registered:
                return registered[name]
        close = [] if name[:2] == "__" else difflib.get_close_matches(name, self.__dir__(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if "_parameters" not in own and name[:2] != "__":
            hint = ": its __init__ must begin with super().__init__()"
        message = f"{type(self).__name__} has no attribute {name!r}{hint}"
        raise AttributeError(message, name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        count_change()
        for registry in REGISTRIES:
            if name in self.__dict__[registry]:
                del self.__dict__[registry][name]
                self._non_persistent.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        registered = (name for key in REGISTRIES for name in self.__dict__.get(key, ()))
        return sorted({*object.__dir__(self), *registered})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register ``param`` as the parameter ``name``; None registers the name alone."""
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register ``tensor`` as the buffer ``name``: state that is not learned by gradients.

        The state dict holds it if it is ``persistent``.
        """
        self._register("_buffers", name, tensor)
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register ``module`` as the submodule ``name``."""
        self._register("_modules", name, module)

    register_module = add_module

    def _register(self, registry: str, name: str, value: Any) -> None:
        owner = type(self).__name__
        wanted, message = REGISTRIES[registry]
        if value is not None and not isinstance(value, wanted):
            given = type(value).__name__
            raise TypeError(message.format(name=repr(name), owner=owner, given=given))
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{owner}: call super().__init__() before assigning {name!r}")
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{owner}: a name must be a string without dots, not {name!r}")
        if hasattr(type(self), name):
            raise KeyError(f"{owner} has an attribute {name!r} already")
        self.__dict__.pop(name, None)
        self._non_persistent.discard(name)
        for other in REGISTRIES:
            if other != registry:
                self.__dict__[other].pop(name, None)
        self.__dict__[registry][name] = value

    # --- listing ---------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it with their dotted names.

        Args:
            memo: modules to leave out; those that are listed are added.
            prefix: the name of this module.
            remove_duplicate: whether to list a module with several names once.
        """
        memo = set() if memo is None else memo
        if not isinstance(memo, set):
            raise TypeError(f"named_modules: `memo` must be a set, not {memo!r}; write prefix=...")
        if self not in memo:
            if remove_duplicate:
                memo.add(self)
            yield prefix, self
            for name, module in self._modules.items():
                if module is not None:
                    yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the submodules directly in this one with their names, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the submodules directly in this one, each once."""
        return (module for _, module in self.named_children())

    def _named_members(
        self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        )
        for path, module in modules:
            for name, value in module.__dict__[registry].items():
                if value is not None and not (remove_duplicate and id(value) in seen):
                    seen.add(id(value))
                    yield _join(path, name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their dotted names.

        Args:
            prefix: the name of this module.
            recurse: whether to list those of the submodules too.
            remove_duplicate: whether to list a parameter with several names once.
        """
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters of this module and, with ``recurse``, those below; each once."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers with their dotted names; arguments as in `named_parameters`."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers of this module and, with ``recurse``, those below; each once."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    # --- changing this module and those below ----------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every module below, children first, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set training mode: dropout drops, batch norm normalises by the batch.

        With ``mode=False`` set evaluation mode.
        """
        if not isinstance(mode, bool):
            raise TypeError(f"train: `mode` must be True or False, not {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of all parameters; those without it are not trained."""
        count_change()
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set all parameters' gradients to None; or, not ``set_to_none``, fill them with 0."""
        for parameter in self.parameters():
            reset_gradient(parameter, set_to_none)

    def to(self, dtype: Any) -> Self:
        """Convert floating parameters, their gradients, and buffers to ``dtype``, in place.

        There is one device, the CPU, so a dtype is all it takes.
        """
        target = as_dtype(dtype)
        if target.kind != "f":
            raise TypeError(f"to: `dtype` must be float32 or float64, not {target}")
        count_change()
        with grad_mode(False):
            for value in (*self.parameters(), *self.buffers()):
                if value.dtype.kind == "f" and value.dtype != target:
                    set_memory(value, value.to(target))
                    if value.grad is not None:
                        value.grad = value.grad.to(target)
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert to float64."""
        return self.to("float64")

    # --- saving and loading ----------------------------------------------------------------------

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Return all parameters and persistent buffers by their dotted names, PyTorch's.

        The tensors share memory with the module's and are not on the tape. ``tg.save`` writes them
        to a file; deepcopy them to keep their values while training continues.

        Args:
            prefix: put before every name.
            keep_vars: return the parameters themselves.
        """
        found = tensors_of(self, prefix)
        return {name: value if keep_vars else value.detach() for name, value in found}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy values from a state dict of tensors (or NumPy arrays, or PyTorch tensors).

        Values are always copied (no ``assign``). A warning names tensors that are not finite.

        Args:
            state_dict: tensors by name, as `state_dict` returns them.
            strict: whether missing and unexpected keys are errors.

        Returns:
            The missing and the unexpected keys.

        Raises:
            RuntimeError: lists every key that does not fit; then nothing was changed.

        >>> from tinygrad_mlp import nn
        >>> nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3).state_dict())
        <All keys matched successfully>
        """
        return prepare_load(self, state_dict, strict)()

    _prepare_load = prepare_load
    # --- hooks -----------------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, args)`` before forward.

        A result that is not None replaces ``args``. Hooks of all three kinds run in the order in
        which they were registered; PyTorch's options for them do not exist.
        """
        return RemovableHandle(self._hooks["forward_pre"], hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after forward.

        A result that is not None replaces ``output``.

        >>> import tinygrad_mlp as tg
        >>> from tinygrad_mlp import nn
        >>> layer = nn.Linear(2, 3)
        >>> with layer.register_forward_hook(lambda module, args, out: print(out.shape)):
        ...     _ = layer(tg.ones(4, 2))
        (4, 3)
        """
        return RemovableHandle(self._hooks["forward"], hook)

    def register_full_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are computed.

        Both are tuples, with None for what has no gradient. A result that is not None
        replaces ``grad_input``.
        """
        return RemovableHandle(self._hooks["backward"], hook)

    # --- printing --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what `repr` shows between the parentheses."""
        return ""

    def _options(self, *names: str) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

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


REGISTRIES: dict[str, tuple[type, str]] = {
    "_parameters": (
        Parameter,
        "parameter {name} of {owner} must be an nn.Parameter or None, not {given}: write "
        "nn.Parameter(tensor), or copy into the present one, "
        "`with tg.no_grad(): parameter.copy_(tensor)`",
    ),
    "_buffers": (
        Tensor,
        "buffer {name} of {owner} must be a tensor or None, not {given}: tg.tensor(...)",
    ),
    "_modules": (Module, "submodule {name} of {owner} must be a module or None, not {given}"),
}  # attribute that holds the entries: their class, the error for anything else


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
