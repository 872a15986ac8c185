"""A whole run: what is in its folder, what is refused, and that every input row is accounted for."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
import torch
from runs import config

from screening import training
from screening.cli import families
from screening.config import Config, load_config, to_yaml
from screening.data.splits import Split
from screening.data.tables import open_table
from screening.errors import ConfigError, DataError, ScreeningError
from screening.evaluation.replicates import train_set
from screening.grouping import choosing
from screening.metrics.per_assay import evaluate as evaluate_scores
from screening.reporting.report import write_report
from screening.scoring.job import Scorer, score_library
from screening.training import preparation
from screening.training.run_folder import read_table, write_text

FILES = {
    "bundle",
    "checkpoint.pt",
    "calibration.csv",
    "config.yaml",
    "epochs.csv",
    "evaluation.csv",
    "history.csv",
    "labels.csv",
    "manifest.json",
    "predictions.parquet",
    "rejected.csv",
    "split.csv",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> training.Trained:
    folder = tmp_path_factory.mktemp("experiment")
    source = small.write(folder / "small.csv", n=150)
    with source.open("a") as file:
        file.write("BAD1,C1CC,1,0,,\nBAD2,,,,1,\n")
    return training.train(config(folder, source))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_the_run_folder_has_everything(run: training.Trained) -> None:
    assert {path.name for path in run.folder.iterdir()} == FILES


def test_every_row_is_in_the_split_or_rejected(run: training.Trained) -> None:
    split = pd.read_csv(run.folder / "split.csv")
    rejected = pd.read_csv(run.folder / "rejected.csv", keep_default_na=False)
    assert rejected["id"].tolist() == ["BAD1", "BAD2"]
    assert rejected["reason"].str.len().gt(0).all()
    assert sorted([*(split["row"] + 1), *rejected["row"]]) == list(range(1, 153))
    assert set(split["part"]) == {"train", "valid", "test"}


def test_labels_are_counted_per_part(run: training.Trained) -> None:
    counts = read_table(run.folder, "labels.csv")
    tested = counts[counts["part"] == "test"].reset_index(drop=True)
    assert tested["assay"].tolist() == run.evaluation["assay"].tolist()
    assert tested["actives"].tolist() == run.evaluation["actives"].tolist()
    assert (tested["measured"] - tested["actives"]).tolist() == run.evaluation["inactives"].tolist()
    table = small.table(150)
    total = counts.groupby("assay", sort=False)[["measured", "actives"]].sum()
    assert total["measured"].tolist() == np.isfinite(table.labels).sum(0).tolist()
    assert total["actives"].tolist() == (table.labels == 1).sum(0).tolist()


def test_the_saved_config_runs_again(run: training.Trained) -> None:
    assert load_config(run.folder / "config.yaml") == run.config


def test_evaluation_is_that_of_the_saved_predictions(run: training.Trained) -> None:
    table, summary = training.evaluate(run.folder)
    pd.testing.assert_frame_equal(table, run.evaluation)
    pd.testing.assert_frame_equal(summary, run.summary)
    frame = pd.read_parquet(run.folder / "predictions.parquet")
    valid, _ = training.evaluate(run.folder, part="valid")
    part = frame[frame["part"] == "valid"]
    labels = part[[f"label:{task}" for task in table["assay"]]].to_numpy(np.float32)
    scores = part[[f"score:{task}" for task in table["assay"]]].to_numpy(np.float32)
    expected = evaluate_scores(labels, scores, list(table["assay"]), part="valid")
    pd.testing.assert_frame_equal(valid.drop(columns="reason"), expected.drop(columns="reason"))


def test_the_bundle_gives_the_saved_predictions(run: training.Trained) -> None:
    frame = pd.read_parquet(run.folder / "predictions.parquet")
    scores = Scorer.load(run.folder).score(frame["smiles"].tolist())
    for task in run.evaluation["assay"]:
        np.testing.assert_allclose(scores[task], frame[f"score:{task}"], rtol=1e-5, atol=1e-6)


def test_the_manifest_says_where_the_run_comes_from(run: training.Trained) -> None:
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["finished"]
    assert len(manifest["file_sha256"]) == 64
    assert manifest["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert sum(manifest["molecules"].values()) + manifest["rejected"] == 152


def test_the_same_config_gives_the_same_files(run: training.Trained, tmp_path: Path) -> None:
    source = Path(run.config.data.source)
    again = training.train(run.config.model_copy(update={"runs": str(tmp_path / "again")}))
    for name in ("history.csv", "evaluation.csv", "predictions.parquet", "bundle/member-0.safetensors"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name
    assert source.exists()


def test_a_baseline_is_a_run_like_any_other(tmp_path: Path) -> None:
    source = small.write(tmp_path / "small.csv", n=150)
    baseline = {"model": {"baseline": {"name": "random_forest", "trees": 20}}}
    notes: list[str] = []
    run = training.train(config(tmp_path, source, **baseline), on_note=notes.append)
    assert {path.name for path in run.folder.iterdir()} == FILES - {"checkpoint.pt"}
    assert run.summary.set_index("metric").loc["roc_auc", "mean"] > 0.6
    assert any("random_forest (trees=20" in note for note in notes)
    frame = pd.read_parquet(run.folder / "predictions.parquet")
    scores = Scorer.load(run.folder).score(frame["smiles"].tolist())
    for task in run.evaluation["assay"]:
        np.testing.assert_allclose(scores[task], frame[f"score:{task}"], rtol=1e-5, atol=1e-6)


def test_wrong_baselines_are_explained_before_training(tmp_path: Path) -> None:
    source = small.write(tmp_path / "small.csv", n=150)
    for model, message in (
        ({"baseline": "random_forrest"}, "Did you mean 'random_forest'"),
        ({"baseline": {"name": "random_forest", "treees": 1}}, "Did you mean 'trees'"),
        ({"baseline": "random_forest", "single_task": True}, "leave model.single_task out"),
    ):
        with pytest.raises(ConfigError, match=message):
            training.plan(config(tmp_path, source, model=model))


def test_a_finished_run_is_not_written_over(run: training.Trained) -> None:
    with pytest.raises(ConfigError, match=r"finished run.*`overwrite`"):
        training.train(run.config)


def test_resume_with_other_settings_is_refused(run: training.Trained) -> None:
    other = run.config.model_copy(update={"seed": 5})
    with pytest.raises(ConfigError, match="differs from the settings"):
        training.train(other, resume=True)


def test_overwrite_removes_run_folders_only(tmp_path: Path) -> None:
    source = small.write(tmp_path / "small.csv")
    settings = config(tmp_path, source)
    settings.folder.mkdir(parents=True)
    (settings.folder / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="not a run folder"):
        training.train(settings, overwrite=True)
    assert (settings.folder / "thesis.tex").exists()


def test_plan_does_not_make_a_run_folder(tmp_path: Path) -> None:
    settings = config(tmp_path, small.write(tmp_path / "small.csv"))
    notes = training.plan(settings)
    assert any("weights" in note for note in notes)
    assert not settings.folder.exists()


@pytest.mark.parametrize(
    "more", [{}, {"features": {"vectors": ["rdkit_fast"]}, "model": {"encoder": {"name": "hybrid"}}}]
)
def test_plan_says_what_training_says_from_the_features_of_few_molecules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    settings = config(tmp_path, small.write(tmp_path / "small.csv"), **more)
    told: list[str] = []
    training.train(settings, on_note=told.append)
    counts: list[int] = []

    def counted(smiles: list[str], *arguments: object, **options: object) -> object:
        counts.append(len(smiles))
        return preparation_featurize(smiles, *arguments, **options)  # type: ignore[arg-type]

    preparation_featurize = preparation.featurize
    monkeypatch.setattr(preparation, "featurize", counted)
    monkeypatch.setattr(preparation, "SAMPLE", 10)
    notes = training.plan(settings)
    assert notes == told[: len(notes)]
    assert len(counts) == 1
    assert 10 <= counts[0] <= 10 + len(small.PATTERNS)


def test_plan_of_an_assay_that_is_measured_late_finds_a_molecule_for_it(tmp_path: Path) -> None:
    table = small.table()
    labels = table.labels.copy()
    labels[:, 1] = np.nan
    labels[-6:, 1] = [0, 1, 0, 1, 0, 1]
    rows = preparation.sample_rows(replace(table, labels=labels), Split(["train"] * len(table)))
    assert np.isfinite(labels[rows]).any(axis=0).all()
    assert len(set(rows.tolist())) == len(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,A\nCCO,1\nCCN,1\nCCC,1\n", "every label is active"),
        ("smiles,A\nC1CC,1\nXx,0\n", "no usable molecule"),
        ("smiles,A\nCCO,active\nCCN,inactive\n", "active"),
        ("smiles,A\nCCO,5.3\nCCN,7.1\n", "A"),
    ],
)
def test_tables_that_cannot_be_trained_on(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        training.train(config(tmp_path, tmp_path / "bad.csv"))
    assert not (tmp_path / "runs" / "small" / "bundle").exists()


def test_a_missing_part_or_run_is_explained(run: training.Trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no part 'tset'\. Did you mean 'test'"):
        training.evaluate(run.folder, part="tset")
    with pytest.raises(DataError, match="not a finished run"):
        training.evaluate(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["balancers", "baselines", "calibrations", "encoders", "featurizers", "filters", "splits", "metrics"],
)
def test_every_member_of_a_family_says_what_it_is(name: str) -> None:
    members = families.family(name)
    assert members
    for member in members:
        assert member.summary.endswith((".", ":")), member
        assert len(member.summary) < 260, member
    assert len({member.summary for member in members}) == len(members)
    if name == "balancers":
        assert all(member.cost for member in members)
        assert sum(bool(member.paper) for member in members) > 0.9 * len(members)


def test_an_unknown_family_is_explained() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'balancers'"):
        families.family("balancer")


def bad_files() -> list[str]:
    """Every file of bad input that lies beside the real tables."""
    folder = Path(os.environ.get("SCREENING_DATA", "")) / "dirty"
    files = [*folder.glob("dirty.*"), *folder.glob("variants/*")] if folder.is_dir() else []
    return sorted(str(path.relative_to(folder)) for path in files) or ["none here"]


@pytest.mark.parametrize("name", bad_files())
def test_every_bad_file_is_trained_on_or_explained(tmp_path: Path, real_data: Path, name: str) -> None:
    """Rows are used or rejected, or there is one paragraph; nothing else may happen."""
    settings = config(
        tmp_path,
        real_data / "dirty" / name,
        features={"graph": "atom_codes"},
        model={"encoder": {"name": "gine", "depth": 1, "width": 8}},
        train={"epochs": 1, "device": "cpu", "workers": 0},
    )
    try:
        run = training.train(settings)
    except ScreeningError as problem:
        assert len(str(problem)) > 40
        assert "\n\n" not in str(problem)
        assert not (settings.folder / "bundle").exists()
        return
    kept = len(pd.read_csv(run.folder / "split.csv"))
    rejected = len(pd.read_csv(run.folder / "rejected.csv"))
    merged = json.loads((run.folder / "manifest.json").read_text())["merged"]
    assert kept + rejected + merged == count_records(real_data / "dirty" / name)


@pytest.mark.parametrize("name", bad_files())
def test_every_bad_file_is_scored_or_explained(
    run: training.Trained, tmp_path: Path, real_data: Path, name: str
) -> None:
    path = real_data / "dirty" / name
    try:
        report = score_library(run.folder, path, tmp_path / "out", workers=0)
    except ScreeningError as problem:
        assert len(str(problem)) > 40
        assert "\n\n" not in str(problem)
        return
    assert report.read == report.scored + report.rejected == count_records(path)


def count_records(path: Path) -> int:
    return sum(len(block) for block in open_table(path))


def test_mapped_labels_train_the_dirty_table(tmp_path: Path, real_data: Path) -> None:
    """The error about unknown labels lists them all; with a word for each, the table trains."""
    settings = config(tmp_path, real_data / "dirty" / "dirty.csv", data={"id": "compound_id"})
    with pytest.raises(DataError) as caught:
        training.train(settings)
    assert "ASSAY-1" in str(caught.value)
    words = [
        "active",
        "inactive",
        "NA",
        "nan",
        "?",
        "x",
        "-1",
        "2",
        "0.5",
        "inf",
        "<1",
        "yes",
        "TRUE",
        "False",
    ]
    words.append('"1"')
    assert all(word in str(caught.value) for word in words), str(caught.value)
    meanings = dict.fromkeys(words, None) | {"active": 1, "yes": 1, "TRUE": 1, "inactive": 0, "False": 0}
    data = {"id": "compound_id", "labels": meanings, "tasks": [f"ASSAY-{n}" for n in range(1, 7)]}
    run = training.train(config(tmp_path, real_data / "dirty" / "dirty.csv", data=data), overwrite=True)
    status = run.evaluation.set_index("assay")["status"]
    assert status["ASSAY-5"] == "no labels"
    assert status["ASSAY-4"] in ("one class", "no labels")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Config]]:
    """A process that trains for long, at its third epoch."""
    settings = config(tmp_path, small.write(tmp_path / "small.csv"), train=LONG)
    write_text(tmp_path / "long.yaml", to_yaml(settings))
    command = [sys.executable, "-m", "screening", "train", "long.yaml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert any(line.startswith("epoch   3") for line in process.stderr)
            yield process, settings
        finally:
            process.kill()


LONG = {"epochs": 5000, "patience": None, "batch_size": 64, "device": "cpu", "workers": 0}


def test_a_running_run_is_left_alone(running: tuple[subprocess.Popen[str], Config]) -> None:
    """Whoever comes second hears who is at it, and the run is never called stopped; killed, it goes on."""
    process, settings = running
    at_it = rf"being written by process {process.pid} on \S+ since \d{{4}}-"
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(DataError, match=rf"in use by another process: it is {at_it}"):
            training.train(settings, **options)
    with pytest.raises(DataError, match=at_it):
        choosing.group(settings, choosing.Choice(n_groups=2), resume=True)
    with pytest.raises(DataError, match=at_it):
        train_set([settings], Path("set.csv"))
    for read in (training.evaluate, write_report):
        with pytest.raises(DataError, match=at_it):
            read(settings.folder)
    assert process.poll() is None
    n_epochs = len(torch.load(settings.folder / "checkpoint.pt", weights_only=True)["history"])
    assert n_epochs >= 3
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(ConfigError, match=r"holds a run that was stopped.*`resume`"):
        training.train(settings)


def test_what_cannot_be_built_leaves_no_run_behind(tmp_path: Path) -> None:
    """Options of a network of torch-geometric are known once it is built, after the table was read."""
    model = {"encoder": {"name": "pyg", "model": "GIN", "options": {"nonsense": 1}}}
    small.write(tmp_path / "small.csv")
    settings = config(tmp_path, tmp_path / "small.csv", model=model)
    with pytest.raises(ConfigError, match="nonsense"):
        training.train(settings)
    assert not (settings.folder / "config.yaml").exists()
    settings = config(tmp_path, tmp_path / "small.csv", train={"epochs": 1, "device": "cpu", "workers": 0})
    assert training.train(settings).folder == settings.folder


def test_a_run_whose_folder_was_removed_stops_and_does_not_write_into_another(tmp_path: Path) -> None:
    settings = config(tmp_path, small.write(tmp_path / "small.csv"), train=LONG)
    seen: list[object] = []

    def remove(epoch: object) -> None:
        seen.append(epoch)
        shutil.rmtree(settings.folder)
        if len(seen) == 1:
            settings.folder.mkdir()

    with pytest.raises(DataError, match="was removed or replaced while this process was writing"):
        training.train(settings, on_epoch=remove)
    assert len(seen) == 1
    assert list(settings.folder.iterdir()) == []


def test_a_folder_removed_under_a_run_is_explained(tmp_path: Path) -> None:
    settings = config(tmp_path, small.write(tmp_path / "small.csv"), train=LONG)
    with pytest.raises(DataError, match="was removed or replaced"):
        training.train(settings, on_epoch=lambda epoch: shutil.rmtree(settings.folder))


def test_what_killed_processes_left_in_a_run_folder_goes(run: training.Trained, tmp_path: Path) -> None:
    """Bundles and files under a temporary name, of this and of earlier versions, and nothing else."""
    folder = tmp_path / "runs" / "small"
    shutil.copytree(run.folder, folder)
    (folder / ".bundle-a1b2c3d4").mkdir()
    (folder / ".bundle-a1b2c3d4" / "member-0.safetensors").write_bytes(b"half")
    (folder / ".bundle-a1b2c3d4-old").mkdir()
    for name in (".checkpoint.pt", ".history.csv.host.example.12", ".predictions.parquet", ".notes"):
        (folder / name).write_text("half")
    training.train(run.config.model_copy(update={"runs": str(tmp_path / "runs")}), resume=True)
    assert {path.name for path in folder.iterdir()} == FILES | {".notes"}
