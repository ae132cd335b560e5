"""Each fast kernel equals its textbook form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tests.ops.harness import arrays_of, results, tensors
from tests.ops.rows import TABLE
from tinygrad_mlp.autograd.modes import record
from tinygrad_mlp.autograd.op import REGISTRY

WITH_TEXTBOOK = [
    name for name, op in REGISTRY.items() if op.textbook is not None and not op.mutates
]


@pytest.mark.parametrize("name", WITH_TEXTBOOK)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_kernel_is_the_textbook_form(name: str, data: st.DataObject, seed: int) -> None:
    row = TABLE[name]
    case = data.draw(row.strategy)
    with tg.no_grad(), record() as entries:
        results(row, tensors(arrays_of(row, case, seed)), case.params)
    applied = [entry for entry in entries if entry.op.name == name]
    assert applied
    for entry in applied:
        if 0 in entry.inputs[0].shape:
            continue  # formulas with a maximum or a mean have no value of nothing
        spelled_out = entry.op.textbook(*entry.inputs, **entry.params)
        written = spelled_out if isinstance(spelled_out, tuple) else (spelled_out,)
        for fast, slow in zip(entry.outputs, written, strict=False):
            np.testing.assert_allclose(fast.numpy(), slow.numpy(), rtol=1e-12, atol=1e-12)


def test_fused_and_composed_ops_have_one() -> None:
    assert {"linear", "softmax", "log_softmax", "logsumexp", "prod", "tanh"} <= set(WITH_TEXTBOOK)


@pytest.mark.parametrize(
    "inputs",
    [lambda x: (x, x[0], x[1]), lambda x: (x * 2, x[0].exp(), x[0]), lambda x: (x, x[0], x[0])],
)
def test_inputs_that_lead_to_each_other(inputs) -> None:
    """Under `create_graph` the textbook form is differentiated by its inputs, not through them."""
    # A sample whose slopes are all above 1: none is the small rest of large terms.
    x = tg.tensor(np.random.default_rng(3).normal(size=(2, 4)), requires_grad=True)

    def slope(x):
        out = F.layer_norm(inputs(x)[0], (4,), *inputs(x)[1:], eps=0.5)
        (gradient,) = tg.grad((out * out).sum(), x, create_graph=True)
        return gradient

    def fast(x):
        out = F.layer_norm(inputs(x)[0], (4,), *inputs(x)[1:], eps=0.5)
        return tg.grad((out * out).sum(), x)[0]

    np.testing.assert_allclose(slope(x).detach().numpy(), fast(x).numpy(), rtol=1e-13)
    assert tg.gradcheck(slope, x)
