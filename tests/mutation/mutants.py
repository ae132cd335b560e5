"""All mutants of the package: one small change each, by six fixed operators on the syntax trees.

==================  ===========================================================================
comparison          ``<`` ``<=``, ``>`` ``>=``, ``==`` ``!=``, ``is`` ``is not``, ``in``
                    ``not in``, ``and`` ``or``: one for the other
constant            a bool flipped, a float doubled (0 becomes 1), an int of 2 or more doubled
sign                ``+`` for ``-``, ``*`` for ``/``, ``//`` for ``*``, also in ``+=``; a minus
                    before an operand dropped
off by one          an int plus 1, or minus 1 if it is positive; the end of a ``range`` minus 1; a
                    bound of a slice plus 1
dropped statement   a call, an assignment to an attribute, an item or a name assigned before, an
                    augmented assignment, ``del``, ``raise``, ``break``, ``continue``, ``return``
                    inside an ``if``
swapped arguments   two neighbouring positional arguments
==================  ===========================================================================

Not mutated: strings, and so docstrings and f-strings with what they contain; annotations, ``cast``,
``TypeVar``, ``@overload``, protocols and ``if TYPE_CHECKING``; what ``raise`` and ``warnings.warn``
say; assertions and ``zip(strict=True)``, which check the program itself; imports; sizes of
``lru_cache``; arguments of ``min`` and ``max``, which may stand in any order; branches for another
operating system.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

OPERATORS = (
    "comparison",
    "constant",
    "sign",
    "off by one",
    "dropped statement",
    "swapped arguments",
)

_COMPARISONS = [("<=", "<"), ("<", "<="), (">=", ">"), (">", ">="), ("==", "!="), ("!=", "==")]
_COMPARISONS += [("is not", "is"), ("is", "is not"), ("not in", "in"), ("in", "not in")]
_LOGIC = [("and", "or"), ("or", "and")]
_SIGNS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")}
_SIGNS[ast.FloorDiv] = ("//", "*")
_ANY_ORDER = {"min", "max"}
_TYPES_ONLY = {"cast", "TypeVar", "ParamSpec", "NewType"}
_DROPPED = (ast.AugAssign, ast.Delete, ast.Raise, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Mutant:
    """One change: ``line`` of ``file``, counted from 1, reads ``before`` and then ``after``."""

    file: str  # below the package
    operator: str
    line: int
    before: str
    after: str
    function: str  # the qualified name of the function around it, or ``<module>``
    span: tuple[int, int]  # the bytes of the file that are replaced
    text: str  # by this
    copy: int  # of several such changes of the same text in the file, which this is

    @property
    def key(self) -> str:
        """What names the mutant wherever its line stands."""
        return "\n".join((self.file, self.operator, self.before, self.after, str(self.copy)))

    def apply(self, source: bytes) -> bytes:
        """Return the mutated file."""
        return source[: self.span[0]] + self.text.encode() + source[self.span[1] :]


class _Finder:
    """Finds the mutants of one file."""

    def __init__(self, file: str, source: bytes):
        self.file, self.source = file, source
        lines = source.splitlines(keepends=True)
        self.starts = list(itertools.accumulate(map(len, lines), initial=0))
        self.names: list[str] = []  # of the scopes around the node
        self.bound: list[set[str]] = [set()]  # the names that the scopes have assigned
        self.in_if = [False]
        self.found: list[Mutant] = []
        self.copies: dict[tuple[str, str, str], int] = {}
        self.visit(ast.parse(source))

    # --- places in the text ---

    def start(self, node: ast.AST) -> int:
        return self.starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        return self.starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def text(self, node: ast.AST) -> str:
        return self.source[self.start(node) : self.end(node)].decode()

    def line_at(self, source: bytes, place: int) -> str:
        first = source.rfind(b"\n", 0, place) + 1
        last = source.find(b"\n", place)
        return source[first : last if last >= 0 else None].decode().strip()

    def add(self, operator: str, start: int, end: int, text: str) -> None:
        mutated = self.source[:start] + text.encode() + self.source[end:]
        before, after = self.line_at(self.source, start), self.line_at(mutated, start)
        copy = self.copies[operator, before, after] = (
            self.copies.get((operator, before, after), 0) + 1
        )
        line = self.source.count(b"\n", 0, start) + 1
        function = ".".join(self.names).removesuffix(".<locals>") or "<module>"
        self.found.append(
            Mutant(self.file, operator, line, before, after, function, (start, end), text, copy)
        )

    def replace(self, operator: str, node: ast.AST, text: str) -> None:
        self.add(operator, self.start(node), self.end(node), text)

    def replace_token(
        self, operator: str, start: int, end: int, pairs: Sequence[tuple[str, str]]
    ) -> None:
        """Replace the operator between two operands: it is the one of ``pairs`` found there."""
        gap = re.sub(r"#.*", lambda comment: " " * len(comment[0]), self.source[start:end].decode())
        for old, new in pairs:
            pattern = r"\s+".join(map(re.escape, old.split()))
            edge = r"\b" if old[0].isalpha() else ""
            if found := re.search(edge + pattern + edge, gap):
                self.add(operator, start + found.start(), start + found.end(), new)
                return

    # --- the walk ---

    def visit(self, node: ast.AST) -> None:
        if self.is_excluded(node):
            return
        handler = getattr(self, f"visit_{type(node).__name__}", None)
        if isinstance(node, ast.stmt):
            self.drop(node)
        if handler is not None:
            handler(node)
        else:
            self.visit_children(node)

    def visit_children(self, node: ast.AST, *skipped: str) -> None:
        for name, value in ast.iter_fields(node):
            if name in (*skipped, "annotation", "returns", "type_comment", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self.visit(child)

    def is_excluded(self, node: ast.AST) -> bool:
        if isinstance(node, (ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom)):
            return True
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            marks = [*node.decorator_list, *getattr(node, "bases", ())]
            return any(name_of(mark) in ("overload", "Protocol", "NamedTuple") for mark in marks)
        if isinstance(node, ast.Call):
            return name_of(node.func) in _TYPES_ONLY
        return isinstance(node, ast.If) and is_main(node.test)

    def visit_scope(self, node: ast.AST, name: str, bound: set[str]) -> None:
        depth = len(self.names)
        self.names += [name] if isinstance(node, ast.ClassDef) else [name, "<locals>"]
        self.bound.append(bound)
        self.in_if.append(False)
        self.visit_children(node)  # decorators and defaults too: near enough
        del self.names[depth:]
        self.bound.pop()
        self.in_if.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        self.visit_scope(node, node.name, {each.arg for each in arguments})

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_scope(node, node.name, set())

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_scope(node, "<lambda>", set())

    def visit_If(self, node: ast.If) -> None:
        truth = static_truth(node.test)
        if truth is None:
            self.visit(node.test)
        self.in_if.append(True)
        for branch, skipped in ((node.body, truth is False), (node.orelse, truth is True)):
            for statement in () if skipped else branch:
                self.visit(statement)
        self.in_if.pop()

    def visit_Raise(self, node: ast.Raise) -> None:
        """What an error says is text."""

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.replace("constant", node, str(not value))
        elif isinstance(value, float):
            self.replace("constant", node, repr(2 * value or 1.0))
        elif isinstance(value, int):
            if value > 1:
                self.replace("constant", node, str(2 * value))
            self.replace("off by one", node, str(value + 1))
            if value > 0:
                self.replace("off by one", node, str(value - 1))

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right in itertools.pairwise(operands):
            self.replace_token("comparison", self.end(left), self.start(right), _COMPARISONS)
        self.visit_children(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in itertools.pairwise(node.values):
            self.replace_token("comparison", self.end(left), self.start(right), _LOGIC)
        self.visit_children(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _SIGNS and not any(map(is_text, (node.left, node.right))):
            pair = _SIGNS[type(node.op)]
            self.replace_token("sign", self.end(node.left), self.start(node.right), [pair])
        self.visit_children(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in _SIGNS and not is_text(node.value):
            old, new = _SIGNS[type(node.op)]
            place = self.end(node.target), self.start(node.value)
            self.replace_token("sign", *place, [(f"{old}=", f"{new}=")])
        self.visit_children(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub):
            self.replace("sign", node, f"({self.text(node.operand)})")
        self.visit_children(node)

    def visit_Slice(self, node: ast.Slice) -> None:
        for bound in (node.lower, node.upper):
            if bound is not None and not isinstance(bound, ast.Constant):
                self.replace("off by one", bound, f"({self.text(bound)}) + 1")
        self.visit_children(node)

    def visit_Call(self, node: ast.Call) -> None:
        name, arguments = name_of(node.func), node.args
        if name == "warn" and self.text(node.func).startswith("warnings."):
            return
        if name == "range" and arguments:
            end = arguments[min(1, len(arguments) - 1)]
            if not isinstance(end, ast.Constant):
                self.replace("off by one", end, f"({self.text(end)}) - 1")
        for one, two in itertools.pairwise(arguments if name not in _ANY_ORDER else ()):
            if isinstance(one, ast.Starred) or isinstance(two, ast.Starred):
                continue
            if ast.dump(one) != ast.dump(two):
                between = self.source[self.end(one) : self.start(two)].decode()
                swapped = self.text(two) + between + self.text(one)
                self.add("swapped arguments", self.start(one), self.end(two), swapped)
        self.visit_children(node, *(["keywords"] if name in ("lru_cache", "zip") else []))

    # --- dropped statements ---

    def drop(self, node: ast.stmt) -> None:
        drops = isinstance(node, _DROPPED)
        if isinstance(node, ast.Expr):
            drops = isinstance(node.value, ast.Call)
        elif isinstance(node, ast.Return):
            drops = any(self.in_if[-1:])
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {
                inner.id if isinstance(inner, ast.Name) else None
                for target in targets
                for inner in (
                    target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
                )
            }
            drops = all(name is None or name in self.bound[-1] for name in names)
            self.bound[-1].update(name for name in names if name)
        if drops:
            self.replace("dropped statement", node, "pass")


def name_of(node: ast.AST) -> str:
    """Return the last part of a dotted name, called or not; "" for anything else."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_text(node: ast.AST) -> bool:
    """Return whether an expression is a string literal, or begins or ends with one."""
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def is_main(test: ast.AST) -> bool:
    """Return whether a condition is ``TYPE_CHECKING`` or ``__name__ == "__main__"``."""
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")


def static_truth(test: ast.expr) -> bool | None:
    """Return what a condition on the operating system is here; None for another condition."""
    text = ast.unparse(test)
    if re.fullmatch(r"(not )?(sys\.platform|os\.name)\b[^()]*(\([^()]*\))?", text):
        import os

        return bool(eval(text, {"sys": sys, "os": os}))
    return None


def mutants_of(package: Path) -> Iterator[Mutant]:
    """Yield all mutants of a package, file by file."""
    for path in sorted(package.rglob("*.py")):
        yield from _Finder(path.relative_to(package).as_posix(), path.read_bytes()).found


def draw(mutants: Sequence[Mutant], seed: int) -> Iterator[Mutant]:
    """Yield mutants in an order drawn by the seed: each operator in turn, its mutants by a hash.

    A hash of the seed and the mutant's own text decides, so that a change elsewhere in the package
    leaves the others as they were drawn.
    """

    def rank(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed}\n{mutant.key}".encode()).digest()

    by_operator = [
        sorted((m for m in mutants if m.operator == operator), key=rank) for operator in OPERATORS
    ]
    for turn in itertools.zip_longest(*by_operator):
        yield from filter(None, turn)
