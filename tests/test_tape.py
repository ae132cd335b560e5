"""The tape: gradients accumulate, free, refuse and alias as promised."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp.tape import record


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


def test_a_second_backward_says_that_the_tape_was_freed() -> None:
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


def test_saved_values_go_when_the_tape_is_freed() -> None:
    x = leaf(1.0)
    middle = x * 1
    out = middle * middle
    memory = weakref.ref(middle.owner)
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
def test_no_reference_cycles(compute, no_collector) -> None:
    """The tape dies with its last tensor, not when the collector comes."""
    x = leaf(1, 2)
    out = compute(x)
    node = weakref.ref(out.grad_fn)
    memory = weakref.ref(out.owner)
    del out
    assert node() is None
    assert memory() is None


def test_no_cycle_of_a_tensor_multiplied_by_itself_in_place(no_collector) -> None:
    x = leaf(1, 2)
    y = x * 1
    y.mul_(y)
    memory = weakref.ref(y.owner)
    y.sum().backward()
    assert x.grad.tolist() == [2, 4]
    del y
    assert memory() is None


def test_written_views_make_no_cycle(no_collector) -> None:
    x = leaf(1, 2)
    base = x * 1
    base[0].mul_(3)
    memory = weakref.ref(base.owner)
    base.sum().backward()
    assert x.grad.tolist() == [3, 1]
    del base
    assert memory() is None


# --- hooks and retained gradients ---


def test_hooks_of_leaves_see_the_whole_gradient_once() -> None:
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [[5]]


def test_hooks_of_results_see_it_on_its_way() -> None:
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3 + y).sum().backward()
    assert seen == [[4]]
    assert x.grad.tolist() == [8]


def test_a_hook_replaces_what_it_returns_and_hooks_run_in_order() -> None:
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: -g)
    y.sum().backward()
    assert x.grad.tolist() == [-22]


def test_a_removed_hook_is_silent() -> None:
    x = leaf(1.0)
    seen = []
    handle = x.register_hook(seen.append)
    handle.remove()
    handle.remove()
    with x.register_hook(seen.append):
        pass
    (x * 2).sum().backward()
    assert seen == []


def test_a_hook_may_remove_itself() -> None:
    x = leaf(1.0)
    for tensor in (x, y := x * 2):
        handle = tensor.register_hook(lambda g, h=[]: h[0].remove())
        handle.hooks[handle.id].__defaults__[0].append(handle)
    y.sum().backward()
    assert x.grad.tolist() == [2]


def test_hooks_need_a_gradient_to_wait_for() -> None:
    for method in (lambda: tg.ones(2).register_hook(print), lambda: tg.ones(2).retain_grad()):
        with pytest.raises(RuntimeError, match="does not require a gradient"):
            method()


def test_retain_grad() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 3).sum().backward()
    assert y.grad.tolist() == [30]
    assert x.grad.tolist() == [60]
    x.retain_grad()  # a leaf keeps it anyway


def test_a_result_without_retain_grad_keeps_none() -> None:
    x = leaf(1.0)
    y = x * 2
    y.sum().backward()
    assert y.grad is None


# --- modes ---


def test_no_grad_and_enable_grad_nest() -> None:
    x = leaf(1.0)
    with tg.no_grad():
        assert not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
            with tg.set_grad_enabled(False):
                assert not tg.is_grad_enabled()
            assert tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_modes_decorate_functions() -> None:
    @tg.no_grad()
    def forward(x, depth=2):
        """Doc."""
        return forward(x, depth - 1) if depth else x * 2

    x = leaf(1.0)
    assert not forward(x).requires_grad
    assert tg.is_grad_enabled()
    assert (forward.__name__, forward.__doc__) == ("forward", "Doc.")
    with tg.no_grad():
        assert tg.enable_grad()(lambda: x * 2)().requires_grad


def test_modes_are_restored_after_an_error() -> None:
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert tg.is_grad_enabled()


def test_grad_mode_is_each_threads_own() -> None:
    inside, leave, seen = threading.Event(), threading.Event(), []

    @tg.no_grad()
    def hold():
        inside.set()
        leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    seen.append(tg.is_grad_enabled())
    with tg.no_grad():
        hold_too = threading.Thread(target=hold)
        hold_too.start()
        leave.set()
        thread.join()
        hold_too.join()
        seen.append(tg.is_grad_enabled())
    assert seen == [True, False]
    assert tg.is_grad_enabled()


def test_a_decorator_shared_by_threads_restores_each_ones_mode() -> None:
    """Entered by one that tapes and one that does not, and left in the order entered."""
    steps = [threading.Event() for _ in range(3)]

    @tg.no_grad()
    def work(mine: threading.Event, go: threading.Event):
        mine.set()
        go.wait(10)

    after = {}

    def untaped():
        with tg.no_grad():
            work(steps[1], steps[2])

    def taped():
        work(steps[0], steps[1])  # leaves while the other is inside
        after["taped"] = tg.is_grad_enabled()
        steps[2].set()

    first = threading.Thread(target=taped)
    first.start()
    steps[0].wait(10)
    second = threading.Thread(target=untaped)
    second.start()
    first.join()
    second.join()
    assert after == {"taped": True}


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


# --- tg.grad ---


def test_grad_returns_and_adds_nothing() -> None:
    x, y = leaf(2.0), leaf(3.0)
    a, b = tg.grad((x * y).sum(), [x, y])
    assert (a.tolist(), b.tolist()) == ([3], [2])
    assert x.grad is None
    assert y.grad is None


def test_grad_by_a_result() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * 3 + x
    by_y, by_x = tg.grad(z.sum(), [y, x])
    assert (by_y.tolist(), by_x.tolist()) == ([3], [13])


def test_grad_of_what_was_not_used() -> None:
    x, y = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match=r"input 1, of shape \(1,\), was not used"):
        tg.grad((x * 2).sum(), [x, y])
    a, b = tg.grad((x * 2).sum(), [x, y], allow_unused=True)
    assert a.tolist() == [2]
    assert b is None


def test_grad_needs_inputs_that_require_it() -> None:
    with pytest.raises(RuntimeError, match=r"input 0, of shape \(2,\), does not require"):
        tg.grad(leaf(1.0).sum(), tg.ones(2))


def test_gradients_of_gradients() -> None:
    x = leaf(2.0)
    (first,) = tg.grad((x**4).sum(), x, create_graph=True)
    (second,) = tg.grad(first.sum(), x, create_graph=True)
    (third,) = tg.grad(second.sum(), x)
    assert (first.item(), second.item(), third.item()) == (32, 48, 48)


def test_backward_with_create_graph_tapes_grad() -> None:
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    x.grad.sum().backward()
    assert x.grad.item() == 27 + 18


def test_a_penalty_on_a_gradient() -> None:
    """Gradients inside a loss: its gradient by the weights is checked by differences."""
    generator = np.random.default_rng(0)
    x = tg.tensor(generator.normal(size=(5, 3)))

    def penalty(w, v):
        inputs = x.clone().requires_grad_()
        out = (inputs @ w).tanh() @ v
        (slopes,) = tg.grad(out.sum(), inputs, create_graph=True)
        return (slopes * slopes).sum()

    w = tg.tensor(generator.normal(size=(3, 4)), requires_grad=True)
    v = tg.tensor(generator.normal(size=(4, 1)), requires_grad=True)
    assert tg.gradcheck(penalty, (w, v))


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
