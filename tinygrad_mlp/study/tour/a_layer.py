"""Chapter 4: a layer.

A linear layer computes out = x @ W.T + b for a batch of N rows: x (N, in), W (out, in), b (out,).
Written out, out_nj = sum over i of x_ni W_ji + b_j. Its three gradients follow from this sum:

    dL/dx_ni = sum over j of g_nj W_ji         dL/dx = g @ W
    dL/dW_ji = sum over n of g_nj x_ni         dL/dW = g.T @ x
    dL/db_j  = sum over n of g_nj              dL/db = g.sum(0)

with g = dL/dout. No other shapes would fit: that is a good way to remember them.

>>> import tinygrad_mlp as tg
>>> loss, names = example()
>>> print(tg.study.tape(loss, names))
leaves
  W1        float32 (3, 2)
  b1        float32 (3,)
  W2        float32 (1, 3)
  b2        float32 (1,)
tape, oldest first; backward goes up from the last line
  %1 = linear(x, W1, b1)      float32 (1, 3)
         dL/dW1 = %1'.mT @ x
         dL/db1 = %1'.sum(0)
  %2 = relu(%1)               float32 (1, 3)
         dL/d%1 = where(%2 <= 0, 0, %2')
  %3 = linear(%2, W2, b2)     float32 (1, 1)
         dL/d%2 = %3' @ W2
         dL/dW2 = %3'.mT @ %2
         dL/db2 = %3'.sum(0)
  %4 = squared_error(%3, y)   float32 (1, 1)
         dL/d%3 = 2 * %4' * (%3 - y)
  %5 = mean(%4, dims=(0, 1))  float32 ()
         dL/d%4 = (%5' / 1).expand(1, 1)
%n' is dL/d%n, the gradient that arrives at line n

The network has two inputs, three hidden units and one output; the batch is one row.

>>> loss.item()
4.305624008178711
>>> for event in tg.study.steps(loss, names=names):
...     if event.kind in ("arrive", "leaf"):
...         print(event)
arrive       %5' = 1
arrive       %4' = [[1]]
arrive       %3' = [[-4.15]]
arrive       %2' = [[-4.15, 2.075, -8.3]]
arrive       %1' = [[-4.15, 2.075, 0]]
leaf         W2.grad: [[-0.415, -10.582, 0]]
leaf         b2.grad: [-4.15]
leaf         W1.grad: [[-4.15, -8.3], [2.075, 4.15], [0, 0]]
leaf         b1.grad: [-4.15, 2.075, 0]

At ReLU [-4.15, 2.075, -8.3] arrived. Its third unit was negative, so its output is 0 whatever its
input is: it sends nothing, and its row of W1 and its bias learn nothing from this example.

>>> loss.backward()
>>> names["W1"].grad.tolist()[2], names["b1"].grad.tolist()[2]
([0.0, 0.0], 0.0)
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...nn import functional as F
from ...ops.create import tensor


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the squared error of a 2-3-1 network, and the names of its tensors."""
    x, y = tensor([[1.0, 2.0]]), tensor([[1.0]])
    w1 = tensor([[0.5, -0.25], [0.75, 1], [-1, 0.5]], requires_grad=True)
    b1 = tensor([0.1, -0.2, -0.3], requires_grad=True)
    w2, b2 = tensor([[1, -0.5, 2]], requires_grad=True), tensor([0.1], requires_grad=True)
    loss = F.mse_loss(F.linear(F.linear(x, w1, b1).relu(), w2, b2), y)
    return loss, {"x": x, "y": y, "W1": w1, "b1": b1, "W2": w2, "b2": b2}
