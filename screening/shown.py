"""Results as tables on the terminal; the command line alone calls it."""

from typing import TYPE_CHECKING

from .console import in_digits, new_table, open_console, say

if TYPE_CHECKING:
    import pandas as pd

    from .compare import Comparison

SHOWN = 30
"""Assays printed unless --all is given."""


def print_evaluation(table: "pd.DataFrame", summary: "pd.DataFrame", part: str, *, all_assays: bool) -> None:
    """Assays of one part, then the means over assays."""
    from rich.text import Text

    shown = table if all_assays or len(table) <= SHOWN else table.sort_values("roc_auc").head(SHOWN)
    kind = (
        "" if len(shown) == len(table) else f" (the {SHOWN} lowest of {len(table)}; --all prints every one)"
    )
    grid = new_table(
        f"{part} part, per assay{kind}",
        ["assay", "actives", "inactives", "ROC-AUC", "95 % interval", "AP", "base rate", "EF 1 %", "status"],
    )
    for row in shown.itertuples(index=False):
        grid.add_row(
            Text(row.assay),
            f"{row.actives:,}",
            f"{row.inactives:,}",
            in_digits(row.roc_auc),
            _interval(row.roc_auc_low, row.roc_auc_high),
            in_digits(row.average_precision),
            in_digits(row.base_rate),
            in_digits(row.ef_1pct, 1),
            Text(row.status),
        )
    console = open_console()
    console.print(grid)
    means = new_table(f"{part} part, over assays", ["metric", "mean", "median", "10th percentile", "assays"])
    for row in summary.itertuples(index=False):
        means.add_row(
            row.metric,
            in_digits(row.mean),
            in_digits(row.median),
            in_digits(row.percentile_10),
            f"{row.assays} of {row.total}",
        )
    console.print(means)


def print_comparison(found: "Comparison", *, all_assays: bool) -> None:
    """Assays of each run against the first, worst hurt first, then the means over assays and the notes."""
    from rich.markup import escape
    from rich.text import Text

    console = open_console()
    for run, rows in found.assays.groupby("run", sort=False):
        some = rows if all_assays or len(rows) <= SHOWN else rows.head(SHOWN)
        kind = (
            "" if len(some) == len(rows) else f" (the {SHOWN} worst of {len(rows)}; --all prints every one)"
        )
        grid = new_table(
            escape(f"{run} against {found.sets[0].name}, {found.metric}, {found.part} part{kind}"),
            [
                *("assay", "actives", "inactives", "against", "run", "difference", "95 % interval"),
                *("p", f"p ({found.adjustment})", "result"),
            ],
        )
        for row in some.itertuples(index=False):
            grid.add_row(
                Text(row.assay),
                f"{row.actives:,}",
                f"{row.inactives:,}",
                in_digits(row.baseline),
                in_digits(row.value),
                in_digits(row.difference),
                _interval(row.low, row.high),
                in_digits(row.p),
                in_digits(row.p_adjusted),
                row.result or row.status,
            )
        console.print(grid)
    grid = new_table(
        "mean over assays",
        [
            *("run", "mean", "difference", "95 % interval", f"p ({found.adjustment})", "win / loss / tie"),
            *("higher / lower", "worst tenth", "Delta-m %"),
        ],
    )
    for row in found.summary.itertuples(index=False):
        grid.add_row(
            Text(row.run),
            in_digits(row.value),
            in_digits(row.difference),
            _interval(row.low, row.high),
            in_digits(row.p_adjusted),
            f"{row.wins} / {row.losses} / {row.ties}",
            f"{row.higher} / {row.lower}",
            in_digits(row.worst_tenth),
            in_digits(row.delta_m, 1),
        )
    console.print(grid)
    for note in found.notes:
        say(note)


def _interval(low: float, high: float) -> str:
    return "-" if low != low else f"{low:.3f} to {high:.3f}"
