"""Fused ops: forward and backward kernels made by hand, with a textbook form that they must equal.

The textbook form computes the same with simpler ops. It is the documentation, the oracle of the
tests, and what is differentiated under ``create_graph``. The first derivative comes from another
fused op, ``NAME_backward``.
"""

from __future__ import annotations

import functools
import inspect
import struct
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Self

import numpy as np

from ...autograd.op import Op, Rule, TextbookRule
from ...autograd.tape import Lookup, Params, Value, empty
from ...autograd.values import from_array
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import INT64, Layout
from ...kernels.runtime.memory import scratch
from ..validation import like

_address = attrgetter("address")


class FusedRule(Rule):
    """The joint rule of a fused op: its backward op, or the textbook form under ``create_graph``.

    The backward op takes the gradient, then saved inputs and results, and params, by their names.
    """

    def __init__(self, backward: Op, owner: Op):
        self.backward, self.owner = backward, owner
        self.by_textbook, self.count = TextbookRule(owner), len(backward.inputs) - 1
        self.arguments = (*backward.inputs[1:], *backward.params)
        self.needed = tuple(dict.fromkeys((*self.arguments, *self.by_textbook.needed)))

    def function(self, gradient: Any, *values: Any) -> Any:
        """Return the gradients of all inputs, from the values of `arguments`."""
        params = dict(zip(self.backward.params, values[self.count :], strict=True))
        found: Any = self.backward(gradient.contiguous(), *values[: self.count], **params)
        return found if isinstance(found, tuple) else (found,)

    def __call__(self, gradient: Any, lookup: Lookup, create_graph: bool) -> Any:
        if create_graph:
            return self.by_textbook(gradient, lookup, create_graph)
        return super().__call__(gradient, lookup, create_graph)


class Fused(Op):
    """An op with hand-made kernels: `lower` gives the results' layouts and what to launch.

    Inputs are in C order; the floating ones have one dtype, float32 or float64. The public forms
    ensure this. ``vjp`` is the backward op.
    """

    integers: tuple[str, ...] = ()  # which inputs are int64

    @classmethod
    def of(
        cls, name: str, textbook: Callable[..., Any], outputs: str, vjp: Op | None = None
    ) -> Self:
        """Declare an op by its textbook form; keyword-only arguments of it are the params."""
        arguments = inspect.signature(textbook).parameters.values()
        inputs = [a.name for a in arguments if a.kind is not a.KEYWORD_ONLY]
        params = [a.name for a in arguments if a.kind is a.KEYWORD_ONLY]
        results = outputs.split()
        return cls(name, inputs, params=params, outputs=results, textbook=textbook, vjp=vjp)

    def make_joint_rule(self) -> Rule | None:
        return FusedRule(self.vjp, self) if isinstance(self.vjp, Op) else None

    def plan(self, *signature: Any) -> tuple[Sequence[Layout], Sequence[Launch], int]:
        """Return the layouts of the results, the launches, and the bytes of scratch memory."""
        layouts = signature[: len(self.inputs)]
        for name, layout in zip(self.inputs, layouts, strict=True):
            wanted = INT64 if name in self.integers else layouts[0].dtype
            if layout.dtype != wanted or layouts[0].dtype.kind != "f" or not layout.contiguous:
                raise TypeError(
                    f"{self.name}: `{name}`, {layout.dtype} of shape {layout.shape}, must be "
                    f"{'int64' if wanted == INT64 else 'float32 or float64, as all inputs'}, and "
                    "in C order"
                )
        results, launches = self.lower(*signature)
        return results, launches, self.scratch_size(layouts[0], results)

    def lower(self, *signature: Any) -> tuple[Sequence[Layout], Sequence[Launch]]:
        """Return the layouts of the results, and the launches on inputs and results, in order."""
        raise NotImplementedError(f"{self.name} has no launches")

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layouts, launches, size = self.plan_of(inputs, params)
        outputs = tuple(map(empty, layouts))
        addresses = (*map(_address, inputs), *map(_address, outputs))
        if size:
            addresses = (*addresses, scratch(size))
        for launch in launches:
            launch.run((launch.constants_address, *addresses))
        return outputs

    def scratch_size(self, first: Layout, results: Sequence[Layout]) -> int:
        """Return the bytes of scratch memory, the last operand of the launches; 0 for none."""
        return 0


def float_bits(number: float) -> int:
    """Return a float64 as the int64 with the same bits, as a constant of a kernel."""
    return int(struct.unpack("q", struct.pack("d", number))[0])


@functools.lru_cache(maxsize=64)
def filled(shape: tuple[int, ...], value: float, dtype: np.dtype) -> Any:
    """Return a constant in place of a weight or bias that was not given. Do not write to it."""
    return from_array(np.full(shape, value, dtype))


def like_or_filled(
    function: str, name: str, value: Any, input: Any, shape: tuple[int, ...], default: float
) -> Any:
    """Return a weight or bias of ``shape``, checked; a constant if it is None."""
    if value is None:
        return filled(shape, default, input.layout.dtype)
    return like(function, name, value, "input", input, shape)
