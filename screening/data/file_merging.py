"""Files with assays of the same compounds as one file, with every measurement kept; `screening data merge`.

Lists of actives and inactives are the matter of `joining`. Reading is in `several_files`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..config_sections import Data
from ..errors import ConfigError
from ..runtime.csv_cells import csv_of
from ..runtime.files import atomic_write
from .assay_table import AssayTable
from .cell_texts import settings_of
from .datasets import load_dataset, reading
from .label_words import setting_of
from .labels import Codes
from .merging import prepare
from .pivoting import rows_of_cells
from .replicates import FAR
from .sparse_cells import cells_at, cells_of, measured_cells
from .table_files import write_table
from .tables import Rejected

OTHER_IDS = "other_ids"
"""Extra column of the identifiers that a structure has besides the first, with ';' between."""


@dataclass(frozen=True)
class MergedFiles:
    """What was written; `str()` is the text for the terminal."""

    path: Path
    n_structures: int
    n_rows: int
    """Structures, and their further measurements in the same assays."""
    n_labels: int
    tasks: tuple[str, ...]
    setting: str
    """What reads the real assays of the file again, "" = nothing is needed."""
    n_rejected: int
    n_contradictions: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        further = self.n_rows - self.n_structures
        lines = [
            f"{self.path}: {self.n_structures:,} structures, {len(self.tasks):,} assays, {self.n_labels:,} "
            "labels" + (f"; {further:,} rows more for measurements that repeat" if further else "")
        ]
        if self.n_rejected:
            lines.append(f"{self.n_rejected:,} records cannot be used: {beside(self.path, 'rejected')}")
        if self.n_contradictions:
            lines.append(
                f"{self.n_contradictions:,} times measurements of a structure in an assay contradict each "
                f"other, or are more than {FAR:g} apart: {beside(self.path, 'contradictions')}"
            )
        lines += self.notes
        words = ["screening train tox21 name=merged", f"data.source={self.path}", self.setting]
        return "\n".join([*lines, f"Train on it with: {' '.join(filter(None, words))}"])


def merge_files(
    sources: Sequence[str], out: Path, settings: Data | None = None, *, overwrite: bool = False
) -> MergedFiles:
    """Write the table of all assays in some files, with the rows of a structure beside each other.

    Every measurement is kept: a structure has a row, and one more for each further measurement in the same
    assay. So merging merged files gives what merging all at once does, whatever the order but for that of
    rows and columns; measurements are combined when the table is trained on.

    Parameters
    ----------
    sources : files, or names of the catalogue.
    out : a .csv, .csv.gz or .parquet file; records that cannot be used and measurements that contradict each
        other are listed beside it.
    settings : how the files are read, as `data` of a config.

    Raises
    ------
    ConfigError : `out` is there already, or has another ending.
    DataError : a file cannot be read, or assays of one name differ in kind, scale or unit.
    """
    if not str(out).endswith((".csv", ".csv.gz", ".parquet")):
        raise ConfigError(f"out is '{out}': expected a file that ends in .csv, .csv.gz or .parquet.")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} is there already. Choose another file, or set overwrite.")
    settings = settings or Data(source=tuple(sources))
    loaded = load_dataset(tuple(sources), **reading(settings))
    table, unusable, _ = prepare(
        loaded, standardize=settings.standardize, duplicates="keep", max_atoms=settings.max_atoms
    )
    merged = regrouped(table, settings.keep_apart)
    odd = contradictions(table)
    rejected = sorted([*loaded.rejected, *unusable])
    write_table(merged, out)
    for what, frame in {
        "rejected": pd.DataFrame(rejected, columns=Rejected._fields),
        "contradictions": odd,
    }.items():
        if len(frame):
            with atomic_write(beside(out, what)) as work:
                work.write_text(csv_of(frame), encoding="utf-8")
    declared = settings_of(merged.assays).items()
    real = {name: one.model_dump(exclude_defaults=True) for name, one in declared}
    return MergedFiles(
        out,
        len(set(merged.canonical or [])),
        len(merged),
        len(measured_cells(merged.labels)[0]),
        merged.tasks,
        setting_of("data.assays", real) if real and not str(out).endswith(".parquet") else "",
        len(rejected),
        len(odd),
        tuple(loaded.notes),
    )


def beside(path: Path, what: str) -> Path:
    """The file of what was odd in a table.

    >>> str(beside(Path("a/t.csv.gz"), "rejected"))
    'a/t.rejected.csv'
    """
    stem = path.name.removesuffix(".gz").rpartition(".")[0]
    return path.with_name(f"{stem}.{what}.csv")


def regrouped(table: AssayTable, keep_apart: str | None = None) -> AssayTable:
    """The table with the rows of a structure beside each other, as few as hold all of its measurements.

    Identifiers besides the first one are in the extra column `other_ids`; of other extra columns the first
    text that is not empty counts.

    Parameters
    ----------
    table : with `canonical`.
    keep_apart : extra column in which rows of a structure may differ.
    """
    codes = Codes()
    words = table.extra[keep_apart] if keep_apart else [""] * len(table)
    pairs = zip(table.canonical or [], words, strict=True)
    structures = codes.of([f"{text}\t{word}" for text, word in pairs]).astype(np.int64)
    rows, tasks, labels = measured_cells(table.labels)
    marks = np.zeros(len(rows), np.int8) if table.censored is None else cells_at(table.censored, rows, tasks)
    order = np.lexsort((marks, labels, tasks, structures[rows]))  # the same, whatever the order of the files
    tasks, labels, marks = tasks[order], labels[order], marks[order]
    of_cells = np.concatenate([structures[rows][order], structures])
    owners, row_of_cell = rows_of_cells(of_cells, np.arange(len(rows)), tasks)
    first = np.unique(structures, return_index=True)[1][owners]
    shape = (len(owners), len(table.tasks))
    marked = marks != 0
    gathered = replace(
        replace(table, thresholded=None).take(first),
        labels=cells_of(row_of_cell, tasks, labels, shape, np.nan),
        censored=cells_of(row_of_cell[marked], tasks[marked], marks[marked], shape, 0)
        if marked.any()
        else None,
        extra={name: _first_texts(texts, structures, owners) for name, texts in table.extra.items()},
    )
    ids, others = _identifiers(table, structures, owners)
    extra = gathered.extra | ({OTHER_IDS: others} if any(others) else {})
    return replace(gathered, ids=ids, extra=extra)


def _first_texts(texts: list[str], structures: np.ndarray, owners: np.ndarray) -> list[str]:
    """For each row the first text of its structure that is not empty."""
    first: dict[int, str] = {}
    for structure, text in zip(structures.tolist(), texts, strict=True):
        if text:
            first.setdefault(structure, text)
    return [first.get(owner, "") for owner in owners.tolist()]


def _identifiers(
    table: AssayTable, structures: np.ndarray, owners: np.ndarray
) -> tuple[list[str], list[str]]:
    """For each row the first identifier of its structure, and the further ones."""
    ids: dict[int, dict[str, None]] = {}
    further = table.extra.get(OTHER_IDS, [""] * len(table))
    for structure, id, more in zip(structures.tolist(), table.ids, further, strict=True):
        ids.setdefault(structure, {}).update(dict.fromkeys(filter(None, [id, *more.split(";")])))
    listed_ids = {structure: list(names) or [""] for structure, names in ids.items()}
    rows = owners.tolist()
    return [listed_ids[owner][0] for owner in rows], [";".join(listed_ids[owner][1:]) for owner in rows]


def contradictions(table: AssayTable) -> pd.DataFrame:
    """Structures whose measurements in an assay contradict each other, ordered by structure and assay.

    Columns: structure (canonical SMILES), assay, values (on the trained scale, > and < before bounds), ids
    and rows (record numbers). Classes contradict that are not all the same; values of which the exact ones
    are more than FAR apart; and bounds that leave no value between them, or none of the exact ones.
    """
    codes = Codes()
    structures = codes.of(table.canonical or []).astype(np.int64)
    rows, tasks, labels = measured_cells(table.labels)
    marks = np.zeros(len(rows), np.int8) if table.censored is None else cells_at(table.censored, rows, tasks)
    cells, of_cell = np.unique(structures[rows] * len(table.tasks) + tasks, return_inverse=True)
    low, high = np.full(len(cells), np.inf), np.full(len(cells), -np.inf)
    exact = marks == 0
    np.minimum.at(low, of_cell[exact], labels[exact])
    np.maximum.at(high, of_cell[exact], labels[exact])
    below, above = np.full(len(cells), np.inf), np.full(len(cells), -np.inf)
    np.minimum.at(below, of_cell[marks < 0], labels[marks < 0])
    np.maximum.at(above, of_cell[marks > 0], labels[marks > 0])
    limit = np.where(table.is_real[cells % len(table.tasks)], FAR, 0)
    has_exact = np.isfinite(low)
    is_odd = (high - low > limit) | (above > np.where(has_exact, np.minimum(below, high), below))
    odd = np.flatnonzero(is_odd | (has_exact & (below < low)))
    names = list(codes)
    signs = {1: ">", 0: "", -1: "<"}
    order = np.argsort(of_cell, kind="stable")
    bounds = np.searchsorted(of_cell[order], np.arange(len(cells) + 1))
    records = []
    for cell in odd.tolist():
        at = order[bounds[cell] : bounds[cell + 1]]
        structure, task = divmod(int(cells[cell]), len(table.tasks))
        texts = (
            [f"{signs[int(marks[k])]}{labels[k]:g}" for k in at],
            [table.ids[rows[k]] for k in at],
            [str(table.rows[rows[k]]) for k in at],
        )
        records.append((names[structure], table.tasks[task], *map("; ".join, texts)))
    return pd.DataFrame(records, columns=["structure", "assay", "values", "ids", "rows"])
