"""From scores to hits: the best, once each, without what filters speak against, and unlike each other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from screening.bundle.bundle import Bundle
from screening.bundle.member import Member
from screening.config_sections import Model
from screening.errors import ConfigError, DataError
from screening.models.network import ScreeningModel, inputs_of
from screening.scoring.job import score_library
from screening.triage.hits import Hits, choose_hits
from screening.uncertainty.structure_domain import Domain, fingerprints

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    settings = Model.model_validate({"encoder": {"name": "gine", "depth": 2, "width": 16}})
    store, table = small.store(), small.table()
    model = ScreeningModel(settings, inputs_of(store), 4).eval()
    known, valid = (fingerprints(table.smiles[part], workers=0) for part in (slice(100), slice(100, 150)))
    domain = Domain.fit(known, valid).keeping(table.ids[:100], table.smiles[:100], table.labels[:100])
    members = (Member(model, (0, 1, 2, 3)),)
    bundle = Bundle(
        members, settings, inputs_of(store), store.features, tuple(small.PATTERNS), {}, domain=domain
    )
    folder = tmp_path_factory.mktemp("run")
    bundle.save(folder / "bundle")
    return folder


@pytest.fixture(scope="module")
def scores(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 molecules, some of them twice, one of them bad, with a price."""
    texts = [*small.smiles(150), *small.smiles(5), "C1CC"]
    frame = pd.DataFrame({"id": [f"L{row}" for row in range(len(texts))], "smiles": texts, "price": "9 <b>"})
    frame.loc[3, "id"] = HOSTILE
    folder = tmp_path_factory.mktemp("scores")
    frame.to_csv(folder / "library.csv", index=False)
    score_library(run, [folder / "library.csv"], folder / "scores", workers=0)
    return folder / "scores"


@pytest.fixture
def choose(run: Path, scores: Path, tmp_path: Path) -> Callable[..., Hits]:
    return lambda **options: choose_hits(run, scores, tmp_path / "hits", **{"assay": "acid", **options})


def similarity(texts: list[str]) -> np.ndarray:
    prints = [GetMorganGenerator(radius=2).GetFingerprint(Chem.MolFromSmiles(text)) for text in texts]
    return np.array([DataStructs.BulkTanimotoSimilarity(each, prints) for each in prints])


def test_without_diversity_the_hits_are_the_best_of_the_scores(
    choose: Callable[..., Hits], scores: Path
) -> None:
    hits = choose(n=20, diversity="none")
    parts = pd.concat([pd.read_parquet(path) for path in sorted(scores.glob("part-*.parquet"))])
    best = parts.sort_values("acid", ascending=False, kind="stable").drop_duplicates("smiles").head(20)
    assert hits.table["id"].tolist() == best["id"].tolist()
    np.testing.assert_allclose(hits.table["probability"], best["acid"])
    assert (hits.candidates, hits.repeated) == (155, 5)
    assert hits.table["library:price"].eq("9 <b>").all()


def test_counts_add_up(choose: Callable[..., Hits]) -> None:
    for options in (
        {},
        {"filters": ["brenk", "lipinski"]},
        {"n": 5, "diversity": "maxmin"},
        {"candidates": 30},
    ):
        hits = choose(**options)
        assert hits.candidates == hits.repeated + hits.left_out + hits.alike + len(hits.table)


def test_hits_of_spheres_are_unlike_and_led_by_the_best(choose: Callable[..., Hits]) -> None:
    hits = choose(n=1000, distance=0.5)
    alike = similarity(hits.table["smiles"].tolist()) - np.eye(len(hits.table))
    assert alike.max() <= 0.5
    assert hits.table["rank"].is_monotonic_increasing
    assert hits.table["rank"].iloc[0] == 1
    best = choose(diversity="none", n=1000).table
    for row in best.itertuples():
        if row.id not in set(hits.table["id"]):
            better = hits.table[hits.table["rank"] < row.rank]["smiles"].tolist()
            assert similarity([row.smiles, *better])[0, 1:].max() >= 0.5


def test_maxmin_begins_with_the_best_and_spreads_wider(choose: Callable[..., Hits]) -> None:
    spread, plain = choose(n=15, diversity="maxmin"), choose(n=15, diversity="none")
    assert spread.table["rank"].iloc[0] == 1
    mean = {
        name: similarity(hits.table["smiles"].tolist()).mean() for name, hits in (("m", spread), ("p", plain))
    }
    assert mean["m"] < mean["p"]


def test_what_filters_speak_against_is_left_out_or_marked(choose: Callable[..., Hits]) -> None:
    every = choose(n=1000, diversity="none")
    hits = choose(n=1000, diversity="none", filters=["brenk"])
    marked = choose(n=1000, diversity="none", filters=["brenk"], keep_flagged=True)
    assert 0 < hits.left_out == hits.flagged["brenk"]
    assert hits.table["flags"].eq("").all()
    assert marked.table["id"].tolist() == every.table["id"].tolist()
    assert set(marked.table[marked.table["flags"] == ""]["id"]) == set(hits.table["id"])
    assert marked.table["flags"].str.startswith("brenk: ").sum() == hits.left_out


def test_the_nearest_active_is_active_and_nearest(choose: Callable[..., Hits]) -> None:
    hits, table = choose(n=30, diversity="none"), small.table()
    actives = [table.smiles[row] for row in range(100) if table.labels[row, 1] == 1]
    for row in hits.table.itertuples():
        near = similarity([row.smiles, *actives])[0, 1:]
        assert row.similarity == pytest.approx(near.max(), abs=1e-5)
        assert row.nearest_active_smiles in actives
        assert row.training_similarity >= row.similarity


def test_files_hold_the_same_hits_and_all_names_stay_text(choose: Callable[..., Hits]) -> None:
    hits = choose(n=1000, diversity="none")
    written = pd.read_csv(hits.folder / "hits.csv")
    assert written["id"].tolist() == hits.table["id"].tolist()
    supplier = list(Chem.SDMolSupplier(str(hits.folder / "hits.sdf")))
    assert [mol.GetProp("id") for mol in supplier] == hits.table["id"].tolist()
    assert [Chem.MolToSmiles(mol) for mol in supplier] == [
        Chem.MolToSmiles(Chem.MolFromSmiles(text)) for text in hits.table["smiles"]
    ]
    page = (hits.folder / "hits.html").read_text()
    assert HOSTILE in hits.table["id"].tolist()
    assert page.count("<script") == page.count("</script") == 2  # the records, and ours
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assay": "acidd"}, "Did you mean 'acid'"),
        ({"filters": ["painz"]}, "Did you mean 'pains'"),
        ({"diversity": "sphere"}, "Did you mean 'spheres'"),
        ({"distance": 1.5}, "0 to 1"),
        ({"n": 0}, "at least 1"),
    ],
)
def test_wrong_requests_are_explained(choose: Callable[..., Hits], options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(**options)


def test_a_folder_without_scores_is_explained(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="screening score"):
        choose_hits(run, tmp_path, tmp_path / "hits", assay="acid")


def test_hits_that_the_run_was_trained_on_are_called_known(real_run: Path, tmp_path: Path) -> None:
    """As the same structure, as a salt, and not at all."""
    split = pd.read_csv(real_run / "split.csv", dtype=str)
    trained, tested = (split[split["part"] == part]["structure"].iloc[:3] for part in ("train", "test"))
    library = [*trained, *(f"{text}.[Na+].[Cl-]" for text in trained), "FC(F)CCNCCCCCCC#N", *tested]
    (tmp_path / "in.smi").write_text("".join(f"{text} {row}\n" for row, text in enumerate(library)))
    score_library(real_run, tmp_path / "in.smi", tmp_path / "scores", workers=0)
    out, assay = tmp_path / "hits", Bundle.load(real_run).tasks[0]
    hits = choose_hits(real_run, tmp_path / "scores", out, assay=assay, diversity="none")
    known = hits.table.set_index(hits.table["id"].astype(int))["known"]
    assert known.sort_index().tolist() == ["train"] * 3 + ["parent train"] * 3 + [""] * 4
    note = "6 molecules are known to the run: 3 as the same structure, 3 by their parent"
    assert any(note in line for line in hits.lines())
    assert pd.read_csv(out / "hits.csv", keep_default_na=False)["known"].tolist() == known.tolist()


def test_hits_of_trained_runs_add_up(any_run: Path, tmp_path: Path) -> None:
    texts = [*small.smiles(60), *small.smiles(5), "C1CC"]
    (tmp_path / "in.smi").write_text("".join(f"{text} L{row}\n" for row, text in enumerate(texts)))
    score_library(any_run, tmp_path / "in.smi", tmp_path / "scores", workers=0)
    parts = pd.read_parquet(tmp_path / "scores" / "part-000000-000000.parquet").set_index("id")
    for assay in Bundle.load(any_run).tasks:
        hits = choose_hits(any_run, tmp_path / "scores", tmp_path / "out", assay=assay, n=10)
        assert (hits.candidates, hits.repeated) == (65, 5)
        assert hits.candidates == hits.repeated + hits.left_out + hits.alike + len(hits.table)
        scored = parts.loc[hits.table["id"], assay]
        np.testing.assert_array_equal(hits.table["probability"], scored, "calibrated, as scored")
