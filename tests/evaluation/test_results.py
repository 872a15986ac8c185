"""Any finished run has a page, whatever its test part lacks; damaged files and full disks get a sentence."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small

from screening.errors import DataError, ScreeningError
from screening.evaluation.results import read_material
from screening.metrics.per_assay import write_evaluation
from screening.reporting.pictures import plot_assays
from screening.reporting.report import write_report
from screening.training.predictions import LABEL, SCORE


def relabel(new: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Every measured label of the test part becomes `new`."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        for name in filter(lambda name: name.startswith(LABEL), frame):
            frame.loc[(frame["part"] == "test") & frame[name].notna(), name] = new
        return frame

    return change


def scored(value: Callable[[pd.Series], pd.Series]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        labels = [name for name in frame if name.startswith(LABEL)]
        columns = {name.replace(LABEL, SCORE): value(frame[name]).astype("float32") for name in labels}
        return frame.assign(**columns)

    return change


def first(n: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: pd.concat([frame[frame["part"] != "test"], frame[frame["part"] == "test"].head(n)])


def one_assay(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["row", "id", "smiles", "part", f"{LABEL}assay 5", f"{SCORE}assay 5"]]


CHANGES = {
    "no active": relabel(0),
    "no inactive": relabel(1),
    "no label": relabel(np.nan),
    "one molecule": first(1),
    "two molecules": first(2),
    "one assay": one_assay,
    "no validation part": lambda frame: frame[frame["part"] == "test"],
    "one score for all": scored(lambda labels: labels.fillna(0) * 0 + 0.5),
    "perfect": scored(lambda labels: labels.fillna(0.5)),
    "all wrong": scored(lambda labels: 1 - labels.fillna(0.5)),
    "structures nobody can read": lambda frame: frame.assign(smiles="nonsense", id=""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_the_test_part_lacks_there_is_a_page(tmp_path: Path, name: str) -> None:
    run = small.run_folder(tmp_path / "run", n_tasks=6)
    small.rewrite(run, CHANGES[name])
    (run / "scores").mkdir()
    scores = dict.fromkeys(read_material(run).evaluation["assay"], 0.5)
    pd.DataFrame([{"id": "a", "smiles": "CCO", **scores}]).to_parquet(run / "scores" / "part-000000.parquet")
    text = write_report(run).page.read_text(encoding="utf-8")
    rows = read_material(run).evaluation
    assert text.count("<tr data-verdict=") == len(rows)
    assert ("No assay can be judged" in text) == rows["roc_auc"].isna().all()


@pytest.mark.parametrize("kind", ["gine", "baseline", "one network each", "ensemble"])
@pytest.mark.slow
def test_every_kind_of_model_has_a_page(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from screening import training
    from screening.config import check_config

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    network = {"encoder": {"name": "gine", "depth": 1, "width": 8}}
    models = {"baseline": {"baseline": "random_forest"}, "one network each": {**network, "single_task": True}}
    features = {"graph": None, "vectors": ["ecfp_bits"]} if kind == "baseline" else {"graph": "atom_codes"}
    config = check_config(
        {
            "name": "kind",
            "runs": str(tmp_path),
            "data": {"source": str(small.write(tmp_path / "small.csv", n=150))},
            "split": "random",
            "features": features,
            "model": models.get(kind, network),
            "train": {"epochs": 1, "workers": 0, "ensemble": 2 if kind == "ensemble" else 1},
        }
    )
    run = training.train(config)
    assert write_report(run.folder).size > 10_000


FILES = ("predictions.parquet", "evaluation.csv", "config.yaml", "manifest.json", "history.csv", "labels.csv")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\x00garbage,\n1,2,3\n", None])
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    run = small.run_folder(tmp_path / "run", n_tasks=4)
    (run / name).unlink() if content is None else (run / name).write_bytes(content)
    if name in ("history.csv", "labels.csv") and not content:
        write_report(run)  # runs without epochs or counts have none
        return
    with pytest.raises(ScreeningError, match=str(run)):
        write_report(run)


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    """An assay fewer in one file: every later row would carry its neighbour's curve."""
    run = small.run_folder(tmp_path / "run", n_tasks=6)
    table = pd.read_csv(run / "evaluation.csv")
    for rows in (table[table["assay"] != "assay 3"], table.iloc[::-1], table[table["part"] == "valid"]):
        rows.to_csv(run / "evaluation.csv", index=False)
        with pytest.raises(DataError, match=r"evaluation\.csv: the part"):
            write_report(run)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"versions": None}, "versions"),
        ({"molecules": {"train": 3}}, "molecules"),
        ({"file": 7, "seed": "x"}, "file, seed"),
    ],
)
def test_a_damaged_manifest_is_refused_by_name(tmp_path: Path, changes: dict, named: str) -> None:
    run = small.run_folder(tmp_path / "run", n_tasks=4)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | changes))
    with pytest.raises(DataError, match=f"manifest.json is damaged: {named} not as"):
        write_report(run)


def test_an_assay_without_label_counts_is_drawn_without(tmp_path: Path) -> None:
    run = small.run_folder(tmp_path / "run", n_tasks=6)
    counts = pd.read_csv(run / "labels.csv")
    counts[counts["assay"] != "assay 3"].to_csv(run / "labels.csv", index=False)
    assert write_report(run).size > 10_000


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file can grow beyond `room` bytes: the system refuses the write as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_explained_and_leaves_the_old_page(tmp_path: Path) -> None:
    run = small.run_folder(tmp_path / "run", n_tasks=4)
    before = write_report(run).page.read_bytes()
    with full_disk(1000), pytest.raises(DataError, match=r"report\.html: there is no room left"):
        write_report(run)
    assert (run / "report.html").read_bytes() == before
    table = read_material(run).evaluation
    for write, name in (
        (lambda path: write_evaluation(table, path), "assays.csv"),
        (lambda path: write_evaluation(table, path), "assays.parquet"),
        (lambda path: plot_assays(table, path, title="run"), "assays.svg"),
    ):
        with full_disk(100), pytest.raises(DataError, match=f"{name} cannot be written"):
            write(tmp_path / name)
        with pytest.raises(DataError, match=f"{name} cannot be written"):
            write(tmp_path / "nowhere" / name)
    assert not list(tmp_path.glob(".assays*"))
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_report(run)
