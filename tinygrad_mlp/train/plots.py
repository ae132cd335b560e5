"""Pictures of a training: its curves, where it draws the lines between classes, and what it misses.

Figures are made without pyplot, so nothing here touches the state or the windows of a caller who
plots too. Each function returns its Figure, and writes it to a file if given a path.
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
from .history import PACE
from .predict import outputs_of, softmax
from .validation import prepare

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .history import History

INK, FAINT = "#2b2f36", "#d9dce1"
HEIGHTS = "viridis"
TRAINING, VALIDATION = "#9aa3b2", "#d1495b"
CLASSES = (
    "#3d6fb4",
    "#e07a3f",
    "#3a9d79",
    "#b8478c",
    "#d9a441",
    "#5b5ea6",
    "#7fa650",
    "#c94c4c",
    "#4aa6b5",
    "#8a6d5c",
)


def curves(history: History, path: str | os.PathLike[str] | None = None) -> Figure:
    """The loss and each metric over the epochs, training beside validation.

    Raises:
        ValueError: the history is empty.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.
    """
    if not len(history):
        raise ValueError("history has no epochs to plot; train first: history = tg.fit(...)")
    names = [n for n in history.names if n not in PACE and not n.startswith("val_")]
    figure = _figure(width=5.2 * len(names), height=3.6)
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), place)
        _curve(axes, history, name)
    return _written(figure, path)


def _curve(axes: Axes, history: History, name: str) -> None:
    epochs = history["epoch"]
    lines = [(name, "training", TRAINING)]
    if f"val_{name}" in history.names:
        lines.append((f"val_{name}", "validation", VALIDATION))
    for column, label, colour in lines:
        values = history[column]
        axes.plot(epochs, values, color=colour, linewidth=2, label=f"{label} {values[-1]:.4f}")
        axes.plot(epochs[-1:], values[-1:], "o", color=colour, markersize=5, clip_on=False)
    _plain(axes)
    axes.set_title(name, loc="left", color=INK, fontsize=12, fontweight="bold")
    axes.set_xlabel("epoch", color=INK)
    axes.set_xlim(min(epochs) - (len(epochs) == 1), max(epochs) + (len(epochs) == 1))
    if name == "loss" and all(v > 0 for column, _, _ in lines for v in history[column]):
        axes.set_yscale("log")
    axes.legend(frameon=False, labelcolor=INK)


def boundary(
    model: Module, data: Any, path: str | os.PathLike[str] | None = None, *, points: int = 400
) -> Figure:
    """What ``model`` says of each place in the plane, under the rows of ``data``.

    The ground is the classes' colours mixed by the model's probabilities, so that doubt is pale;
    lines run where two classes are equally likely; a ringed point is one that the model gets wrong.

    Args:
        model: takes (N, 2), gives logits (N, classes).
        data: (x, y), x (N, 2) and integer labels y (N,), or a Dataset.
        path: of the file to write, .png, .svg or .pdf.
        points: how many places to ask along each side.

    Raises:
        ValueError: the rows have not two features, or y are no labels.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.
    """
    rows = prepare("data", data, model)
    if rows.x.shape[1:] != (2,) or not rows.labels:
        raise ValueError(
            f"boundary draws rows of two features with integer labels, got x of shape "
            f"{rows.x.shape} and y of dtype {rows.y.dtype}"
        )
    u, v, outputs = _asked(model, rows.x, points)
    figure, axes = _plane(u, v)
    _ground(axes, u, v, softmax(outputs.reshape(points**2, -1)).reshape(points, points, -1))
    _dots(axes, rows.x, _colours(rows.y))
    wrong = _probabilities(model, rows.x).argmax(axis=1) != rows.y
    along, up = rows.x[wrong].T
    axes.scatter(along, up, s=80, facecolors="none", edgecolors=INK, linewidths=1.2, zorder=4)
    return _written(figure, path)


def surface(
    model: Module, data: Any, path: str | os.PathLike[str] | None = None, *, points: int = 400
) -> Figure:
    """The value that ``model`` gives each place in the plane, under the rows of ``data``.

    Ground and rows share one scale from dark to light, and lines run where the value is the same:
    a row that stands out from its ground is one that the model gets wrong.

    Args:
        model: takes (N, 2), gives (N, 1).
        data: (x, y), x (N, 2) and values y (N,) or (N, 1), or a Dataset.
        path, points: as of :func:`boundary`.

    Raises:
        ValueError: the rows have not two features and one value.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.
    """
    rows = prepare("data", data, model)
    if rows.x.shape[1:] != (2,) or rows.labels or rows.y.size != len(rows):
        raise ValueError(
            f"surface draws rows of two features with one value each, got x of shape "
            f"{rows.x.shape} and y of {rows.y.dtype} of shape {rows.y.shape}"
        )
    u, v, outputs = _asked(model, rows.x, points)
    values = outputs.reshape(points, points)
    figure, axes = _plane(u, v)
    targets = rows.y.reshape(-1)
    low, high = np.percentile(np.concatenate([targets, values.reshape(-1)]), (1, 99))
    scale = _part("colors").Normalize(low, max(high, low + 1e-6), clip=True)
    axes.imshow(values, extent=_extent(u, v), origin="lower", cmap=HEIGHTS, norm=scale)
    if values.max() > values.min():  # a plain has no lines
        axes.contour(
            u, v, values, levels=12, colors="white", linestyles="solid", linewidths=0.6, alpha=0.6
        )
    _dots(axes, rows.x, _part("cm").ScalarMappable(scale, HEIGHTS).to_rgba(targets))
    return _written(figure, path)


def _asked(model: Module, x: Array, points: int) -> tuple[Array, Array, Array]:
    """Along and up a square that holds the rows x (N, 2), and what the model gives there.

    (P,), (P,) and outputs (P, P, C).
    """
    centre = (x.max(axis=0) + x.min(axis=0)) / 2
    reach = 1.08 * float(np.abs(x - centre).max()) or 1.0
    u, v = (np.linspace(c - reach, c + reach, points) for c in centre)
    places = np.stack(np.meshgrid(u, v), axis=-1)  # (P, P, 2)
    return u, v, outputs_of(model, places.reshape(-1, 2)).reshape(points, points, -1)


def _plane(u: Array, v: Array) -> tuple[Figure, Axes]:
    """Axes to the edges: the picture is the plane."""
    figure = _figure(width=6, height=6, layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(u[0], u[-1])
    axes.set_ylim(v[0], v[-1])
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    return figure, axes


def _extent(u: Array, v: Array) -> tuple[float, float, float, float]:
    return float(u[0]), float(u[-1]), float(v[0]), float(v[-1])


def _probabilities(model: Module, x: Array) -> Array:
    """The softmax of the model's outputs for rows x (N, ...): (N, classes)."""
    return softmax(outputs_of(model, x))


def _ground(axes: Axes, u: Array, v: Array, chances: Array) -> None:
    """The colours of the plane, and the lines between the classes; chances are (P, P, classes)."""
    classes = chances.shape[2]
    away = 1 - _colours(np.arange(classes))  # (classes, 3), how far each is from white
    sure = chances.max(axis=2, keepdims=True)
    ground = 1 - 0.5 * sure * (chances @ away)  # half way to white, so that points stand out
    axes.imshow(
        ground.clip(0, 1),
        extent=_extent(u, v),
        origin="lower",
        interpolation="bilinear",
        aspect="equal",
    )
    for k in range(classes if classes > 2 else 1):
        others = np.delete(chances, k, axis=2).max(axis=2)
        axes.contour(u, v, chances[:, :, k] - others, levels=[0], colors="white", linewidths=1.4)


def _dots(axes: Axes, x: Array, colours: Array) -> None:
    """The rows x (N, 2)."""
    along, up = x.T
    axes.scatter(along, up, s=30, c=colours, edgecolors="white", linewidths=0.7, zorder=3)


def mistakes(
    model: Module,
    data: Dataset,
    path: str | os.PathLike[str] | None = None,
    *,
    rows: int = 4,
    columns: int = 6,
) -> Figure:
    """The pictures of ``data`` that ``model`` is most wrong about, the worst first.

    Above each stand its class, what the model says, and how sure it is. If there are fewer wrong
    ones than places, those follow that the model is least sure about.

    Raises:
        ValueError: the rows are no pictures, or have no classes.
        ModuleNotFoundError: matplotlib is missing; the message says how to install it.
    """
    if data.image_shape is None or not data.classes:
        raise ValueError(f"mistakes draws pictures that have classes, got {data!r}")
    chances = _probabilities(model, data.x)
    says, own = chances.argmax(axis=1), chances[np.arange(len(data.y)), data.y]
    # Wrong before right, and the less it thinks of the true class the earlier.
    worst = np.lexsort((own, says == data.y))[: rows * columns]
    figure = _figure(width=1.3 * columns, height=1.6 * rows, layout="none")
    for place, row in enumerate(worst):
        down, right = divmod(place, columns)
        left, below = (right + 0.1) / columns, 1 - (down + 0.95) / rows
        axes = figure.add_axes((left, below, 0.8 / columns, 0.65 / rows))
        axes.imshow(data.x[row].reshape(data.image_shape), cmap="gray_r")
        axes.set_axis_off()
        wrong = says[row] != data.y[row]
        axes.set_title(
            f"{data.classes[data.y[row]]}, said {data.classes[says[row]]}\n"
            f"{chances[row, says[row]]:.0%} sure",
            color=VALIDATION if wrong else INK,
            fontsize=7,
        )
    return _written(figure, path)


def _colours(labels: Array) -> Array:
    """The red, green and blue of each label: (N, 3) from 0 to 1."""
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in CLASSES]) / 255
    colours: Array = table[labels % len(table)]
    return colours


def _plain(axes: Axes) -> None:
    """Axes that step back behind what is drawn on them."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _figure(width: float, height: float, layout: str = "constrained") -> Figure:
    figure: Figure = _part("figure").Figure(
        figsize=(width, height), dpi=160, facecolor="white", layout=layout
    )
    return figure


def _part(name: str) -> Any:
    """A part of matplotlib."""
    try:
        return importlib.import_module(f"matplotlib.{name}")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'pictures need matplotlib; pip install "tinygrad-mlp[plot]" installs it'
        ) from None


def _written(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    if path is not None:
        formats = figure.canvas.get_supported_filetypes()
        check_choice(
            "kind of picture", os.path.splitext(path)[1].removeprefix(".").lower(), formats
        )
        with atomic_write(path) as temporary:
            figure.savefig(temporary)
    return figure
