"""Assays of a run as tables on the terminal: those with real values, those of two classes, the means."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..runtime.numbers import in_digits, short
from .console import tell
from .grid import LEAST, NAME, Column, print_table

if TYPE_CHECKING:
    import pandas as pd

    from ..data.assay_kinds import Assay
    from ..metrics.contract import Metric

SHOWN = 30
"""Assays printed unless --all is given."""

AGAINST_CHANCE = "average_precision"
"""The metric that is the base rate in a random order; the base rate stands behind it."""

ERROR = "rmse"
"""The metric of errors that is always shown."""

CLASSES, VALUES = ("actives", "inactives"), ("measured", "censored")
COUNTED = {"actives": "actives", "inactives": "inactives", "measured": "values", "censored": "bounds"}
"""Columns that say how many labels there are, of each kind of assay, and their heads."""

COMMON = "concordance"
"""The metric of both kinds of assay: of two classes it is the ROC-AUC, which is shown by that name."""


def print_evaluation(
    table: "pd.DataFrame",
    summary: "pd.DataFrame",
    part: str,
    *,
    kinds: "Iterable[Assay]" = (),
    by: str | None = None,
    all_assays: bool,
) -> None:
    """Assays of one part, then the means over assays; of many assays the first, or those ranked worst.

    Assays with real values and those of two classes are tables of their own.

    Parameters
    ----------
    kinds : what the assays are; () = all are of two classes.
    by : the column that the table is sorted by; None = it is not sorted.
    """
    from ..evaluation.headline import are_real_rows, headline
    from ..evaluation.verdicts import count_verdicts, in_words, judge

    is_real, scales = are_real_rows(table), {assay.name: assay.scale for assay in kinds if assay.is_real}
    for kind, words in (("real", ", real values"), ("binary", ", two classes")):
        rows = table[is_real == (kind == "real")]
        if len(rows):
            title = f"{part}{words if is_real.any() else ''}"
            metric = by or (headline(table).name if kind == "real" else "roc_auc")
            shown = _Shown(title, kind, metric, by is not None, scales if kind == "real" else {})
            _print_assays(rows, shown, all_assays=all_assays)
            tell("")
    _print_means(summary, f"{part}, over assays")
    tell(f"verdicts: {in_words(count_verdicts(judge(table)))}")


class _Shown(NamedTuple):
    """How the assays of one kind are printed."""

    title: str
    kind: str
    by: str
    """The column by which the worst are taken of many."""
    is_sorted: bool
    """Whether they are sorted already."""
    scales: Mapping[str, str]
    """Of each assay with real values."""


def _print_assays(table: "pd.DataFrame", shown: _Shown, *, all_assays: bool) -> None:
    """Assays of one kind."""
    from ..evaluation.verdicts import judge
    from ..metrics.per_assay import metrics_in

    chosen, few = table, ""
    if not all_assays and len(table) > SHOWN:
        chosen = (table if shown.is_sorted else _worst(table, shown.by)).head(SHOWN)
        few = f" ({SHOWN} of {len(table):,}, by {shown.by}; --all prints every one)"
    is_class = shown.kind == "binary"
    of_metrics = [
        metric
        for metric in metrics_in(table)
        if "terminal" in metric.shown
        and shown.kind in metric.kinds
        and not (is_class and metric.name == COMMON)
    ]
    counts = CLASSES if is_class else VALUES[: 2 if table["censored"].any() else 1]
    pairs = zip(chosen.itertuples(), judge(chosen), strict=True)
    rows = [_evaluated(row, verdict, of_metrics, counts, shown.scales) for row, verdict in pairs]
    columns = evaluation_columns(of_metrics, counts, shown.scales)
    unit = "".join(set(shown.scales.values())) if len(set(shown.scales.values())) == 1 else ""
    in_unit = f", errors in {unit}" if unit else ""
    print_table(f"{shown.title}{in_unit}, per assay{few}", columns, rows)


def _worst(table: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """The assays with the lowest numbers first, those with too few labels to be judged behind all others."""
    from ..evaluation.verdicts import judge

    is_few = judge(table) == "too few to judge"
    return table.assign(few=is_few).sort_values(["few", metric]).drop(columns="few")


def _print_means(summary: "pd.DataFrame", title: str) -> None:
    from ..evaluation.headline import ERRORS

    columns = [
        Column("metric"),
        Column("mean"),
        Column("median"),
        Column("10th percentile", 1),
        Column("assays"),
    ]
    rows = [
        [
            row.metric,
            *(
                (short if row.metric in ERRORS else in_digits)(number)
                for number in (row.mean, row.median, row.percentile_10)
            ),
            f"{row.assays} of {row.total}",
        ]
        for row in summary.itertuples()
    ]
    print_table(title, columns, rows)


def evaluation_columns(
    metrics: "Sequence[Metric]",
    counts: Sequence[str] = CLASSES,
    scales: Mapping[str, str] = MappingProxyType({}),
) -> list[Column]:
    """Of a narrow terminal the metrics registered last are left out first, the first one and RMSE never.

    Parameters
    ----------
    counts : which of the columns that say how many labels there are.
    scales : of assays with real values; a column where there are several.
    """
    columns = [Column("assay", folds=NAME)]
    columns += [Column(COUNTED[name], rank) for name, rank in zip(counts, (2, 4), strict=False)]
    for place, metric in enumerate(metrics):
        columns.append(Column(metric.title, 0 if metric.name == ERROR else 3 * place))
        if metric.interval is not None:
            columns.append(Column("95 % interval", 3 * place))
        if metric.name == AGAINST_CHANCE:
            columns.append(Column("base rate", 5))
    if len(set(scales.values())) > 1:
        columns.append(Column("scale", 2))
    return [*columns, Column("verdict", folds=LEAST)]


def _evaluated(
    row: Any,
    verdict: str,
    metrics: "Sequence[Metric]",
    counts: Sequence[str],
    scales: Mapping[str, str],
) -> list[str]:
    """A row of `evaluation_columns`."""
    from ..evaluation.headline import ERRORS

    cells = [row.assay, *(f"{getattr(row, name):,}" for name in counts)]
    for metric in metrics:
        is_error, numbers = metric.name in ERRORS, [getattr(row, name) for name in metric.columns]
        cells.append(short(numbers[0]) if is_error else in_digits(numbers[0], metric.digits))
        if metric.interval is not None:
            cells.append(interval(numbers[1], numbers[2], say=short if is_error else in_digits))
        if metric.name == AGAINST_CHANCE:
            cells.append(in_digits(row.base_rate))
    if len(set(scales.values())) > 1:
        cells.append(scales.get(row.assay) or "-")
    return [*cells, verdict]


def print_intervals(table: "pd.DataFrame") -> None:
    """How often the intervals of real values hold those of the test part, per share that is aimed at.

    Parameters
    ----------
    table : intervals.csv of a run.
    """
    rows = []
    for error, of_error in table.groupby("error", sort=True):
        kept = of_error["covered"].dropna()
        mean, least = (in_digits(100 * number, 1) for number in (kept.mean(), kept.min()))
        rows.append([f"{100 * (1 - error):g}", mean, least, f"{len(kept)} of {len(of_error)}"])
    columns = [Column("per cent aimed at"), Column("held, mean"), Column("least"), Column("assays")]
    print_table("intervals of real values, test part", columns, rows)


def interval(low: float, high: float, *, say: Callable[[float], str] = in_digits) -> str:
    return "-" if low != low else f"{say(low)} to {say(high)}"
