"""What the page knows of each assay: the right molecules, bounded, and safe inside a script element."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small

from screening.evaluation.results import Material, read_material
from screening.reporting.explorer import MOLECULES, Sizes, as_script, explore

NASTY = "</script><script>alert(1)</script>&amp;\u2028"


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    names = (NASTY, "<!--", "a\\u003c")
    return read_material(small.run_folder(tmp_path_factory.mktemp("explorer") / "run", names=names))


@pytest.fixture(scope="module")
def found(material: Material) -> dict:
    return json.loads(explore(material))


def test_no_text_can_end_the_element(material: Material, found: dict) -> None:
    text = explore(material)
    assert not set("<>&") & set(text)
    assert [assay["name"] for assay in found["assays"]] == material.evaluation["assay"].tolist()
    assert json.loads(as_script({NASTY: [NASTY, None]})) == {NASTY: [NASTY, None]}


def test_lists_are_those_of_a_plain_loop(material: Material, found: dict) -> None:
    test = material.test_predictions
    for task, assay in enumerate(found["assays"]):
        rows = pd.DataFrame({"id": test.ids, "y": test.labels[:, task], "p": test.scores[:, task]})
        best = rows.sort_values("p", ascending=False, kind="stable")
        actives, inactives = best[best["y"] == 1], best[best["y"] == 0]
        both = len(actives) > 0 and len(inactives) > 0
        wrong = {
            "false": inactives[inactives["p"] >= actives["p"].min()] if both else best.head(0),
            "missed": (actives[actives["p"] <= inactives["p"].max()] if both else best.head(0))[::-1],
            "top": best,
        }
        for name, expected in wrong.items():
            ids = [found["molecules"][place][0] for place, *_ in assay[name]]
            assert ids == expected["id"].head(MOLECULES).tolist(), (name, assay["name"])
            for (_, probability, label, rank), row in zip(assay[name], expected.itertuples(), strict=False):
                assert probability == pytest.approx(row.p, rel=0.01)
                assert (label is None) == np.isnan(row.y)
                if label is not None:
                    assert label == row.y
                    assert rank == 1 + (rows[rows["y"].notna()]["p"] > row.p).sum()


def test_numbers_and_counts_are_those_of_the_tables(material: Material, found: dict) -> None:
    for assay, row in zip(found["assays"], material.evaluation.itertuples(), strict=True):
        for name, value in zip(found["fields"], assay["numbers"], strict=True):
            expected = getattr(row, name)
            assert (value is None) == bool(np.isnan(expected))
            assert value is None or value == pytest.approx(expected, rel=0.006)
        if row.actives + row.inactives:
            assert assay["curve"][-1][1:] == [row.inactives, row.actives]
        assert sum(size for *_, size in assay["bins"]) == row.actives + row.inactives
        assert {part: labels for part, labels, _ in assay["labels"]}["train"] == row.train_measured
        assert [epoch for epoch, *_ in assay["history"]] == [1, 2, 3, 4]


def test_molecules_are_kept_once(found: dict) -> None:
    ids = [molecule[0] for molecule in found["molecules"]]
    assert len(ids) == len(set(ids))
    used = {row[0] for assay in found["assays"] for name in ("top", "false", "missed") for row in assay[name]}
    assert used == set(range(len(ids)))


@pytest.mark.parametrize("n_assays", [1, 12, 617, 5_000, 100_000])
def test_the_more_assays_the_less_of_each(n_assays: int) -> None:
    sizes = Sizes.of(n_assays)
    assert min(sizes) >= 1
    assert sizes.points >= 8
    if n_assays <= 5_000:
        assert n_assays * (14 * 2 * sizes.points / 2 + 20 * sizes.epochs + 60 * sizes.molecules) < 8e6
    assert Sizes.of(12) == (80, 40, MOLECULES)


def test_structures_are_drawn_up_to_a_number(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screening.reporting.explorer.STRUCTURES", 5)
    molecules = json.loads(explore(material))["molecules"]
    drawn = [drawing is not None for _, _, drawing in molecules]
    assert drawn == [True] * 5 + [False] * (len(molecules) - 5)
    assert all(smiles for _, smiles, _ in molecules)


def test_a_long_history_is_thinned_to_its_ends(material: Material) -> None:
    epochs = np.arange(300)
    history = pd.DataFrame(
        {"epoch": epochs, "assay": NASTY, "loss": 0.5, "weight": 1.0, "valid_concordance": np.nan}
    )
    rows = json.loads(explore(material._replace(history=history)))["assays"][0]["history"]
    assert len(rows) == 40
    assert rows[0] == [1, 0.5, 1, None]
    assert rows[-1][0] == 300


def test_ids_that_are_missing_are_no_trouble(tmp_path: Path) -> None:
    run = small.run_folder(tmp_path / "run", n_tasks=4)
    small.rewrite(run, lambda frame: frame.assign(id=None))
    molecules = json.loads(explore(read_material(run)))["molecules"]
    assert {molecule[0] for molecule in molecules} == {""}
