"""Top-k: the best K molecules of every assay, in constant memory, while the part files of a library go by.

The result is a function of the part files alone: it does not depend on processes or on a restart. Ties go
to the molecule that stands first in the library.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..data.assay_kinds import Assay, are_real
from ..runtime import ragged
from ..runtime.csv_cells import harmless
from ..runtime.files import atomic_write
from ..runtime.progress import progress
from .columns import HIGH, LOW, assay_column
from .part_files import PartFolder

_TEXTS = ["id", "smiles", "row", "file"]
COLUMNS = 23
"""Bits of a place that tell the row in a part; those above tell the part's number, up to 10**12."""
LARGEST_BLOCK = 2**COLUMNS
_NOWHERE = np.iinfo(np.int64).max
PROBABILITY, VALUE, UNIT = "probability", "value", "unit"
"""Columns of top.csv: of binary assays alone `probability`; else `value`, and `unit` says of what."""


class Best:
    """The K highest scores of T assays so far, and where they are.

    Parameters
    ----------
    n_tasks, k : T and K.
    """

    def __init__(self, n_tasks: int, k: int) -> None:
        self.k = k
        self.values = np.full((n_tasks, k), -np.inf, np.float32)
        self.places = np.full((n_tasks, k), _NOWHERE, np.int64)
        self._floor = np.full(n_tasks, -np.inf, np.float32)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._n_waiting = np.zeros(n_tasks, np.int64)

    @property
    def is_filled(self) -> np.ndarray:
        """bool [T, K], where there are so many molecules, once all are merged."""
        return self.places < _NOWHERE

    def add(self, number: int, scores: np.ndarray) -> None:
        """Take in the part `number` with its scores [T, n], NaN where rejected; parts come in order.

        A score that is not above the K-th best so far is left out by one comparison; the others wait
        until an assay has K of them, so that sorting costs little however long the library is.
        """
        if scores.shape[1] > self.k and self._floor.max() == -np.inf:  # the first: sort no more than needed
            least = np.partition(np.nan_to_num(scores, nan=-np.inf), -self.k, axis=1)[:, -self.k]
            task, column = np.nonzero((scores >= least[:, None]) & (scores > -np.inf))
        else:
            task, column = np.nonzero(scores > self._floor[:, None])
        if not len(task):
            return
        self._waiting.append((task, (np.int64(number) << COLUMNS) + column, scores[task, column]))
        self._n_waiting += np.bincount(task, minlength=len(self._n_waiting))
        if self._n_waiting.max() >= self.k:
            self.merge()

    def merge(self) -> None:
        """Sort what waits into `values` and `places` [T, K], the best first."""
        if not self._waiting:
            return
        task, place, value = (np.concatenate(arrays) for arrays in zip(*self._waiting, strict=True))
        order = np.argsort(task, kind="stable")
        task, place, value = task[order], place[order], value[order]
        slot = self.k + np.arange(len(task)) - ragged.firsts(self._n_waiting)[task]
        width = self.k + int(self._n_waiting.max())
        values = np.full((len(self.values), width), -np.inf, np.float32)
        places = np.full((len(self.values), width), _NOWHERE, np.int64)
        values[:, : self.k], places[:, : self.k] = self.values, self.places
        values[task, slot], places[task, slot] = value, place
        chosen = _largest(values, places, self.k)
        self.values = np.take_along_axis(values, chosen, 1)
        self.places = np.take_along_axis(places, chosen, 1)
        self._floor = self.values[:, -1]
        self._waiting.clear()
        self._n_waiting[:] = 0


class Leaders:
    """`Best` of the parts of a job: fed with new parts as they are made, reading those that are there.

    Where small values are good (`Assay.is_high_good`), the best are the smallest: `best` has their negatives.

    Parameters
    ----------
    assays : in their order; scores are in their units, as in the parts.
    finished : numbers of the parts that are there before the job goes on.
    """

    def __init__(self, parts: PartFolder, assays: Sequence[Assay], k: int, finished: Iterable[int]) -> None:
        self.parts, self.assays = parts, tuple(assays)
        self.best = Best(len(assays), k)
        self.signs = np.array([[1 if assay.is_high_good else -1] for assay in assays], np.float32)
        self._finished = deque(sorted(finished))
        self._last = -1

    def add(self, number: int, scores: np.ndarray) -> None:
        """Take in a new part with the scores [T, n] of its rows; new parts come in order."""
        while self._finished and self._finished[0] < number:
            self._read(self._finished.popleft())
        self.best.add(number, scores * self.signs)
        self._last = number

    def complete(self, numbers: Iterable[int]) -> Best:
        """The best of all parts `numbers`, merged, after reading those that were not taken in."""
        left = sorted(number for number in numbers if number > self._last)
        with progress("finding the best", len(left)) as advance:
            for number in left:
                self._read(number)
                advance(1)
        self.best.merge()
        return self.best

    def _read(self, number: int) -> None:
        table = self.parts.read(number, [assay_column(assay.name) for assay in self.assays])
        scores = np.stack([column.to_numpy() for column in table.columns]).astype(np.float32)
        self.best.add(number, scores * self.signs)
        self._last = number


def _largest(values: np.ndarray, places: np.ndarray, k: int) -> np.ndarray:
    """Columns [T, k] of the k largest values of each row, largest first, ties by place."""
    kth = -np.partition(-values, k - 1, axis=1)[:, k - 1 : k]
    # Everything above the k-th value is in; of those equal to it, the first places.
    key = np.where(values > kth, -1, np.where(values == kth, places, _NOWHERE))
    chosen = np.argpartition(key, k - 1, axis=1)[:, :k]
    order = np.lexsort((np.take_along_axis(places, chosen, 1), -np.take_along_axis(values, chosen, 1)))
    return np.take_along_axis(chosen, order, 1)


def write_top(leaders: Leaders, path: Path, *, limits: bool = False, csv_safe: bool = False) -> None:
    """A row for each assay and rank: id, structure, score, and where it stands in the library.

    Of binary assays alone the score is the column `probability`; else it is `value`, with `unit` behind.

    Parameters
    ----------
    leaders : complete.
    limits : with `low` and `high` behind the value, of real assays; the parts have them.
    csv_safe : no cell is run by a spreadsheet (see `cells`).
    """
    best, assays = leaders.best, leaders.assays
    cell = harmless if csv_safe else str
    places = np.unique(best.places[best.is_filled])
    texts = rows_at(places, partial(leaders.parts.read, columns=_TEXTS))
    is_mixed = any(assay.is_real for assay in assays)
    ends = _limits(best, assays, leaders.parts) if limits and is_mixed else []
    head = [VALUE, *(LOW[1:], HIGH[1:])[: len(ends)], UNIT] if is_mixed else [PROBABILITY]
    with atomic_write(path) as work, work.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["assay", "rank", "id", "smiles", *head, "row", "file"])
        for task, assay in enumerate(assays):
            here = best.is_filled[task]
            rows = texts.take(np.searchsorted(places, best.places[task, here])).to_pydict()
            signed = best.values[task, here] * leaders.signs[task]
            scores = [_written(numbers) for numbers in (signed, *(end[task, here] for end in ends))]
            units = [[cell(_unit(assay))] * len(signed)] if is_mixed else []
            names, ranks = [cell(assay.name)] * len(signed), range(1, len(signed) + 1)
            ids, smiles, files = (map(cell, rows[name]) for name in ("id", "smiles", "file"))
            columns = names, ranks, ids, smiles, *scores, *units, rows["row"], files
            writer.writerows(zip(*columns, strict=True))


def _unit(assay: Assay) -> str:
    """What the numbers of an assay are."""
    return assay.unit if assay.is_real else PROBABILITY


def _written(numbers: np.ndarray) -> list[str]:
    return ["" if number != number else f"{number:.6g}" for number in numbers.tolist()]


def _limits(best: Best, assays: Sequence[Assay], parts: PartFolder) -> list[np.ndarray]:
    """Lower and upper ends [T, K] of the best of the real assays, out of the parts; NaN elsewhere."""
    ends = [np.full(best.values.shape, np.nan, np.float32) for _ in (LOW, HIGH)]
    is_there = best.is_filled & are_real(assays)[:, None]
    numbers = np.where(is_there, best.places >> COLUMNS, -1)
    for number in np.unique(numbers[is_there]).tolist():
        tasks = np.flatnonzero((numbers == number).any(1)).tolist()
        columns = [assay_column(assays[task].name) + end for task in tasks for end in (LOW, HIGH)]
        table = parts.read(number, columns)
        for task in tasks:
            here = numbers[task] == number
            rows = best.places[task, here] & (LARGEST_BLOCK - 1)
            for values, end in zip(ends, (LOW, HIGH), strict=True):
                column = table.column(assay_column(assays[task].name) + end)
                values[task, here] = column.to_numpy()[rows]
    return ends


def rows_at(places: np.ndarray, read: Callable[[int], pa.Table]) -> pa.Table:
    """The rows at `places` (those of `Best`), in that order; without places, columns without rows.

    Parameters
    ----------
    read : gives the part of a number, or some columns of it; asked once for each part.
    """
    if not len(places):
        return pa.table({name: pa.array([], pa.string()) for name in _TEXTS})
    ascending, order = np.unique(places, return_inverse=True)
    numbers, starts = np.unique(ascending >> COLUMNS, return_index=True)
    groups = zip(numbers.tolist(), np.split(ascending & (LARGEST_BLOCK - 1), starts[1:]), strict=True)
    return pa.concat_tables(read(number).take(group) for number, group in groups).combine_chunks().take(order)
