"""Explaining the molecules of a file: tables that add up, safe pages, planted structures that are found."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import small
import torch
from alert_panels import alert_panels
from browser import DESKTOP, PHONE, too_wide
from rdkit import Chem
from sklearn.metrics import roc_auc_score

from screening import training
from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.config import load_config
from screening.config_sections import Model
from screening.errors import BundleError, ConfigError, DataError
from screening.features.store import FeatureSet, featurize
from screening.models.baselines import baselines
from screening.models.network import ScreeningModel, inputs_of
from screening.scoring.scorer import Scorer
from screening.triage.contributions import TOLERANCE
from screening.triage.explanation import NO_REFERENCE, explain

TABLE = """id,smiles
<script>alert(1)</script>,CC(=O)Oc1ccccc1C(=O)O
bad,C1CC
ethanol,CCO
empty,
"salt\a of a name that is much too long for any picture in the world",[Na+].[Cl-]
"""


def model(seed: int, vectors: tuple[str, ...]) -> ScreeningModel:
    torch.manual_seed(seed)
    store = small.store(vectors=vectors)
    settings = Model.model_validate({"encoder": {"name": "hybrid", "width": 16, "hidden": 24}})
    network = ScreeningModel(settings, inputs_of(store), 4)
    network.encoder.fit(store, torch.arange(50))
    return network.eval()


def bundle(
    folder: Path, n_members: int = 1, vectors: tuple[str, ...] = ("ecfp_counts", "rdkit_fast")
) -> Path:
    store = small.store(vectors=vectors)
    tasks = ("halogen", "acid", "NR/AhR <b>", "sulfur")
    members = tuple(Member(model(seed, vectors), (0, 1, 2, 3)) for seed in range(n_members))
    settings = Model.model_validate({"encoder": {"name": "hybrid", "width": 16, "hidden": 24}})
    Bundle(members, settings, inputs_of(store), store.features, tasks, {"name": "small"}).save(
        folder / "bundle"
    )
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "some.csv"
    path.write_text(TABLE)
    return path


def test_the_tables_add_up(run: Path, source: Path, tmp_path: Path) -> None:
    found = explain(run, source, tmp_path / "out", assay="acid")
    molecules, atoms = found.molecules, pd.read_parquet(tmp_path / "out" / "contributions.parquet")
    through = ["graph", "fingerprint", "described"]
    assert list(atoms.columns) == ["molecule", "id", "atom", "symbol", "contribution", *through]
    np.testing.assert_allclose(atoms[through].sum(axis=1), atoms["contribution"], atol=1e-12)
    assert atoms.groupby("molecule").size().tolist() == [13, 3, 2]
    assert atoms[atoms["id"] == "ethanol"]["symbol"].tolist() == ["C", "C", "O"]
    np.testing.assert_allclose(atoms.groupby("molecule")["contribution"].sum(), molecules["atoms"])
    change = molecules["logit"] - molecules["baseline"]
    np.testing.assert_allclose(molecules["atoms"] + molecules["elsewhere"] + molecules["error"], change)
    assert (molecules["error"].abs() <= TOLERANCE * np.maximum(change.abs(), 1)).all()
    scores = Bundle.load(run).predict(*all_rows(molecules["smiles"].tolist())).scores[:, 1]
    np.testing.assert_allclose(molecules["probability"], scores, rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-molecules["logit"])), scores, rtol=1e-4)
    written = pd.read_csv(tmp_path / "out" / "molecules.csv")
    assert written["id"].tolist() == molecules["id"].tolist()


def all_rows(texts: list[str]) -> tuple:
    store = featurize(texts, FeatureSet("atom_codes", ("ecfp_counts", "rdkit_fast")), workers=0)
    return store, torch.arange(len(texts))


def test_molecules_that_cannot_be_used_are_listed(run: Path, source: Path, tmp_path: Path) -> None:
    found = explain(run, source, tmp_path / "out", assay="acid")
    assert [(each.row, each.id) for each in found.rejected] == [(2, "bad"), (4, "empty")]
    assert pd.read_csv(tmp_path / "out" / "rejected.csv")["row"].tolist() == [2, 4]
    assert "unclosed ring" in (tmp_path / "out" / "index.html").read_text()
    assert any("unclosed ring" in line for line in found.lines())


def test_all_names_stay_text(run: Path, source: Path, tmp_path: Path) -> None:
    explain(run, source, tmp_path / "out", assay="NR/AhR <b>")
    for path in [tmp_path / "out" / "index.html", *(tmp_path / "out").glob("*.svg")]:
        text = path.read_text()
        if path.suffix == ".svg":
            ElementTree.fromstring(text)
        assert "<script" not in text
        assert "AhR <b>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (tmp_path / "out" / "index.html").read_text()


def test_the_page_asks_nothing_of_a_network(run: Path, source: Path, tmp_path: Path) -> None:
    explain(run, source, tmp_path / "out", assay="acid")
    text = (tmp_path / "out" / "index.html").read_text()
    for name in ("http://www.w3.org/2000/svg", "http://www.rdkit.org/xml", "http://www.w3.org/1999/xlink"):
        text = text.replace(name, "")
    assert not any(word in text for word in ("http:", "https:", "src=", "@import", "url("))


def test_both_methods_are_compared_when_asked(run: Path, source: Path, tmp_path: Path) -> None:
    found = explain(run, source, tmp_path / "out", assay="acid", method="occlusion", check=True)
    assert found.molecules["error"].isna().all()
    agreement = found.molecules.set_index("id")["agreement"]
    assert -1 <= agreement["ethanol"] <= 1
    assert np.isnan(agreement.iloc[2])
    assert any("rank correlation" in line for line in found.lines())


def test_the_mean_logit_of_an_ensemble_is_explained(tmp_path: Path, source: Path) -> None:
    both = explain(bundle(tmp_path / "both", 2), source, tmp_path / "out", assay="acid")
    store, rows = all_rows(both.molecules["smiles"].tolist())
    vectors = ("ecfp_counts", "rdkit_fast")
    logits = [model(seed, vectors).predict(store, rows)[:, 1].numpy() for seed in range(2)]
    np.testing.assert_allclose(both.molecules["logit"], np.mean(logits, axis=0), atol=1e-4)


def test_a_second_start_replaces_the_first(run: Path, source: Path, tmp_path: Path) -> None:
    explain(run, source, tmp_path / "out", assay="acid")
    found = explain(run, source, tmp_path / "out", assay="acid", limit=1)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.svg")) == ["molecule-0001.svg"]
    assert any("first 1 molecules" in note for note in found.notes)


def test_a_model_of_descriptors_says_that_no_atom_is_behind_it(tmp_path: Path, source: Path) -> None:
    found = explain(bundle(tmp_path, vectors=("rdkit_fast",)), source, tmp_path / "out", assay="acid")
    assert (found.molecules["fingerprint"] == 0).all()
    shares = found.molecules[["graph", "described", "descriptors"]].abs().sum()
    assert shares["described"] > 0
    told = any("belongs to no atom: colours" in note for note in found.notes)
    assert told == (shares["descriptors"] > shares["graph"] + shares["described"])


LIKE_TRAINING = "id,smiles\n" + "".join(f"M{row},{text}\n" for row, text in enumerate(small.smiles(12)))


@pytest.fixture
def like_training(tmp_path: Path) -> Path:
    (tmp_path / "like.csv").write_text(LIKE_TRAINING)
    return tmp_path / "like.csv"


def test_a_trained_run_is_told_against_its_mean_training_molecule(
    any_run: Path, like_training: Path, tmp_path: Path
) -> None:
    """Also a bundle without it, which keeps structures; one without both says so."""
    run = Bundle.load(any_run)
    assert run.domain is not None
    told = explain(any_run, like_training, tmp_path / "out", assay="acid")
    older = replace(run, reference=None)
    older.save(tmp_path / "older")
    again = explain(tmp_path / "older", like_training, tmp_path / "again", assay="acid")
    pd.testing.assert_frame_equal(told.molecules, again.molecules, atol=1e-4)
    assert NO_REFERENCE not in told.notes + again.notes
    replace(older, domain=replace(run.domain, structures=None)).save(tmp_path / "oldest")
    empty = explain(tmp_path / "oldest", like_training, tmp_path / "empty", assay="acid")
    assert NO_REFERENCE in empty.notes
    assert "empty molecule" in (tmp_path / "empty" / "index.html").read_text()
    assert not np.allclose(told.molecules["baseline"], empty.molecules["baseline"], atol=0.01)


def test_a_reference_of_other_features_is_refused(real_run: Path, source: Path, tmp_path: Path) -> None:
    run = Bundle.load(real_run)
    assert run.reference is not None
    replace(run, reference=replace(run.reference, atoms=run.reference.atoms[:-1])).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="mean training molecule"):
        explain(tmp_path, source, tmp_path / "out", assay="acid")


def test_descriptors_are_named_with_their_part(run: Path, source: Path, tmp_path: Path) -> None:
    told = explain(run, source, tmp_path / "out", assay="acid")
    table = pd.read_parquet(tmp_path / "out" / "descriptors.parquet")
    sums = table.groupby("molecule")["contribution"].sum()
    of_descriptors = told.molecules["descriptors"] + told.molecules["described"]
    np.testing.assert_allclose(sums, of_descriptors, atol=1e-9)
    np.testing.assert_allclose(
        told.molecules["absent"] + told.molecules["descriptors"], told.molecules["elsewhere"], atol=1e-9
    )
    block = small.store(vectors=("rdkit_fast",)).vector_blocks[0]
    values = featurize(["CCO"], FeatureSet(None, ("rdkit_fast",)), workers=0).batch([0]).vectors[0].numpy()
    ethanol = table[table["id"] == "ethanol"].set_index("descriptor")["value"]
    np.testing.assert_allclose(ethanol[list(block.columns)], values)
    page = (tmp_path / "out" / "index.html").read_text()
    for _, group in table.groupby("molecule"):
        largest = group.loc[group["contribution"].abs().idxmax()]
        assert f"{largest['descriptor']} = {largest['value']:.4g}<" in page
        assert f"{largest['contribution']:+.2f}" in page


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_in_a_browser_the_page_fits_and_is_dark_in_the_dark(
    run: Path, source: Path, tmp_path: Path, open_page: Callable[..., Any], width: int
) -> None:
    explain(run, source, tmp_path / "out", assay="acid", check=True)
    page = open_page(tmp_path / "out" / "index.html", width=width, dark=True)
    assert too_wide(page) == []
    assert page.locator("figure").count() == 3
    fills = page.eval_on_selector_all(
        "figure svg rect", "all => all.map(each => getComputedStyle(each).fill)"
    )
    assert "rgb(255, 255, 255)" not in fills
    inks = page.eval_on_selector_all("figure svg text", "all => all.map(each => getComputedStyle(each).fill)")
    assert set(inks) == {"rgb(230, 232, 235)"}
    assert page.title().startswith("acid")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"assay": "acidd"}, ConfigError, "Did you mean 'acid'"),
        ({"method": "occlusio"}, ConfigError, "Did you mean 'occlusion'"),
        ({"limit": 0}, ConfigError, "at least 1"),
        ({"smiles": "structure"}, DataError, "no column 'structure'"),
    ],
)
def test_wrong_requests_are_explained(
    run: Path, source: Path, tmp_path: Path, change: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        explain(run, source, tmp_path / "out", **{"assay": "acid", **change})
    assert not (tmp_path / "out").exists()


def test_a_file_without_a_usable_molecule_is_explained(run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.smi").write_text("C1CC first\n")
    with pytest.raises(DataError, match="unclosed ring"):
        explain(run, tmp_path / "bad.smi", tmp_path / "out", assay="acid")


def test_a_baseline_is_refused(tmp_path: Path, source: Path) -> None:
    store = small.store()
    forest = baselines.build("random_forest", trees=3)
    forest.fit(store, torch.from_numpy(small.table().labels), torch.arange(100), workers=1)
    members = (Member(forest, (0, 1, 2, 3)),)
    Bundle(members, Model(), inputs_of(store), store.features, tuple(small.PATTERNS), {}).save(
        tmp_path / "bundle"
    )
    with pytest.raises(ConfigError, match="baseline 'random_forest'"):
        explain(tmp_path, source, tmp_path / "out", assay="acid")


@pytest.mark.slow
def test_planted_substructures_are_found(tmp_path: Path) -> None:
    """Atoms of the match rank above the others, in active molecules that training has not seen.

    Panels of the embedded table that are a substructure and that the model has learned (ROC-AUC of 0.9 on
    the test part: what it has not learned, it cannot show); a mean ROC-AUC of atoms of 0.9.
    """
    panels = [each for each in alert_panels() if each.kind == "substructure"][:24]
    names = ",".join(f'"{each.name}"' for each in panels)
    overrides = [
        f"runs={tmp_path}",
        "name=planted",
        f"data.tasks=[{names}]",
        "train.epochs=12",
        "train.workers=1",
    ]
    run = training.train(load_config("configs/alerts.yaml", overrides))
    quality = run.evaluation.set_index("assay")["roc_auc"]
    learned = [panel for panel in panels if quality[panel.name] >= 0.9]
    assert len(learned) >= 10
    areas = [_area(run.folder, panel.name, panel.smarts, tmp_path) for panel in learned]
    assert np.mean(areas) >= 0.9


def _area(run: Path, assay: str, smarts: str, folder: Path) -> float:
    """Mean over the test and validation actives of the ROC-AUC of their atoms; NaN if there are none."""
    frame = pd.read_parquet(run / "predictions.parquet")
    pattern = Chem.MolFromSmarts(smarts)
    actives = frame[frame[f"label:{assay}"] == 1]["smiles"].head(6).tolist()
    if not actives:
        return np.nan
    (folder / "actives.smi").write_text("".join(f"{each}\n" for each in actives))
    explain(run, folder / "actives.smi", folder / "out", assay=assay)
    atoms = pd.read_parquet(folder / "out" / "contributions.parquet")
    areas = []
    for smiles, (_, group) in zip(actives, atoms.groupby("molecule"), strict=True):
        matches = Chem.MolFromSmiles(smiles).GetSubstructMatches(pattern)
        inside = np.isin(group["atom"], [atom for match in matches for atom in match])
        if 0 < inside.sum() < len(inside):
            areas.append(roc_auc_score(inside, group["contribution"]))
    return float(np.mean(areas)) if areas else np.nan


def test_a_carriage_return_in_a_name_does_not_break_rows(real_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'id,smiles\n"one\rtwo",CCO\n"three\rfour",C1CC\n')
    assay = Bundle.load(real_run).tasks[0]
    explain(real_run, tmp_path / "in.csv", tmp_path / "out", assay=assay)
    for name, text in (("molecules.csv", "one\rtwo"), ("rejected.csv", "three\rfour")):
        with (tmp_path / "out" / name).open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["id"] == text, name


def best_of_assays(tmp_path: Path) -> Path:
    path = tmp_path / "top.csv"
    best = [
        "other,1,a,CCO,0.9,0,l",
        "other,2,b,CCN,0.8,1,l",
        "acid,1,c,CC(=O)O,0.7,2,l",
        "acid,2,a,CCO,0.6,0,l",
    ]
    path.write_text("\n".join(["assay,rank,id,smiles,probability,row,file", *best, ""]))
    return path


def test_of_the_best_of_every_assay_those_of_the_assay_are_explained(run: Path, tmp_path: Path) -> None:
    found = explain(run, best_of_assays(tmp_path), tmp_path / "out", assay="acid", limit=2)
    assert sorted(found.molecules["id"]) == ["a", "c"]
    assert [note for note in found.notes if "first 2" in note] == []
    assert any("those of acid were explained" in note for note in found.notes)


def test_an_assay_that_is_not_among_the_best_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no row of 'NR/AhR <b>'\. Score with `top`"):
        explain(run, best_of_assays(tmp_path), tmp_path / "out", assay="NR/AhR <b>")


def test_what_is_told_of_trained_runs_adds_up(any_run: Path, source: Path, tmp_path: Path) -> None:
    """The mean logit over members, complete; beside it the calibrated probability, as scored."""
    for assay in Bundle.load(any_run).tasks[-2:]:
        molecules = explain(any_run, source, tmp_path / "out", assay=assay).molecules
        change = molecules["logit"] - molecules["baseline"]
        np.testing.assert_allclose(molecules["atoms"] + molecules["elsewhere"] + molecules["error"], change)
        assert (molecules["error"].abs() <= TOLERANCE * np.maximum(change.abs(), 1)).all()
        scores = Scorer.load(any_run).score(molecules["smiles"].tolist())[assay]
        np.testing.assert_allclose(molecules["probability"], scores, rtol=1e-5)
