"""Heads that say how far off each value may be: from training to the bundle's standard deviations."""

from pathlib import Path

import mixed
import numpy as np
import pytest
import small
import torch

from screening.bundle.bundle import Bundle
from screening.errors import ConfigError

HEADS = {"heteroscedastic": True}


def model(folder: Path, **more: object) -> dict[str, object]:
    return {**mixed.settings(folder)["model"], "heads": HEADS, **more}


def test_deviations_of_real_assays_are_in_the_bundle(tmp_path: Path) -> None:
    run = mixed.trained(tmp_path, model=model(tmp_path))
    bundle, rows = Bundle.load(run.folder), torch.arange(20)
    store = small.store(graph="atom_codes", vectors=("ecfp_counts",))
    sd = bundle.predict(store, rows).sd
    assert sd is not None
    is_real = mixed.table().is_real
    assert np.isnan(sd[:, ~is_real]).all()
    assert (sd[:, is_real] > 0).all()
    assert (np.ptp(sd[:, is_real], axis=0) > 0).all(), "a spread is the same for every molecule"


def test_without_they_are_not_said(tmp_path: Path) -> None:
    run = mixed.trained(tmp_path)
    store = small.store(graph="atom_codes", vectors=("ecfp_counts",))
    assert Bundle.load(run.folder).predict(store, torch.arange(3)).sd is None


def test_networks_of_one_assay_each_have_them_where_it_is_real(tmp_path: Path) -> None:
    run = mixed.trained(tmp_path, model=model(tmp_path, single_task=True))
    assert np.isfinite(run.evaluation["concordance"]).all()


def test_a_loss_without_noise_is_refused_before_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'squared' has no noise.*censored_gaussian or gaussian"):
        mixed.trained(tmp_path, model=model(tmp_path), real_loss="squared")
