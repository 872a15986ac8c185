"""Results as tables: one row per assay, with a stated reason where a number is missing, and their summary.

The numbers come from `metrics`; training, `screening evaluate` and the report read these tables.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from ..runtime.csv_cells import csv_of
from ..runtime.files import atomic_write
from .contract import COUNTS, FIRST, NO_METRICS, TEXTS, Metric, Outcome, metrics_of

FEW = 10
"""Fewer actives or inactives than this are called few: the numbers are there, but uncertain."""
LEAST = (*NO_METRICS, "roc_auc", "roc_auc_low", "roc_auc_high", *FIRST[1:])
"""Columns that every file of results has."""

POOLED = "pooled_average_precision"
"""The row of the summary that is no mean over assays."""

_ENTRIES_AT_ONCE = 2**23  # molecules times assays in one sort: bounds the memory to about half a GiB


def columns() -> tuple[str, ...]:
    """Columns of `evaluate` and of evaluation.csv: what an assay is, then those of each registered metric."""
    return (*NO_METRICS, *(name for metric in metrics_of() for name in metric.columns))


def metrics_in(table: pd.DataFrame) -> list[Metric]:
    """The registered metrics that a table has, in the order of their columns.

    A file that was written before a metric was registered lacks it.
    """
    return [metric for metric in metrics_of() if set(metric.columns) <= set(table.columns)]


def further_metrics(table: pd.DataFrame) -> list[Metric]:
    """Those of `metrics_in` that did not come along with screening."""
    return [metric for metric in metrics_in(table) if metric.name not in FIRST]


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    tasks: Sequence[str],
    *,
    part: str,
    few: int = FEW,
) -> pd.DataFrame:
    """How well each assay is predicted, one row per assay with `columns()`.

    `status` is `ok`; `few positives` or `few negatives` (fewer than `few`: numbers are there, but
    uncertain); `one class` (what needs both classes is NaN); or `no labels` (all is NaN). `reason` says it.
    roc_auc_low and roc_auc_high are the 95 % interval of `roc_auc.delong_interval`.

    Parameters
    ----------
    labels : [n, T], 1 active, 0 inactive, NaN not measured.
    probabilities : [n, T] of being active, 0 to 1; not read where the label is NaN.
    part : name of the rows, such as "test".

    Raises
    ------
    DataError : a label is neither 0, 1 nor NaN; a probability is not finite or not between 0 and 1.
    ValueError : the shapes do not fit.

    Examples
    --------
    >>> labels = np.array([[1, 0], [0, np.nan], [1, 0], [0, 0]])
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.1], [0.3, 0.2], [0.4, 0.2]])
    >>> table = evaluate(labels, probabilities, ["A", "B"], part="test", few=2)
    >>> table[["assay", "status", "roc_auc"]].to_dict("list")
    {'assay': ['A', 'B'], 'status': ['ok', 'one class'], 'roc_auc': [0.75, nan]}
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 2 or labels.shape != probabilities.shape or labels.shape[1] != len(tasks):
        raise ValueError(
            f"labels {labels.shape}, probabilities {probabilities.shape}, {len(tasks)} tasks: "
            "expected [n, T] twice and T names."
        )
    width = max(1, _ENTRIES_AT_ONCE // max(1, len(labels)))
    tables = [
        _rows(Outcome(labels[:, block], probabilities[:, block], tuple(tasks[block])), part, few)
        for block in (slice(start, start + width) for start in range(0, max(1, len(tasks)), width))
    ]
    return pd.concat(tables, ignore_index=True)


def summarize(table: pd.DataFrame, *, pooled: float | None = None) -> pd.DataFrame:
    """What the assays have in common: one row per part and metric.

    Columns: part, metric, mean (macro), median, percentile_10 and percentile_90 over the assays that have
    the number, `assays` (how many have it) and `total`. NaN where no assay has it.

    Parameters
    ----------
    pooled : `metrics.pooled_average_precision` of the table's only part, which cannot be had from the
        table; it becomes the mean of the row `pooled_average_precision` (micro), `assays` those with a label.
    """
    names = [metric.name for metric in metrics_in(table)]
    rows: list[tuple[Any, ...]] = []
    for part, of_part in table.groupby("part", sort=False):
        for name in names:
            values = of_part[name].to_numpy(dtype=float)
            values = values[~np.isnan(values)]
            low, median, high = np.percentile(values, [10, 50, 90]) if values.size else [np.nan] * 3
            mean = values.mean() if values.size else np.nan
            rows.append((part, name, mean, median, low, high, values.size, len(of_part)))
            if name == "average_precision" and pooled is not None:
                measured = int((of_part["actives"] + of_part["inactives"] > 0).sum())
                rows.append((part, POOLED, pooled, np.nan, np.nan, np.nan, measured, len(of_part)))
    heads = ["part", "metric", "mean", "median", "percentile_10", "percentile_90", "assays", "total"]
    return pd.DataFrame(rows, columns=heads)


def check_column(column: str) -> None:
    """Raise ConfigError unless results can be sorted by that column."""
    if column not in columns():
        raise ConfigError(f"Results have no column '{column}' to sort by. {did_you_mean(column, columns())}")


def sorted_by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with the worst assays of a metric first (NaN last); counts and shares from the largest.

    Raises
    ------
    ConfigError : there is no such column; the message lists those that are.
    """
    check_column(column)
    rising = {name for metric in metrics_of() if metric.better == "higher" for name in metric.columns}
    ascending = column in TEXTS or column in rising
    return table.sort_values(column, ascending=ascending, kind="stable", ignore_index=True)


def write_evaluation(table: pd.DataFrame, path: Path | str, *, csv_safe: bool = False) -> None:
    """Write a table of `evaluate` as CSV, or Parquet if the name ends so; readers never see half a file.

    Columns behind those of `evaluate` are written too. With `csv_safe`, no cell of the
    CSV is run by a spreadsheet (see `cells`).

    Raises
    ------
    DataError : there is no such folder, no room, or no permission.
    """
    path = Path(path)
    ours = [name for name in columns() if name in table.columns]
    ordered = table[[*ours, *(name for name in table.columns if name not in ours)]]
    try:
        with atomic_write(path) as work:
            if path.suffix == ".parquet":
                ordered.to_parquet(work, index=False)
            else:
                work.write_text(csv_of(ordered, csv_safe=csv_safe), encoding="utf-8")
    except OSError as problem:
        raise DataError(
            f"{path} cannot be written: {problem.strerror or problem}. Give a file in a folder that exists, "
            "where there is room and you may write."
        ) from problem


def read_evaluation(path: Path | str) -> pd.DataFrame:
    """The table that `write_evaluation` wrote, number for number; an assay may be called "NA" or "007".

    Raises
    ------
    DataError : the file is not there, or not such a table.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table = table[list(LEAST) + [name for name in table.columns if name not in LEAST]]
        counts = {name: table[name].astype("int64") for name in COUNTS}
        numbers = {name: _numbers(table[name]) for name in LEAST if name not in (*TEXTS, *COUNTS)}
        further = {name: _numbers_or_texts(table[name]) for name in table.columns[len(LEAST) :]}
    except (OSError, KeyError, ValueError) as problem:
        raise DataError(
            f"{path}: not a table of results ({problem}). "
            f"Expected the columns {', '.join(LEAST)}; 'screening evaluate' writes it."
        ) from problem
    return table.assign(**counts, **numbers, **further)


def _numbers(texts: pd.Series) -> pd.Series:
    return texts.replace("", "nan").astype("float64")


def _numbers_or_texts(texts: pd.Series) -> pd.Series:
    """The column of a metric that may not be registered here, or of somebody else."""
    try:
        return _numbers(texts)
    except ValueError:
        return texts


def _rows(outcome: Outcome, part: str, few: int) -> pd.DataFrame:
    ranking = outcome.ranking
    actives, inactives = ranking.actives, ranking.inactives
    statuses = [_status(m, n, few) for m, n in zip(actives.tolist(), inactives.tolist(), strict=True)]
    with np.errstate(invalid="ignore"):
        base_rate = actives / ranking.counts
    about = {
        "part": part,
        "assay": list(ranking.tasks),
        "status": [status for status, _ in statuses],
        "reason": [reason for _, reason in statuses],
        "actives": actives,
        "inactives": inactives,
        "base_rate": base_rate,
    }
    numbers = {name: values for metric in metrics_of() for name, values in metric.table(outcome).items()}
    return pd.DataFrame({**about, **numbers}, columns=list(columns()))


def _status(actives: int, inactives: int, few: int) -> tuple[str, str]:
    if actives + inactives == 0:
        return "no labels", "No molecule of this part was measured."
    if actives == 0:
        return "one class", f"None of the {inactives} measured molecules is active: nothing to rank."
    if inactives == 0:
        return "one class", f"All {actives} measured molecules are active: nothing to rank."
    if actives < few:
        return "few positives", f"Only {actives} active: the numbers are uncertain."
    if inactives < few:
        return "few negatives", f"Only {inactives} inactive: the numbers are uncertain."
    return "ok", ""
