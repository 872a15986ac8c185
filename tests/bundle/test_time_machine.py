"""Runs of every version are read, scored, reported and compared by today's code: same rows, same numbers.

`tests/helpers/make_time_machine.py` adds a version. With another RDKit than the one of that time, descriptors
and so scores may be others: then the molecules of which this is so are named in a warning.
"""

import json
import shutil
import sys
import warnings
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_time_machine import CONFIGS, KEPT, score_words

from screening import load_run
from screening.bundle.bundle import Bundle
from screening.cli import main as cli

VERSIONS = sorted(path.name for path in KEPT.iterdir() if path.is_dir())
RUNS = [KEPT / version / config for version in VERSIONS for config in CONFIGS]
each_run = pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}-{run.name}")
CLOSE, DIGITS = 1.01e-6, 1e-5
"""Probabilities may differ by a millionth; what is above 1, such as distances, in the last of six digits."""


def screening(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Type a command; it may not fail."""
    monkeypatch.setattr(sys, "argv", ["screening", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"id": str}, keep_default_na=False, na_values={})


def is_other_rdkit(run: Path) -> bool:
    then = json.loads((run / "manifest.json").read_text())["versions"]["rdkit"]
    return [int(part) for part in then.split(".")] != [int(part) for part in version_of("rdkit").split(".")]


def compare_rows(scores: pd.DataFrame, kept: pd.DataFrame, *, may_differ: bool) -> None:
    """Every cell: texts as they are, numbers as close as `CLOSE` says.

    Raises
    ------
    AssertionError : the molecules that score otherwise, by row, identifier and structure.
    """
    assert list(scores.columns) == list(kept.columns)
    is_other = np.zeros(len(kept), bool)
    for name in kept.columns:
        numbers, then = (pd.to_numeric(frame[name], errors="coerce") for frame in (scores, kept))
        is_same = ((numbers - then).abs() <= np.where(then < 1, CLOSE, DIGITS * then)) | (
            scores[name] == kept[name]
        ).to_numpy()
        is_other |= ~is_same
    told = kept.loc[is_other, ["row", "id", "smiles"]].to_string(index=False)
    if may_differ and is_other.any():
        warnings.warn(
            f"RDKit is another one than then; these molecules score otherwise:\n{told}", stacklevel=2
        )
    else:
        assert not is_other.any(), f"other scores than then:\n{told}"


def test_the_release_before_this_one_is_kept() -> None:
    assert {"0.3.0", "dev"} <= set(VERSIONS)


@each_run
def test_an_old_bundle_scores_as_it_did(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screening(monkeypatch, *score_words(run.name, run, tmp_path / "out"))
    scores, kept = read(tmp_path / "out" / "scores.csv"), read(run.parent / f"{run.name}.csv")
    rejected = kept["status"] == "rejected"
    assert rejected.sum() == 3
    assert kept.loc[~rejected, "halogen"].nunique() > 10, "molecules that score alike would hide a change"
    unchanged = ["row", "id", "smiles", "status", "reason", "note"]
    pd.testing.assert_frame_equal(scores[unchanged], kept[unchanged])
    compare_rows(scores, kept, may_differ=is_other_rdkit(run))


@pytest.mark.parametrize("column", ["halogen", "similarity", "smiles"])
def test_a_changed_cell_is_noticed(column: str) -> None:
    kept = read(KEPT / "0.3.0" / "full.csv")
    other = kept.copy()
    other.loc[3, column] = "0.5"
    with pytest.raises(AssertionError, match=r"=1\+1"):
        compare_rows(other, kept, may_differ=False)
    with pytest.warns(UserWarning, match=r"=1\+1"):
        compare_rows(other, kept, may_differ=True)


@each_run
def test_an_old_bundle_written_today_scores_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bundle.load(run).save(tmp_path / "bundle")
    screening(monkeypatch, *score_words(run.name, tmp_path, tmp_path / "out"))
    screening(monkeypatch, *score_words(run.name, run, tmp_path / "kept"))
    names = ("scores.csv", "part-000000-000000.parquet")
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "kept" / name).read_bytes(), name


@each_run
def test_an_old_run_is_loaded_and_evaluated(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = pd.read_csv(run / "evaluation.csv")
    loaded = load_run(run).evaluation
    columns = ["assay", "status", "actives", "inactives", "roc_auc", "average_precision", "brier"]
    tested = kept[kept["part"] == "test"].reset_index(drop=True)
    pd.testing.assert_frame_equal(loaded[columns].reset_index(drop=True), tested[columns], rtol=1e-5)
    screening(monkeypatch, "evaluate", str(run), "--part", "valid", "--out", str(tmp_path / "valid.csv"))
    again = pd.read_csv(tmp_path / "valid.csv")[columns]
    valid = kept[kept["part"] == "valid"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, valid[columns], rtol=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_old_runs_have_a_page_and_are_compared(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for config in CONFIGS:
        shutil.copytree(KEPT / version / config, tmp_path / version / config)
    shutil.copytree(KEPT / "dev" / "plain", tmp_path / "today")
    monkeypatch.chdir(tmp_path)
    screening(monkeypatch, "report", f"{version}/full")
    page = (tmp_path / version / "full" / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert "nitrile" in page
    screening(monkeypatch, "compare", f"{version}/plain", "today", "--out", "differences.csv")
    differences = pd.read_csv("differences.csv")["difference"].dropna()
    assert len(differences)
    assert (differences.abs() < 1e-6).all(), "the same config, trained then and today"
