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
from .contract import (
    COUNTS,
    FIRST,
    FIRST_OF_REAL,
    NO_METRICS,
    OF_KINDS,
    REAL_COUNTS,
    TEXTS,
    Metric,
    Outcome,
    metrics_of,
)
from .sums import ratio

FEW = 10
"""Fewer actives, inactives or exact values are called few: the numbers are there, but uncertain."""
BOTH = ("binary", "real")
LEAST = (*NO_METRICS, "roc_auc", "roc_auc_low", "roc_auc_high", *FIRST[1:])
"""Columns that every file of results of binary assays has."""

POOLED = "pooled_average_precision"
"""The row of the summary that is no mean over assays."""

_ENTRIES_AT_ONCE = 2**23  # molecules times assays in one sort: bounds the memory to about half a GiB


def columns(*kinds: str) -> tuple[str, ...]:
    """Columns of `evaluate` and of evaluation.csv: what an assay is, then those of each registered metric.

    Parameters
    ----------
    kinds : of the assays, `binary` and `real`; none = binary ones alone.
    """
    of_kinds = OF_KINDS if "real" in kinds else ()
    return (*NO_METRICS, *of_kinds, *(name for metric in metrics_of(*kinds) for name in metric.columns))


def kinds_in(table: pd.DataFrame) -> tuple[str, ...]:
    """The kinds of assay that a table has columns for: all of two classes, or both."""
    return BOTH if "kind" in table.columns else ("binary",)


def metrics_in(table: pd.DataFrame) -> list[Metric]:
    """The registered metrics that a table has, in the order of their columns.

    A file that was written before a metric was registered lacks it.
    """
    return [m for m in metrics_of(*kinds_in(table)) if set(m.columns) <= set(table.columns)]


def further_metrics(table: pd.DataFrame) -> list[Metric]:
    """Those of `metrics_in` that did not come along with screening."""
    return [metric for metric in metrics_in(table) if metric.name not in (*FIRST, *FIRST_OF_REAL)]


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    tasks: Sequence[str],
    *,
    part: str,
    few: int = FEW,
    is_real: np.ndarray | None = None,
    censored: np.ndarray | None = None,
) -> pd.DataFrame:
    """How well each assay is predicted, one row per assay with `columns()`.

    `status` is `ok`; `few positives` or `few negatives` (fewer than `few`: numbers are there, but
    uncertain); `one class` (what needs both classes is NaN); or `no labels` (all is NaN). `reason` says it.
    roc_auc_low and roc_auc_high are the 95 % interval of `roc_auc.delong_interval`.

    With a real assay all rows have `columns("binary", "real")`, NaN where a number is not for the kind. The
    status of a real assay is `ok`; `few values` (fewer than `few` exact ones); `constant values` (what needs
    two different values is NaN); `all censored` (only concordance may be there); or `no labels`.

    Parameters
    ----------
    labels : [n, T], 1 active, 0 inactive, or a value (the bound where it is censored); NaN not measured.
    probabilities : [n, T] of being active, 0 to 1, or the predicted value; not read where the label is NaN.
    part : name of the rows, such as "test".
    is_real : bool [T], which assays have values; None = none.
    censored : int8 [n, T], 1 = the true value is above the label, -1 = below; None = no cell is.

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
    outcome = _checked(labels, probabilities, tuple(tasks), is_real, censored)
    width = max(1, _ENTRIES_AT_ONCE // max(1, len(labels)))
    blocks = [outcome.take(slice(start, start + width)) for start in range(0, max(1, len(tasks)), width)]
    rows = _rows if outcome.is_binary.all() else _rows_of_both
    return pd.concat([rows(block, part, few) for block in blocks], ignore_index=True)


def summarize(table: pd.DataFrame, *, pooled: float | None = None) -> pd.DataFrame:
    """What the assays have in common: one row per part and metric.

    Columns: part, metric, mean (macro), median, percentile_10 and percentile_90 over the assays that have
    the number, `assays` (how many have it) and `total` (how many are of its kinds). NaN where no assay has
    it; no row where none is of its kinds.

    Parameters
    ----------
    pooled : `metrics.pooled_average_precision` of the table's only part, which cannot be had from the
        table; it becomes the mean of the row `pooled_average_precision` (micro), `assays` those with a label.
    """
    rows: list[tuple[Any, ...]] = []
    for part, every in table.groupby("part", sort=False):
        for metric in metrics_in(table):
            of_part = every[every["kind"].isin(metric.kinds)] if "kind" in every else every
            if not len(of_part):
                continue
            name = metric.name
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
    if column not in columns(*BOTH):
        raise ConfigError(
            f"Results have no column '{column}' to sort by. {did_you_mean(column, columns(*BOTH))}"
        )


def sorted_by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with the worst assays of a metric first (NaN last); counts and shares from the largest.

    Raises
    ------
    ConfigError : there is no such column; the message lists those that are.
    """
    check_column(column)
    if column not in table.columns:
        raise ConfigError(
            f"These results have no column '{column}', which is of real assays. "
            f"{did_you_mean(column, columns(*kinds_in(table)))}"
        )
    rising = {name for metric in metrics_of(*BOTH) if metric.better == "higher" for name in metric.columns}
    ascending = column in (*TEXTS, "kind") or column in rising
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
    ours = [name for name in columns(*kinds_in(table)) if name in table.columns]
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
        ours = list(_least(table))
        table = table[ours + [name for name in table.columns if name not in ours]]
        texts, whole = {*TEXTS, "kind"}, {*COUNTS, *REAL_COUNTS}
        counts = {name: table[name].astype("int64") for name in ours if name in whole}
        numbers = {name: _numbers(table[name]) for name in ours if name not in texts | whole}
        further = {name: _numbers_or_texts(table[name]) for name in table.columns[len(ours) :]}
    except (OSError, KeyError, ValueError) as problem:
        raise DataError(
            f"{path}: not a table of results ({problem}). "
            f"Expected the columns {', '.join(LEAST)}; 'screening evaluate' writes it."
        ) from problem
    return table.assign(**counts, **numbers, **further)


def _least(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns that a file must have, in their order."""
    if "kind" not in table.columns:
        return LEAST
    of_ours = [m for m in metrics_of(*BOTH) if m.name in (*FIRST, *FIRST_OF_REAL)]
    return (*NO_METRICS, *OF_KINDS, *(name for metric in of_ours for name in metric.columns))


def _numbers(texts: pd.Series) -> pd.Series:
    return texts.replace("", "nan").astype("float64")


def _numbers_or_texts(texts: pd.Series) -> pd.Series:
    """The column of a metric that may not be registered here, or of somebody else."""
    try:
        return _numbers(texts)
    except ValueError:
        return texts


def _checked(
    labels: np.ndarray,
    scores: np.ndarray,
    tasks: tuple[str, ...],
    is_real: np.ndarray | None,
    censored: np.ndarray | None,
) -> Outcome:
    """The outcome of all assays, if the shapes fit; errors as `evaluate`."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.ndim != 2 or labels.shape != scores.shape or labels.shape[1] != len(tasks):
        raise ValueError(
            f"labels {labels.shape}, probabilities {scores.shape}, {len(tasks)} tasks: "
            "expected [n, T] twice and T names."
        )
    if censored is not None and np.shape(censored) != labels.shape:
        raise ValueError(f"censored {np.shape(censored)}, labels {labels.shape}: expected the same [n, T].")
    if is_real is not None and np.shape(is_real) != (len(tasks),):
        raise ValueError(f"is_real {np.shape(is_real)}, {len(tasks)} tasks: expected [T] truth values.")
    return Outcome(labels, scores, tasks, is_real, censored)


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


def _rows_of_both(outcome: Outcome, part: str, few: int) -> pd.DataFrame:
    """Rows of a table in which an assay is real, those of binary assays among them."""
    is_binary, ranking, cells = outcome.is_binary, outcome.ranking, outcome.cells
    exact = cells.exact.counts
    measured = _merged(is_binary, ranking.counts, cells.counts)
    actives = _merged(is_binary, ranking.actives, 0)
    statuses = _statuses(outcome, few)
    about = {
        "part": part,
        "assay": list(outcome.tasks or ()),
        "status": [status for status, _ in statuses],
        "reason": [reason for _, reason in statuses],
        "actives": actives,
        "inactives": _merged(is_binary, ranking.inactives, 0),
        "base_rate": ratio(actives, measured, is_binary & (measured > 0)),
        "kind": np.where(is_binary, *BOTH),
        "measured": measured,
        "censored": _merged(is_binary, 0, cells.counts - exact),
    }
    numbers = {name: values for m in metrics_of(*BOTH) for name, values in m.table(outcome).items()}
    return pd.DataFrame({**about, **numbers}, columns=list(columns(*BOTH)))


def _merged(is_binary: np.ndarray, of_binary: np.ndarray | int, of_real: np.ndarray | int) -> np.ndarray:
    """int64 [T] from the counts of the assays of each kind."""
    counts = np.empty(len(is_binary), dtype=np.int64)
    counts[is_binary], counts[~is_binary] = of_binary, of_real
    return counts


def _statuses(outcome: Outcome, few: int) -> list[tuple[str, str]]:
    """Status and reason of every assay."""
    ranking, cells = outcome.ranking, outcome.cells
    exact = cells.exact
    of_binary = zip(ranking.actives.tolist(), ranking.inactives.tolist(), strict=True)
    of_real = zip(exact.counts.tolist(), cells.counts.tolist(), exact.varies.tolist(), strict=True)
    return [
        _status(*next(of_binary), few) if is_binary else _status_of_values(*next(of_real), few)
        for is_binary in outcome.is_binary.tolist()
    ]


def _status_of_values(exact: int, measured: int, varies: bool, few: int) -> tuple[str, str]:
    """Status and reason of a real assay, from its numbers of exact and of measured cells."""
    if measured == 0:
        return "no labels", "No molecule of this part was measured."
    if exact == 0:
        return "all censored", f"All {measured} values are bounds: nothing to measure distances from."
    if exact > 1 and not varies:
        return "constant values", f"All {exact} exact values are equal: nothing to explain or to rank."
    if exact < few:
        return (
            "few values",
            f"Only {exact} exact {'value' if exact == 1 else 'values'}: the numbers are uncertain.",
        )
    return "ok", ""


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
