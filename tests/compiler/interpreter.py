"""An interpreter of programs in NumPy, slow and simple: the oracle of the compiled program.

It runs the instructions as they were captured (the parts of a fused one), one after another, each
on its own memory: without arena, schedule, or kernels where NumPy or the textbook form of an op
does the same. Products, sums and textbook forms are computed in float64 and rounded once. Formulas
are evaluated in their own dtype, operation by operation. Random draws, and ops without another
form, run as the op on copies.

State is copied first, and only the copy is written.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_mlp.autograd.modes import grad_mode
from tinygrad_mlp.autograd.tape import Value
from tinygrad_mlp.autograd.values import as_array, from_array
from tinygrad_mlp.compiler.ir import STATE, Buffer, Instruction, Program, Region, as_captured
from tinygrad_mlp.kernels.codegen.expression import Expression
from tinygrad_mlp.ops.elementwise.declare import Elementwise
from tinygrad_mlp.ops.fused.declare import Fused
from tinygrad_mlp.ops.fused.matmul import MatMul
from tinygrad_mlp.ops.fused.optimizer_update import Update
from tinygrad_mlp.ops.fused.softmax import RowOp
from tinygrad_mlp.ops.reduce import Reduce

_UNWRITTEN = 0xFF  # bytes of which floats are NaN


class Interpreted:
    """The ``results`` and ``gradients`` of a program, and the state after it."""

    def __init__(self, program: Program, inputs: Sequence[Any]):
        self.program = program
        self.memory: dict[Buffer, np.ndarray] = {}
        for region, given in zip(program.inputs, inputs, strict=True):
            self.array(region)[...] = as_array(given) if isinstance(given, Value) else given
        with np.errstate(all="ignore"), grad_mode(False):
            for instruction in as_captured(program.instructions):
                self._run(instruction)
        self.results = [self.array(region).copy() for region in program.results]
        self.gradients = [(leaf, self.array(region)) for leaf, region in program.gradients]

    def array(self, region: Region) -> np.ndarray:
        """Return the array of a region in the interpreter's memory."""
        buffer, layout = region.buffer, region.layout
        if buffer not in self.memory:
            self.memory[buffer] = np.full(max(buffer.nbytes, 1), _UNWRITTEN, np.uint8)
            if buffer.role == STATE:
                now = ctypes.string_at(buffer.address, buffer.nbytes)
                self.memory[buffer][: buffer.nbytes] = np.frombuffer(now, np.uint8)
        start = region.offset if layout.size else 0
        return np.ndarray(layout.shape, layout.dtype, self.memory[buffer], start, layout.strides)

    def of(self, tensor: Any) -> np.ndarray | None:
        """Return the value of a tensor after the program; None if the program does not use it."""
        for buffer in self.memory:
            if buffer.role == STATE and buffer.owner is tensor.storage:
                return self.array(Region(buffer, tensor.address - buffer.address, tensor.layout))
        return None

    def _run(self, instruction: Instruction) -> None:
        op, params = instruction.op, instruction.params
        inputs = [self.array(region) for region in instruction.inputs]
        outputs = [self.array(region) for region in instruction.outputs]
        if isinstance(op, Update):
            made = _textbook(op, inputs, params)
            outputs = [inputs[k] for k in op.mutates]
        elif isinstance(op, Elementwise):
            made = [_elementwise(op, instruction, inputs)]
        elif isinstance(op, MatMul):
            made = [_product(op, *inputs)]
        elif isinstance(op, Reduce):
            made = [
                _REDUCTIONS[op.name](
                    _wide(inputs[0]), axis=tuple(params["dims"]), keepdims=bool(params["keepdim"])
                )
            ]
        elif isinstance(op, (Fused, RowOp)) and op.textbook is not None:
            made = _textbook(op, inputs, params)
        else:
            made = _by_op(op, inputs, params)
        for output, value in zip(outputs, made, strict=False):
            output[...] = value
        for output, name in zip(outputs, op.outputs, strict=False):
            if name == op.error_flag:
                output[...] = 0


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _product(op: Any, a: np.ndarray, b: np.ndarray, *bias: np.ndarray) -> np.ndarray:
    product = np.matmul(_wide(a), op.right(_wide(b)))
    for row in bias:
        product = product + _wide(row)
    return np.asarray(product)


def _textbook(op: Any, inputs: list[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    """Return the textbook form of an op, in float64."""
    made = op.textbook(*[from_array(_wide(array)) for array in inputs], **params)
    return [as_array(value) for value in (made if isinstance(made, tuple) else (made,))]


def _by_op(op: Any, inputs: list[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    """Return the results of the op itself on copies; inputs that it changes are copied back."""
    copies = tuple(map(from_array, inputs))
    made = [as_array(value) for value in op.run(copies, params)]
    for k in op.mutates:
        inputs[k][...] = as_array(copies[k])
    return made


def _elementwise(op: Any, instruction: Instruction, inputs: list[np.ndarray]) -> np.ndarray:
    """Evaluate a formula in the dtype that its kernel computes in."""
    real, _ = op.dtypes([region.layout for region in instruction.inputs])
    named = {
        name: array if name in op.masks else array.astype(real)
        for name, array in zip(op.inputs, inputs, strict=True)
    }
    return np.asarray(evaluate(op.expression, named, real))


def evaluate(
    expression: Expression, named: dict[str, np.ndarray], real: np.dtype
) -> np.ndarray | np.generic:
    """Evaluate an expression of named arrays by NumPy, in the dtype ``real``."""
    known: dict[int, Any] = {}

    def value(node: Expression) -> Any:
        if id(node) not in known:
            if node.operator == "input":
                known[id(node)] = named[node.value]
            elif node.operator == "constant":
                known[id(node)] = np.asarray(node.value).astype(real)
            else:
                made = _FUNCTIONS[node.operator](*map(value, node.arguments))
                known[id(node)] = made if made.dtype.kind == "b" else made.astype(real)
        return known[id(node)]

    found: np.ndarray | np.generic = value(expression)
    return found


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "prod": np.prod,
    "amax": np.max,
    "amin": np.min,
    "any": np.any,
    "all": np.all,
    "sum_of_squares": lambda x, axis, keepdims: np.sum(x * x, axis=axis, keepdims=keepdims),
}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "floordiv": np.floor_divide,
    "mod": np.mod,
    "pow": np.power,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "where": np.where,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)),
    "softplus": _softplus,
    "erf": lambda x: np.vectorize(math.erf, otypes=[np.float64])(x),
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}
for _name in (
    "exp",
    "expm1",
    "exp2",
    "log",
    "log1p",
    "log2",
    "log10",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "absolute",
    "maximum",
    "minimum",
):
    _FUNCTIONS[_name] = getattr(np, _name)


def interpret(program: Program, inputs: Sequence[Any]) -> Interpreted:
    """Interpret ``program`` on ``inputs``, tensors or arrays; no state is changed."""
    return Interpreted(program, inputs)
