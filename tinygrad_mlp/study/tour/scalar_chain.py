"""Chapter 1: a scalar chain.

The function is L = (w * x + b - y)^2, at x = 2, y = 1, w = 0.5, b = 0.25. A computer evaluates it
as a chain of four operations, each with a derivative that one knows by heart:

    p = w * x        dp/dw = x = 2
    q = p + b        dq/dp = 1, dq/db = 1
    e = q - y        de/dq = 1
    L = e * e        dL/de = 2 e

The chain rule multiplies along the way: dL/dw = 2 e * 1 * 1 * x, dL/db = 2 e.

>>> import tinygrad_mlp as tg
>>> loss, names = example()
>>> loss.item()  # p = 1, q = 1.25, e = 0.25
0.0625

Forward mode would carry derivatives along with the values: one pass for each input. Reverse mode
starts at the end, with dL/dL = 1, and goes back: one pass for all inputs. Each line below is one
multiplication of the chain rule. e is used twice, so two gradients arrive there, and are added.

>>> print(tg.study.steps(loss, names=names))
seed         %4' = 1
arrive       %4' = 1
rule         dL/d%3 = %4' * %3 = 0.25
accumulate   dL/d%3 = 0.25  (1 of 2 consumers reported)
rule         dL/d%3 = %4' * %3 = 0.25
accumulate   dL/d%3 += 0.25, now 0.5  (2 of 2 consumers reported)
arrive       %3' = 0.5
rule         dL/d%2 = %3' = 0.5
accumulate   dL/d%2 = 0.5  (1 of 1 consumers reported)
arrive       %2' = 0.5
rule         dL/d%1 = %2' = 0.5
accumulate   dL/d%1 = 0.5  (1 of 1 consumers reported)
rule         dL/db = %2' = 0.5
accumulate   dL/db = 0.5  (1 of 1 consumers reported)
arrive       %1' = 0.5
rule         dL/dw = %1' * 2 = 1
accumulate   dL/dw = 1  (1 of 1 consumers reported)
leaf         b.grad: 0.5
leaf         w.grad: 1

By hand: 2 e = 0.5, so dL/db = 0.5 and dL/dw = 0.5 * 2 = 1. A nudge tells the same: raise w by
0.001, and L rises by about 0.001 * dL/dw.

>>> w, b = names["w"], names["b"]
>>> loss.backward()
>>> w.grad.item(), b.grad.item()
(1.0, 0.5)
>>> with tg.no_grad():
...     _ = w.add_(0.001)
>>> round((example(w)[0].item() - 0.0625) / 0.001, 2)
1.0
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import tensor


def example(w: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Return L, and the names of its inputs."""
    w = tensor(0.5, requires_grad=True) if w is None else w
    b = tensor(0.25, requires_grad=True)
    e = w * 2 + b - 1
    return e * e, {"w": w, "b": b}
