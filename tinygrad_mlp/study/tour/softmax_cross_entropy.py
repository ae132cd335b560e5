"""Chapter 5: softmax and cross-entropy.

A classifier's last layer gives logits z, one for each class. Softmax makes them probabilities, and
the loss is minus the logarithm of that of the right class y:

    p_i = exp(z_i) / sum over j of exp(z_j)
    L = -log p_y = log(sum over j of exp(z_j)) - z_y

The second form needs one derivative only: that of log(sum of exp), which is p. So

    dL/dz_i = p_i - [i = y]

>>> import numpy as np
>>> import tinygrad_mlp as tg
>>> loss, names = example()
>>> loss.item()  # (log 4 + log(8 / 3)) / 2
1.1835618019104004
>>> print(tg.study.tape(loss, names))
leaves
  z         float32 (2, 3)
tape, oldest first; backward goes up from the last line
  %1 = cross_entropy(z, target, weight)  float32 ()
         dL/dz = %1' * (softmax(z) - onehot(target)) / 2
%n' is dL/d%n, the gradient that arrives at line n

The first row has probabilities (1/4, 1/4, 1/2) and the label 0; the second has (1/4, 3/8, 3/8)
and the label 2. Divided by N = 2 rows, for the loss is their mean:

>>> loss.backward()
>>> names["z"].grad.numpy().round(4)
array([[-0.375 ,  0.125 ,  0.25  ],
       [ 0.125 ,  0.1875, -0.3125]], dtype=float32)

Each row sums to 0: raising all logits of a row changes nothing. A right and certain row sends
almost nothing; a wrong and certain one sends 1 / N, never more. Squared error after
softmax has no such property: its gradient has a factor p (1 - p), which vanishes where the network
is wrong and certain.

>>> sure = tg.tensor([[9.0, -9.0]], requires_grad=True)
>>> tg.nn.functional.cross_entropy(sure, tg.tensor([1])).backward()
>>> sure.grad.numpy().round(4)
array([[ 1., -1.]], dtype=float32)
>>> bool(np.allclose(names["z"].grad.numpy().sum(1), 0))
True
"""

from __future__ import annotations

import math

from ..._tensor import Tensor
from ...nn import functional as F
from ...ops.create import tensor


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of two rows of logits, and their names."""
    log = math.log
    z = tensor([[0.0, 0.0, log(2)], [log(2), log(3), log(3)]], requires_grad=True)
    target = tensor([0, 2])
    return F.cross_entropy(z, target), {"z": z, "target": target}
