"""Replicates: one config with several seeds or on several folds, and the table of what they have in common.

A set is trained again without what is finished, so a stopped one goes on when it is started again.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from ..config import Config
from ..config_sections import Component
from ..data.assay_table import AssayTable
from ..errors import ConfigError, DataError
from ..metrics.per_assay import read_evaluation
from ..runtime import distributed
from ..runtime.folders import LOCK
from ..training.chosen_settings import with_chosen
from ..training.history import Epoch
from ..training.origins import check_finished, check_settings
from ..training.preparation import Note
from ..training.run import train
from ..training.run_folder import (
    AGAIN,
    claimed_run,
    read_config,
    read_kinds,
    read_manifest,
    read_table,
    write_frame,
)
from .headline import ERRORS, are_real_rows, common_scale

METRICS = ("roc_auc", "average_precision")
"""What the tables of sets are about; `metrics_of_set` where an assay is real."""

TIMES = "times.csv"
"""In the run folders of a set: seconds and processor seconds of every epoch, its validation included."""


@dataclass(frozen=True)
class Study:
    """A set of runs and what they have in common."""

    folders: tuple[Path, ...]
    table: pd.DataFrame
    """As `tabulate` gives it."""
    path: Path
    """Where the table is written."""


def seed_configs(config: Config, n: int) -> list[Config]:
    """The runs NAME-seed0, NAME-seed1, ... of a config: as many seeds, from its own on."""
    if n < 1:
        raise ConfigError(f"`seeds` is {n}: expected at least 1.")
    return [_variant(config, f"seed{seed}", seed=seed) for seed in range(config.seed, config.seed + n)]


def fold_configs(config: Config, n: int) -> list[Config]:
    """The runs NAME-fold0, NAME-fold1, ...: fold k tests, fold k + 1 validates, the others train.

    Folds are made by scaffold or at random, as the config's own split is.

    Raises
    ------
    ConfigError : the config's split has no folds, or fewer than 3 are wanted.
    """
    name = config.split.name
    if name not in ("scaffold", "random", "folds"):
        raise ConfigError(
            f"`folds` makes folds by scaffold or at random; the config's split is '{name}'. Choose one with "
            "split=scaffold or split=random."
        )
    if n < 3:
        raise ConfigError(f"`folds` is {n}: at least 3 are needed, to train, validate and test.")
    by = config.split.options.get("by", "scaffold") if name == "folds" else name
    splits = [Component.model_validate({"name": "folds", "folds": n, "fold": k, "by": by}) for k in range(n)]
    return [_variant(config, f"fold{fold}", split=split) for fold, split in enumerate(splits)]


def train_set(
    configs: Sequence[Config],
    path: str | PathLike[str],
    *,
    data: Path | AssayTable | None = None,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Study:
    """Train every run of a set that is not finished, and write the table of all to `path`.

    Parameters
    ----------
    overwrite : train the finished ones again too.

    Raises
    ------
    ConfigError : a folder holds a run with other settings; as `training.train` otherwise.
    """
    path = Path(path)
    configs = [with_chosen(config, data) for config in configs]
    distributed.join_processes()
    with claimed_run(path.parent, f".{path.name}{LOCK}"):
        _train_all(configs, data, overwrite, on_note, on_epoch)
        distributed.wait_for_all()
        folders = tuple(config.folder for config in configs)
        table = tabulate(folders)
        if distributed.is_main():
            write_frame(path, table)
    return Study(folders, table, path)


def _train_all(
    configs: Sequence[Config],
    data: Path | AssayTable | None,
    overwrite: bool,
    on_note: Note,
    on_epoch: Callable[[Epoch], None],
) -> None:
    for number, config in enumerate(configs, start=1):
        if not overwrite and (config.folder / "manifest.json").is_file():
            check_settings(config)
            check_finished(config, data, on_note)
            on_note(f"run {number} of {len(configs)}: {config.folder} is finished and stays")
            continue
        on_note(f"run {number} of {len(configs)}: {config.folder}")
        before = pd.DataFrame() if overwrite else read_table(config.folder, TIMES)
        clock = _Clock(config.folder / TIMES, before, on_note, on_epoch)
        train(
            config,
            data=data,
            resume=not overwrite,
            overwrite=overwrite,
            on_note=clock.note,
            on_epoch=clock.epoch,
        )


def tabulate(folders: Sequence[Path], *, part: str = "test") -> pd.DataFrame:
    """Mean and standard deviation over runs, one row per assay and metric of `metrics_of_set`.

    Columns: assay, metric, mean, sd (NaN of one run), least, most, runs (that have a value). The first rows,
    with the assay "", are about the runs' means over assays; NaN of the RMSE if assays have several scales.
    """
    frames = [read_evaluation(folder / "evaluation.csv") for folder in folders]
    every = pd.concat(frames, keys=range(len(frames)), names=["run"]).reset_index("run")
    every = every[every["part"] == part]
    names = metrics_of_set(every)
    macro = every.groupby("run")[list(names)].mean().reset_index().assign(assay="")
    if not set(names).isdisjoint(ERRORS) and not _has_one_scale(folders[0], every):
        macro[[name for name in names if name in ERRORS]] = math.nan
    values = pd.concat([macro, every])[["assay", *names]]
    long = values.melt("assay", var_name="metric", value_name="value")
    table = long.groupby(["metric", "assay"], sort=False)["value"].agg(["mean", "std", "min", "max", "count"])
    table.columns = pd.Index(["mean", "sd", "least", "most", "runs"])
    return table.reset_index()[["assay", "metric", "mean", "sd", "least", "most", "runs"]]


def metrics_of_set(evaluation: pd.DataFrame) -> tuple[str, ...]:
    """What a table of a set is about: METRICS of binary assays, with real ones concordance and RMSE."""
    is_real = are_real_rows(evaluation)
    if not is_real.any():
        return METRICS
    return ("concordance", *(() if is_real.all() else METRICS), "rmse")


def _has_one_scale(folder: Path, evaluation: pd.DataFrame) -> bool:
    """Whether errors of the real assays of a run may be averaged."""
    assays = evaluation.loc[evaluation["run"] == evaluation["run"].iloc[0], "assay"]
    return common_scale(read_kinds(folder, assays.tolist())) is not None


def seconds_per_step(folders: Sequence[Path]) -> tuple[float, float]:
    """Wall and processor seconds of a training step, medians over the runs' epochs; NaN if not known."""
    frames = []
    for folder in folders:
        times = read_table(folder, TIMES)
        if len(times):
            batch_size = read_config(folder).train.batch_size
            steps = math.ceil(_n_trained_on(folder) / batch_size)
            frames.append(times[["seconds", "cpu_seconds"]].astype(float) / steps)
    if not frames:
        return math.nan, math.nan
    wall, cpu = pd.concat(frames).median()
    return float(wall), float(cpu)


def _n_trained_on(folder: Path) -> int:
    manifest = read_manifest(folder)
    try:
        return int(manifest["molecules"]["train"])
    except (KeyError, TypeError, ValueError) as problem:
        raise DataError(f"{folder / 'manifest.json'} has no count of molecules. {AGAIN}") from problem


def _variant(config: Config, suffix: str, **changes: Any) -> Config:
    return config.model_copy(update={"name": f"{config.name}-{suffix}", "benchmark": None, **changes})


class _Clock:
    """Passes notes and epochs on, and keeps the time that each epoch took in a file of the run."""

    def __init__(
        self, path: Path, before: pd.DataFrame, on_note: Note, on_epoch: Callable[[Epoch], None]
    ) -> None:
        self._path, self._on_note, self._on_epoch = path, on_note, on_epoch
        self._rows = before.to_numpy().tolist()
        self._since = time.process_time()

    def note(self, text: str) -> None:
        """The last note before training says what is trained: there the clock starts."""
        self._on_note(text)
        self._since = time.process_time()

    def epoch(self, epoch: Epoch) -> None:
        self._rows.append([epoch.number, epoch.seconds, time.process_time() - self._since])
        if distributed.is_main():
            write_frame(self._path, pd.DataFrame(self._rows, columns=["epoch", "seconds", "cpu_seconds"]))
        self._on_epoch(epoch)
        self._since = time.process_time()
