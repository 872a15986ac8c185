"""Tables of results: a row and a reason for every assay, summaries, files."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hit_rate import registered
from sklearn.metrics import roc_auc_score

from screening.errors import ConfigError, DataError
from screening.metrics import per_assay
from screening.metrics.average_precision import pooled_average_precision
from screening.metrics.contract import FIRST, FIRST_OF_REAL, Metric, metrics, register
from screening.metrics.per_assay import (
    LEAST,
    columns,
    evaluate,
    read_evaluation,
    sorted_by,
    summarize,
    write_evaluation,
)

NAN = float("nan")


@pytest.fixture
def table() -> pd.DataFrame:
    """100 molecules of which the assays have 20, 3, 97, 0, 100 actives, and one assay has no label."""
    labels = np.tile(np.arange(100.0)[:, None], 6) < np.array([20, 3, 97, 0, 100, 0])
    labels = labels.astype(np.float32)
    labels[:, 5] = NAN
    probabilities = np.random.default_rng(0).random((100, 6), dtype=np.float32)
    return evaluate(labels, probabilities, ["A", "B", "C", "D", "E", "F"], part="test")


def test_every_assay_has_a_row_with_a_status(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == LEAST
    assert list(table["assay"]) == ["A", "B", "C", "D", "E", "F"]
    statuses = ["ok", "few positives", "few negatives", "one class", "one class", "no labels"]
    assert list(table["status"]) == statuses
    assert list(table["actives"]) == [20, 3, 97, 0, 100, 0]
    assert list(table["inactives"]) == [80, 97, 3, 100, 0, 0]
    assert set(table["part"]) == {"test"}


def test_a_missing_number_has_a_reason(table: pd.DataFrame) -> None:
    missing = table[list(FIRST)].isna().any(axis=1)
    assert list(missing) == [False, False, False, True, True, True]
    assert (table.loc[missing, "reason"] != "").all()
    assert "None of the 100 measured molecules is active" in table["reason"][3]
    assert "Only 3 active" in table["reason"][1]
    assert table["reason"][0] == ""


def test_what_one_class_allows_is_given(table: pd.DataFrame) -> None:
    for metric in FIRST:
        assert math.isnan(table[metric][3]) == (metrics.get(metric).needs == "both classes")
        assert math.isnan(table[metric][5])
    assert table["base_rate"][4] == 1


def test_interval_surrounds_the_value(table: pd.DataFrame) -> None:
    known = table.dropna(subset="roc_auc")
    assert (known["roc_auc_low"] < known["roc_auc"]).all()
    assert (known["roc_auc"] < known["roc_auc_high"]).all()


def test_columns_are_the_metrics_of_the_registry(table: pd.DataFrame) -> None:
    assert sorted({*FIRST, *FIRST_OF_REAL}) == metrics.names()
    assert columns() == LEAST
    labels = np.array([[1.0], [0.0], [1.0], [0.0]])
    probabilities = np.array([[0.9], [0.3], [0.2], [0.1]])
    row = evaluate(labels, probabilities, ["A"], part="valid").iloc[0]
    for name in FIRST:
        assert row[name] == pytest.approx(metrics.get(name)(labels, probabilities)[0])


def test_large_tables_are_done_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    labels = np.where(random.random((40, 300)) < 0.3, NAN, random.random((40, 300)) < 0.4)
    probabilities = random.random((40, 300))
    tasks = [f"assay {task}" for task in range(300)]
    whole = evaluate(labels, probabilities, tasks, part="test")
    for entries in (1, 280):
        monkeypatch.setattr(per_assay, "_ENTRIES_AT_ONCE", entries)
        pd.testing.assert_frame_equal(evaluate(labels, probabilities, tasks, part="test"), whole)


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)])
def test_empty_tables_are_evaluated(shape: tuple[int, int]) -> None:
    tasks = ["A", "B"][: shape[1]]
    table = evaluate(np.full(shape, NAN), np.zeros(shape), tasks, part="test")
    assert list(table["status"]) == ["no labels"] * shape[1]
    assert tuple(table.columns) == LEAST
    assert len(summarize(table)) == len(FIRST) * bool(shape[1])


def test_wrong_probabilities_are_named() -> None:
    labels, probabilities = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([[0.5, 0.5], [0.5, NAN]])
    with pytest.raises(DataError, match=r"'B', row 1 .* nan is not a finite number"):
        evaluate(labels, probabilities, ["A", "B"], part="test")
    probabilities[1, 1] = -0.1
    with pytest.raises(DataError, match=r"'B': score -0\.1 is not a probability"):
        evaluate(labels, probabilities, ["A", "B"], part="test")
    with pytest.raises(ValueError, match="expected"):
        evaluate(labels, probabilities, ["A"], part="test")


def ogb_mean(labels: np.ndarray, scores: np.ndarray) -> float:
    """The rule of OGB's `Evaluator` for rocauc: mean over tasks with a positive and a negative label."""
    values = []
    for label, score in zip(labels.T, scores.T, strict=True):
        if (label == 1).any() and (label == 0).any():
            labelled = label == label
            values.append(roc_auc_score(label[labelled], score[labelled]))
    return sum(values) / len(values)


def test_macro_mean_is_that_of_ogb() -> None:
    random = np.random.default_rng(2)
    labels = np.where(random.random((30, 50)) < 0.8, NAN, random.random((30, 50)) < 0.3)
    scores = random.normal(size=(30, 50))
    table = summarize(evaluate(labels, 1 / (1 + np.exp(-scores)), [str(t) for t in range(50)], part="test"))
    row = table.set_index("metric").loc["roc_auc"]
    assert row["mean"] == pytest.approx(ogb_mean(labels, scores))
    assert row["assays"] < row["total"] == 50


def test_summary_counts_only_assays_that_have_the_number(table: pd.DataFrame) -> None:
    summary = summarize(pd.concat([table, table.assign(part="valid", roc_auc=NAN)]))
    assert list(dict.fromkeys(summary["part"])) == ["test", "valid"]
    first, second = summary[summary["metric"] == "roc_auc"].itertuples()
    known = table["roc_auc"][:3]
    assert (first.assays, first.total) == (3, 6)
    assert first.mean == pytest.approx(known.mean())
    assert first.median == pytest.approx(known.median())
    assert first.percentile_10 == pytest.approx(known.quantile(0.1))
    assert first.percentile_90 == pytest.approx(known.quantile(0.9))
    assert (second.assays, second.total) == (0, 6)
    assert math.isnan(second.mean)
    losses = summary[(summary["metric"] == "log_loss") & (summary["part"] == "test")]
    assert list(losses["assays"]) == [5]


def test_pooled_precision_has_a_row_of_its_own(table: pd.DataFrame) -> None:
    summary = summarize(table, pooled=0.25).set_index("metric")
    row = summary.loc["pooled_average_precision"]
    assert (row["mean"], row["assays"], row["total"]) == (0.25, 5, 6)
    pd.testing.assert_frame_equal(
        summary.drop(index="pooled_average_precision"), summarize(table).set_index("metric")
    )


@pytest.mark.parametrize(
    ("column", "first"), [("roc_auc", "min"), ("brier", "max"), ("actives", "max"), ("assay", "min")]
)
def test_sorting_puts_the_worst_assays_first(table: pd.DataFrame, column: str, first: str) -> None:
    ordered = sorted_by(table, column)
    assert ordered[column].iloc[0] == getattr(table[column], first)()
    missing = ordered[column].isna()
    assert not missing[: len(table) - missing.sum()].any()
    assert sorted(ordered["assay"]) == sorted(table["assay"])


def test_an_unknown_column_to_sort_by_is_explained(table: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'roc_auc'"):
        sorted_by(table, "rocauc")


def test_parquet_holds_the_same_table(table: pd.DataFrame, tmp_path: Path) -> None:
    write_evaluation(table, tmp_path / "evaluation.parquet")
    found = pd.read_parquet(tmp_path / "evaluation.parquet")
    pd.testing.assert_frame_equal(found, table, check_dtype=False)


def test_file_gives_the_same_table_back(table: pd.DataFrame, tmp_path: Path) -> None:
    odd = table.assign(assay=["NA", "007", 'a,"b"\nc', "1e5", "", "<b>β-Gal</b>"])
    write_evaluation(odd, tmp_path / "evaluation.csv")
    pd.testing.assert_frame_equal(read_evaluation(tmp_path / "evaluation.csv"), odd, check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.csv"]


def test_failed_write_leaves_the_old_file(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    path = tmp_path / "evaluation.csv"
    write_evaluation(table, path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match="disk full"):
        write_evaluation(table[::-1], path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.csv"]


@pytest.mark.parametrize(
    "text", [None, "", "assay,roc_auc\nA,0.5\n", ",".join(LEAST) + "\n" + "x," * 14 + "x\n"]
)
def test_other_files_are_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match="not a table of results"):
        read_evaluation(path)


@pytest.mark.parametrize(
    ("name", "part", "one_class"), [("toxcast", "valid", 7), ("toxcast", "test", 7), ("muv", "test", 2)]
)
def test_known_gaps_of_published_splits_are_found(
    real_data: Path, name: str, part: str, one_class: int
) -> None:
    parts = pd.read_csv(real_data / "splits" / f"{name}_splits.csv.gz")["muben_scaffold"]
    rows = pd.read_csv(real_data / f"{name}.csv.gz").loc[lambda _: parts == part]
    labels = rows.drop(columns=["smiles", "mol_id"], errors="ignore")
    probabilities = np.random.default_rng(0).random(labels.shape)
    table = evaluate(labels.to_numpy(np.float32), probabilities, list(labels.columns), part=part)
    assert (table["status"] == "one class").sum() == one_class
    assert (table["actives"] + table["inactives"] == labels.notna().sum().to_numpy()).all()


# --- metrics that somebody registers ------------------------------------------------------------------------


@pytest.fixture
def hit_rate(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric of a plug-in, named `a_hit_rate`."""
    return registered(monkeypatch)


def of_random(n_tasks: int = 6) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """100 molecules; the last two assays have one class, and no label."""
    random = np.random.default_rng(3)
    labels = (random.random((100, n_tasks)) < 0.3).astype(np.float32)
    labels[random.random(labels.shape) < 0.2] = NAN
    labels[:, -2], labels[:, -1] = 0, NAN
    return labels, random.random((100, n_tasks), dtype=np.float32), [f"assay {t}" for t in range(n_tasks)]


def test_a_registered_metric_is_a_column_behind_ours(hit_rate: Metric) -> None:
    labels, probabilities, tasks = of_random()
    table = evaluate(labels, probabilities, tasks, part="test")
    assert tuple(table.columns) == (*LEAST, "a_hit_rate", "a_hit_rate_low", "a_hit_rate_high") == columns()
    for task in range(4):
        called = (probabilities[:, task] > 0.5) & ~np.isnan(labels[:, task])
        assert table["a_hit_rate"][task] == pytest.approx(labels[called, task].mean())
    assert table["a_hit_rate"][4:].isna().all()
    assert table["a_hit_rate_low"][4:].isna().all()
    np.testing.assert_array_equal(table["a_hit_rate"], hit_rate(labels, probabilities))
    np.testing.assert_array_equal(table["a_hit_rate_low"], table["a_hit_rate"] / 2)


def test_a_registered_metric_changes_no_other_number(hit_rate: Metric) -> None:
    labels, probabilities, tasks = of_random()
    table = evaluate(labels, probabilities, tasks, part="test")
    metrics._items.pop("a_hit_rate")
    pd.testing.assert_frame_equal(table[list(LEAST)], evaluate(labels, probabilities, tasks, part="test"))


def test_a_registered_metric_has_a_row_of_means(hit_rate: Metric) -> None:
    table = evaluate(*of_random(), part="test")
    summary = summarize(table)
    assert list(summary["metric"]) == [*FIRST, "a_hit_rate"]
    row = summary.iloc[-1]
    assert row["mean"] == pytest.approx(table["a_hit_rate"].mean())
    assert (row["assays"], row["total"]) == (4, 6)


def test_a_registered_metric_can_be_sorted_by(hit_rate: Metric) -> None:
    table = evaluate(*of_random(), part="test")
    for column in ("a_hit_rate", "a_hit_rate_low"):
        assert sorted_by(table, column)[column].iloc[0] == table[column].min()


def test_files_keep_a_metric_that_is_not_registered_any_more(hit_rate: Metric, tmp_path: Path) -> None:
    table = evaluate(*of_random(), part="test").assign(remark="none")
    write_evaluation(table, tmp_path / "evaluation.csv")
    metrics._items.pop("a_hit_rate")
    pd.testing.assert_frame_equal(read_evaluation(tmp_path / "evaluation.csv"), table, check_exact=True)
    assert list(summarize(table)["metric"]) == list(FIRST)


def test_files_from_before_a_metric_was_registered_are_read(
    tmp_path: Path, table: pd.DataFrame, hit_rate: Metric
) -> None:
    write_evaluation(table, tmp_path / "evaluation.csv")
    before = read_evaluation(tmp_path / "evaluation.csv")
    assert tuple(before.columns) == LEAST
    assert list(summarize(before)["metric"]) == list(FIRST)


def test_a_metric_for_real_values_has_no_column_among_two_class_assays(hit_rate: Metric) -> None:
    register("offset", better=None, kinds={"real"})(lambda labels, values: values.mean(axis=0))
    assert {"offset", "rmse", "concordance"} & {*columns()} == set()


def test_a_metric_of_another_shape_is_refused_by_name(hit_rate: Metric) -> None:
    register("mean_of_all", better="higher")(lambda labels, scores: np.nanmean(scores))
    with pytest.raises(ValueError, match=r"'mean_of_all' gave an array of shape \(\) for .* of 4 tasks"):
        evaluate(*of_random(), part="test")


@pytest.mark.parametrize("name", ["assay", "base_rate", "Hit rate", "_rate", "class"])
def test_a_metric_cannot_have_the_name_of_another_column(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be called"):
        register(name, better="higher")
    assert not metrics.has(name)


def test_a_metric_of_probabilities_refuses_scores_that_are_none(hit_rate: Metric) -> None:
    with pytest.raises(DataError, match="is not a probability"):
        hit_rate(np.array([[1.0], [0.0]]), np.array([[3.0], [0.5]]))


# --- real assays ----------------------------------------------------------------------------------------


TASKS = ["A", "values", "few", "equal", "bounds", "nothing", "B", "one"]


def a_mixed_table() -> pd.DataFrame:
    """Two binary assays, and real ones of which four have no full set of numbers."""
    random = np.random.default_rng(4)
    labels = random.normal(6, 1, (60, 8))
    scores = labels + random.normal(0, 0.5, (60, 8))
    for task in (0, 6):
        labels[:, task] = random.random(60) < 0.4
        scores[:, task] = random.random(60)
    labels[:, 3], labels[:, 5] = 5, NAN
    labels[7:, 2], labels[1:, 7] = NAN, NAN
    censored = np.zeros((60, 8), np.int8)
    censored[:, 4], censored[:20, 1] = 1, -1
    is_real = np.array([False, *[True] * 5, False, True])
    return evaluate(labels, scores, TASKS, part="test", is_real=is_real, censored=censored)


def test_every_real_assay_has_a_row_with_a_status() -> None:
    table = a_mixed_table()
    assert tuple(table.columns) == columns("binary", "real")
    assert list(table["assay"]) == TASKS
    assert list(table["kind"]) == ["binary", *["real"] * 5, "binary", "real"]
    assert list(table["status"]) == [
        *("ok", "ok", "few values", "constant values", "all censored", "no labels", "ok", "few values"),
    ]
    assert list(table["measured"]) == [60, 60, 7, 60, 60, 0, 60, 1]
    assert list(table["censored"]) == [0, 20, 0, 0, 60, 0, 0, 0]
    assert list(table["actives"] + table["inactives"]) == [60, 0, 0, 0, 0, 0, 60, 0]
    assert table["reason"][7] == "Only 1 exact value: the numbers are uncertain."


def test_a_number_that_is_not_for_the_kind_is_missing() -> None:
    table = a_mixed_table()
    is_binary = table["kind"] == "binary"
    for name in FIRST:
        assert table.loc[~is_binary, name].isna().all()
        assert table.loc[is_binary, name].notna().all()
    for name in set(FIRST_OF_REAL) - {"concordance"}:
        assert table.loc[is_binary, name].isna().all()
        assert not math.isnan(table[name][1])
    np.testing.assert_array_equal(table["concordance"][is_binary], table["roc_auc"][is_binary])
    np.testing.assert_array_equal(table["concordance_low"][is_binary], table["roc_auc_low"][is_binary])
    needs_two = [name for name in FIRST_OF_REAL if metrics.get(name).needs == "both classes"]
    assert table.loc[3, needs_two].isna().all()
    assert table.loc[3, ["rmse", "mae", "within_1"]].notna().all()
    assert table.loc[[4, 5], list(FIRST_OF_REAL)].isna().all().all()


def test_rows_of_binary_assays_are_those_of_a_table_without_real_ones() -> None:
    table = a_mixed_table()
    random = np.random.default_rng(4)
    labels = random.normal(6, 1, (60, 8))
    random.normal(0, 0.5, (60, 8))
    scores = np.empty((60, 2))
    for place in (0, 1):
        labels[:, place] = random.random(60) < 0.4
        scores[:, place] = random.random(60)
    alone = evaluate(labels[:, :2], scores, ["A", "B"], part="test")
    of_both = table[table["kind"] == "binary"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_both[list(LEAST)], alone, check_exact=True)


def test_no_real_assay_gives_the_table_of_binary_ones(table: pd.DataFrame) -> None:
    labels, probabilities, tasks = of_random()
    expected = evaluate(labels, probabilities, tasks, part="test")
    none = np.zeros(len(tasks), bool)
    found = evaluate(labels, probabilities, tasks, part="test", is_real=none)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_large_tables_with_real_assays_are_done_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = a_mixed_table()
    for entries in (1, 120):
        monkeypatch.setattr(per_assay, "_ENTRIES_AT_ONCE", entries)
        pd.testing.assert_frame_equal(a_mixed_table(), whole, rtol=1e-9)


def test_concordance_has_the_one_mean_over_both_kinds() -> None:
    table = a_mixed_table()
    summary = summarize(table, pooled=0.3).set_index("metric")
    assert list(summary.index[:2]) == ["concordance", "roc_auc"]
    assert summary.loc["concordance", "assays"] == 4  # A, B, values, few
    assert summary.loc["concordance", "mean"] == pytest.approx(table["concordance"].mean())
    assert summary.loc[["concordance", "roc_auc", "rmse"], "total"].tolist() == [8, 2, 6]  # of their kinds
    of_values = summarize(table[table["kind"] == "real"])["metric"].tolist()
    assert "rmse" in of_values
    assert "roc_auc" not in of_values
    assert summary.loc["rmse", "assays"] == 4  # values, few, equal, one
    assert summary.loc["pooled_average_precision", "assays"] == 2


def test_the_pooled_precision_is_that_of_the_binary_assays() -> None:
    labels = np.array([[1.0, 5.5], [0.0, 7.0], [1.0, 6.0]])
    scores = np.array([[0.9, 5.0], [0.7, 6.0], [0.3, 7.0]])
    pooled = pooled_average_precision(labels, scores, np.array([False, True]))
    assert pooled == pooled_average_precision(labels[:, :1], scores[:, :1])
    assert math.isnan(pooled_average_precision(labels, scores, np.array([True, True])))


def test_files_of_both_kinds_give_the_same_table_back(tmp_path: Path) -> None:
    table = a_mixed_table().assign(remark="none")
    write_evaluation(table, tmp_path / "evaluation.csv")
    pd.testing.assert_frame_equal(read_evaluation(tmp_path / "evaluation.csv"), table, check_exact=True)
    table.drop(columns="rmse").to_csv(tmp_path / "less.csv")
    with pytest.raises(DataError, match="rmse"):
        read_evaluation(tmp_path / "less.csv")


@pytest.mark.parametrize(("column", "first"), [("rmse", "max"), ("r2", "min"), ("measured", "max")])
def test_sorting_puts_the_worst_real_assays_first(column: str, first: str) -> None:
    table = a_mixed_table()
    assert sorted_by(table, column)[column].iloc[0] == getattr(table[column], first)()


def test_columns_of_real_assays_are_not_there_to_sort_binary_ones_by(table: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="no column 'rmse', which is of real assays"):
        sorted_by(table, "rmse")


def test_kinds_of_another_shape_are_refused() -> None:
    labels = np.zeros((3, 2))
    with pytest.raises(ValueError, match="is_real"):
        evaluate(labels, labels, ["A", "B"], part="test", is_real=np.ones(3, bool))
    with pytest.raises(ValueError, match="censored"):
        evaluate(labels, labels, ["A", "B"], part="test", is_real=np.ones(2, bool), censored=labels[:2])


def test_a_registered_metric_of_real_assays_is_given_exact_values_alone(hit_rate: Metric) -> None:
    seen = []

    @register("offset", better=None, needs="a label", reads="values", kinds=["real"])
    def offset(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """Mean of prediction minus value."""
        seen.append(labels.shape)
        return np.nanmean(predictions - labels, axis=0)

    labels = np.array([[1.0, 6, 5], [0.0, 7, 5], [1.0, 8, 5]])
    scores = np.array([[0.9, 6.5, 5], [0.2, 7.5, 5], [0.4, 20, 5]])
    censored = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 1]])
    is_real = np.array([False, True, True])
    table = evaluate(labels, scores, ["a", "b", "bounds"], part="test", is_real=is_real, censored=censored)
    assert table.columns[-1] == "offset"
    np.testing.assert_array_equal(table["offset"], [NAN, 0.5, NAN])
    assert seen == [(3, 1)]  # `bounds` has no exact value
    assert "offset" not in evaluate(labels[:, :1], scores[:, :1], ["a"], part="test").columns
    assert summarize(table).set_index("metric").loc["offset", "assays"] == 1
