"""Linear softmax against one hidden layer on the spiral.

Three arms of a spiral, 100 points each, that no straight line separates. Softmax regression
minimises

    L = mean_n( -log softmax(x_n W + b)_{y_n} ) + 0.5 reg sum(W^2)

by gradient descent on all points at once, and gets about half of them right. One hidden layer of
100 ReLUs, h = max(0, x W1 + b1), gets nearly all. Weights begin normal with standard deviation
0.01, biases at 0. Without biases it fails: f(t x) = t f(x) for t > 0, so all
points on a ray from the centre get one class.

Each network is written twice: with the framework, and by hand in NumPy as a learner would. The
losses of both must agree step by step: the automatic gradients are those of calculus.

Source: Stanford's CS231n, "Putting it together: minimal neural network case study",
https://cs231n.github.io/neural-networks-case-study/
"""

from __future__ import annotations

import itertools

import numpy as np
from common import Experiment, main

import tinygrad_mlp as tg
import tinygrad_mlp.nn.functional as F
from tinygrad_mlp import nn, optim

REG = 1e-3


def make(*sizes: int, bias: bool = True) -> nn.Sequential:
    """Return a network with these layer sizes, the input first."""
    layers = [
        {"input_dim": m, "output_dim": n, "activation": "relu", "init": 0.01, "bias": bias}
        for m, n in itertools.pairwise(sizes)
    ]
    return nn.from_config([*layers[:-1], layers[-1] | {"activation": None}])


# --- with the framework ---


def train(model: nn.Sequential, x: tg.Tensor, y: tg.Tensor, lr: float, steps: int) -> list[float]:
    """Train by gradient descent on all points; return the loss before each step."""
    optimizer = optim.SGD(model.parameters(), lr=lr)
    weights = [p for p in model.parameters() if p.ndim == 2]  # biases are not penalised

    @tg.compile
    def step() -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        for weight in weights:
            loss = loss + 0.5 * REG * (weight * weight).sum()
        loss.backward()
        optimizer.step()
        return loss

    return [step().item() for _ in range(steps)]


# --- by hand, in NumPy: the derivatives are written out ---


def train_by_hand(
    layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray, y: np.ndarray, lr: float, steps: int
) -> list[float]:
    """Do the same with one or two layers (W, b), W of shape (in, out)."""
    rows, losses = np.arange(len(x)), []
    for _ in range(steps):
        hidden = [x]  # the input of each layer
        for W, b in layers[:-1]:
            hidden.append(np.maximum(0, hidden[-1] @ W + b))
        W, b = layers[-1]
        scores = hidden[-1] @ W + b  # (N, 3)
        exp = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = exp / exp.sum(axis=1, keepdims=True)
        data_loss = -np.log(probabilities[rows, y]).mean()
        losses.append(float(data_loss + sum(0.5 * REG * np.sum(W * W) for W, _ in layers)))

        gradient = probabilities.copy()  # dL/dscores = (p - 1 at the label) / N
        gradient[rows, y] -= 1
        gradient /= len(x)
        for k in reversed(range(len(layers))):
            W, b = layers[k]
            dW, db = hidden[k].T @ gradient + REG * W, gradient.sum(axis=0)
            gradient = (gradient @ W.T) * (hidden[k] > 0)  # for the layer before, through its ReLU
            W -= lr * dW
            b -= lr * db
    return losses


def copies(model: nn.Sequential) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the layers (W, b) of a network as float64 arrays of their own."""
    arrays = [p.detach().double().numpy().copy() for p in model.parameters()]
    return [(weight.T.copy(), bias) for weight, bias in zip(arrays[::2], arrays[1::2], strict=True)]


def run(experiment: Experiment) -> None:
    points = tg.data.spiral(seed=experiment.seed)
    x, y = tg.tensor(points.x), tg.tensor(points.y)
    short = experiment.pick(full=200, quick=200, tiny=50)
    long = experiment.pick(full=10_000, quick=10_000, tiny=50)
    rows, figures, accuracies = [], [], {}
    for name, sizes, bias, steps in (
        ("softmax regression", (2, 3), True, short),
        ("one hidden layer", (2, 100, 3), True, long),
        ("one hidden layer, no biases", (2, 100, 3), False, long),
    ):
        tg.manual_seed(experiment.seed)
        model = make(*sizes, bias=bias)
        start = {key: value.clone() for key, value in model.state_dict().items()}
        losses = train(model, x, y, lr=1.0, steps=steps)
        accuracies[name] = tg.evaluate(model, points)["accuracy"]
        row = {"network": name, "steps": steps, "last loss": losses[-1]}
        rows.append(row | {"accuracy": accuracies[name]})
        if bias:  # in float64: a rounding error of float32 can turn a ReLU on or off
            figures.append(tg.train.boundary(model, points))
            twin = make(*sizes).double()
            twin.load_state_dict(start)
            by_hand, compared = copies(twin), min(steps, 1000)
            ours = train(twin, x.double(), y, lr=1.0, steps=compared)
            theirs = train_by_hand(by_hand, points.x.astype(float), points.y, 1.0, compared)
            difference = float(np.abs(np.array(ours) - theirs).max())
            rows[-1]["largest difference to NumPy"] = difference
            experiment.check(f"difference to NumPy, {name}", difference, at_most=1e-5)
    experiment.table("Accuracy on the spiral", rows)
    linear, hidden, unbiased = accuracies.values()
    caption = f"Softmax regression ({linear:.1%} right) and one hidden layer ({hidden:.1%} right)."
    experiment.picture("boundaries", figures, f"{caption} Misclassified points are ringed.")
    experiment.check("accuracy of softmax regression", linear, at_least=0.4, at_most=0.6)
    experiment.check("accuracy with one hidden layer", hidden, at_least=0.98, headline=True)
    experiment.record(
        accuracy_linear=linear, accuracy_hidden=hidden, accuracy_no_biases=unbiased, rows=rows
    )


if __name__ == "__main__":
    main(run, __doc__)
