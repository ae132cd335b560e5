"""Chapter 2: the tape.

Each op that touches a tensor which requires a gradient leaves a node: the op, where its inputs came
from (its edges), and what its gradient rule will need (saved). The nodes are the tape.

>>> import tinygrad_mlp as tg
>>> loss, names = example()
>>> print(tg.study.tape(loss, names))
leaves
  x         float32 (2,)
  w         float32 (2,)
tape, oldest first; backward goes up from the last line
  %1 = mul(x, w)           float32 (2,)
         dL/dx = %1' * w
         dL/dw = %1' * x
  %2 = exp(%1)             float32 (2,)
         dL/d%1 = %2' * %2
  %3 = sum(%2, dims=(0,))  float32 ()
         dL/d%2 = %3'.expand(2)
%n' is dL/d%n, the gradient that arrives at line n

A tensor points to the node that computed it, a node to those of its inputs. Nothing points forward,
so a graph lives as long as its last tensor.

>>> node = loss.grad_fn
>>> node
<node sum(x) -> float32 ()>
>>> [edge[0] for edge in node.edges]
[<node exp(x) -> float32 (2,)>]

What is saved depends on the rule. That of exp is g * out, so the result is saved and not the input;
that of a product needs the other factor.

>>> exp = node.edges[0][0]
>>> sorted(exp.saved), sorted(exp.edges[0][0].saved)
(['out'], ['x', 'y'])

backward walks the tape from the last node to the first, and then frees what was saved. A second
backward is refused, unless the first was told to keep it (retain_graph=True).

>>> loss.backward()
>>> node.saved is None
True
>>> names["x"].grad, names["w"].grad
(tensor([ 2.    , -0.3679]), tensor([0.    , 0.3679]))
>>> try:
...     loss.backward()
... except RuntimeError as error:
...     print(str(error)[:48])
backward a second time: what `sum` saved for its

Inside no_grad() nothing is recorded: the result has no node, and no memory is spent on it.

>>> with tg.no_grad():
...     quiet = example()[0]
>>> quiet.grad_fn is None
True
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import tensor


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the sum of exp(x * w), and the names of its inputs."""
    x = tensor([0.0, 1.0], requires_grad=True)
    w = tensor([2.0, -1.0], requires_grad=True)
    return (x * w).exp().sum(), {"x": x, "w": w}
