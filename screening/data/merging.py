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
from .row_parts import RowParts, with_oldest
from .sparse_cells import cells_at, measured_cells, take_rows, with_cells, with_rows
from .tables import Rejected
from .threshold_cells import MergedClasses, merged_classes

DUPLICATES = ("error", "keep", "merge")


def prepare(
    table: AssayTable,
    *,
    standardize: str = "none",
    duplicates: str = "merge",
    keep_apart: str | None = None,
    max_atoms: int = MOST_ATOMS,
    workers: int | None = None,
    parts: RowParts | None = None,
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
    parts : what a split reads of each row; a note says how many merged rows differ in it.

    Raises
    ------
    DataError : there are duplicates, and they are an error.
    ConfigError : unknown policy, or no such extra column.
    """
    if duplicates not in DUPLICATES:
        raise ConfigError(
            f"data.duplicates: there is no '{duplicates}'. {did_you_mean(duplicates, DUPLICATES)}"
        )
    usable, rejected, is_usable = _usable(table, standardize, max_atoms, workers)
    if duplicates == "merge":
        merging = merge_repeated(usable, keep_apart, parts and parts.take(is_usable))
        return merging.table, rejected, merging.notes
    groups, sizes, what = _groups(usable, keep_apart)
    if not what:
        return usable, rejected, []
    if duplicates == "error":
        a, b = np.flatnonzero(groups == np.argmax(sizes > 1))[:2].tolist()
        raise DataError(
            f"{what}; the first are record {usable.rows[a]} ('{usable.ids[a]}', {usable.smiles[a]}) and "
            f"record {usable.rows[b]} ('{usable.ids[b]}', {usable.smiles[b]}). Remove one of each, or set "
            "data.duplicates to merge or keep."
        )
    return usable, rejected, [f"{what}; they were kept as they are."]


class Merging(NamedTuple):
    """A table with one row per structure, and the cells that several of its rows had."""

    table: AssayTable
    combined: Combined
    """Of those cells; of classes it means nothing."""
    tasks: np.ndarray
    """int [G], the assay of each of them."""
    notes: list[str]


def merge_repeated(
    usable: AssayTable, keep_apart: str | None = None, parts: RowParts | None = None
) -> Merging:
    """Rows of the same canonical SMILES as one, as `prepare` does by `merge`.

    Parameters
    ----------
    usable : with `canonical`.
    keep_apart, parts : as `prepare` takes them.
    """
    groups, sizes, what = _groups(usable, keep_apart)
    if not what:
        nothing = np.zeros(0, np.int64)
        return Merging(usable, combine(np.zeros(0), nothing, nothing, 0), nothing, [])
    merging, n_contradicting = _merge(usable, groups, sizes)
    note = (
        f"{what} and were merged into the first row of each; {n_contradicting} labels that contradict each "
        "other were taken as missing."
    )
    merged, of_parts = with_oldest(merging.table, usable, groups, parts)
    of_values = replicate_notes(merging.combined, usable.assays, merging.tasks)
    return merging._replace(table=merged, notes=[note, *of_parts, *merging.notes, *of_values])


def merge_groups(table: AssayTable, groups: np.ndarray) -> AssayTable:
    """Rows of a group as one, the first; labels of classes that contradict each other become missing.

    Parameters
    ----------
    groups : int [n], the group of each row, numbered by first appearance.
    """
    return _merge(table, groups, np.bincount(groups))[0].table


def _groups(usable: AssayTable, keep_apart: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Group of each row by first appearance, sizes, and in words what repeats; "" = nothing does."""
    groups = Codes().of(_keys(usable, keep_apart))
    sizes = np.bincount(groups)
    if len(sizes) == len(usable):
        return groups, sizes, ""
    what = f"{len(usable) - len(sizes)} rows repeat {int((sizes > 1).sum())} structures"
    return groups, sizes, what + (f" with the same '{keep_apart}'" if keep_apart else "")


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
) -> tuple[AssayTable, list[Rejected], np.ndarray]:
    """The rows whose molecules can be read, with their canonical SMILES, the others, and bool [n] which."""
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
    usable = replace(table.take(is_usable), canonical=[text for text in canonical if text])
    return usable, rejected, is_usable


def _merge(table: AssayTable, groups: np.ndarray, sizes: np.ndarray) -> tuple[Merging, int]:
    """One row per group, numbered by first appearance, and how many labels contradict each other.

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
    classes = _classes_by_thresholds(table, groups, repeated)
    if classes is None:
        return Merging(merged, combined, task, []), int(contradicts.sum())
    decided = np.isin(cells, classes.rows * len(table.tasks) + classes.tasks)
    n_contradicting = int((contradicts & ~decided).sum() + classes.contradicts.sum())
    labels = with_cells(merged.labels, classes.rows, classes.tasks, classes.labels)
    merged = replace(merged, labels=labels, thresholded=None)
    return Merging(merged, combined, task, classes.note(table.assays)), n_contradicting


def _classes_by_thresholds(
    table: AssayTable, groups: np.ndarray, repeated: np.ndarray
) -> MergedClasses | None:
    """The classes of these rows that are made of values which are merged first; None = there is none."""
    if table.thresholded is None:
        return None
    return merged_classes(table.thresholded.take(repeated), groups[repeated], table.assays)
