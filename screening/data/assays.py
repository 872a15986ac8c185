"""From a table of text to an assay table: which columns are assays, and what their labels mean.

Files become text in `tables`; molecules are read in `molecules`; here text becomes labels. One row per usable
structure is the matter of `merging`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..errors import ConfigError, DataError, listed
from ..registry import did_you_mean
from ..runtime.progress import progress
from .assay_columns import ATTENTION, RawTable, check_labels, column_notes, likely_assays, no_assay
from .assay_table import AssayTable, texts_at
from .labels import UNKNOWN, TextColumn, label_meanings
from .long_tables import check_not_long
from .molecules import canonical_smiles
from .tables import Block, Rejected, TableReader, open_table

FORMATS = ("auto", "wide")

MOST_ODD = 20_000
"""Records with a text for a label whose structure is looked at: a second or two."""


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
    return assays_of(partial(open_table, path, smiles=smiles, id=id), tasks, labels, format)


def assays_of(
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
    columns = {name: texts_at(texts, places) for name, texts in block.columns.items()}
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
