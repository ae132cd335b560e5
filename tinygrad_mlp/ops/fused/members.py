"""Ops of K networks at once: another op, applied to each of K slices, in one call.

    out[k] = op(a[k], b[k], ...)        for k = 0 ... K - 1

Each slice is computed by the kernels that compute it alone, on memory of one stacked result: the
results are the same bits. In a compiled program the kernels of all slices run side by side, each on
one thread, with one barrier for all of them.

What is the same for all members is passed as an expanded view, with stride 0 along the first axis.
Elementwise ops need no such form: they take stacked tensors as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd import tape
from ...autograd.op import Op, Rule
from ...autograd.tape import Params, Value
from ...autograd.values import as_array, from_memory
from ...kernels.gemm.deep import DeepPlan
from ...kernels.gemm.planning import Plan
from ...kernels.runtime import threads
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import BOOL, Layout, dense, layout_of
from ...kernels.runtime.memory import scratch
from .. import reduce
from ..random import Draw, _advance, _mask
from ..shape.join import stack
from ..shape.view import contiguous, expand, reshape, transpose, unsqueeze
from ..validation import probability
from . import batch_norm as _bn
from . import cross_entropy as _ce
from . import layer_norm as _ln
from .declare import Fused, FusedRule, filled
from .dropout import _dropout
from .matmul import MatMul, _linear, _matmul

if TYPE_CHECKING:
    from ..._tensor import Tensor

Addresses = Sequence[int]
Words = Callable[[Addresses, Addresses, int], tuple[int, ...]]
"""The operands of a launch, from the addresses of inputs, results and scratch memory."""

Lowered = tuple[Sequence[Layout], int, list[tuple[Launch, Words]]]
"""The layouts of the results, the bytes of scratch memory, and the launches."""


class Members(Op):
    """An op on each slice of its inputs along their first axis; the results are stacked."""

    per_slice = True

    def __init__(self, inner: Op, vjp: Any = None):
        self.inner = inner
        names = [inner.inputs[k] for k in inner.mutates]
        super().__init__(
            f"members_{inner.name}",
            inner.inputs,
            params=inner.params,
            outputs=inner.outputs,
            vjp=vjp,
            textbook=None if inner.textbook is None else self.by_textbook,
            mutates=names,
            register=False,
        )

    def make_joint_rule(self) -> Rule | None:
        return FusedRule(self.vjp, self) if isinstance(self.vjp, Op) else super().make_joint_rule()

    def by_textbook(self, *inputs: Any, **params: Any) -> Any:
        """Return the stacked results of the textbook form of each member."""
        assert self.inner.textbook is not None
        members = range(inputs[0].layout.shape[0])
        found = [self.inner.textbook(*(x[k] for x in inputs), **params) for k in members]
        if not isinstance(found[0], tuple):
            return stack(found)
        return tuple(stack(each) for each in zip(*found, strict=True))

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        members = inputs[0].layout.shape[0]
        layouts = [slice_of(value.layout) for value in inputs]
        lowered = lower(self.inner, layouts, self.values_of(params))
        if lowered is None:
            return self._one_by_one(inputs, params)
        results, size, calls = lowered
        size = -(-size // 64) * 64
        memory = scratch(members * size) if size else 0
        outputs = tuple(tape.empty(dense((members, *each.shape), each.dtype)) for each in results)
        places = [
            (
                [v.address + k * v.layout.strides[0] for v in inputs],
                [v.address + k * each.nbytes for v, each in zip(outputs, results, strict=True)],
                memory + k * size,
            )
            for k in range(members)
        ]
        for launch, words in calls:
            for place in places:
                launch.run((launch.constants_address, *words(*place)))
        return outputs or (inputs[0],)

    def _one_by_one(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        """Return the results where the op has no kernel: of no elements, or of strided slices."""
        found = []
        for k in range(inputs[0].layout.shape[0]):
            given = (
                tape.new(v.storage, slice_of(v.layout), v.address + k * v.layout.strides[0])
                for v in inputs
            )
            found.append(self.inner.run(tuple(given), params))
        return tuple(
            from_memory(np.stack([as_array(v) for v in each])) for each in zip(*found, strict=True)
        )


def slice_of(layout: Layout) -> Layout:
    """Return the layout of a slice along the first axis."""
    return layout_of(layout.shape[1:], layout.strides[1:], layout.dtype)


def lower(op: Any, layouts: Sequence[Layout], params: Sequence[Any]) -> Lowered | None:
    """Return how ``op`` runs on one member; None if it has no kernel for these layouts."""
    plan: Any = op.planned(*layouts, *params)
    if isinstance(op, MatMul):
        return _lower_product(*plan)
    if isinstance(op, Draw):
        layout, launch = plan
        draw = [(launch, lambda i, o, s: (i[0], o[0]))] if layout.size else []
        return [layout], 0, [*draw, (_advance(), lambda i, o, s: (i[0],))]
    if isinstance(op, _ce.LabelLoss):
        return _lower_label_loss(*plan)
    if isinstance(op, Fused):
        results, launches, size = plan
        return (
            results,
            size,
            [(launch, lambda i, o, s: (*i, *o, s) if size else (*i, *o)) for launch in launches],
        )
    assert isinstance(op, reduce.Reduce)
    return _lower_reduction(*plan)


def _lower_product(layout: Layout, plan: Plan | DeepPlan | None) -> Lowered | None:
    count = threads.get_num_threads()
    if plan is None:
        return None
    if isinstance(plan, Plan):
        return (
            [layout],
            plan.scratch(count),
            [(plan.launch, lambda i, o, s: (i[0], i[1], i[2] if i[2:] else 0, o[0], s, count))],
        )
    own = -(-plan.products.scratch(count) // 64) * 64
    a, b = (1, 0) if plan.transposed else (0, 1)
    calls: list[tuple[Launch, Words]] = [
        (plan.products.launch, lambda i, o, s: (i[a], i[b], 0, s + own, s, count)),
        (plan.add, lambda i, o, s: (s + own, o[0])),
    ]
    return [layout], own + plan.parts.nbytes, calls


def _lower_label_loss(results: Sequence[Layout], launches: Sequence[Launch], size: int) -> Lowered:
    """Return how a mean `LabelLoss` runs: the weights and losses of rows are in scratch memory."""
    each, total = launches
    half = size // 2
    calls: list[tuple[Launch, Words]] = [
        (each, lambda i, o, s: (*i, s + half, s, *o[1:-1])),
        (total, lambda i, o, s: (s + half, s, o[0], o[-1])),
    ]
    return results, size, calls


def _lower_reduction(layout: Layout, stages: Any) -> Lowered | None:
    calls: list[tuple[Launch, Words]] = []
    start = 0
    for k, (launch, size) in enumerate(stages):
        source = None if k == 0 else start - stages[k - 1][1]
        target = start if k + 1 < len(stages) else None

        def words(i: Any, o: Any, s: int, source: Any = source, target: Any = target) -> Any:
            return i[0] if source is None else s + source, o[0] if target is None else s + target

        calls.append((launch, words))
        start += size
    return ([layout], start if len(stages) > 1 else 0, calls) if stages else None


_members_sum = Members(
    reduce._sum, vjp={"x": lambda g, x_shape, dims, keepdim: expand(unsqueeze(g, 1), x_shape)}
)
_members_matmul: Members = Members(
    _matmul,
    vjp={
        "a": lambda g, b: _members_matmul(g, transpose(b, 1, 2)),
        "b": lambda g, a: _members_matmul(transpose(a, 1, 2), g),
    },
)
_members_linear = Members(
    _linear,
    vjp={
        "x": lambda g, weight: _members_matmul(g, weight),
        "weight": lambda g, x: _members_matmul(transpose(g, 1, 2), x),
        "bias": lambda g: _members_sum(g, dims=(0,), keepdim=False),
    },
)
_members_batch_norm = Members(_bn._batch_norm, vjp=Members(_bn._batch_norm_backward))
_members_layer_norm = Members(_ln._layer_norm, vjp=Members(_ln._layer_norm_backward))
_members_cross_entropy = Members(_ce._cross_entropy, vjp=Members(_ce._cross_entropy_backward))
_members_update_running_stats_ = Members(_bn.update_running_stats_)
_members_mask = Members(_mask)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x (K, ..., in) times each of K weights (K, out, in), plus each bias (K, out)."""
    shape = x.layout.shape
    rows = x if len(shape) == 3 else reshape(x, (shape[0], -1, shape[-1]))
    given = (rows, weight) if bias is None else (rows, weight, bias)
    out = _members_linear(*given)
    return out if len(shape) == 3 else reshape(out, (*shape[:-1], weight.layout.shape[1]))


def batch_norm(
    x: Tensor,
    running: tuple[Tensor, Tensor, Tensor] | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float | None,
    eps: float,
) -> Tensor:
    """Return `batch_norm` of each member: x (K, N, C), statistics, weight and bias (K, C).

    ``running``: mean, variance and number of batches (K,), updated in training.
    """
    members, count, columns = x.layout.shape
    dtype = x.layout.dtype
    weight = filled((members, columns), 1.0, dtype) if weight is None else weight
    bias = filled((members, columns), 0.0, dtype) if bias is None else bias
    if not training:
        assert running is not None
        row = (members, 1, columns)
        given = (reshape(value, row) for value in (*running[:2], weight, bias))
        return _bn.normalize(x, *given, eps)
    _bn._values_per_feature((count, columns))
    out, mean, var = _members_batch_norm(contiguous(x), weight, bias, eps=float(eps))
    if running is not None:
        _members_update_running_stats_(*running, mean, var, momentum=momentum, count=count)
    return out


def layer_norm(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Return `layer_norm` of each member: x (K, ..., *shape), weight and bias (K, *shape)."""
    full, dtype = (x.layout.shape[0], *shape), x.layout.dtype
    weight = filled(full, 1.0, dtype) if weight is None else weight
    bias = filled(full, 0.0, dtype) if bias is None else bias
    out, *_ = _members_layer_norm(contiguous(x), weight, bias, eps=float(eps))
    return out


def dropout(x: Tensor, states: Tensor, p: float) -> Tensor:
    """Return `dropout` of x (K, ...), each member with the mask of its own generator.

    ``states`` int64 (K, 2) are the states of the generators, which are advanced.
    """
    p = probability("dropout", "p", p)
    if p == 0:
        return x
    mask = _members_mask(states, shape=x.layout.shape[1:], dtype=BOOL, p=p)
    return _dropout(x, mask, 1 / (1 - p) if p < 1 else 0.0)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, **options: Any
) -> Tensor:
    """Return the mean cross-entropy of each member: input (K, N, C), labels (N,), result (K,)."""
    members, _, classes = input.layout.shape
    name, rows = "cross_entropy", input.detach()[0]
    rows, labels = _ce._rows(name, rows, target, 1, "mean", options["ignore_index"])
    weight = filled((classes,), 1.0, input.layout.dtype) if weight is None else weight
    return _members_cross_entropy(
        contiguous(input),
        expand(labels, (members, *labels.layout.shape)),
        expand(weight, (members, classes)),
        reduction="mean",
        **options,
    )[0]
