"""What ops do to memory: inputs of any strides, inputs left alone, mutations declared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinygrad_mlp as tg
from tests.ops.harness import arrays_of, example, places_of, random_like, results, tensors
from tests.ops.rows import TABLE

GUARD = 64


def transposed(a: np.ndarray) -> np.ndarray:
    return a.T.copy().T


def sliced(a: np.ndarray) -> np.ndarray:
    if not a.ndim:
        return a
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1] + 1), -7, a.dtype)
    wide[..., 1::2] = a
    return wide[..., 1::2]


def backwards(a: np.ndarray) -> np.ndarray:
    every = (slice(None, None, -1),) * a.ndim
    return np.asarray(a[every]).copy()[(*every, ...)]


LAYOUTS: list[Callable[[np.ndarray], np.ndarray]] = [transposed, sliced, backwards]


def outcome(row, arrays, params):
    """The results for arrays, and the gradients by what is differentiable."""
    places = places_of(row, arrays)
    inputs = tensors(arrays, places)
    outputs = results(row, inputs, params)
    live = [out for out in outputs if out.requires_grad]
    found = tg.grad(live, [inputs[k] for k in places], random_like(live, 3)) if live else ()
    return [t.detach().numpy() for t in (*outputs, *found)]


DENSE = ["region", "erase_region"]  # internal: they are only ever given what lies in C order


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [n for n in TABLE if n not in DENSE])
def test_strides_make_no_difference(name: str, layout: Callable) -> None:
    row = TABLE[name]
    case, seed = example(name)
    arrays = arrays_of(row, case, seed)
    strided = [None if a is None else layout(a) for a in arrays]
    for found, wanted in zip(
        outcome(row, strided, case.params), outcome(row, arrays, case.params), strict=True
    ):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "name", [n for n, row in TABLE.items() if not row.mutates and n not in DENSE]
)
def test_expanded_inputs(name: str) -> None:
    row = TABLE[name]
    case, seed = example(name)
    arrays = arrays_of(row, case, seed)
    same = [None if a is None else np.full_like(a, a.ravel()[0]) for a in arrays]
    expanded = [
        None if a is None else tg.tensor(a.ravel()[:1]).reshape(()).expand(a.shape) for a in arrays
    ]
    found = results(row, expanded, case.params)
    wanted = results(row, tensors(same), case.params)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("name", TABLE)
def test_only_declared_inputs_change(name: str) -> None:
    """Bytes and versions of all inputs, and the bytes around them, forward and backward."""
    row = TABLE[name]
    case, seed = example(name)
    around = []
    arrays = []
    for array in arrays_of(row, case, seed):
        if array is None:
            arrays.append(None)
            continue
        memory = np.full(array.nbytes + 2 * GUARD, 0xA5, np.uint8)
        memory[GUARD : GUARD + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        inner = memory[GUARD : GUARD + array.nbytes].view(array.dtype).reshape(array.shape)
        around.append(memory)
        arrays.append(inner)
    before = [memory.tobytes() for memory in around]
    places = places_of(row, arrays)
    inputs = tensors(arrays, places)
    outputs = results(row, inputs, case.params)
    live = [out for out in outputs if out.requires_grad]
    if live:
        tg.grad(live, [inputs[k] for k in places], random_like(live, 3))
    assert [memory.tobytes() for memory in around] == before
    assert [x.storage.version for x in inputs if x is not None] == [0] * len(around)


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.mutates])
def test_declared_inputs_change_and_say_so(name: str) -> None:
    row = TABLE[name]
    case, _ = example(name)
    changed = set()
    for seed in range(10):  # the absolute value of a positive number changes nothing
        inputs = [None if a is None else tg.tensor(a) for a in arrays_of(row, case, seed)]
        before = [None if x is None else x.numpy().tobytes() for x in inputs]
        with tg.no_grad():
            row.call(*inputs, **case.params)
        for k, x in enumerate(inputs):
            if x is not None:
                assert x.storage.version == (1 if k in row.mutates else 0)
                if x.numpy().tobytes() != before[k]:
                    changed.add(k)
    assert changed == {k for k in row.mutates if case.shapes[k] is not None}


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.gives == "first"])
def test_in_place_ops_return_what_they_changed(name: str) -> None:
    row = TABLE[name]
    case, seed = example(name)
    inputs = tensors(arrays_of(row, case, seed))
    with tg.no_grad():
        assert row.call(*inputs, **case.params) is inputs[0]
