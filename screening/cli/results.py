"""Commands about trained runs: evaluate, compare, report, explain. Joined to the command line by `main`."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, ScreeningError
from .assay_tables import print_evaluation, print_intervals
from .checks import PARTS, check_apart, check_choice, check_file
from .console import progress_shown, tell, with_flags
from .grid import print_frame
from .learning_curve import of_shares
from .options import AllAssays, IdColumn, PartOfSplit, RunOrBundle, SmilesColumn
from .settings import CsvSafe
from .tables import print_comparison, print_learning, print_set, say_account

if TYPE_CHECKING:
    import pandas as pd

    from ..config import Data
    from ..data.assay_kinds import Assay

    Results = tuple[  # assays, summary, what the assays are, what is told behind
        pd.DataFrame, pd.DataFrame, tuple[Assay, ...], Callable[[], None]
    ]

OF_THE_MODEL = {
    "source": "--data names the table",
    "standardize": "structures are prepared as in the training of the model",
    "duplicates": "rows of one structure are merged",
    "keep_apart": "rows of one structure are merged",
    "max_atoms": "the limit is that of the model",
}
"""Settings of a table that an evaluation does not take, and why."""


RunOrSet = Annotated[
    Path,
    typer.Argument(
        help="Run folder, such as runs/tox21, or runs/NAME for the set runs/NAME-seed0, ... or "
        "runs/NAME-fold0, ... together; with --data also a bundle, with --learning-curve also a config."
    ),
]
TableSettings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="With --data: how to read the table, such as data.id=CID; with --learning-curve any setting.",
    ),
]
OtherTable = Annotated[
    str | None, typer.Option(help="Another table, whose assays have the same names.", show_default=False)
]
KeepKnown = Annotated[
    bool, typer.Option("--keep-known", help="Do not leave out molecules that the model was trained on.")
]
Sort = Annotated[
    str | None, typer.Option(help="Column to sort by, such as average_precision.", show_default=False)
]
CurveOption = Annotated[
    bool,
    typer.Option(
        "--learning-curve",
        help="Is it worth measuring more? Trains the config, or that of the run, on shares of the molecules.",
    ),
]
Learning = Annotated[
    bool, typer.Option("--learning", help="How each assay learned, from the history of the run.")
]
TableFile = Annotated[
    Path | None, typer.Option(help="Write the assays as .csv or .parquet.", show_default=False)
]
PictureFile = Annotated[
    Path | None, typer.Option(help="Draw the assays into this .svg or .png file.", show_default=False)
]


def evaluate(
    run: RunOrSet,
    settings: TableSettings = None,
    part: PartOfSplit = "test",
    data: OtherTable = None,
    keep_known: KeepKnown = False,
    smiles: Annotated[str | None, typer.Option(help="Column of its structures.", show_default=False)] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column of its names.", show_default=False)
    ] = None,
    sort: Sort = None,
    learning: Learning = False,
    learning_curve: CurveOption = False,
    overwrite: Annotated[bool, typer.Option(help="With --learning-curve: begin anew.")] = False,
    out: TableFile = None,
    all_assays: AllAssays = False,
    plot: PictureFile = None,
    csv_safe: CsvSafe = False,
) -> None:
    """How good a run is, assay by assay, with 95 % intervals.

    On its own test part, or with --data on another table.
    """
    check_choice("--part", part, PARTS)
    check_file("--out", out, ".csv", ".parquet")
    check_file("--plot", plot, ".svg", ".png")
    of_table = {"--smiles": smiles is not None, "--id": id_column is not None, "--keep-known": keep_known}
    of_results = {"--sort": sort is not None, "--out": out is not None, "--plot": plot is not None}
    if learning_curve:
        others = {**of_results, **of_table, "--learning": learning, "--csv-safe": csv_safe}
        check_apart(others, "--learning-curve has none of it. Leave it out.")
        of_shares(run, settings, part=part, data=data, overwrite=overwrite, all_assays=all_assays)
        return
    check_apart({"--overwrite": overwrite}, "only --learning-curve has that. Leave it out.")
    _check_table(data, of_table, settings or [])
    if learning:
        check_apart({"--data": data is not None, **of_results}, "--learning has none of it. Leave it out.")
    from ..metrics import per_assay

    is_set = _check_set(run, {"--data": data is not None, "--learning": learning})
    if sort is not None:
        _check_sort(run, sort, is_set=is_set)
    if learning:
        _print_learning(run, all_assays=all_assays)
        return
    title = f"{part} part" if data is None else Path(data).name
    if data is not None:
        results = _of_table(run, data, settings or [], {"smiles": smiles, "id": id_column}, keep_known)
    else:
        results = _of_set(run, part) if is_set else _of_run(run, part)
    table, summary, kinds, tell_more = results
    if sort is not None:
        table = per_assay.sorted_by(table, sort)
    print_evaluation(table, summary, title, kinds=kinds, by=sort, all_assays=all_assays)
    if out is not None:
        per_assay.write_evaluation(table, out, csv_safe=csv_safe)
    if plot is not None:
        _draw(table, plot, title=f"{Path(run).name}, {title}")
    tell_more()


def _check_table(data: str | None, of_table: dict[str, bool], settings: list[str]) -> None:
    """Check what says how a table is read, which has no meaning where none is named."""
    if data is not None:
        _table_settings(data, settings)
        return
    check_apart(of_table, "only a table of --data has that. Give --data, or leave it out.")
    if settings:
        raise ConfigError(f"'{settings[0]}' says how a table is read: name the table with --data.")


def _print_learning(run: Path, *, all_assays: bool) -> None:
    from ..evaluation import external

    print_learning(external.learning(run), all_assays=all_assays)


def _table_settings(data: str, settings: list[str]) -> "Data":
    from ..config import data_settings

    return data_settings(data, settings, fixed=OF_THE_MODEL)


def _of_table(
    run: Path, data: str, given: list[str], columns: dict[str, str | None], keep_known: bool
) -> "Results":
    """The assays of another table and their summary; what became of its records is said at once."""
    from ..evaluation import external

    settings = _table_settings(data, given)
    settings = settings.model_copy(update={key: value for key, value in columns.items() if value})
    with progress_shown():
        assessed = external.assess(
            run,
            data,
            smiles=settings.smiles,
            id=settings.id,
            tasks=settings.tasks,
            labels=settings.labels,
            assays=settings.assays,
            format=settings.format,
            long=settings.long,
            keep_known=keep_known,
        )
    say_account(assessed)
    return assessed.evaluation, assessed.summary, assessed.kinds, lambda: None


def _check_set(run: Path, of_one_run: dict[str, bool]) -> bool:
    """Whether `run` names a set of runs; with options that take one run alone that is an error."""
    from ..evaluation.run_sets import is_set, run_folders

    if not is_set(run):
        return False
    runs = ", ".join(map(str, run_folders(run)[:5]))
    check_apart(of_one_run, f"takes one run, and {run} names a set. Give one of its runs: {runs}.")
    return True


def _check_sort(run: Path, sort: str, *, is_set: bool) -> None:
    """Refuse a column that there is not, before a table is scored; metrics of the run's plug-ins are some."""
    from ..evaluation.run_sets import run_folders
    from ..metrics.per_assay import check_column, columns
    from ..training.run_folder import read_config

    if sort not in columns():
        with suppress(ScreeningError):  # a run that is not there is told when it is read
            read_config(run_folders(run)[0] if is_set else run)
        check_column(sort)


def _draw(table: "pd.DataFrame", path: Path, *, title: str) -> None:
    from ..reporting.pictures import plot_assays

    plot_assays(table, path, title=title)


def _of_run(run: Path, part: str) -> "Results":
    """The assays, their summary, and what is printed behind them: what calibration changed."""
    from ..evaluation.headline import comparable_means
    from ..training.evaluating import calibration_effect
    from ..training.evaluating import evaluate as evaluate_run
    from ..training.run_folder import read_kinds, read_table

    def tell_more() -> None:
        intervals = read_table(run, "intervals.csv") if part == "test" else ()
        if len(intervals):
            print_intervals(intervals)
        effect = calibration_effect(run) if part == "test" else ()
        if len(effect):
            print_frame(effect, "calibration, test part: means over assays")

    evaluation, summary = evaluate_run(run, part=part)
    kinds = read_kinds(run, evaluation["assay"].tolist())
    return evaluation, comparable_means(summary, kinds), kinds, tell_more


def _of_set(run: Path, part: str) -> "Results":
    """The assays of all runs together, their summary, and what is printed behind: the mean within runs."""
    from ..evaluation import pooled
    from ..evaluation.headline import comparable_means
    from ..evaluation.replicates import tabulate

    together = pooled.pool(run, part=part)

    def tell_more() -> None:
        print_set(tabulate(together.folders, part=part), f"{part} part, mean within runs")
        tell(together.note())

    kinds = together.predictions.assays
    return together.evaluation, comparable_means(together.summary, kinds), kinds, tell_more


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Run folders, or runs/NAME for the set runs/NAME-seed0, runs/NAME-seed1 ...",
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            help="roc_auc, average_precision, concordance; of real assays rmse, mae, r2, spearman, kendall, "
            "within_03, within_1; by default roc_auc, with real assays concordance.",
            show_default=False,
        ),
    ] = None,
    adjust: Annotated[str, typer.Option(help="For many tests: bh (Benjamini-Hochberg) or holm.")] = "bh",
    part: PartOfSplit = "test",
    out: Annotated[
        Path | None, typer.Option(help="Write one row per run and assay as CSV.", show_default=False)
    ] = None,
    all_assays: AllAssays = False,
) -> None:
    """Compare runs assay by assay, on the same molecules.

    All are compared with the first one; differences are paired.
    """
    from ..evaluation.comparison import compare as compare_runs

    check_choice("--part", part, PARTS)
    check_file("--out", out, ".csv")
    with progress_shown():
        comparison = compare_runs(runs, part, metric=metric, adjustment=adjust)
    print_comparison(comparison, all_assays=all_assays)
    if out is not None:
        comparison.write_csv(out)
        tell(f"Written: {out}")


def report(
    run: Annotated[
        Path,
        typer.Argument(help="Run folder, such as runs/tox21, or runs/NAME for the set runs/NAME-fold0, ..."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page; RUN/report.html if not given.", show_default=False)
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Folder of 'screening score' to show the best of; found near the run if not given."
        ),
    ] = None,
) -> None:
    """Write a page about a run that opens offline.

    MODEL_CARD.md is written beside it.
    """
    from ..reporting.report import write_report

    written = write_report(run, out, scores=scores)
    tell(f"Report: {written.page} ({written.size / 1e6:.1f} MB)")
    if written.card is not None:
        tell(f"Model card: {written.card}")


def explain(
    run: RunOrBundle,
    molecules: Annotated[Path, typer.Argument(help="SMILES, CSV, TSV, SDF or Parquet file.")],
    assay: Annotated[str, typer.Option(help="Assay whose score is explained.")],
    out: Annotated[Path, typer.Option(help="Folder for tables, pictures and index.html.")] = Path(
        "explained"
    ),
    method: Annotated[str, typer.Option(help="integrated_gradients or occlusion.")] = "integrated_gradients",
    check: Annotated[bool, typer.Option(help="Compare with the other method.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Explain only the first N molecules.")] = 200,
    smiles: SmilesColumn = None,
    id_column: IdColumn = None,
) -> None:
    """Show what each atom contributes to a score in an assay."""
    from ..triage.explanation import explain as explain_molecules

    with progress_shown():
        explanation = explain_molecules(
            run,
            molecules,
            out,
            assay=assay,
            method=method,
            check=check,
            limit=limit,
            smiles=smiles,
            id=id_column,
        )
    for line in explanation.lines():
        tell(with_flags(line))
