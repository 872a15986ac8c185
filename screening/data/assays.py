"""From a table of text to an assay table: which columns are assays, and what their labels mean.

Files become text in `tables`; molecules are read in `molecules`; here text becomes labels. One row per usable
structure is the matter of `merging`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..config_sections import AssaySettings, LongColumns
from ..errors import ConfigError, DataError, listed
from ..registry import did_you_mean
from ..runtime.progress import progress
from .assay_columns import ATTENTION, RawTable, check_labels, likely_assays, no_assay
from .assay_kinds import Assay
from .assay_table import AssayTable, texts_at
from .cell_texts import settings_of
from .column_notes import column_notes
from .declared import AnySettings, Declared, checked_settings, declared_assays
from .labels import UNKNOWN, TextColumn, label_meanings
from .long_columns import roles_of
from .molecules import canonical_smiles
from .pivoting import pivoted
from .pubchem import OUTCOME, is_data_table, named_by_assay, with_outcomes
from .real_columns import ReadAssay, RealColumn, assay_of, read_columns
from .table_files import kinds_of
from .tables import Block, Rejected, TableReader, open_table
from .threshold_cells import ThresholdCells
from .value_notes import check_values, value_notes

FORMATS = ("auto", "wide", "long")

MOST_ODD = 20_000
"""Records with a text for a label whose structure is looked at: a second or two."""


def read_assays(
    path: str | Path,
    *,
    smiles: str | None = None,
    id: str | None = None,
    tasks: Sequence[str] | None = None,
    labels: Mapping[str, float | None] = MappingProxyType({}),
    assays: AnySettings = MappingProxyType({}),
    format: str = "auto",
    long: LongColumns | None = None,
    keep_apart: str | None = None,
    is_one_of_several: bool = False,
) -> AssayTable:
    """The assay table in a file of any format that `open_table` reads; structures are not looked at.

    Labels are 1, 0 (also "1.0", " 0", "1e0") and empty = not measured; other texts need `labels`, and columns
    of measured values need `assays`.

    Parameters
    ----------
    smiles, id : columns of the structures and the identifiers; None = found by name.
    tasks : columns that are assays; None = those whose values are all labels, at least one of them.
        The other columns are passed through in `extra`.
    labels : text (without regard to case and outer blanks) to 1, 0 or None = not measured; numbers that are
        equal are the same label. What it calls not measured is so among measured values too.
    assays : what columns of measured values are, by name or pattern, as `data.assays` in a config; none =
        what a Parquet file of `screening data merge` says of itself:
        `{"Ki_*": {"kind": "real", "unit": "nM", "transform": "neg_log10_molar"}}`.
    format : wide = a row per structure, repeated measurements aside; long = a row per structure and assay;
        auto = found from names and content, and refused with the settings to give where they do not tell.
    long : what the columns of a long table hold; `tasks` and `assays` are then names in its column of assays.
    keep_apart : column, such as one of a split, in which records of a structure may differ where a long table
        becomes a wide one: the structure then has a row for each of its texts.
    is_one_of_several : `assays` are those of several files, and need not all fit something in this one.

    Returns
    -------
    The table, with the records that could not be used (`rejected`) and `notes` on what was decided or odd.

    Raises
    ------
    DataError : the file is no table, a column is missing or ambiguous, a value is no label.
    ConfigError : `labels` maps to something else than 1, 0 or None, or `assays` cannot be meant.
    """
    opened = partial(open_table, path, smiles=smiles, id=id)
    return assays_of(opened, tasks, labels, format, assays, long, keep_apart, is_one_of_several)


def assays_of(
    opened: Callable[[], TableReader],
    tasks: Sequence[str] | None,
    labels: Mapping[str, float | None],
    format: str,
    assays: AnySettings = MappingProxyType({}),
    long: LongColumns | None = None,
    keep_apart: str | None = None,
    is_one_of_several: bool = False,
) -> AssayTable:
    """`read_assays` of what `opened` opens, once the settings are checked."""
    if format not in FORMATS:
        raise ConfigError(f"data.format: there is no '{format}'. {did_you_mean(format, FORMATS)}")
    settings = checked_settings(assays)
    reader, long = opened(), long or LongColumns()
    is_pubchem = is_data_table(reader.columns) and tasks is None and format != "long"
    labels = with_outcomes(labels) if is_pubchem else labels
    meanings = label_meanings(labels)
    settings = settings or settings_of(one for one in kinds_of(reader.metadata) if one.name in reader.columns)
    tasks = [tasks] if isinstance(tasks, str) else tasks
    raw, rejected = _read_columns(reader, meanings)
    if not len(raw.rows):
        raise _no_record(reader.path, rejected)
    if not is_pubchem and (roles := roles_of(raw, format, long, tasks, settings)) is not None:
        table = pivoted(
            raw,
            roles,
            settings,
            labels,
            other_units=long.other_units,
            keep_apart=keep_apart,
            is_one_of_several=is_one_of_several,
        )
        table = table if tasks is None else table.select(tasks)
        notes = [*table.notes, *reader.notes]
        return replace(table, rejected=sorted([*rejected, *table.rejected]), notes=notes)
    declared = _declared(reader, settings, tasks, is_one_of_several=is_one_of_several)
    if not is_pubchem:
        return _wide(reader, raw, rejected, tasks, labels, settings, declared)
    tasks = list(dict.fromkeys([OUTCOME, *(each.assay.name for each in declared)]))
    return named_by_assay(_wide(reader, raw, rejected, tasks, labels, settings, declared), reader.path)


def _wide(
    reader: TableReader,
    raw: RawTable,
    rejected: list[Rejected],
    tasks: Sequence[str] | None,
    labels: Mapping[str, float | None],
    settings: Mapping[str, AssaySettings],
    declared: Sequence[Declared],
) -> AssayTable:
    """The assay table of a wide one, that is, with a column per assay."""
    plain = {name: each.model_dump(exclude_defaults=True) for name, each in settings.items()}
    given = None if tasks is None else _checked_tasks(reader, tasks, declared)
    columns = read_columns(raw, declared)
    unmeasured = raw.but_columns(columns)
    names, places, no_molecules = _assays_and_rejected(reader, unmeasured, given, columns)
    raw, unmeasured = raw.without(places), unmeasured.without(places)
    if not names and not columns and given is None:
        raise _no_structure(raw) or no_assay(raw, labels, plain)
    check_labels(unmeasured, names, labels, plain, are_given=given is not None)
    measured = [assay_of(each, columns[each.column].without(places)) for each in declared]
    check_values(raw, measured, settings)
    beside = {name for column in columns.values() for name in (column.qualifier, column.units) if name}
    notes = [
        *value_notes(raw, measured),
        *column_notes(unmeasured.but_columns(beside), names, labels, plain, are_given=given is not None),
    ]
    notes += _id_notes(reader.path, raw.ids)
    loud = [note for note in notes if note.startswith(ATTENTION)]
    cells = _cells(unmeasured, names, measured, list(raw.columns) if tasks is None else tasks)
    return AssayTable(
        ids=raw.ids,
        smiles=raw.smiles,
        extra={name: unmeasured.columns[name].texts() for name in unmeasured.others(names)},
        rows=raw.rows,
        rejected=sorted([*rejected, *no_molecules]),
        notes=[*loud, *reader.notes, *(note for note in notes if note not in loud)],
        **cells._asdict(),
    )


class _Cells(NamedTuple):
    """What `AssayTable` holds of each assay."""

    tasks: tuple[str, ...]
    labels: np.ndarray
    about: tuple[Assay, ...]
    censored: np.ndarray | None
    thresholded: ThresholdCells | None


def _cells(
    raw: RawTable, names: Sequence[str], measured: Sequence[ReadAssay], order: Sequence[str]
) -> _Cells:
    """Labels of all assays, by the place of their name or column in `order`."""
    if not measured:
        return _Cells(tuple(names), _label_matrix(raw, names), (), None, None)
    place = {name: number for number, name in enumerate(order)}
    keys = [place[name] for name in names]
    keys += [place.get(each.assay.name, place.get(each.column.name, 0)) for each in measured]
    by_place = np.argsort(keys, kind="stable")
    labels = np.column_stack([_label_matrix(raw, names), *(each.labels for each in measured)])
    censored = np.column_stack(
        [np.zeros((len(labels), len(names)), np.int8), *(each.censored for each in measured)]
    )
    about = [*map(Assay, names), *(each.assay for each in measured)]
    chosen = tuple(about[number] for number in by_place)
    return _Cells(
        tuple(assay.name for assay in chosen),
        labels[:, by_place],
        chosen,
        censored[:, by_place] if censored.any() else None,
        _thresholded([None] * len(names) + list(measured), by_place, len(labels)),
    )


def _thresholded(assays: Sequence[ReadAssay | None], order: np.ndarray, n_rows: int) -> ThresholdCells | None:
    """The values of assays of a threshold, in this order of all assays; None of those read as classes."""
    parts = []
    for task, place in enumerate(order.tolist()):
        each = assays[place]
        if each is not None and each.assay.threshold is not None:
            rows = np.flatnonzero(~np.isnan(each.scaled.values))
            parts.append(
                (rows, np.full(len(rows), task), each.scaled.values[rows], each.scaled.relations[rows])
            )
    if not parts:
        return None
    rows, tasks, values, relations = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ThresholdCells.of(rows, tasks, values, relations, (n_rows, len(order)))


def _no_record(path: str, rejected: Sequence[Rejected]) -> DataError:
    why = (
        f"none of its {len(rejected)} records can be used ({rejected[0].reason})"
        if rejected
        else "no records"
    )
    return DataError(f"{path}: {why}. At least one molecule with a label was expected.")


def _assays_and_rejected(
    reader: TableReader, raw: RawTable, given: Sequence[str] | None, columns: Mapping[str, RealColumn]
) -> tuple[list[str], np.ndarray, list[Rejected]]:
    """The assays of classes, and places of records that are no molecules although an assay has a text there.

    A line of units, the header once more, or a line whose structure cannot be read is rejected: its cells say
    nothing of labels. Other records of this kind are left to `prepare`.

    Parameters
    ----------
    raw : the table but for the columns of measured values, which are `columns`.
    """
    blank = raw.without_structure()
    molecules = raw.without(blank) if len(blank) < len(raw.rows) else raw
    assays = list(likely_assays(molecules) if given is None else given)
    _check_repeated(reader, [*assays, *columns])
    odd = np.zeros(len(raw.rows), dtype=bool)
    for name in (name for name in assays if raw.columns[name].n_unknown):
        odd |= raw.columns[name].labels() == UNKNOWN
    for column in columns.values():
        odd |= column.problems > 0
    places = np.flatnonzero(odd)[:MOST_ODD]
    _, reasons = canonical_smiles([raw.smiles[place] for place in places], workers=1)
    header = reader.smiles.strip().casefold()
    shown = {**{name: raw.columns[name] for name in assays}, **{c.name: c.texts for c in columns.values()}}
    rejected, bad = [], []
    for place, reason in zip(places.tolist(), reasons, strict=True):
        if not reason:
            continue
        smiles = raw.smiles[place].strip()
        if smiles.casefold() == header:
            reason = "the header line once more"
        elif not smiles:
            texts = listed((column.different[column.codes[place]] for column in shown.values()), 3)
            reason = f"{reason}; a line of units or descriptions? {texts}"
        rejected.append(Rejected(int(raw.rows[place]), raw.ids[place], raw.smiles[place], reason))
        bad.append(place)
    return assays, np.array(bad, dtype=np.int64), rejected


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
    numbers, texts = reader.columns_with("numbers"), reader.columns_with("texts")
    ours = frozenset(one.name for one in kinds_of(reader.metadata))  # written with points
    raw = RawTable(reader.path, reader.smiles, ids, smiles, np.concatenate(rows), explained)
    return replace(raw, numbers=(numbers - texts) | ours, mixed=numbers & texts), rejected


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


def _declared(
    reader: TableReader,
    settings: Mapping[str, AssaySettings],
    tasks: Sequence[str] | None,
    *,
    is_one_of_several: bool,
) -> list[Declared]:
    """The assays of measured values: all that are declared, or those among `tasks`."""
    columns = [name for name in reader.columns if name not in (reader.smiles, reader.id)]
    among = () if is_one_of_several and tasks is None else tasks
    declared = declared_assays(columns, settings, among) if settings else []
    return [each for each in declared if tasks is None or each.assay.name in tasks]


def _checked_tasks(reader: TableReader, tasks: Sequence[str], declared: Sequence[Declared]) -> list[str]:
    """Those of `tasks` that are columns of classes."""
    measured, named = {each.assay.name for each in declared}, set[str]()
    columns = measured.union(reader.columns)
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
    classes = [name for name in tasks if name not in measured]
    _check_repeated(reader, classes)
    return classes


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
