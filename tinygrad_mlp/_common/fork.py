"""Locks and other state that a forked child takes over: the one place that handles `os.fork`.

A child has one thread, the one that forked. A lock that another thread held stays locked in the
child for ever, so all locks of the package are made with :func:`fork_safe`, which a test checks.
State that belongs to other threads is dropped by functions given to :func:`run_in_child`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

Lock = TypeVar("Lock")
Hook = TypeVar("Hook", bound=Callable[[], object])

_locks: WeakSet[Any] = WeakSet()
_held: list[Any] = []
_hooks: list[Callable[[], object]] = []


def fork_safe(lock: Lock, *, wait: bool = False) -> Lock:
    """Return ``lock``, which will be free in a forked child if another thread holds it.

    An RLock that the forking thread holds stays held: the child leaves the same ``with`` block.

    Args:
        lock: a lock of ``threading``.
        wait: also let `os.fork` wait until no other thread holds the lock: for a lock that guards
            locks of a library, which cannot be renewed.
    """
    _locks.add(lock)
    if wait:
        _held.append(lock)
    return lock


def run_in_child(hook: Hook) -> Hook:
    """Run ``hook`` in every forked child, after all locks are free. A decorator."""
    _hooks.append(hook)
    return hook


def _acquire() -> None:
    for lock in _held:
        lock.acquire()


def _release() -> None:
    for lock in reversed(_held):
        lock.release()


def _in_child() -> None:
    for lock in list(_locks):
        if not (hasattr(lock, "_is_owned") and lock._is_owned()):
            lock._at_fork_reinit()  # what the standard library calls for its own locks
    _release()
    for hook in _hooks:
        hook()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_in_child)
