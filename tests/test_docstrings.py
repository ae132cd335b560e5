"""The examples in docstrings run and print what is shown."""

import doctest
import importlib
import pkgutil

import pytest

import tinygrad_mlp

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tinygrad_mlp.__path__, "tinygrad_mlp.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["tinygrad_mlp", *MODULES])
def test_examples_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
