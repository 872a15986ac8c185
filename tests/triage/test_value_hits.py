"""Hits of a real assay: from the good end, in its unit, with intervals, beside good training molecules."""

from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import small
from bundles import both_kinds
from numpy.testing import assert_allclose

from screening.bundle.bundle import Bundle
from screening.scoring.job import Extras, score_library
from screening.triage.hits import Hits, choose_hits
from screening.triage.hits_page import significant


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle of both kinds, and scores of a library by it, with intervals."""
    folder = tmp_path_factory.mktemp("both")
    both_kinds().save(folder / "bundle")
    lines = [f"{text} L{row}" for row, text in enumerate(small.smiles(90))]
    (folder / "library.smi").write_text("\n".join(lines) + "\n")
    score_library(folder, folder / "library.smi", folder / "scores", workers=0, extras=Extras(conformal=0.2))
    return folder, folder / "scores"


def chosen(scored: tuple[Path, Path], out: Path, assay: str, **options: object) -> Hits:
    run, scores = scored
    options = {"n": 12, "diversity": "none", **options}
    return choose_hits(run, scores, out, assay=assay, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("assay", ["Ki", "logP"])
def test_the_best_are_those_of_the_good_end(scored: tuple[Path, Path], tmp_path: Path, assay: str) -> None:
    """Low nM are high pKi, and low values of logP are wanted."""
    hits = chosen(scored, tmp_path, assay)
    parts = pd.concat(map(pd.read_parquet, scored[1].glob("part-*")))
    best = parts.sort_values([assay, "row"]).head(12)
    assert hits.table["id"].tolist() == best["id"].tolist()
    for column, name in (("value", ""), ("low", ":low"), ("high", ":high")):
        assert_allclose(hits.table[column], best[assay + name])
    assert "probability" not in hits.table
    assert not [name for name in hits.table if name.startswith("library:")]
    written = pd.read_csv(tmp_path / "hits.csv")
    assert_allclose(written["value"], best[assay], rtol=1e-5)
    assert "low values are good" in "\n".join(hits.lines())


def test_hits_stand_beside_the_best_training_molecules(scored: tuple[Path, Path], tmp_path: Path) -> None:
    hits, domain = chosen(scored, tmp_path, "Ki"), Bundle.load(scored[0]).domain
    assert domain is not None
    assert domain.structures is not None
    pki = mixed.table().labels[[int(name[1:]) for name in hits.table["nearest_active"]], 3]
    assert_allclose(hits.table["nearest_value"], 10.0 ** (9 - pki.astype(float)), rtol=1e-5)
    assert (pki >= np.nanquantile(mixed.table().labels[:, 3], 0.85)).all()


def test_a_threshold_is_in_the_unit(scored: tuple[Path, Path], tmp_path: Path) -> None:
    every = chosen(scored, tmp_path / "all", "Ki").table
    least = float(every["value"].iloc[5])
    few = chosen(scored, tmp_path / "few", "Ki", threshold=least).table
    assert few["id"].tolist() == every["id"].tolist()[:6]
    none = chosen(scored, tmp_path / "none", "Ki", threshold=float(every["value"].iloc[0]) / 2)
    assert not len(none.table)
    assert "No hit is left." in none.lines()
    active = chosen(scored, tmp_path / "binary", "acid", threshold=0.0).table
    assert (active["probability"] >= 0).all()


def test_the_page_speaks_of_values(scored: tuple[Path, Path], tmp_path: Path) -> None:
    chosen(scored, tmp_path / "Ki", "Ki", explain=True)
    page = (tmp_path / "Ki/hits.html").read_text()
    assert "low values are good" in page
    assert 'data-score="value" data-good="low"' in page
    assert "nM" in page
    for words in ("probabilit", "ROC-AUC", "actives among", "known active"):
        assert words not in page, words
    assert page.count('<a href="explained/index.html#molecule-') == 12
    chosen(scored, tmp_path / "acid", "acid")
    page = (tmp_path / "acid/hits.html").read_text()
    assert "Expected actives" in page
    assert 'data-score="probability" data-good="high"' in page


def test_values_are_written_in_three_digits() -> None:
    texts = [significant(value) for value in (99.96, 1234.0, 1e-4, np.inf, -np.inf)]
    assert texts == ["100", "1,234", "0.000100", "∞", "−∞"]
