"""Several assay tables as one: rows below each other, assays of the same name in one column.

Every measurement stays a measurement, so that `merging` combines them once, whatever the order of the tables.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError, listed
from .assay_kinds import Assay
from .assay_table import AssayTable
from .sparse_cells import Cells, cells_of, marked_cells, measured_cells
from .tables import Rejected
from .threshold_cells import ThresholdCells
from .units import factor

FILE = "file"
"""Extra column that says which of several files a row is from; not written where a file has one so called."""

SAME_SCALE = ("neg_log10_molar",)
"""Transforms after which the unit of the values does not matter."""


def united(tables: Sequence[AssayTable], names: Sequence[str]) -> AssayTable:
    """The rows of all tables, in their order; `rows` and `rejected` count on from table to table.

    Parameters
    ----------
    names : what each table is called, in notes and in the extra column `file`.

    Raises
    ------
    DataError : assays of the same name are of different kinds, scales or units.
    """
    assays, scales, notes = _assays_of_all(tables, names)
    place = {assay.name: number for number, assay in enumerate(assays)}
    starts = np.cumsum([0, *(_n_records(table) for table in tables)])
    first = np.cumsum([0, *map(len, tables)])
    cells, marks, behind = [], [], []
    for number, table in enumerate(tables):
        to = np.array([place[name] for name in table.tasks], np.int64)
        rows, tasks, labels = measured_cells(table.labels)
        scale = np.array([scales[number, name] for name in table.tasks])
        cells.append((rows + first[number], to[tasks], (labels * scale[tasks]).astype(np.float32)))
        rows, tasks, censored = marked_cells(table.censored)
        marks.append((rows + first[number], to[tasks], censored))
        if table.thresholded is not None:
            rows, tasks, values, relations = table.thresholded.cells()
            behind.append((rows + first[number], to[tasks], values, relations))
    shape = (int(first[-1]), len(assays))
    has_marks = any(len(rows) for rows, _, _ in marks)
    return AssayTable(
        ids=[text for table in tables for text in table.ids],
        smiles=[text for table in tables for text in table.smiles],
        labels=_array(cells, shape, np.nan),
        tasks=tuple(place),
        extra=_extra_of_all(tables, names),
        rows=np.concatenate([table.rows + start for table, start in zip(tables, starts[:-1], strict=True)]),
        rejected=[
            Rejected(int(start) + row, id, smiles, f"{name}: {reason}")
            for table, name, start in zip(tables, names, starts[:-1], strict=True)
            for row, id, smiles, reason in table.rejected
        ],
        notes=[*notes, *(note for table in tables for note in table.notes)],
        about=tuple(assays) if any(table.about for table in tables) else (),
        censored=_array(marks, shape, 0) if has_marks else None,
        thresholded=_thresholded(behind, shape),
    )


def named_apart(
    tables: Sequence[AssayTable], names: Sequence[str], taken: Sequence[str] = ()
) -> list[AssayTable]:
    """The tables with their names before assays that are called like one of another table.

    Parameters
    ----------
    taken : names of assays that others have.
    """
    counts = Counter(task for tasks in (taken, *(table.tasks for table in tables)) for task in tasks)
    used, renamed = set(taken), []
    for table, name in zip(tables, names, strict=True):
        tasks = []
        for task in table.tasks:
            apart = f"{name}: {task}" if counts[task] > 1 else task
            while apart in used:
                apart = f"{name}: {apart}"
            used.add(apart)
            tasks.append(apart)
        about = tuple(replace(kind, name=task) for kind, task in zip(table.about, tasks, strict=False))
        renamed.append(replace(table, tasks=tuple(tasks), about=about))
    return renamed


def _n_records(table: AssayTable) -> int:
    """Records of the table's file, as far as they are known."""
    rejected = max((rejected.row for rejected in table.rejected), default=0)
    return max(int(table.rows.max(initial=0)), rejected)


def _array(parts: Sequence[tuple[np.ndarray, ...]], shape: tuple[int, int], fill: float) -> Cells:
    """The array with the cells (rows, tasks, values) of all parts."""
    rows, tasks, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return cells_of(rows, tasks, values, shape, fill)


def _thresholded(parts: Sequence[tuple[np.ndarray, ...]], shape: tuple[int, int]) -> ThresholdCells | None:
    if not parts:
        return None
    rows, tasks, values, relations = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ThresholdCells.of(rows, tasks, values, relations, shape)


def _assays_of_all(
    tables: Sequence[AssayTable], names: Sequence[str]
) -> tuple[list[Assay], dict[tuple[int, str], float], list[str]]:
    """The assays in order of appearance, what the labels of each table are multiplied with, and notes."""
    assays: dict[str, Assay] = {}
    scales: dict[tuple[int, str], float] = {}
    owners: dict[str, list[str]] = {}
    for number, (table, name) in enumerate(zip(tables, names, strict=True)):
        for assay in table.assays:
            first = assays.setdefault(assay.name, assay)
            scales[number, assay.name] = _scale(first, assay, owners.get(assay.name, [name])[0], name)
            owners.setdefault(assay.name, []).append(name)
    shared = [(assay, files) for assay, files in owners.items() if len(files) > 1]
    notes = [
        f"assay '{assay}' is in {listed(files, 5)}: its measurements were joined."
        for assay, files in shared[:10]
    ]
    if len(shared) > 10:
        notes.append(f"{len(shared) - 10:,} more assays are in several files, and were joined.")
    return list(assays.values()), scales, notes


def _scale(first: Assay, assay: Assay, file: str, other: str) -> float:
    """What labels of `assay` are multiplied with to be those of `first`, the assay of that name in `file`."""
    if replace(assay, unit=first.unit) == first:
        if assay.unit == first.unit or assay.transform in SAME_SCALE:
            return 1.0
        scale = factor(assay.unit, first.unit)
        if assay.is_real and assay.transform == "none" and scale is not None:
            return scale
    shown = [{key: value for key, value in one.as_dict().items() if key != "name"} for one in (first, assay)]
    raise DataError(
        f"assay '{assay.name}' is {shown[0] or 'of classes'} in {file} and {shown[1] or 'of classes'} in "
        f"{other}: assays of one name must be of one kind, scale and unit. Declare both in the same way in "
        "data.assays, or rename the column in a file."
    )


def _extra_of_all(tables: Sequence[AssayTable], names: Sequence[str]) -> dict[str, list[str]]:
    columns = Counter(name for table in tables for name in table.extra)
    extra = {
        column: [text for table in tables for text in table.extra.get(column, [""] * len(table))]
        for column in columns
    }
    if FILE not in extra and len(tables) > 1:
        extra[FILE] = [name for table, name in zip(tables, names, strict=True) for _ in range(len(table))]
    return extra
