"""The search for settings: trial after trial until there are enough, and what is written about them.

Several processes that run the same command share the trials out among themselves; one that is started later,
or again, goes on.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..config import AnyConfig, Config, load_config, to_yaml
from ..config_studies import Tune
from ..data.assay_table import AssayTable
from ..errors import ConfigError, ScreeningError
from ..evaluation.study_folders import check_study, clear_study
from ..runtime.folders import claimed
from ..training.chosen_settings import with_chosen
from ..training.history import Epoch
from ..training.members import describe
from ..training.preparation import Note, Prepared, prepare_data
from ..training.run_folder import write_frame, write_text
from .page import write_page
from .space import Space, shown, told
from .study import VALUE, StoredTrials, imported
from .trial import Pruned, TrialTable, check_judged, run_trial

if TYPE_CHECKING:
    from optuna import Trial

BEST, TRIALS = "best.yaml", "trials.csv"
WORK = "trials"
"""Folder of the checkpoints of trials at work."""
FAULTS = (ScreeningError, ValueError, ArithmeticError, RuntimeError, MemoryError)
"""What a trial may fail with, and the search goes on."""


@dataclass(frozen=True)
class Tuned:
    """A study."""

    folder: Path
    trials: pd.DataFrame
    """As `StoredTrials.table` gives it."""
    best: Config | None
    """The settings of the best trial, ready to be trained; None where no trial was finished."""
    importance: dict[str, float]
    """As `StoredTrials.importance` gives it."""
    metric: str
    """What the trials are compared by, in words."""

    @property
    def best_trial(self) -> "pd.Series[Any] | None":
        """The row of the best finished trial; of several the first."""
        complete = self.trials[self.trials["state"] == "complete"]
        return None if complete.empty else complete.loc[complete[VALUE].idxmax()]


def tune(
    config: AnyConfig,
    *,
    trials: int | None = None,
    data: Path | AssayTable | None = None,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Tuned:
    """Search the settings of `config.tune.space` for the best mean concordance on the validation part.

    The test part is left out before the first trial. In `<runs>/<name>-tune` are the study (study.db),
    trials.csv, best.yaml, importance.svg and tune.html; a study that is there goes on.

    Parameters
    ----------
    config : as `load_config` takes it.
    trials : in all, with those of earlier starts; None = `tune.trials`.
    overwrite : begin a new study in its place.

    Raises
    ------
    ConfigError : a setting is wrong or not known, also at an end of its range; the study was started with
        another config or table; optuna is not installed.
    DataError : the table cannot be used, or the validation part can judge no assay.
    """
    config = with_chosen(load_config(config), data, on_note)
    section = config.tune or Tune()
    most = section.trials if trials is None else trials
    if most < 1:
        raise ConfigError(f"`trials` is {most}: expected at least 1.")
    if config.data.auxiliary:
        raise ConfigError(
            "Trials learn from data.source alone: set data.auxiliary=[] to tune. Weights of auxiliary tables "
            "are compared by trainings with each, on the validation part."
        )
    imported()
    space = Space.of(config)
    folder = Path(config.runs) / f"{config.name}-tune"
    prepared = prepare_data(config, data, on_note)
    check_judged(prepared)
    material = TrialTable(prepared)
    _check_built(config, space, material)
    with _shared(folder, config, prepared, overwrite=overwrite):
        study = StoredTrials(folder, space, seed=config.seed, epochs=_epochs(config) if section.prune else 0)
        current = space.current(config)
        if current is None:
            on_note("the config's own settings lie outside of tune.space: they are no trial")
        else:
            study.start_with(current)
        search = _Search(config, space, study, material, folder, section.seeds, on_note, on_epoch)
        search.go_on(most)
        return search.results()


def _epochs(config: Config) -> int:
    return config.train.epochs if config.model.has_network else 0


def _check_built(config: Config, space: Space, material: TrialTable) -> None:
    """Raise ConfigError if a model at an end of a range cannot be built."""
    for values in space.corners():
        changed = space.applied(config, values)
        try:
            describe(changed, material.sample(changed))
        except (ConfigError, ValueError) as problem:
            raise ConfigError(f"tune.space, at {told(values)}: {problem}") from problem


@contextmanager
def _shared(folder: Path, config: Config, prepared: Prepared, *, overwrite: bool) -> Iterator[None]:
    """The folder of the study, together with others who work on the same one."""
    if overwrite and folder.exists():
        with claimed(folder, "choose another name=..."):
            clear_study(folder)
    with claimed(folder, "choose another name=...", shared=True):
        with claimed(folder, name=".start.lock", wait=60):
            check_study(folder, config, prepared, _changes)
        yield


def _changes(before: Config, config: Config) -> list[str]:
    """What the section `tune` of a config says otherwise than that of a study."""
    then, now = before.tune or Tune(), config.tune or Tune()
    changed = [
        f"tune.{key} was {getattr(then, key)} and is {getattr(now, key)}"
        for key in ("seeds", "prune")
        if getattr(then, key) != getattr(now, key)
    ]
    return changed + ["tune.space is another"] * (Space.of(before) != Space.of(config))


@dataclass(frozen=True)
class _Search:
    """A study at work."""

    config: Config
    space: Space
    study: StoredTrials
    material: TrialTable
    folder: Path
    seeds: int
    on_note: Note
    on_epoch: Callable[[Epoch], None]

    def go_on(self, most: int) -> None:
        """Trial after trial, until there are `most`."""
        while True:
            with self.study.taken(most) as trial:
                if trial is None:
                    return
                values = self.study.values(trial)
                self.on_note(f"trial {trial.number + 1} of {most}: {told(values)}")
                try:
                    self._train(trial, self.space.applied(self.config, values))
                except FAULTS as problem:
                    self.study.fail(trial, f"{type(problem).__name__}: {problem}")
                    self.on_note(f"  failed: {problem}")
                    shutil.rmtree(self._place(trial), ignore_errors=True)
            self._write()

    def _train(self, trial: "Trial", config: Config) -> None:
        try:
            outcome = run_trial(
                trial,
                config,
                self.material,
                self._place(trial),
                seeds=self.seeds,
                on_note=self.on_note,
                on_epoch=self.on_epoch,
            )
        except Pruned as end:
            self.study.stop(trial, epochs=end.epochs, seconds=round(end.seconds, 1))
            self.on_note(f"  stopped early, after epoch {end.epochs}: worse than the median there")
            return
        about = outcome._asdict()
        value = about.pop("concordance")
        self.study.finish(trial, value, **about | {"seconds": round(outcome.seconds, 1)})
        self.on_note(f"  validation {self._metric()} {value:.4f}, {outcome.seconds:.0f} s")

    def _place(self, trial: "Trial") -> Path:
        return self.folder / WORK / str(trial.number)

    def _metric(self) -> str:
        return "concordance" if self.material.has_real_assays else "ROC-AUC"

    def _write(self, table: pd.DataFrame | None = None) -> "Tuned":
        """Write trials and best config as they are now."""
        table = self.study.table() if table is None else table
        write_frame(self.folder / TRIALS, table.map(_as_cell))
        tuned = Tuned(self.folder, table, None, {}, self._metric())
        row = tuned.best_trial
        if row is None:
            return tuned
        keys = [setting.key for setting in self.space.settings]
        best = self.space.applied(self.config, {key: row[key] for key in keys})
        best = best.model_copy(update={"name": f"{self.config.name}-best", "tune": None})
        about = (
            f"# Trial {row['trial']} of {self.folder.name}: validation {self._metric()} {row[VALUE]:.4f}, "
        )
        about += f"chosen among {len(table)}; its test part was not looked at.\n"
        write_text(self.folder / BEST, about + to_yaml(best))
        return Tuned(self.folder, table, best, {}, self._metric())

    def results(self) -> "Tuned":
        """What the study has, written as tables, pictures and a page."""
        tuned = self._write()
        importance = self.study.importance()
        with suppress(OSError):
            (self.folder / WORK).rmdir()  # others may be at work
        tuned = Tuned(tuned.folder, tuned.trials, tuned.best, importance, tuned.metric)
        write_page(tuned, self.config, self.space)
        return tuned


def _as_cell(value: Any) -> Any:
    """A value of a setting in a table; lists and mappings as JSON."""
    return shown(value) if isinstance(value, list | dict) else value
