"""Changes in place: detected, refused, followed through views; gradients share no memory."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp as tg


def leaf(*values: float):
    return tg.tensor([float(v) for v in values], requires_grad=True)


class Both(tg.autograd.Function):
    """The sum of two; hands its gradient on to both as it is."""

    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        return g, g


def test_what_a_rule_needs_must_not_change() -> None:
    x = leaf(1, 2)
    y = x * 1
    z = y.exp()
    w = y * y
    y.add_(1)
    z.sum().backward()  # exp needs its result only
    with pytest.raises(RuntimeError, match=r"`[xy]` of `mul`, a float32 tensor of shape \(2,\)"):
        w.sum().backward()
    u = (x * 2).exp()
    u.add_(1)
    with pytest.raises(RuntimeError, match=r"`out` of `exp`.*version 1, saved at 0"):
        u.sum().backward()


def test_changes_through_views_and_detached_aliases_are_noticed() -> None:
    for change in (
        lambda y: y[0].fill_(5),
        lambda y: y.detach().fill_(5),
        lambda y: y.T.mul_(2),
        lambda y: y.__setitem__(0, 1.0),
    ):
        y = leaf(1, 2) * 1
        z = (y * y).sum()
        change(y)
        with pytest.raises(RuntimeError, match="changed in place after it was recorded"):
            z.backward()


def test_a_leaf_that_requires_a_gradient_is_not_changed_in_place() -> None:
    x = leaf(1, 2)
    for change in (
        lambda: x.add_(1),
        lambda: x.__setitem__(0, 1.0),
        lambda: x[0].zero_(),
        lambda: x.T.mul_(2),
        lambda: x.__setitem__(x > 1, 0.0),
    ):
        with pytest.raises(RuntimeError, match=r"no_grad.*clone"):
            change()
        assert x.tolist() == [1, 2]
        assert x.storage.version == 0
    with tg.no_grad():
        x.add_(1)
    assert x.tolist() == [2, 3]
    assert x.is_leaf


def test_a_leaf_changed_after_recording_is_noticed() -> None:
    x = leaf(1, 2)
    loss = (x * x).sum()
    with tg.no_grad():
        x.sub_(0.1)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_a_view_from_before_requires_grad_is_not_written() -> None:
    x = tg.tensor([1.0, 2.0])
    view = x[:1]
    x.requires_grad_()
    with pytest.raises(RuntimeError, match="through a view"):
        view.mul_(2)
    assert x.tolist() == [1, 2]


def test_expanded_tensors_are_not_written() -> None:
    with pytest.raises(RuntimeError, match=r"expanded tensor of shape \(3, 2\)"):
        tg.ones(2).expand(3, 2).add_(1)
    tg.ones(0).expand(3, 0).add_(1)
    tg.ones(1, 2).expand(1, 2).add_(1)


def test_a_refused_change_changes_nothing() -> None:
    x = tg.zeros(2)
    for change in (
        lambda: x.add_(tg.ones(3, 2)),
        lambda: x.copy_(tg.ones(3)),
        lambda: x.__setitem__(slice(0, 2), tg.ones(3)),
    ):
        with pytest.raises(ValueError, match=r"broadcast|shape"):
            change()
    with pytest.raises(TypeError, match="cannot be stored"):
        tg.zeros(2, dtype="int64").add_(0.5)
    assert x.tolist() == [0, 0]
    assert x.storage.version == 0


def test_reading_while_writing() -> None:
    """Operands that overlap the target are read as they were."""
    a = np.arange(9.0).reshape(3, 3)
    x = tg.tensor(a)
    assert x.add_(x.T).tolist() == (a + a.T).tolist()
    x = tg.tensor(a)
    x[1:] = x[:-1]
    assert x.tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    y = tg.arange(10)
    y[:5] = y[::2]
    assert y.tolist() == [0, 2, 4, 6, 8, 5, 6, 7, 8, 9]
    y = tg.arange(4)
    y[:] = y[::-1]
    assert y.tolist() == [3, 2, 1, 0]
    y = tg.arange(4)
    y[[0, 1, 2]] = y[1:]
    assert y.tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize(
    "joined",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * 1 + y,
        lambda x, y: (x + y).reshape(1, 2).reshape(2),
        lambda x, y: tg.cat([x, y]).reshape(2, 2).sum(0),
        lambda x, y: tg.where(x > 0, x, 0) + y.clone(),
        lambda x, y: (x + y).tanh(),
        lambda x, y: Both.apply(x, y),
    ],
)
def test_gradients_never_share_memory(joined) -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    given = tg.tensor([1.0, 1])
    out = joined(x, y)
    out.retain_grad()
    out.backward(given)
    grads = {"x": x.grad, "y": y.grad, "out": out.grad, "given": given}
    before = {name: g.tolist() for name, g in grads.items()}
    for changed, g in grads.items():
        g.fill_(100)
        for name, other in grads.items():
            if name != changed:
                assert other.tolist() == before[name], f"changing {changed} changed {name}"
        g.copy_(tg.tensor(before[changed]))


def test_a_gradient_kept_from_a_hook_does_not_change() -> None:
    x, kept = leaf(1, 2), []
    x.register_hook(kept.append)
    for _ in range(2):
        (x * 3).sum().backward()
    assert [g.tolist() for g in kept] == [[3, 3], [3, 3]]


def test_what_a_hook_returns_stays_its_own() -> None:
    x, mine = leaf(1, 2), tg.ones(2)
    x.register_hook(lambda g: mine)
    for _ in range(2):
        (x * 3).sum().backward()
    assert mine.tolist() == [1, 1]
    assert x.grad.tolist() == [2, 2]


def test_backward_from_a_view_whose_base_was_written_to() -> None:
    w = tg.tensor(3.0, requires_grad=True)
    x = tg.tensor([1.0, 2.0])
    first = x[0]
    x.mul_(w)
    first.backward()
    assert w.grad.item() == 1
