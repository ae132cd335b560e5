"""Fused ops: a kernel made by hand, forward and backward, beside the textbook form it must equal.

The textbook form says in simpler ops what the kernel computes. It is the documentation, what the
tests hold the kernel to, and what the tape differentiates where gradients are themselves taped
(``create_graph``): the fast rule is for the everyday first derivative.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels.launch import Launch
from ..kernels.layout import Layout
from ..tape import Params, Value
from .op import Op, Rule, TextbookRule
from .values import empty, from_array


class FusedRule(Rule):
    """All gradients at once: by the fast rule, or under ``create_graph`` from the textbook form."""

    def __init__(self, function: Callable[..., Any], owner: Op):
        super().__init__(function, owner)
        count, self.fast = len(self.wants), function
        self.by_textbook = TextbookRule(owner)
        self.wants = tuple(dict.fromkeys((*self.wants, *self.by_textbook.wants)))
        self.function = lambda g, *arguments: function(g, *arguments[:count])

    def __call__(self, gradient: Any, arguments: Sequence[Any], create_graph: bool) -> Any:
        if not create_graph:
            return self.function(gradient, *arguments)
        given = dict(zip(self.wants, arguments, strict=True))
        wanted = [given[name] for name in self.by_textbook.wants]
        return self.by_textbook(gradient, wanted, create_graph)


class Fused(Op):
    """An op with one kernel for all its outputs; ``plan`` gives their layouts and the launches."""

    def _rules(self) -> dict[int, Any]:
        if self.vjp is None:
            return {}  # a *_backward op: run only where nothing is taped
        assert callable(self.vjp)
        return {-1: FusedRule(self.vjp, self)}

    def plan(self, *signature: Any) -> tuple[Sequence[Layout], Sequence[Launch]]:
        raise NotImplementedError(f"{self.name} says no plan")

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        layouts, launches = self.planned(*[value.layout for value in inputs], *params.values())
        outputs = tuple(empty(layout) for layout in layouts)
        addresses = [value.address for value in (*inputs, *outputs)]
        for launch in launches:
            launch(*addresses)
        return outputs


def float_bits(number: float) -> int:
    """A float64 as the int64 with the same bits: how a kernel's constants hold it."""
    return int(struct.unpack("q", struct.pack("d", number))[0])


@functools.lru_cache(maxsize=64)
def filled(shape: tuple[int, ...], value: float, dtype: np.dtype) -> Any:
    """A constant in place of a weight or bias that was not given. Nobody writes to it."""
    return from_array(np.full(shape, value, dtype))
