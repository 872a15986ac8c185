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
from .metrics import delong_interval, metrics, roc_auc
from .ranking import Ranking, rank

METRICS = (
    "roc_auc",
    "average_precision",
    "bedroc",
    "ef_1pct",
    "log_loss",
    "base_entropy",
    "brier",
    "calibration_error",
)
"""Metrics of the table, in its order."""

TEXTS = ("part", "assay", "status", "reason")
COUNTS = ("actives", "inactives")
NUMBERS = ("base_rate", "roc_auc", "roc_auc_low", "roc_auc_high", *METRICS[1:])
COLUMNS = (*TEXTS, *COUNTS, *NUMBERS)
"""Columns of `evaluate` and of evaluation.csv."""

POOLED = "pooled_average_precision"
"""The row of the summary that is no mean over assays."""

_ENTRIES_AT_ONCE = 2**23  # molecules times assays in one sort: bounds the memory to about half a GiB


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    tasks: Sequence[str],
    *,
    part: str,
    few: int = 10,
) -> pd.DataFrame:
    """How well each assay is predicted, one row per assay with `COLUMNS`.

    `status` is `ok`; `few positives` or `few negatives` (fewer than `few`: numbers are there, but
    uncertain); `one class` (what needs both classes is NaN); or `no labels` (all is NaN). `reason` says it.
    roc_auc_low and roc_auc_high are the 95 % interval of `metrics.delong_interval`.

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
        _rows(rank(labels[:, some], probabilities[:, some], tasks[some]), part, few)
        for some in (slice(start, start + width) for start in range(0, max(1, len(tasks)), width))
    ]
    return pd.concat(tables, ignore_index=True)


def macro_roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean ROC-AUC over the assays that have both classes, as OGB's evaluator; NaN if none has.

    Cheap enough for early stopping. Arguments and errors as `metrics.rank`.
    """
    values = roc_auc(rank(labels, scores))
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def summarize(table: pd.DataFrame, *, pooled: float | None = None) -> pd.DataFrame:
    """What the assays have in common: one row per part and metric.

    Columns: part, metric, mean (macro), median, percentile_10 and percentile_90 over the assays that have
    the number, `assays` (how many have it) and `total`. NaN where no assay has it.

    Parameters
    ----------
    pooled : `metrics.pooled_average_precision` of the table's only part, which cannot be had from the
        table; it becomes the mean of the row `pooled_average_precision` (micro), `assays` those with a label.
    """
    rows: list[tuple[Any, ...]] = []
    for part, of_part in table.groupby("part", sort=False):
        for metric in METRICS:
            values = of_part[metric].to_numpy(dtype=float)
            known = values[~np.isnan(values)]
            low, median, high = np.percentile(known, [10, 50, 90]) if known.size else [np.nan] * 3
            mean = known.mean() if known.size else np.nan
            rows.append((part, metric, mean, median, low, high, known.size, len(of_part)))
            if metric == "average_precision" and pooled is not None:
                measured = int((of_part["actives"] + of_part["inactives"] > 0).sum())
                rows.append((part, POOLED, pooled, np.nan, np.nan, np.nan, measured, len(of_part)))
    names = ["part", "metric", "mean", "median", "percentile_10", "percentile_90", "assays", "total"]
    return pd.DataFrame(rows, columns=names)


def check_column(column: str) -> None:
    """Raise ConfigError unless results can be sorted by that column."""
    if column not in COLUMNS:
        raise ConfigError(f"Results have no column '{column}' to sort by. {did_you_mean(column, COLUMNS)}")


def sorted_by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with the worst assays of a metric first (NaN last); counts and shares from the largest.

    Raises
    ------
    ConfigError : there is no such column; the message lists those that are.
    """
    check_column(column)
    metric = metrics.get(column) if column in METRICS else None
    ascending = column in TEXTS or (metric is not None and metric.higher_is_better is True)
    ascending |= column in ("roc_auc_low", "roc_auc_high")
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
    columns = [*COLUMNS, *(name for name in table.columns if name not in COLUMNS)]
    try:
        with atomic_write(path) as work:
            if path.suffix == ".parquet":
                table[columns].to_parquet(work, index=False)
            else:
                work.write_text(csv_of(table[columns], csv_safe=csv_safe), encoding="utf-8")
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
        table = table[list(COLUMNS)]
        counts = {name: table[name].astype("int64") for name in COUNTS}
        numbers = {name: table[name].replace("", "nan").astype("float64") for name in NUMBERS}
    except (OSError, KeyError, ValueError) as problem:
        raise DataError(
            f"{path}: not a table of results ({problem}). "
            f"Expected the columns {', '.join(COLUMNS)}; 'screening evaluate' writes it."
        ) from problem
    return table.assign(**counts, **numbers)


def _rows(ranking: Ranking, part: str, few: int) -> pd.DataFrame:
    interval = delong_interval(ranking)
    actives, inactives = ranking.actives, ranking.inactives
    statuses = [_status(m, n, few) for m, n in zip(actives.tolist(), inactives.tolist(), strict=True)]
    with np.errstate(invalid="ignore"):
        base_rate = actives / ranking.counts
    known = {"roc_auc": interval.values, "roc_auc_low": interval.low, "roc_auc_high": interval.high}
    columns = {
        "part": part,
        "assay": list(ranking.tasks),
        "status": [status for status, _ in statuses],
        "reason": [reason for _, reason in statuses],
        "actives": actives,
        "inactives": inactives,
        "base_rate": base_rate,
        **known,
        **{name: metrics.get(name).function(ranking) for name in METRICS if name not in known},
    }
    return pd.DataFrame(columns, columns=list(COLUMNS))


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
