"""Results as tables on the terminal; the command line alone calls it."""

from typing import TYPE_CHECKING, Any

from ..errors import ScreeningError
from ..runtime.numbers import in_digits
from .assay_tables import SHOWN, interval
from .console import p_value, say, tell
from .grid import NAME, Column, print_frame, print_table

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ..evaluation.benchmarks import Benchmark
    from ..evaluation.comparison import Comparison
    from ..evaluation.external import Assessment
    from ..grouping.choosing import Grouped
    from ..grouping.trial import Trial
    from ..tuning.search import Tuned

LEARNING = (
    Column("assay", folds=NAME),
    Column("loss, first", 4),
    Column("last", 4),
    Column("weight, least", 5),
    Column("most", 5),
    Column("best epoch", 1),
    Column("best valid", 3),
    Column("kept", 2),
    Column("lost"),
    Column("trend", folds=NAME),
)
COMPARED = (
    Column("against", 2),
    Column("run", 2),
    Column("difference"),
    Column("95 % interval"),
    Column("p", 3),
)
COMPARED_MEANS = (
    Column("run", folds=NAME),
    Column("mean", 1),
    Column("difference"),
    Column("95 % interval"),
)
"""Columns of the tables; those of COMPARED stand between counts and what is named after the adjustment."""


def print_groups(grouped: "Grouped", *, all_assays: bool) -> None:
    """Groups, then the assays with the reason for their group."""
    groups, table = grouped.printed()
    print_frame(groups, f"Groups (score: mean effect of the others on an assay, {grouped.unit})")
    more = "" if all_assays or len(table) <= SHOWN else f" (the first {SHOWN}; --all prints every one)"
    print_frame(table if all_assays else table.head(SHOWN), f"Assays{more}")


def print_trial(trial: "Trial", *, all_assays: bool) -> None:
    """All kinds of runs against the joint model, groups against random ones, and what the runs cost."""
    print_comparison(trial.against_joint, all_assays=all_assays)
    if trial.against_random is not None:
        print_comparison(trial.against_random, all_assays=all_assays)
    print_frame(trial.cost, "Cost: molecules seen in training, against the joint model")


def print_blend(run: "Path") -> None:
    """What each model of a blend with fitted weights brings; nothing of another run."""
    from ..training.blending import blend_summary
    from ..training.run_folder import BLEND_TABLE, read_table

    table = read_table(run, BLEND_TABLE)
    if len(table):
        names = {"average_precision": "average precision", "rmse": "RMSE", "gain_concordance": "gain"}
        summary = blend_summary(table)[["weight", "concordance", "gain_concordance", *list(names)[:2]]]
        shown = summary.dropna(axis="columns", how="all").rename(columns=names).reset_index()
        print_frame(shown, "blend, left-out molecules of the training part (means over assays)")


def print_learning(table: "pd.DataFrame", *, all_assays: bool) -> None:
    """How each assay learned; of many those that lose most by stopping where the mean is best."""
    shown, kind = table, ""
    if not all_assays and len(table) > SHOWN:
        shown = table.sort_values("lost", ascending=False).head(SHOWN)
        kind = f" (the {SHOWN} of {len(table)} that lose most; --all prints every one)"
    members = [Column("member")] if "member" in table else []
    rows = [[*(str(row.member) for _ in members), *_learned(row)] for row in shown.itertuples()]
    print_table(f"learning{kind}", [*members, *LEARNING], rows)


def _learned(row: Any) -> list[str]:
    """A row of LEARNING."""
    return [
        row.assay,
        *map(in_digits, (row.loss_first, row.loss_last, row.weight_min, row.weight_max)),
        "-" if row.trend == "unknown" else str(row.best_epoch + 1),
        *map(in_digits, (row.best_valid, row.kept_valid, row.lost)),
        row.trend,
    ]


def print_set(table: "pd.DataFrame", title: str) -> None:
    """Mean and standard deviation over the runs of a set: the macro means, then the least sure assays."""
    from ..metrics.contract import metrics

    values = table.set_index(["assay", "metric"])
    macro, *assays = table["assay"].unique()
    names = list(dict.fromkeys(table["metric"]))
    first = values.xs(names[0], level="metric")["mean"]
    shown = sorted(assays, key=lambda assay: (first[assay] != first[assay], first[assay]))[:SHOWN]
    kind = "" if len(shown) == len(assays) else f" (the {SHOWN} lowest of {len(assays)} assays)"
    lines = []
    for assay in (macro, *shown):
        of_assay = [values.loc[(assay, metric)] for metric in names]
        means = [_mean(row["mean"], row["sd"]) for row in of_assay]
        lines.append([assay or "mean over assays", *means, str(int(of_assay[0]["runs"]))])
    titles = [Column(metrics.get(name).title) for name in names]
    columns = [Column("assay", folds=NAME), *titles, Column("runs", 1)]
    print_table(title + kind, columns, lines)


def print_benchmark(benchmark: "Benchmark") -> None:
    """Balancers side by side, a table for each metric."""
    from ..metrics.contract import metrics

    first = benchmark.table["balancer"].iloc[0]
    for name in (comparison.metric for comparison in benchmark.comparisons):
        title = metrics.get(name).title
        print_table(
            f"balancers against {first}, {title}, mean over assays of the test part",
            [
                Column("balancer", folds=NAME),
                Column(title),
                Column("difference"),
                Column("95 % interval"),
                Column("p", 1),
                Column("won / lost", 2),
                Column("cost of a step", 3),
            ],
            [_side_by_side(row, name) for _, row in benchmark.table.iterrows()],
        )
    for note in benchmark.comparisons[0].notes:
        say(note)


def _side_by_side(row: "pd.Series", name: str) -> list[str]:
    """A balancer's row about one metric."""
    return [
        row["balancer"],
        _mean(row[name], row[f"{name}_sd"]),
        in_digits(row[f"{name}_difference"]),
        interval(row[f"{name}_low"], row[f"{name}_high"]),
        p_value(row[f"{name}_p"]),
        "-" if row.isna()[f"{name}_won"] else f"{row[f'{name}_won']} / {row[f'{name}_lost']}",
        in_digits(row["cost"], 2),
    ]


def _mean(mean: float, sd: float) -> str:
    return in_digits(mean) if sd != sd else f"{mean:.3f} ± {sd:.3f}"


def say_account(assessment: "Assessment") -> None:
    """What became of the records of a table, and which assays are on one side only."""
    counts = ", ".join(f"{count:,} {status}" for status, count in assessment.counts.items())
    say(f"{len(assessment.rows):,} records: {counts}")
    if assessment.model_only:
        names = ", ".join(assessment.model_only)
        say(f"{len(assessment.model_only):,} assays of the model are not in the table: {names}")
    if assessment.table_only:
        names = ", ".join(assessment.table_only)
        say(f"{len(assessment.table_only):,} columns are no assay of the model: {names}")
    for note in assessment.notes:
        say(note)


def print_comparison(comparison: "Comparison", *, all_assays: bool) -> None:
    """Assays of each run against the first, worst hurt first, then the means over assays and the notes."""
    p_name = f"p ({comparison.adjustment})"
    for run, rows in comparison.assays.groupby("run", sort=False):
        shown = rows if all_assays else rows.head(SHOWN)
        n_left = len(rows) - len(shown)
        kind = f" (the {SHOWN} worst of {len(rows)}; --all prints every one)" if n_left else ""
        counts = ["measured"] if "measured" in rows else ["actives", "inactives"]
        heads = [Column("assay", folds=NAME), *(Column(name, 4 + at) for at, name in enumerate(counts))]
        print_table(
            f"{run} against {comparison.sets[0].name}, {comparison.metric}, {comparison.part} part{kind}",
            [*heads, *COMPARED, Column(p_name), Column("result", folds=NAME)],
            [_compared(row, counts) for row in shown.itertuples()],
        )
    tell("")
    print_table(
        "mean over assays",
        [
            *COMPARED_MEANS,
            Column(p_name),
            Column("win / loss / tie"),
            Column("higher / lower", 2),
            Column("worst tenth", 3),
            Column("Delta-m %", 4),
        ],
        [_compared_mean(row) for row in comparison.summary.itertuples()],
    )
    for note in comparison.notes:
        say(note)


def _compared(row: Any, counts: list[str]) -> list[str]:
    """An assay of one run against the first."""
    return [
        row.assay,
        *(f"{getattr(row, name):,}" for name in counts),
        *map(in_digits, (row.baseline, row.value, row.difference)),
        interval(row.low, row.high),
        *map(p_value, (row.p, row.p_adjusted)),
        row.result or row.status,
    ]


def _compared_mean(row: Any) -> list[str]:
    """The mean over assays of one run against the first."""
    return [
        row.run,
        *map(in_digits, (row.value, row.difference)),
        interval(row.low, row.high),
        p_value(row.p_adjusted),
        f"{row.wins} / {row.losses} / {row.ties}",
        f"{row.higher} / {row.lower}",
        in_digits(row.worst_tenth),
        in_digits(row.delta_m, 1),
    ]


BEST = 10
"""Trials that the terminal shows."""


def print_tuned(tuned: "Tuned") -> None:
    """The best trials with their settings, which settings matter, why trials failed, and what to do next."""
    from ..tuning.space import shown
    from ..tuning.study import REASON, VALUE

    trials = tuned.trials
    counts = ", ".join(f"{n:,} {state}" for state, n in trials["state"].value_counts().items())
    best = trials[trials["state"] == "complete"].nlargest(BEST, VALUE).to_dict("records")
    keys = list(trials.columns[trials.columns.get_loc("seconds") + 1 : -1])
    heads = [
        Column("trial"),
        Column(tuned.metric),
        *(Column(key, 1 + at, NAME) for at, key in enumerate(keys)),
    ]
    rows = [[str(row["trial"]), in_digits(row[VALUE], 4), *(shown(row[key]) for key in keys)] for row in best]
    title = f"{len(trials):,} trials: {counts}. The best, by mean {tuned.metric} of the validation part:"
    print_table(title, heads, rows)
    if tuned.importance:
        _print_importance(tuned.importance)
    for reason, n in trials.loc[trials["state"] == "failed", REASON].value_counts().items():
        say(f"{n:,} failed: {reason}")
    tell(f"Written: {tuned.folder / 'trials.csv'}, {tuned.folder / 'tune.html'}")
    if tuned.best is None:
        raise ScreeningError("No trial was finished, so there are no best settings.")
    tell(f"Train the best: screening train {tuned.folder / 'best.yaml'}")


def _print_importance(importance: dict[str, float]) -> None:
    print_table(
        "Which settings matter: share of the variance that each explains",
        [Column("setting", folds=NAME), Column("share")],
        [[key, in_digits(share, 2)] for key, share in importance.items()],
    )
