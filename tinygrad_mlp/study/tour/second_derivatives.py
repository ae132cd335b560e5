"""Chapter 8: second derivatives.

A gradient is computed by ops. If these are recorded too (create_graph=True), it can be
differentiated in turn. Rules are written with the framework's own ops, so nothing else is needed.

>>> import tinygrad_mlp as tg
>>> x = tg.tensor(2.0, requires_grad=True)
>>> (first,) = tg.grad(x * x * x, x, create_graph=True)
>>> (second,) = tg.grad(first, x, create_graph=True)
>>> (third,) = tg.grad(second, x)
>>> first.item(), second.item(), third.item()  # 3 x^2, 6 x, 6
(12.0, 12.0, 6.0)

For a function of n numbers the second derivatives are an n x n matrix, the Hessian H. One seldom
needs all of it. Its product with a vector v is the gradient of the number (gradient . v): two
backward passes, whatever n is.

>>> loss, names = example()
>>> w = names["w"]
>>> (gradient,) = tg.grad(loss, w, create_graph=True)
>>> v = tg.tensor([1.0, 0.0])
>>> (product,) = tg.grad((gradient * v).sum(), w, retain_graph=True)
>>> product.tolist()  # the first row of H: (2 w1^2 + 2, 4 w0 w1)
[20.0, 12.0]

Row by row, H is symmetric, and differences of gradients tell the same:

>>> rows = [tg.grad(gradient[k], w, retain_graph=True)[0].tolist() for k in range(2)]
>>> rows
[[20.0, 12.0], [12.0, 2.0]]
>>> moved = tg.tensor([1.0 + 1e-3, 3.0], requires_grad=True)
>>> difference = (tg.grad(example(moved)[0], moved)[0] - gradient.detach()) / 1e-3
>>> [round(number, 1) for number in difference.tolist()]
[20.0, 12.0]
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import tensor


def example(w: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Return (w0 w1)^2 + w0^2, and the name of w."""
    w = tensor([1.0, 3.0], requires_grad=True) if w is None else w
    return (w[0] * w[1]).square() + w[0].square(), {"w": w}
