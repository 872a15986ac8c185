"""The runs that other tests take as real ones: they have what a user's run has."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
from rdkit import Chem

from screening.bundle.bundle import OPTIONAL, Bundle
from screening.scoring.scorer import Scorer
from screening.training.run_folder import read_table


def test_a_trained_bundle_has_every_part(any_run: Path) -> None:
    bundle = Bundle.load(any_run)
    parts = {name for name in OPTIONAL if getattr(bundle, name) is not None}
    assert parts == set(OPTIONAL) - {
        "targets",
        "intervals",
        "blend",
    }  # of real assays, of fitted weights
    assert bundle.domain.structures is not None
    served = np.bincount([column for member in bundle.members for column in member.columns])
    assert served.tolist() == [2] * len(bundle.tasks)
    assert bundle.featurizer_warning() == ""


def test_calibration_of_a_trained_bundle_changes_its_scores(any_run: Path) -> None:
    table = read_table(any_run, "calibration.csv")
    assert not np.allclose(table["brier_before"], table["brier_after"], atol=1e-3)
    scorer = Scorer.load(any_run)
    found = scorer.score(list(small.smiles(40)))[list(scorer.tasks)].to_numpy()
    assert found.max() - found.min() > 0.1


def test_groups_make_networks_of_some_assays_and_curves_of_some(grouped_run: Path) -> None:
    bundle = Bundle.load(grouped_run)
    assert len(bundle.members) == 4
    assert all(len(member.columns) < len(bundle.tasks) for member in bundle.members)
    n_knots = np.diff(bundle.calibration.bounds)
    assert (n_knots > 0).any()
    assert (n_knots == 0).any()


def test_one_assay_is_skewed(real_run: Path) -> None:
    counts = read_table(real_run, "labels.csv").groupby("assay")[["measured", "actives"]].sum()
    assert counts.loc[small.SKEWED, "actives"] / counts.loc[small.SKEWED, "measured"] < 0.1


@pytest.mark.parametrize("option", [{"spread": True}, {"domain": True}, {"conformal": 0.1}])
def test_a_trained_run_scores_with_every_column(any_run: Path, option: dict) -> None:
    scorer = Scorer.load(any_run, **option)
    texts = [*small.smiles(20), "C1CC", "", "OCC"]
    frame = scorer.score(texts)
    assert frame["status"].tolist() == ["ok"] * 20 + ["rejected"] * 2 + ["ok"]
    assert frame.loc[frame["status"] == "ok"].notna().all(axis=None)
    assert set(frame.columns) > {"smiles", "status", "reason", *scorer.tasks}


def test_scores_do_not_depend_on_how_a_structure_is_written(real_run: Path) -> None:
    scorer = Scorer.load(real_run)
    mols = [Chem.MolFromSmiles(text) for text in small.smiles(30)]
    other = [Chem.MolToSmiles(mol, doRandom=True) for mol in mols]
    ours, theirs = (scorer.score(list(texts))[list(scorer.tasks)] for texts in (small.smiles(30), other))
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-4)
