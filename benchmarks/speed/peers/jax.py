"""JAX: the whole step is one `jit` that updates its donated parameters and state in place.

Weights are (inputs, outputs), for ``x @ w``. The update rules are those of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workload import OPTIMIZERS, RATE, Workload

Tree = Any


def step(workload: Workload, jax: Any) -> Callable[[], object]:
    """Return the step; a call waits for the loss and all parameters."""
    jnp = jax.numpy
    network = Network(workload, jax)
    x, y = map(jnp.asarray, workload.data())
    parameters, statistics = network.initial()
    if not workload.training:
        infer = jax.jit(lambda p, s, x: network(p, s, x, None)[0])
        return lambda: infer(parameters, statistics, x).block_until_ready()
    init, update = optimizer(workload.optimizer, jax)
    loss_of = criterion(workload.loss, jax)

    def objective(parameters: Tree, statistics: Tree, key: Any, x: Any, y: Any) -> Any:
        outputs, statistics = network(parameters, statistics, x, key)
        return loss_of(outputs, y), statistics

    def train_step(carry: Tree, x: Any, y: Any) -> tuple[Tree, Any]:
        parameters, statistics, state, key = carry
        key, mask_key = jax.random.split(key) if workload.dropout else (key, key)
        gradient = jax.value_and_grad(objective, has_aux=True)
        (loss, statistics), gradients = gradient(parameters, statistics, mask_key, x, y)
        parameters, state = update(parameters, gradients, state)
        return (parameters, statistics, state, key), loss

    compiled = jax.jit(train_step, donate_argnums=0)
    carry = (parameters, statistics, init(parameters), jax.random.key(0))

    def call() -> object:
        nonlocal carry
        carry, loss = compiled(carry, x, y)
        jax.block_until_ready(carry)
        return loss.block_until_ready()

    return call


class Network:
    """The forward pass. ``key`` draws the dropout masks; it is None in inference."""

    def __init__(self, workload: Workload, jax: Any):
        self.workload, self.jax = workload, jax
        self.activation = activation(workload.activation, jax)

    def initial(self) -> tuple[Tree, Tree]:
        """Return the first parameters and running statistics of each layer."""
        jnp, parameters, statistics = self.jax.numpy, [], []
        for k, (weight, bias) in enumerate(self.workload.weights()):
            layer = {"w": jnp.array(weight), "b": jnp.array(bias)}
            size, norm = len(bias), self.workload.norm
            if norm and k < len(self.workload.pairs) - 1:
                layer |= {"scale": jnp.ones(size), "shift": jnp.zeros(size)}
                if norm == "BatchNorm1d":
                    statistics.append((jnp.zeros(size), jnp.ones(size)))
            parameters.append(layer)
        return parameters, statistics

    def __call__(self, parameters: Tree, statistics: Tree, x: Any, key: Any) -> tuple[Any, Tree]:
        """Return the outputs, and the running statistics after this batch."""
        jax, rate, running = self.jax, self.workload.dropout, []
        for k, layer in enumerate(parameters[:-1]):
            x = x @ layer["w"] + layer["b"]
            if self.workload.norm == "BatchNorm1d":
                x, updated = self.batch_norm(x, statistics[k], training=key is not None)
                running.append(updated)
            elif self.workload.norm:
                x = (x - x.mean(1, keepdims=True)) * jax.lax.rsqrt(x.var(1, keepdims=True) + 1e-5)
            if self.workload.norm:
                x = x * layer["scale"] + layer["shift"]
            x = self.activation(x)
            if rate and key is not None:
                keep = jax.random.bernoulli(jax.random.fold_in(key, k), 1 - rate, x.shape)
                x = jax.numpy.where(keep, x / (1 - rate), 0)
        return x @ parameters[-1]["w"] + parameters[-1]["b"], running

    def batch_norm(self, x: Any, statistics: Any, training: bool) -> tuple[Any, Any]:
        """Return the normalised values, and the running statistics after this batch."""
        mean, variance = (x.mean(0), x.var(0)) if training else statistics
        unbiased = variance * (len(x) / max(len(x) - 1, 1))
        updated = tuple(
            0.9 * old + 0.1 * new for old, new in zip(statistics, (mean, unbiased), strict=True)
        )
        return (x - mean) * self.jax.lax.rsqrt(variance + 1e-5), updated


def activation(name: str, jax: Any) -> Callable[[Any], Any]:
    """Return the function that PyTorch's module of this name computes."""
    if name == "GELU":
        return lambda x: jax.nn.gelu(x, approximate=False)
    names = {
        "ReLU": "relu",
        "LeakyReLU": "leaky_relu",
        "ELU": "elu",
        "SiLU": "silu",
        "Tanh": "tanh",
        "Sigmoid": "sigmoid",
        "Softplus": "softplus",
    }
    function: Callable[[Any], Any] = getattr(jax.nn, names[name])
    return function


def criterion(name: str, jax: Any) -> Callable[[Any, Any], Any]:
    """Return the function (outputs, targets) -> mean loss."""

    def cross_entropy(outputs: Any, labels: Any) -> Any:
        log = jax.nn.log_softmax(outputs)
        return -jax.numpy.take_along_axis(log, labels[:, None], 1).mean()

    def squared(outputs: Any, targets: Any) -> Any:
        return ((outputs - targets) ** 2).mean()

    def binary(outputs: Any, targets: Any) -> Any:
        return (jax.nn.softplus(outputs) - targets * outputs).mean()

    return {
        "cross-entropy": cross_entropy,
        "squared error": squared,
        "binary cross-entropy": binary,
    }[name]


def optimizer(name: str, jax: Any) -> tuple[Callable[[Tree], Tree], Callable[..., Tree]]:
    """Return parameters -> state, and (parameters, gradients, state) -> (parameters, state)."""
    jnp, tree_map = jax.numpy, jax.tree.map
    _, options, arrays = OPTIMIZERS[name]

    def init(parameters: Tree) -> Tree:
        return [tree_map(jnp.zeros_like, parameters) for _ in range(arrays)], jnp.zeros(())

    def sgd(parameters: Tree, gradients: Tree, state: Tree) -> Tree:
        (velocity, count) = state
        if velocity:
            gradients = tree_map(lambda v, g: options["momentum"] * v + g, velocity[0], gradients)
            velocity = [gradients]
        return tree_map(lambda p, g: p - RATE * g, parameters, gradients), (velocity, count)

    def rmsprop(parameters: Tree, gradients: Tree, state: Tree) -> Tree:
        ((square,), count) = state
        square = tree_map(lambda s, g: 0.99 * s + 0.01 * g * g, square, gradients)
        return tree_map(
            lambda p, g, s: p - RATE * g / (jnp.sqrt(s) + 1e-8), parameters, gradients, square
        ), ([square], count)

    def adam(parameters: Tree, gradients: Tree, state: Tree) -> Tree:
        ((mean, square), count) = state
        count += 1
        mean = tree_map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
        square = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
        rate, root = RATE / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        decayed = 1 - RATE * options.get("weight_decay", 0)
        return tree_map(
            lambda p, m, v: decayed * p - rate * m / (jnp.sqrt(v) / root + 1e-8),
            parameters,
            mean,
            square,
        ), ([mean, square], count)

    updates = {"SGD": sgd, "momentum": sgd, "RMSprop": rmsprop}
    return init, updates.get(name, adam)
