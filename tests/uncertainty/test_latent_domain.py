"""Distance in the networks' representation: as scikit-learn has it, about 1 for training molecules."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from bundles import TRAIN, VALID, measured, small_bundle, small_model, trusted
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import trained
from sklearn.covariance import LedoitWolf

from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.errors import BundleError
from screening.models.baselines import baselines
from screening.training import after_training as trust
from screening.training.after_training import describe_trust
from screening.training.run_folder import read_table
from screening.uncertainty.latent_domain import Gaussian, Representation

TEST = torch.arange(110, 150)


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


def test_several_networks_are_the_root_mean_square() -> None:
    bundle, store = measured(), small.store()
    oracles = []
    for network in bundle.networks.values():
        known, others = (network.represent(store, rows).numpy().astype(float) for rows in (TRAIN, TEST))
        oracles.append(LedoitWolf().fit(known).mahalanobis(others) / known.shape[1])
    found = bundle.predict(store, TEST, distance=True).distance
    np.testing.assert_allclose(found, np.sqrt(np.mean(oracles, axis=0)), rtol=2e-3)


def test_distances_come_from_the_pass_that_makes_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, store, passes = measured(), small.store(), []
    for number, network in bundle.networks.items():
        network.encoder.register_forward_hook(lambda *_, number=number: passes.append(number))
    plain, found = (bundle.predict(store, TEST, batch_size=16, distance=way) for way in (False, True))
    assert passes == [0, 0, 0, 1, 1, 1] * 2
    assert plain.distance is None
    np.testing.assert_array_equal(found.scores, plain.scores)
    whole = bundle.predict(store, TEST, distance=True).distance
    np.testing.assert_allclose(found.distance, whole, rtol=1e-4)
    assert bundle.predict(store, TEST[:0], distance=True).distance.shape == (0,)


def test_representations_are_those_of_evaluation() -> None:
    network = small_model(0, 4, {"name": "fingerprint", "widths": [16]})
    expected = network.represent(small.store(), TEST)
    assert torch.equal(network.train().represent(small.store(), TEST), expected)
    assert network.training
    torch.testing.assert_close(network.heads(expected), network.predict(small.store(), TEST))


def test_baselines_have_no_distance() -> None:
    store, labels = small.store(), torch.from_numpy(small.table().labels)
    baseline = baselines.build("logistic_regression").fit(store, labels, TRAIN, workers=1)
    alone = replace(small_bundle(), members=(Member(baseline, (0, 1, 2, 3)),))
    assert alone.networks == {}
    assert alone.predict(store, TEST, distance=True).distance is None
    mixed = replace(small_bundle(), members=(*alone.members, *small_bundle().members))
    assert list(mixed.networks) == [1]
    mixed = replace(mixed, representation=Representation.fit(mixed.networks, store, TRAIN, VALID))
    assert (mixed.predict(store, TEST, distance=True).distance > 0).all()


def test_a_loaded_bundle_measures_the_same(tmp_path: Path) -> None:
    bundle, store = measured(), small.store()
    bundle.save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    assert loaded.representation.threshold == bundle.representation.threshold
    np.testing.assert_array_equal(
        loaded.predict(store, TEST, distance=True).distance,
        bundle.predict(store, TEST, distance=True).distance,
    )


def test_a_bundle_without_it_still_loads(tmp_path: Path) -> None:
    trusted().save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    assert loaded.representation is None
    assert loaded.predict(small.store(), TEST, distance=True).distance is None


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


def test_the_representation_of_other_networks_is_refused(tmp_path: Path) -> None:
    bundle, networks = trusted(), measured().networks
    wider = small_model(0, 4, {"name": "gine", "depth": 1, "width": 8})
    for others in ({0: networks[0]}, {0: networks[0], 2: networks[1]}, {0: wider, 1: wider}):
        made = Representation.fit(others, small.store(), TRAIN, VALID)
        replace(bundle, representation=made).save(tmp_path / "bundle")
        with pytest.raises(BundleError, match="the bundle has the networks"):
            Bundle.load(tmp_path / "bundle")


@pytest.mark.parametrize(("most", "said"), [(20, "distance in the representation of"), (3, "here are 4")])
def test_a_network_per_assay_has_it_while_they_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trust, "MOST_NETWORKS", most)
    run = trained(tmp_path, model={"single_task": True, "encoder": {"name": "gine", "width": 8, "depth": 1}})
    bundle = Bundle.load(run.folder)
    assert len(bundle.networks) == 4
    assert (bundle.representation is not None) == (most == 20)
    assert any(said in line for line in describe_trust(bundle, read_table(run.folder, "calibration.csv")))


def test_large_parts_are_sampled_the_same_way_every_time() -> None:
    rows = np.arange(1000)
    assert trust._some(rows, 1000) is rows
    some = trust._some(rows, 100)
    assert len(set(some)) == 100
    np.testing.assert_array_equal(some, trust._some(rows, 100))
