"""What a run says after training of how far to trust real values: intervals, coverage, good molecules."""

from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import torch

from screening.bundle.bundle import Bundle
from screening.features.store import featurize
from screening.training.predictions import read_predictions
from screening.training.run_folder import read_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plain = mixed.settings(Path())["train"]
    train = {**plain, "epochs": 15, "ensemble": 2}
    return mixed.trained(tmp_path_factory.mktemp("trust"), train=train).folder


def test_coverage_is_that_of_the_kept_predictions(run: Path) -> None:
    table, kept = read_table(run, "intervals.csv"), read_predictions(run, part="test")
    assert table["assay"].unique().tolist() == ["logP", "Ki"]
    bundle = Bundle.load(run)
    assert bundle.intervals is not None
    store = featurize(kept.smiles, bundle.features, workers=0)
    sd = bundle.predict(store, torch.arange(len(store))).sd
    low, high = bundle.intervals.limits(kept.scores, 0.1, sd)
    row = table[(table["error"] == 0.1) & (table["assay"] == "Ki")].iloc[0]
    assert kept.censored is not None
    exact = np.isfinite(kept.labels[:, 3]) & (kept.censored[:, 3] == 0)
    inside = (kept.labels[:, 3] >= low[:, 3]) & (kept.labels[:, 3] <= high[:, 3])
    assert row["covered"] == pytest.approx(inside[exact].mean())
    assert row["measured"] == exact.sum()
    assert row["censored"] == (np.isfinite(kept.labels[:, 3]) & ~exact).sum()


def test_a_note_says_how_often_intervals_hold(run: Path) -> None:
    notes = (run / "manifest.json").read_text()
    table = read_table(run, "intervals.csv")
    shown = table[table["error"] == 0.1]
    held = (shown["covered"] * shown["measured"]).sum() / shown["measured"].sum()
    assert f"intervals at error 0.1 hold {held:.1%} of {shown['measured'].sum():,} values" in notes


def test_the_domain_knows_good_molecules_of_real_assays(run: Path) -> None:
    domain, table = Bundle.load(run).domain, mixed.table()
    assert domain is not None
    log_p = domain.values_of(1)
    assert np.isfinite(log_p).sum() >= 10
    split = pd.read_csv(run / "split.csv")
    train = split.loc[split["part"] == "train", "row"].to_numpy() - 1
    measured = table.labels[train, 1][np.isfinite(table.labels[train, 1])]
    assert np.nanmax(log_p) <= np.quantile(measured, 0.3)  # low is wanted


def test_runs_of_binary_assays_have_no_intervals(tmp_path: Path) -> None:
    run = mixed.trained(tmp_path, mixed.table().select(["halogen", "acid"])).folder
    assert not (run / "intervals.csv").exists()
    assert Bundle.load(run).intervals is None
    assert not (run / "bundle/intervals.safetensors").exists()
