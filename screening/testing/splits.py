"""What must hold for every split: checked on a table with copies of structures."""

import numpy as np

from ..data.assay_table import AssayTable
from ..data.splits import PARTS, Split, leakage, split_table, splits
from ..errors import DataError
from .subjects import DRUGS, ODD, Check, Subject


def table_of(structures: tuple[str, ...]) -> AssayTable:
    """A table of these molecules: three assays with gaps, and a column `date`, 2020 to 2022."""
    n = len(structures)
    labels = np.random.default_rng(0).choice([0.0, 1.0, np.nan], (n, 3), p=[0.6, 0.1, 0.3])
    return AssayTable(
        ids=[f"m{row}" for row in range(n)],
        smiles=list(structures),
        labels=labels.astype(np.float32),
        tasks=("assay 0", "assay 1", "assay 2"),
        extra={"date": [str(np.datetime64("2020-01-01") + 37 * (row % 29)) for row in range(n)]},
        rows=np.arange(1, n + 1),
        canonical=list(structures),
    )


def _table(n_copies: int = 2) -> AssayTable:
    structures = (*DRUGS, *ODD)
    mixed = np.random.default_rng(1).permutation(len(structures) * n_copies) % len(structures)
    return table_of(tuple(structures[row] for row in mixed))


def _split(subject: Subject, table: AssayTable, seed: int = 0) -> Split:
    return split_table(table, subject.name, seed=seed, workers=0, **subject.options)


def is_declared(subject: Subject) -> None:
    """The function is documented, and its notes are sentences."""
    assert splits.get(subject.name).__doc__, "the function has no docstring"
    notes = _split(subject, _table()).notes
    assert all(isinstance(note, str) for note in notes), f"notes are {notes!r}"


def every_row_is_in_one_part(subject: Subject) -> None:
    """Each row is in train, valid or test, and none is lost."""
    table = _table()
    parts = _split(subject, table).parts
    assert len(parts) == len(table), f"{len(parts)} rows have a part, the table has {len(table)}"
    lost = [row for row, part in enumerate(parts) if part not in PARTS]
    assert not lost, f"{len(lost)} of {len(table)} rows are in no part: {lost[:5]}"


def copies_stay_together(subject: Subject) -> None:
    """Rows with the same structure are in the same part."""
    table = _table()
    split = _split(subject, table)
    shared = leakage(table, split, workers=0).shared
    assert not shared, f"{shared} structures of train are in valid or test too: part by molecules.structure"


def same_seed_same_split(subject: Subject) -> None:
    """The same seed gives the same split, whatever was split before."""
    first = _split(subject, _table(), seed=3)
    _split(subject, _table(3), seed=4)
    again = _split(subject, _table(), seed=3)
    n_other = sum(one != other for one, other in zip(first.parts, again.parts, strict=True))
    assert not n_other, f"{n_other} rows are in another part: draw from the generator that is given"


def table_is_not_changed(subject: Subject) -> None:
    """Structures and labels of the table stay as they are."""
    table, before = _table(), _table()
    _split(subject, table)
    is_same = table.smiles == before.smiles and np.array_equal(table.labels, before.labels, equal_nan=True)
    assert is_same, "the table was changed in place"


def small_tables_are_split_or_refused(subject: Subject) -> None:
    """One to five molecules are split, or refused in a sentence."""
    for n in range(1, 6):
        try:
            parts = _split(subject, table_of(DRUGS[:n])).parts
        except DataError:
            continue
        assert len(parts) == n, f"{len(parts)} of {n} rows have a part"


CHECKS: tuple[Check, ...] = (
    is_declared,
    every_row_is_in_one_part,
    copies_stay_together,
    same_seed_same_split,
    table_is_not_changed,
    small_tables_are_split_or_refused,
)
