"""The trials of a search in an SQLite file, by Optuna: who works on which, what came out, what is next.

Numbers, names and JSON alone are stored. The sampler keeps nothing: for every trial it starts anew, with a
seed made of the config's and the trial's number, and with what the file says of the trials before.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import ConfigError, DataError
from ..runtime.folders import LOCK, claimed, explained, owner
from .space import Space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

FILE = "study.db"
BUSY = 120.0
"""Seconds to wait for another process that is taking a trial or writing a number."""
STARTING = 10
"""Trials with settings drawn at random, before those that are drawn where earlier ones were good."""
MEDIAN_OF = 5
"""Finished trials from which on a trial may be stopped."""
WARM = 0.2
"""Share of the epochs after which a trial may be stopped."""
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
VALUE, REASON = "concordance", "reason"


class StoredTrials:
    """The study of a folder.

    Parameters
    ----------
    seed : of the sampler.
    epochs : of a training at most; 0 = nothing is stopped early.
    """

    def __init__(self, folder: Path, space: Space, *, seed: int, epochs: int) -> None:
        self.folder, self.space, self.seed = folder, space, seed
        self._optuna = imported()
        warm = math.ceil(WARM * epochs)
        self.pruner = (
            self._optuna.pruners.MedianPruner(n_startup_trials=MEDIAN_OF, n_warmup_steps=warm)
            if epochs
            else self._optuna.pruners.NopPruner()
        )
        with self._turn():
            self._study = self._opened()

    def _opened(self) -> "Study":
        """The study in the file, made if need be.

        Raises
        ------
        DataError : the file is damaged, or no study.
        """
        from sqlalchemy.exc import SQLAlchemyError

        path = self.folder / FILE
        try:
            return self._study_in(path)
        except (SQLAlchemyError, RuntimeError) as problem:
            raise DataError(
                f"{path} is damaged, or of another version: {problem}. Start anew with `overwrite`."
            ) from problem

    def _study_in(self, path: Path) -> "Study":
        with explained(self.folder):
            storage = self._optuna.storages.RDBStorage(
                _address(path), engine_kwargs={"connect_args": {"timeout": BUSY}}
            )
        return self._optuna.create_study(
            storage=storage, study_name="tune", direction="maximize", load_if_exists=True, pruner=self.pruner
        )

    def start_with(self, stored: Mapping[str, Any]) -> None:
        """Let the first trial be that of these settings, unless there is one."""
        with self._turn():
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(dict(stored))

    @contextmanager
    def taken(self, most: int) -> Iterator["Trial | None"]:
        """A trial for this process alone: one whose process was killed, or a new one; None if there are
        `most` already."""
        with ExitStack() as held:
            with self._turn():
                trial = self._left_behind() or self._new(most)
                if trial is not None:
                    held.enter_context(claimed(self.folder, name=_lock(trial.number)))
            yield trial

    def values(self, trial: "Trial") -> dict[str, Any]:
        """The settings of a trial."""
        return {setting.key: setting.value(trial.params[setting.key]) for setting in self.space.settings}

    def finish(self, trial: "Trial", value: float, **about: Any) -> None:
        """Keep what came out of a trial."""
        self._tell(trial, "COMPLETE", about, value)

    def stop(self, trial: "Trial", **about: Any) -> None:
        """Keep that a trial was stopped early; its value is that of its last epoch."""
        self._tell(trial, "PRUNED", about)

    def fail(self, trial: "Trial", reason: str) -> None:
        """Keep why a trial failed."""
        self._tell(trial, "FAIL", {REASON: reason})

    def _tell(self, trial: "Trial", state: str, about: Mapping[str, Any], value: float | None = None) -> None:
        for key, each in about.items():
            trial.set_user_attr(key, each)
        self._study.tell(trial, value, self._optuna.trial.TrialState[state])

    def table(self) -> pd.DataFrame:
        """One row per trial: trial (from 1), state, concordance (of a stopped one its last, NaN of a failed),
        epochs, seconds, the settings under their keys, reason."""
        rows = [self._row(trial) for trial in self._trials()]
        keys = [setting.key for setting in self.space.settings]
        return pd.DataFrame(rows, columns=["trial", "state", VALUE, "epochs", "seconds", *keys, REASON])

    def _row(self, trial: "FrozenTrial") -> dict[str, Any]:
        about, settings = trial.user_attrs, self.space.settings
        return {
            "trial": trial.number + 1,
            "state": STATES[trial.state.name],
            VALUE: math.nan if trial.value is None else trial.value,
            "epochs": about.get("epochs", len(trial.intermediate_values)),
            "seconds": about.get("seconds", math.nan),
            **{each.key: each.value(trial.params[each.key]) for each in settings if each.key in trial.params},
            REASON: about.get(REASON, ""),
        }

    def importance(self) -> dict[str, float]:
        """Share of the variance of the finished trials that each setting explains (fANOVA), largest first.

        Empty where fewer than `MEDIAN_OF` trials are finished, or all came out the same.

        References
        ----------
        Hutter, Hoos, Leyton-Brown, ICML 2014, https://proceedings.mlr.press/v32/hutter14.html.
        """
        values = self.table().query("state == 'complete'")[VALUE]
        if len(values) < MEDIAN_OF or values.nunique() < 2:
            return {}
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=self.seed)
        return dict(self._optuna.importance.get_param_importances(self._study, evaluator=evaluator))

    def _trials(self) -> list["FrozenTrial"]:
        """All trials that were taken."""
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.name in STATES]

    def _turn(self) -> Any:
        """The file of trials for this process alone, for an instant."""
        return claimed(self.folder, name=f".{FILE}{LOCK}", wait=BUSY)

    def _left_behind(self) -> "Trial | None":
        """A trial that is running, and nobody works on it."""
        for frozen in self._trials():
            if frozen.state.name == "RUNNING" and not owner(self.folder, _lock(frozen.number)):
                return self._with_settings(self._optuna.Trial(self._study, frozen._trial_id))
        return None

    def _new(self, most: int) -> "Trial | None":
        number = len(self._trials())
        if number >= most:
            return None
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        self._study.sampler = self._optuna.samplers.TPESampler(n_startup_trials=STARTING, seed=seed)
        return self._with_settings(self._study.ask())

    def _with_settings(self, trial: "Trial") -> "Trial":
        """The trial with all its settings drawn; those that it has stay."""
        for setting in self.space.settings:
            key, step = setting.key, setting.step
            if setting.choices:
                trial.suggest_categorical(key, setting.texts)
            elif setting.is_whole:
                low, high = int(setting.low), int(setting.high)
                trial.suggest_int(key, low, high, step=int(step or 1), log=setting.log)
            else:
                trial.suggest_float(key, setting.low, setting.high, step=step, log=setting.log)
        return trial


def imported() -> Any:
    """The package optuna, which says nothing of its own accord.

    Raises
    ------
    ConfigError : it is not installed.
    """
    try:
        import optuna
    except ImportError as problem:
        raise ConfigError(f"{problem.name} is not installed: pip install 'screening[tune]'.") from problem
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _lock(number: int) -> str:
    return f".trial-{number}{LOCK}"


def _address(path: Path) -> str:
    """The address of an SQLite file as Optuna takes it, in which braces would be fields."""
    from sqlalchemy import URL

    address = URL.create("sqlite", database=str(path.absolute())).render_as_string()
    return address.replace("{", "{{").replace("}", "}}")
