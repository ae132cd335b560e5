import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp.data import DATASETS, load, spiral


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


def test_a_spiral_says_what_it_is() -> None:
    dataset = spiral()
    assert repr(dataset) == "Dataset('spiral', rows=300, features=2, classes=3)"
    assert (dataset.x.dtype, dataset.y.dtype) == (np.float32, np.int64)
    assert np.bincount(dataset.y).tolist() == [100, 100, 100]
    assert dataset.classes == ("arm 0", "arm 1", "arm 2")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"arms": 0}, ValueError, "arms must be at least 1, got 0; write arms=3"),
        ({"points": 2.5}, TypeError, r"points must be an integer, got 2\.5; write points=100"),
        ({"noise": -1.0}, ValueError, r"noise must not be negative, got -1\.0; write noise=0\.2"),
        ({"noise": float("nan")}, ValueError, "noise must not be negative, got nan"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1; write seed=0"),
        ({"seed": 0.5}, TypeError, r"seed must be an integer, got 0\.5; write seed=0"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        spiral(**wrong)


def test_each_dataset_loads_by_its_name() -> None:
    assert list(DATASETS) == ["digits", "spiral"]
    for name in DATASETS:
        dataset = load(name)
        assert dataset.name == name
        assert dataset.source
        assert set(np.unique(dataset.y)) == set(range(len(dataset.classes)))


def test_load_passes_options_on() -> None:
    assert load("spiral", arms=2, points=7).x.shape == (14, 2)


def test_an_unknown_dataset_is_told_what_there_is() -> None:
    with pytest.raises(
        ValueError, match=r"no dataset is called 'spirals', .*: digits, spiral; .*'spiral'\?"
    ):
        load("spirals")
