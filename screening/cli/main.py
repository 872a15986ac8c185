"""The command line: words to calls, results to tables, errors to exit codes.

Exit codes: 0 done, 1 a fault of the program or an interruption, 2 a mistake in what was given.
Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .checks import check_settings
from .console import notes_to, progress_shown, tell
from .endings import ended, goes_on, prepare_streams
from .extending import check, with_plugins
from .grid import NAME, Column, print_table
from .library import export, hits, score, verify
from .project import init
from .results import compare, evaluate, explain, report
from .settings import config_file, kept_in, option_hint, with_options
from .tables import print_benchmark, print_evaluation, print_groups, print_set, print_trial

if TYPE_CHECKING:
    from ..config import Config

app = typer.Typer(
    name="screening",
    help="Virtual screening with one model for all assays.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Assay tables: the catalogue, and what is in a file.", invoke_without_command=True
)
app.add_typer(data_app, name="data")

FIRST_STEP = """
First step: screening train alerts     (a table that comes along; five minutes, no network)
Your table: screening init mine --table assays.csv, then what mine/README.md says"""

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
    prepare_streams()
    sys.exit(ended(_call))


def _call() -> int:
    """What was typed, as a call; typer's own `main` would swallow interruptions."""
    command = typer.main.get_command(app)
    if "_SCREENING_COMPLETE" in os.environ:
        command(prog_name="screening")
    try:
        with command.make_context("screening", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except Exception as problem:
        hint = option_hint(problem, sys.argv[1:])
        if hint is None:
            raise
        raise ConfigError(hint) from problem
    return 0


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Virtual screening with one model for all assays."""
    if version:
        from .. import __version__

        tell(f"screening {__version__}")
        raise typer.Exit
    _help_alone(context, f"\n{FIRST_STEP}")


@data_app.callback()
def start_data(context: typer.Context) -> None:
    """Assay tables: the catalogue, and what is in a file."""
    _help_alone(context, "")


def _help_alone(context: typer.Context, more: str) -> None:
    if context.invoked_subcommand is None:
        tell(context.get_help() + more)
        raise typer.Exit


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe, such as tox21.")],
    overrides: Overrides = None,
    data: DataPath = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run: the setting name.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="The setting train.epochs.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="The setting seed.", show_default=False)] = None,
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
    """Train one model for all assays and evaluate it.

    With --seeds or --folds it is a set of models, and their mean.
    """
    from ..config import load_config, to_yaml

    aliases = {"name": name, "train.epochs": epochs, "seed": seed}
    settings = load_config(config_file(config), with_options(overrides, aliases))
    if print_config:
        tell(to_yaml(settings).rstrip("\n"))
        return
    check_settings(settings)
    if seeds is not None or folds is not None:
        _train_set(settings, seeds, folds, data=data, overwrite=overwrite, dry_run=dry_run)
        return
    from ..training import run as experiment

    with progress_shown() as console, goes_on(lambda: kept_in(settings), "--resume"):
        note = notes_to(console)
        if dry_run:
            experiment.plan(settings, data=data, on_note=note)
            return
        run = experiment.train(
            settings,
            data=data,
            resume=resume,
            overwrite=overwrite,
            on_note=note,
            on_epoch=note,
        )
    from ..runtime.distributed import is_main, leave_processes

    if is_main():
        print_evaluation(run.evaluation, run.summary, "test part", all_assays=False)
        tell(f"Run folder: {run.folder}")
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
    from ..evaluation import replicates as studies
    from ..runtime.distributed import is_main, leave_processes
    from ..training import run as experiment

    if seeds is not None and folds is not None:
        raise ConfigError("--seeds and --folds were both given: one set differs in seed, the other in fold.")
    kind = "seeds" if seeds is not None else "folds"
    configs = (
        studies.seed_configs(settings, seeds)
        if seeds is not None
        else studies.fold_configs(settings, folds or 0)
    )
    path = Path(settings.runs) / f"{settings.name}-{kind}.csv"
    with (
        progress_shown() as console,
        goes_on(lambda: f"Every finished run and epoch is kept in {settings.runs}."),
    ):
        note = notes_to(console)
        if dry_run:
            experiment.plan(configs[0], data=data, on_note=note)
            return
        trained = studies.train_set(
            configs, path, data=data, overwrite=overwrite, on_note=note, on_epoch=note
        )
    if is_main():
        print_set(trained.table, f"{settings.name}, test part, over {len(configs)} {kind}")
        tell(f"Runs: {', '.join(map(str, trained.folders))}")
        tell(f"Written: {trained.path}")
    leave_processes()


@app.command()
def benchmark(
    config: Annotated[str, typer.Argument(help="YAML file with a section 'benchmark'.")],
    overrides: Overrides = None,
    data: DataPath = None,
    overwrite: Annotated[bool, typer.Option(help="Train finished runs again too.")] = False,
) -> None:
    """Train balancers side by side: quality and cost of each.

    A stopped one goes on when started again.
    """
    from ..config import load_config
    from ..evaluation.benchmarks import benchmark as run_benchmark
    from ..runtime.distributed import is_main, leave_processes

    settings = load_config(config_file(config), overrides or [])
    check_settings(settings)
    kept = f"Every finished run and epoch is kept in {settings.runs}."
    with progress_shown() as console, goes_on(lambda: kept):
        note = notes_to(console)
        measured = run_benchmark(settings, data=data, overwrite=overwrite, on_note=note, on_epoch=note)
    if is_main():
        print_benchmark(measured)
        tell(f"Written: {measured.path}")
    leave_processes()


@app.command()
def group(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe, such as toxcast.")],
    overrides: Overrides = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="At most so many networks.", show_default=False)
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0,
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
    seeds: Annotated[int, typer.Option(min=1, help="With --evaluate: runs of each kind.")] = 3,
    draws: Annotated[int, typer.Option(min=0, help="With --evaluate: random groupings per seed.")] = 3,
) -> None:
    """Choose which assays should train together (TAG).

    It takes one training of the joint model.
    """
    from ..config import load_config
    from ..grouping import choosing as grouping
    from ..grouping import trial as trials
    from ..runtime.distributed import is_main, leave_processes

    if try_them and (out is not None or overwrite):
        raise ConfigError("--evaluate has run folders of its own: leave --out and --overwrite out.")
    settings = grouping.with_affinity(load_config(config_file(config), overrides or []), affinity)
    check_settings(settings)
    choice = grouping.Choice(groups, budget, scale, singletons)
    kept = f"Every finished run and epoch is kept in {settings.runs}."
    with progress_shown() as console, goes_on(lambda: kept, "" if try_them else "--resume"):
        note = notes_to(console)
        if try_them:
            trial = trials.try_groups(
                settings, choice, seeds=seeds, draws=draws, data=data, on_note=note, on_epoch=note
            )
            grouped = trial.grouped
        else:
            grouped = grouping.group(
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
        print_groups(grouped, all_assays=all_assays)
        if try_them:
            print_trial(trial, all_assays=all_assays)
        tell(f"Groups: {grouped.file}")
        tell(f"Train them: screening train {config} name={settings.name}-groups grouping.file={grouped.file}")
    leave_processes()


for _command in (init, evaluate, compare, report, explain, score, hits, export, verify, check):
    app.command()(_command)


@app.command(name="list")
def list_family(
    family: Annotated[
        str | None,
        typer.Argument(
            help="balancers, baselines, calibrations, encoders, featurizers, filters, losses, splits or "
            "metrics; all families if not given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """What can be named in a config, with the options of each."""
    from . import families

    if family is None:
        columns = [Column("family"), Column("members"), Column("what they are", folds=NAME)]
        print_table("families", columns, families.overview())
        tell("The members of one: screening list balancers")
        return
    members = families.family(family)
    columns = [Column("name"), Column("what it is", folds=NAME), Column("from", folds=NAME)]
    columns += [Column("options", folds=NAME)]
    has_costs = any(member.cost for member in members)
    if has_costs:
        columns += [Column("cost of a step", folds=NAME), Column("paper", folds=NAME)]
    rows = [
        [
            *(member.name, member.summary, member.source, ", ".join(member.options)),
            *[member.cost, member.paper] * has_costs,
        ]
        for member in members
    ]
    print_table(family, columns, rows)


@data_app.command("list")
def data_list() -> None:
    """Public tables the toolkit knows."""
    from ..data import datasets

    columns = [
        Column("name"),
        Column("assays"),
        Column("molecules"),
        Column("split", 2),
        Column("metric", 3),
        Column("here", 1),
        Column("what it is", folds=NAME),
    ]
    rows = [
        [
            row.name,
            f"{row.n_tasks:,}",
            f"{row.rows:,}",
            row.split,
            row.metric,
            "yes" if datasets.is_here(row.name) else "no",
            row.summary,
        ]
        for row in datasets.catalogue.values()
    ]
    print_table("catalogue", columns, rows)


@data_app.command("describe")
def data_describe(
    source: Annotated[str, typer.Argument(help="Catalogue name or file.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="How to read it, as in a config: data.id=CID."),
    ] = None,
    data: DataPath = None,
) -> None:
    """Rows, assays, labels and problems of a table."""
    from ..config import data_settings
    from ..data import datasets

    fixed = {"source": "the first argument names the table", "duplicates": "duplicates are counted"}
    given = data_settings(source, settings or [], fixed=fixed)
    with progress_shown():
        description = datasets.describe(source, data=data, settings=given)
    tell(str(description))


@data_app.command("join")
def data_join(
    actives: Annotated[list[Path], typer.Option(help="List of active structures; may be given repeatedly.")],
    inactives: Annotated[list[Path], typer.Option(help="List of inactive ones, or decoys; repeatedly too.")],
    out: Annotated[Path, typer.Option(help="The table to write, .csv or .csv.gz.")],
    assay: Annotated[str, typer.Option(help="Name of the assay.")] = "active",
    overwrite: Annotated[bool, typer.Option(help="Replace the table.")] = False,
) -> None:
    """Make a table of a list of actives and one of inactives.

    LIT-PCBA and DUD-E come as such lists.
    """
    from ..data.joining import join_lists

    tell(str(join_lists(actives, inactives, out, assay=assay, overwrite=overwrite)))


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="Catalogue name.")]) -> None:
    """Download a public table into the cache, and check it.

    Nothing is done if it is here already.
    """
    from ..data import datasets

    with progress_shown():
        path = datasets.find(name) if name in datasets.catalogue else datasets.fetch(name)
    tell(str(path))


for _command_info in (*app.registered_commands, *data_app.registered_commands):
    if _command_info.callback is not None:
        _command_info.callback = with_plugins(_command_info.callback)
