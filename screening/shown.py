"""Results as tables on the terminal; the command line alone calls it."""

from typing import TYPE_CHECKING

from .console import in_digits, new_table, open_console, print_frame, say

if TYPE_CHECKING:
    import pandas as pd

    from .assessment import Assessment
    from .benchmark import Benchmark
    from .compare import Comparison
    from .grouping import Grouped
    from .trials import Trial

SHOWN = 30
"""Assays printed unless --all is given."""


def print_evaluation(
    table: "pd.DataFrame", summary: "pd.DataFrame", part: str, *, by: str | None = None, all_assays: bool
) -> None:
    """Assays of one part, then the means over assays; of many assays the first, or those of least ROC-AUC.

    Parameters
    ----------
    by : the column that the table is sorted by; None = it is not sorted.
    """
    from rich.markup import escape
    from rich.text import Text

    from .findings import count_verdicts, in_words, judge

    shown, kind = table, ""
    if not all_assays and len(table) > SHOWN:
        shown = (table if by else table.sort_values("roc_auc")).head(SHOWN)
        kind = f" ({SHOWN} of {len(table)}, by {by or 'roc_auc'}; --all prints every one)"
    grid = new_table(
        escape(f"{part}, per assay{kind}"),
        ["assay", "actives", "inactives", "ROC-AUC", "95 % interval", "AP", "base rate", "EF 1 %", "verdict"],
    )
    for row, verdict in zip(shown.itertuples(index=False), judge(shown), strict=True):
        grid.add_row(
            Text(row.assay),
            f"{row.actives:,}",
            f"{row.inactives:,}",
            in_digits(row.roc_auc),
            _interval(row.roc_auc_low, row.roc_auc_high),
            in_digits(row.average_precision),
            in_digits(row.base_rate),
            in_digits(row.ef_1pct, 1),
            verdict,
        )
    console = open_console()
    console.print(grid)
    means = new_table(
        escape(f"{part}, over assays"), ["metric", "mean", "median", "10th percentile", "assays"]
    )
    for row in summary.itertuples(index=False):
        means.add_row(
            row.metric,
            in_digits(row.mean),
            in_digits(row.median),
            in_digits(row.percentile_10),
            f"{row.assays} of {row.total}",
        )
    console.print(means)
    console.print(f"verdicts: {in_words(count_verdicts(judge(table)))}")


def print_groups(found: "Grouped", *, all_assays: bool) -> None:
    """Groups, then the assays with the reason for their group."""
    groups, table = found.printed()
    print_frame(groups, f"Groups (score: mean effect of the others on an assay, {found.unit})")
    more = "" if all_assays or len(table) <= SHOWN else f" (the first {SHOWN}; --all prints every one)"
    print_frame(table if all_assays else table.head(SHOWN), f"Assays{more}")


def print_trial(found: "Trial", *, all_assays: bool) -> None:
    """All kinds of runs against the joint model, groups against random ones, and what the runs cost."""
    print_comparison(found.against_joint, all_assays=all_assays)
    if found.against_random is not None:
        print_comparison(found.against_random, all_assays=all_assays)
    print_frame(found.cost, "Cost: molecules seen in training, against the joint model")


def print_learning(table: "pd.DataFrame", *, all_assays: bool) -> None:
    """How each assay learned; of many those that lose most by stopping where the mean is best."""
    from rich.text import Text

    shown, kind = table, ""
    if not all_assays and len(table) > SHOWN:
        shown = table.sort_values("lost", ascending=False).head(SHOWN)
        kind = f" (the {SHOWN} of {len(table)} that lose most; --all prints every one)"
    members = ["member"] if "member" in table else []
    columns = ["loss, first", "last", "weight, least", "most", "best epoch", "best valid", "kept", "lost"]
    grid = new_table(f"learning{kind}", [*members, "assay", *columns, "trend"])
    for row in shown.itertuples(index=False):
        numbers = (row.loss_first, row.loss_last, row.weight_min, row.weight_max)
        grid.add_row(
            *(str(row.member) for _ in members),
            Text(row.assay),
            *(in_digits(number) for number in numbers),
            "-" if row.trend == "unknown" else str(row.best_epoch + 1),
            *(in_digits(number) for number in (row.best_valid, row.kept_valid, row.lost)),
            row.trend,
        )
    open_console().print(grid)


def print_set(table: "pd.DataFrame", title: str) -> None:
    """Mean and standard deviation over the runs of a set: the macro means, then the least sure assays."""
    from rich.markup import escape
    from rich.text import Text

    values = table.set_index(["assay", "metric"])
    macro, *assays = table["assay"].unique()
    roc_auc = values.xs("roc_auc", level="metric")["mean"]
    shown = sorted(assays, key=lambda assay: (roc_auc[assay] != roc_auc[assay], roc_auc[assay]))[:SHOWN]
    kind = "" if len(shown) == len(assays) else f" (the {SHOWN} lowest of {len(assays)} assays)"
    grid = new_table(escape(title + kind), ["assay", "ROC-AUC", "AP", "runs"])
    for assay in (macro, *shown):
        rows = [values.loc[(assay, metric)] for metric in ("roc_auc", "average_precision")]
        name = Text(assay or "mean over assays", style="" if assay else "bold")
        grid.add_row(name, *(_mean(row["mean"], row["sd"]) for row in rows), str(int(rows[0]["runs"])))
    open_console().print(grid)


def print_benchmark(found: "Benchmark") -> None:
    """Balancers side by side, a table for each metric."""
    from rich.text import Text

    first = found.table["balancer"].iloc[0]
    for name, short in (("roc_auc", "ROC-AUC"), ("average_precision", "AP")):
        columns = ["balancer", short, "difference", "95 % interval", "p", "won / lost", "cost of a step"]
        grid = new_table(f"balancers against {first}, {short}, mean over assays of the test part", columns)
        for _, row in found.table.iterrows():
            grid.add_row(
                Text(row["balancer"]),
                _mean(row[name], row[f"{name}_sd"]),
                in_digits(row[f"{name}_difference"]),
                _interval(row[f"{name}_low"], row[f"{name}_high"]),
                in_digits(row[f"{name}_p"]),
                "-" if row.isna()[f"{name}_won"] else f"{row[f'{name}_won']} / {row[f'{name}_lost']}",
                in_digits(row["cost"], 2),
            )
        open_console().print(grid)
    for note in found.comparisons[0].notes:
        say(note)


def _mean(mean: float, sd: float) -> str:
    return in_digits(mean) if sd != sd else f"{mean:.3f} ± {sd:.3f}"


def say_account(found: "Assessment") -> None:
    """What became of the records of a table, and which assays are on one side only."""
    counts = ", ".join(f"{count:,} {status}" for status, count in found.counts.items())
    say(f"{len(found.rows):,} records: {counts}")
    if found.model_only:
        names = ", ".join(found.model_only)
        say(f"{len(found.model_only):,} assays of the model are not in the table: {names}")
    if found.table_only:
        say(f"{len(found.table_only):,} columns are no assay of the model: {', '.join(found.table_only)}")
    for note in found.notes:
        say(note)


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
