"""JAX: one `jit` for the step, with donated parameters and moments; data in JAX's memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from races.race import DROPOUT, RATE, Race, run

Tree = Any


def forward(parameters: Tree, x: Any, key: Any = None) -> Any:
    for k, (w, b) in enumerate(parameters[:-1]):
        x = jax.nn.relu(x @ w + b)
        if key is not None:
            keep = jax.random.bernoulli(jax.random.fold_in(key, k), 1 - DROPOUT, x.shape)
            x = jnp.where(keep, x / (1 - DROPOUT), 0)
    w, b = parameters[-1]
    return x @ w + b


def loss_of(parameters: Tree, x: Any, y: Any, key: Any) -> Any:
    log = jax.nn.log_softmax(forward(parameters, x, key))
    return -jnp.take_along_axis(log, y[:, None], 1).mean()


def train_step(carry: Tree, x: Any, y: Any, rows: Any) -> Tree:
    parameters, mean, square, count, key = carry
    key, mask_key = jax.random.split(key)
    gradients = jax.grad(loss_of)(parameters, x[rows], y[rows], mask_key)
    tree_map, count = jax.tree.map, count + 1
    mean = tree_map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
    rate, root = RATE / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
    step = tree_map(lambda m, v: rate * m / (jnp.sqrt(v) / root + 1e-8), mean, square)
    return tree_map(jnp.subtract, parameters, step), mean, square, count, key


def contestant(race: Race) -> None:
    parameters = [(jnp.asarray(w), jnp.zeros(w.shape[1])) for w in race.weights()]
    zeros = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    carry = (parameters, *zeros, jnp.zeros(()), jax.random.key(race.seed))
    step, infer = jax.jit(train_step, donate_argnums=0), jax.jit(forward)
    x, y, x_test = map(jnp.asarray, (race.x, race.y.astype(np.int32), race.x_test))

    def train_epoch() -> None:
        nonlocal carry
        for rows in race.batches():
            carry = step(carry, x, y, rows.astype(np.int32))

    def save(folder: Path) -> None:
        np.savez(folder / "model.npz", *jax.tree.leaves(carry[0]))

    race.train(train_epoch, lambda: np.asarray(infer(carry[0], x_test)).argmax(1), save)


if __name__ == "__main__":
    run(contestant)
