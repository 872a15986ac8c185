"""Targets of pre-training on one scale, against NumPy; the loss over some of them, against a plain loop."""

import numpy as np
import pytest
import small
import torch

from screening.features.store import FeatureSet, featurize
from screening.pretraining.targets import TEACHER, TargetScales, TargetSet, masked, mean_square, sets_of

SETS = ["rdkit_fast", "ecfp_counts"]


@pytest.fixture(scope="module")
def values() -> torch.Tensor:
    store = featurize(list(small.smiles(120)), FeatureSet(None, tuple(SETS)), workers=0)
    return store.batch(range(120)).vectors


def test_reals_have_a_deviation_each_and_counts_one_for_the_set(values: torch.Tensor) -> None:
    values = values.clone()
    values[3, 5] = torch.nan
    scales = TargetScales(sets_of(SETS), values, clip=6.0)
    numbers, (real, counts) = scales.of(values).double().numpy(), scales.places
    raw = values.double().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (raw[:, real] - np.nanmean(raw[:, real], 0)) / np.nanstd(raw[:, real], 0)
    varies = np.nanstd(raw[:, real], 0) > 1e-6 * np.maximum(1, abs(np.nanmean(raw[:, real], 0)))
    off = np.clip(expected[:, varies], -6, 6) - numbers[:, real][:, varies]
    assert np.nanmax(abs(off)) < 1e-3
    assert np.isnan(numbers[3, 5])
    assert np.isnan(numbers[:, real][:, ~varies]).all()
    logged = np.log1p(raw[:, counts])
    scale = np.sqrt(logged.var(0).mean())
    hit = logged.std(0) > 0
    expected = np.clip((logged - logged.mean(0)) / scale, -6, 6)
    np.testing.assert_allclose(numbers[:, counts][:, hit], expected[:, hit], atol=1e-4)
    assert np.isnan(numbers[:, counts][:, ~hit]).all()


def test_a_set_has_the_mean_square_one_before_it_is_clipped(values: torch.Tensor) -> None:
    scales = TargetScales(sets_of(SETS), values, clip=1e9)
    numbers = scales.of(values).double()
    assert float(numbers[:, scales.places[0]].square().nanmean()) == pytest.approx(1, abs=1e-3)
    n_columns = scales.places[1].stop - scales.places[1].start
    total = float(numbers[:, scales.places[1]].square().nansum()) / len(values) / n_columns
    assert total == pytest.approx(1, abs=1e-3)
    assert float(TargetScales(sets_of(SETS), values, clip=2.0).of(values).nan_to_num().abs().max()) == 2


def test_a_share_of_the_defined_targets_counts_and_all_of_a_teacher() -> None:
    torch.manual_seed(0)
    targets = torch.randn(400, 300)
    targets[:, 7] = torch.nan
    counts = masked(targets, 0.15)
    assert not counts[:, 7].any()
    n = 400 * 299
    assert abs(int(counts.sum()) - 0.15 * n) < 4 * (n * 0.15 * 0.85) ** 0.5
    assert not torch.equal(counts, masked(targets, 0.15))
    teacher, computed = TargetSet(TEACHER, "real", ("a",)), TargetSet("rdkit_fast", "real", ("a",))
    assert (teacher.share(0.15), computed.share(0.15)) == (1.0, 0.15)
    assert masked(targets, 1.0).sum() == n


def test_the_loss_and_its_gradient_are_those_of_a_plain_loop() -> None:
    torch.manual_seed(1)
    outputs, targets = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4)
    targets[2, 1] = torch.nan
    counts = masked(targets, 0.5)
    mean_square(outputs, targets, counts).backward()
    cells = counts.nonzero().tolist()
    plain = sum((float(outputs[i, j].detach()) - float(targets[i, j])) ** 2 for i, j in cells) / len(cells)
    assert float(mean_square(outputs, targets, counts).detach()) == pytest.approx(plain, rel=1e-5)
    expected = torch.zeros(5, 4)
    for i, j in cells:
        expected[i, j] = 2 * (outputs[i, j].detach() - targets[i, j]) / len(cells)
    torch.testing.assert_close(outputs.grad, expected)
    assert float(mean_square(outputs.detach(), targets, torch.zeros(5, 4, dtype=torch.bool))) == 0
