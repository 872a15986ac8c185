"""Scores of a run's model are found where they lie; those of another model are not shown as its own."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small

from screening.data.assay_kinds import Assay
from screening.errors import DataError
from screening.reporting.best_scored import MOLECULES, best_hits, find_scores


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run = small.run_folder(tmp_path / "project" / "runs" / "a", n_tasks=4)
    (run / "bundle").mkdir()
    (run / "bundle" / "SHA256SUMS").write_text("sums of a")
    return run


def score(folder: Path, model: str | None, job: str = "_job.json", time: int = 0) -> Path:
    """A folder as scoring leaves it."""
    folder.mkdir(parents=True)
    pd.DataFrame({"id": ["x"], "smiles": ["C"], "assay 3": [0.5]}).to_parquet(
        folder / "part-000000-000000.parquet"
    )
    if model is not None:
        (folder / job).write_text(json.dumps({"model": hashlib.sha256(model.encode()).hexdigest()}))
        os.utime(folder / job, (1_000_000 + time, 1_000_000 + time))
    return folder


@pytest.mark.parametrize("job", ["_job.json", "job.json"])
@pytest.mark.parametrize(
    "place",
    ["project/runs/a/scores", "project/runs/a/hts", "project/runs/zinc", "project/scores", "elsewhere"],
)
def test_scores_of_the_model_are_found(run: Path, tmp_path: Path, place: str, job: str) -> None:
    folder = score(tmp_path / place, "sums of a", job)
    assert find_scores([run]) == folder
    assert find_scores([Path(os.path.relpath(run))]).resolve() == folder


@pytest.mark.parametrize(
    "place", ["project/runs/a/scores", "project/runs/zinc", "project/scores", "elsewhere"]
)
def test_scores_of_another_model_are_not(run: Path, tmp_path: Path, place: str) -> None:
    folder = score(tmp_path / place, "sums of b")
    assert find_scores([run]) is None
    with pytest.raises(DataError, match="made with another model"):
        find_scores([run], folder)


def test_the_runs_own_folder_goes_first_then_the_newest(run: Path, tmp_path: Path) -> None:
    score(tmp_path / "old", "sums of a", time=1)
    newest = score(tmp_path / "project" / "new", "sums of a", time=9)
    score(tmp_path / "project" / "runs" / "middle", "sums of a", time=5)
    assert find_scores([run]) == newest
    own = score(run / "scores", None)  # as it was before jobs were written down
    assert find_scores([run]) == own


def test_what_is_given_must_hold_scores(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There are no scores in"):
        find_scores([run], tmp_path)
    folder = score(tmp_path / "s", "sums of a")
    assert find_scores([run], folder) == folder
    for damaged in ("{", "[]", "{}"):
        (folder / "_job.json").write_text(damaged)
        assert find_scores([run], folder) == folder
        assert find_scores([run]) is None


def test_the_best_of_all_parts_are_those_of_one_stable_sort(tmp_path: Path) -> None:
    """With ties, rejected molecules, an assay that a part lacks, and names of parts as they once were."""
    random, tables = np.random.default_rng(0), []
    for number in range(3):
        ids = [f"{number}-{row}" for row in range(40)]
        scores = random.integers(0, 12, (2, 40)).astype(np.float32) / 16
        scores[:, ::7] = np.nan
        table = pd.DataFrame({"id": ids, "smiles": "C", "A": scores[0], "B": scores[1]})
        tables.append(table.drop(columns="B") if number == 1 else table)
        tables[-1].to_parquet(tmp_path / f"part-{number:05d}.parquet")
    evaluation = pd.DataFrame({"assay": ["B", "A"], "status": "ok", "roc_auc_low": [0.9, 0.8]})
    hits = best_hits(tmp_path, evaluation)
    assert list(hits) == ["B", "A"]
    for assay, best in hits.items():
        whole = pd.concat(tables).dropna(subset=assay)
        expected = whole.sort_values(assay, ascending=False, kind="stable").head(MOLECULES)
        assert [hit.id for hit in best] == expected["id"].tolist()
        assert [hit.value for hit in best] == expected[assay].tolist()
        assert [hit.rank for hit in best] == list(range(1, MOLECULES + 1))


KI = Assay("Ki", "real", "nM", "neg_log10_molar")


@pytest.mark.parametrize("from_top", [True, False])
def test_real_values_have_units_intervals_and_the_good_end_first(tmp_path: Path, from_top: bool) -> None:
    evaluation = pd.DataFrame(
        {"assay": ["Ki", "toxic"], "status": "ok", "concordance": 0.8, "concordance_low": [0.7, 0.6]}
    ).assign(concordance_high=0.9)
    values = {"Ki": [5200.0, 3.1, 40.0], "Ki:low": [100.0, 0.5, 9.0], "Ki:high": [np.inf, 20.0, 900.0]}
    frame = pd.DataFrame(
        {"id": ["a", "b", "c"], "smiles": ["C", "CC", "CCC"], **values, "toxic": [0.1, 0.9, 0.5]}
    )
    if from_top:
        best = frame.sort_values("Ki").assign(rank=[1, 2, 3], assay="Ki", unit="nM")
        best = best.rename(columns={"Ki": "value", "Ki:low": "low", "Ki:high": "high"})
        best.drop(columns="toxic").to_csv(tmp_path / "top.csv", index=False)
    else:
        frame.astype(dict.fromkeys([*values, "toxic"], np.float32)).to_parquet(
            tmp_path / "part-000000.parquet"
        )
    hits = best_hits(tmp_path, evaluation, (KI, Assay("toxic")))
    assert [hit.id for hit in hits["Ki"]] == ["b", "c", "a"]  # small concentrations are good
    assert [hit.shown for hit in hits["Ki"]] == [
        "3.10 (0.500 to 20.0) nM",
        "40.0 (9.00 to 900) nM",
        "5,200 (100 or more) nM",
    ]
    if not from_top:
        assert [hit.shown for hit in hits["toxic"]] == ["0.900", "0.500", "0.100"]


def test_half_of_the_assays_of_both_kinds_have_real_values(tmp_path: Path) -> None:
    names = [f"class {n}" for n in range(5)] + [f"value {n}" for n in range(3)]
    kinds = tuple(Assay(name, "real" if name.startswith("value") else "binary") for name in names)
    evaluation = pd.DataFrame({"assay": names, "status": "ok", "concordance_low": np.linspace(0.9, 0.5, 8)})
    evaluation = evaluation.assign(concordance=0.9, concordance_high=0.95)
    frame = pd.DataFrame({"id": ["a"], "smiles": ["C"], **dict.fromkeys(names, np.array([0.5], np.float32))})
    frame.to_parquet(tmp_path / "part-000000.parquet")
    assert list(best_hits(tmp_path, evaluation, kinds)) == ["value 0", "value 1", "class 0", "class 1"]
    of_values = evaluation[5:]
    assert list(best_hits(tmp_path, of_values, kinds)) == ["value 0", "value 1", "value 2"]
    few = evaluation.iloc[[0, 5, 6, 7]]
    assert list(best_hits(tmp_path, few, kinds)) == ["value 0", "value 1", "value 2", "class 0"]
