"""The tape: gradients accumulate, free, refuse and alias as promised."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.autograd.modes import record


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


# --- accumulation ---


def test_gradients_accumulate() -> None:
    x = leaf(1, 2)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    (3 * x).sum().backward()
    assert x.grad.tolist() == [5, 7]


def test_a_tensor_used_many_times_gets_the_sum() -> None:
    x = leaf(2.0)
    (x * x * x + x + x).sum().backward()
    assert x.grad.tolist() == [14]


def test_shared_subexpressions() -> None:
    x = leaf(0.5)
    y = x.exp()
    (y * y + y).sum().backward()
    e = np.exp(np.float32(0.5))
    np.testing.assert_allclose(x.grad.numpy(), [2 * e * e + e], rtol=1e-6)


def test_diamonds_multiply_paths_not_visits() -> None:
    """Thirty diamonds have 2^30 paths, walked by visiting each node once."""
    x = leaf(1.0)
    y = x
    for _ in range(30):
        y = y * 0.5 + y * 0.5
    y.sum().backward()
    assert x.grad.tolist() == [1]


def test_gradients_arrive_before_a_node_is_visited() -> None:
    """A short and a long way from one node to another."""
    x = leaf(1.0)
    y = x * 2
    long = y
    for _ in range(5):
        long = long + 0
    (long * y).sum().backward()
    assert x.grad.tolist() == [8]


def test_several_outputs_start_from_their_own_gradients() -> None:
    x = leaf(1, 2)
    a, b = x * 2, x * x
    (found,) = tg.grad([a, b], x, [tg.tensor([1.0, 0]), tg.tensor([0.0, 1])])
    assert found.tolist() == [2, 4]


def test_broadcast_gradients_have_the_shape_and_dtype_of_their_input() -> None:
    x = tg.ones(3, 1, requires_grad=True)
    y = tg.ones(4, requires_grad=True, dtype="float64")
    z = tg.tensor(2.0, requires_grad=True)
    (x * y * z).sum().backward()
    assert (x.grad.shape, x.grad.dtype, x.grad.tolist()) == ((3, 1), "float32", [[8]] * 3)
    assert (y.grad.shape, y.grad.dtype, y.grad.tolist()) == ((4,), "float64", [6] * 4)
    assert (z.grad.shape, z.grad.dtype, z.grad.item()) == ((), "float32", 12)


def test_only_what_needs_a_gradient_gets_one() -> None:
    x, y = leaf(1.0), tg.tensor([2.0])
    out = x * y
    assert out.requires_grad
    assert not (y * 2).requires_grad
    out.sum().backward()
    assert y.grad is None


def test_integers_and_comparisons_leave_the_tape() -> None:
    x = leaf(1, 2)
    for result in (x > 1, x.argmax(), x.long(), x.isnan()):
        assert not result.requires_grad
        assert result.is_leaf


# --- the start ---


def test_backward_from_more_than_one_element_needs_a_gradient() -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match=r"shape \(2,\) needs a gradient"):
        (x * 2).backward()
    (x * 2).backward(tg.tensor([1.0, 10]))
    assert x.grad.tolist() == [2, 20]
    (x * 2).backward(np.array([1.0, 10]))
    assert x.grad.tolist() == [4, 40]


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), the tensor has \(2,\)"):
        (leaf(1, 2) * 2).backward(tg.ones(3))


def test_backward_from_nothing_to_differentiate() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        tg.ones(()).backward()
    with tg.no_grad():
        y = leaf(1) * 2
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_backward_from_a_leaf() -> None:
    x = leaf(1.0)
    x.backward()
    assert x.grad.tolist() == [1]


def test_backward_into_chosen_leaves() -> None:
    x, y = leaf(2.0), leaf(3.0)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.tolist() == [3]
    assert y.grad is None


# --- freeing ---


def test_error_of_a_second_backward() -> None:
    x = leaf(1, 2)
    y = x.exp().sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_retain_graph_allows_a_second() -> None:
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12]
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()


def test_a_refused_backward_leaves_gradients_alone() -> None:
    x, y = leaf(1.0), leaf(2.0)
    shared = x.exp()
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        (y * 2 + shared).sum().backward()
    assert y.grad is None


def test_saved_values_go_when_the_tape_is_freed(fresh_memory) -> None:
    x = leaf(1.0)
    middle = x * 1
    out = middle * middle
    memory = weakref.ref(middle.storage)
    del middle
    gc.collect()
    assert memory() is not None
    out.sum().backward()
    assert memory() is None


def test_a_chain_of_20_000_ops() -> None:
    """Backward, and freed, without recursion."""
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1]
    del y
    y = x
    for _ in range(20_000):
        y = y * 1
    del y


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: (x.exp() * x).tanh(),
        lambda x: tg.softmax(x.reshape(1, -1)) @ x,
        lambda x: x.clone().mul_(x).add_(1)[1:],
        lambda x: x.clone().exp_().reshape(2, 1).T,
        lambda x: tg.cat([x, x * 2])[tg.tensor([0, 0])],
        lambda x: (x * 1).mul_(x * 1),
    ],
)
def test_no_reference_cycles(compute, no_collector, fresh_memory) -> None:
    """The tape dies with its last tensor, not when the collector comes."""
    x = leaf(1, 2)
    out = compute(x)
    node = weakref.ref(out.grad_fn)
    memory = weakref.ref(out.storage)
    del out
    assert node() is None
    assert memory() is None


def test_no_cycle_of_a_tensor_multiplied_by_itself_in_place(no_collector, fresh_memory) -> None:
    x = leaf(1, 2)
    y = x * 1
    y.mul_(y)
    memory = weakref.ref(y.storage)
    y.sum().backward()
    assert x.grad.tolist() == [2, 4]
    del y
    assert memory() is None


def test_written_views_make_no_cycle(no_collector, fresh_memory) -> None:
    x = leaf(1, 2)
    base = x * 1
    base[0].mul_(3)
    memory = weakref.ref(base.storage)
    base.sum().backward()
    assert x.grad.tolist() == [3, 1]
    del base
    assert memory() is None


# --- the record ---


def test_record_sees_everything_in_order() -> None:
    x = leaf(1, 2)
    with record() as entries:
        y = (x * 2).tanh()
        with tg.no_grad():
            y.detach().add_(1)
        x.clone()[0] = 3.0
    names = [entry.op.name for entry in entries]
    assert names == ["mul", "tanh", "add_", "clone", "set_slice_"]
    assert entries[0].outputs[0] is entries[1].inputs[0]
    assert (x * 2).requires_grad
    assert len(entries) == 5


def test_record_sees_backward() -> None:
    x = leaf(1, 2)
    loss = x.tanh().sum()
    with record() as entries:
        loss.backward()
    assert any("tanh" in entry.op.name for entry in entries)
    assert x.grad is entries[-1].outputs[0]


def test_records_nest() -> None:
    with record() as outer:
        tg.ones(1).exp()
        with record() as inner:
            tg.ones(1).log()
        tg.ones(1).sin()
    assert [e.op.name for e in inner] == ["full", "log"]
    assert [e.op.name for e in outer] == ["full", "exp", "full", "log", "full", "sin"]


def test_detach_shares_memory_but_no_history() -> None:
    x = leaf(1, 2)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    d = x.detach()
    with tg.no_grad():
        d.add_(1)
    assert x.tolist() == [2, 3]
    assert (x * d).requires_grad


def test_data_is_read_and_written_off_the_tape() -> None:
    w = tg.ones(2, requires_grad=True)
    w.data -= 0.5
    w.data = w.data * 4
    assert w.tolist() == [2, 2]
    assert w.is_leaf
    assert w.requires_grad
    assert not w.data.requires_grad
