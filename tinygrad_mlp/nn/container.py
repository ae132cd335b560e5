"""Modules that hold modules: `Sequential`, `ModuleList`, `ModuleDict`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

from .module import Module


class _Numbered(Module):
    """Modules under the names "0", "1", ...; indexed and sliced like a list."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def _key(self, index: int) -> str:
        """The name of the submodule at ``index``."""
        count, place = len(self), operator.index(index)
        if not -count <= place < count:
            raise IndexError(
                f"index {index} is out of range: {type(self).__name__} has {count} modules"
            )
        name: str = list(self._modules)[place]
        return name

    def _renew(self, modules: Iterable[Module]) -> None:
        """Hold ``modules`` instead, numbered from 0."""
        kept = list(modules)
        self._modules.clear()
        for k, module in enumerate(kept):
            self.add_module(str(k), module)

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        keys = list(self._modules)
        gone = (
            {keys[k] for k in range(*index.indices(len(self)))}
            if isinstance(index, slice)
            else {self._key(index)}
        )
        self._renew(module for key, module in self._modules.items() if key not in gone)

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before the one at ``index``; returns the container."""
        modules = list(self)
        modules.insert(index, module)
        self._renew(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Numbered):
    """Modules one after another: each gets what the one before it returned.

    Takes modules, or one dict of names and modules. ``model[0]`` is a module, ``model[:2]`` a
    Sequential of the same modules.

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

    def __init__(self, *modules: Any):
        super().__init__()
        named = len(modules) == 1 and isinstance(modules[0], Mapping)
        for name, module in modules[0].items() if named else enumerate(modules):
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """``input`` through all modules."""
        for module in self._modules.values():
            input = module(input)
        return input

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]


class ModuleList(_Numbered):
    """A list of modules, all registered. It has no forward: write the loop.

    >>> from tinygrad_mlp import nn
    >>> layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._key(index)]

    def __repr__(self) -> str:
        """Like PyTorch's: equal neighbours on one line, ``(0-2): 3 x Linear(...)``."""
        runs: list[tuple[int, int, str]] = []  # first, last, text
        for k, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], k, text)
            else:
                runs.append((k, k, text))
        if not runs:
            return f"{type(self).__name__}()"
        lines = [
            (f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}").replace(
                "\n", "\n  "
            )
            for a, b, text in runs
        ]
        return "\n".join([f"{type(self).__name__}(", *(f"  {line}" for line in lines), ")"])


class ModuleDict(Module):
    """A dict of modules, all registered, in the order they were added.

    >>> from tinygrad_mlp import nn
    >>> heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 3)})
    >>> heads["b"].out_features
    3
    """

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Any:
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
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names and modules."""
        return self._modules.items()

    def pop(self, key: str) -> Any:
        """Take a module out; returns it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules by name, or replace those of the same names."""
        for key, module in modules.items() if isinstance(modules, Mapping) else modules:
            self.add_module(key, module)
