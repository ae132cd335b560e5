"""Epilogue fusion: a chain behind a matrix product runs on the tiles while they are in the cache.

    %1 = linear(x, w, b)
    %2 = relu(%1)               ->      %2 = linear+relu(x, w, b)

The kernel of the product calls the kernel of the chain on every block that it has finished
(``kernels/gemm/partition.py``). If only the chain reads the product, the first result of the chain
overwrites it.
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
from ..ir import SCRATCH, TEMPORARY, Buffer, BufferAddress, Instruction, KernelCall, Region, Word


def is_product(instruction: Instruction) -> bool:
    """Return whether an instruction is a product that can end with a chain.

    A product that computes C' in place of C cannot.
    """
    op, out = instruction.op, instruction.outputs[:1]
    if not isinstance(op, MatMul) or len(instruction.calls) != 1 or out[0].layout.ndim != 2:
        return False
    turned = bool(instruction.calls[0].launch.constants[at.TRANSPOSED])
    return not turned and out[0].is_whole and out[0].buffer.role == TEMPORARY


def steps_along_rows(region: Region, shape: tuple[int, ...]) -> bool:
    """Return whether an epilogue can read an operand: every element in turn, or one per row."""
    step = broadcast_strides(region.layout, shape)[-1]
    return step in (0, region.layout.dtype.itemsize) or shape[-1] == 1


def call_with_epilogue(
    product: Instruction,
    formula: Formula,
    reads: dict[str, Region],
    results: list[Region],
    in_place: bool,
) -> KernelCall:
    """Return the call of a product that ends with a formula, whose ``reads`` begin with C.

    ``in_place``: the first of the results overwrites C.
    """
    layouts = [region.layout for region in product.inputs]
    c = results[0] if in_place else product.outputs[0]
    shape = c.layout.shape
    names = [name for name, _ in formula.results]
    others = list(reads.items())[1:] + list(zip(names, results, strict=True))[int(in_place) :]
    operands = [(next(iter(reads)), c), *others]
    strides, signature = [], []
    for name, region in operands:
        row, column = broadcast_strides(region.layout, shape)
        access = "s" if column == 0 and shape[-1] > 1 else "c"
        strides.append((0, row, column))
        signature.append(Operand(name, str(region.layout.dtype), access))
    kernel = generator.address(formula, tuple(signature), str(c.layout.dtype))
    op: Any = product.op
    start = gemm.BIASED if len(layouts) > 2 else gemm.ZEROS
    finish = Finish(kernel, tuple(strides))
    plan = gemm.plan(layouts[0], op.right_layout(layouts[1]), c.layout, start, finish)
    assert plan is not None, "a product of two dimensions can be planned"
    plan.launch.work += work_of(formula, [r.layout for _, r in operands], shape)
    count = get_num_threads()
    scratch = Buffer(SCRATCH, plan.scratch(count), "scratch")
    given = (0, *product.calls[0].words)  # numbered with word 0, as in kernels/gemm/words.py
    words: list[Word] = [given[at.A], given[at.B], given[at.BIAS], c.address]
    words += [BufferAddress(scratch, 0), count, *(region.address for _, region in others)]
    return KernelCall(plan.launch, tuple(words))
