"""From a config to a table ready for training: read, checked, split and featurised."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import Config
from ..data import datasets
from ..data.assay_columns import ATTENTION
from ..data.assay_table import AssayTable
from ..data.merging import prepare
from ..data.part_names import PARTS
from ..data.splits import Split, leakage, split_table
from ..data.table_source import TableSource, source_of
from ..data.tables import Rejected
from ..errors import DataError, listed
from ..features.store import FeatureSet, GraphStore, featurize

Note = Callable[[str], None]


class Prepared(NamedTuple):
    """A table ready for training."""

    table: AssayTable
    store: GraphStore
    """Features of the same molecules, in the same order."""
    split: Split
    rejected: list[Rejected]
    merged: int
    """Rows that repeat the structure of another row and were merged into it."""
    notes: list[str]
    """What was decided and counted on the way, for people."""
    source: TableSource


def prepare_data(
    config: Config, data: Path | AssayTable | None = None, on_note: Note = lambda note: None
) -> Prepared:
    """Read, check, split and featurise the table of a config.

    Parameters
    ----------
    data : the table's file, or the folder it lies in, or the table itself; None = found by `data.source`.

    Raises
    ------
    DataError : the file is missing or wrong, or no usable molecule or assay is left.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        on_note(text)

    section = config.data
    source = source_of(section.source, data=data)
    table = datasets.load(
        section.source,
        data=data,
        **datasets.reading(section),
    )
    for text in table.notes:
        note(text)
    workers, n_read = config.train.workers, len(table)
    table, unusable, decided = prepare(
        table,
        standardize=section.standardize,
        duplicates=section.duplicates,
        max_atoms=section.max_atoms,
        workers=workers,
    )
    for text in decided:
        note(text)
    features = FeatureSet(
        config.features.graph, tuple(config.features.vectors), section.standardize, section.max_atoms
    )
    store = featurize(table.smiles, features, workers=workers, cache=datasets.cache_folder() / "features")
    if not store.usable.all():
        failed = [
            Rejected(int(table.rows[i]), table.ids[i], table.smiles[i], store.reasons[i])
            for i in np.flatnonzero(~store.usable)
        ]
        kept = np.flatnonzero(store.usable)
        table, unusable = table.take(kept), [*unusable, *failed]
        store = featurize(table.smiles, features, workers=workers)
    rejected = sorted([*table.rejected, *unusable])
    merged = n_read - len(table) - len(unusable)
    _check_labels(table, source.path)
    split = split_table(table, config.split.name, seed=config.seed, workers=workers, **config.split.options)
    for text in [*split.notes, *_unlearnable(table, split)]:
        note(text)
    measured = np.isfinite(table.labels)
    note(
        f"{len(table):,} molecules, {len(table.tasks)} assays, {int(measured.sum()):,} labels "
        f"({measured.mean():.1%} of all), {np.nansum(table.labels) / max(measured.sum(), 1):.2%} active; "
        f"{len(rejected)} rows rejected"
    )
    sizes = ", ".join(f"{len(split.rows(part)):,} {part}" for part in PARTS)
    note(f"split {config.split.name}: {sizes}; {leakage(table, split, workers=workers)}")
    return Prepared(table, store, split, rejected, merged, notes, source)


def _unlearnable(table: AssayTable, split: Split) -> list[str]:
    """Assays whose labels in train are all the same, or none, though the table has both classes."""
    trained = table.labels[split.rows("train")]
    notes = []
    for what, other, value in (("active", "inactive", 1), ("inactive", "active", 0)):
        without = ~(trained == value).any(axis=0) & (table.labels == value).any(axis=0)
        names = [table.tasks[task] for task in np.flatnonzero(without)]
        if names:
            notes.append(
                f"{ATTENTION}the training part has no {what} label of {listed(names)}: they cannot be "
                f"learned from {other} labels alone. Another split (split=stratified) may share them out."
            )
    return notes


def _check_labels(table: AssayTable, source: str) -> None:
    if not len(table):
        raise DataError(f"{source}: no usable molecule is left. See the reasons in rejected.csv.")
    if not np.isfinite(table.labels).any():
        raise DataError(f"{source}: no assay has a label; all cells of {len(table.tasks)} assays are empty.")
    if not (np.nanmin(table.labels) < np.nanmax(table.labels)):
        value = "active" if np.nanmax(table.labels) == 1 else "inactive"
        raise DataError(f"{source}: every label is {value}. Training needs actives and inactives.")
