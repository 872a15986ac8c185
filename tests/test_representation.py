"""Distance in the networks' representation: as scikit-learn has it, about 1 for training molecules."""

import numpy as np
import pytest
import small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from test_bundle import small_model

from screening.errors import BundleError
from screening.representation import Gaussian, Representation

TRAIN, VALID, TEST = torch.arange(80), torch.arange(80, 110), torch.arange(110, 150)


def cloud(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Correlated numbers [n, d] of unlike scales, away from 0."""
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, d)) @ random.normal(size=(d, d)) + 3).astype(np.float32)


def length(gaussian: Gaussian, features: np.ndarray) -> np.ndarray:
    return gaussian.squares(torch.from_numpy(features)).sqrt().numpy()


def fitted(*seeds: int) -> Representation:
    return Representation.fit(dict(enumerate(small_model(s, 4) for s in seeds)), small.store(), TRAIN, VALID)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 200), d=st.integers(1, 40), seed=st.integers(0, 99))
def test_distances_are_those_of_scikit_learn(n: int, d: int, seed: int) -> None:
    """From 3 molecules on: of 2 the covariance is not shrunk at all, and scikit-learn's has no inverse."""
    known, others = cloud(n, d, seed), cloud(20, d, seed + 1)
    oracle = LedoitWolf().fit(known.astype(float)).mahalanobis(others.astype(float))
    np.testing.assert_allclose(length(Gaussian.fit(known), others), np.sqrt(oracle / d), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("d", [1, 8, 64])
def test_training_molecules_are_at_1_on_average(d: int) -> None:
    known = cloud(5000, d)
    assert np.sqrt((length(Gaussian.fit(known), known) ** 2).mean()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("n", [1, 2, 5, 100])
@pytest.mark.parametrize("kind", ["usual", "same", "one column changes", "half constant"])
def test_distances_exist_whatever_the_training_part(n: int, kind: str) -> None:
    known = cloud(n, 30)
    if kind == "same":
        known[:] = 2
    if kind == "one column changes":
        known[:, 1:] = 2
    if kind == "half constant":
        known[:, 15:] = 0
    gaussian = Gaussian.fit(known)
    distance, far = length(gaussian, known), length(gaussian, known + 100)
    assert np.isfinite(far).all()
    assert far.min() > 10 * distance.max()
    assert distance.max() < 10


def test_columns_that_never_change_in_training_count_where_they_do() -> None:
    known = cloud(100, 20)
    known[:, 7] = 0
    others = known.copy()
    others[:, 7] = 5
    gaussian = Gaussian.fit(known)
    assert (length(gaussian, others) > 1.1 * length(gaussian, known)).all()


def test_the_threshold_leaves_its_share_outside() -> None:
    networks, store = {0: small_model(0, 4)}, small.store()
    for percentile in (5.0, 50.0):
        found = Representation.fit(networks, store, TRAIN, VALID, percentile=percentile)
        squares: list[torch.Tensor] = []
        networks[0].predict(store, VALID, on_features=found.watcher(0, squares))
        outside = ~found.is_inside(found.distance(squares))
        assert outside.mean() == pytest.approx(percentile / 100, abs=0.04)
    alone = Representation.fit(networks, store, TRAIN, VALID[:1])
    assert np.isfinite(alone.threshold)
    with pytest.raises(ValueError, match="needs a network"):
        Representation.fit(networks, store, TRAIN[:0], VALID)
    with pytest.raises(ValueError, match="needs a network"):
        Representation.fit({}, store, TRAIN, VALID)


def test_representations_are_those_of_evaluation() -> None:
    network = small_model(0, 4, {"name": "fingerprint", "widths": [16]})
    expected = network.represent(small.store(), TEST)
    assert torch.equal(network.train().represent(small.store(), TEST), expected)
    assert network.training
    torch.testing.assert_close(network.heads(expected), network.predict(small.store(), TEST))


@pytest.mark.parametrize(
    "change",
    [
        {"members": None},
        {"members": np.array([0.0, 1.0])},
        {"members": np.array([0, 0])},
        {"members": np.zeros(0, np.int64)},
        {"centers": np.zeros((2, 3), np.float32)},
        {"centers": np.zeros(2, np.float32)},
        {"whitenings": np.full((2, 32, 32), np.nan, np.float32)},
        {"whitenings": np.zeros((2, 32, 31), np.float32)},
        {"threshold": np.array([np.nan])},
        {"threshold": np.array([np.inf])},
        {"threshold": np.array([-1.0])},
        {"threshold": np.zeros(0)},
    ],
)
def test_other_states_are_refused(change: dict[str, np.ndarray | None]) -> None:
    state = {**fitted(1, 2).state(), **change}
    with pytest.raises(BundleError, match="representation"):
        Representation.restore({name: value for name, value in state.items() if value is not None})
