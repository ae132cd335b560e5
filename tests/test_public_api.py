"""The public names and their signatures are those of ``public_api.txt``.

A change of the public API changes that file, so that it is seen in review. Renew it by

    python -m tests.test_public_api
"""

from __future__ import annotations

import importlib
import inspect
import types
from pathlib import Path
from typing import Any

import tinygrad_mlp as tg
from tinygrad_mlp.autograd.op import Op

SNAPSHOT = Path(__file__).parent / "public_api.txt"
MODULES = """
    autograd nn nn.functional nn.init nn.utils optim optim.lr_scheduler data train study compiler
"""
CLASSES = [tg.Tensor, tg.nn.Module, tg.optim.Optimizer]


def public_names(module: types.ModuleType) -> list[str]:
    """The names in ``__all__``, or else those of what the module defines."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    return sorted(getattr(module, "__all__", [name for name in own if name[0] != "_"]))


def described(name: str, value: Any) -> str:
    """A name with its parameters and their defaults; the types are left to ``test_typing.py``."""
    if isinstance(value, type):
        value = value.__init__
        name = f"class {name}"
    if isinstance(value, property):
        return f"{name}: property"
    if not isinstance(value, (types.FunctionType, classmethod, staticmethod, Op)):
        return name
    signature = inspect.signature(getattr(value, "__func__", value))
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    signature = signature.replace(parameters=parameters, return_annotation=signature.empty)
    return (
        f"{name}{signature}".replace("<factory>", "...")
        .replace("(self, ", "(")
        .replace("(self)", "()")
    )


def public_api() -> str:
    """All public names, one a line."""
    lines = []
    for path in ("tinygrad_mlp", *(f"tinygrad_mlp.{name}" for name in MODULES.split())):
        module = importlib.import_module(path)
        lines += ["", f"[{path}]"]
        lines += [described(name, getattr(module, name)) for name in public_names(module)]
    for owner in CLASSES:
        lines += ["", f"[{owner.__name__}]"]
        members = {n: inspect.getattr_static(owner, n) for n in dir(owner) if n[0] != "_"}
        lines += [described(n, m) for n, m in members.items() if callable(m) or "prop" in repr(m)]
    return "\n".join(lines).lstrip() + "\n"


def test_the_public_api_is_the_one_written_down() -> None:
    written = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    found = public_api().splitlines()
    gone, new = sorted(set(written) - set(found)), sorted(set(found) - set(written))
    assert (gone, new) == ([], []), "python -m tests.test_public_api renews tests/public_api.txt"
    assert written == found


def test_nothing_leaks_into_the_package() -> None:
    """Beside the public names there are folders, and files that Python binds."""
    package = Path(tg.__file__).parent
    bound = {path.stem for path in package.iterdir() if path.suffix in ("", ".py")}
    leaked = {n for n in vars(tg) if n[0] != "_"} - set(tg.__all__) - bound
    assert leaked == set()
    for former in ("clip", "show", "mode", "hooks", "files", "tape", "np", "Any", "Callable"):
        assert not hasattr(tg, former), former
    assert dir(tg) == sorted(tg.__all__)


def test_each_public_name_is_there() -> None:
    for name in tg.__all__:
        assert getattr(tg, name) is not None
    assert len(set(tg.__all__)) == len(tg.__all__)


if __name__ == "__main__":
    SNAPSHOT.write_text(public_api(), encoding="utf-8")
