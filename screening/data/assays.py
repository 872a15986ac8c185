"""Assay tables: which columns are assays, what their labels mean, and one row per usable structure.

Files become text in `tables`; molecules are read in `molecules`; here text becomes labels.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, listed
from ..registry import did_you_mean
from ..runtime.files import atomic_write
from ..runtime.progress import progress
from ..sizes import MOST_ATOMS
from .assay_columns import ATTENTION, RawTable, check_labels, column_notes, likely_assays, no_assay
from .labels import UNKNOWN, Codes, TextColumn, label_meanings
from .long_tables import check_not_long
from .molecules import canonical_smiles
from .tables import Block, Rejected, TableReader, open_frame, open_table

DUPLICATES = ("error", "keep", "merge")

FORMATS = ("auto", "wide")

MOST_ODD = 20_000
"""Records with a text for a label whose structure is looked at: a second or two."""


@dataclass(frozen=True, eq=False, repr=False)
class AssayTable:
    """Molecules and what was measured on them; n rows, T assays."""

    ids: list[str]
    """n identifiers as written, "" where there is none; not necessarily different."""
    smiles: list[str]
    """n structures as written."""
    labels: np.ndarray
    """float32 [n, T]: 1 = active, 0 = inactive, NaN = not measured."""
    tasks: tuple[str, ...]
    """T names of assays."""
    extra: dict[str, list[str]]
    """The other columns, n texts each."""
    rows: np.ndarray
    """int64 [n], record numbers in the file, from 1."""
    canonical: list[str] | None = None
    """n canonical SMILES after standardisation, None before `prepare`."""
    rejected: list[Rejected] = field(default_factory=list)
    """Records that could not be used when it was read."""
    notes: list[str] = field(default_factory=list)
    """What was decided or odd when it was read."""

    def __post_init__(self) -> None:
        n = len(self.smiles)
        lengths = {len(self.ids), len(self.rows), len(self.canonical or self.smiles)}
        lengths |= {len(texts) for texts in self.extra.values()}
        if self.labels.shape != (n, len(self.tasks)) or lengths != {n}:
            raise ValueError(f"the columns are not all of {n} rows and {len(self.tasks)} assays")

    def __len__(self) -> int:
        return len(self.smiles)

    def __repr__(self) -> str:
        n_labels, n_active = int(np.isfinite(self.labels).sum()), int(np.nansum(self.labels))
        return (
            f"AssayTable: {len(self):,} molecules, {len(self.tasks):,} assays, {n_labels:,} labels "
            f"({n_labels / max(self.labels.size, 1):.1%} of all), {n_active:,} active; "
            f"{len(self.rejected):,} records rejected"
        )

    def take(self, rows: Sequence[int] | np.ndarray) -> "AssayTable":
        """The rows at these places (from 0) in the given order, or those where a boolean array is true."""
        rows = np.asarray(rows)
        places = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return replace(
            self,
            ids=_at(self.ids, places),
            smiles=_at(self.smiles, places),
            labels=self.labels[places],
            extra={name: _at(texts, places) for name, texts in self.extra.items()},
            rows=self.rows[places],
            canonical=None if self.canonical is None else _at(self.canonical, places),
        )

    def select(self, tasks: Sequence[str]) -> "AssayTable":
        """The table with these assays only, in the given order; all rows stay.

        Raises
        ------
        ConfigError : an assay is not in the table.
        """
        places = {name: place for place, name in enumerate(self.tasks)}
        for name in tasks:
            if name not in places:
                raise ConfigError(f"There is no assay '{name}'. {did_you_mean(name, self.tasks)}")
        return replace(self, labels=self.labels[:, [places[name] for name in tasks]], tasks=tuple(tasks))

    def write_csv(self, path: str | Path) -> None:
        """Write columns id, smiles, the extra ones and the assays; gzipped if the name ends in .gz.

        `read_assays(path, smiles="smiles", id="id", tasks=table.tasks)` gives the table back, but for
        `rows` and `canonical`. An extra column called id or smiles is written as 'id (2)', 'smiles (2)'.

        Raises
        ------
        DataError : an assay is called id or smiles.
        """
        if {"id", "smiles"} & set(self.tasks):
            raise DataError("An assay cannot be called 'id' or 'smiles' in a CSV file. Rename it.")
        extra = [f"{name} (2)" if name in ("id", "smiles") else name for name in self.extra]
        texts = np.array(["", "0", "1"], dtype=object)
        opened = gzip.open if str(path).endswith(".gz") else open
        with atomic_write(path) as work, opened(work, "wt", encoding="utf-8", newline="") as stream:
            writer = csv.writer(
                stream,
                lineterminator="\n",  # beside which Python leaves a lone carriage return unquoted:
                quoting=csv.QUOTE_ALL if self._has_carriage_return() else csv.QUOTE_MINIMAL,
            )
            writer.writerow(["id", "smiles", *extra, *self.tasks])
            for start in range(0, len(self), 8192):
                rows = slice(start, start + 8192)
                labels = texts[np.nan_to_num(self.labels[rows], nan=-1).astype(np.int8) + 1]
                columns = zip(*(c[rows] for c in (self.ids, self.smiles, *self.extra.values())), strict=True)
                writer.writerows([*left, *right] for left, right in zip(columns, labels, strict=True))

    def _has_carriage_return(self) -> bool:
        columns = (self.ids, self.smiles, *self.extra.values())
        return any("\r" in text for column in columns for text in column)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        smiles: str | None = None,
        id: str | None = None,
        tasks: Sequence[str] | None = None,
        *,
        labels: Mapping[str, float | None] = MappingProxyType({}),
        format: str = "auto",
    ) -> "AssayTable":
        """The assay table in a pandas table, as `read_assays` reads a file of the same cells.

        An index with a name counts as a column. Empty, None and NaN = not measured.

        Parameters
        ----------
        smiles, id, tasks, labels, format : as `read_assays` takes them; None = found by name or content.

        Raises
        ------
        DataError, ConfigError : as `read_assays`.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "A": [1, None], "weight": [46.1, 45.1]})
        >>> table = AssayTable.from_frame(frame)
        >>> table, table.extra
        (AssayTable: 2 molecules, 1 assays, 1 labels (50.0% of all), 1 active; 0 records rejected, \
{'weight': ['46.1', '45.1']})
        """
        return _assays_of(partial(open_frame, frame, smiles=smiles, id=id), tasks, labels, format)

    @classmethod
    def from_deepchem(
        cls, dataset: Any, tasks: Sequence[str] | None = None, smiles: Sequence[str] | None = None
    ) -> "AssayTable":
        """The labels of a DeepChem data set whose `ids` are SMILES, as in MoleculeNet.

        A label of weight 0, or NaN, is missing. Other weights are not kept; a warning says so where they are
        not 1.

        Parameters
        ----------
        tasks : names of the assays; None = the data set's own, which a `NumpyDataset` numbers.
        smiles : structures of the rows, where the `ids` are something else; None = the `ids`.

        Raises
        ------
        DataError : a label with a weight is neither 0 nor 1, no `id` is a SMILES, or numbers do not fit.
        """
        from .deepchem import from_deepchem

        return from_deepchem(dataset, tasks, smiles)

    def to_deepchem(self, features: Any = None) -> Any:
        """A DeepChem `NumpyDataset`: ids = SMILES, and label 0 with weight 0 where nothing was measured.

        `AssayTable.from_deepchem(dataset, tasks=table.tasks)` gives structures and labels back; identifiers,
        names of assays and extra columns have no place in it.

        Parameters
        ----------
        features : n rows of X, such as those of a DeepChem featurizer; None = the SMILES themselves.

        Raises
        ------
        ConfigError : DeepChem is not installed.
        """
        from .deepchem import to_deepchem

        return to_deepchem(self, features)


def _at(texts: list[str], places: np.ndarray) -> list[str]:
    return [texts[place] for place in places.tolist()]


# --- reading ------------------------------------------------------------------------------------------


def read_assays(
    path: str | Path,
    *,
    smiles: str | None = None,
    id: str | None = None,
    tasks: Sequence[str] | None = None,
    labels: Mapping[str, float | None] = MappingProxyType({}),
    format: str = "auto",
) -> AssayTable:
    """The assay table in a file of any format that `open_table` reads; structures are not looked at.

    Labels are 1, 0 (also "1.0", " 0", "1e0") and empty = not measured; other texts need `labels`.

    Parameters
    ----------
    smiles, id : columns of the structures and the identifiers; None = found by name.
    tasks : columns that are assays; None = those whose values are all labels, at least one of them.
        The other columns are passed through in `extra`.
    labels : text (without regard to case and outer blanks) to 1, 0 or None = not measured; numbers that are
        equal are the same label.
    format : wide = a row per structure, repeated measurements aside; auto = the same, but a table that looks
        like one with a row per structure and assay (long) is refused.

    Returns
    -------
    The table, with the records that could not be used (`rejected`) and `notes` on what was decided or odd.

    Raises
    ------
    DataError : the file is no table, a column is missing or ambiguous, a value is no label.
    ConfigError : `labels` maps to something else than 1, 0 or None.
    """
    return _assays_of(partial(open_table, path, smiles=smiles, id=id), tasks, labels, format)


def _assays_of(
    opened: Callable[[], TableReader],
    tasks: Sequence[str] | None,
    labels: Mapping[str, float | None],
    format: str,
) -> AssayTable:
    """`read_assays` of what `opened` opens, once the settings are checked."""
    if format not in FORMATS:
        raise ConfigError(f"data.format: there is no '{format}'. {did_you_mean(format, FORMATS)}")
    meanings = label_meanings(labels)
    reader = opened()
    given = None if tasks is None else _checked_tasks(reader, [tasks] if isinstance(tasks, str) else tasks)
    raw, rejected = _read_columns(reader, meanings)
    if not len(raw.rows):
        why = (
            f"none of its {len(rejected)} records can be used ({rejected[0].reason})"
            if rejected
            else "no records"
        )
        raise DataError(f"{reader.path}: {why}. At least one molecule with a label was expected.")
    assays, raw, no_molecules = _assays_and_molecules(reader, raw, given)
    if format == "auto":
        check_not_long(raw, assays)
    if not assays and given is None:
        raise _no_structure(raw) or no_assay(raw, labels)
    check_labels(raw, assays, labels, are_given=given is not None)
    notes = column_notes(raw, assays, labels, are_given=given is not None)
    notes = [*notes, *_id_notes(reader.path, raw.ids)]
    loud = [note for note in notes if note.startswith(ATTENTION)]
    return AssayTable(
        ids=raw.ids,
        smiles=raw.smiles,
        labels=_label_matrix(raw, assays),
        tasks=tuple(assays),
        extra={name: raw.columns[name].texts() for name in raw.others(assays)},
        rows=raw.rows,
        rejected=sorted([*rejected, *no_molecules]),
        notes=[*loud, *reader.notes, *(note for note in notes if note not in loud)],
    )


def _assays_and_molecules(
    reader: TableReader, raw: RawTable, given: Sequence[str] | None
) -> tuple[list[str], RawTable, list[Rejected]]:
    """The assays, and the table without records that are no molecules although an assay has a text there.

    A line of units, the header once more, or a line whose structure cannot be read is rejected: its cells say
    nothing of labels. Other records of this kind are left to `prepare`.
    """
    blank = raw.without_structure()
    molecules = raw.without(blank) if len(blank) < len(raw.rows) else raw
    assays = list(likely_assays(molecules) if given is None else given)
    _check_repeated(reader, assays)
    odd = np.zeros(len(raw.rows), dtype=bool)
    for name in (name for name in assays if raw.columns[name].n_unknown):
        odd |= raw.columns[name].labels() == UNKNOWN
    places = np.flatnonzero(odd)[:MOST_ODD]
    _, reasons = canonical_smiles([raw.smiles[place] for place in places], workers=1)
    header = reader.smiles.strip().casefold()
    rejected, bad = [], []
    for place, reason in zip(places.tolist(), reasons, strict=True):
        if not reason:
            continue
        smiles = raw.smiles[place].strip()
        if smiles.casefold() == header:
            reason = "the header line once more"
        elif not smiles:
            reason = f"{reason}; a line of units or descriptions? {_texts_of(raw, place, assays)}"
        rejected.append(Rejected(int(raw.rows[place]), raw.ids[place], raw.smiles[place], reason))
        bad.append(place)
    return assays, raw.without(np.array(bad, dtype=np.int64)), rejected


def _no_structure(raw: RawTable) -> DataError | None:
    """That a list without further columns is perhaps none: its first lines are no SMILES."""
    texts = raw.smiles[:20]
    _, reasons = canonical_smiles(texts, workers=1)
    if raw.columns or not all(reasons):
        return None
    return DataError(
        f"{raw.path} was read as a list of SMILES, and none of its first {len(texts)} lines begins with one "
        f"({texts[0][:60]!r}: {reasons[0]}). A table with a header line and ',', ';', '|' or tabs between "
        "columns was expected, or a list with a SMILES, a blank or tab and a name in each line."
    )


def _texts_of(raw: RawTable, place: int, names: Sequence[str]) -> str:
    return listed((raw.columns[name].different[raw.columns[name].codes[place]] for name in names), 3)


def _read_columns(reader: TableReader, meanings: dict[str | float, float]) -> tuple[RawTable, list[Rejected]]:
    columns = {name: TextColumn() for name in reader.columns if name not in (reader.smiles, reader.id)}
    ids: list[str] = []
    smiles: list[str] = []
    rows = [np.zeros(0, np.int64)]
    rejected: list[Rejected] = []
    with progress(f"reading {Path(reader.path).name}") as advance:
        for block in reader:
            advance(len(block))
            block, bad = _without_problems(block, reader)
            rejected += bad
            ids += block.columns[reader.id] if reader.id else [""] * len(block)
            smiles += block.columns[reader.smiles]
            rows.append(block.rows)
            for name, column in columns.items():
                column.append(block.columns[name])
    explained = {name: columns.pop(name).explained(meanings) for name in list(columns)}
    return RawTable(reader.path, reader.smiles, ids, smiles, np.concatenate(rows), explained), rejected


def _without_problems(block: Block, reader: TableReader) -> tuple[Block, list[Rejected]]:
    if not any(block.problems):
        return block, []
    ids = block.columns[reader.id] if reader.id else [""] * len(block)
    records = zip(block.rows.tolist(), ids, block.columns[reader.smiles], block.problems, strict=True)
    rejected = [Rejected(*record) for record in records if record[-1]]
    places = np.array([place for place, problem in enumerate(block.problems) if not problem], np.int64)
    columns = {name: _at(texts, places) for name, texts in block.columns.items()}
    return Block(block.rows[places], columns, [""] * len(places)), rejected


def _label_matrix(raw: RawTable, tasks: Sequence[str]) -> np.ndarray:
    labels = np.empty((len(raw.rows), len(tasks)), dtype=np.float32)
    columns = [raw.columns[name] for name in tasks]
    for start in range(0, len(labels) if tasks else 0, 4096):  # in pieces that stay in the processor's cache
        rows = slice(start, start + 4096)
        labels[rows] = np.stack([column.meaning[column.codes[rows]] for column in columns], axis=1)
    return labels


# --- which columns are assays -------------------------------------------------------------------------


def _checked_tasks(reader: TableReader, tasks: Sequence[str]) -> list[str]:
    columns, named = set(reader.columns), set[str]()
    for name in tasks:
        if name not in columns:
            raise DataError(
                f"{reader.path} has no column '{name}' (data.tasks). {did_you_mean(name, reader.columns)}"
            )
        if name in (reader.smiles, reader.id):
            raise DataError(f"{reader.path}: '{name}' (data.tasks) holds the structures or identifiers.")
        if name in named:
            raise ConfigError(f"data.tasks names '{name}' twice.")
        named.add(name)
    _check_repeated(reader, tasks)
    return list(tasks)


def _check_repeated(reader: TableReader, tasks: Sequence[str]) -> None:
    for name in tasks:
        if name in reader.repeated:
            raise DataError(
                f"{reader.path}: the assay '{name}' shares its column name with another column. Rename one "
                "of them, or name the assays to use in data.tasks."
            )


def _id_notes(path: str, ids: Sequence[str]) -> list[str]:
    repeated = [name for name, n in Counter(filter(None, ids)).items() if n > 1]
    if not repeated:
        return []
    return [f"{path}: identifiers that occur more than once ({len(repeated)}): {listed(repeated, 5)}."]


# --- one row per usable structure ---------------------------------------------------------------------


def prepare(
    table: AssayTable,
    *,
    standardize: str = "none",
    duplicates: str = "merge",
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
        other the label becomes missing.
    max_atoms : atoms besides hydrogen that a molecule may have.
    workers : processes; None = as many as pay off.

    Raises
    ------
    DataError : there are duplicates, and they are an error.
    ConfigError : unknown policy.
    """
    if duplicates not in DUPLICATES:
        raise ConfigError(
            f"data.duplicates: there is no '{duplicates}'. {did_you_mean(duplicates, DUPLICATES)}"
        )
    usable, rejected = _usable(table, standardize, max_atoms, workers)
    codes = Codes()
    groups = codes.of(usable.canonical or [])
    sizes = np.bincount(groups)
    if len(codes) == len(usable):
        return usable, rejected, []
    what = f"{len(usable) - len(codes)} rows repeat {int((sizes > 1).sum())} structures"
    if duplicates == "error":
        a, b = np.flatnonzero(groups == np.argmax(sizes > 1))[:2].tolist()
        raise DataError(
            f"{what}; the first are record {usable.rows[a]} ('{usable.ids[a]}', {usable.smiles[a]}) and "
            f"record {usable.rows[b]} ('{usable.ids[b]}', {usable.smiles[b]}). Remove one of each, or set "
            "data.duplicates to merge or keep."
        )
    if duplicates == "keep":
        return usable, rejected, [f"{what}; they were kept as they are."]
    merged, n_contradicting = _merge(usable, groups, sizes)
    note = (
        f"{what} and were merged into the first row of each; {n_contradicting} labels that contradict each "
        "other were taken as missing."
    )
    return merged, rejected, [note]


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


def _merge(table: AssayTable, groups: np.ndarray, sizes: np.ndarray) -> tuple[AssayTable, int]:
    """One row per group (numbered by first appearance), and how many of its labels contradict each other."""
    first = np.unique(groups, return_index=True)[1]
    repeated = np.flatnonzero(sizes[groups] > 1)
    repeated = repeated[np.argsort(groups[repeated], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[repeated], prepend=-1))
    highest = np.fmax.reduceat(table.labels[repeated], starts)
    lowest = np.fmin.reduceat(table.labels[repeated], starts)
    contradicts = highest > lowest  # false where nothing was measured
    merged = table.take(first)
    merged.labels[groups[repeated[starts]]] = np.where(contradicts, np.float32("nan"), highest)
    return merged, int(contradicts.sum())
