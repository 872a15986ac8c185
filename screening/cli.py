"""The command line: words to calls, results to tables, errors to exit codes.

Exit codes: 0 done, 1 a fault of the program or an interruption, 2 a mistake in what was given.
Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_library import export, hits, score, verify
from .cli_results import compare, evaluate, explain, report
from .console import new_table, open_console, progress_shown, say
from .errors import ConfigError, ScreeningError
from .shown import (
    print_benchmark,
    print_evaluation,
    print_groups,
    print_set,
    print_trial,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from .config import Config

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


for _command in (evaluate, compare, report, explain, score, hits, export, verify):
    app.command()(_command)


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
