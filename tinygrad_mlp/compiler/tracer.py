"""The tracer: follows the user's code while it is captured, and finds what Python state it uses.

It is called at each call of a function (`sys.setprofile`), during the capture only.

- The code of a function of the user's that starts, with its global variables, is searched for
  values to watch (``watches.py``).
- A call that reads a clock, random numbers, a file or the environment is refused (``outside.py``).
- After the run, values that the step changed are listed, each with its line.
"""

from __future__ import annotations

import dis
import functools
import gc
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..autograd import tape
from ..autograd.modes import Record, recording
from ..autograd.tape import Value
from ..kernels.runtime import cache
from .origin import LIBRARY, PACKAGE, USER, known, origin, origin_of_frame, place
from .outside import is_step_code, outside_call, outside_code, returns_to_user
from .reachable import PLAIN_TYPES, is_module
from .watch import (
    MISSING,
    OF_FUNCTIONS,
    Watch,
    in_words,
    is_of_user,
    keys_of,
    of_cache,
    of_dict,
    same,
    state_of,
)
from .watches import Watches

_CHANGERS = {
    *("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "add"),
    *("setdefault", "popitem", "discard", "appendleft", "popleft", "rotate", "move_to_end", "fill"),
}
_WORD = re.compile(r"[A-Za-z_]\w*")
_WRITES = {"STORE_SUBSCR", "DELETE_SUBSCR"}
_LOOKUPS = {"getattr", "setattr", "hasattr", "delattr"}
_BY_TEXT = {"globals", "vars", "eval", "exec", "locals"}  # builtins that find variables by text
_OUTSIDE = (
    "a compiled step would repeat the value of its capture. Read it outside and pass it as an "
    "argument, draw random numbers with tg.rand and its like, or remove @tg.compile"
)


# While an op runs nothing is followed: kernels, and Numba's compiler, are not the user's code.
_APPLY, _CACHE = tape.apply.__code__, cache.load.__code__.co_filename


class Change(NamedTuple):
    """A Python value that a step changed."""

    name: str
    line: str
    lazy: bool  # it was made: nothing or None before
    value: Any


class Tracer:
    """Watches a call of ``function``; used as a context manager around it."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        recorder: Record,
        fail: Callable[[str], None],
    ):
        self.recorder, self.fail, self.watches = recorder, fail, Watches()
        self.resume: Callable[[], None] = _do_nothing  # follow calls again, after an op
        self.codes: dict[int, CodeType] = {}  # of the user's functions that ran
        self.inner: set[int] = set()  # ids of the codes of functions inside them
        self.fresh: dict[int, Any] = {}  # modules that the step makes
        self.words: set[str] = set()  # all names and texts in these codes
        self.watches.visit(getattr(function, "__name__", ""), function)
        target = getattr(function, "__func__", function)
        plain = isinstance(target, FunctionType)
        names = [*keywords]
        if plain:
            skipped = target is not function
            names = [*target.__code__.co_varnames[skipped : len(arguments) + skipped], *names]
        for k, each in enumerate((*arguments, *keywords.values())):
            name = names[k] if len(names) == len(arguments) + len(keywords) else "an argument"
            self.watches.visit(name, each, "argument")
        if plain and origin(target.__code__, target.__globals__) == USER:
            self._enter(target.__code__, target.__globals__)

    def __enter__(self) -> Tracer:
        self.base, self.outer = sys._getframe(1), sys.getprofile()
        self.resume = functools.partial(sys.setprofile, self._on_event)
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume = _do_nothing
        sys.setprofile(self.outer)
        del self.base

    # --- during the run ---

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event in ("return", "c_return"):
            return
        if known.get(code.co_filename) is PACKAGE:
            if event == "call" and (code is _APPLY or code.co_filename == _CACHE):
                sys.setprofile(None)  # until the recorder notes the op
            return
        if recording() is not self.recorder:  # a user's `Function`: it runs at each call
            return
        if event == "call":
            where = origin_of_frame(frame)
            if where == USER and id(code) not in self.codes and is_step_code(frame, self.base):
                self._start(frame)
            elif where == LIBRARY:
                self._enter_library(frame)
        elif (
            event == "c_call"
            and (what := outside_call(argument))
            and returns_to_user(frame, self.base)
        ):
            self.recorder.graph_break(what, _OUTSIDE)

    def _start(self, frame: FrameType) -> None:
        """Watch what a function that starts can read: its variables, and its object."""
        code, watches = frame.f_code, self.watches
        if id(code) not in watches.functions and id(code) not in self.inner:
            self._find_closure(frame)
        first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        if is_module(first):
            if code.co_name == "__init__":
                self.fresh[id(first)] = first
            elif id(first) not in self.fresh:
                watches.visit("self", first)
        self._enter(code, frame.f_globals)

    def _enter_library(self, frame: FrameType) -> None:
        code, outer = frame.f_code, frame.f_back
        if what := outside_code(code):
            if outer is not None and returns_to_user(outer, self.base):
                self.recorder.graph_break(what, _OUTSIDE)
        elif code.co_argcount and outer is not None and origin_of_frame(outer) == USER:
            module = frame.f_globals.get("__name__", "").split(".")[0]
            if module not in ("logging", "pathlib", "warnings"):  # they keep caches
                self.watches.visit_all_of(frame.f_locals.get(code.co_varnames[0]))

    def _find_closure(self, frame: FrameType) -> None:
        """Visit a function that was not reached by name, for its closure."""
        code = frame.f_code
        for each in gc.get_referrers(code) if code.co_freevars else ():
            if isinstance(each, FunctionType) and each.__code__ is code:
                self.watches.visit(each.__name__, each)

    def _enter(self, code: CodeType, variables: dict[str, Any]) -> None:
        if id(code) in self.codes:
            return
        self.codes[id(code)] = code
        watches, names, texts = self.watches, set[str](), set[str]()
        for each in _with_inner(code):
            self.inner.add(id(each))
            names |= {*each.co_names}
            self.words |= {*each.co_names, *each.co_freevars, *each.co_varnames}
            self.words |= {*_texts(each.co_consts)}
            texts |= {c for c in _texts(each.co_consts) if c.isidentifier()}
        lookups = [found for each in _with_inner(code) for found in _lookups(each, variables)]
        guessed = {*(texts if names & _LOOKUPS else ())}
        guessed |= {*(names if any(each.co_exceptiontable for each in _with_inner(code)) else ())}
        watches.add_names(names | texts, texts if lookups else (), any(lookups), guessed)
        watches.lacks("", variables, _globals(code), id(variables))
        for name in {*_globals(code), *(texts if names & _BY_TEXT else ())}:
            if name in variables:
                value = variables[name]
                self._note_random(name, value, names)
                watches.watch(name, variables.get, name, (id(variables), name))
        by_text = texts if names & {"modules", "import_module", "__import__"} else ()
        for name in {*_imports(code), *by_text}:
            module = sys.modules.get(name)
            self._note_random(name, module, names)
            if module is not None:
                watches.visit(name, module)
        self._refuse_iterators()

    def _note_random(self, name: str, value: Any, names: set[str]) -> None:
        """Note NumPy's global generator if the code can use it."""
        uses = isinstance(value, ModuleType) and (
            (value is np and "random" in names) or value.__name__.startswith("numpy.random")
        )
        if uses:
            self.watches.visit("random", np.random.mtrand._rand)

    def _refuse_iterators(self) -> None:
        """Refuse an iterator that was made before the step, when code runs that names it."""
        for name, iterator in [*self.watches.iterators]:
            words = _WORD.findall(name)
            if words and words[-1] not in self.words and not name.startswith("an argument"):
                continue
            self.watches.iterators.remove((name, iterator))
            self.fail(
                f"the step uses {name}, an iterator ({type(iterator).__name__}) made before it, "
                f"{self.line(name)}; a compiled step would not advance it. Call next() outside, "
                "and pass the value as an argument"
            )

    # --- after the run ---

    def check_generators(self) -> None:
        """Refuse a step that drew from a generator of NumPy's."""
        for name, generator, state in self.watches.generators:
            if state_of(generator) != state:
                line = self.line(name)
                self.fail(f"the step draws from NumPy's generator {name}, {line}; {_OUTSIDE}")

    def changes(self) -> list[Change]:
        """Return the values that the step changed."""
        found = [
            Change(name, self.line(name), True, value) for name, value in self.watches.appeared()
        ]
        for key, watch in [*self.watches.found.items()]:
            new = watch.now()
            if not same(watch.old, new):
                if watch.in_hook and watch.read is tuple and same(watch.old, new[: len(watch.old)]):
                    del self.watches.found[key]  # a list of what a hook saw
                else:
                    found.append(self._change(watch, new))
        return found

    def guards(self) -> list[Watch]:
        """Return the values that a program depends on; of functions, those that ran."""
        found = self.watches.found.values()
        ran = {*map(id, self.codes.values())}
        return [
            each
            for each in found
            if each.guarded and (each.read not in OF_FUNCTIONS or id(each.argument.__code__) in ran)
        ]

    def _change(self, watch: Watch, new: Any) -> Change:
        old, name, value = watch.old, watch.name, new
        lazy = old is MISSING or (old is None and not isinstance(new, PLAIN_TYPES))
        lazy = lazy or watch.read in (of_cache, keys_of)
        if watch.read is of_dict:
            before, after = _pairs(old), _pairs(new)
            lazy = all(key in after and same(each, after[key]) for key, each in before.items())
            key = next((k for k in after if not same(before.get(k, MISSING), after[k])), MISSING)
            name = f"len({name})" if key is MISSING else f"{name}[{in_words(key)}]"
            value = after.get(key)
        elif watch.read is tuple:  # of a list
            name = f"{name}[...]" if len(old) == len(new) else f"len({name})"
            value = next((each for each in new if isinstance(each, Value)), None)
        return Change(name, self.line(watch.name), lazy, value)

    def line(self, name: str) -> str:
        """Return the line that changes, or else uses, what has this name."""
        words = _WORD.findall(name)
        uses, changers = [], set()
        for code in self.codes.values():
            for inner in _with_inner(code):
                for each in dis.get_instructions(inner):
                    at = inner, (each.positions and each.positions.lineno) or inner.co_firstlineno
                    if words and words[-1] in _parts(each.argval):
                        if each.opname.startswith(("STORE_", "DELETE_")):
                            return place(*at)
                        uses.append(at)
                    if each.opname in _WRITES or f"{each.argval}" in _CHANGERS:
                        changers.add(at)
        step = [(code, code.co_firstlineno) for code in self.codes.values()][:1]
        found = next((at for at in uses if at in changers), next(iter([*uses, *step]), None))
        return "in the step" if found is None else place(*found)


def _do_nothing() -> None:
    """Stand for `Tracer.resume` outside of the run."""


def _pairs(contents: tuple[Any, ...]) -> dict[Any, Any]:
    half = len(contents) // 2
    return dict(zip(contents[:half], contents[half:], strict=True))


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _with_inner(each)


def _lookups(code: CodeType, variables: dict[str, Any]) -> Iterator[bool]:
    """Yield, for each attribute that is read by its name as text, whether the text is computed.

    Not of modules of libraries, as in ``getattr(F, name)``.
    """
    if {"vars", "__dict__", "__getattribute__"} & {*code.co_names}:
        yield True
    parts: list[dis.Instruction] = []  # of a call: the function, and its arguments
    for each in dis.get_instructions(code):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME") and each.argval in _LOOKUPS:
            parts = [each]
        elif parts and each.opname in ("CALL", "PRECALL"):
            name = parts[{2: -1, 3: -2}.get(each.arg or 0, 0)]
            holder = variables.get(parts[1].argval) if len(parts) > 1 else None
            if len(parts) > 1 and not (isinstance(holder, ModuleType) and not is_of_user(holder)):
                yield name.opname != "LOAD_CONST" or not isinstance(name.argval, str)
            parts = []
        elif parts and each.opname not in ("PUSH_NULL", "CACHE"):
            parts.append(each)


def _parts(argument: Any) -> tuple[Any, ...]:
    """Return what an instruction names: two variables in LOAD_FAST_LOAD_FAST."""
    return argument if isinstance(argument, tuple) else (argument,)


def _texts(constants: tuple[Any, ...]) -> Iterator[str]:
    for each in constants:
        if isinstance(each, str):
            yield each
        elif isinstance(each, (tuple, frozenset)):
            yield from _texts(tuple(each))


def _globals(code: CodeType) -> Iterator[str]:
    for inner in _with_inner(code):
        for each in dis.get_instructions(inner):
            if each.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"):
                yield each.argval


def _imports(code: CodeType) -> Iterator[str]:
    for inner in _with_inner(code):
        for each in dis.get_instructions(inner):
            if each.opname == "IMPORT_NAME":
                yield each.argval
