"""Assays and library columns with the program's own names, through every table that scoring writes."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
from rdkit import Chem

from screening.bundle.bundle import Bundle
from screening.scoring.columns import NEIGHBOUR, OURS, assay_column
from screening.scoring.job import Extras, score_library
from screening.scoring.scorer import Scorer
from screening.triage.hits import choose_hits

AWKWARD = [
    ("status", "reason", "row", "file"),
    ("ID", "Smiles", "x", "x:set"),
    ("distance", "rank", "assay", "probability"),
    ("similarity", "in_domain", "nearest", "x:spread"),
    ("status", "status (assay)", "Status", "input:status"),
]
EVERYTHING = {"spread": True, "domain": True, "conformal": 0.2}
HEADER = ["smiles", "name", "status", "Reason", "rank", "x", "NEAREST", "input:status", "probability"]


def renamed(run: Path, names: tuple[str, ...]) -> Bundle:
    """The run's bundle with other names for its assays, as one of an earlier version may have them."""
    bundle = Bundle.load(run)
    return replace(bundle, tasks=names + bundle.tasks[len(names) :])


def library(folder: Path) -> Path:
    path = folder / "library.csv"
    with path.open("w", newline="") as file:
        rows = [[text, f"m{n}", *("theirs" for _ in HEADER[2:])] for n, text in enumerate(small.smiles(12))]
        csv.writer(file).writerows([HEADER, *rows, ["C1CC", "bad", *HEADER[2:]]])
    return path


@pytest.mark.parametrize("names", AWKWARD, ids=lambda names: names[0])
def test_a_frame_has_the_columns_of_both(real_run: Path, names: tuple[str, ...]) -> None:
    texts = [*small.smiles(20), "C1CC"]
    frame = Scorer(renamed(real_run, names), **EVERYTHING).score(texts)
    plain = Scorer.load(real_run, **EVERYTHING).score(texts)
    assert frame.columns.is_unique
    assert frame["status"].tolist() == [*["ok"] * 20, "rejected"]
    for name, was in zip(names, Bundle.load(real_run).tasks, strict=False):
        for ending in ("", ":spread", ":set"):
            column = frame[assay_column(name) + ending]
            pd.testing.assert_series_equal(column, plain[was + ending], check_names=False)
    for name in ("smiles", "reason", *NEIGHBOUR):
        pd.testing.assert_series_equal(frame[name], plain[name])


@pytest.mark.parametrize("names", AWKWARD, ids=lambda names: names[0])
def test_files_have_the_columns_of_all_three(real_run: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    renamed(real_run, names).save(tmp_path / "bundle")
    out = tmp_path / "out"
    options = {"workers": 0, "block_size": 8, "top": 2, "extras": Extras(**EVERYTHING)}
    for output in ("csv", "sdf"):
        score_library(tmp_path, library(tmp_path), out, output=output, **options)
    parts = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("part-*"))], ignore_index=True)
    with (out / "scores.csv").open(newline="") as file:
        header = next(csv.reader(file))
    table = pd.read_csv(out / "scores.csv", keep_default_na=False)
    assert header == list(parts.columns)
    assert len(set(header)) == len(header)
    assert not {name.casefold() for name in header if name not in (*OURS, *NEIGHBOUR)} & {*OURS, *NEIGHBOUR}
    assert parts["status"].tolist() == table["status"].tolist() == [*["ok"] * 12, "rejected"]
    assert parts["row"].tolist() == table["row"].tolist() == list(range(1, 14))
    assert set(parts["file"]) == {"library.csv"}
    brought = [name for name in header if name not in (*OURS, *NEIGHBOUR) and "theirs" in set(table[name])]
    assert len(brought) == len(HEADER) - 2
    mol = next(iter(Chem.SDMolSupplier(str(out / "scores.sdf"))))
    assert {"status", "reason"}.isdisjoint(mol.GetPropNames())
    assert [mol.GetProp(assay_column(name)) for name in names] == [
        f"{parts[assay_column(name)][0]:.6g}" for name in names
    ]
    top = pd.read_csv(out / "top.csv", keep_default_na=False)
    for name in names:
        best = parts.sort_values([assay_column(name), "row"], ascending=[False, True]).head(2)
        rows = top[top["assay"] == name]
        assert rows["row"].tolist() == best["row"].tolist()
        np.testing.assert_allclose(rows["probability"], best[assay_column(name)], rtol=1e-5)


@pytest.mark.parametrize("assay", ["status", "row", "reason", "file"])
def test_hits_of_an_assay_with_a_name_of_ours(real_run: Path, tmp_path: Path, assay: str) -> None:
    renamed(real_run, AWKWARD[0]).save(tmp_path / "bundle")
    score_library(tmp_path, library(tmp_path), tmp_path / "out", workers=0)
    hits = choose_hits(tmp_path, tmp_path / "out", tmp_path / "hits", assay=assay, diversity="none")
    parts = pd.read_parquet(next((tmp_path / "out").glob("part-*")))
    expected = np.sort(parts[assay_column(assay)].dropna())[::-1]
    np.testing.assert_allclose(hits.table["probability"], expected[: len(hits.table)], rtol=1e-6)
    others = [name for name in hits.table if name.startswith("library:")]
    assert len(others) == len(HEADER) - 2


def test_properties_that_fall_together_are_numbered(real_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("smiles,IC50 > 1,IC50 < 1\nCCO,a,b\n")
    score_library(real_run, tmp_path / "in.csv", tmp_path / "out", output="sdf", workers=0)
    mol = next(iter(Chem.SDMolSupplier(str(tmp_path / "out" / "scores.sdf"))))
    assert (mol.GetProp("IC50 1"), mol.GetProp("IC50 1 (2)")) == ("a", "b")
