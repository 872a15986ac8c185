"""Learning curves: the whole is what training gives, stopped studies go on, intervals are what they say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mixed
import numpy as np
import pandas as pd
import pytest
import small
from browser import PHONE, too_wide
from html_page import Page

from screening import training
from screening.cli import main as cli
from screening.config import Config, check_config
from screening.data.sparse_cells import SparseCells, measured_cells
from screening.errors import ConfigError
from screening.evaluation.extrapolation import UNTOLD
from screening.evaluation.learning_curves import MEAN, LearningCurves, covariance_of, learning_curve
from screening.metrics.contract import Outcome
from screening.metrics.paired_samples import samplers
from screening.reporting.learning_page import ordered, write_learning_page
from screening.training.fitting import fit

FOREST = {"baseline": {"name": "random_forest", "trees": 10}}


def config(folder: Path, **more: Any) -> Config:
    sections: dict[str, Any] = {
        "name": "small",
        "runs": str(folder / "runs"),
        "data": {"source": "given"},
        "split": {"name": "random", "fractions": [0.5, 0.1, 0.4]},
        "features": {"graph": None, "vectors": ["ecfp_counts"]},
        "model": FOREST,
        "train": {"epochs": 2, "batch_size": 32, "device": "cpu", "workers": 0},
        "learning_curve": {"shares": [0.3, 0.6, 1.0], "seeds": 2},
    }
    return check_config(sections | more)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def counted(monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None) -> list[Config]:
    """The trainings from now on; the one of that number is interrupted."""
    begun: list[Config] = []

    def watched(settings: Config, prepared: Any, **options: Any) -> Any:
        begun.append(settings)
        if len(begun) == stop_at:
            raise KeyboardInterrupt
        return fit(settings, prepared, **options)

    monkeypatch.setattr("screening.evaluation.learning_curves.fit", watched)
    return begun


@pytest.mark.parametrize("model", [FOREST, {"encoder": {"name": "fingerprint", "widths": [8]}}])
def test_the_whole_is_what_training_gives(folder: Path, model: dict[str, Any]) -> None:
    curves = learning_curve(config(folder, model=model), data=small.table())
    run = training.train(config(folder, model=model, name="run"), data=small.table())
    cell = folder / "runs" / "small-curve" / "cells" / "all-1-seed0" / "predictions.parquet"
    there, here = pd.read_parquet(cell), pd.read_parquet(run.folder / "predictions.parquet")
    labels = [name for name in here if name.startswith("label:")]
    pd.testing.assert_frame_equal(there[["row", "part", *labels]], here[["row", "part", *labels]])
    first = curves.points[curves.points["share"] == 1].set_index("assay")
    by_seed = []
    for seed in (0, 1):
        scores = pd.read_parquet(cell.parents[1] / f"all-1-seed{seed}" / "predictions.parquet")
        of_test = scores[scores["part"] == "test"]
        outcome = Outcome(
            of_test[labels].to_numpy(float), of_test[[f"score:{name[6:]}" for name in labels]].to_numpy()
        )
        by_seed.append(samplers.get("concordance")(outcome, 0).values)
    assert first["concordance"].to_numpy() == pytest.approx(np.mean(by_seed, axis=0))
    measured = run.evaluation["roc_auc"].to_numpy()
    assert by_seed[0][:-1] == pytest.approx(measured, abs=0.02)  # calibration keeps the order, but for ties
    assert first.index.tolist() == [*small.PATTERNS, MEAN]
    assert curves.metric == "ROC-AUC"


def test_labels_are_those_of_the_smaller_parts(folder: Path) -> None:
    curves = learning_curve(config(folder), data=small.table())
    points = curves.points[curves.points["assay"] == MEAN].set_index("share")
    whole = curves.points[curves.points["share"] == 1].set_index("assay")
    counts = training.train(config(folder, name="run"), data=small.table()).folder / "labels.csv"
    in_train = pd.read_csv(counts).query("part == 'train'").set_index("assay")
    assert whole.loc[in_train.index, "labels"].tolist() == in_train["measured"].tolist()
    assert whole.loc[in_train.index, "actives"].tolist() == in_train["actives"].tolist()
    assert points["labels"][0.3] / points["labels"][1.0] == pytest.approx(0.3, abs=0.1)
    assert points["labels"].is_monotonic_increasing


def test_a_stopped_study_goes_on_with_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learning_curve(config(folder, name="whole"), data=small.table())
    with monkeypatch.context() as patch:
        counted(patch, stop_at=4)
        with pytest.raises(KeyboardInterrupt):
            learning_curve(config(folder), data=small.table())
    cells = folder / "runs" / "small-curve" / "cells"
    assert len([*cells.iterdir()]) == 3
    begun = counted(monkeypatch)
    again = learning_curve(config(folder), data=small.table())
    assert len(begun) == 3
    pd.testing.assert_frame_equal(again.points, whole.points)
    pd.testing.assert_frame_equal(again.answers, whole.answers)
    wider = {"shares": [0.3, 0.6, 1.0], "seeds": 3}
    more = learning_curve(config(folder, learning_curve=wider), data=small.table())
    assert len(begun) == 6
    assert (more.points["seeds"] == 3).all()
    learning_curve(config(folder, learning_curve=wider), data=small.table(), overwrite=True)
    assert len(begun) == 15


def test_one_assay_is_thinned_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = counted(monkeypatch)
    section = {"shares": [0.3, 0.6, 1.0], "seeds": 2, "thin": ["hal*", "acid"]}
    curves = learning_curve(config(folder, learning_curve=section), data=small.table())
    assert len(begun) == 6 + 2 * 4
    alone = curves.points[curves.points["thinned"] == "alone"]
    assert alone["assay"].tolist() == ["halogen"] * 3 + ["acid"] * 3
    both = curves.points[curves.points["share"] == 1].groupby("assay")["concordance"].nunique()
    assert (both == 1).all()
    assert curves.answers[["assay", "thinned"]].to_numpy().tolist()[-2:] == [
        ["halogen", "alone"],
        ["acid", "alone"],
    ]
    with pytest.raises(ConfigError, match=r"there is no assay 'hallo'.*halogen"):
        learning_curve(config(folder, learning_curve={"thin": ["hallo"]}), data=small.table())


def test_another_study_is_no_continuation(folder: Path) -> None:
    learning_curve(config(folder), data=small.table())
    with pytest.raises(ConfigError, match=r"train\.epochs was 2 and is 3"):
        learning_curve(
            config(folder, train={**config(folder).train.model_dump(), "epochs": 3}), data=small.table()
        )
    by_scaffold = {"shares": [0.3, 0.6, 1.0], "seeds": 2, "by": "scaffold"}
    with pytest.raises(ConfigError, match=r"learning_curve\.by was random and is scaffold"):
        learning_curve(config(folder, learning_curve=by_scaffold), data=small.table())
    with pytest.raises(ConfigError, match="the molecules of the table"):
        learning_curve(config(folder), data=small.table(n=140))


def test_auxiliary_tables_are_refused(folder: Path) -> None:
    auxiliary = config(folder, data={"source": "given", "auxiliary": ["other.csv"]})
    with pytest.raises(ConfigError, match=r"set data\.auxiliary=\[\] for a learning curve"):
        learning_curve(auxiliary, data=small.table())


@pytest.mark.parametrize("shares", [[0.5], [0.5, 0.2, 1.0], [0.2, 0.5], [0.0, 1.0], [0.5, 0.5, 1.0]])
def test_shares_rise_to_the_whole(folder: Path, shares: list[float]) -> None:
    with pytest.raises(ConfigError, match="shares"):
        config(folder, learning_curve={"shares": shares})


def test_one_seed_tells_no_gain(folder: Path) -> None:
    curves = learning_curve(
        config(folder, learning_curve={"shares": [0.3, 0.6, 1.0], "seeds": 1}), data=small.table()
    )
    mean = curves.answers.set_index("assay").loc[MEAN]
    assert mean["answer"] == UNTOLD
    assert "one seed" in mean["words"]
    assert curves.points["low"].isna().all()


def test_real_values_have_curves_too(folder: Path) -> None:
    section = {"shares": [0.3, 0.6, 1.0], "seeds": 2, "thin": ["Ki"]}
    curves = learning_curve(config(folder, learning_curve=section), data=mixed.table())
    assert curves.metric == "concordance"
    whole = curves.points[curves.points["share"] == 1].set_index("assay")["concordance"]
    assert whole["logP"].min() > 0.6
    assert np.isfinite(curves.points["concordance"]).all()


def samples_of(labels: np.ndarray, scores: np.ndarray) -> list[list[Any]]:
    """Samples by share and seed of scores [S, K, n, T]."""
    sampler = samplers.get("concordance")
    return [[sampler(Outcome(labels, each), 0) for each in of_share] for of_share in scores]


def test_the_covariance_is_that_of_drawing_other_molecules() -> None:
    """Against a bootstrap over molecules; the seeds, which are the same here, add nothing."""
    random = np.random.default_rng(0)
    labels = (random.random((400, 2)) < 0.3).astype(float)
    labels[random.random(labels.shape) < 0.2] = np.nan
    noise = random.normal(size=(3, 400, 2)) + random.normal(size=(400, 2))
    scores = np.nan_to_num(labels) * np.array([0.5, 1.0, 1.5])[:, None, None] + noise
    twice = np.stack([scores, scores], axis=1)
    covariance = covariance_of(samples_of(labels, twice))
    draws = []
    for _ in range(600):
        rows = random.integers(0, 400, 400)
        sampled = samples_of(labels[rows], twice[:, :1, rows])
        draws.append([one[0].values for one in sampled])
    expected = np.cov(np.array(draws)[:, :, 2].T)  # of the mean over assays
    np.testing.assert_allclose(covariance[2], expected, rtol=0.2, atol=2e-5)
    expected = np.cov(np.array(draws)[:, :, 0].T)
    np.testing.assert_allclose(covariance[0], expected, rtol=0.2, atol=2e-5)


def test_the_spread_of_seeds_is_at_least_the_mean_of_all_shares() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((200, 1)) < 0.4).astype(float)
    scores = labels + random.normal(size=(2, 3, 200, 1)) * np.array([2.0, 0.5])[:, None, None, None]
    samples = samples_of(labels, scores)
    values = np.array([[one.values for one in of_share] for of_share in samples])
    spread = values.var(axis=1, ddof=1)[:, 0]
    same = [[of_share[0]._replace(deviations=0 * of_share[0].deviations)] * 3 for of_share in samples]
    still = [
        [one._replace(values=each.values) for one, each in zip(of_same, of_share, strict=True)]
        for of_same, of_share in zip(same, samples, strict=True)
    ]
    covariance = covariance_of(still)[0]
    np.testing.assert_allclose(np.diag(covariance), np.maximum(spread, spread.mean()) / 3)
    assert covariance[0, 1] == 0


def test_a_table_of_few_measured_cells_has_the_same_curves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = small.table()
    rows, tasks, labels = measured_cells(dense.labels)
    cells = SparseCells.of(rows, tasks, labels, dense.labels.shape, np.nan)
    section = {"shares": [0.3, 0.6, 1.0], "seeds": 2, "thin": ["acid"]}
    one = learning_curve(config(folder, learning_curve=section), data=dense)
    other = learning_curve(
        config(folder, name="cells", learning_curve=section), data=replace(dense, labels=cells)
    )
    pd.testing.assert_frame_equal(one.points, other.points)


# --- the page and the terminal ------------------------------------------------------------------------------


@pytest.fixture
def curves(folder: Path) -> LearningCurves:
    """Made-up numbers for many assays with odd names."""
    table = small.table()
    names = tuple(f"<b>{name}</b> & others" for name in table.tasks)
    section = {"shares": [0.3, 0.6, 1.0], "seeds": 2, "thin": ["*acid*"]}
    return learning_curve(config(folder, learning_curve=section), data=replace(table, tasks=names))


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_the_page_fits_and_says_the_answers(
    curves: LearningCurves, open_page: Callable[..., Any], width: int
) -> None:
    write_learning_page(curves, config(curves.folder.parents[1]))
    path = curves.folder / "curve.html"
    text = path.read_text()
    assert "<b>acid" not in text
    page = Page(text)
    for words in curves.answers["words"]:
        assert " ".join(words.split()) in page.words()
    assert (curves.folder / "curve.svg").read_text().startswith("<svg")
    assert too_wide(open_page(path, width=width)) == []


def test_the_mean_comes_first_and_then_what_is_most_worth_it() -> None:
    table = pd.DataFrame(
        {
            "assay": ["a", "b", "c", "d", MEAN],
            "answer": ["hardly", "yes", UNTOLD, "yes", UNTOLD],
            "gain": [0.001, 0.02, np.nan, 0.05, np.nan],
        }
    )
    assert ordered(table)["assay"].tolist() == [MEAN, "d", "b", "a", "c"]


def test_the_command_takes_a_config_and_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write(folder / "small.csv")
    (folder / "small.yaml").write_text(
        "name: small\ndata: {source: small.csv, tasks: [halogen, acid]}\nsplit: random\n"
        "features: {graph: null, vectors: [ecfp_counts]}\n"
        "model: {baseline: {name: random_forest, trees: 5}}\n"
        "train: {workers: 0}\nlearning_curve: {shares: [0.3, 0.6, 1.0], seeds: 2}\n"
    )
    monkeypatch.setenv("COLUMNS", "100")

    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["screening", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    code, output, _ = called("evaluate", "small.yaml", "--learning-curve")
    assert code == 0
    assert "Is it worth measuring more?" in output
    assert (folder / "runs" / "small-curve" / "curve.html").is_file()
    assert called("train", "small.yaml")[0] == 0
    begun = counted(monkeypatch)
    code, again, _ = called("evaluate", "runs/small", "--learning-curve")
    assert (code, begun) == (0, [])
    assert again == output
    code, valid, _ = called("evaluate", "runs/small", "--learning-curve", "--part", "valid")
    assert (code, begun) == (0, [])
    assert "of the valid part" in valid
    assert called("evaluate", "runs/small", "--learning-curve", "learning_curve.seeds=3")[0] == 0
    assert len(begun) == 3
    code, _, errors = called("evaluate", "runs/small", "--learning-curve", "--sort", "roc_auc")
    assert code == 2
    assert "--sort: --learning-curve has none of it" in errors
