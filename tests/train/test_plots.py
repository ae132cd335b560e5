from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import Dataset, spiral
from tinygrad_mlp.train.fit import fit
from tinygrad_mlp.train.history import History
from tinygrad_mlp.train.plots import (
    CLASSES,
    INK,
    TRAINING,
    VALIDATION,
    boundary,
    curves,
    mistakes,
    surface,
)

ROWS = [
    {
        "epoch": e,
        "loss": 2.0 / e,
        "accuracy": 1 - 0.5 / e,
        "val_loss": 3.0 / e,
        "val_accuracy": 1 - 0.9 / e,
        "lr": 0.1,
        "seconds": 1.0,
        "samples_per_second": 10.0,
    }
    for e in range(1, 11)
]


def pixels(path: Path) -> np.ndarray:
    """The picture at ``path``: (height, width, 3) from 0 to 1."""
    return imread(path)[:, :, :3]


def share(picture: np.ndarray, colour: str) -> float:
    """The fraction of pixels that have ``colour``."""
    return float((np.abs(picture - to_rgb(colour)).max(axis=2) < 0.02).mean())


def test_curves_show_training_and_validation(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    figure = History(ROWS).plot(path)
    picture = pixels(path)
    height, width, _ = picture.shape
    assert height > 400
    assert width > 1200
    for half in (picture[:, : width // 2], picture[:, width // 2 :]):
        assert share(half, TRAINING) > 0.001
        assert share(half, VALIDATION) > 0.001
        assert share(half, "#ffffff") > 0.8
    loss, accuracy = figure.axes
    assert [axes.get_title(loc="left") for axes in (loss, accuracy)] == ["loss", "accuracy"]
    assert loss.get_yscale() == "log"
    assert accuracy.get_yscale() == "linear"
    assert loss.lines[0].get_ydata().tolist() == [row["loss"] for row in ROWS]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [
        "training 0.2000",
        "validation 0.3000",
    ]


def test_curves_of_one_epoch_without_validation(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    curves(History([{"epoch": 1, "loss": 0.0, "lr": 0.1}]), path)
    picture = pixels(path)
    assert share(picture, TRAINING) > 0.0005, "the point is there"
    assert share(picture, VALIDATION) == 0


def test_an_empty_history_has_no_curves() -> None:
    with pytest.raises(ValueError, match="history has no epochs to plot; train first"):
        History().plot()


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_suffix_sets_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curves.{suffix}"
    curves(History(ROWS), path)
    assert path.read_bytes()[:5] in (b"<?xml", b"%PDF-")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def quadrants() -> nn.Module:
    """Says 0, 1, 2 to the right, above, and to the lower left: three straight lines."""
    model = nn.Linear(2, 3)
    model.load_state_dict(
        {
            "weight": tg.tensor([[9.0, 0.0], [0.0, 9.0], [-9.0, -9.0]]),
            "bias": tg.tensor([0.0, 0.0, 0.0]),
        }
    )
    return model


def test_the_background_shows_the_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "boundary.png"
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.9, -0.9]], np.float32)
    boundary(quadrants(), (x, np.array([0, 1, 2, 2])), path)
    picture = pixels(path)
    height, width, _ = picture.shape
    assert height == width
    assert height >= 900

    def at(u: float, v: float) -> np.ndarray:
        reach = 1.08  # of the view about the centre of the points, which is (0, 0)
        return picture[int((1 - v / reach) / 2 * height), int((1 + u / reach) / 2 * width)]

    for (u, v), label in zip([(0.7, -0.2), (-0.2, 0.7), (-0.6, -0.4)], (0, 1, 2), strict=True):
        pale = 1 - 0.5 * (1 - np.array(to_rgb(CLASSES[label])))
        np.testing.assert_allclose(at(u, v), pale, atol=0.03)
    chances = np.exp([9 * 0.5, 9 * 0.4]) / np.exp([9 * 0.5, 9 * 0.4]).sum()
    away = chances @ (1 - np.array([to_rgb(colour) for colour in CLASSES[:2]]))
    np.testing.assert_allclose(at(0.5, 0.4), 1 - 0.5 * chances.max() * away, atol=0.03)
    for (u, v), label in zip(x, (0, 1, 2, 2), strict=True):
        np.testing.assert_allclose(at(u, v), to_rgb(CLASSES[label]), atol=0.03)
    assert at(0.5, 0.5).min() > 0.97, "the line between 0 and 1 is white"


def slope(bias: float = 0.0) -> nn.Module:
    """Gives u + 2 v."""
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": tg.tensor([[1.0, 2.0]]), "bias": tg.tensor([bias])})
    return model


def test_the_surface_is_the_value_that_the_model_gives(tmp_path: Path) -> None:
    path = tmp_path / "surface.png"
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.5, -1.0]], np.float32)
    y = x @ [1.0, 2.0]
    y[3] = 3.0  # and not -1.5
    figure = surface(slope(), (x, y), path, points=100)
    assert pixels(path).shape[:2] == (960, 960)
    (axes,) = figure.axes
    (ground,) = axes.images
    values = ground.get_array()
    u = np.linspace(-1.08, 1.08, 100)
    np.testing.assert_allclose(values, u[None, :] + 2 * u[:, None], atol=1e-6)
    dots = axes.collections[-1]
    np.testing.assert_array_equal(dots.get_offsets(), x)
    wanted = ground.cmap(ground.norm(y))
    np.testing.assert_allclose(dots.get_facecolors(), wanted, atol=1e-6)
    own = ground.cmap(ground.norm(x @ [1.0, 2.0]))
    assert np.abs(own - wanted).max(axis=1).round(3).tolist()[:3] == [0, 0, 0]
    assert np.abs(own - wanted)[3].max() > 0.5, "a row that is wrong stands out"
    column = surface(slope(), (x, y[:, None]), points=10)
    assert column.axes[0].get_xlim() == pytest.approx((-1.08, 1.08))


def test_a_plain_has_no_lines(tmp_path: Path) -> None:
    model = slope(7.0)
    nn.init.constant_(model.weight, 0.0)
    figure = surface(model, (np.eye(2), np.array([7.0, 7.0])), tmp_path / "surface.png", points=10)
    assert len(figure.axes[0].collections) == 1, "the rows"


def test_input_that_is_not_a_surface_is_refused() -> None:
    for x, y in [
        (np.eye(3), np.zeros(3)),
        (np.eye(2), np.array([0, 1])),
        (np.eye(2), np.zeros((2, 2))),
    ]:
        with pytest.raises(ValueError, match="surface draws rows of two features with one value"):
            surface(slope(), (x, y))


def test_a_picture_of_no_kind_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for name in ("curves", "curves.docx"):
        with pytest.raises(ValueError, match=r"no image format is called '(docx)?'; the names"):
            curves(History(ROWS), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_wrong_is_ringed() -> None:
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.9, -0.9]], np.float32)
    figure = boundary(quadrants(), (x, np.array([0, 1, 2, 2])))
    dots, rings = figure.axes[0].collections[-2:]
    np.testing.assert_array_equal(dots.get_offsets(), x)
    np.testing.assert_array_equal(rings.get_offsets(), x[3:])


def test_the_picture_of_a_trained_spiral_shows_its_arms(tmp_path: Path) -> None:
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 3))
    data, path = spiral(), tmp_path / "boundary.png"
    optimizer = optim.AdamW(model.parameters(), lr=0.03)
    fit(model, optimizer, data, epochs=60, batch_size=50, progress=False)
    boundary(model, data, path)
    picture = pixels(path)
    for colour in CLASSES[:3]:
        assert share(picture, colour) > 0.005, "the points of each arm are there"
    pale = [1 - 0.5 * (1 - np.array(to_rgb(colour))) for colour in CLASSES[:3]]
    ground = np.stack([np.abs(picture - p).max(axis=2) < 0.06 for p in pale])
    assert (ground.mean(axis=(1, 2)) > 0.15).all(), "so is the ground of each"
    # From the middle of the right edge to that of the left, one crosses every arm: no three
    # straight cuts from the centre can do that.
    row = ground[:, picture.shape[0] // 2, :]
    met = [int(k) for k in row.argmax(axis=0)[row.any(axis=0)]]
    changes = [a for a, b in pairwise(met) if a != b]
    assert len(changes) >= 3


def test_mistakes_are_drawn_from_the_worst_on_in_a_grid() -> None:
    """Rows by the probability of their class: those of a wrong class first."""
    logits = np.log([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
    labels = np.array([0, 0, 0, 1, 0])
    model = nn.Linear(2, 2, bias=False)
    with tg.no_grad():
        model.weight.copy_(tg.tensor(np.eye(2)))
    data = Dataset("pairs", logits.astype("float32"), labels, ("a", "b"), image_shape=(1, 2))
    figure = mistakes(model, data, rows=2, columns=2)
    assert [axes.get_title() for axes in figure.axes] == [
        "a, predicted b\nwith 95%",
        "a, predicted b\nwith 80%",
        "a, predicted b\nwith 60%",
        "b, predicted b\nwith 70%",
    ]
    colours = [axes.title.get_color() for axes in figure.axes]
    assert colours == [VALIDATION, VALIDATION, VALIDATION, INK]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), data.x[4:5])
    boxes = [axes.get_position(original=True) for axes in figure.axes]
    for one, two in combinations(boxes, 2):
        assert not one.overlaps(two)
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
    assert boxes[0].y0 == boxes[1].y0 > boxes[2].y1


def test_drawing_does_not_change_the_model() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    data = spiral(arms=2, points=10)
    boundary(model, data, points=20)
    assert all((before[name] == v.numpy()).all() for name, v in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_rows_that_are_no_plane_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two features with integer labels, got x.*\(5, 3\)"):
        boundary(nn.Linear(3, 2), (np.zeros((5, 3)), np.zeros(5, int)))
    with pytest.raises(ValueError, match=r"got x of shape .* y of dtype float32"):
        boundary(nn.Linear(2, 1), (np.zeros((5, 2)), np.zeros((5, 1))))
