"""Cells that a spreadsheet would run: harmless on request in every CSV file for people, else as they came."""

import csv
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import small
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from typer.testing import CliRunner

from screening.bundle.bundle import Bundle
from screening.cli.main import app
from screening.metrics.per_assay import read_evaluation
from screening.runtime.csv_cells import harmless, harmless_frame

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1+1"]
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@given(st.text())
def test_no_harmless_text_begins_as_a_formula_unless_it_is_a_number(text: str) -> None:
    cell = harmless(text)
    assert cell in (text, f"'{text}")
    if cell == text and cell.startswith(STARTS):
        assert isinstance(float(cell.replace(",", "")), float)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "-1.5",
        "+3",
        "-1e-05",
        "-.5",
        "-inf",
        "+Infinity",
        "-nan",
        " -5.2 ",
        "-1,5",
        "-1,234.5",
        "1+1",
        "C=O",
        "",
        "a@b",
        "'=1",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert harmless(text) == text


def test_structures_never_look_like_formulas() -> None:
    assert all(harmless(Chem.MolToSmiles(Chem.MolFromSmiles(text))) == text for text in small.smiles(150))


def test_numbers_of_a_frame_stay_numbers() -> None:
    frame = harmless_frame(pd.DataFrame({"=a": [-1.5, 2.0], "b": ["-x", None], "c": [1, -2]}))
    assert list(frame.columns) == ["'=a", "b", "c"]
    assert frame["'=a"].tolist() == [-1.5, 2.0]
    assert frame["b"].tolist()[0] == "'-x"
    assert frame["c"].tolist() == [1, -2]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("is_safe", [False, True])
def test_files_of_score_and_hits(real_run: Path, tmp_path: Path, is_safe: bool) -> None:
    """Every name that people can choose is a formula: ids, columns, cells, assays."""
    bundle = Bundle.load(real_run)
    names = ("=assay", "+b", *bundle.tasks[2:])
    replace(bundle, tasks=names).save(tmp_path / "bundle")
    texts = small.smiles(9)
    with (tmp_path / "=lib.csv").open("w", newline="", encoding="utf-8") as file:
        lines = [[text, formula, "-1.5", formula] for text, formula in zip(texts, FORMULAS, strict=True)]
        csv.writer(file).writerows([["smiles", "name", "@number", "=note"], *lines])
    options = ["--csv-safe"] if is_safe else []
    for words in (
        ["score", tmp_path, tmp_path / "=lib.csv", "--out", tmp_path / "s", "--format", "csv", "--top", "9"],
        ["hits", tmp_path, tmp_path / "s", "--assay", "=assay", "--out", tmp_path / "h", "--diverse", "none"],
    ):
        found = CliRunner().invoke(app, [*map(str, words), *options], catch_exceptions=False)
        assert found.exit_code == 0, found.output
    parts = pd.read_parquet(next((tmp_path / "s").glob("part-*")))
    assert "=assay" in parts  # the parts are the same in both cases
    assert len(set(parts["id"]) & set(FORMULAS)) > 6
    for path in (tmp_path / "s" / "scores.csv", tmp_path / "s" / "top.csv", tmp_path / "h" / "hits.csv"):
        table = rows(path)
        assert len(table) > 9
        cells = [cell for row in table for cell in row]
        suspects = [cell for cell in cells if cell.lstrip(" ").startswith(STARTS) and cell != "-1.5"]
        suspects = [cell for cell in suspects if not cell.lstrip("-").replace(".", "").isdecimal()]
        assert bool(suspects) is not is_safe, (path, suspects)
        expected = {f"'{name}" if is_safe else name for name in parts["id"]}
        assert expected <= set(cells), (path, expected - set(cells))
        assert "-1.5" in cells or path.name == "top.csv"


@pytest.mark.parametrize("is_safe", [False, True])
def test_the_table_of_evaluate(tmp_path: Path, is_safe: bool) -> None:
    run = small.run_folder(tmp_path / "run", names=("=assay",))
    out = tmp_path / "out.csv"
    words = ["evaluate", str(run), "--out", str(out), *(["--csv-safe"] if is_safe else [])]
    found = CliRunner().invoke(app, words, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert read_evaluation(out)["assay"][0] == ("'=assay" if is_safe else "=assay")
