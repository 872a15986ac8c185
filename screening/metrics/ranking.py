"""The measured molecules of every task, sorted by score: what the metrics are computed from.

Sorting is the costly part of evaluation, so it is done once, for all tasks, on whole integers. What the
order is worth is said in `metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import DataError

_ONE = np.uint64(1)
_LABEL_AND_SCORE_BITS = np.uint64(33)
_SIGN = np.uint32(1 << 31)


class Steps(NamedTuple):
    """The places of a ranking where the number of actives grows: one per task and score that an active has.

    Inactives between two steps change no metric but by their number, so the work after sorting grows
    with the actives alone. All arrays are int64 [S], by task and within a task from the lowest score.
    """

    bounds: np.ndarray
    """int64 [T + 1]: task t has the steps bounds[t] to bounds[t + 1]."""
    task: np.ndarray
    """Task of the step."""
    actives: np.ndarray
    """Actives with this very score, at least 1."""
    inactives: np.ndarray
    """Inactives with this very score."""
    actives_below: np.ndarray
    """Actives of the task with a lower score."""
    inactives_below: np.ndarray
    """Inactives of the task with a lower score."""


@dataclass(frozen=True)
class Ranking:
    """The measured molecules of every task in the order of their scores; made by `rank`."""

    keys: np.ndarray
    """uint64 [k], ascending: task in the upper 31 bits, score code in the next 32, label in the last."""
    bounds: np.ndarray
    """int64 [T + 1]: task t has the keys bounds[t] to bounds[t + 1]."""
    levels: np.ndarray | None
    """float64, the score behind each score code; None where the code is a float32 in disguise."""
    tasks: tuple[str, ...]
    """Names of the tasks for messages."""

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 [T], measured molecules per task."""
        return np.diff(self.bounds)

    @cached_property
    def actives(self) -> np.ndarray:
        """int64 [T], active molecules per task."""
        return np.diff(self.active_bounds)

    @cached_property
    def inactives(self) -> np.ndarray:
        """int64 [T], inactive molecules per task."""
        return self.counts - self.actives

    @cached_property
    def has_both(self) -> np.ndarray:
        """bool [T], whether the task has at least one active and one inactive."""
        return (self.actives > 0) & (self.inactives > 0)

    @cached_property
    def is_active(self) -> np.ndarray:
        """bool [k], the labels."""
        return (self.keys & _ONE).astype(bool)

    @cached_property
    def active_places(self) -> np.ndarray:
        """int64, places of the actives among the keys."""
        return np.flatnonzero(self.is_active)

    @cached_property
    def active_bounds(self) -> np.ndarray:
        """int64 [T + 1], how many actives there are before each of `bounds`."""
        return np.searchsorted(self.active_places, self.bounds)

    @cached_property
    def steps(self) -> Steps:
        """Where actives are, with what lies below them."""
        active_keys = self.keys[self.active_places]
        first = np.flatnonzero(np.diff(active_keys, prepend=~active_keys[:1]))
        start = self.active_places[first]
        inactive_key = active_keys[first] - _ONE  # sorts just before the actives of the same score
        tied = (start > 0) & (self.keys[start - 1] == inactive_key)
        inactives = np.zeros_like(start)
        inactives[tied] = start[tied] - np.searchsorted(self.keys, inactive_key[tied])
        start -= inactives
        bounds = np.searchsorted(start, self.bounds)
        task = np.repeat(np.arange(len(self.tasks)), np.diff(bounds))
        actives = np.diff(first, append=len(active_keys))
        actives_below = first - self.active_bounds[task]
        return Steps(
            bounds, task, actives, inactives, actives_below, start - self.bounds[task] - actives_below
        )

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float64 [k], the scores as probabilities.

        Raises
        ------
        DataError : a score is below 0 or above 1 by more than 1e-6, which the rounding of means may cause.
        """
        values = self._scores()
        outside = np.flatnonzero((values < -1e-6) | (values > 1 + 1e-6))
        if outside.size:
            task = self.tasks[np.searchsorted(self.bounds, outside[0], side="right") - 1]
            raise DataError(
                f"Assay '{task}': score {values[outside[0]]} is not a probability between 0 and 1. "
                "Give probabilities, or ask only for metrics of the order, such as roc_auc."
            )
        return np.clip(values, 0, 1)

    @cached_property
    def residuals(self) -> np.ndarray:
        """float64 [k], label minus probability."""
        return self.is_active - self.probabilities

    def tie_bounds(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First place, and the one after the last, of the molecules that tie with those at `places`."""
        scores = self.keys[places] >> _ONE << _ONE
        return np.searchsorted(self.keys, scores), np.searchsorted(self.keys, scores | _ONE, side="right")

    def _scores(self) -> np.ndarray:
        codes = (self.keys >> _ONE).astype(np.uint32)  # drops the task
        if self.levels is not None:
            return self.levels[codes]
        return np.where(codes & _SIGN, codes ^ _SIGN, ~codes).view(np.float32).astype(np.float64)


def rank(labels: np.ndarray, scores: np.ndarray, tasks: Sequence[str] | None = None) -> Ranking:
    """The measured molecules of each task, sorted by score.

    Label, score and task of a molecule are packed into one integer, because sorting integers is many
    times faster than sorting places; only measured entries are sorted, so sparse tables are cheap.

    Parameters
    ----------
    labels : [n, T], 1 active, 0 inactive, NaN not measured.
    scores : [n, T], higher = more active; where a label is NaN the score is not read.
    tasks : T names for messages.

    Raises
    ------
    DataError : a label is neither 0, 1 nor NaN, or the score of a measured molecule is NaN or infinite.
    ValueError : the shapes do not fit.

    Examples
    --------
    >>> labels = np.array([[1, 0], [0, np.nan], [0, 1], [1, 1]])
    >>> scores = np.array([[0.9, 0.5], [0.2, 0.5], [0.6, 0.5], [0.4, 0.8]])
    >>> rank(labels, scores).actives
    array([2, 2])
    """
    keys, bounds, levels, names = _packed(labels, scores, tasks)
    # One task after the other: it fits the processor's cache, which halves the time of one long sort.
    for start, end in pairwise(bounds):
        keys[start:end].sort()
    return Ranking(keys, bounds, levels, names)


class Placements(NamedTuple):
    """Where each measured molecule stands among those of the other class (DeLong's structural components)."""

    values: np.ndarray
    """float64 [k]: of an active the share of inactives below it, of an inactive that of actives above it,
    ties counted half; NaN where the task lacks the other class."""
    is_active: np.ndarray
    """bool [k]."""
    bounds: np.ndarray
    """int64 [T + 1]: task t has the entries bounds[t] to bounds[t + 1], in the order of the rows."""


def placements(labels: np.ndarray, scores: np.ndarray, tasks: Sequence[str] | None = None) -> Placements:
    """Placements of the measured molecules of each task; arguments and errors as `rank`."""
    keys, bounds, _, names = _packed(labels, scores, tasks)
    order = np.argsort(keys)
    ranking = Ranking(keys[order], bounds, None, names)
    start, end = ranking.tie_bounds(np.arange(len(keys)))
    actives_before = np.concatenate([[0], np.cumsum(ranking.is_active)])
    task = np.repeat(np.arange(len(names)), ranking.counts)
    actives_below = (actives_before[start] + actives_before[end]) / 2 - ranking.active_bounds[task]
    inactives_below = (start + end) / 2 - bounds[task] - actives_below
    m, n = ranking.actives[task], ranking.inactives[task]
    values = np.full(len(keys), np.nan)
    np.divide(inactives_below, n, out=values, where=ranking.is_active & (n > 0))
    np.divide(m - actives_below, m, out=values, where=~ranking.is_active & (m > 0))
    by_row = np.empty_like(values)
    by_row[order] = values
    return Placements(by_row, (keys & _ONE).astype(bool), bounds)


def _packed(
    labels: np.ndarray, scores: np.ndarray, tasks: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Unsorted keys, bounds, levels and names of a `Ranking`; within a task in the order of the rows."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.ndim != 2 or labels.shape != scores.shape:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape}: expected the same [n, T].")
    n, n_tasks = labels.shape
    names = tuple(f"task {task}" for task in range(n_tasks)) if tasks is None else tuple(tasks)
    if len(names) != n_tasks:
        raise ValueError(f"{len(names)} task names for {n_tasks} columns.")
    by_task = np.ascontiguousarray(labels.T).ravel()
    measured = np.flatnonzero(by_task == by_task)
    bounds = np.searchsorted(measured, n * np.arange(n_tasks + 1))
    by_task, values = by_task[measured], np.ascontiguousarray(scores.T).ravel()[measured]
    active = by_task == 1
    _refuse(~active & (by_task != 0), by_task, measured, n, names, "label", "is neither 0, 1 nor NaN")
    _refuse(~np.isfinite(values), values, measured, n, names, "score", "is not a finite number")
    keys, levels = sort_codes(values)
    keys <<= _ONE
    keys |= active
    keys |= np.repeat(np.arange(n_tasks, dtype=np.uint64) << _LABEL_AND_SCORE_BITS, np.diff(bounds))
    return keys, bounds, levels, names


def _refuse(
    is_wrong: np.ndarray,
    values: np.ndarray,
    measured: np.ndarray,
    n: int,
    names: tuple[str, ...],
    kind: str,
    what: str,
) -> None:
    wrong = np.flatnonzero(is_wrong)
    if wrong.size:
        task, row = divmod(int(measured[wrong[0]]), n)
        raise DataError(
            f"Assay '{names[task]}', row {row} (counted from 0): {kind} {values[wrong[0]]} {what} "
            f"({wrong.size} such {kind}s in all). Correct the table, or take these rows out."
        )


def sort_codes(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """uint64 codes below 2**32 that sort as the scores do, and the score of each code (None: its bits).

    Bits of a float32 sort as integers once those of negative numbers are turned round. Scores that do
    not fit a float32 are numbered.
    """
    with np.errstate(over="ignore"):
        short = scores.astype(np.float32)
    if scores.dtype != np.float32 and (short != scores).any():
        levels, codes = np.unique(scores, return_inverse=True)
        return codes.astype(np.uint64), levels.astype(np.float64)
    bits = (short + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0, which it ties with
    return np.where(bits & _SIGN, ~bits, bits ^ _SIGN).astype(np.uint64), None
