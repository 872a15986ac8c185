"""What members say together: means by weight, spread, and standard deviations that they give themselves."""

from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pytest
import small
import torch
from bundles import both_kinds
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.bundle.prediction import Votes
from screening.config_sections import Heads
from screening.errors import BundleError
from screening.models.network import ScreeningModel
from screening.models.targets import Targets
from screening.scoring.scorer import Scorer
from screening.uncertainty.intervals import Intervals
from screening.uncertainty.latent_domain import Representation

REAL = np.array([True, False, True])
TARGETS = Targets(REAL, np.array([5.0, 0, -1]), np.array([2.0, 1, 0.5]))


def outputs(seed: int, n_tasks: int) -> Tensor:
    return torch.randn(7, n_tasks, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def test_values_are_means_by_weight_and_sd_has_both_sources() -> None:
    votes = Votes(7, np.array([2, 2, 1]), None, TARGETS)
    one, two, own = outputs(0, 3), outputs(1, 2), outputs(2, 2).abs()
    votes.add([0, 1, 2], 1.0, one, None)
    votes.add([1, 0], 3.0, two, own)
    prediction = votes.prediction()
    first, second = 5 + 2 * one[:, 0].double().numpy(), 5 + 2 * two[:, 1].double().numpy()
    assert_allclose(prediction.scores[:, 0], (first + 3 * second) / 4, rtol=1e-6)
    assert_allclose(prediction.scores[:, 2], -1 + 0.5 * one[:, 2].double(), rtol=1e-5)
    chances = torch.stack([one[:, 1], two[:, 0]]).double().sigmoid().numpy()
    assert_allclose(prediction.scores[:, 1], (chances[0] + 3 * chances[1]) / 4, rtol=1e-6)
    assert prediction.spread is not None
    assert prediction.sd is not None
    variance = np.var([first, second], axis=0, ddof=1)
    assert_allclose(prediction.spread[:, 0], np.sqrt(variance), rtol=1e-5)
    expected = np.sqrt(variance + (2 * own[:, 1].double().numpy()) ** 2)
    assert_allclose(prediction.sd[:, 0], expected, rtol=1e-5)
    assert np.isnan(prediction.sd[:, 1:]).all()  # a class; one member that gives none


def test_one_member_without_deviations_says_nothing_of_its_error() -> None:
    votes = Votes(7, np.ones(3, int), None, TARGETS)
    votes.add([0, 1, 2], 1.0, outputs(0, 3), None)
    assert votes.prediction().sd is None
    assert votes.prediction().spread is None
    alone = Votes(7, np.ones(3, int), None, TARGETS)
    own = outputs(1, 3).abs()
    alone.add([0, 1, 2], 2.0, outputs(0, 3), own)
    sd = alone.prediction().sd
    assert sd is not None
    assert_allclose(sd[:, [0, 2]], own.numpy()[:, [0, 2]] * [2, 0.5], rtol=1e-6)
    assert np.isnan(sd[:, 1]).all()


def test_distances_come_out_of_the_same_pass_and_change_nothing() -> None:
    """A network that says how sure it is of each molecule, looked at with and without the domain."""
    bundle, store, rows = both_kinds(n_networks=1), small.store(), torch.arange(150)
    settings = bundle.settings.model_copy(update={"heads": Heads(heteroscedastic=True)})
    network = ScreeningModel(settings, bundle.inputs, 5).eval()
    torch.nn.init.normal_(network.heads.spread_weight)
    near = Representation.fit({0: network}, store, rows[:80], rows[80:])
    members = (Member(network, (0, 1, 2, 3, 4)),)
    plain = replace(bundle, settings=settings, members=members, representation=near, intervals=None)
    table, one = mixed.table(), plain.predict(store, rows)
    two = plain.predict(store, rows, distance=True)
    assert one.sd is not None
    assert two.sd is not None
    assert_array_equal(one.sd, two.sd)
    assert_array_equal(one.scores, two.scores)
    assert np.isfinite(one.sd[:, [1, 3]]).all()
    assert two.distance is not None
    fitted = Intervals.fit(one.scores, table.labels, table.is_real, sd=one.sd)
    scaled = replace(fitted, floor=np.where(table.is_real, 0.1, np.inf))
    whole = replace(plain, intervals=scaled)
    texts = list(small.smiles(20))
    beside = Scorer(whole, conformal=0.2, domain=True).score(texts)
    alone = Scorer(whole, conformal=0.2).score(texts)
    assert_array_equal(beside["Ki:low"], alone["Ki:low"])


def test_intervals_are_a_part_of_the_bundle(tmp_path: Path) -> None:
    bundle = both_kinds()
    bundle.save(tmp_path)
    again = Bundle.load(tmp_path)
    assert (tmp_path / "intervals.safetensors").is_file()
    assert bundle.intervals is not None
    assert again.intervals is not None
    rows = torch.arange(50)
    one, two = (each.predict(small.store(), rows) for each in (bundle, again))
    assert_array_equal(one.scores, two.scores)
    limits = bundle.intervals.limits(one.scores, 0.1, one.sd)
    assert_array_equal(again.intervals.limits(two.scores, 0.1, two.sd).low, limits.low)
    swapped = replace(bundle.intervals, is_real=~bundle.intervals.is_real)
    replace(bundle, intervals=swapped).save(tmp_path / "other")
    with pytest.raises(BundleError, match="other real assays"):
        Bundle.load(tmp_path / "other")
