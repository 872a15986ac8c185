"""Commands that train: train, benchmark, tune, group. Joined to the command line by `main`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .assay_tables import print_evaluation
from .checks import check_settings
from .console import notes_to, progress_shown, tell
from .endings import goes_on
from .options import AllAssays, DataPath, Overrides, OverwriteRun, Resume
from .settings import config_file, kept_in, with_options
from .tables import print_benchmark, print_blend, print_groups, print_set, print_trial, print_tuned

if TYPE_CHECKING:
    from ..config import Config
    from ..training.run import Trained

Budget = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="In place of --groups: cost of training all networks, in trainings of the joint model; a "
        "group costs the share of molecules with labels in it.",
        show_default=False,
    ),
]
HowAffinity = Annotated[
    str | None, typer.Option(help="linear or exact; that of the config, else linear.", show_default=False)
]
Scale = Annotated[
    str,
    typer.Option(
        help="raw effects, or relative ones, cosines of the gradients; auto: the more reliable ones, beyond "
        "15 assays relative."
    ),
]
Overlap = Annotated[
    int,
    typer.Option(min=0, help="Effects of pairs with fewer molecules in common are unknown."),
]
Evaluate = Annotated[
    bool,
    typer.Option(
        "--evaluate",
        help="Train joint model, groups, random groups and, up to 20 assays, single networks; compare.",
    ),
]


def train(
    config: Annotated[
        str,
        typer.Argument(
            help="YAML file, the name of a recipe, such as tox21; or a table: the model is chosen."
        ),
    ],
    overrides: Overrides = None,
    data: DataPath = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run: the setting name.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="The setting train.epochs.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="The setting seed.", show_default=False)] = None,
    resume: Resume = False,
    overwrite: OverwriteRun = False,
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

    With --seeds or --folds it is a set of models, and their mean; folds have one report.
    """
    from ..config import load_config, to_yaml

    aliases = {"name": name, "train.epochs": epochs, "seed": seed}
    settings = load_config(config_file(config, or_table=True), with_options(overrides, aliases))
    if print_config:
        tell(to_yaml(settings).rstrip("\n"))
        return
    check_settings(settings)
    if seeds is not None or folds is not None:
        _train_set(settings, seeds, folds, data=data, overwrite=overwrite, dry_run=dry_run)
        return
    from ..training.run import plan
    from ..training.run import train as train_run

    with progress_shown() as console, goes_on(lambda: kept_in(settings), "--resume"):
        note = notes_to(console)
        if dry_run:
            plan(settings, data=data, on_note=note)
            return
        run = train_run(
            settings,
            data=data,
            resume=resume,
            overwrite=overwrite,
            on_note=note,
            on_epoch=note,
        )
    _tell_results(run)


def _tell_results(run: "Trained") -> None:
    """The tables of a finished run, by the one process of several that speaks."""
    from ..evaluation.headline import comparable_means
    from ..runtime.distributed import is_main, leave_processes
    from ..training.run_folder import read_kinds

    if is_main():
        kinds = read_kinds(run.folder, run.evaluation["assay"].tolist())
        summary = comparable_means(run.summary, kinds)
        print_evaluation(run.evaluation, summary, "test part", kinds=kinds, all_assays=False)
        print_blend(run.folder)
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
    from ..evaluation import replicates
    from ..runtime.distributed import is_main, leave_processes
    from ..training.run import plan

    if seeds is not None and folds is not None:
        raise ConfigError("--seeds and --folds were both given: one set differs in seed, the other in fold.")
    kind = "seeds" if seeds is not None else "folds"
    configs = (
        replicates.seed_configs(settings, seeds)
        if seeds is not None
        else replicates.fold_configs(settings, folds or 0)
    )
    path = Path(settings.runs) / f"{settings.name}-{kind}.csv"
    with (
        progress_shown() as console,
        goes_on(lambda: f"Every finished run and epoch is kept in {settings.runs}."),
    ):
        note = notes_to(console)
        if dry_run:
            plan(configs[0], data=data, on_note=note)
            return
        trained = replicates.train_set(
            configs, path, data=data, overwrite=overwrite, on_note=note, on_epoch=note
        )
    if is_main():
        print_set(trained.table, f"{settings.name}, test part, over {len(configs)} {kind}")
        tell(f"Runs: {', '.join(map(str, trained.folders))}")
        tell(f"Written: {trained.path}")
        if kind == "folds":
            _report_folds(settings.folder)
    leave_processes()


def _report_folds(runs: Path) -> None:
    """The page of all folds: every molecule is tested once, so it is about the whole table."""
    from ..evaluation.run_sets import is_set
    from ..reporting.report import write_report

    if not is_set(runs):  # a run that has the name itself is in the way
        return
    with progress_shown():
        page = write_report(runs).page
    tell(f"All test molecules together: {page}; in the terminal: screening evaluate {runs}")


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


def tune(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe, such as tox21.")],
    overrides: Overrides = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Trials in all, earlier ones too: the setting tune.trials.",
            show_default=False,
        ),
    ] = None,
    data: DataPath = None,
    overwrite: Annotated[bool, typer.Option(help="Begin a new study in place of the one there.")] = False,
) -> None:
    """Search settings that are best on the validation part.

    A stopped search goes on when started again; started twice at once, both share the trials. The test part
    is not looked at.
    """
    from ..config import load_config
    from ..tuning.search import tune as tune_settings

    settings = load_config(config_file(config), overrides or [])
    check_settings(settings)
    kept = f"Every finished trial is kept in {settings.folder}-tune."
    with progress_shown() as console, goes_on(lambda: kept):
        note = notes_to(console)
        tuned = tune_settings(settings, trials=trials, data=data, overwrite=overwrite, on_note=note)
    print_tuned(tuned)


def group(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a recipe, such as toxcast.")],
    overrides: Overrides = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="At most so many networks.", show_default=False)
    ] = None,
    budget: Budget = None,
    affinity: HowAffinity = None,
    scale: Scale = "auto",
    singletons: Annotated[bool, typer.Option(help="An assay may be alone.")] = False,
    overlap: Overlap = 10,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results, else the run folder.", show_default=False)
    ] = None,
    data: DataPath = None,
    resume: Resume = False,
    overwrite: OverwriteRun = False,
    all_assays: AllAssays = False,
    try_them: Evaluate = False,
    seeds: Annotated[int, typer.Option(min=1, help="With --evaluate: runs of each kind.")] = 3,
    draws: Annotated[int, typer.Option(min=0, help="With --evaluate: random groupings per seed.")] = 3,
) -> None:
    """Choose which assays should train together (TAG).

    It takes one training of the joint model.
    """
    from ..config import load_config
    from ..grouping import choosing
    from ..grouping.trial import try_groups
    from ..runtime.distributed import is_main, leave_processes

    if try_them and (out is not None or overwrite):
        raise ConfigError("--evaluate has run folders of its own: leave --out and --overwrite out.")
    settings = choosing.with_affinity(load_config(config_file(config), overrides or []), affinity)
    check_settings(settings)
    choice = choosing.Choice(groups, budget, scale, singletons, overlap)
    kept = f"Every finished run and epoch is kept in {settings.runs}."
    with progress_shown() as console, goes_on(lambda: kept, "" if try_them else "--resume"):
        note = notes_to(console)
        shared: dict[str, Any] = {"data": data, "on_note": note, "on_epoch": note}
        trial = try_groups(settings, choice, seeds=seeds, draws=draws, **shared) if try_them else None
        grouped = (
            trial.grouped
            if trial is not None
            else choosing.group(settings, choice, out=out, resume=resume, overwrite=overwrite, **shared)
        )
    if is_main():
        print_groups(grouped, all_assays=all_assays)
        if trial is not None:
            print_trial(trial, all_assays=all_assays)
        tell(f"Groups: {grouped.file}")
        tell(f"Train them: screening train {config} name={settings.name}-groups grouping.file={grouped.file}")
    leave_processes()
