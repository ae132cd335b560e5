"""Chapter 6: an optimizer.

The gradient points where the loss rises fastest. A step of gradient descent goes the other way:

    w = w - lr * dL/dw

For a small step the loss falls by lr * |gradient|^2: the first term of its Taylor series.

>>> import tinygrad_mlp as tg
>>> from tinygrad_mlp import optim
>>> loss, names = example()
>>> w = names["w"]
>>> loss.backward()
>>> w.grad.tolist()  # w * (1, 10)
[4.0, 10.0]
>>> before, square = loss.item(), float((w.grad * w.grad).sum())
>>> optim.SGD([w], lr=0.001).step()
>>> round((before - example(w)[0].item()) / 0.001, 1), square
(115.5, 116.0)

The bowl is ten times steeper along the second axis. With lr above 2 / 10 that axis diverges, while
the first still creeps: this is why momentum and Adam exist.

>>> def distance(make, steps=50):
...     w = tg.tensor([4.0, 1.0], requires_grad=True)
...     optimizer = make([w])
...     for _ in range(steps):
...         optimizer.zero_grad()
...         example(w)[0].backward()
...         optimizer.step()
...     return float(w.detach().norm())
>>> f"{distance(lambda w: optim.SGD(w, lr=0.1)):.4f}"
'0.0206'
>>> distance(lambda w: optim.SGD(w, lr=0.21)) > 100
True
>>> f"{distance(lambda w: optim.SGD(w, lr=0.1, momentum=0.5)):.1e}"
'2.6e-07'

zero_grad comes first in the loop since backward adds to .grad. Without it, each step would use the
sum of all gradients so far.
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import tensor


def example(w: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the height of a bowl at w, and the names of its inputs."""
    w = tensor([4.0, 1.0], requires_grad=True) if w is None else w
    steepness = tensor([1.0, 10.0])
    return (w * w * steepness).sum() / 2, {"w": w, "steepness": steepness}
