"""Runs of a set together: folds side by side, seeds averaged, the same numbers as plain loops."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mixed
import numpy as np
import pandas as pd
import pytest
import small
from sklearn.metrics import roc_auc_score

from screening.cli import main as cli
from screening.errors import DataError
from screening.evaluation.pooled import pool, read_pooled_material
from screening.evaluation.results import read_material
from screening.metrics.concordance import concordance
from screening.metrics.per_assay import evaluate
from screening.reporting.report import write_report
from screening.training.predictions import CENSORED, LABEL, SCORE, read_predictions
from screening.training.run_folder import ASSAYS

N = 3


def make_set(folder: Path, kind: str, change: Callable[[pd.DataFrame, int], pd.DataFrame]) -> Path:
    """Runs that differ in what `change` makes of one run's predictions."""
    source = small.run_folder(folder / "source", n=240, n_tasks=6)
    for number in range(N):
        run = folder / f"a-{kind}{number}"
        shutil.copytree(source, run)
        small.rewrite(run, lambda frame, number=number: change(frame, number))
    return folder / "a"


def of_fold(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    return frame.assign(part=np.where(np.arange(len(frame)) % N == number, "test", "valid"))


def of_seed(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    random = np.random.default_rng(number)
    scores = [name for name in frame if name.startswith(SCORE)]
    noise = random.uniform(0, 0.3, (len(frame), len(scores)))
    changed = frame.assign(**{name: np.float32(0.7) * frame[name] for name in scores})
    changed[scores] = (changed[scores] + noise).astype("float32")
    return changed.sample(frac=1, random_state=number)  # rows in another order


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("folds"), "fold", of_fold)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("seeds"), "seed", of_seed)


def test_folds_stand_side_by_side(folds: Path) -> None:
    """Every molecule once, with the probability of the one run that did not train on it."""
    source = pd.read_parquet(folds.parent / "source" / "predictions.parquet").sort_values("row")
    found = pool(folds)
    assert found.repeated == 0
    assert found.predictions.rows.tolist() == source["row"].tolist()
    for task, name in enumerate(found.predictions.tasks):
        labels, scores = source[LABEL + name].to_numpy(float), source[SCORE + name].to_numpy()
        np.testing.assert_array_equal(found.predictions.labels[:, task], labels.astype(np.float32))
        np.testing.assert_array_equal(found.predictions.scores[:, task], scores)
        known = ~np.isnan(labels)
        value = found.evaluation["roc_auc"][task]
        assert value == pytest.approx(roc_auc_score(labels[known], scores[known]))
        assert found.evaluation["roc_auc_low"][task] < value < found.evaluation["roc_auc_high"][task]


@pytest.mark.parametrize("kind", ["folds", "seeds"])
def test_the_mean_within_runs_is_that_of_a_plain_loop(kind: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    table = pool(path).evaluation
    for task, name in enumerate(table["assay"]):
        values = []
        for folder in sorted(path.parent.glob("a-*")):
            run = read_predictions(folder)
            known = ~np.isnan(run.labels[:, task])
            if len(np.unique(run.labels[known, task])) == 2:
                values.append(roc_auc_score(run.labels[known, task], run.scores[known, task]))
        assert table["runs"][task] == len(values), name
        if values:
            assert table["runs_mean"][task] == pytest.approx(np.mean(values))
        if len(values) > 1:
            assert table["runs_sd"][task] == pytest.approx(np.std(values, ddof=1))


def test_seeds_are_averaged_per_molecule_whatever_their_order(seeds: Path) -> None:
    found = pool(seeds)
    frames = [pd.read_parquet(folder / "predictions.parquet") for folder in seeds.parent.glob("a-seed*")]
    every = pd.concat(frames).query("part == 'test'").groupby("row").mean(numeric_only=True).sort_index()
    assert found.predictions.rows.tolist() == every.index.tolist()
    assert found.repeated == len(every)
    scores = every[[SCORE + task for task in found.predictions.tasks]].to_numpy()
    np.testing.assert_allclose(found.predictions.scores, scores, rtol=1e-6)
    one = read_predictions(seeds.parent / "a-seed1")
    order = np.argsort(one.rows)
    np.testing.assert_array_equal(found.predictions.labels, one.labels[order])
    assert found.predictions.smiles == [one.smiles[at] for at in order]


def test_runs_of_different_tables_are_no_set(tmp_path: Path) -> None:
    def relabelled(frame: pd.DataFrame, number: int) -> pd.DataFrame:
        if number == 2:
            frame[LABEL + "assay 4"] = 1 - frame[LABEL + "assay 4"]
        return frame

    path = make_set(tmp_path / "labels", "seed", relabelled)
    with pytest.raises(DataError, match=r"different tables: record \d+"):
        pool(path)
    path = make_set(
        tmp_path / "smiles", "fold", lambda frame, number: frame.assign(smiles=f"C{'C' * number}O")
    )
    with pytest.raises(DataError, match="different tables"):
        pool(path)
    path = make_set(
        tmp_path / "assays",
        "seed",
        lambda frame, number: frame.rename(columns=lambda name: name.replace("5", str(5 + number))),
    )
    with pytest.raises(DataError, match=r"other assays .*'assay 6'"):
        pool(path)


def test_an_unfinished_run_of_a_set_is_named(folds: Path, tmp_path: Path) -> None:
    shutil.copytree(folds.parent, tmp_path / "set")
    (tmp_path / "set" / "a-fold1" / "predictions.parquet").unlink()
    with pytest.raises(DataError, match="a-fold1 did not finish"):
        write_report(tmp_path / "set" / "a")
    with pytest.raises(DataError, match="set of runs b-seed0"):
        pool(tmp_path / "set" / "b")


@pytest.mark.parametrize("kind", ["folds", "seeds"])
def test_a_set_has_a_page_beside_its_runs(kind: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    report = write_report(path)
    assert report.page == path.parent / "a-report.html"
    assert report.card is None
    text = report.page.read_text(encoding="utf-8")
    material = read_pooled_material(path)
    assert "3 runs together" in text
    assert f"{len(material.test_predictions.rows):,} molecules in the test parts of all runs" in text
    for row in material.evaluation.dropna(subset="runs_sd").itertuples():
        assert f"{row.runs_mean:.3f} ± {row.runs_sd:.3f}" in text
    assert write_report(path).page.read_text(encoding="utf-8") == text


def test_one_run_is_read_as_before(folds: Path) -> None:
    material = read_material(folds.parent / "a-fold0")
    assert material.folders == ()
    assert "Mean within runs" not in write_report(folds.parent / "a-fold0").page.read_text(encoding="utf-8")


def test_the_command_line_takes_sets(
    folds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folds.parent)
    out = tmp_path / "assays.csv"
    words = ["screening", "evaluate", "a", "--out", str(out), "--plot", str(tmp_path / "assays.svg")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    printed = capsys.readouterr().out
    assert "mean within runs" in printed
    assert "3 runs together" in " ".join(printed.split())
    table = pd.read_csv(out)
    assert table["runs"].max() == N
    np.testing.assert_allclose(table["runs_mean"], pool(folds).evaluation["runs_mean"])


# --- real assays ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of a run with assays of both kinds, bounds among the values."""
    folder = tmp_path_factory.mktemp("mixed")
    source = mixed.trained(folder, name="a-seed0").folder
    for number in (1, 2):
        run = source.parent / f"a-seed{number}"
        shutil.copytree(source, run)
        frame = of_seed(pd.read_parquet(run / "predictions.parquet"), number)
        frame.to_parquet(run / "predictions.parquet")
    return source.parent / "a"


def test_a_set_of_both_kinds_is_one_run(of_both: Path) -> None:
    found = pool(of_both)
    runs = [read_predictions(of_both.parent / f"a-seed{number}") for number in range(N)]
    assert found.predictions.assays == runs[0].assays
    order = np.argsort(runs[0].rows)
    np.testing.assert_array_equal(found.predictions.labels, runs[0].labels[order])
    np.testing.assert_array_equal(found.predictions.censored, runs[0].censored[order])
    assert (found.predictions.censored != 0).any()
    table = evaluate(
        found.predictions.labels,
        found.predictions.scores,
        found.predictions.tasks,
        part="test",
        is_real=found.predictions.is_real,
        censored=found.predictions.censored,
    )
    pd.testing.assert_frame_equal(found.evaluation[table.columns], table)
    values = [concordance(run.labels, run.scores, is_real=run.is_real, censored=run.censored) for run in runs]
    np.testing.assert_allclose(found.evaluation["runs_mean"], np.mean(values, axis=0))
    assert "mean score" in found.note()
    assert "mean of the concordance within each run" in found.note()
    assert "concordance" in found.summary["metric"].tolist()


def test_the_material_of_a_set_of_both_kinds_has_verdicts_and_counts(of_both: Path) -> None:
    material = read_pooled_material(of_both)
    assert (material.evaluation["verdict"] != "").all()
    of_test = material.counts[material.counts["part"] == "test"].set_index("assay")
    assert of_test.loc["Ki", "censored"] == (material.test_predictions.censored[:, 3] != 0).sum()
    assert of_test.loc["logP", "actives"] == 0
    assert not of_test.isna().any().any()


def test_runs_with_other_bounds_or_other_kinds_are_no_set(of_both: Path, tmp_path: Path) -> None:
    shutil.copytree(of_both.parent, tmp_path / "bounds")
    path = tmp_path / "bounds" / "a-seed1" / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame[CENSORED + "Ki"] = 0
    frame.to_parquet(path)
    with pytest.raises(DataError, match="other labels"):
        pool(tmp_path / "bounds" / "a")
    shutil.copytree(of_both.parent, tmp_path / "kinds")
    path = tmp_path / "kinds" / "a-seed2" / ASSAYS
    path.write_text(path.read_text().replace("nM", "uM"))
    with pytest.raises(DataError, match=r"another kind, unit or scale .*'Ki'"):
        pool(tmp_path / "kinds" / "a")
