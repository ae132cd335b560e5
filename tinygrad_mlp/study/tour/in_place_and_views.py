"""Chapter 7: in-place ops and views.

A rule that needs a value of the forward pass saves it. If an op then overwrites that memory, the
gradient would silently be wrong. So memory has a version, which each write raises, and a saved
value remembers the version that it had.

>>> import tinygrad_mlp as tg
>>> x = tg.tensor([1.0, 2.0], requires_grad=True)
>>> y = x * 3
>>> z = y * y  # saves y
>>> _ = y.add_(1)
>>> try:
...     z.sum().backward()
... except RuntimeError as error:
...     print(str(error)[:71])
`y` of `mul`, a float32 tensor of shape (2,), was changed in place afte

exp saves its result, not its input. So writing into the input afterwards is harmless.

>>> y = x * 3
>>> z = y.exp()
>>> _ = y.add_(1)
>>> z.sum().backward()
>>> (x.grad / (x.detach() * 3).exp()).tolist()
[3.0, 3.0]

A view is another tensor on the same memory. A write into it changes its base, so the history of the
base must run through that write:

>>> loss, names = example()
>>> print(tg.study.tape(loss, names))
leaves
  x         float32 (2,)
tape, oldest first; backward goes up from the last line
  %1 = mul(x, 2)                                     float32 (2,)
         dL/dx = %1' * 2
  %2 = %1[:1]                                        float32 (1,)
         dL/d%1 += slice_backward(%2', shape=(2,), key=[:1])
  %3 = mul_(%2, 2.5)                                 float32 (1,)
         dL/d%2 = %3' * 2.5
  %4 = write_region(%1, %3, region=((1,), (4,), 0))  float32 (2,)
         dL/d%1 = erase_region(%4', region=((1,), (4,), 0))
         dL/d%3 = region(%4', region=((1,), (4,), 0))
  %5 = mul(%4, %4)                                   float32 (2,)
         dL/d%4 = %5' * %4
         dL/d%4 += %5' * %4
  %6 = sum(%5, dims=(0,))                            float32 ()
         dL/d%5 = %6'.expand(2)
%n' is dL/d%n, the gradient that arrives at line n
+= adds to the gradient that came from a line further down

By hand: base is (5 * x0, 2 * x1), so the gradient of the sum of squares is (50 x0, 8 x1).

>>> loss.backward()
>>> names["x"].grad.tolist()
[50.0, 16.0]
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...ops.create import tensor


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return a loss of a tensor whose first element was multiplied through a view."""
    x = tensor([1.0, 2.0], requires_grad=True)
    base = x * 2
    base[:1].mul_(2.5)
    return (base * base).sum(), {"x": x}
