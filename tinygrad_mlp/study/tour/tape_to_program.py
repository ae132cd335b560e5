"""Chapter 9: from the tape to a program.

A tape is made anew in each step: Python runs, nodes are created, and freed. But a training step
does the same each time. tg.compile runs the function once, lists every op that it applied (forward,
backward and update alike), and turns the list into a program that runs without Python.

>>> import tinygrad_mlp as tg
>>> import tinygrad_mlp.nn.functional as F
>>> from tinygrad_mlp import nn, optim
>>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
>>> optimizer = optim.SGD(model.parameters(), lr=0.1)
>>> def train_step(x, y):
...     optimizer.zero_grad()
...     loss = F.mse_loss(model(x), y)
...     loss.backward()
...     optimizer.step()
...     return loss
>>> step = tg.compile(train_step)
>>> _ = step(tg.ones(8, 2), tg.ones(8, 1))
>>> print(step.program)
inputs
  x  float32 (8, 2)
  y  float32 (8, 1)
state
  0.weight                float32 (3, 2)
  0.bias                  float32 (3,)
  2.weight                float32 (1, 3)
  2.bias                  float32 (1,)
  optimizer.lr            float64 () = 0.1
  optimizer.weight_decay  float64 () = 0
forward
   1  %1 = linear+tanh(x, 0.weight, 0.bias)                                float32 (8, 3)
   2  %2 = linear+squared_error(%1, 2.weight, 2.bias, y)                   float32 (8, 1)
   3  %3 = mean(%2.out1, dims=(0, 1))                                      float32 ()
   4  %4 = div(1, 8)                                                       float32 ()
backward
   5  %5 = squared_error.vjp(%4, %2, y)                                    float32 (8, 1)
   6  2.weight.grad = matmul(%5.T, %1)                                     float32 (1, 3)
   7  2.bias.grad = sum(%5, dims=(0,))                                     float32 (1,)
   8  %8 = matmul+tanh.vjp(%5, 2.weight, %1)                               float32 (8, 3)
   9  0.weight.grad = matmul(%8.T, x)                                      float32 (3, 2)
  10  0.bias.grad = sum(%8, dims=(0,))                                     float32 (3,)
update
  11  sgd_(0.weight, 0.weight.grad, optimizer.lr, optimizer.weight_decay)  float32 (3, 2)
  12  sgd_(0.bias, 0.bias.grad, optimizer.lr, optimizer.weight_decay)      float32 (3,)
  13  sgd_(2.weight, 2.weight.grad, optimizer.lr, optimizer.weight_decay)  float32 (1, 3)
  14  sgd_(2.bias, 2.bias.grad, optimizer.lr, optimizer.weight_decay)      float32 (1,)
returns %3

Read it beside the tape. The forward ops are those of the tape, neighbours joined (linear+tanh): one
pass over memory instead of two. The backward lines are the rules of the tape, from the last to the
first: matmul(%5.T, %1) is dL/dW = g.T @ x. The update writes into the parameters in place.

It gives the same bits as the step in Python:

>>> def trained(compiled):
...     tg.manual_seed(0)
...     for layer in (model[0], model[2]):
...         layer.reset_parameters()
...     step = tg.compile(train_step) if compiled else train_step
...     return [step(tg.ones(8, 2), tg.ones(8, 1)).item() for _ in range(3)]
>>> trained(True) == trained(False)
True
"""

from __future__ import annotations

from ..._tensor import Tensor
from ...nn import Linear, Sequential, Tanh
from ...nn import functional as F
from ...ops.create import ones
from ...ops.random import manual_seed


def example() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of the chapter's network, and the names of its parameters."""
    manual_seed(0)
    model = Sequential(Linear(2, 3), Tanh(), Linear(3, 1))
    return F.mse_loss(model(ones(8, 2)), ones(8, 1)), dict(model.named_parameters())
