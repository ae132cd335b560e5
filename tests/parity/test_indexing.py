"""Where axes go when integers and several index tensors meet: as PyTorch places them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg

pytestmark = pytest.mark.parity

SHAPE = (3, 4, 2, 3)
PLACES = [
    np.arange(np.prod(shape)).reshape(shape).astype(int) % 2 for shape in [(), (3,), (2, 3), (2, 1)]
]
PARTS = st.one_of(
    st.integers(-2, 1),
    st.just(None),
    st.just(slice(None)),
    st.slices(2).filter(lambda s: s.step is None or s.step > 0),
    st.sampled_from([*PLACES, *(-1 - a for a in PLACES)]),
)


@given(parts=st.lists(PARTS, max_size=5), dots=st.integers(0, 5))
@settings(max_examples=300)
def test_several_index_tensors(parts: list, dots: int) -> None:
    import torch

    parts = parts[: len(SHAPE)] if sum(p is not None for p in parts) > len(SHAPE) else list(parts)
    if dots <= len(parts):
        parts.insert(dots, Ellipsis)

    def index(module, a):
        key = tuple(module.tensor(p) if isinstance(p, np.ndarray) else p for p in parts)
        return module.tensor(a)[key]

    a = np.arange(float(np.prod(SHAPE))).reshape(SHAPE)
    try:
        wanted = index(torch, a)
    except (IndexError, RuntimeError):
        with pytest.raises((IndexError, ValueError)):
            index(tg, a)
        return
    found = index(tg, a)
    assert found.shape == tuple(wanted.shape)
    assert found.tolist() == wanted.tolist()
