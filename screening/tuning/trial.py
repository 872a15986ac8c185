"""One trial: a training on the training part, judged on the validation part; there is no other part in it."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bundle.bundle import Bundle
from ..config import Config
from ..data import datasets
from ..data.part_names import PARTS
from ..data.splits import Split
from ..errors import DataError
from ..features.store import FeatureSet, GraphStore, featurize
from ..metrics.concordance import concordance
from ..training.after_training import predicted
from ..training.fitting import fit
from ..training.history import Epoch
from ..training.measured import measured
from ..training.preparation import Note, Prepared, feature_set, sampled
from ..training.run import bundle_of

if TYPE_CHECKING:
    from optuna import Trial

USED = PARTS[:2]


class TrialTable:
    """The table of a study without its test part, with the features that a trial asks for.

    The rows of the test part are left out here, before the first trial: no trial can look at them.
    """

    def __init__(self, prepared: Prepared) -> None:
        parts = np.array(prepared.split.parts, dtype=object)
        rows = np.flatnonzero(np.isin(parts, USED))
        table = prepared.table.take(rows)
        self._prepared = prepared._replace(
            table=table,
            split=Split(parts[rows].tolist(), prepared.split.notes),
            store=featurize(table.smiles[:0], prepared.store.features, workers=0),
            rejected=[],
        )
        self._stores: dict[FeatureSet, GraphStore] = {}

    @property
    def has_real_assays(self) -> bool:
        """Whether an assay has real values."""
        return bool(self._prepared.table.is_real.any())

    def of(self, config: Config, on_note: Note = lambda note: None) -> Prepared:
        """What a training of a config gets; molecules without its features are left out, and counted."""
        prepared, features = self._prepared, feature_set(config)
        if features not in self._stores:
            cache = datasets.cache_folder() / "features"
            texts, workers = prepared.table.smiles, config.train.workers
            self._stores[features] = featurize(texts, features, workers=workers, cache=cache)
        store = self._stores[features]
        if store.usable.all():
            return prepared._replace(store=store)
        rows = np.flatnonzero(store.usable)
        on_note(f"{len(store) - len(rows):,} molecules are left out: a featurizer cannot take them")
        parts, table = [prepared.split.parts[row] for row in rows], prepared.table.take(rows)
        return prepared._replace(
            table=table,
            split=Split(parts, prepared.split.notes),
            store=featurize(table.smiles, features, workers=config.train.workers),
        )

    def sample(self, config: Config) -> Prepared:
        """Few training molecules, enough to build everything that a training of a config builds."""
        return sampled(config, self._prepared)


def check_judged(prepared: Prepared) -> None:
    """Raise DataError if no assay can be judged on the validation part."""
    rows = prepared.split.rows("valid")
    table = prepared.table.take(rows)
    labels, is_real = np.asarray(table.labels), table.is_real
    values = concordance(labels, np.zeros_like(labels), is_real=is_real, censored=_array(table.censored))
    if np.isnan(values).all():
        raise DataError(
            f"The validation part has {len(rows):,} molecules, and no assay with both classes or two "
            "values in it: there is nothing to choose settings by. Choose another split, or "
            "split.valid_from_train=0.1."
        )


def _array(censored: Any) -> np.ndarray | None:
    return None if censored is None else np.asarray(censored)


def judged(bundle: Bundle, prepared: Prepared) -> np.ndarray:
    """Concordance of each assay on the validation part, [T]; NaN where it cannot be judged."""
    part = measured(prepared.table, prepared.split.rows("valid"), predicted(bundle, prepared, "valid"))
    is_real = prepared.table.is_real
    return concordance(part.labels, part.scores, is_real=is_real, censored=part.censored)


class Outcome(NamedTuple):
    """What came out of a trial."""

    concordance: float
    """Mean over assays of the validation part, and over seeds."""
    epochs: int
    """Of all trainings of the trial."""
    seconds: float
    by_seed: list[float]
    by_assay: list[float | None]
    """T, mean over seeds; None of an assay that the validation part cannot judge."""


class Pruned(Exception):  # noqa: N818
    """A trial that was stopped early.

    Parameters
    ----------
    epochs, seconds : until then.
    """

    def __init__(self, epochs: int, seconds: float) -> None:
        super().__init__(f"stopped after epoch {epochs}")
        self.epochs, self.seconds = epochs, seconds


def run_trial(
    trial: "Trial",
    config: Config,
    material: TrialTable,
    folder: Path,
    *,
    seeds: int,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Outcome:
    """Train the config of a trial with each seed, and judge it on the validation part.

    Parameters
    ----------
    folder : for its checkpoints, gone once the trial is over; one whose process was killed goes on from them.

    Raises
    ------
    Pruned : the study says that it is not worth going on.
    """
    started, watch = time.perf_counter(), _Watch(trial, folder / "seed0", on_epoch)
    prepared, values, epochs = material.of(config, on_note), [], 0
    try:
        for number in range(seeds):
            place = folder / f"seed{number}"
            place.mkdir(parents=True, exist_ok=True)
            changed = {"runs": str(folder), "name": place.name, "seed": config.seed + number}
            of_seed = config.model_copy(update=changed)
            epoch = watch.epoch if number == 0 else on_epoch
            fitted = fit(of_seed, prepared, resume=True, on_note=lambda note: None, on_epoch=epoch)
            epochs += len(fitted.epochs)
            bundle = bundle_of(of_seed, prepared, fitted)
            part = measured(
                prepared.table, prepared.split.rows("valid"), predicted(bundle, prepared, "valid")
            )
            is_real = prepared.table.is_real
            values.append(concordance(part.labels, part.scores, is_real=is_real, censored=part.censored))
    except Pruned as end:
        shutil.rmtree(folder, ignore_errors=True)
        raise Pruned(end.epochs, time.perf_counter() - started) from None
    shutil.rmtree(folder, ignore_errors=True)
    by_assay = np.mean(values, axis=0)
    return Outcome(
        float(np.nanmean(by_assay)),
        epochs,
        time.perf_counter() - started,
        [float(np.nanmean(each)) for each in values],
        [None if np.isnan(value) else float(value) for value in by_assay],
    )


class _Watch:
    """Tells the study about the epochs of the first network of the first seed."""

    def __init__(self, trial: "Trial", folder: Path, on_epoch: Callable[[Epoch], None]) -> None:
        self._trial, self._on_epoch = trial, on_epoch
        self._last = max(trial.storage.get_trial(trial._trial_id).intermediate_values, default=-1)
        self._is_first = not (folder / "checkpoint-1.pt").exists()
        self.epochs = self._last + 1

    def epoch(self, epoch: Epoch) -> None:
        self._on_epoch(epoch)
        self._is_first = self._is_first and epoch.number > self._last
        if not self._is_first:
            return
        self._last = epoch.number
        self.epochs = epoch.number + 1
        if epoch.macro == epoch.macro:
            self._trial.report(epoch.macro, epoch.number)
            if self._trial.should_prune():
                raise Pruned(self.epochs, 0.0)
