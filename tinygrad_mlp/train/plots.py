"""Plots: training curves, decision boundaries, regression surfaces, misclassified images.

Figures are made without pyplot, so the caller's pyplot state and windows stay untouched. Each
function returns its Figure, and writes it to a file if a path is given.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._common.array import Array
from .._common.files import atomic_write
from .._common.validation import check_choice
from ..data.dataset import Dataset
from ..nn import Module
from .predict import predict, softmax
from .validation import check_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .history import History

INK, FAINT = "#2b2f36", "#d9dce1"
COLOR_MAP = "viridis"
TRAINING, VALIDATION = "#9aa3b2", "#d1495b"
CLASSES = ["#3d6fb4", "#e07a3f", "#3a9d79", "#b8478c", "#d9a441"]
CLASSES += ["#5b5ea6", "#7fa650", "#c94c4c", "#4aa6b5", "#8a6d5c"]


def curves(history: History, path: str | os.PathLike[str] | None = None) -> Figure:
    """Plot the loss and each metric over the epochs, training and validation together.

    Args:
        path: a file to write, .png, .svg or .pdf.

    Raises:
        ValueError: the history is empty.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.

    >>> from tinygrad_mlp.train import History
    >>> figure = curves(History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['loss']
    """
    if not len(history):
        raise ValueError("history has no epochs to plot; train first: history = tg.fit(...)")
    names = history.metrics
    figure = _figure(width=5.2 * len(names), height=3.6)
    for position, name in enumerate(names, 1):
        _curve(figure.add_subplot(1, len(names), position), history, name)
    return _save(figure, path)


def _curve(axes: Axes, history: History, name: str) -> None:
    epochs = history["epoch"]
    lines = [(name, "training", TRAINING)]
    if f"val_{name}" in history.names:
        lines.append((f"val_{name}", "validation", VALIDATION))
    for column, label, color in lines:
        values = history[column]
        axes.plot(epochs, values, color=color, linewidth=2, label=f"{label} {values[-1]:.4f}")
        axes.plot(epochs[-1:], values[-1:], "o", color=color, markersize=5, clip_on=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(name, loc="left", color=INK, fontsize=12, fontweight="bold")
    axes.set_xlabel("epoch", color=INK)
    axes.set_xlim(min(epochs) - (len(epochs) == 1), max(epochs) + (len(epochs) == 1))
    if name == "loss" and all(v > 0 for column, _, _ in lines for v in history[column]):
        axes.set_yscale("log")
    axes.legend(frameon=False, labelcolor=INK)


def boundary(
    model: Module, data: Any, path: str | os.PathLike[str] | None = None, *, points: int = 400
) -> Figure:
    """Plot the predicted class over the plane, and the rows of ``data`` on it.

    The background mixes the classes' colors by their predicted probabilities, paler where the model
    is uncertain. White lines are the decision boundaries, where two classes are equally likely.
    Misclassified rows are ringed.

    Args:
        model: takes (N, 2), returns logits (N, classes).
        data: (x, y), x (N, 2) and integer labels y (N,), or a Dataset.
        path: a file to write, .png, .svg or .pdf.
        points: the number of grid points along each side.

    Raises:
        ValueError: x does not have two columns, or y are not labels.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.

    >>> from tinygrad_mlp import nn
    >>> from tinygrad_mlp.data import spiral
    >>> boundary(nn.Linear(2, 3), spiral(points=10), points=20).get_size_inches().tolist()
    [6.0, 6.0]
    """
    samples = check_data("data", data, model)
    x, y = samples.x, samples.y
    if x.shape[1:] != (2,) or not samples.labels:
        raise ValueError(
            f"boundary draws rows of two features with integer labels, got x of shape "
            f"{x.shape} and y of dtype {y.dtype}"
        )
    figure, axes, outputs = _plane(model, x, points)
    _background(axes, softmax(outputs.reshape(points**2, -1)).reshape(points, points, -1))
    _scatter(axes, x, c=_colors(y))
    wrong = x[predict(model, x).argmax(axis=1) != y]
    _scatter(axes, wrong, s=80, facecolors="none", edgecolors=INK, linewidths=1.2, zorder=4)
    return _save(figure, path)


def surface(
    model: Module, data: Any, path: str | os.PathLike[str] | None = None, *, points: int = 400
) -> Figure:
    """Plot the predicted value over the plane, and the rows of ``data`` on it.

    Background and rows share one color scale, and lines connect equal values; a row whose color
    differs from the background around it is predicted badly.

    Args:
        model: takes (N, 2), returns (N, 1).
        data: (x, y), x (N, 2) and values y (N,) or (N, 1), or a Dataset.
        path, points: as in :func:`boundary`.

    Raises:
        ValueError: x does not have two columns, or y not one.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.

    >>> from tinygrad_mlp import nn
    >>> x = np.random.default_rng(0).normal(size=(10, 2))
    >>> surface(nn.Linear(2, 1), (x, x[:, 0]), points=20).get_size_inches().tolist()
    [6.0, 6.0]
    """
    samples = check_data("data", data, model)
    x, y = samples.x, samples.y
    if x.shape[1:] != (2,) or samples.labels or y.size != len(x):
        raise ValueError(
            f"surface draws rows of two features with one value each, got x of shape "
            f"{x.shape} and y of {y.dtype} of shape {y.shape}"
        )
    figure, axes, outputs = _plane(model, x, points)
    values, targets = outputs.reshape(points, points), y.reshape(-1)
    low, high = np.percentile(np.concatenate([targets, values.reshape(-1)]), (1, 99))
    scale = _matplotlib("colors").Normalize(low, max(high, low + 1e-6), clip=True)
    _image(axes, values, cmap=COLOR_MAP, norm=scale)
    if values.max() > values.min():  # matplotlib warns of contours of a constant
        _lines(axes, values, levels=12, linestyles="solid", linewidths=0.6, alpha=0.6)
    _scatter(axes, x, c=_matplotlib("cm").ScalarMappable(scale, COLOR_MAP).to_rgba(targets))
    return _save(figure, path)


def _plane(model: Module, x: Array, points: int) -> tuple[Figure, Axes, Array]:
    """Return axes of a square around the rows x (N, 2), and outputs (P, P, C) on a grid there."""
    center = (x.max(axis=0) + x.min(axis=0)) / 2
    radius = 1.08 * float(np.abs(x - center).max()) or 1.0
    u, v = (np.linspace(c - radius, c + radius, points) for c in center)
    grid = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)  # (P * P, 2)
    figure = _figure(width=6, height=6, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(u[0], u[-1]), ylim=(v[0], v[-1]), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes, predict(model, grid).reshape(points, points, -1)


def _image(axes: Axes, values: Array, **style: Any) -> None:
    axes.imshow(values, extent=(*axes.get_xlim(), *axes.get_ylim()), origin="lower", **style)


def _lines(axes: Axes, values: Array, **style: Any) -> None:
    u, v = (np.linspace(*limits, len(values)) for limits in (axes.get_xlim(), axes.get_ylim()))
    axes.contour(u, v, values, colors="white", **style)


def _background(axes: Axes, probabilities: Array) -> None:
    """Draw the mixed colors and the boundaries of classes, from probabilities (P, P, classes)."""
    classes = probabilities.shape[2]
    darkness = 1 - _colors(np.arange(classes))  # (classes, 3)
    confidence = probabilities.max(axis=2, keepdims=True)
    colors = 1 - 0.5 * confidence * (probabilities @ darkness)  # half as dark as the points
    _image(axes, colors.clip(0, 1), interpolation="bilinear", aspect="equal")
    for k in range(classes if classes > 2 else 1):
        others = np.delete(probabilities, k, axis=2).max(axis=2)
        _lines(axes, probabilities[:, :, k] - others, levels=[0], linewidths=1.4)


def _scatter(axes: Axes, x: Array, **style: Any) -> None:
    u, v = x.T
    default: dict[str, Any] = dict(s=30, edgecolors="white", linewidths=0.7, zorder=3)
    axes.scatter(u, v, **(default | style))


def mistakes(
    model: Module,
    data: Dataset,
    path: str | os.PathLike[str] | None = None,
    *,
    rows: int = 4,
    columns: int = 6,
) -> Figure:
    """Plot the images of ``data`` that ``model`` gets most wrong, the worst first.

    The title of each is its class, the predicted class, and the probability of the latter.
    Misclassified images come before correct ones, then lower probabilities of the true class.

    Args:
        model: takes the rows of ``data``, returns logits (N, classes).
        data: a Dataset with ``image_shape`` and ``classes``.
        path: a file to write, .png, .svg or .pdf.
        rows, columns: the number of images.

    Raises:
        ValueError: the rows are not images, or have no classes.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.

    >>> from tinygrad_mlp import nn
    >>> from tinygrad_mlp.data import digits
    >>> len(mistakes(nn.Linear(64, 10), digits(), rows=2, columns=3).axes)
    6
    """
    if data.image_shape is None or not data.classes:
        raise ValueError(f"mistakes draws images that have classes, got {data!r}")
    probabilities = softmax(predict(model, data.x))
    predicted, true = probabilities.argmax(axis=1), probabilities[np.arange(len(data.y)), data.y]
    worst = np.lexsort((true, predicted == data.y))[: rows * columns]
    figure = _figure(width=1.3 * columns, height=1.6 * rows, layout="none")
    for position, row in enumerate(worst):
        i, j = divmod(position, columns)
        left, bottom = (j + 0.1) / columns, 1 - (i + 0.95) / rows
        axes = figure.add_axes((left, bottom, 0.8 / columns, 0.65 / rows))
        axes.imshow(data.x[row].reshape(data.image_shape), cmap="gray_r")
        axes.set_axis_off()
        title = (
            f"{data.classes[data.y[row]]}, predicted {data.classes[predicted[row]]}\n"
            f"with {probabilities[row, predicted[row]]:.0%}"
        )
        wrong = predicted[row] != data.y[row]
        axes.set_title(title, color=VALIDATION if wrong else INK, fontsize=7)
    return _save(figure, path)


def _colors(labels: Array) -> Array:
    """Return red, green and blue of each label: (N, 3) from 0 to 1."""
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in CLASSES]) / 255
    colors: Array = table[labels % len(table)]
    return colors


def _figure(width: float, height: float, layout: str = "constrained") -> Figure:
    style: dict[str, Any] = dict(figsize=(width, height), dpi=160, facecolor="white")
    figure: Figure = _matplotlib("figure").Figure(layout=layout, **style)
    return figure


def _matplotlib(name: str) -> Any:
    """Import a module of matplotlib."""
    try:
        return importlib.import_module(f"matplotlib.{name}")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'plots need matplotlib; pip install "tinygrad-mlp[plot]" installs it'
        ) from None


def _save(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    if path is not None:
        formats = figure.canvas.get_supported_filetypes()
        suffix = os.path.splitext(path)[1].removeprefix(".").lower()
        check_choice("image format", suffix, formats)
        with atomic_write(path) as temporary:
            figure.savefig(temporary)
    return figure
