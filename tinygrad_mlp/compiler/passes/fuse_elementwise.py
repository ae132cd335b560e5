"""Elementwise fusion: ops on the same elements become one pass over memory.

    %4 = relu(%2)
    %6 = dropout(%4, %5, 2)         ->      %6, %4 = relu+dropout(%2, %5, 2)

Each formula is substituted into the next. The operations, their order and their dtype stay, and so
the results, bit for bit. A result that only the fused ops read is not written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...kernels.codegen.elementwise import Formula
from ...kernels.codegen.expression import Expression
from ...ops.elementwise.declare import Elementwise, lower
from ..ir import TEMPORARY, Buffer, Instruction, KernelCall, Program, Region, readers
from .fuse_epilogue import call_with_epilogue, is_product, steps_along_rows
from .legality import Group, Order

MAX_ARRAYS = 12  # that one kernel reads and writes: about as many addresses fit into registers


@dataclass(eq=False)
class Chain:
    """A chain of elementwise instructions over one shape, to be fused into one formula.

    It may start with a matrix product. ``reads`` maps names in the formula to the regions that it
    reads: from outside of the chain, and the result of the product. ``made`` lists its results.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    product: Instruction | None = None  # then its result is the first region that is read
    parts: list[Instruction] = field(default_factory=list)
    reads: dict[str, Region] = field(default_factory=dict)
    masks: set[str] = field(default_factory=set)
    made: list[tuple[Region, Expression]] = field(default_factory=list)

    @classmethod
    def after(cls, product: Instruction) -> Chain:
        """Return the chain that a product begins."""
        out = product.outputs[0]
        return cls(out.layout.shape, out.layout.dtype, product, [product], {"x0": out})

    def add(self, instruction: Instruction) -> None:
        """Append an op on what the chain reads and makes."""
        op = instruction.op
        assert isinstance(op, Elementwise)
        values = {
            name: self._value(region, name in op.masks)
            for name, region in zip(op.inputs, instruction.inputs, strict=True)
        }
        self.parts.append(instruction)
        self.made.append((instruction.outputs[0], substituted(op.expression, values)))

    def accepts(self, instruction: Instruction, dtype: np.dtype) -> bool:
        """Return whether an instruction is over the same elements, and the kernel has room."""
        inputs = instruction.inputs
        if (instruction.outputs[0].layout.shape, dtype) != (self.shape, self.dtype):
            return False
        if self.product and not all(steps_along_rows(region, self.shape) for region in inputs):
            return False
        # Another view of a result of the chain (`y + y.T`) reads elements that are not made yet.
        own = [region for region, _ in self.made]
        own += self.product.outputs if self.product is not None else []
        fits = len(self.reads) + len(self.made) + len(inputs) <= MAX_ARRAYS
        return fits and all(r.buffer is not o.buffer or r.equals(o) for r in inputs for o in own)

    def _value(self, region: Region, mask: bool) -> Expression:
        for other, expression in self.made:
            if other.equals(region):
                return expression
        for name, other in self.reads.items():
            if other.equals(region) and (name in self.masks) == mask:
                return Expression("input", value=name)
        name = f"x{len(self.reads)}"
        self.reads[name] = region
        self.masks |= {name} if mask else set()
        return Expression("input", value=name)

    def formula(self, written: list[Region], in_place: bool = False) -> Formula:
        """Return the formula of the kernel; ``written`` are the results that are read elsewhere.

        ``in_place``: the first of them overwrites the first array that is read.
        """
        made = {id(region): expression for region, expression in self.made}
        results = [(f"out{k}", made[id(region)]) for k, region in enumerate(written)]
        if in_place:
            results[0] = ("x0", results[0][1])
        name = "+".join(part.name for part in self.parts)
        return Formula(name, tuple(self.reads), tuple(results), masks=frozenset(self.masks))


def substituted(expression: Expression, values: dict[str, Expression]) -> Expression:
    """Return a formula with expressions in place of its inputs."""
    done: dict[int, Expression] = {}

    def walk(node: Expression) -> Expression:
        if node.operator == "input":
            return values[node.value]
        if id(node) not in done:
            arguments = [walk(argument) for argument in node.arguments]
            done[id(node)] = Expression(node.operator, arguments, node.value)
        return done[id(node)]

    return walk(expression)


def fusible_dtype(instruction: Instruction) -> Any:
    """Return the dtype that an instruction reads, computes in and makes; None to not fuse it."""
    op = instruction.op
    if not isinstance(op, Elementwise) or op.in_place or len(instruction.calls) != 1:
        return None
    out = instruction.outputs[0]
    dtype, made = op.dtypes([region.layout for region in instruction.inputs])
    inputs = zip(op.inputs, instruction.inputs, strict=True)
    read = {region.layout.dtype for name, region in inputs if name not in op.masks}
    fusible = dtype.kind == "f" and read | {made} == {dtype}
    return dtype if fusible and out.buffer.role == TEMPORARY and out.is_whole else None


def fuse_elementwise(program: Program) -> None:
    """Join each elementwise instruction to the chain, or product, that made what it reads."""
    order = Order(program.instructions)
    chains: dict[Group, Chain] = {}
    maker: dict[Buffer, Instruction] = {}
    for instruction in program.instructions:
        makers = [maker[r.buffer] for r in instruction.inputs if r.buffer in maker]
        maker |= {region.buffer: instruction for region in instruction.outputs}
        if is_product(instruction):
            chains[order.of[instruction]] = Chain.after(instruction)
        dtype = fusible_dtype(instruction)
        if dtype is None:
            continue
        chain = Chain(instruction.outputs[0].layout.shape, dtype)
        for before in [order.of[each] for each in makers]:
            found = chains.get(before)
            fits = found is not None and found.accepts(instruction, dtype)
            if fits and order.join(before, order.of[instruction]):
                chain = chains.pop(before)
                break
        chain.add(instruction)
        chains[order.of[instruction]] = chain
    read_by = readers(program.instructions)
    live_out = {region.buffer for region in program.live_out()}

    def fuse(group: Group) -> Instruction:
        chain, inside = chains[group], set(group.parts)

        def is_read(region: Region) -> bool:
            outside = {*read_by.get(region.buffer, ())} - inside
            return region.buffer in live_out or bool(outside)

        written = [region for region, _ in chain.made if is_read(region)]
        return fused(chain, written, chain.product is None or is_read(chain.product.outputs[0]))

    several = [group for group in order.groups if len(group.parts) > 1]
    if several:
        joined = sum(len(group.parts) for group in several)
        program.notes.append(f"elementwise fusion: {joined} ops in {len(several)} kernels")
    program.instructions[:] = order.instructions(fuse)


@dataclass(frozen=True)
class FusedOp:
    """Stands in the place of the op in a fused instruction."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mutates: tuple[int, ...] = ()
    error_flag: str = ""
    python_only: bool = False
    per_slice: bool = False


_formulas: dict[Any, Formula] = {}  # by structure


def interned(formula: Formula) -> Formula:
    """Return the first formula of this structure: kernels are kept by formula, by identity."""
    numbers: dict[int, int] = {}  # of the nodes, by id
    nodes: list[Any] = []

    def number(node: Expression) -> int:
        if id(node) not in numbers:
            arguments = tuple(map(number, node.arguments))
            nodes.append((node.operator, type(node.value), repr(node.value), arguments))
            numbers[id(node)] = len(nodes) - 1
        return numbers[id(node)]

    results = tuple((name, number(expression)) for name, expression in formula.results)
    rest = formula.name, formula.inputs, formula.uniform, formula.masks
    return _formulas.setdefault((*rest, results, tuple(nodes)), formula)


def fused(chain: Chain, written: list[Region], product_is_read: bool) -> Instruction:
    """Return a chain as one instruction that writes the results ``written``.

    ``product_is_read``: the result of the chain's product is read outside of the chain too.
    """
    formula = interned(chain.formula(written, in_place=not product_is_read))
    reads, made = tuple(chain.reads.values()), written
    if chain.product is None:
        names = [*chain.reads, *(name for name, _ in formula.results)]
        operands = list(zip(names, (*reads, *written), strict=True))
        layouts = [(name, region.layout) for name, region in operands]
        launch = lower(formula, layouts, chain.shape, chain.dtype)
        assert launch is not None, "there are elements"
        call = KernelCall(launch, tuple(region.address for _, region in operands))
    else:
        call = call_with_epilogue(chain.product, formula, chain.reads, written, not product_is_read)
        reads = (*chain.product.inputs, *reads[1:])
        made = [chain.product.outputs[0], *written] if product_is_read else written
    outputs = tuple(f"out{k}" if k else "out" for k in range(len(made)))
    op: Any = FusedOp(formula.name, tuple(f"x{k}" for k in range(len(reads))), outputs)
    return Instruction(op, reads, {}, tuple(made), (call,), tuple(chain.parts), formula.name)
