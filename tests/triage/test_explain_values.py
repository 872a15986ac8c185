"""Contributions of real assays add up to the value on the scale of training; the page says what is good."""

from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import pytest
import small
import torch
from bundles import both_kinds
from numpy.testing import assert_allclose

from screening.bundle.member import Member
from screening.features.store import featurize
from screening.models.baselines import baselines
from screening.triage.explanation import explain, explain_molecules
from screening.triage.hits_page import significant

TEXTS = list(small.smiles(12))


@pytest.mark.parametrize(("assay", "task"), [("Ki", 3), ("logP", 1)])
def test_contributions_add_up_to_the_value(assay: str, task: int) -> None:
    bundle = both_kinds()
    told = explain_molecules(bundle, TEXTS, assay=assay)
    molecules = told.molecules
    store = featurize(TEXTS, bundle.features, workers=0)
    scores = bundle.predict(store, torch.arange(12)).scores[:, task]
    assert_allclose(molecules["trained"], scores, rtol=1e-4)
    assert_allclose(molecules["value"], mixed.ASSAYS[task].in_unit(scores.astype(float)), rtol=1e-5)
    total = molecules["atoms"] + molecules["elsewhere"] + molecules["error"]
    assert_allclose(molecules["trained"] - molecules["baseline"], total, atol=1e-6)
    assert bundle.targets is not None
    assert (molecules["error"].abs() < 0.02 * bundle.targets.deviation[task]).all()
    assert_allclose(told.atoms.groupby("molecule")["contribution"].sum(), molecules["atoms"], atol=1e-6)
    assert "logit" not in molecules
    assert "miss the value difference" in "\n".join(told.lines())


def test_occlusion_is_on_the_scale_of_training_too() -> None:
    bundle = both_kinds(n_networks=1)
    assert bundle.targets is not None
    told = explain_molecules(bundle, TEXTS[:3], assay="Ki", method="occlusion")
    as_classes = replace(bundle, targets=None, kinds=(), intervals=None, calibration=None)
    in_deviations = explain_molecules(as_classes, TEXTS[:3], assay="Ki", method="occlusion")
    expected = in_deviations.atoms["contribution"] * bundle.targets.deviation[3]
    assert_allclose(told.atoms["contribution"], expected, rtol=1e-6)


def test_the_page_says_unit_and_good_end(tmp_path: Path) -> None:
    both_kinds().save(tmp_path / "bundle")
    lines = "\n".join(f"{text} M{row}" for row, text in enumerate(TEXTS))
    (tmp_path / "molecules.smi").write_text(lines + "\n")
    told = explain(tmp_path, tmp_path / "molecules.smi", tmp_path / "Ki", assay="Ki")
    page = " ".join((tmp_path / "Ki/index.html").read_text().split())
    assert "High values of -log10 M are good, that is low nM: what raises the value helps." in page
    assert "logit" not in page
    assert "probability" not in page
    best = told.molecules.sort_values("value").iloc[0]
    assert f"{significant(best['value'])} nM" in page
    assert page.index(f'id="molecule-{best["molecule"]:04d}"') == page.index('id="molecule-')
    explain(tmp_path, tmp_path / "molecules.smi", tmp_path / "logP", assay="logP")
    page = " ".join((tmp_path / "logP/index.html").read_text().split())
    assert "Low values are good: what lowers the value helps." in page
    explain(tmp_path, tmp_path / "molecules.smi", tmp_path / "acid", assay="acid")
    page = " ".join((tmp_path / "acid/index.html").read_text().split())
    assert "Contributions add up to the logit (the score before it becomes a probability) minus" in page
    assert "are good" not in page


def test_of_a_blend_the_networks_are_explained(tmp_path: Path) -> None:
    store, bundle, table = small.store(), both_kinds(n_networks=1), mixed.table()
    assert bundle.targets is not None
    labels = torch.from_numpy(bundle.targets.standardised(table.labels))
    is_real = torch.from_numpy(table.is_real)
    forest = baselines.build("random_forest", trees=5)
    forest.fit(store, labels, torch.arange(100), is_real=is_real, workers=1)
    blend = replace(bundle, members=(*bundle.members, Member(forest, (0, 1, 2, 3, 4))))
    told = explain_molecules(blend, TEXTS, assay="Ki")
    alone = explain_molecules(bundle, TEXTS, assay="Ki")
    assert_allclose(told.molecules["trained"], alone.molecules["trained"])
    assert not np.allclose(told.molecules["value"], alone.molecules["value"])
    assert "mean of networks and random_forest" in "\n".join(told.notes)
