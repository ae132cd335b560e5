"""Epilogues: a chain that begins with a matrix product goes over its tiles while they are in cache.

    %1 = linear(x, w, b)
    %2 = relu(%1)               ->      %2 = linear+relu(x, w, b)

The kernel of the product calls that of the chain on every block that it has finished
(``kernels/gemm/partition.py``). Where nobody else reads the product, the first result takes its
place in memory.
"""

from __future__ import annotations

from typing import Any

from ...kernels import gemm
from ...kernels.codegen import elementwise as generator
from ...kernels.codegen.elementwise import Formula, Operand
from ...kernels.gemm import words as at
from ...kernels.gemm.planning import Finish
from ...kernels.runtime.layout import broadcast_strides
from ...kernels.runtime.threads import get_num_threads
from ...ops.elementwise.declare import work_of
from ...ops.fused.matmul import MatMul
from ..ir import MADE, SCRATCH, Buffer, Call, Instruction, Place, Region, Word

_A, _B, _BIAS, _C = (k - 1 for k in (at.A, at.B, at.BIAS, at.C))  # words without the constants


def is_product(instruction: Instruction) -> bool:
    """Whether an instruction is a product that can finish its blocks by a chain.

    One that computes C' in place of C cannot.
    """
    op, out = instruction.op, instruction.outputs[:1]
    if not isinstance(op, MatMul) or len(instruction.calls) != 1 or out[0].layout.ndim != 2:
        return False
    turned = bool(instruction.calls[0].launch.constants[at.TURNED])
    return not turned and out[0].whole and out[0].buffer.kind == MADE


def steps_along_rows(region: Region, shape: tuple[int, ...]) -> bool:
    """Whether a finishing kernel can read an operand: element by element, or one for a row."""
    step = broadcast_strides(region.layout, shape)[-1]
    return step in (0, region.layout.dtype.itemsize) or shape[-1] == 1


def finished(
    product: Instruction,
    formula: Formula,
    reads: dict[str, Region],
    results: list[Region],
    in_place: bool,
) -> tuple[Call, ...]:
    """The call of a product that ends with a formula, of which ``reads`` begins with C.

    ``in_place``: the first of the results lies where C was to be.
    """
    layouts = [region.layout for region in product.inputs]
    c = results[0] if in_place else product.outputs[0]
    shape = c.layout.shape
    beside = list(reads.items())[1:]
    names = [name for name, _ in formula.results]
    beside += list(zip(names, results, strict=True))[int(in_place) :]
    operands = [(next(iter(reads)), c), *beside]
    strides, signature = [], []
    for name, region in operands:
        row, column = broadcast_strides(region.layout, shape)
        access = "s" if column == 0 and shape[-1] > 1 else "c"
        strides.append((0, row, column))
        signature.append(Operand(name, str(region.layout.dtype), access))
    kernel = generator.address(formula, tuple(signature), str(c.layout.dtype))
    op: Any = product.op
    start = gemm.BIASED if len(layouts) > 2 else gemm.ZEROS
    plan = gemm.plan(
        layouts[0], op.right_layout(layouts[1]), c.layout, start, Finish(kernel, tuple(strides))
    )
    assert plan is not None, "a product of two dimensions can be planned"
    plan.launch.work += work_of(formula, [r.layout for _, r in operands], shape)
    count = get_num_threads()
    scratch = Buffer(SCRATCH, plan.scratch(count), "scratch")
    given = product.calls[0].words
    words: list[Word] = [
        given[_A],
        given[_B],
        given[_BIAS],
        Place(c.buffer, c.offset),
        Place(scratch, 0),
        count,
    ]
    words += [Place(region.buffer, region.offset) for _, region in beside]
    return (Call(plan.launch, tuple(words)),)
