"""One row per usable structure: unusable molecules are taken out, and rows of the same structure merged."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from ..sizes import MOST_ATOMS
from .assay_table import AssayTable
from .labels import Codes
from .molecules import canonical_smiles
from .replicates import Combined, combine, replicate_notes
from .sparse_cells import cells_at, measured_cells, take_rows, with_rows
from .tables import Rejected

DUPLICATES = ("error", "keep", "merge")


def prepare(
    table: AssayTable,
    *,
    standardize: str = "none",
    duplicates: str = "merge",
    keep_apart: str | None = None,
    max_atoms: int = MOST_ATOMS,
    workers: int | None = None,
) -> tuple[AssayTable, list[Rejected], list[str]]:
    """The table with unusable molecules taken out, `canonical` filled, and duplicates treated.

    Rows in = rows out + rejected + rows merged into another.

    Parameters
    ----------
    standardize : as in `molecules.standardized`; only `canonical` is standardised, `smiles` stay.
    duplicates : rows of the same canonical SMILES are an `error`, are `keep`-ed, or are `merge`-d: the
        first row stays with its id and extra columns and gets all labels; where they contradict each
        other the label becomes missing. Values of real assays become one by `replicates.combine`.
    keep_apart : extra column whose different texts keep rows of one structure apart, such as the parts of a
        split; None = all rows of a structure are the same molecule.
    max_atoms : atoms besides hydrogen that a molecule may have.
    workers : processes; None = as many as pay off.

    Raises
    ------
    DataError : there are duplicates, and they are an error.
    ConfigError : unknown policy, or no such extra column.
    """
    if duplicates not in DUPLICATES:
        raise ConfigError(
            f"data.duplicates: there is no '{duplicates}'. {did_you_mean(duplicates, DUPLICATES)}"
        )
    usable, rejected = _usable(table, standardize, max_atoms, workers)
    codes = Codes()
    groups = codes.of(_keys(usable, keep_apart))
    sizes = np.bincount(groups)
    if len(codes) == len(usable):
        return usable, rejected, []
    what = f"{len(usable) - len(codes)} rows repeat {int((sizes > 1).sum())} structures"
    what += f" with the same '{keep_apart}'" if keep_apart else ""
    if duplicates == "error":
        a, b = np.flatnonzero(groups == np.argmax(sizes > 1))[:2].tolist()
        raise DataError(
            f"{what}; the first are record {usable.rows[a]} ('{usable.ids[a]}', {usable.smiles[a]}) and "
            f"record {usable.rows[b]} ('{usable.ids[b]}', {usable.smiles[b]}). Remove one of each, or set "
            "data.duplicates to merge or keep."
        )
    if duplicates == "keep":
        return usable, rejected, [f"{what}; they were kept as they are."]
    merging = _merge(usable, groups, sizes)
    note = (
        f"{what} and were merged into the first row of each; {merging.n_contradicting} labels that "
        "contradict each other were taken as missing."
    )
    return merging.table, rejected, [note, *replicate_notes(merging.combined, table.assays, merging.tasks)]


def _keys(table: AssayTable, keep_apart: str | None) -> list[str]:
    """What rows of one molecule have in common: the canonical SMILES, and the text that keeps apart."""
    canonical = table.canonical or []
    if keep_apart is None:
        return canonical
    if keep_apart not in table.extra:
        hint = did_you_mean(keep_apart, table.extra)
        raise ConfigError(f"data.keep_apart: the table has no column '{keep_apart}'. {hint}")
    return [f"{text}\t{word.strip()}" for text, word in zip(canonical, table.extra[keep_apart], strict=True)]


def _usable(
    table: AssayTable, standardize: str, max_atoms: int, workers: int | None
) -> tuple[AssayTable, list[Rejected]]:
    """The rows whose molecules can be read, with their canonical SMILES, and the others with reasons."""
    canonical, reasons = canonical_smiles(
        table.smiles, standardize=standardize, max_atoms=max_atoms, workers=workers
    )
    is_usable = np.array([bool(text) for text in canonical], dtype=bool)
    rejected = [
        Rejected(
            int(table.rows[i]), table.ids[i], table.smiles[i], reasons[i] or "the structure has no atoms"
        )
        for i in np.flatnonzero(~is_usable).tolist()
    ]
    return replace(table.take(is_usable), canonical=[text for text in canonical if text]), rejected


class _Merging(NamedTuple):
    """A table with one row per group, and the cells that several rows of a group have."""

    table: AssayTable
    n_contradicting: int
    """Cells of classes with different labels."""
    combined: Combined
    """Of those cells; of classes it means nothing."""
    tasks: np.ndarray
    """int [G], the assay of each of them."""


def _merge(table: AssayTable, groups: np.ndarray, sizes: np.ndarray) -> _Merging:
    """One row per group, numbered by first appearance.

    Labels are taken cell by cell, so that a table of which few cells are measured never becomes an array.
    """
    first = np.unique(groups, return_index=True)[1]
    repeated = np.flatnonzero(sizes[groups] > 1)
    rows, tasks, values = measured_cells(take_rows(table.labels, repeated))
    cells, of_cell = np.unique(groups[repeated][rows] * len(table.tasks) + tasks, return_inverse=True)
    marks = np.zeros(len(values), np.int8)
    if table.censored is not None:
        marks = cells_at(take_rows(table.censored, repeated), rows, tasks)
    combined = combine(values, marks, of_cell, len(cells))
    highest, lowest = np.full(len(cells), -np.inf), np.full(len(cells), np.inf)
    np.maximum.at(highest, of_cell, values)
    np.minimum.at(lowest, of_cell, values)
    row, task = np.divmod(cells, len(table.tasks))
    is_class = ~table.is_real[task]
    contradicts = is_class & (highest > lowest)
    labels = np.where(is_class, np.where(contradicts, np.nan, highest), combined.values).astype(np.float32)
    kept = ~np.isnan(labels)
    merged = table.take(first)
    several = np.flatnonzero(sizes > 1)
    merged = replace(
        merged,
        labels=with_rows(merged.labels, several, row[kept], task[kept], labels[kept]),
        censored=None
        if merged.censored is None
        else with_rows(merged.censored, several, row[kept], task[kept], combined.censored[kept]),
    )
    return _Merging(merged, int(contradicts.sum()), combined, task)
