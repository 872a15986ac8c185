"""Labels of many assays of which few are measured, as their measured cells alone.

207,223 structures in 4,935 assays are a billion cells, 4 GB as an array, and four hundred thousand labels.
Tables take this form where the array would be large and nearly empty; `rows` of it are arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ..runtime.ragged import bounds, owners, spans

DENSE_BYTES = 2**28
"""Size of an array of labels from which one that is sparse is kept as its measured cells: 256 MiB."""

DENSE_SHARE = 0.1
"""Share of measured cells up to which it is."""

ROWS = 4096
"""Rows that are looked at as an array at a time."""


@dataclass(frozen=True, eq=False, repr=False)
class SparseCells:
    """An array [n, T] of which m cells are kept; the others have the value `fill`."""

    first: np.ndarray
    """int64 [n + 1], where the cells of each row begin, and where the last ones end."""
    tasks: np.ndarray
    """int32 [m], the columns of the cells, rising within a row."""
    values: np.ndarray
    """[m], float32 labels or int8 marks of censoring."""
    n_tasks: int
    """T."""
    fill: float
    """What all other cells are: NaN of labels, 0 of marks."""

    @classmethod
    def of(
        cls, rows: np.ndarray, tasks: np.ndarray, values: np.ndarray, shape: tuple[int, int], fill: float
    ) -> "SparseCells":
        """The cells (row, task, value), in any order, each at most once.

        Raises
        ------
        ValueError : a cell is there twice.
        """
        order = np.lexsort((tasks, rows))
        rows, tasks = rows[order], tasks[order].astype(np.int32)
        if ((np.diff(rows) == 0) & (np.diff(tasks) == 0)).any():
            raise ValueError("a cell has two values")
        first = bounds(np.bincount(rows, minlength=shape[0]))
        return cls(first, tasks, values[order], shape[1], fill)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, T)."""
        return len(self.first) - 1, self.n_tasks

    @property
    def size(self) -> int:
        """n * T."""
        return self.shape[0] * self.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def rows(self) -> np.ndarray:
        """int64 [m], the row of each cell."""
        return owners(np.diff(self.first))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"SparseCells: {self.shape[0]:,} x {self.shape[1]:,}, {len(self.values):,} of them kept"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All cells, for those who know no better; large."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getitem__(self, at: Any) -> np.ndarray:
        """The array of these rows, or of these rows and columns where a pair is given."""
        if isinstance(at, tuple):
            rows, columns = at
            if np.ndim(columns) == 0 and not isinstance(columns, slice):
                return self.select(np.array([columns]))[rows][..., 0]
            return self.select(np.arange(self.n_tasks)[columns])[rows]
        places = np.arange(len(self))[at]
        if places.ndim == 0:
            return self[places[None]][0]
        part = self.take(places)
        array = np.full(part.shape, self.fill, self.dtype)
        array[part.rows, part.tasks] = part.values
        return array

    def take(self, places: np.ndarray) -> "SparseCells":
        """The rows at these places, or where a boolean array is true, in their order."""
        places = np.arange(len(self))[places]
        lengths = np.diff(self.first)[places]
        cells = spans(self.first[places], lengths)
        return replace(self, first=bounds(lengths), tasks=self.tasks[cells], values=self.values[cells])

    def measured(self) -> "SparseCells":
        """Without the cells of which the value is NaN."""
        there = ~np.isnan(self.values)
        first = bounds(np.bincount(self.rows[there], minlength=len(self)))
        return replace(self, first=first, tasks=self.tasks[there], values=self.values[there])

    def select(self, columns: np.ndarray) -> "SparseCells":
        """The columns at these places, each at most once, in their order."""
        to = np.full(self.n_tasks, -1, np.int64)
        to[np.asarray(columns)] = np.arange(len(columns))
        kept = to[self.tasks] >= 0
        rows, tasks = self.rows[kept], to[self.tasks[kept]]
        return SparseCells.of(rows, tasks, self.values[kept], (len(self), len(columns)), self.fill)


Cells: TypeAlias = Any
"""An array [n, T], or `SparseCells`."""


def is_worth_it(n_rows: int, n_tasks: int, n_cells: int) -> bool:
    """Whether so many measured cells are better kept alone, than in an array of float32."""
    size = n_rows * n_tasks
    return 4 * size > DENSE_BYTES and n_cells < DENSE_SHARE * size


def cells_of(
    rows: np.ndarray, tasks: np.ndarray, values: np.ndarray, shape: tuple[int, int], fill: float
) -> Cells:
    """The array with these cells, or the cells alone where it would be large and nearly empty."""
    if is_worth_it(*shape, len(values)):
        return SparseCells.of(rows, tasks, values, shape, fill)
    array = np.full(shape, fill, values.dtype)
    array[rows, tasks] = values
    return array


def take_rows(cells: Cells, places: np.ndarray) -> Cells:
    """The rows at these places, in the same form."""
    return cells.take(places) if isinstance(cells, SparseCells) else cells[places]


def take_columns(cells: Cells, columns: np.ndarray) -> Cells:
    """The columns at these places, in the same form."""
    return cells.select(columns) if isinstance(cells, SparseCells) else cells[:, columns]


def cells_at(cells: Cells, rows: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """The values of single cells: [m]."""
    if not isinstance(cells, SparseCells):
        values: np.ndarray = cells[rows, tasks]
        return values
    kept = cells.rows * cells.n_tasks + cells.tasks
    asked = np.asarray(rows, np.int64) * cells.n_tasks + tasks
    at = np.minimum(np.searchsorted(kept, asked), max(len(kept) - 1, 0))
    if not len(kept):
        return np.full(len(asked), cells.fill, cells.dtype)
    return np.where(kept[at] == asked, cells.values[at], np.asarray(cells.fill, cells.dtype))


def stacked(parts: Sequence[Cells]) -> Cells:
    """The rows of several, one below the other, all of one form."""
    first = parts[0]
    if not isinstance(first, SparseCells):
        return np.concatenate(parts)
    return replace(
        first,
        first=bounds(np.concatenate([np.diff(part.first) for part in parts])),
        tasks=np.concatenate([part.tasks for part in parts]),
        values=np.concatenate([part.values for part in parts]),
    )


def rows_differ(ones: Cells, others: Cells) -> np.ndarray:
    """bool [n], the rows of two in the same form that are not equal; NaN is equal to NaN."""
    if not isinstance(ones, SparseCells):
        differ: np.ndarray = ((ones != others) & ~((ones != ones) & (others != others))).any(axis=1)
        return differ
    counts = np.diff(ones.first)
    differ = counts != np.diff(others.first)
    mine, theirs = (spans(each.first[:-1][~differ], counts[~differ]) for each in (ones, others))
    values, other_values = ones.values[mine], others.values[theirs]
    unequal = (values != other_values) & ~((values != values) & (other_values != other_values))
    unequal |= ones.tasks[mine] != others.tasks[theirs]
    differ[np.flatnonzero(~differ)[owners(counts[~differ])[unequal]]] = True
    return differ


def row_means(cells: Cells, to: np.ndarray, n: int) -> Cells:
    """Means of the rows that go to the same of n places: float32 [n, T], in the same form.

    Of kept cells each place is the mean of those that are kept.
    """
    if not isinstance(cells, SparseCells):
        sums = np.zeros((n, cells.shape[1]))
        np.add.at(sums, to, cells.astype(np.float64))
        return (sums / np.bincount(to, minlength=n)[:, None]).astype(np.float32)
    keys, group = np.unique(to[cells.rows] * cells.n_tasks + cells.tasks, return_inverse=True)
    means = np.bincount(group, cells.values.astype(np.float64)) / np.bincount(group)
    rows, tasks = np.divmod(keys, cells.n_tasks)
    return SparseCells.of(rows, tasks, means.astype(np.float32), (n, cells.n_tasks), cells.fill)


def with_rows(
    cells: Cells, places: np.ndarray, rows: np.ndarray, tasks: np.ndarray, values: np.ndarray
) -> Cells:
    """The array with the rows at `places` emptied, and there these cells; a new one in the same form."""
    if not isinstance(cells, SparseCells):
        array = cells.copy()
        array[places] = np.nan if array.dtype.kind == "f" else 0
        array[rows, tasks] = values
        return array
    is_kept = np.ones(len(cells), bool)
    is_kept[places] = False
    kept = is_kept[cells.rows]
    return SparseCells.of(
        np.concatenate([cells.rows[kept], rows]),
        np.concatenate([cells.tasks[kept], tasks]),
        np.concatenate([cells.values[kept], values.astype(cells.dtype)]),
        cells.shape,
        cells.fill,
    )


def with_cells(cells: Cells, rows: np.ndarray, tasks: np.ndarray, values: np.ndarray) -> Cells:
    """The array of labels with these cells replaced, by NaN too; a new one in the same form."""
    if not isinstance(cells, SparseCells):
        array = cells.copy()
        array[rows, tasks] = values
        return array
    replaced = np.isin(cells.rows * cells.n_tasks + cells.tasks, rows * cells.n_tasks + tasks)
    kept = ~np.isnan(values)
    return SparseCells.of(
        np.concatenate([cells.rows[~replaced], rows[kept]]),
        np.concatenate([cells.tasks[~replaced], tasks[kept]]),
        np.concatenate([cells.values[~replaced], values[kept].astype(cells.dtype)]),
        cells.shape,
        cells.fill,
    )


def measured_cells(labels: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, tasks and labels of the measured cells, row by row: int64, int64 and float32 [m]."""
    if isinstance(labels, SparseCells):
        measured = ~np.isnan(labels.values)
        return labels.rows[measured], labels.tasks[measured].astype(np.int64), labels.values[measured]
    rows, tasks = np.nonzero(~np.isnan(labels))
    return rows, tasks, labels[rows, tasks]


def marked_cells(censored: Cells | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, tasks and marks of the censored cells: int64, int64 and int8 [m]; None = there is none."""
    if censored is None:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing.astype(np.int8)
    if isinstance(censored, SparseCells):
        marked = censored.values != 0
        return censored.rows[marked], censored.tasks[marked].astype(np.int64), censored.values[marked]
    rows, tasks = np.nonzero(censored)
    return rows, tasks, censored[rows, tasks]


def no_marks(labels: Cells) -> Cells:
    """Marks of censoring of these labels where none is a bound: int8 [n, T], 0."""
    if not isinstance(labels, SparseCells):
        return np.zeros(labels.shape, np.int8)
    return replace(labels, values=np.zeros(len(labels.values), np.int8), fill=0)


def packed(labels: Cells, *others: Cells | None) -> list[Any]:
    """The labels of each assay one below the other, without molecules that have none: [most, T]; others too.

    Its columns have the same labels as those of the array, in the same order, and NaN below: all that is
    needed for what is counted, fitted and measured assay by assay, in little room. Numbers of the others are
    0.5 below, marks 0; None stays None.
    """
    rows, tasks, values = measured_cells(labels)
    order = np.argsort(tasks, kind="stable")
    rows, tasks = rows[order], tasks[order]
    counts = np.bincount(tasks, minlength=labels.shape[1])
    place = np.arange(len(tasks)) - np.repeat(np.cumsum(counts) - counts, counts)

    def filled(cells: np.ndarray, fill: float) -> np.ndarray:
        array = np.full((int(counts.max(initial=0)), labels.shape[1]), fill, cells.dtype)
        array[place, tasks] = cells
        return array

    alike = [None if other is None else cells_at(other, rows, tasks) for other in others]
    below = [0.0 if cells is None or cells.dtype.kind != "f" else 0.5 for cells in alike]
    pairs = zip(alike, below, strict=True)
    return [
        filled(values[order], np.nan),
        *(None if cells is None else filled(cells, fill) for cells, fill in pairs),
    ]


def packed_rows(labels: SparseCells) -> np.ndarray:
    """int64 [most, T], the rows of the cells that `packed` gives, 0 below."""
    array: np.ndarray = packed(labels, replace(labels, values=labels.rows, fill=0))[1]
    return array


def n_measured(labels: Cells) -> np.ndarray:
    """Labels of each assay: int64 [T]."""
    if isinstance(labels, SparseCells):
        return np.bincount(labels.tasks[~np.isnan(labels.values)], minlength=labels.n_tasks)
    return (~np.isnan(labels)).sum(axis=0)


def n_shared(labels: Cells) -> np.ndarray:
    """Molecules in which both assays of a pair are measured, int64 [T, T]."""
    from scipy.sparse import csr_array

    rows, tasks, _ = measured_cells(labels)
    there = csr_array((np.ones(len(rows), np.int64), (rows, tasks)), shape=labels.shape)
    return (there.T @ there).toarray()


def has_label(labels: Cells) -> np.ndarray:
    """bool [n], molecules that were measured in an assay."""
    if isinstance(labels, SparseCells):
        return np.bincount(labels.rows[~np.isnan(labels.values)], minlength=len(labels)) > 0
    is_measured: np.ndarray = (~np.isnan(labels)).any(axis=1)
    return is_measured


def n_marked(censored: Cells) -> np.ndarray:
    """Censored cells of each assay: int64 [T]."""
    if isinstance(censored, SparseCells):
        return np.bincount(censored.tasks[censored.values != 0], minlength=censored.n_tasks)
    counts: np.ndarray = (censored != 0).sum(axis=0)
    return counts


def n_equal(labels: Cells, value: float) -> np.ndarray:
    """Labels of each assay that are this value: int64 [T]."""
    if isinstance(labels, SparseCells):
        return np.bincount(labels.tasks[labels.values == value], minlength=labels.n_tasks)
    return (labels == value).sum(axis=0)
