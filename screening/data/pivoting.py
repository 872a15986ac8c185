"""From the records of a long table to an assay table: a row per structure, a column per assay.

A structure that was measured several times in an assay has as many rows, as in a wide table of replicates, so
that `merging` sees every measurement. Called by `assays`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..config_sections import AssaySettings
from ..errors import DataError, listed
from ..registry import did_you_mean
from .assay_columns import RawTable
from .assay_table import AssayTable, texts_at
from .labels import Codes, ExplainedColumn
from .long_columns import Roles
from .long_plan import plan_of
from .long_values import Cells, LongValues, read_values
from .sparse_cells import cells_of
from .tables import Rejected
from .threshold_cells import ThresholdCells


def pivoted(
    raw: RawTable,
    roles: Roles,
    assays: Mapping[str, AssaySettings],
    labels: Mapping[str, float | None],
    *,
    other_units: str = "error",
    keep_apart: str | None = None,
    is_one_of_several: bool = False,
) -> AssayTable:
    """The assay table of a long one.

    Parameters
    ----------
    assays, labels, other_units : as in `read_values`.
    keep_apart : column, such as one of a split, in which records of a structure may differ: it then has a row
        for each of its texts.

    is_one_of_several : `assays` need not all fit a name of this table.

    Raises
    ------
    DataError, ConfigError : as `plan_of` and `read_values`; or no record has an assay, or no such column.
    """
    if keep_apart is not None and keep_apart not in raw.columns:
        hint = did_you_mean(keep_apart, list(raw.columns))
        raise DataError(f"{raw.path} has no column '{keep_apart}' (data.keep_apart). {hint}")
    raw, rejected = _without_blanks(raw, roles)
    plan = plan_of(raw, roles, assays, is_one_of_several=is_one_of_several)
    values = read_values(raw, roles, plan, labels, other_units)
    structures = _structures(raw, keep_apart)
    owners, row_of_cell = rows_of_cells(structures, values.cells.records, values.cells.tasks)
    others = raw.others([name for _, name in roles.by_setting()])
    first = np.unique(structures, return_index=True)[1]
    kept = [name for name in others if _is_of_structure(raw.columns[name], structures, first)]
    records = first[owners]
    shape = (len(owners), len(values.assays))
    cells = values.cells
    censored, measured = cells.censored != 0, ~np.isnan(cells.labels)
    names = tuple(assay.name for assay in values.assays)
    return AssayTable(
        ids=texts_at(raw.ids, records),
        smiles=texts_at(raw.smiles, records),
        labels=cells_of(row_of_cell[measured], cells.tasks[measured], cells.labels[measured], shape, np.nan),
        tasks=names,
        extra={name: _texts_at(raw.columns[name], records) for name in kept},
        rows=raw.rows[records],
        rejected=rejected,
        notes=[
            *_notes(raw, roles, values, len(first), len(owners)),
            *_left_out(raw, [name for name in others if name not in kept]),
        ],
        about=values.assays if any(assay != type(assay)(assay.name) for assay in values.assays) else (),
        censored=cells_of(row_of_cell[censored], cells.tasks[censored], cells.censored[censored], shape, 0)
        if censored.any()
        else None,
        thresholded=_thresholded(cells, row_of_cell, shape),
    )


def _thresholded(cells: Cells, rows: np.ndarray, shape: tuple[int, int]) -> ThresholdCells | None:
    at = ~np.isnan(cells.values)
    return ThresholdCells.of(rows[at], cells.tasks[at], cells.values[at], cells.relations[at], shape)


def rows_of_cells(
    structures: np.ndarray, records: np.ndarray, tasks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The structure of each row, int64 [r], and the row of each cell, int64 [m].

    A structure has one row, and one more for every further measurement in the same assay; the k-th
    measurements of all assays share a row.

    Parameters
    ----------
    structures : int64 [n], number of each record's structure, in order of first appearance.
    records, tasks : int64 [m], of each cell.
    """
    of_cell = structures[records]
    order = np.lexsort((records, tasks, of_cell))
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(of_cell[order]) != 0) | (np.diff(tasks[order]) != 0)
    starts = np.flatnonzero(is_new)
    layer = np.empty(len(order), np.int64)
    layer[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    n_layers = np.ones(int(structures.max(initial=-1)) + 1, np.int64)
    np.maximum.at(n_layers, of_cell, layer + 1)
    first = np.cumsum(n_layers) - n_layers
    return np.repeat(np.arange(len(n_layers)), n_layers), first[of_cell] + layer


def _structures(raw: RawTable, keep_apart: str | None) -> np.ndarray:
    """int64 [n], number of the structure of each record, as written, and of the text that keeps it apart."""
    number = Codes().of(raw.smiles).astype(np.int64)
    if keep_apart is None:
        return number
    _, first, number = np.unique(
        _pairs(number, raw.columns[keep_apart].codes), return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[number]


def _without_blanks(raw: RawTable, roles: Roles) -> tuple[RawTable, list[Rejected]]:
    """The table without records that have no structure or no assay, and these with reasons."""
    blank = np.zeros(len(raw.rows), bool)
    blank[raw.without_structure()] = True
    unnamed = np.ones(len(raw.rows), bool)
    for name in roles.assay:
        column = raw.columns[name]
        unnamed &= np.array([not text.strip() for text in column.different], bool)[column.codes]
    header = raw.smiles_name.strip().casefold()
    rejected = []
    for place in np.flatnonzero(blank | unnamed).tolist():
        smiles = raw.smiles[place]
        reason = "the assay is not named" if smiles.strip() else "the SMILES is empty"
        reason = "the header line once more" if smiles.strip().casefold() == header else reason
        rejected.append(Rejected(int(raw.rows[place]), raw.ids[place], smiles, reason))
    if len(rejected) == len(raw.rows):
        raise DataError(f"{raw.path}: no record has a structure and an assay ({roles}). Check data.long.")
    return raw.without(np.flatnonzero(blank | unnamed)), rejected


def _is_of_structure(column: ExplainedColumn, structures: np.ndarray, first: np.ndarray) -> bool:
    """Whether all records of a structure have the same text in a column."""
    return bool((column.codes == column.codes[first][structures]).all())


def _texts_at(column: ExplainedColumn, records: np.ndarray) -> list[str]:
    return [column.different[code] for code in column.codes[records].tolist()]


def _notes(raw: RawTable, roles: Roles, values: LongValues, n_structures: int, n_rows: int) -> list[str]:
    n_real = sum(assay.is_real for assay in values.assays)
    kinds = f", {n_real:,} of them of real values" if n_real else ""
    notes = [
        f"{raw.path} is a long table: {len(raw.rows):,} records of {n_structures:,} structures in "
        f"{len(values.assays):,} assays{kinds}; taken as {roles}. data.long names other columns, and "
        "data.format=wide says that it is not long."
    ]
    if n_rows > n_structures:
        notes.append(
            f"{raw.path}: {n_rows - n_structures:,} further rows are of structures that were measured "
            "several times in the same assay."
        )
    ids = Codes().of(raw.ids)
    n_ids = len(np.unique(_pairs(_structures(raw, None), ids)))
    n_texts = len(set(raw.smiles))
    if n_ids > n_texts:
        notes.append(
            f"{raw.path}: {n_ids - n_texts:,} identifiers are further ones of a structure that has one; the "
            "first of each is kept."
        )
    return [*notes, *values.notes]


def _pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a.astype(np.int64) * (int(b.max(initial=0)) + 1) + b


def _left_out(raw: RawTable, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [
        f"{raw.path}: left out, as they differ between records of a structure: {listed(names)}. One that a "
        "split needs is kept apart by it."
    ]
