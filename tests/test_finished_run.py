"""A finished run in Python: its tables, its card, its pictures, and what is no finished run."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small

import screening as sc
from screening.data.tables import IN_MEMORY
from screening.evaluation import seed_configs, train_set
from screening.runtime.folders import claimed
from screening.runtime.printable import printable


@pytest.fixture(scope="module")
def run(real_run: Path) -> sc.Run:
    return sc.load_run(real_run)


def test_the_tables_are_those_of_the_folder(run: sc.Run, real_run: Path) -> None:
    evaluation, summary = sc.evaluate(run)
    pd.testing.assert_frame_equal(run.evaluation[evaluation.columns], evaluation)
    pd.testing.assert_frame_equal(run.summary, summary)
    assert run.tasks == tuple(evaluation["assay"]) == run.bundle.tasks
    assert run.config.name == "small"
    assert set(run.history.columns) == {"epoch", "assay", "loss", "weight", "valid_concordance"}
    assert len(run.rejected) == 0
    stored = pd.read_parquet(real_run / "predictions.parquet").query("part == 'valid'")
    valid = run.predictions("valid")
    for task in run.tasks:
        np.testing.assert_array_equal(valid[f"score:{task}"], stored[f"score:{task}"])
        np.testing.assert_array_equal(valid[f"label:{task}"], stored[f"label:{task}"].astype(float))


def test_it_scores_what_a_scorer_takes(run: sc.Run) -> None:
    texts = ["CCO", "C1CC", "c1ccccc1O"]
    expected = sc.Scorer.load(run).score(texts)
    pd.testing.assert_frame_equal(run.score(texts), expected)
    pd.testing.assert_frame_equal(run.score(pd.DataFrame({"smiles": texts, "n": 1})), expected)
    assert len(run.score("CCO")) == 1
    assert "in_domain" in run.score("CCO", domain=True, assays=run.tasks[:1])


def test_every_picture_draws_or_says_why_not(run: sc.Run, tmp_path: Path) -> None:
    names = [name for name in dir(run.plot) if not name.startswith("_")]
    assert "ranked_assays" in names
    of_values = {"errors", "predicted_and_measured"}
    for name in set(names) - {"weight_map"} - of_values:
        assert getattr(run.plot, name)()._repr_svg_().startswith("<svg")
        assert f".{name}()" in repr(run.plot)
    for name in of_values:
        with pytest.raises(sc.DataError, match="none of its assays has real values"):
            getattr(run.plot, name)()
    with pytest.raises(sc.DataError, match="the same weight in every epoch"):
        run.plot.weight_map()
    other = sc.load_run(small_run_folder(tmp_path / "runs" / "weighed"))
    assert other.plot.weight_map().heading == "Weight of each assay"


def small_run_folder(folder: Path, **options: object) -> Path:
    """A made-up run folder, with what `load_run` asks for besides."""
    made = small.run_folder(folder, **options)  # type: ignore[arg-type]
    (made / "bundle").mkdir()
    return made


def test_what_takes_a_run_folder_takes_a_run(run: sc.Run, tmp_path: Path) -> None:
    library = tmp_path / "library.smi"
    library.write_text("".join(f"{text} m{row}\n" for row, text in enumerate(small.smiles()[:40])))
    report = sc.score_library(run, library, tmp_path / "scores", workers=0)
    assert report.scored == 40
    hits = sc.choose_hits(run, tmp_path / "scores", tmp_path / "hits", assay=run.tasks[0], n=3)
    assert len(hits.table) == 3
    page = tmp_path / "page.html"
    assert run.report(page, scores=tmp_path / "scores").page == page
    assert sc.load_run(run).folder == run.folder


def test_runs_compare_each_other(tmp_path: Path) -> None:
    one, other = (small_run_folder(tmp_path / name) for name in ("one", "other"))
    small.rewrite(other, lambda frame: frame.assign(**{"score:assay 11": 0.5}))
    comparison = sc.load_run(one).compare(sc.load_run(other), metric="roc_auc")
    pd.testing.assert_frame_equal(comparison.assays, sc.compare([one, sc.load_run(other)]).assays)


def test_the_card_is_escaped_and_has_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = small_run_folder(tmp_path / "runs" / "made-up")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "file": "<script>alert(1)</script>.csv"}))
    card = sc.load_run("runs/made-up")._repr_html_()
    assert "<script" not in card
    assert "&lt;script&gt;alert(1)" in card
    assert "report.html</a>" not in card
    assert "run.report() writes the page" in card
    (folder / "report.html").write_text("page")
    card = sc.load_run("runs/made-up")._repr_html_()
    assert 'href="runs/made-up/report.html"' in card
    assert str(tmp_path) not in card
    assert not re.search(r"\b(nan|NaN|None)\b", card)


def test_in_a_terminal_a_run_is_a_few_lines(run: sc.Run) -> None:
    lines = repr(run).splitlines()
    assert len(lines) < 8
    assert lines[0] == f"Run {run.folder}"
    assert any("roc_auc" in line for line in lines)
    assert repr(run) == printable(repr(run), lines=True)


# --- what is no finished run --------------------------------------------------------------------------------


@pytest.fixture
def stopped(real_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "small"
    shutil.copytree(real_run, folder)
    for name in ("manifest.json", "evaluation.csv", "predictions.parquet"):
        (folder / name).unlink()
    shutil.rmtree(folder / "bundle")
    return folder


def test_a_stopped_run_says_what_is_missing_and_how_to_go_on(stopped: Path) -> None:
    with pytest.raises(sc.DataError) as problem:
        sc.load_run(stopped)
    text = str(problem.value)
    assert "it has no manifest.json, predictions.parquet, evaluation.csv, bundle." in text
    assert "finished epochs are kept" in text
    assert f"screening train {stopped / 'config.yaml'} runs={stopped.parent} name=small --resume" in text
    for path in stopped.glob("checkpoint*.pt"):
        path.unlink()
    with pytest.raises(sc.DataError, match="No epoch was finished"):
        sc.load_run(stopped)


def test_a_run_at_work_is_waited_for(stopped: Path) -> None:
    with claimed(stopped), pytest.raises(sc.DataError, match=r"being written by process .* Wait for it"):
        sc.load_run(stopped)


def test_a_finished_run_that_lost_a_file_says_so(tmp_path: Path) -> None:
    folder = small_run_folder(tmp_path / "run")
    (folder / "predictions.parquet").unlink()
    with pytest.raises(sc.DataError, match=r"has no predictions\.parquet, which a finished run has"):
        sc.load_run(folder)


def test_what_is_no_run_is_called_what_it_is(real_run: Path, tmp_path: Path) -> None:
    with pytest.raises(sc.DataError, match="is the bundle of a run: load the run"):
        sc.load_run(real_run / "bundle")
    shutil.copytree(real_run / "bundle", tmp_path / "alone")
    with pytest.raises(sc.DataError, match=r"is a bundle: .* Scorer\.load"):
        sc.load_run(tmp_path / "alone")
    assert len(sc.Scorer.load(tmp_path / "alone").score("CCO")) == 1
    with pytest.raises(sc.DataError, match="is no run folder"):
        sc.load_run(tmp_path)
    with pytest.raises(sc.DataError, match=f"There is no run folder .* Did you mean '{real_run}'"):
        sc.load_run(f"{real_run}l")
    for seed in (0, 1):
        small_run_folder(tmp_path / f"set-seed{seed}")
    with pytest.raises(sc.DataError, match=r"names a set of runs: .* \(.*set-seed0, .*set-seed1"):
        sc.load_run(tmp_path / "set")


def test_training_gives_the_run(tmp_path: Path) -> None:
    small.write(tmp_path / "table.csv")
    config = {
        "name": "a",
        "runs": str(tmp_path / "runs"),
        "data": {"source": str(tmp_path / "table.csv")},
        "features": {"graph": None, "vectors": ["ecfp_counts"]},
        "model": {"baseline": {"name": "random_forest", "trees": 5}},
        "train": {"workers": 0},
    }
    run = sc.train(config, overrides={"name": "b", "model.baseline.trees": 3})
    assert run.folder == tmp_path / "runs" / "b"
    assert run.config.model.baseline is not None
    assert run.config.model.baseline.options == {"trees": 3}
    with pytest.raises(sc.DataError, match="a baseline has no epochs"):
        run.plot.training_loss()
    with pytest.raises(sc.ConfigError, match="holds a finished run"):
        sc.train(run.config)
    assert sc.train(run.config, overwrite=True).evaluation.equals(run.evaluation)
    with pytest.raises(sc.ConfigError, match=r"'a b' is no setting to override"):
        sc.train(config, overrides={"a b": 1})


# --- a table in memory --------------------------------------------------------------------------------------


def settings(folder: Path, name: str, **more: object) -> dict[str, Any]:
    """A small network; without a source, which a table in memory does not need."""
    return {
        "name": name,
        "runs": str(folder / "runs"),
        "split": {"name": "stratified", "fractions": [0.5, 0.3, 0.2]},
        "features": {"graph": None, "vectors": ["ecfp_counts"]},
        "model": {"encoder": {"name": "fingerprint", "widths": [16]}},
        "train": {"epochs": 2, "batch_size": 32, "device": "cpu", "workers": 0, "patience": None},
        **more,
    }


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    """With a row that cannot be read, one whose structure is wrong, and one that repeats another."""
    path = small.write(tmp_path / "table.csv")
    lines = path.read_text().splitlines()
    repeated = "M0b," + lines[1].split(",", 1)[1]
    path.write_text("\n".join([*lines, "bad,C1CC,1,0,1,0", repeated, "x,1,2,3,4,5,6,7"]))
    return path


def test_a_table_in_memory_trains_as_its_file(tmp_path: Path, table_file: Path) -> None:
    of_file = sc.train(settings(tmp_path, "file", data={"source": str(table_file)}))
    table = sc.read_assays(table_file)
    labels = table.labels.copy()
    of_table = sc.train(settings(tmp_path, "table"), table)
    frame = pd.read_csv(table_file, on_bad_lines="skip")
    of_frame = sc.train(settings(tmp_path, "frame", data={"id": "id"}), frame)
    np.testing.assert_array_equal(table.labels, labels)
    for name in ("evaluation.csv", "split.csv", "labels.csv", "predictions.parquet", "history.csv"):
        content = (of_file.folder / name).read_bytes()
        assert (of_table.folder / name).read_bytes() == content
        assert (of_frame.folder / name).read_bytes() == content
    assert (of_table.folder / "rejected.csv").read_bytes() == (of_file.folder / "rejected.csv").read_bytes()
    texts = list(small.smiles()[150:160])
    pd.testing.assert_frame_equal(of_table.score(texts), of_file.score(texts))
    pd.testing.assert_frame_equal(of_frame.score(texts), of_file.score(texts))


def test_the_run_says_that_its_table_was_in_memory(tmp_path: Path) -> None:
    run = sc.train(settings(tmp_path, "a"), small.table())
    assert run.config.data.source == IN_MEMORY
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["file"] == manifest["source"] == IN_MEMORY
    assert re.fullmatch("[0-9a-f]{64}", manifest["file_sha256"])
    assert IN_MEMORY in run._repr_html_()
    with pytest.raises(sc.ConfigError, match="the table was in memory, not in a file"):
        sc.train(run.folder / "config.yaml", overwrite=True)
    with pytest.raises(TypeError, match="either a table in memory or data"):
        sc.train(settings(tmp_path, "b"), small.table(), data="table.csv")


def test_a_stopped_training_goes_on_with_the_same_table_alone(tmp_path: Path) -> None:
    table, config = small.table(), settings(tmp_path, "a")
    unbroken = sc.train({**config, "name": "unbroken"}, table)

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sc.train(config, table, on_epoch=stop)
    folder = tmp_path / "runs" / "a"
    with pytest.raises(sc.DataError, match=r"train\('.*config.yaml', table, resume=True\)"):
        sc.load_run(folder)
    labels = table.labels.copy()
    labels[0, 0] = 1 - np.nan_to_num(labels[0, 0])
    with pytest.raises(sc.ConfigError, match=r"trained on something else .* the labels of 1 of 4 assays"):
        sc.train(config, replace(table, labels=labels), resume=True)
    with pytest.raises(sc.ConfigError, match="the molecules of the table"):
        sc.train(config, table.take(range(100)), resume=True)
    resumed = sc.train(folder / "config.yaml", table, resume=True)
    assert (resumed.folder / "evaluation.csv").read_bytes() == (
        unbroken.folder / "evaluation.csv"
    ).read_bytes()
    file = tmp_path / "table.csv"
    table.write_csv(file)
    assert sc.train(folder / "config.yaml", data=file, resume=True).folder == folder


def test_a_set_of_runs_trains_on_a_table_in_memory(tmp_path: Path) -> None:
    configs = seed_configs(sc.load_config(settings(tmp_path, "a", data={"source": "any"})), 2)
    done = train_set(configs, tmp_path / "seeds.csv", data=small.table())
    assert [sc.load_run(folder).config.seed for folder in done.folders] == [0, 1]
    assert train_set(configs, tmp_path / "seeds.csv", data=small.table()).folders == done.folders
    with pytest.raises(sc.ConfigError, match="trained on something else"):
        train_set(configs, tmp_path / "seeds.csv", data=small.table(100))


# --- explanations -------------------------------------------------------------------------------------------


def test_molecules_in_memory_are_explained_as_those_of_a_file(run: sc.Run, tmp_path: Path) -> None:
    texts = ["CCO", "C1CC", "Clc1ccccc1"]
    (tmp_path / "in.csv").write_text("smiles\n" + "\n".join(texts))
    told = run.explain(texts, "halogen")
    of_file = sc.explain(run, tmp_path / "in.csv", tmp_path / "out", assay="halogen")
    pd.testing.assert_frame_equal(told.molecules, of_file.molecules)
    pd.testing.assert_frame_equal(told.atoms, pd.read_parquet(tmp_path / "out" / "contributions.parquet"))
    assert [each.row for each in told.rejected] == [2]
    assert told.folder is None
    assert len(told.pictures) == len(list((tmp_path / "out").glob("*.svg"))) == 2
    assert told.write(tmp_path / "again").folder == tmp_path / "again"
    for name in ("molecules.csv", "molecule-0001.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    frame = pd.DataFrame({"name": ["<b>", "y", "z"], "structure": texts})
    card = run.explain(frame, "halogen", column="structure")._repr_html_()
    assert card.count("<figure") == 2
    assert "<?xml" not in card
    assert "<b>" not in card
    assert "was rejected" in card
    assert len(run.explain("CCO", "halogen").molecules) == 1
    mixed = run.explain(["CCO", None, 3.5], "halogen").rejected
    assert [(each.row, each.smiles, each.reason[:12]) for each in mixed] == [
        (2, "", "the SMILES i"),
        (3, "3.5", "not a SMILES"),
    ]
    with pytest.raises(sc.ConfigError, match="has no assay 'halogens'"):
        run.explain(texts, "halogens")


@pytest.mark.parametrize(
    ("name", "model"),
    [("plain", "one network for all (gine)"), ("full", "a network for each group (hybrid, 2 times)")],
)
def test_a_run_of_version_0_3_0_loads_scores_and_draws(name: str, model: str) -> None:
    run = sc.load_run(Path(__file__).parent / "data" / "bundles" / "0.3.0" / name)
    assert run.tasks == run.bundle.tasks == tuple(run.evaluation["assay"])
    assert run.score(["CCO"])["status"].tolist() == ["ok"]
    assert "95 % interval" in run._repr_html_()
    assert model in run._repr_html_()
    assert model in repr(run)
    assert run.plot.ranked_assays().heading == "ROC-AUC of each assay"
