"""Chapter 3: broadcasting.

A bias of shape (2,) is added to a matrix of shape (3, 2): each of its elements is used three times,
once in each row. The gradient of something that is used three times is the sum of three gradients.

>>> import tinygrad_mlp as tg
>>> loss, names = example()
>>> print(tg.study.tape(loss, names))
leaves
  scale     float32 ()
  bias      float32 (2,)
tape, oldest first; backward goes up from the last line
  %1 = mul(scale, x)         float32 (3, 2)
         dL/dscale = (%1' * x).sum(0, 1)
  %2 = add(%1, bias)         float32 (3, 2)
         dL/d%1 = %2'
         dL/dbias = %2'.sum(0)
  %3 = square(%2)            float32 (3, 2)
         dL/d%2 = 2 * %3' * %2
  %4 = sum(%3, dims=(0, 1))  float32 ()
         dL/d%3 = %4'.expand(3, 2)
%n' is dL/d%n, the gradient that arrives at line n

The rule of an addition is: pass the gradient on. It has the shape of the result, (3, 2). What the
tape adds is .sum(0), over the axis along which the bias was repeated. The same sum as an event:

>>> events = tg.study.steps(loss, names=names)
>>> print(next(e for e in events if e.kind == "unbroadcast" and e.name == "bias"))
unbroadcast  dL/dbias, summed over axis 0, (3, 2) to (2,) = [9, 6]

The other way round, a sum takes three elements to one, and its gradient is repeated three times. So
a sum and a broadcast are each other's gradients.

>>> loss.backward()
>>> names["bias"].grad.tolist()  # 2 (0 + 1 + 2 + 3 * 0.5), 2 (1 + 2 + 3 - 3)
[9.0, 6.0]
>>> names["scale"].grad.tolist()  # the sum of both axes of g * x
29.0

A column of shape (3, 1) is repeated along axis 1 instead, which stays with size 1.

>>> column = tg.ones(3, 1, requires_grad=True)
>>> print(tg.study.tape(column * names["bias"].detach(), {"column": column}))
leaves
  column    float32 (3, 1)
tape, oldest first; backward goes up from the last line
  %1 = mul(column, y)  float32 (3, 2)
         dL/dcolumn = (%1' * y).sum(1, keepdim=True)
%n' is dL/d%n, the gradient that arrives at line n
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import tensor


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the sum of (scale * x + bias)^2, and the names of its inputs."""
    x = tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    scale = tensor(1.0, requires_grad=True)
    bias = tensor([0.5, -1.0], requires_grad=True)
    return (scale * x + bias).square().sum(), {"x": x, "scale": scale, "bias": bias}
