"""Comparing run folders: what is refused and why, how sets are found, and that the tables add up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from screening.data.assay_kinds import Assay
from screening.data.assay_table import AssayTable
from screening.data.splits import Split
from screening.errors import ConfigError, DataError
from screening.evaluation.comparison import ASSAY_COLUMNS, OF_REAL, SUMMARY_COLUMNS, compare
from screening.evaluation.run_sets import run_sets
from screening.metrics.per_assay import evaluate
from screening.training.predictions import read_predictions, write_predictions
from screening.training.run_folder import ASSAYS, write_kinds

TASKS = ("NR-AhR", "SR-p53", "rare", "empty")


def a_table(n: int = 300, tasks: tuple[str, ...] = TASKS, seed: int = 0) -> AssayTable:
    random = np.random.default_rng(seed)
    labels = (random.random((n, 4)) < 0.3).astype(np.float32)
    labels[random.random((n, 4)) < 0.2] = np.nan
    labels[:, 2] = np.where(np.arange(n) < 1, 1, 0)  # one active
    labels[:, 3] = np.nan
    smiles = [f"C{'C' * (row % 7)}N{row}" for row in range(n)]
    return AssayTable(
        [f"M{row}" for row in range(n)], smiles, labels[:, : len(tasks)], tasks, {}, np.arange(1, n + 1)
    )


def write_run(
    folder: Path,
    table: AssayTable,
    *,
    gain: float = 0.0,
    seed: int = 0,
    rows: np.ndarray | None = None,
    split: str = "scaffold",
) -> Path:
    """A run folder whose model is better by `gain` in the first assay, and noisy by `seed`."""
    random = np.random.default_rng(99)
    known = random.normal(size=table.labels.shape) + np.nan_to_num(table.labels)
    known[:, 0] += gain * np.nan_to_num(table.labels[:, 0])
    scores = 1 / (1 + np.exp(-known - 0.5 * np.random.default_rng(seed).normal(size=known.shape)))
    rows = np.arange(len(table)) if rows is None else rows
    parts = np.full(len(table), "train", dtype=object)
    parts[rows] = "test"
    folder.mkdir(parents=True)
    name = folder / "predictions.parquet"
    write_predictions(name, {"test": scores[rows].astype(np.float32)}, table, Split(parts.tolist()))
    n_train = int((parts == "train").sum())
    (folder / "manifest.json").write_text(json.dumps({"molecules": {"train": n_train, "test": len(rows)}}))
    kind = f"better by {gain}"
    (folder / "config.yaml").write_text(
        f"name: {folder.name}\nseed: {seed}\nmodel: {kind}\nsplit: {{name: {split}}}\nruns: {folder.parent}\n"
    )
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [
        write_run(tmp_path / "plain", a_table(), seed=1),
        write_run(tmp_path / "better", a_table(), gain=1.5, seed=2),
    ]


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_values_are_those_of_the_evaluation(pair: list[Path], metric: str) -> None:
    found = compare(pair, metric=metric)
    assert tuple(found.assays.columns) == ASSAY_COLUMNS
    assert tuple(found.summary.columns) == SUMMARY_COLUMNS
    rows = found.assays.set_index("assay")
    for folder, column in zip(pair, ("baseline", "value"), strict=True):
        frame = pd.read_parquet(folder / "predictions.parquet")
        labels, scores = (
            frame[[f"{kind}:{task}" for task in TASKS]].to_numpy(np.float32) for kind in ("label", "score")
        )
        expected = evaluate(labels, scores, TASKS, part="test").set_index("assay")
        np.testing.assert_allclose(rows[column], expected[metric].reindex(rows.index))
        np.testing.assert_array_equal(rows["actives"], expected["actives"].reindex(rows.index))
    np.testing.assert_allclose(rows["difference"], rows["value"] - rows["baseline"])


def test_wins_losses_and_assays_without_a_test_add_up(pair: list[Path]) -> None:
    found = compare(pair)
    rows = found.assays.set_index("assay")
    assert rows["result"].to_dict() == {"NR-AhR": "win", "SR-p53": "tie", "rare": "", "empty": ""}
    assert rows["status"].to_dict() == {
        "NR-AhR": "ok",
        "SR-p53": "ok",
        "rare": "too few",
        "empty": "no labels",
    }
    macro = found.summary.iloc[0]
    assert (macro["assays"], macro["wins"], macro["losses"], macro["ties"]) == (2, 1, 0, 1)
    tested = rows.loc[["NR-AhR", "SR-p53"]]
    assert macro["difference"] == pytest.approx(tested["difference"].mean())
    assert macro["delta_m"] == pytest.approx(100 * (tested["difference"] / tested["baseline"]).mean())
    assert macro["worst_tenth"] == tested["difference"].min()
    assert macro["low"] < macro["difference"] < macro["high"]
    assert any("2 assays have no test" in note for note in found.notes)
    backward = compare(pair[::-1]).assays.set_index("assay")
    assert backward["result"]["NR-AhR"] == "loss"
    np.testing.assert_allclose(
        backward["difference"].loc[list(TASKS[:2])], -rows["difference"].loc[list(TASKS[:2])]
    )


def test_worst_hurt_assays_come_first(pair: list[Path]) -> None:
    rows = compare(pair[::-1]).assays
    tested = rows["p"].notna()
    assert tested.is_monotonic_decreasing, "assays without a test come last"
    assert rows["difference"][tested].is_monotonic_increasing


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_run_against_itself_is_all_ties(pair: list[Path], metric: str) -> None:
    found = compare([pair[0], pair[0]], metric=metric)
    rows = found.assays[found.assays["p"].notna()]
    assert (rows["result"] == "tie").all()
    assert (rows["p_adjusted"] == 1).all()
    assert (rows["difference"] == 0).all()


def test_molecules_in_another_order_are_the_same_molecules(tmp_path: Path) -> None:
    table = a_table()
    first = write_run(tmp_path / "a", table)
    turned = table.take(np.arange(len(table))[::-1])
    second = write_run(tmp_path / "b", turned, gain=1.0)
    frame = pd.read_parquet(second / "predictions.parquet").set_index("smiles")
    expected = evaluate(
        frame[[f"label:{task}" for task in TASKS]].to_numpy(np.float32),
        frame[[f"score:{task}" for task in TASKS]].to_numpy(np.float32),
        TASKS,
        part="test",
    ).set_index("assay")
    rows = compare([first, second]).assays.set_index("assay")
    assert rows["value"]["SR-p53"] == pytest.approx(expected["roc_auc"]["SR-p53"])


def test_other_test_molecules_are_refused_and_named(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", a_table(), rows=np.arange(100))
    second = write_run(tmp_path / "b", a_table(), rows=np.arange(2, 105), gain=1.0)
    with pytest.raises(DataError) as caught:
        compare([first, second])
    text = str(caught.value)
    assert "2 of the 100 of" in text
    assert "(records 1, 2)" in text
    assert "5 of the 103 of" in text
    assert "same split" in text


def test_other_labels_are_refused_and_named(tmp_path: Path) -> None:
    table = a_table()
    other = table.labels.copy()
    row = int(np.flatnonzero(table.labels[:, 1] == 1)[0])
    other[row, 1] = 0
    first = write_run(tmp_path / "a", table)
    changed = AssayTable(table.ids, table.smiles, other, table.tasks, {}, table.rows)
    second = write_run(tmp_path / "b", changed, gain=1.0)
    with pytest.raises(DataError, match=rf"'SR-p53'.*record {row + 1},.* active there, inactive here"):
        compare([first, second])


def test_assays_are_matched_by_name_and_others_listed(tmp_path: Path) -> None:
    table = a_table()
    first = write_run(tmp_path / "a", table)
    fewer = AssayTable(table.ids, table.smiles, table.labels[:, [1, 0]], ("SR-p53", "NR-AhR"), {}, table.rows)
    found = compare([first, write_run(tmp_path / "b", fewer, gain=1.0)])
    assert set(found.assays["assay"]) == {"NR-AhR", "SR-p53"}
    assert any("2 assays that not all runs have: 'rare', 'empty'" in note for note in found.notes)
    foreign = AssayTable(table.ids, table.smiles, table.labels[:, :1], ("other",), {}, table.rows)
    with pytest.raises(DataError, match="No assay is in all runs"):
        compare([first, write_run(tmp_path / "c", foreign, gain=2.0)])


def test_what_is_no_run_is_explained(pair: list[Path], tmp_path: Path) -> None:
    for one in (pair[0], str(pair[0])):
        with pytest.raises(ConfigError, match="1 run given: at least two"):
            compare(one)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least two"):
        compare(pair[:1])
    with pytest.raises(DataError, match="no finished run"):
        compare([pair[0], tmp_path / "nothing"])
    (tmp_path / "set-seed0").mkdir()
    with pytest.raises(DataError, match="set-seed0 did not finish"):
        compare([pair[0], tmp_path / "set"])
    with pytest.raises(ConfigError, match="Did you mean 'roc_auc'"):
        compare(pair, metric="rocauc")
    with pytest.raises(ConfigError, match="holm"):
        compare(pair, adjustment="bonferroni")
    with pytest.raises(DataError, match="no part 'valid'"):
        compare(pair, part="valid")


# --- sets --------------------------------------------------------------------------------------------------


def sets_of_seeds(folder: Path, gain: float = 1.5, n: int = 3) -> None:
    for seed in range(n):
        write_run(folder / f"plain-seed{seed}", a_table(), seed=seed)
        write_run(folder / f"better-seed{seed}", a_table(), gain=gain, seed=10 + seed)


def test_a_set_is_named_by_its_beginning_or_found_by_its_settings(tmp_path: Path) -> None:
    sets_of_seeds(tmp_path)
    by_name = run_sets([tmp_path / "plain", tmp_path / "better"])
    assert [one.name for one in by_name] == ["plain (3 runs)", "better (3 runs)"]
    assert [path.name for path in by_name[0].folders] == ["plain-seed0", "plain-seed1", "plain-seed2"]
    each = [tmp_path / f"{name}-seed{seed}" for seed in range(3) for name in ("plain", "better")]
    assert run_sets(each) == by_name
    alone = run_sets(each[::2])
    assert [one.name for one in alone] == ["plain-seed0", "plain-seed1", "plain-seed2"]


def test_seeds_are_averaged(tmp_path: Path) -> None:
    sets_of_seeds(tmp_path)
    found = compare([tmp_path / "plain", tmp_path / "better"])
    singles = [
        compare([tmp_path / f"plain-seed{seed}", tmp_path / f"better-seed{seed}"]).assays.set_index("assay")
        for seed in range(3)
    ]
    rows = found.assays.set_index("assay").loc[list(TASKS[:2])]
    mean = np.mean([one["difference"].loc[list(TASKS[:2])] for one in singles], axis=0)
    np.testing.assert_allclose(rows["difference"], mean)
    assert any("3 and 3 runs" in note for note in found.notes)


def test_equal_seeds_are_paired_and_others_are_not(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / f"plain-seed{seed}", a_table(), seed=seed)
        write_run(tmp_path / f"better-seed{seed}", a_table(), gain=0.5, seed=seed)
        write_run(tmp_path / f"other-seed{seed + 5}", a_table(), gain=0.5, seed=seed + 5)
    paired = compare([tmp_path / "plain", tmp_path / "better"])
    assert any("seed by seed" in note for note in paired.notes)
    apart = compare([tmp_path / "plain", tmp_path / "other"])
    assert not any("seed by seed" in note for note in apart.notes)
    lengths = [
        found.assays.set_index("assay").eval("high - low")["NR-AhR"] for found in (paired, apart)
    ]  # equal seeds are equal noise here
    assert lengths[0] < lengths[1]


def test_more_than_two_are_compared_with_the_first(tmp_path: Path) -> None:
    sets_of_seeds(tmp_path, n=2)
    third = write_run(tmp_path / "other", a_table(), gain=-0.5)
    found = compare([tmp_path / "plain", tmp_path / "better", third])
    assert found.summary["run"].tolist() == ["better (2 runs)", "other"]
    assert set(found.summary["against"]) == {"plain (2 runs)"}
    assert len(found.assays) == 2 * len(TASKS)


def test_folds_are_combined_by_the_corrected_resampled_t_test(tmp_path: Path) -> None:
    """Each fold's difference by itself; then mean and variance by hand."""
    folds = np.array_split(np.random.default_rng(0).permutation(300), 3)
    for number, rows in enumerate(folds):
        write_run(tmp_path / f"plain-fold{number}", a_table(), rows=np.sort(rows), seed=number)
        write_run(tmp_path / f"better-fold{number}", a_table(), rows=np.sort(rows), seed=9, gain=1.0)
    found = compare([tmp_path / "plain", tmp_path / "better"])
    row = found.assays.set_index("assay").loc["NR-AhR"]
    each = [
        compare([tmp_path / f"plain-fold{number}", tmp_path / f"better-fold{number}"]).assays.set_index(
            "assay"
        )["difference"]["NR-AhR"]
        for number in range(3)
    ]
    assert row["difference"] == pytest.approx(np.mean(each))
    half = 4.302652729911275 * np.sqrt((1 / 3 + 100 / 200) * np.var(each, ddof=1))  # t of 2 degrees
    assert row["high"] - row["difference"] == pytest.approx(half)
    assert row["actives"] == (a_table().labels[:, 0] == 1).sum()
    assert any("3 splits" in note for note in found.notes)


def test_a_set_that_lacks_a_fold_is_refused(tmp_path: Path) -> None:
    for number, rows in enumerate(np.split(np.arange(300), 3)):
        write_run(tmp_path / f"a-fold{number}", a_table(), rows=rows)
        if number < 2:
            write_run(tmp_path / f"b-fold{number}", a_table(), rows=rows, gain=1.0)
    with pytest.raises(DataError, match=r"a-fold2.*100 of the 100"):
        compare([tmp_path / "a", tmp_path / "b"])


def test_the_csv_has_every_assay_and_the_macro_mean(pair: list[Path], tmp_path: Path) -> None:
    found = compare(pair, adjustment="holm")
    found.write_csv(tmp_path / "out.csv")
    frame = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert frame["assay"].tolist() == [*found.assays["assay"], ""]
    assert set(frame["adjustment"]) == {"holm"}
    assert frame["actives"].iloc[0] == str(found.assays["actives"].iloc[0])


# --- real assays ------------------------------------------------------------------------------------------

KINDS = (
    Assay("pKi", "real"),
    Assay("toxic"),
    Assay("logD", "real"),
    Assay("once", "real"),
    Assay("equal", "real"),
    Assay("bounds", "real"),
)


def a_mixed_table(n: int = 300) -> AssayTable:
    random = np.random.default_rng(3)
    labels = random.normal(6, 1, (n, 6)).astype(np.float32)
    labels[:, 1] = random.random(n) < 0.4
    labels[1:, 3], labels[:, 4] = np.nan, 5
    labels[random.random((n, 6)) < 0.1] = np.nan
    labels[0, 3] = 6
    censored = np.zeros((n, 6), np.int8)
    censored[:, 5], censored[:30, 0] = 1, -1
    smiles = [f"C{'C' * (row % 7)}N{row}" for row in range(n)]
    return AssayTable(
        [f"M{row}" for row in range(n)],
        smiles,
        labels,
        tuple(assay.name for assay in KINDS),
        {},
        np.arange(1, n + 1),
        about=KINDS,
        censored=censored,
    )


def write_mixed(folder: Path, table: AssayTable, *, noise: float = 1.0, seed: int = 0) -> Path:
    """A run folder whose model errs by `noise` in pKi, and by 1 elsewhere."""
    random = np.random.default_rng(seed)
    scores = np.nan_to_num(table.labels) + random.normal(size=table.labels.shape)
    scores[:, 0] = np.nan_to_num(table.labels[:, 0]) + noise * random.normal(size=len(table))
    scores[:, 1] = 1 / (1 + np.exp(-scores[:, 1]))
    folder.mkdir(parents=True)
    split = Split(["test"] * len(table))
    write_predictions(folder / "predictions.parquet", {"test": scores.astype(np.float32)}, table, split)
    write_kinds(folder / ASSAYS, table)
    (folder / "manifest.json").write_text(json.dumps({"molecules": {"train": 900, "test": len(table)}}))
    (folder / "config.yaml").write_text(f"name: {folder.name}\nseed: {seed}\nmodel: {noise}\n")
    return folder


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    table = a_mixed_table()
    return [
        write_mixed(tmp_path / "plain", table, seed=1),
        write_mixed(tmp_path / "better", table, noise=0.5, seed=2),
    ]


def test_both_kinds_are_compared_by_their_concordance(mixed: list[Path]) -> None:
    found = compare(mixed)
    assert found.metric == "concordance"
    place = ASSAY_COLUMNS.index("inactives") + 1
    assert tuple(found.assays.columns) == (*ASSAY_COLUMNS[:place], *OF_REAL, *ASSAY_COLUMNS[place:])
    rows = found.assays.set_index("assay")
    assert rows["status"].to_dict() == {
        "pKi": "ok",
        "toxic": "ok",
        "logD": "ok",
        "once": "too few",
        "equal": "constant values",
        "bounds": "all censored",
    }
    assert rows["result"].to_dict() == {
        "pKi": "win",
        "toxic": "tie",
        "logD": "tie",
        "once": "",
        "equal": "",
        "bounds": "",
    }
    assert rows["kind"]["toxic"] == "binary"
    assert rows["censored"]["pKi"] == np.isfinite(a_mixed_table().labels[:30, 0]).sum()
    assert any("3 assays have no test" in note for note in found.notes)


@pytest.mark.parametrize("metric", ["rmse", "mae", "concordance", "r2"])
def test_values_of_real_assays_are_those_of_the_evaluation(mixed: list[Path], metric: str) -> None:
    rows = compare(mixed, metric=metric).assays.set_index("assay")
    for folder, column in zip(mixed, ("baseline", "value"), strict=True):
        run = read_predictions(folder, part="test")
        table = evaluate(
            run.labels, run.scores, run.tasks, part="test", is_real=run.is_real, censored=run.censored
        )
        expected = table.set_index("assay")[metric].reindex(rows.index)
        np.testing.assert_allclose(rows[column], expected)


def test_a_lower_error_is_a_win(mixed: list[Path], tmp_path: Path) -> None:
    found = compare(mixed, metric="rmse")
    rows = found.assays.set_index("assay")
    assert found.better == "lower"
    assert rows["difference"]["pKi"] < 0
    assert rows["result"]["pKi"] == "win"
    assert "toxic" not in rows.index
    assert any("Lower is better" in note for note in found.notes)
    assert any("1 assays are of the other kind and have no rmse: 'toxic'" in note for note in found.notes)
    macro = found.summary.iloc[0]
    assert (macro["wins"], macro["losses"]) == (1, 0)
    assert macro["delta_m"] > 0
    tested = rows["p"].notna()
    assert rows["difference"][tested].is_monotonic_decreasing, "the worst hurt come first"
    assert macro["worst_tenth"] == rows["difference"][tested].max()
    backward = compare(mixed[::-1], metric="rmse").assays.set_index("assay")
    assert backward["result"]["pKi"] == "loss"
    found.write_csv(tmp_path / "compared.csv")
    written = pd.read_csv(tmp_path / "compared.csv")
    assert written["measured"].dropna().tolist() == found.assays["measured"].tolist()


def test_a_binary_metric_takes_the_binary_assays_alone(mixed: list[Path]) -> None:
    found = compare(mixed, metric="roc_auc")
    assert tuple(found.assays.columns) == ASSAY_COLUMNS
    assert found.assays["assay"].tolist() == ["toxic"]


def test_without_an_assay_of_the_kind_there_is_nothing_to_compare(pair: list[Path]) -> None:
    with pytest.raises(DataError, match="no real assay, and 'rmse' is of no others"):
        compare(pair, metric="rmse")
    assert compare(pair).metric == "roc_auc"


def test_other_bounds_and_other_kinds_are_refused(tmp_path: Path) -> None:
    table = a_mixed_table()
    first = write_mixed(tmp_path / "a", table)
    other = table.censored.copy()
    other[np.flatnonzero(~np.isnan(table.labels[:, 2]))[0], 2] = 1
    second = write_mixed(tmp_path / "b", replace(table, censored=other), seed=1)
    with pytest.raises(DataError, match=r"different labels: 1 of .* 'logD': [\d.]+ there, > [\d.]+ here"):
        compare([first, second])
    kinds = (KINDS[0], replace(KINDS[1], kind="real"), *KINDS[2:])
    third = write_mixed(tmp_path / "c", replace(table, about=kinds), seed=2)
    with pytest.raises(DataError, match="'toxic' is binary there, real here"):
        compare([first, third])


def test_a_mean_over_several_scales_is_told(tmp_path: Path) -> None:
    kinds = (KINDS[0], KINDS[1], replace(KINDS[2], unit="ml/min"), *KINDS[3:])
    table = replace(a_mixed_table(), about=kinds)
    runs = [write_mixed(tmp_path / name, table, seed=seed) for seed, name in enumerate("ab")]
    assert any("mixes 2 scales" in note and "ml/min" in note for note in compare(runs, metric="mae").notes)
    assert not any("scales" in note for note in compare(runs).notes)
