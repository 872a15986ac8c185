"""The model of a config on shares of its training part: is it worth measuring more, assay by assay?

Every training is a cell, a folder of its own that is whole or not there, so a study that was stopped goes on
with the cells that are missing.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..config import AnyConfig, Config, load_config
from ..config_studies import LearningCurve
from ..data.assay_table import AssayTable
from ..errors import ConfigError
from ..metrics.paired_samples import Sample, samplers
from ..metrics.per_assay import FEW
from ..metrics.sums import sums_between
from ..registry import did_you_mean
from ..runtime.files import atomic_folder
from ..runtime.folders import claimed
from ..training.after_training import predicted
from ..training.chosen_settings import with_chosen
from ..training.components import check_components
from ..training.fitting import fit
from ..training.history import Epoch
from ..training.predictions import read_predictions, write_predictions
from ..training.preparation import Note, Prepared, prepare_data
from ..training.run import bundle_of
from ..training.run_folder import ASSAYS, read_table, write_frame, write_kinds, write_label_counts
from .extrapolation import AHEAD, FLAT, NO, PERHAPS, UNTOLD, YES, Curves, Extrapolated, extrapolate
from .study_folders import check_study, clear_study
from .training_subsets import EVERY, TrainingOrder, subset

MEAN = "mean over assays"
POINTS, ANSWERS = "curve.csv", "answers.csv"
METRIC = "concordance"


class Cell(NamedTuple):
    """One training."""

    assay: str
    """Whose labels alone are thinned; EVERY = molecules are left out."""
    share: float
    seed: int
    """From 0, besides that of the config."""

    def name(self, tasks: tuple[str, ...]) -> str:
        """Of its folder."""
        what = "all" if self.assay == EVERY else f"assay{tasks.index(self.assay)}"
        return f"{what}-{self.share:g}-seed{self.seed}"


@dataclass(frozen=True)
class LearningCurves:
    """What a study of shares gave."""

    folder: Path
    points: pd.DataFrame
    """A row per curve and share: assay (`MEAN` last), thinned ("all", or "alone"), share, labels and actives
    of the training part (means over seeds), seeds, concordance with low and high, seeds_sd."""
    answers: pd.DataFrame
    """A row per curve: assay, thinned, labels, concordance, rise from the smallest share, at twice as many
    labels (`ahead`) and the gain there, each with low and high; answer, reason, words; the law."""
    metric: str
    """What concordance is called here: ROC-AUC where all assays are of two classes."""
    part: str


def learning_curve(
    config: AnyConfig,
    *,
    part: str = "test",
    data: Path | AssayTable | None = None,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> LearningCurves:
    """Train the model of a config on shares of its training part (`config.learning_curve`), and judge it.

    In `<runs>/<name>-curve` are the cells, curve.csv and answers.csv; cells that are there stay as they are.

    Parameters
    ----------
    config : as `load_config` takes it.
    part : that is judged on, test or valid.
    overwrite : begin anew.

    Raises
    ------
    ConfigError : a setting is wrong; an assay of `learning_curve.thin` is not there; the study was started
        with another config or table.
    DataError : the table cannot be used.
    """
    config = with_chosen(load_config(config), data, on_note)
    check_components(config)
    if config.data.auxiliary:
        raise ConfigError(
            "Shares are those of data.source alone: set data.auxiliary=[] for a learning curve."
        )
    folder = Path(config.runs) / f"{config.name}-curve"
    prepared = prepare_data(config, data, on_note)
    cells = list(_cells(config, prepared.table.tasks))
    with claimed(folder, "choose another name=..."):
        if overwrite:
            clear_study(folder)
        check_study(folder, config, prepared, _changes)
        for number, cell in enumerate(cells, start=1):
            place = folder / "cells" / cell.name(prepared.table.tasks)
            if not place.exists():
                on_note(f"training {number} of {len(cells)}: {_told(cell)}")
                _train(config, prepared, cell, place, on_epoch)
        curves = _gathered(folder, config, cells, prepared.table.tasks, part)
        write_frame(folder / POINTS, curves.points)
        write_frame(folder / ANSWERS, curves.answers)
    return curves


def _section(config: Config) -> LearningCurve:
    return config.learning_curve or LearningCurve()


def _changes(before: Config, config: Config) -> list[str]:
    then, now = _section(before), _section(config)
    return [
        f"learning_curve.{key} was {getattr(then, key)} and is {getattr(now, key)}"
        for key in ("by",)
        if getattr(then, key) != getattr(now, key)
    ]


def _cells(config: Config, tasks: tuple[str, ...]) -> Iterator[Cell]:
    """All trainings, the seeds of a share one after the other."""
    section = _section(config)
    for share in section.shares:
        yield from (Cell(EVERY, share, seed) for seed in range(section.seeds))
    for assay in _thinned(section.thin, tasks):
        for share in section.shares[:-1]:
            yield from (Cell(assay, share, seed) for seed in range(section.seeds))


def _thinned(patterns: tuple[str, ...], tasks: tuple[str, ...]) -> list[str]:
    """The assays that the patterns name, in their order."""
    for pattern in patterns:
        if not any(pattern == task or fnmatchcase(task, pattern) for task in tasks):
            hint = did_you_mean(pattern, tasks)
            raise ConfigError(f"learning_curve.thin: there is no assay '{pattern}'. {hint}")
    return [task for task in tasks if any(task == each or fnmatchcase(task, each) for each in patterns)]


def _told(cell: Cell) -> str:
    what = "the training part" if cell.assay == EVERY else f"the labels of {cell.assay} alone"
    return f"{cell.share:.0%} of {what}, seed {cell.seed}"


def _train(
    config: Config, prepared: Prepared, cell: Cell, place: Path, on_epoch: Callable[[Epoch], None]
) -> None:
    """Train a cell, and write its predictions and label counts."""
    seed = config.seed + cell.seed
    order = TrainingOrder(prepared, by=_section(config).by, seed=seed, workers=config.train.workers)
    left = subset(prepared, order, cell.share, cell.assay)
    with atomic_folder(place) as work:
        changed = {"runs": str(work), "name": "training", "seed": seed}
        of_cell = config.model_copy(update=changed)
        of_cell.folder.mkdir()
        fitted = fit(of_cell, left, on_epoch=on_epoch)
        bundle = bundle_of(of_cell, left, fitted)
        scores = {part: predicted(bundle, left, part).scores for part in ("valid", "test")}
        write_predictions(work / "predictions.parquet", scores, prepared.table, prepared.split)
        write_label_counts(work / "labels.csv", left.table, left.split)
        write_kinds(work / ASSAYS, prepared.table)
        shutil.rmtree(of_cell.folder)


def _gathered(
    folder: Path, config: Config, cells: list[Cell], tasks: tuple[str, ...], part: str
) -> LearningCurves:
    """Points and answers of all curves, those of single assays behind those of all."""
    read = {cell: _Read.of(folder / "cells" / cell.name(tasks), part) for cell in cells}
    shares, n_seeds = _section(config).shares, _section(config).seeds
    frames = []
    for assay in dict.fromkeys(cell.assay for cell in cells):
        own = [assay] * (len(shares) - 1) + [EVERY]
        grid = [
            [read[Cell(name, share, seed)] for seed in range(n_seeds)]
            for name, share in zip(own, shares, strict=True)
        ]
        places = list(range(len(tasks) + 1)) if assay == EVERY else [tasks.index(assay)]
        frames.append(_tables(grid, shares, (*tasks, MEAN), places, config.seed, is_alone=assay != EVERY))
    points, answers = (pd.concat(each, ignore_index=True) for each in zip(*frames, strict=True))
    is_real = next(iter(read.values())).is_real
    return LearningCurves(folder, points, answers, "concordance" if is_real.any() else "ROC-AUC", part)


class _Read(NamedTuple):
    """What a cell gave; C = T + 1 columns, the last of which is the mean over assays."""

    sample: Sample
    """Concordance and its deviations."""
    labels: np.ndarray
    """[C, 2] labels and actives of the training part, in all assays together in the last."""
    is_few: np.ndarray
    """bool [C], whether the evaluated part has too few labels to judge."""
    is_real: np.ndarray
    """bool [T]"""

    @classmethod
    def of(cls, place: Path, part: str) -> "_Read":
        outcome = read_predictions(place, part=part).outcome
        counts = read_table(place, "labels.csv")
        counts = counts[counts["part"] == "train"][["measured", "actives"]].to_numpy(float)
        sample = samplers.get(METRIC)(outcome, 0)
        labels, censored = outcome.labels, outcome.censored
        exact = ~np.isnan(labels) & (True if censored is None else censored == 0)
        classes = np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0))
        fewest = np.where(outcome.is_binary, classes, exact.sum(axis=0))
        return cls(
            sample,
            np.vstack([counts, counts.sum(axis=0)]),
            np.append(fewest < FEW, False),
            ~outcome.is_binary,
        )


def _tables(
    grid: list[list[_Read]],
    shares: tuple[float, ...],
    names: tuple[str, ...],
    places: list[int],
    seed: int,
    *,
    is_alone: bool,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and answers of the curves at `places` of C, from cells by share and seed."""
    values = np.array([[cell.sample.values for cell in of_share] for of_share in grid])  # [S, K, C]
    labels = np.array([np.mean([cell.labels for cell in of_share], axis=0) for of_share in grid])  # [S, C, 2]
    covariance = covariance_of(grid_samples(grid))
    with np.errstate(invalid="ignore", divide="ignore"):
        x = labels[..., 0].T / labels[-1, :, 0][:, None]
    curves = Curves(x[places], values.mean(axis=1).T[places], covariance[places])
    what = extrapolate(curves, seed=seed)
    is_few, n_seeds = grid[0][0].is_few[places], values.shape[1]
    chosen = [names[place] for place in places]
    about = {"assay": chosen, "thinned": "alone" if is_alone else "all"}
    half = 1.96 * np.sqrt(np.diagonal(curves.covariance, axis1=1, axis2=2))
    points = pd.concat(
        [
            pd.DataFrame(
                {
                    **about,
                    "share": share,
                    "labels": labels[at, places, 0],
                    "actives": labels[at, places, 1],
                    "seeds": n_seeds,
                    METRIC: curves.y[:, at],
                    "low": np.clip(curves.y[:, at] - half[:, at], 0, 1),
                    "high": np.clip(curves.y[:, at] + half[:, at], 0, 1),
                    "seeds_sd": values[at].std(axis=0, ddof=1)[places] if n_seeds > 1 else np.nan,
                }
            )
            for at, share in enumerate(shares)
        ]
    )
    order = np.argsort(np.tile(np.arange(len(places)), len(shares)), kind="stable")
    return points.iloc[order], _answers(about, labels[:, places, 0], curves, half, what, is_few, n_seeds)


def grid_samples(grid: list[list[_Read]]) -> list[list[Sample]]:
    """The samples of cells by share and seed."""
    return [[cell.sample for cell in of_share] for of_share in grid]


def covariance_of(samples: list[list[Sample]]) -> np.ndarray:
    """Covariance [C, S, S] of the concordances at S shares, means over seeds; NaN of one seed.

    Two parts: of the test molecules, which all trainings share, from the deviations of the samples; and of
    the seeds, which draw molecules and weights, on the diagonal. Few seeds say little of their own spread:
    of a share it is taken to be at least the mean over all shares. On curves with a known law and three
    seeds, of spreads 0.005 and 0.015, the 95 % intervals of the gain then hold it in 94 to 95 % of cases,
    with the spread of each share alone in 88 to 90 % (tests/benchmarks/learning_curves.py).
    """
    bounds = samples[0][0].bounds
    values = np.array([[one.values for one in of_share] for of_share in samples])
    deviations = [np.mean([one.deviations for one in of_share], axis=0) for of_share in samples]
    n_shares, n_seeds, n_curves = values.shape
    covariance = np.empty((n_curves, n_shares, n_shares))
    for one in range(n_shares):
        for other in range(one + 1):
            products = sums_between(deviations[one] * deviations[other], bounds)
            covariance[:, one, other] = covariance[:, other, one] = products
    spread = values.var(axis=1, ddof=1) if n_seeds > 1 else np.full((n_shares, n_curves), np.nan)
    spread = np.maximum(spread, spread.mean(axis=0)) / n_seeds
    covariance[:, range(n_shares), range(n_shares)] += spread.T
    return covariance


def _answers(
    about: dict[str, Any],
    labels: np.ndarray,
    curves: Curves,
    half: np.ndarray,
    what: Extrapolated,
    is_few: np.ndarray,
    n_seeds: int,
) -> pd.DataFrame:
    """A row per curve: numbers, answer, and the answer in words."""
    numbers = {key: value for key, value in what._asdict().items() if key not in ("law", "answer", "reason")}
    frame = pd.DataFrame(
        {
            **about,
            "labels": labels[-1],
            "labels_least": labels[0],
            METRIC: curves.y[:, -1],
            "low": np.clip(curves.y[:, -1] - half[:, -1], 0, 1),
            "high": np.clip(curves.y[:, -1] + half[:, -1], 0, 1),
            **numbers,
            "answer": what.answer,
            "reason": what.reason,
            **what.law._asdict(),
        }
    )
    if n_seeds == 1:
        frame.loc[frame["answer"] == UNTOLD, "reason"] = "one seed: the spread of trainings is not known"
    frame.loc[is_few, "answer"] = UNTOLD
    frame.loc[is_few, "reason"] = f"fewer than {FEW} labels of a class, or values, in the evaluated part"
    carried = [key for key in numbers if key.startswith(("ahead", "gain"))]
    frame.loc[~frame["answer"].isin([YES, PERHAPS, NO]), carried] = np.nan
    return frame.assign(words=[_words(row) for row in frame.to_dict("records")])


def _words(row: dict[str, Any]) -> str:
    """The answer as a sentence."""
    gain = f"{row['gain']:.3f} ({row['gain_low']:.3f} to {row['gain_high']:.3f})"
    more = f"{AHEAD:g} times the labels are expected to add"
    rise = f"{row['rise']:.3f} ({row['rise_low']:.3f} to {row['rise_high']:.3f})"
    return {
        YES: f"Yes: {more} {gain}.",
        PERHAPS: f"Perhaps: {more} {gain}.",
        NO: f"Hardly: {more} at most {row['gain_high']:.3f}.",
        FLAT: f"No rise is seen from {row['labels_least']:,.0f} to {row['labels']:,.0f} labels: {rise}.",
        UNTOLD: f"It cannot be told: {row['reason']}.",
    }[row["answer"]]
