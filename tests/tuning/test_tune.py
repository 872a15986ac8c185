"""The search: the test part plays no role, a stopped one goes on as if it never was, mistakes are told."""

import json
import os
import pickletools
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pandas as pd
import pytest
import small

from screening import training
from screening.config import Config, check_config, load_config
from screening.data.assay_table import AssayTable
from screening.errors import ConfigError, DataError, ScreeningError
from screening.training.fitting import fit
from screening.training.preparation import Prepared, prepare_data
from screening.tuning import Tuned, tune
from screening.tuning.space import Space
from screening.tuning.study import StoredTrials
from screening.tuning.trial import TrialTable

SPACE = {
    "train.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "model.encoder.widths": {"choices": [[8], [16], [8, 8]]},
    "train.batch_size": {"low": 16, "high": 64},
}
TEST = slice(120, 150)


def table() -> AssayTable:
    """150 molecules with a column that names their parts."""
    parts = ["train"] * 80 + ["valid"] * 40 + ["test"] * 30
    return replace(small.table(), extra={"part": parts})


def config(folder: Path, **more: Any) -> Config:
    sections: dict[str, Any] = {
        "name": "small",
        "runs": str(folder / "runs"),
        "data": {"source": "given"},
        "split": {"name": "column", "column": "part"},
        "features": {"graph": None, "vectors": ["ecfp_counts"]},
        "model": {"encoder": {"name": "fingerprint", "widths": [8]}},
        "train": {"epochs": 3, "batch_size": 32, "device": "cpu", "workers": 0},
        "tune": {"space": SPACE, "prune": False},
    }
    return check_config(sections | more)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def results(tuned: Tuned) -> pd.DataFrame:
    """The table of trials without what is no result."""
    return tuned.trials.drop(columns="seconds")


def stopping(monkeypatch: pytest.MonkeyPatch, when: Callable[[Config, int], bool]) -> list[Config]:
    """Lets trainings that `when` is true of be interrupted; the configs of all that were begun."""
    begun: list[Config] = []

    def watched(settings: Config, prepared: Prepared, **options: Any) -> Any:
        begun.append(settings)
        on_epoch = options["on_epoch"]

        def stopped(epoch: Any) -> None:
            on_epoch(epoch)
            if when(settings, epoch.number):
                raise KeyboardInterrupt

        return fit(settings, prepared, **{**options, "on_epoch": stopped})

    monkeypatch.setattr("screening.tuning.trial.fit", watched)
    return begun


def test_the_best_config_trains_to_what_its_trial_came_to(folder: Path) -> None:
    tuned = tune(config(folder), trials=4, data=table())
    assert tuned.trials["state"].tolist() == ["complete"] * 4
    assert tuned.trials["trial"].tolist() == [1, 2, 3, 4]
    assert tuned.best is not None
    best = tuned.best_trial
    assert best is not None
    assert best["concordance"] == tuned.trials["concordance"].max()
    written = load_config(tuned.folder / "best.yaml")
    assert written == tuned.best
    assert (written.name, written.tune) == ("small-best", None)
    assert written.train.lr == best["train.lr"]
    assert list(written.model.encoder.options["widths"]) == best["model.encoder.widths"]
    run = training.train(written, data=table())
    values, _ = training.evaluate(run.folder, part="valid")
    assert values["roc_auc"].mean() == pytest.approx(best["concordance"], abs=1e-6)
    kept = pd.read_csv(tuned.folder / "trials.csv")
    assert kept["concordance"].tolist() == pytest.approx(tuned.trials["concordance"].tolist())
    assert [json.loads(text) for text in kept["model.encoder.widths"]] == tuned.trials[
        "model.encoder.widths"
    ].tolist()
    assert sorted(path.name for path in tuned.folder.glob("[!.]*")) == [
        *("best.yaml", "origin.json", "study.db", "study.yaml", "trials.csv", "tune.html"),
    ]


def test_the_first_trial_is_the_config_itself(folder: Path) -> None:
    tuned = tune(config(folder), trials=1, data=table())
    first = tuned.trials.iloc[0]
    assert (first["train.lr"], first["model.encoder.widths"], first["train.batch_size"]) == (1e-3, [8], 32)
    notes: list[str] = []
    outside = config(folder, name="outside", train={"epochs": 1, "lr": 0.5, "device": "cpu", "workers": 0})
    other = tune(outside, trials=1, data=table(), on_note=notes.append)
    assert other.trials["train.lr"].iloc[0] < 0.1
    assert any("own settings lie outside" in note for note in notes)


def test_a_poisoned_test_part_changes_nothing(folder: Path) -> None:
    """Its labels turned round, other structures in it: the trials come to the same numbers."""
    plain = table()
    labels, smiles = plain.labels.copy(), list(plain.smiles)
    labels[TEST] = 1 - labels[TEST]
    smiles[TEST] = ["C" * length for length in range(5, 35)]
    poisoned = replace(plain, labels=labels, smiles=smiles, canonical=smiles)
    one = tune(config(folder, name="plain"), trials=4, data=plain)
    other = tune(config(folder, name="poisoned"), trials=4, data=poisoned)
    pd.testing.assert_frame_equal(results(one), results(other))


def test_a_trial_has_no_molecule_of_the_test_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Prepared] = []

    def watched(settings: Config, prepared: Prepared, **options: Any) -> Any:
        given.append(prepared)
        return fit(settings, prepared, **options)

    monkeypatch.setattr("screening.tuning.trial.fit", watched)
    features = {"features.vectors": {"choices": [["ecfp_counts"], ["atom_pairs"]]}}
    tune(config(folder, tune={"space": features}), trials=3, data=table())
    assert len(given) == 3
    for prepared in given:
        assert set(prepared.table.smiles).isdisjoint(table().smiles[TEST])
        assert set(prepared.split.parts) == {"train", "valid"}
        assert len(prepared.table) == len(prepared.store) == len(prepared.split.parts) == 120
        assert prepared.rejected == []


def test_material_of_a_config_is_what_training_has_but_for_the_test_part(folder: Path) -> None:
    settings = config(folder)
    whole = prepare_data(settings, table())
    prepared = TrialTable(whole).of(settings)
    for part in ("train", "valid"):
        there, here = whole.split.rows(part), prepared.split.rows(part)
        assert (whole.table.labels[there] == prepared.table.labels[here])[
            ~np.isnan(whole.table.labels[there])
        ].all()
        one, other = whole.store.batch(there), prepared.store.batch(here)
        assert (one.vectors == other.vectors).all()


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_search_that_was_killed_goes_on_as_if_it_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    whole = tune(config(folder, name="whole"), trials=5, data=table())
    with monkeypatch.context() as patch:
        begun = stopping(patch, lambda settings, number: len(begun) == 3 and number == epoch)
        with pytest.raises(KeyboardInterrupt):
            tune(config(folder), trials=5, data=table())
    left = pd.read_csv(folder / "runs" / "small-tune" / "trials.csv")
    assert left["state"].tolist() == ["complete"] * 2
    again = tune(config(folder), trials=5, data=table())
    pd.testing.assert_frame_equal(results(again), results(whole))
    assert not (again.folder / "trials").exists()
    assert again.best == load_config(whole.folder / "best.yaml", {"name": "small-best"})


def test_trials_count_those_of_earlier_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = tune(config(folder), trials=2, data=table())
    begun = stopping(monkeypatch, lambda settings, number: False)
    more = tune(config(folder), trials=4, data=table())
    assert len(begun) == 2
    pd.testing.assert_frame_equal(results(more).head(2), results(one))
    tune(config(folder), trials=3, data=table())
    assert len(begun) == 2
    anew = tune(config(folder, seed=1), trials=2, data=table(), overwrite=True)
    assert len(begun) == 4
    assert anew.trials["concordance"].tolist() != one.trials["concordance"].tolist()


def test_seeds_are_averaged(folder: Path) -> None:
    both = tune(config(folder, tune={"space": SPACE, "seeds": 2}), trials=2, data=table())
    by_seed = [
        tune(config(folder, name=f"seed{seed}", seed=seed), trials=1, data=table()).trials["concordance"][0]
        for seed in (0, 1)
    ]
    assert by_seed[0] != by_seed[1]
    assert both.trials["concordance"][0] == pytest.approx(np.mean(by_seed))
    assert both.trials["epochs"][0] == 6


def test_failed_trials_are_counted_and_say_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(settings: Config, prepared: Prepared, **options: Any) -> Any:
        if list(settings.model.encoder.options["widths"]) == [8, 8]:
            raise ScreeningError("<b>too deep</b>")
        return fit(settings, prepared, **options)

    monkeypatch.setattr("screening.tuning.trial.fit", failing)
    tuned = tune(config(folder), trials=8, data=table())
    failed = tuned.trials["state"] == "failed"
    assert failed.sum() == sum(widths == [8, 8] for widths in tuned.trials["model.encoder.widths"]) > 0
    assert (tuned.trials.loc[failed, "reason"] == "ScreeningError: <b>too deep</b>").all()
    assert tuned.trials.loc[failed, "concordance"].isna().all()
    assert not failed[tuned.trials["concordance"].idxmax()]
    page = (tuned.folder / "tune.html").read_text()
    assert "&lt;b&gt;too deep" in page
    assert "<b>too deep" not in page


def test_where_all_trials_fail_there_is_no_best(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(settings: Config, prepared: Prepared, **options: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr("screening.tuning.trial.fit", failing)
    tuned = tune(config(folder), trials=3, data=table())
    assert (tuned.trials["state"] == "failed").all()
    assert (tuned.best, tuned.best_trial, tuned.importance) == (None, None, {})
    assert not (tuned.folder / "best.yaml").exists()
    assert "no best settings" in (tuned.folder / "tune.html").read_text()


def test_auxiliary_tables_are_refused_before_a_trial(folder: Path) -> None:
    data = {"source": "given", "auxiliary": ["toxcast"]}
    with pytest.raises(ConfigError, match=r"data\.auxiliary=\[\]"):
        tune(config(folder, data=data), trials=2, data=table())
    assert not (folder / "runs").exists()


def test_hopeless_trials_are_stopped_early(folder: Path) -> None:
    sections = {"space": {"train.lr": {"choices": [1e-12, 3e-2, 2e-2, 1e-2]}}}
    train = {"epochs": 6, "batch_size": 16, "lr": 0.02, "device": "cpu", "workers": 0, "patience": None}
    tuned = tune(config(folder, train=train, tune=sections), trials=14, data=table())
    pruned = tuned.trials[tuned.trials["state"] == "pruned"]
    assert len(pruned) > 0
    assert (pruned["epochs"] < 6).all()
    assert pruned["trial"].min() > 5
    assert (tuned.trials.loc[tuned.trials["state"] == "complete", "epochs"] == 6).all()
    best = tuned.best_trial
    assert best is not None
    assert best["state"] == "complete"
    unpruned = tune(
        config(folder, name="all", train=train, tune={**sections, "prune": False}), trials=14, data=table()
    )
    assert (unpruned.trials["state"] == "complete").all()


@pytest.mark.parametrize(
    "model",
    [
        {"baseline": {"name": "random_forest", "trees": 10}},
        {"encoder": {"name": "fingerprint", "widths": [8]}, "blend": ["network", "logistic_regression"]},
    ],
)
def test_baselines_and_blends_have_a_default_space(folder: Path, model: dict[str, Any]) -> None:
    tuned = tune(config(folder, model=model, tune=None), trials=2, data=table())
    assert (tuned.trials["state"] == "complete").all()
    assert tuned.best is not None
    assert [part.name for part in tuned.best.model.parts] == [
        part.name for part in config(folder, model=model).model.parts
    ]


def test_real_values_are_judged_by_concordance(folder: Path) -> None:
    sections = mixed.settings(folder, tune={"space": {"train.lr": SPACE["train.lr"]}})
    tuned = tune(check_config(sections), trials=2, data=mixed.table())
    assert tuned.metric == "concordance"
    assert tuned.best is not None
    run = training.train(tuned.best, data=mixed.table())
    values, _ = training.evaluate(run.folder, part="valid")
    assert tuned.trials["concordance"].max() == pytest.approx(values["concordance"].mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"epochs": 4, "device": "cpu", "workers": 0}}, "train.epochs was 3 and is 4"),
        ({"tune": {"space": {"train.lr": SPACE["train.lr"]}, "prune": False}}, "tune.space is another"),
        ({"tune": {"space": SPACE, "prune": False, "seeds": 2}}, "tune.seeds was 1 and is 2"),
    ],
)
def test_another_config_is_no_continuation(folder: Path, changes: dict[str, Any], message: str) -> None:
    tune(config(folder), trials=1, data=table())
    with pytest.raises(ConfigError, match=message):
        tune(config(folder, **changes), trials=2, data=table())


def test_another_table_is_no_continuation(folder: Path) -> None:
    tune(config(folder), trials=1, data=table())
    labels = table().labels.copy()
    labels[0] = 1 - labels[0]
    with pytest.raises(ConfigError, match="the labels of"):
        tune(config(folder), trials=2, data=replace(table(), labels=labels))


def test_a_folder_of_something_else_stays(folder: Path) -> None:
    other = folder / "runs" / "small-tune"
    other.mkdir(parents=True)
    (other / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="not the folder of a study"):
            tune(config(folder), trials=1, data=table(), overwrite=overwrite)
    assert (other / "notes.txt").read_text() == "mine"


def test_a_damaged_study_is_told(folder: Path) -> None:
    tuned = tune(config(folder), trials=1, data=table())
    (tuned.folder / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match=r"study\.db is damaged"):
        tune(config(folder), trials=2, data=table())
    assert len(tune(config(folder), trials=1, data=table(), overwrite=True).trials) == 1


def test_a_validation_part_that_judges_nothing_is_told(folder: Path) -> None:
    labels = table().labels.copy()
    labels[80:120] = np.where(np.isnan(labels[80:120]), np.nan, 0)
    with pytest.raises(DataError, match="nothing to choose settings by"):
        tune(config(folder), trials=1, data=replace(table(), labels=labels))
    with pytest.raises(ConfigError, match="`trials` is 0"):
        tune(config(folder), trials=0, data=table())


def test_nothing_in_the_study_is_pickled(folder: Path) -> None:
    space = {**SPACE, "balancer": {"choices": ["equal", ["slaw", "pcgrad"]]}}
    tuned = tune(config(folder, tune={"space": space}), trials=7, data=table())
    with sqlite3.connect(tuned.folder / "study.db") as database:
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        cells = [cell for name in names for row in database.execute(f"select * from {name}") for cell in row]
    assert len(cells) > 200
    assert {type(cell) for cell in cells} <= {str, int, float, type(None)}
    for text in (cell for cell in cells if isinstance(cell, str)):
        with pytest.raises((ValueError, UnicodeEncodeError)):
            pickletools.dis(text.encode("latin-1"), out=open(os.devnull, "w"))  # noqa: SIM115


def test_processes_take_different_trials_and_never_too_many(folder: Path) -> None:
    settings = config(folder)
    place = folder / "study"
    place.mkdir()
    one, other = (StoredTrials(place, Space.of(settings), seed=0, epochs=0) for _ in range(2))
    with one.taken(3) as first, other.taken(3) as second, one.taken(3) as third:
        assert first is not None
        assert second is not None
        assert third is not None
        assert [trial.number for trial in (first, second, third)] == [0, 1, 2]
        with other.taken(3) as fourth:
            assert fourth is None
        one.finish(first, 0.5)
    with other.taken(3) as left:  # whose process is gone
        assert left is not None
        assert left.number == 1
        assert left.params == second.params
    assert other.table()["state"].tolist() == ["complete", "running", "running"]


@pytest.mark.slow
def test_two_commands_at_once_share_the_trials(folder: Path) -> None:
    table().write_csv(folder / "table.csv")
    (folder / "small.yaml").write_text(
        "name: small\ndata: {source: table.csv, tasks: [halogen, acid]}\n"
        "split: {name: column, column: part}\n"
        "features: {graph: null, vectors: [ecfp_counts]}\n"
        "model: {encoder: {name: fingerprint, widths: [8]}}\n"
        "train: {epochs: 3, device: cpu, workers: 0}\n"
        "tune: {space: {train.lr: {low: 1e-4, high: 0.1, log: true}}}\n"
    )
    command = [sys.executable, "-m", "screening", "tune", "small.yaml", "--trials", "12"]
    both = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    begun = [line.split()[1] for _, errors in answers for line in errors.splitlines() if line[:6] == "trial "]
    assert sorted(map(int, begun)) == list(range(1, 13))
    assert all(any(line[:6] == "trial " for line in errors.splitlines()) for _, errors in answers)
    trials = pd.read_csv(folder / "runs" / "small-tune" / "trials.csv")
    assert len(trials) == 12
    assert set(trials["state"]) <= {"complete", "pruned"}
    assert "Train the best: screening train runs/small-tune/best.yaml" in answers[0][0]
