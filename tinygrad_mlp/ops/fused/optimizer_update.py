"""The optimizers' updates: each overwrites a parameter and its state in one pass over memory.

An update is declared by what happens to one element, and its signature says what is what:

    def adam_(parameter, gradient, exp_avg, exp_avg_sq, /, step, lr, ..., *, maximize=False)

==============  ===================================================================================
before ``/``    arrays of one shape and dtype; all but the gradient are overwritten by the results
before ``*``    numbers: float64 cells that the kernel reads when it runs. What depends on them
                alone (a bias correction) is computed once, in float64
after ``*``     flags: plain Python values, each choice a kernel of its own
==============  ===================================================================================

A formula is written with ops, so it computes on tensors too: that is its textbook form, in as many
passes as there are ops, unless the paper's own form is given beside it. A test holds kernel and
textbook together. An update is not differentiable: run it inside ``no_grad``.
"""

# A formula is a function of scalars or of tensors alike: its types would say Any ten times a line.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ...autograd import modes, tape
from ...autograd.op import Op
from ...autograd.tape import Params, Value
from ...autograd.values import constant
from ...kernels.codegen import expression
from ...kernels.codegen.elementwise import Formula
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import FLOAT64, Layout
from ..elementwise.arithmetic import maximum, where
from ..elementwise.declare import lower
from ..elementwise.transcendental import sqrt


class Update(Op):
    """An op that overwrites a parameter and its state, and returns the parameter."""

    def __init__(self, formula: Callable[..., Any], textbook: Callable[..., Any] | None = None):
        signature = inspect.signature(formula).parameters.values()
        arrays = [p.name for p in signature if p.kind is p.POSITIONAL_ONLY]
        self.formula = formula
        self.numbers = tuple(p.name for p in signature if p.kind is p.POSITIONAL_OR_KEYWORD)
        self.state = tuple(arrays[2:])
        self.written = (arrays[0], *self.state)
        super().__init__(
            formula.__name__,
            (*arrays, *self.numbers),
            vjp={},
            textbook=textbook or formula,
            params=[p.name for p in signature if p.kind is p.KEYWORD_ONLY],
            mutates=self.written,
            in_place=True,
        )

    def document(self) -> str:
        """The op's docstring: what it is, and its formula for one element."""
        results = self.trace({})
        lines = (f"    {n} = {r}" for n, r in zip(self.written, results, strict=True))
        return "\n".join([inspect.getdoc(self.formula) or self.name, "", *lines])

    def trace(self, flags: Params) -> tuple[expression.Expression, ...]:
        """What one element of the parameter and of each state becomes."""
        traced = expression.trace(functools.partial(self.formula, **flags), self.inputs)
        assert isinstance(traced, tuple)
        return traced

    def __call__(self, *inputs: Any, **flags: Any) -> Any:
        if unknown := set(flags) - set(self.params):
            raise TypeError(f"{self.name} has no flag {sorted(unknown)}; it has {self.params}")
        values = tuple(
            constant(float(value), FLOAT64) if isinstance(value, (int, float)) else value
            for value in inputs
        )
        return tape.apply(self, values, {name: flags.get(name, False) for name in self.params})

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        if modes.is_grad_enabled() and any(value.requires_grad for value in inputs):
            raise RuntimeError(f"{self.name} has no gradient: call it inside `with tg.no_grad():`")
        launch = self.planned(*[value.layout for value in inputs], *params.values())
        if launch is not None:
            launch(*[value.address for value in inputs])
        return (inputs[0],)

    def plan(self, *signature: Any) -> Launch | None:
        count = len(signature) - len(self.params)
        layouts, flags = signature[:count], dict(zip(self.params, signature[count:], strict=True))
        self._check(layouts)
        parameter = layouts[0]
        formula = Formula(
            ".".join([self.name, *(name for name, on in flags.items() if on)]),
            self.inputs,
            tuple(zip(self.written, self.trace(flags), strict=True)),
            uniform=frozenset(self.numbers),
        )
        operands = list(zip(self.inputs, layouts, strict=True))
        return lower(formula, operands, parameter.shape, parameter.dtype)

    def _check(self, layouts: tuple[Layout, ...]) -> None:
        if len(layouts) != len(self.inputs):
            raise TypeError(
                f"{self.name}({', '.join(self.inputs)}) takes {len(self.inputs)} tensors, "
                f"not {len(layouts)}"
            )
        first = layouts[0]
        if first.dtype.kind != "f":
            raise TypeError(f"{self.name}: `parameter` must be floating, not {first.dtype}")
        for name, layout in zip(self.inputs, layouts, strict=True):
            shape, dtype = ((), FLOAT64) if name in self.numbers else (first.shape, first.dtype)
            if layout.dtype != dtype:
                raise TypeError(f"{self.name}: `{name}` must be {dtype}, not {layout.dtype}")
            if layout.shape != shape:
                raise ValueError(
                    f"{self.name}: `{name}` must have shape {shape}, not {layout.shape}"
                )


def update(textbook: Callable[..., Any] | None = None) -> Callable[[Callable[..., Any]], Update]:
    """Declare an update, and the paper's form of it if that is another than the formula."""
    return lambda formula: Update(formula, textbook)


def gradient_with_decay(parameter, gradient, weight_decay, maximize):
    """Where the objective grows: its gradient, and that of ``weight_decay / 2 * |parameter|^2``."""
    return (-gradient if maximize else gradient) + weight_decay * parameter


# --- stochastic gradient descent --------------------------------------------------------------


@update()
def sgd_(parameter, gradient, /, lr, weight_decay, *, maximize=False):
    """A step down the gradient."""
    return (parameter - lr * gradient_with_decay(parameter, gradient, weight_decay, maximize),)


@update()
def sgd_momentum_(
    parameter,
    gradient,
    momentum_buffer,
    /,
    lr,
    momentum,
    weight_decay,
    *,
    nesterov=False,
    maximize=False,
):
    """A step along the decaying sum of gradients; Nesterov's looks one step ahead."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    buffer = momentum * momentum_buffer + g
    return parameter - lr * (g + momentum * buffer if nesterov else buffer), buffer


@update()
def sgd_dampened_(
    parameter,
    gradient,
    momentum_buffer,
    /,
    step,
    lr,
    momentum,
    dampening,
    weight_decay,
    *,
    nesterov=False,
    maximize=False,
):
    """`sgd_momentum_` where gradients after the first enter the sum scaled by 1 - dampening."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    buffer = momentum * momentum_buffer + where(step > 1, 1 - dampening, 1) * g
    return parameter - lr * (g + momentum * buffer if nesterov else buffer), buffer


# --- a rate for each element, from the squares of its gradients -------------------------------


@update()
def adagrad_(parameter, gradient, sum, /, step, lr, lr_decay, weight_decay, eps, *, maximize=False):
    """Divided by the root of the sum of all squares: J. Duchi et al., JMLR 12, 2011."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    sum = sum + g * g
    return parameter - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps), sum


@update()
def adadelta_(
    parameter, gradient, square_avg, acc_delta, /, lr, rho, eps, weight_decay, *, maximize=False
):
    """In units of earlier changes: M. D. Zeiler, arXiv:1212.5701, 2012, algorithm 1."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    square_avg = rho * square_avg + (1 - rho) * g * g
    delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * g
    return parameter - lr * delta, square_avg, rho * acc_delta + (1 - rho) * delta * delta


@update()
def rmsprop_(parameter, gradient, square_avg, /, lr, alpha, eps, weight_decay, *, maximize=False):
    """Divided by the root of a running mean of squares: T. Tieleman and G. Hinton, 2012."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    square_avg = alpha * square_avg + (1 - alpha) * g * g
    return parameter - lr * g / (sqrt(square_avg) + eps), square_avg


@update()
def rmsprop_momentum_(
    parameter,
    gradient,
    square_avg,
    momentum_buffer,
    /,
    lr,
    alpha,
    eps,
    weight_decay,
    momentum,
    *,
    maximize=False,
):
    """`rmsprop_`, with a step along the decaying sum of the scaled gradients."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    square_avg = alpha * square_avg + (1 - alpha) * g * g
    buffer = momentum * momentum_buffer + g / (sqrt(square_avg) + eps)
    return parameter - lr * buffer, square_avg, buffer


@update()
def rmsprop_centered_(
    parameter, gradient, square_avg, grad_avg, /, lr, alpha, eps, weight_decay, *, maximize=False
):
    """`rmsprop_` by the variance instead of the square: A. Graves, arXiv:1308.0850, 2013."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    square_avg = alpha * square_avg + (1 - alpha) * g * g
    grad_avg = alpha * grad_avg + (1 - alpha) * g
    deviation = sqrt(variance(square_avg, grad_avg))
    return parameter - lr * g / (deviation + eps), square_avg, grad_avg


@update()
def rmsprop_centered_momentum_(
    parameter,
    gradient,
    square_avg,
    grad_avg,
    momentum_buffer,
    /,
    lr,
    alpha,
    eps,
    weight_decay,
    momentum,
    *,
    maximize=False,
):
    """`rmsprop_centered_`, with a step along the decaying sum of the scaled gradients."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    square_avg = alpha * square_avg + (1 - alpha) * g * g
    grad_avg = alpha * grad_avg + (1 - alpha) * g
    deviation = sqrt(variance(square_avg, grad_avg))
    buffer = momentum * momentum_buffer + g / (deviation + eps)
    return parameter - lr * buffer, square_avg, grad_avg, buffer


def variance(square_avg, grad_avg):
    """E[g^2] - E[g]^2, which rounding must not make negative."""
    difference = square_avg - grad_avg * grad_avg
    return where(difference < 0, 0, difference)


# --- Adam: D. P. Kingma and J. Ba, ICLR 2015, algorithm 1 -------------------------------------


def moments(g, exp_avg, exp_avg_sq, beta1, beta2):
    """The running means of the gradient and of its square."""
    return beta1 * exp_avg + (1 - beta1) * g, beta2 * exp_avg_sq + (1 - beta2) * g * g


def adam_step(parameter, m, v, step, lr, beta1, beta2, eps):
    """Adam's step with the bias corrections folded into two numbers."""
    scale = 1 / sqrt(1 - beta2**step)
    return parameter - lr / (1 - beta1**step) * m / (sqrt(v) * scale + eps)


def corrected(m, v, step, beta1, beta2, eps):
    """Adam's direction as the paper has it, from the bias-corrected moments."""
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    return m_hat / (sqrt(v_hat) + eps)


def adam(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, maximize=False):
    """The paper's algorithm 1; weight decay is a part of the gradient."""
    g = gradient_with_decay(p, g, weight_decay, maximize)
    m, v = moments(g, m, v, beta1, beta2)
    return p - lr * corrected(m, v, step, beta1, beta2, eps), m, v


@update(textbook=adam)
def adam_(
    parameter,
    gradient,
    exp_avg,
    exp_avg_sq,
    /,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    *,
    maximize=False,
):
    """Along the mean of gradients, divided by the root of the mean of their squares."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    m, v = moments(g, exp_avg, exp_avg_sq, beta1, beta2)
    return adam_step(parameter, m, v, step, lr, beta1, beta2, eps), m, v


def adam_amsgrad(p, g, m, v, v_max, step, lr, beta1, beta2, eps, weight_decay, maximize=False):
    """`adam` with the largest second moment so far, corrected for its bias as in PyTorch."""
    g = gradient_with_decay(p, g, weight_decay, maximize)
    m, v = moments(g, m, v, beta1, beta2)
    v_max = maximum(v_max, v)
    return p - lr * corrected(m, v_max, step, beta1, beta2, eps), m, v, v_max


@update(textbook=adam_amsgrad)
def adam_amsgrad_(
    parameter,
    gradient,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq,
    /,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    *,
    maximize=False,
):
    """`adam_` with the largest mean of squares so far: S. J. Reddi et al., ICLR 2018."""
    g = gradient_with_decay(parameter, gradient, weight_decay, maximize)
    m, v = moments(g, exp_avg, exp_avg_sq, beta1, beta2)
    v_max = maximum(max_exp_avg_sq, v)
    return adam_step(parameter, m, v_max, step, lr, beta1, beta2, eps), m, v, v_max


# --- AdamW: I. Loshchilov and F. Hutter, ICLR 2019, algorithm 2 -------------------------------


def adamw(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, maximize=False):
    """The paper's algorithm 2."""
    m, v = moments(-g if maximize else g, m, v, beta1, beta2)
    return p - lr * (corrected(m, v, step, beta1, beta2, eps) + weight_decay * p), m, v


@update(textbook=adamw)
def adamw_(
    parameter,
    gradient,
    exp_avg,
    exp_avg_sq,
    /,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    *,
    maximize=False,
):
    """`adam_` whose weight decay shrinks the parameter and stays out of the moments."""
    m, v = moments(-gradient if maximize else gradient, exp_avg, exp_avg_sq, beta1, beta2)
    shrunk = (1 - lr * weight_decay) * parameter
    return adam_step(shrunk, m, v, step, lr, beta1, beta2, eps), m, v


def adamw_amsgrad(p, g, m, v, v_max, step, lr, beta1, beta2, eps, weight_decay, maximize=False):
    """`adamw` with the largest second moment so far."""
    m, v = moments(-g if maximize else g, m, v, beta1, beta2)
    v_max = maximum(v_max, v)
    direction = corrected(m, v_max, step, beta1, beta2, eps)
    return p - lr * (direction + weight_decay * p), m, v, v_max


@update(textbook=adamw_amsgrad)
def adamw_amsgrad_(
    parameter,
    gradient,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq,
    /,
    step,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    *,
    maximize=False,
):
    """`adamw_` with the largest mean of squares so far."""
    m, v = moments(-gradient if maximize else gradient, exp_avg, exp_avg_sq, beta1, beta2)
    v_max = maximum(max_exp_avg_sq, v)
    shrunk = (1 - lr * weight_decay) * parameter
    return adam_step(shrunk, m, v_max, step, lr, beta1, beta2, eps), m, v, v_max
