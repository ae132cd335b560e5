"""Modules that hold modules: `Sequential`, `ModuleList`, `ModuleDict`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self, overload

from .._tensor import Tensor
from .module import Module

Named = Mapping[str, Module] | Iterable[tuple[str, Module]]


class _Numbered(Module):
    """Base of containers with modules under the names "0", "1", ..., indexed like a list."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._of(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def _of(self, modules: dict[str, Module]) -> Self:
        """Return a container of the same class with these modules."""
        raise NotImplementedError

    def _name(self, index: int) -> str:
        """Return the name of the submodule at ``index``."""
        names, place = list(self._modules), operator.index(index)
        if not -len(names) <= place < len(names):
            raise IndexError(
                f"index {index} is out of range: {type(self).__name__} has {len(names)} modules"
            )
        return names[place]

    def _replace_all(self, modules: Iterable[Module]) -> None:
        """Hold ``modules`` instead, numbered from 0."""
        new = list(modules)
        self._modules.clear()
        self.extend(new)

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        deleted = set(names[index]) if isinstance(index, slice) else {self._name(index)}
        self._replace_all(m for name, m in self._modules.items() if name not in deleted)

    def append(self, module: Module) -> Self:
        """Add a module at the end and return the container."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at ``index`` and return the container."""
        modules = list(self)
        modules.insert(index, module)
        self._replace_all(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end and return the container."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Numbered):
    """Modules applied one after another, each to the output of the one before.

    ``model[0]`` is a module, ``model[:2]`` a Sequential of the same modules.

    Args:
        *args: modules, or one dict of names and modules.

    >>> from tinygrad_mlp import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    >>> len(model.append(nn.Softmax(dim=1)))
    4
    """

    def __init__(self, *args: Module | Mapping[str, Module]):
        super().__init__()
        first = args[0] if len(args) == 1 else None
        modules: Any = first.items() if isinstance(first, Mapping) else enumerate(args)
        for name, module in modules:
            self.add_module(str(name), module)

    def _of(self, modules: dict[str, Module]) -> Self:
        return type(self)(modules)

    def forward(self, input: Tensor) -> Tensor:
        """Apply all modules in order."""
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules, all registered. It has no forward: write the loop.

    Args:
        modules: the modules, if there are any yet.

    >>> from tinygrad_mlp import nn
    >>> layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or ())

    def _of(self, modules: dict[str, Module]) -> Self:
        return type(self)(modules.values())

    def __repr__(self) -> str:
        """Return PyTorch's form: equal neighbours on one line, ``(0-2): 3 x Linear(...)``."""
        lines, start = [], 0
        for text, equal in groupby(map(repr, self)):
            end = start + len(list(equal))
            first = f"({start})" if end == start + 1 else f"({start}-{end - 1})"
            times = "" if end == start + 1 else f"{end - start} x "
            lines.append(f"  {first}: {times}{text}".replace("\n", "\n  "))
            start = end
        name = type(self).__name__
        return "\n".join([f"{name}(", *lines, ")"]) if lines else f"{name}()"


class ModuleDict(Module):
    """A dict of modules, all registered, in the order they were added.

    Args:
        modules: a mapping or pairs of names and modules, if there are any yet.

    >>> from tinygrad_mlp import nn
    >>> heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 3)})
    >>> heads["b"].out_features
    3
    """

    def __init__(self, modules: Named | None = None):
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._modules))

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return pairs of name and module."""
        return self._modules.items()

    def pop(self, key: str) -> Module:
        """Remove a module and return it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def update(self, modules: Named) -> None:
        """Add modules by name; those under the same names are replaced."""
        for key, module in modules.items() if isinstance(modules, Mapping) else modules:
            self.add_module(key, module)
