"""Elementwise chains: ops that go over the same elements become one pass over memory.

    %4 = relu(%2)
    %6 = dropout(%4, %5, 2)         ->      %6, %4 = relu+dropout(%2, %5, 2)

The formulas are put one into the other; each operation is done as before, in the same order and
dtype, so the bits stay. What nobody else reads is not written at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...kernels.codegen.elementwise import Formula
from ...kernels.codegen.expression import Expression
from ...ops.elementwise.declare import Elementwise, lower
from ..ir import MADE, Buffer, Call, Instruction, Place, Program, Region, users
from .fuse_epilogue import finished, is_product, steps_along_rows
from .legality import Group, Order

MOST = 12  # arrays that one kernel reads and writes; it has registers for about so many addresses


@dataclass(eq=False)
class Chain:
    """Elementwise instructions on the same elements, as one formula; perhaps after a product.

    ``reads`` are the regions that they read and did not make, by the names that the formula has for
    them; ``made`` are their results.
    """

    shape: tuple[int, ...]
    real: np.dtype
    product: Instruction | None = None  # whose result is then the first that it reads
    parts: list[Instruction] = field(default_factory=list)
    reads: dict[str, Region] = field(default_factory=dict)
    masks: set[str] = field(default_factory=set)
    made: list[tuple[Region, Expression]] = field(default_factory=list)

    @classmethod
    def after(cls, product: Instruction) -> Chain:
        """The chain that a product begins."""
        out = product.outputs[0]
        chain = cls(out.layout.shape, out.layout.dtype, product, [product])
        chain.reads["x0"] = out
        return chain

    def add(self, instruction: Instruction) -> None:
        """One more op, on what the chain reads and makes."""
        op = instruction.op
        assert isinstance(op, Elementwise)
        values = {
            name: self._value(region, name in op.masks)
            for name, region in zip(op.inputs, instruction.inputs, strict=True)
        }
        self.parts.append(instruction)
        self.made.append((instruction.outputs[0], substituted(op.expression, values)))

    def takes(self, instruction: Instruction, real: np.dtype) -> bool:
        """Whether an instruction is over the same elements, and the kernel has room for it."""
        arrays = len(self.reads) + len(self.made) + len(instruction.inputs)
        same = instruction.outputs[0].layout.shape == self.shape and real == self.real
        if self.product is not None and not all(
            steps_along_rows(region, self.shape) for region in instruction.inputs
        ):
            return False
        return same and arrays <= MOST and self._finds_its_own(instruction.inputs)

    def _finds_its_own(self, regions: Iterable[Region]) -> bool:
        """Whether what they read of its results is the very element that its kernel has at hand.

        Another view of one (`y + y.T`) reads elements that are not made yet.
        """
        own = [region for region, _ in self.made]
        own += self.product.outputs if self.product is not None else []
        return all(
            region.buffer is not other.buffer or region.same(other)
            for region in regions
            for other in own
        )

    def _value(self, region: Region, mask: bool) -> Expression:
        for other, expression in self.made:
            if other.same(region):
                return expression
        for name, other in self.reads.items():
            if other.same(region) and (name in self.masks) == mask:
                return Expression("input", value=name)
        name = f"x{len(self.reads)}"
        self.reads[name] = region
        self.masks |= {name} if mask else set()
        return Expression("input", value=name)

    @property
    def name(self) -> str:
        """The names of its ops."""
        return "+".join(part.name for part in self.parts)

    def formula(self, written: list[Region], in_place: bool = False) -> Formula:
        """What its kernel computes; ``written`` are the results that somebody reads.

        ``in_place``: the first of them overwrites the first array that is read.
        """
        results = [(f"out{k}", self._expression(region)) for k, region in enumerate(written)]
        if in_place:
            results[0] = ("x0", results[0][1])
        return Formula(self.name, tuple(self.reads), tuple(results), masks=frozenset(self.masks))

    def _expression(self, region: Region) -> Expression:
        return next(expression for other, expression in self.made if other is region)


def substituted(expression: Expression, values: dict[str, Expression]) -> Expression:
    """A formula with expressions in place of its inputs."""
    done: dict[int, Expression] = {}

    def walk(node: Expression) -> Expression:
        if node.operator == "input":
            return values[node.value]
        if id(node) not in done:
            arguments = [walk(argument) for argument in node.arguments]
            done[id(node)] = Expression(node.operator, arguments, node.value)
        return done[id(node)]

    return walk(expression)


def real_of(instruction: Instruction) -> Any:
    """The dtype that an instruction computes in, reads and makes; None if no chain can hold it."""
    op = instruction.op
    if not isinstance(op, Elementwise) or op.in_place or len(instruction.calls) != 1:
        return None
    out = instruction.outputs[0]
    real, made = op.dtypes([region.layout for region in instruction.inputs])
    given = [
        region.layout.dtype
        for name, region in zip(op.inputs, instruction.inputs, strict=True)
        if name not in op.masks
    ]
    alike = real.kind == "f" and made == real and all(dtype == real for dtype in given)
    return real if alike and out.buffer.kind == MADE and out.whole else None


def fuse_chains(program: Program) -> None:
    """Join each elementwise instruction to the chain, or product, that made what it reads."""
    order = Order(program.instructions)
    chains: dict[Group, Chain] = {}
    maker: dict[Buffer, Instruction] = {}
    for instruction in program.instructions:
        maker |= {region.buffer: instruction for region in instruction.outputs}
        if is_product(instruction):
            chains[order.of[instruction]] = Chain.after(instruction)
        real = real_of(instruction)
        if real is None:
            continue
        chain = Chain(instruction.outputs[0].layout.shape, real)
        makers = [maker[r.buffer] for r in instruction.inputs if r.buffer in maker]
        for before in [order.of[each] for each in makers if each is not instruction]:
            found = chains.get(before)
            if (
                found is not None
                and found.takes(instruction, real)
                and (order.join(before, order.of[instruction]))
            ):
                chain = chains.pop(before)
                break
        chain.add(instruction)
        chains[order.of[instruction]] = chain
    read_by, kept = users(program.instructions), {region.buffer for region in program.kept()}

    def write(group: Group) -> Instruction:
        chain, inside = chains[group], set(group.parts)

        def outside(region: Region) -> bool:
            return region.buffer in kept or bool({*read_by.get(region.buffer, ())} - inside)

        return fused(
            chain,
            [region for region, _ in chain.made if outside(region)],
            chain.product is None or outside(chain.product.outputs[0]),
        )

    several = [group for group in order.groups if len(group.parts) > 1]
    if several:
        joined = sum(len(group.parts) for group in several)
        program.notes.append(f"chains: {joined} ops in {len(several)} passes over memory")
    program.instructions[:] = order.instructions(write)


@dataclass(frozen=True)
class Fusion:
    """What stands in the place of an op in a fused instruction."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mutates: tuple[int, ...] = ()
    error_flag: str = ""
    python_only: bool = False


def fused(chain: Chain, written: list[Region], first_is_read: bool) -> Instruction:
    """A chain as one instruction; of its product somebody reads more, if ``first_is_read``."""
    if chain.product is None:
        formula, given = chain.formula(written), tuple(chain.reads.values())
        arrays = [*given, *written]
        names = [*chain.reads, *(name for name, _ in formula.results)]
        operands = [(n, region.layout) for n, region in zip(names, arrays, strict=True)]
        launch = lower(formula, operands, chain.shape, chain.real)
        assert launch is not None, "there are elements"
        calls: tuple[Call, ...] = (Call(launch, tuple(Place(r.buffer, r.offset) for r in arrays)),)
        made = written
    else:
        formula = chain.formula(written, not first_is_read)
        calls = finished(chain.product, formula, chain.reads, written, not first_is_read)
        given = (*chain.product.inputs, *list(chain.reads.values())[1:])
        made = [chain.product.outputs[0], *written] if first_is_read else written
    names = [f"out{k}" if k else "out" for k in range(len(made))]
    op: Any = Fusion(chain.name, tuple(f"x{k}" for k in range(len(given))), tuple(names))
    return Instruction(op, given, {}, tuple(made), calls, tuple(chain.parts), chain.name)
