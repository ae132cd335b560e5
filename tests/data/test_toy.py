import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp._common.random import generator
from tinygrad_mlp.data import DATASETS, circles, load, moons, spiral, xor


@given(arms=st.integers(1, 6), points=st.integers(1, 40), seed=st.integers(0, 2**70))
def test_a_spiral_without_noise_is_its_formula(arms: int, points: int, seed: int) -> None:
    dataset = spiral(arms, points, noise=0.0, seed=seed)
    assert dataset.x.shape == (arms * points, 2)
    for (u, v), k, i in zip(dataset.x, dataset.y, np.arange(arms * points) % points, strict=True):
        r = (i + 1) / points
        angle = 4 * r + 2 * np.pi * k / arms
        assert (u, v) == pytest.approx((r * np.sin(angle), r * np.cos(angle)), abs=1e-6)


def test_noise_turns_points_about_the_centre_by_its_standard_deviation() -> None:
    still, noisy = spiral(3, 2000, noise=0.0), spiral(3, 2000, noise=0.2)
    radius = np.linalg.norm(still.x, axis=1)
    np.testing.assert_allclose(np.linalg.norm(noisy.x, axis=1), radius, atol=1e-6)
    turned = (noisy.x * still.x).sum(axis=1) / radius**2  # the cosine of each turn
    assert np.sqrt(np.mean(np.arccos(turned.clip(-1, 1)) ** 2)) == pytest.approx(0.2, rel=0.03)


def test_a_seed_decides_the_noise() -> None:
    assert (spiral(seed=1).x == spiral(seed=1).x).all()
    assert not (spiral(seed=1).x == spiral(seed=2).x).any()


def test_shapes_classes_and_repr_of_a_spiral() -> None:
    dataset = spiral()
    assert repr(dataset) == "Dataset('spiral', rows=300, features=2, classes=3)"
    assert (dataset.x.dtype, dataset.y.dtype) == (np.float32, np.int64)
    assert np.bincount(dataset.y).tolist() == [100, 100, 100]
    assert dataset.classes == ("arm 0", "arm 1", "arm 2")


@given(points=st.integers(2, 40))
def test_moons_without_noise_are_half_circles_that_interleave(points: int) -> None:
    x, y = moons(points, noise=0.0)
    upper, lower = x[y == 0], x[y == 1]
    np.testing.assert_allclose(np.linalg.norm(upper, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(lower - [1, 0.5], axis=1), 1, rtol=1e-6)
    assert upper[:, 1].min() > -1e-6, "above its centre"
    assert lower[:, 1].max() < 0.5 + 1e-6, "below its centre"
    np.testing.assert_allclose(upper[[0, -1]], [[1, 0], [-1, 0]], atol=1e-6)
    np.testing.assert_allclose(lower[[0, -1]], [[0, 0.5], [2, 0.5]], atol=1e-6)


@given(points=st.integers(1, 40), factor=st.floats(0, 0.99))
def test_circles_without_noise_are_circles(points: int, factor: float) -> None:
    x, y = circles(points, noise=0.0, factor=factor)
    radius = np.linalg.norm(x.astype(np.float64), axis=1)
    np.testing.assert_allclose(radius[y == 0], 1, rtol=1e-6)
    np.testing.assert_allclose(radius[y == 1], factor, atol=1e-6)
    if points > 2:
        np.testing.assert_allclose(x[y == 0].sum(axis=0), 0, atol=1e-5)


def test_the_class_of_an_xor_is_whether_the_signs_differ() -> None:
    x, y = xor(points=20, noise=0.0)
    assert (y == (x[:, 0] * x[:, 1] < 0)).all()
    assert sorted({tuple(point) for point in x.tolist()}) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    assert np.bincount(y).tolist() == [40, 40]


@pytest.mark.parametrize("dataset", [moons, circles, xor])
def test_noise_is_added_to_each_coordinate_by_its_standard_deviation(dataset) -> None:
    still, noisy, again, other = (
        dataset(3000, noise=noise, seed=seed)
        for noise, seed in [(0, 0), (0.3, 0), (0.3, 0), (0.3, 1)]
    )
    assert (noisy.x == again.x).all()
    assert (noisy.y == still.y).all()
    assert not (noisy.x == other.x).any()
    drawn = 0.3 * generator(0, still.name).standard_normal(still.x.shape)
    np.testing.assert_allclose(noisy.x - still.x, drawn, atol=1e-6)
    np.testing.assert_allclose((noisy.x - still.x).std(axis=0), 0.3, rtol=0.05)
    np.testing.assert_allclose((noisy.x - still.x).mean(axis=0), 0, atol=0.02)


@pytest.mark.parametrize(
    ("dataset", "wrong", "message"),
    [
        (moons, {"points": 0}, "points must be at least 1, got 0; write points=100"),
        (moons, {"noise": -1}, "noise must be 0 or more, got -1; write noise=0.1"),
        (circles, {"noise": float("nan")}, "noise must be 0 or more, got nan"),
        (moons, {"noise": "much"}, "noise must be 0 or more, got 'much'; write noise=0.1"),
        (circles, {"factor": None}, "factor must be from 0 to below 1, got None"),
        (circles, {"factor": 1.0}, "factor must be from 0 to below 1, got 1.0; write factor=0.5"),
        (xor, {"points": 0}, "points must be at least 1"),
        (xor, {"noise": -0.1}, "noise must be 0 or more, got -0.1; write noise=0.2"),
        (xor, {"seed": -1}, "seed must be at least 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(dataset, wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset(**wrong)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"arms": 0}, ValueError, "arms must be at least 1, got 0; write arms=3"),
        ({"points": 2.5}, TypeError, r"points must be an integer, got 2\.5; write points=100"),
        ({"noise": -1.0}, ValueError, r"noise must be 0 or more, got -1\.0; write noise=0\.2"),
        ({"noise": float("nan")}, ValueError, "noise must be 0 or more, got nan"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1; write seed=0"),
        ({"seed": 0.5}, TypeError, r"seed must be an integer, got 0\.5; write seed=0"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        spiral(**wrong)


LARGE = ["mnist", "fashion_mnist"]  # have tests of their own, which need files
SMALL = [name for name in DATASETS if name not in LARGE]


def test_these_are_the_datasets() -> None:
    assert list(DATASETS) == ["digits", "spiral", "moons", "circles", "xor", *LARGE]


@pytest.mark.parametrize("name", SMALL)
def test_each_dataset_loads_by_its_name(name: str) -> None:
    dataset = load(name)
    assert dataset.name == name
    assert dataset.source
    assert (dataset.x.dtype, dataset.y.dtype) == (np.float32, np.int64)
    assert set(np.unique(dataset.y)) == set(range(len(dataset.classes)))


def test_load_passes_options_on() -> None:
    assert load("spiral", arms=2, points=7).x.shape == (14, 2)


def test_an_unknown_dataset_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"no dataset is called 'spirals'; .*: digits, spiral, .*'spiral'\?"
    ):
        load("spirals")
