"""The command line: words to calls, results to tables, errors to exit codes.

Exit codes: 0 done, 1 a fault of the program or an interruption, 2 a mistake in what was given.
Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import new_table, open_console, print_frame, progress_shown, say
from .errors import ConfigError, ScreeningError
from .shown import (
    print_benchmark,
    print_comparison,
    print_evaluation,
    print_groups,
    print_learning,
    print_set,
    print_trial,
    say_account,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from .config import Config
    from .scoring import ScoreReport

app = typer.Typer(
    name="screening",
    help="Virtual screening with one model for all assays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Assay tables: the catalogue, and what is in a file.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that win over the file.")
]
DataPath = Annotated[
    Path | None,
    typer.Option("--data", help="The table's file, or the folder it lies in.", show_default=False),
]


def main() -> None:
    """Entry point of the `screening` command."""
    # Threads of torch that wait without turning: on a busy machine an epoch took half the time or less.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(standalone_mode=False)
    except ScreeningError as problem:
        say(f"Error: {problem}")
        code = 2
    except typer.Abort:
        code = 1
    except KeyboardInterrupt:
        say("Stopped. A run that was training goes on with: screening train CONFIG --resume")
        code = 1
    except BrokenPipeError:
        code = 1
    except Exception as problem:
        if not hasattr(problem, "format_message"):
            raise
        say(f"Error: {problem.format_message()}")
        code = 2
    sys.exit(code or 0)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/tox21.yaml.")],
    overrides: Overrides = None,
    data: DataPath = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the run folder of an earlier run.")] = False,
    print_config: Annotated[bool, typer.Option(help="Print all settings and stop.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Read, split and build everything, but do not train.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option(help="Train runs NAME-seed0, -seed1, ...: so many.", show_default=False)
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Cross-validate: runs NAME-fold0, ...: so many.", show_default=False)
    ] = None,
) -> None:
    """Train one model for all assays and evaluate it; with --seeds or --folds a set of them."""
    from .config import load_config, to_yaml

    settings = load_config(config, overrides or [])
    if print_config:
        print(to_yaml(settings), end="")
        return
    if seeds is not None or folds is not None:
        _train_set(settings, seeds, folds, data=data, overwrite=overwrite, dry_run=dry_run)
        return
    from . import experiment

    with progress_shown() as console:
        note = _notes_to(console)
        if dry_run:
            experiment.plan(settings, data=data, on_note=note)
            return
        run = experiment.train(
            settings,
            data=data,
            resume=resume,
            overwrite=overwrite,
            on_note=note,
            on_epoch=lambda epoch: note(str(epoch)),
        )
    from .distributed import is_main, leave_processes

    if is_main():
        print_evaluation(run.evaluation, run.summary, "test part", all_assays=False)
        print(f"Run folder: {run.folder}")
    leave_processes()


def _train_set(
    settings: "Config",
    seeds: int | None,
    folds: int | None,
    *,
    data: Path | None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from . import experiment, studies
    from .distributed import is_main, leave_processes

    if seeds is not None and folds is not None:
        raise ConfigError("--seeds and --folds were both given: one set differs in seed, the other in fold.")
    kind = "seeds" if seeds is not None else "folds"
    configs = (
        studies.seed_configs(settings, seeds)
        if seeds is not None
        else studies.fold_configs(settings, folds or 0)
    )
    path = Path(settings.runs) / f"{settings.name}-{kind}.csv"
    with progress_shown() as console:
        note = _notes_to(console)
        if dry_run:
            experiment.plan(configs[0], data=data, on_note=note)
            return
        found = studies.train_set(
            configs, path, data=data, overwrite=overwrite, on_note=note, on_epoch=lambda e: note(str(e))
        )
    if is_main():
        print_set(found.table, f"{settings.name}, test part, over {len(configs)} {kind}")
        print(f"Runs: {', '.join(map(str, found.folders))}")
        print(f"Written: {found.path}")
    leave_processes()


@app.command()
def benchmark(
    config: Annotated[Path, typer.Argument(help="YAML file with a section 'benchmark'.")],
    overrides: Overrides = None,
    data: DataPath = None,
    overwrite: Annotated[bool, typer.Option(help="Train finished runs again too.")] = False,
) -> None:
    """Balancers side by side: quality over seeds and cost per step; a stopped one goes on."""
    from .benchmark import benchmark as run_benchmark
    from .config import load_config
    from .distributed import is_main, leave_processes

    settings = load_config(config, overrides or [])
    with progress_shown() as console:
        note = _notes_to(console)
        found = run_benchmark(
            settings, data=data, overwrite=overwrite, on_note=note, on_epoch=lambda e: note(str(e))
        )
    if is_main():
        print_benchmark(found)
        print(f"Written: {found.path}")
    leave_processes()


def _notes_to(console: "Console") -> "Callable[[str], None]":
    def note(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return note


@app.command()
def group(
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/toxcast.yaml.")],
    overrides: Overrides = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="At most so many networks.", show_default=False)
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="In place of --groups: cost of training all networks, in trainings of the joint model; a "
            "group costs the share of molecules with labels in it.",
            show_default=False,
        ),
    ] = None,
    affinity: Annotated[
        str | None,
        typer.Option(help="linear or exact; that of the config, else linear.", show_default=False),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="raw effects, or relative to those of the assays on themselves; auto: raw up to 15 assays."
        ),
    ] = "auto",
    singletons: Annotated[bool, typer.Option(help="An assay may be alone.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results, else the run folder.", show_default=False)
    ] = None,
    data: DataPath = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the run folder of an earlier run.")] = False,
    all_assays: Annotated[bool, typer.Option("--all", help="Print every assay, not only 30.")] = False,
    try_them: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Train joint model, groups, random groups and, up to 20 assays, single networks; compare.",
        ),
    ] = False,
    seeds: Annotated[int, typer.Option(help="With --evaluate: runs of each kind.")] = 3,
    draws: Annotated[int, typer.Option(help="With --evaluate: random groupings per seed.")] = 3,
) -> None:
    """Choose which assays should train together (TAG), from one training of the joint model."""
    from . import grouping, trials
    from .config import load_config
    from .distributed import is_main, leave_processes

    if try_them and (out is not None or overwrite):
        raise ConfigError("--evaluate has run folders of its own: leave --out and --overwrite out.")
    settings = grouping.with_affinity(load_config(config, overrides or []), affinity)
    choice = grouping.Choice(groups, budget, scale, singletons)
    with progress_shown() as console:

        def note(text: object) -> None:
            console.print(str(text), markup=False, highlight=False, soft_wrap=True)

        if try_them:
            trial = trials.try_groups(
                settings, choice, seeds=seeds, draws=draws, data=data, on_note=note, on_epoch=note
            )
            found = trial.grouped
        else:
            found = grouping.group(
                settings,
                choice,
                out=out,
                data=data,
                resume=resume,
                overwrite=overwrite,
                on_note=note,
                on_epoch=note,
            )
    if is_main():
        print_groups(found, all_assays=all_assays)
        if try_them:
            print_trial(trial, all_assays=all_assays)
        print(f"Groups: {found.file}")
        print(f"Train them: screening train {config} name={settings.name}-groups grouping.file={found.file}")
    leave_processes()


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder, such as runs/tox21; with --data also a bundle.")],
    part: Annotated[str, typer.Option(help="Split part: test or valid.")] = "test",
    data: Annotated[
        str | None, typer.Option(help="Another table, whose assays have the same names.", show_default=False)
    ] = None,
    keep_known: Annotated[
        bool, typer.Option("--keep-known", help="Do not leave out molecules that the model was trained on.")
    ] = False,
    smiles: Annotated[str | None, typer.Option(help="Column of its structures.", show_default=False)] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column of its names.", show_default=False)
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="Column to sort by, such as average_precision.", show_default=False)
    ] = None,
    learning: Annotated[
        bool, typer.Option("--learning", help="How each assay learned, from the history of the run.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the assays as .csv or .parquet.", show_default=False)
    ] = None,
    all_assays: Annotated[bool, typer.Option("--all", help="Print every assay, not only 30.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the assays into this .svg or .png file.", show_default=False)
    ] = None,
) -> None:
    """Per-assay quality of a run or on another table, with 95 % intervals."""
    _check_suffix("--out", out, ".csv", ".parquet")
    _check_suffix("--plot", plot, ".svg", ".png")
    from . import assessment, evaluation, experiment

    if learning:
        print_learning(assessment.learning(run), all_assays=all_assays)
        return
    title = f"{part} part"
    if data is None:
        table, summary = experiment.evaluate(run, part=part)
    else:
        with progress_shown():
            found = assessment.assess(run, data, smiles=smiles, id=id_column, keep_known=keep_known)
        table, summary, title = found.evaluation, found.summary, Path(data).name
        say_account(found)
    if sort is not None:
        table = evaluation.sorted_by(table, sort)
    print_evaluation(table, summary, title, by=sort, all_assays=all_assays)
    if out is not None:
        evaluation.write_evaluation(table, out)
    if plot is not None:
        from .pictures import plot_assays

        plot_assays(table, plot, title=f"{Path(run).name}, {title}")
    if data is None and part == "test" and len(effect := experiment.calibration_effect(run)):
        print_frame(effect, "calibration, test part: means over assays")


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Run folders, or runs/NAME for the set runs/NAME-seed0, runs/NAME-seed1 ...",
        ),
    ],
    metric: Annotated[str, typer.Option(help="roc_auc or average_precision.")] = "roc_auc",
    adjust: Annotated[str, typer.Option(help="For many tests: bh (Benjamini-Hochberg) or holm.")] = "bh",
    part: Annotated[str, typer.Option(help="Split part: test or valid.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Write one row per run and assay as CSV.", show_default=False)
    ] = None,
    all_assays: Annotated[bool, typer.Option("--all", help="Print every assay, not only 30.")] = False,
) -> None:
    """Paired differences per assay of runs on the same molecules; all against the first."""
    from .compare import compare as compare_runs

    _check_suffix("--out", out, ".csv")
    with progress_shown():
        found = compare_runs(runs, part, metric=metric, adjustment=adjust)
    print_comparison(found, all_assays=all_assays)
    if out is not None:
        found.write_csv(out)
        print(f"Written: {out}")


@app.command()
def score(
    run: Annotated[Path, typer.Argument(help="Run folder or bundle folder.")],
    library: Annotated[
        list[str],
        typer.Argument(
            help="SMILES, CSV, TSV, SDF or Parquet files, also gzipped; folders; patterns; '-' = standard "
            "input; 'alerts-library' = the ChEMBL compounds that come with RDKit."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the scores.")] = Path("scores"),
    output: Annotated[
        str, typer.Option("--format", help="parquet; csv or sdf for one such file as well.")
    ] = "parquet",
    top: Annotated[
        int, typer.Option(help="Write the best N molecules of every assay to top.csv; 3 assays are printed.")
    ] = 0,
    assays: Annotated[
        str | None, typer.Option(help="Assays wanted, with commas between; all if not given.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Keep only molecules that reach this probability in an assay.")
    ] = None,
    spread: Annotated[bool, typer.Option(help="Add the spread of an ensemble's networks.")] = False,
    domain: Annotated[
        bool,
        typer.Option(help="Add the nearest training molecule, and whether the molecule is in the domain."),
    ] = False,
    conformal: Annotated[
        float | None,
        typer.Option(help="Add the labels that cannot be ruled out at this error, such as 0.1."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Of the scores in the parts: float32 or float16.")] = "float32",
    limit: Annotated[int | None, typer.Option(help="Read only the first N records.")] = None,
    shard: Annotated[str | None, typer.Option(help="I/N: every N-th block from the I-th on.")] = None,
    engine: Annotated[str, typer.Option(help="pool (processes of this machine) or ray.")] = "pool",
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster that runs already; one is started if not given.")
    ] = None,
    smiles: Annotated[str | None, typer.Option(help="Column of the structures.", show_default=False)] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column of the names.", show_default=False)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Featurising processes.", show_default=False)] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Replace the scores of an earlier job in the folder.")
    ] = False,
) -> None:
    """Score compound libraries with a trained model; a stopped job goes on when started again."""
    from . import scoring
    from .alerts import alerts_library

    with progress_shown():
        report = scoring.score_library(
            run,
            [alerts_library() if name == "alerts-library" else name for name in library],
            out,
            output=output,
            smiles=smiles,
            id=id_column,
            assays=None if assays is None else [name.strip() for name in assays.split(",")],
            spread=spread,
            domain=domain,
            conformal=conformal,
            top=top,
            threshold=threshold,
            dtype=dtype,
            limit=limit,
            shard=shard,
            engine=engine,
            ray_address=ray_address,
            workers=workers,
            overwrite=overwrite,
        )
    _print_scores(report)


def _print_scores(report: "ScoreReport") -> None:
    print(f"{report.read:,} molecules read, {report.scored:,} scored, {report.rejected:,} rejected")
    for reason, count in list(report.reasons.items())[:10]:
        print(f"  {count:>8,}  {reason}")
    if report.below:
        print(f"  {report.below:>8,}  scored, below the threshold in every assay, left out")
    for note in report.notes:
        say(note)
    if report.top is not None:
        import pandas as pd

        table = pd.read_csv(report.top, dtype={"id": str, "smiles": str}, keep_default_na=False)
        for assay, rows in list(table.groupby("assay", sort=False))[:3]:
            print_frame(rows[["rank", "id", "smiles", "probability"]].head(10), title=f"Best for {assay}")
    print(f"Scores: {report.folder}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder, such as runs/tox21.")],
    out: Annotated[
        Path | None, typer.Option(help="The page; RUN/report.html if not given.", show_default=False)
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Folder of 'screening score' to show the best of; RUN/scores if it is there."),
    ] = None,
) -> None:
    """One page about a run that opens offline, and MODEL_CARD.md beside it."""
    from .report import write_report

    written = write_report(run, out, scores=scores)
    print(f"Report: {written.page} ({written.size / 1e6:.1f} MB)")
    print(f"Model card: {written.card}")


@app.command()
def hits(
    run: Annotated[Path, typer.Argument(help="Run folder or bundle folder.")],
    scores: Annotated[Path, typer.Argument(help="Folder that 'screening score RUN ...' wrote.")],
    assay: Annotated[str, typer.Option(help="Assay whose best molecules are wanted.")],
    out: Annotated[Path, typer.Option(help="Folder for hits.csv, hits.sdf and hits.html.")] = Path("hits"),
    number: Annotated[int, typer.Option("--n", help="Hits at most.")] = 100,
    top: Annotated[int, typer.Option(help="Choose among so many of the best molecules.")] = 2000,
    filters: Annotated[
        str, typer.Option(help="Such as pains,brenk,lipinski: see 'screening list filters'.")
    ] = "",
    keep_flagged: Annotated[bool, typer.Option(help="Only mark what a filter speaks against.")] = False,
    diverse: Annotated[str, typer.Option(help="spheres, maxmin or none.")] = "spheres",
    distance: Annotated[float, typer.Option(help="Tanimoto distance between hits (spheres).")] = 0.4,
) -> None:
    """Choose compounds to order from the scores of a library: filtered, diverse, beside known actives."""
    from .hits import choose_hits

    with progress_shown():
        found = choose_hits(
            run,
            scores,
            out,
            assay=assay,
            n=number,
            candidates=top,
            filters=[name.strip() for name in filters.split(",") if name.strip()],
            keep_flagged=keep_flagged,
            diversity=diverse,
            distance=distance,
        )
    for line in found.lines():
        print(line)


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="Run folder or bundle folder.")],
    molecules: Annotated[Path, typer.Argument(help="SMILES, CSV, TSV, SDF or Parquet file.")],
    assay: Annotated[str, typer.Option(help="Assay whose score is explained.")],
    out: Annotated[Path, typer.Option(help="Folder for tables, pictures and index.html.")] = Path(
        "explained"
    ),
    method: Annotated[str, typer.Option(help="integrated_gradients or occlusion.")] = "integrated_gradients",
    check: Annotated[bool, typer.Option(help="Compare with the other method.")] = False,
    limit: Annotated[int, typer.Option(help="Explain only the first N molecules.")] = 200,
    smiles: Annotated[str | None, typer.Option(help="Column of the structures.", show_default=False)] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column of the names.", show_default=False)
    ] = None,
) -> None:
    """What each atom contributes to the score of molecules in one assay."""
    from .explain import explain as explain_molecules

    with progress_shown():
        found = explain_molecules(
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
    for line in found.lines():
        print(line)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder or bundle folder.")],
    out: Annotated[Path, typer.Option(help="File to write: .onnx, or .pt2 for torch.export.")],
) -> None:
    """Write the network for other programs, checked against ours."""
    from .export import export as export_network

    made = export_network(run, out)
    print(f"{made.path}: differs from ours by at most {made.difference:.0e}; inputs: {made.description}")


@app.command(name="list")
def list_family(
    family: Annotated[
        str,
        typer.Argument(
            help="balancers, baselines, calibrations, encoders, featurizers, filters, splits or metrics."
        ),
    ],
) -> None:
    """What can be named in a config, with the options of each."""
    from rich.text import Text

    from . import families

    rows = families.family(family)
    extra = ["cost of a step", "paper"] if any(row.cost for row in rows) else []
    table = new_table(family, ["name", "what it is", "options", *extra])
    for row in rows:
        more = [row.cost, row.paper] if extra else []
        table.add_row(row.name, Text(row.summary), Text(", ".join(row.options)), *more)
    open_console().print(table)


@data_app.command("list")
def data_list() -> None:
    """Public tables the toolkit knows."""
    from . import datasets

    table = new_table("catalogue", ["name", "assays", "molecules", "split", "metric", "here", "what it is"])
    for row in datasets.catalogue.values():
        table.add_row(
            row.name,
            f"{row.n_tasks:,}",
            f"{row.rows:,}",
            row.split,
            row.metric,
            "yes" if datasets.is_here(row.name) else "no",
            row.summary,
        )
    open_console().print(table)


@data_app.command("describe")
def data_describe(
    source: Annotated[str, typer.Argument(help="Catalogue name or file.")],
    data: DataPath = None,
) -> None:
    """Rows, assays, labels and problems of a table."""
    from . import datasets

    with progress_shown():
        description = datasets.describe(source, data=data)
    print(description)


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="Catalogue name.")]) -> None:
    """Download a public table into the cache and check it, unless it is here already."""
    from . import datasets

    with progress_shown():
        path = datasets.find(name) if name in datasets.catalogue else datasets.fetch(name)
    print(path)


def _check_suffix(option: str, path: Path | None, *suffixes: str) -> None:
    if path is not None and path.suffix not in suffixes:
        raise ConfigError(f"{option} is '{path}': expected a file that ends in {' or '.join(suffixes)}.")
