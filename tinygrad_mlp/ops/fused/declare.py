"""Fused ops: a kernel made by hand, forward and backward, beside the textbook form it must equal.

The textbook form says in simpler ops what the kernel computes. It is the documentation, what the
tests hold the kernel to, and what the tape differentiates where gradients are themselves taped
(``create_graph``): the fast rule is for the everyday first derivative.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ...autograd.op import Op, Rule, TextbookRule
from ...autograd.tape import Lookup, Params, Value, empty
from ...autograd.values import from_array
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import INT64, Layout
from ...kernels.runtime.memory import scratch

_address = attrgetter("address")


class FusedRule(Rule):
    """All gradients at once: by the fast rule, or under ``create_graph`` from the textbook form."""

    def __init__(self, function: Callable[..., Any], owner: Op):
        super().__init__(function, owner)
        self.by_textbook = TextbookRule(owner)
        self.needed = tuple(dict.fromkeys((*self.arguments, *self.by_textbook.needed)))

    def __call__(self, gradient: Any, lookup: Lookup, create_graph: bool) -> Any:
        if create_graph:
            return self.by_textbook(gradient, lookup, create_graph)
        return super().__call__(gradient, lookup, create_graph)


class Fused(Op):
    """An op with hand-made kernels: `lower` gives the results' layouts and what to launch.

    Inputs lie in C order; the floating ones have one dtype, float32 or float64. The public forms
    see to that.
    """

    integers: tuple[str, ...] = ()  # which inputs are int64

    def make_joint_rule(self) -> Rule | None:
        return FusedRule(self.vjp, self) if callable(self.vjp) else None  # None: *_backward ops

    def plan(self, *signature: Any) -> tuple[Sequence[Layout], Sequence[Launch], int]:
        """Checked once a signature: the layouts of the results, the launches, bytes of scratch."""
        layouts = signature[: len(self.inputs)]
        for name, layout in zip(self.inputs, layouts, strict=True):
            wanted = INT64 if name in self.integers else layouts[0].dtype
            if layout.dtype != wanted or layouts[0].dtype.kind != "f" or not layout.contiguous:
                raise TypeError(
                    f"{self.name}: `{name}`, {layout.dtype} of shape {layout.shape}, must be "
                    f"{'int64' if wanted == INT64 else 'float32 or float64, as all inputs'}, and "
                    "lie in C order"
                )
        results, launches = self.lower(*signature)
        return results, launches, self.scratch_size(layouts[0], results)

    def lower(self, *signature: Any) -> tuple[Sequence[Layout], Sequence[Launch]]:
        """The layouts of the results, and the launches on the addresses of inputs and results."""
        raise NotImplementedError(f"{self.name} says no launches")

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
        """Bytes of scratch that the launches want, as their last operand; 0: they have none."""
        return 0


def float_bits(number: float) -> int:
    """A float64 as the int64 with the same bits: how a kernel's constants hold it."""
    return int(struct.unpack("q", struct.pack("d", number))[0])


@functools.lru_cache(maxsize=64)
def filled(shape: tuple[int, ...], value: float, dtype: np.dtype) -> Any:
    """A constant in place of a weight or bias that was not given. Nobody writes to it."""
    return from_array(np.full(shape, value, dtype))
