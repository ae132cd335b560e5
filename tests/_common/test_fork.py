"""Locks in a forked child: all locks of the package are found by listing them, not by name."""

from __future__ import annotations

import ast
import gc
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tinygrad_mlp as tg
from tests.kernels.scripts import run
from tinygrad_mlp._common import fork
from tinygrad_mlp.kernels.runtime import threads

PACKAGE = Path(tg.__file__).parent
MAKERS = {
    "Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier",
    "allocate_lock", "Queue", "SimpleQueue", "LifoQueue", "PriorityQueue",
    "ThreadPoolExecutor",
}  # fmt: skip
LOCKS = (type(threading.Lock()), type(threading.RLock()))


MODULES = {"threading", "_thread", "queue", "futures", "concurrent.futures"}


def imported(tree: ast.AST) -> dict[str, str]:
    """What the file imports from these modules: the names there, by the names here."""
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [each for node in froms if node.module in MODULES for each in node.names]
    return {each.asname or each.name: each.name for each in names}


def unregistered(tree: ast.AST) -> list[int]:
    """The lines that make a lock which is not given to `fork_safe` at once."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    here = imported(tree)

    def makes_lock(function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute):
            return function.attr in MAKERS and ast.unparse(function.value) in MODULES
        return here.get(getattr(function, "id", "")) in MAKERS

    safe = {id(c.args[0]) for c in calls if getattr(c.func, "id", "") == "fork_safe"}
    return sorted(c.lineno for c in calls if makes_lock(c.func) and id(c) not in safe)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_lock_is_made_fork_safe_and_forks_are_handled_in_one_place(path: Path) -> None:
    source = path.read_text("utf-8")
    assert unregistered(ast.parse(source)) == []
    assert ("register_at_fork" in source) == (path == PACKAGE / "_common" / "fork.py")


def test_a_lock_made_elsewhere_is_noticed() -> None:
    source = (
        "a = fork_safe(threading.RLock())\nb = threading.Lock()\n"
        "from threading import Event as E, Event\nc = [E() for _ in x]\n"
        "d = other.Event()\ne = _thread.allocate_lock()\nf = Event()"
    )
    assert unregistered(ast.parse(source)) == [2, 4, 6, 7]
    assert unregistered(ast.parse("class Event: ...\nEvent()")) == []


def owners() -> Iterator[Any]:
    """The modules of the package, and every object of one of its classes."""
    for each in gc.get_objects():
        kind = type(each)  # isinstance() would run the properties of other libraries' objects
        module = each.__name__ if issubclass(kind, types.ModuleType) else kind.__module__
        if isinstance(module, str) and module.split(".")[0] == "tinygrad_mlp":
            yield each


def held_locks(owner: Any) -> Iterator[Any]:
    """The locks in an object, in its attributes and in their lists, dicts and events."""
    seen: set[int] = set()
    left = [(owner, 0)]
    while left:
        each, depth = left.pop()
        if isinstance(each, LOCKS):
            yield each
        elif id(each) not in seen and depth < 4:
            seen.add(id(each))
            plain = isinstance(each, (dict, list, tuple, set, threading.Event, threading.Condition))
            if each is owner or plain:
                left += [(inner, depth + 1) for inner in gc.get_referents(each)]


def test_every_lock_that_the_package_holds_is_registered() -> None:
    before = tg.get_num_threads()
    step = tg.compile(lambda x: x + 1)
    step(tg.ones(3))
    tg.rand(3)
    tg.set_num_threads(2)
    threads._start()
    found = {id(lock): (owner, lock) for owner in owners() for lock in held_locks(owner)}
    missing = [owner for owner, lock in found.values() if lock not in fork._locks]
    assert missing == []
    assert len(found) >= 5, "draws, the cache, the pool and a worker, the compiled function"
    tg.set_num_threads(before)


FORK = """
import os, sys, threading
from tinygrad_mlp._common.fork import fork_safe, run_in_child

mine, other = fork_safe(threading.RLock()), fork_safe(threading.RLock())
plain = fork_safe(threading.Lock())
run_in_child(lambda: print("in the child", flush=True))
taken, done = threading.Event(), threading.Event()

def hold():
    with plain, other:
        taken.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
taken.wait()
with mine:
    child = os.fork()
    if child == 0:
        assert plain.acquire(timeout=0) and other.acquire(timeout=0), "free"
        stranger = threading.Thread(target=lambda: os._exit(3) if mine.acquire(timeout=0) else None)
        stranger.start(), stranger.join()
if child == 0:
    stranger = threading.Thread(target=lambda: os._exit(0 if mine.acquire(timeout=0) else 4))
    stranger.start(), stranger.join()
assert not plain.acquire(timeout=0), "the parent's stay held"
done.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_child_has_free_locks_but_for_its_own() -> None:
    assert run(FORK) == "in the child\n0\n"
