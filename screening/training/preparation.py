"""From a config to a table ready for training: read, checked, split and featurised."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import Config
from ..data import datasets
from ..data.assay_columns import ATTENTION
from ..data.assay_table import AssayTable, texts_at
from ..data.auxiliary import (
    AuxiliaryTable,
    Joint,
    compound_keys,
    joint_table,
    read_auxiliary,
    table_name,
    without_tested,
)
from ..data.merging import prepare
from ..data.part_names import PARTS
from ..data.row_parts import row_parts
from ..data.sparse_cells import measured_cells, n_equal, n_marked, n_measured, packed, take_rows
from ..data.splits import Split, leakage, split_table
from ..data.table_source import TableSource, source_of
from ..data.tables import Rejected
from ..errors import ConfigError, DataError, listed
from ..features.joint_store import joint_store
from ..features.store import FeatureSet, GraphStore, featurize
from ..models.targets import Targets
from ..runtime.numbers import percent

Note = Callable[[str], None]

SAMPLE = 256
"""Molecules whose features are worked out where nothing is trained."""


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
    targets: Targets | None = None
    """Scales of the real assays, from the training part; None where all assays are of two classes."""
    auxiliary: tuple[AuxiliaryTable, ...] = ()
    """Other tables whose assays networks learn too, without the compounds that validate or test."""
    joint: "Prepared | None" = None
    """What networks are trained on where there are such tables: these molecules and these assays first, and
    behind them theirs. The store is then the same."""
    n_main: int | None = None
    """Of a joint table: assays of the main one, the first; None = all."""
    origin: tuple[str, ...] = ()
    """Of a joint table: the name of the table that each molecule is from."""
    made_of: AssayTable | None = None
    """Of a joint table: the main one."""
    keys: tuple[str, ...] = ()
    """Of a joint table: `auxiliary.compound_keys` of the molecules that are in auxiliary tables alone."""

    @property
    def trained(self) -> "Prepared":
        """What networks are trained on, by the split as it is here.

        With a split that leaves out molecules which trained before, as a fold does, other forms of their
        compounds are left out of auxiliary tables too.

        Raises
        ------
        ConfigError : the joint table was made of another table than this one.
        """
        if self.joint is None:
            return self
        return self.joint._replace(split=_joint_split(self, self.joint), notes=self.notes)


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
    notes = _Notes(on_note)
    read = _read(config, data, notes)
    table, workers, features = read.table, config.train.workers, feature_set(config)
    store = featurize(table.smiles, features, workers=workers, cache=datasets.cache_folder() / "features")
    if not store.usable.all():
        failed = without_features(table, store)
        table = table.take(np.flatnonzero(store.usable))
        read = read._replace(table=table, rejected=sorted([*read.rejected, *failed]))
        store = featurize(table.smiles, features, workers=workers)
    split = _split(config, read, notes)
    main = Prepared(
        table, store, split, read.rejected, read.merged, notes.texts, read.source, targets_of(table, split)
    )
    return _with_auxiliary(config, main, notes) if _has_auxiliary(config, notes) else main


def prepare_sample(
    config: Config, data: Path | AssayTable | None = None, on_note: Note = lambda note: None
) -> Prepared:
    """As `prepare_data`, but with features of few training molecules: `SAMPLE`, and one for each assay.

    Enough to build everything that a training builds; molecules that a featurizer will reject are not known.
    """
    notes = _Notes(on_note)
    read = _read(config, data, notes)
    split = _split(config, read, notes)
    none = GraphStore.of(feature_set(config), [])
    whole = Prepared(read.table, none, split, read.rejected, read.merged, notes.texts, read.source)
    if not _has_auxiliary(config, notes):
        return sampled(config, whole)
    tables = _tell_of(read_auxiliary(config.data, workers=config.train.workers), notes)
    joint = _joint(config, whole, tables, notes)
    main, trained = sampled(config, whole), sampled(config, _whole(whole, joint))
    return main._replace(joint=trained._replace(made_of=main.table), auxiliary=joint.tables)


def sampled(config: Config, whole: Prepared) -> Prepared:
    """Few molecules of the training part, with their features."""
    rows, workers = sample_rows(whole.table, whole.split), config.train.workers
    table = whole.table.take(rows)
    store = featurize(table.smiles, feature_set(config), workers=workers)
    if not store.usable.all():
        table = table.take(np.flatnonzero(store.usable))
        store = featurize(table.smiles, feature_set(config), workers=workers)
    trained = Split(["train"] * len(table), whole.split.notes)
    return whole._replace(table=table, store=store, split=trained, targets=targets_of(table, trained))


class _Notes:
    """Texts that are kept, and told at once."""

    def __init__(self, on_note: Note) -> None:
        self.texts: list[str] = []
        self._on_note = on_note

    def tell(self, *texts: str) -> None:
        for text in texts:
            self.texts.append(text)
            self._on_note(text)


class _Read(NamedTuple):
    """A table whose structures were read, merged and checked."""

    table: AssayTable
    rejected: list[Rejected]
    merged: int
    source: TableSource


def _read(config: Config, data: Path | AssayTable | None, notes: _Notes) -> _Read:
    section = config.data
    source = source_of(section.source, data=data)
    loaded = datasets.load_dataset(section.source, data=data, **datasets.reading(section))
    notes.tell(*loaded.notes)
    table, unusable, decided = prepare(
        loaded,
        standardize=section.standardize,
        duplicates=section.duplicates,
        keep_apart=section.keep_apart,
        max_atoms=section.max_atoms,
        workers=config.train.workers,
        parts=row_parts(loaded, config.split.name, config.split.options),
    )
    notes.tell(*decided)
    merged = len(loaded) - len(table) - len(unusable)
    return _Read(table, sorted([*loaded.rejected, *unusable]), merged, source)


def _has_auxiliary(config: Config, notes: _Notes) -> bool:
    """Whether auxiliary tables are learned; they are not read where no network is trained, which is told."""
    names = [table_name(table.source) for table in config.data.auxiliary]
    if names and not config.model.has_network:
        notes.tell(f"{listed(names)}: not read, as baselines learn from {config.data.source} alone")
    return bool(names) and config.model.has_network


def _with_auxiliary(config: Config, main: Prepared, notes: _Notes) -> Prepared:
    """The main table, and beside it the joint one, with their features in one store."""
    workers, cache = config.train.workers, datasets.cache_folder() / "features"
    read = _tell_of(read_auxiliary(config.data, workers=workers), notes)
    stores = [featurize(one.table.smiles, feature_set(config), workers=workers, cache=cache) for one in read]
    usable = [
        one.take(store.usable)._replace(rejected=sorted([*one.rejected, *without_features(one.table, store)]))
        for one, store in zip(read, stores, strict=True)
    ]
    joint = _joint(config, main, usable, notes)
    pieces = [(main.store, np.arange(len(main.table)))]
    for store, one, added in zip(stores, joint.tables, joint.added, strict=True):
        pieces.append((store, one.at[added]))
    store = joint_store(pieces)
    whole = _whole(main, joint)._replace(store=store, targets=targets_of(joint.table, joint.split))
    return main._replace(store=store, auxiliary=joint.tables, joint=whole)


def _tell_of(read: tuple[list[AuxiliaryTable], list[str]], notes: _Notes) -> list[AuxiliaryTable]:
    notes.tell(*read[1])
    return read[0]


def _joint(config: Config, main: Prepared, tables: list[AuxiliaryTable], notes: _Notes) -> Joint:
    """The joint table; what of each table is used is told."""
    kept = without_tested(tables, main.table, main.split, workers=config.train.workers)
    name, duplicates = table_name(config.data.source), config.data.duplicates
    joint = joint_table(kept, main.table, name, main.split, duplicates=duplicates)
    notes.tell(*map(str, joint.tables), f"trained jointly: {_sizes(joint.table)}")
    return joint


def _joint_split(main: Prepared, joint: Prepared) -> Split:
    if joint.made_of is not main.table:
        raise ConfigError(
            "data.auxiliary: other tables were joined with the whole table, and a part of it, or of its "
            "labels, shall be trained on. Set data.auxiliary=[]."
        )
    n_main = len(main.table)
    before, now = joint.split.parts[:n_main], main.split.parts
    if before == now:
        return joint.split
    rows = [row for row in range(n_main) if before[row] == "train" != now[row]]
    gone = set(compound_keys(texts_at(main.table.canonical or [], np.array(rows, np.int64)), workers=0))
    return Split([*now, *("" if key in gone else "train" for key in joint.keys)], main.split.notes)


def _whole(main: Prepared, joint: Joint) -> Prepared:
    """The joint table in place of the main one; the features and targets are still those of the latter."""
    rejected = [*main.rejected, *(row for table in joint.tables for row in table.named_rejected())]
    return main._replace(
        table=joint.table,
        split=joint.split,
        rejected=rejected,
        auxiliary=joint.tables,
        n_main=len(main.table.tasks),
        origin=tuple(joint.origin),
        made_of=main.table,
        keys=tuple(
            key
            for table, added in zip(joint.tables, joint.added, strict=True)
            for key in texts_at(table.keys, added)
        ),
    )


def feature_set(config: Config) -> FeatureSet:
    """What a config computes of each molecule."""
    section = config.features
    return FeatureSet(section.graph, tuple(section.vectors), config.data.standardize, config.data.max_atoms)


def without_features(table: AssayTable, store: GraphStore) -> list[Rejected]:
    """The molecules that a featurizer could not take."""
    return [
        Rejected(int(table.rows[place]), table.ids[place], table.smiles[place], store.reasons[place])
        for place in np.flatnonzero(~store.usable)
    ]


def _split(config: Config, read: _Read, notes: _Notes) -> Split:
    """The split of the table, whose labels are checked first; oddities and sizes are told."""
    table, workers = read.table, config.train.workers
    _check_labels(table, read.source.path)
    split = split_table(table, config.split.name, seed=config.seed, workers=workers, **config.split.options)
    notes.tell(*split.notes, *_unlearnable(table, split), *_without_values(table, split))
    sizes = ", ".join(f"{len(split.rows(part)):,} {part}" for part in PARTS)
    notes.tell(
        f"{_sizes(table)}; {len(read.rejected)} rows rejected",
        f"split {config.split.name}: {sizes}; {leakage(table, split, workers=workers)}",
    )
    return split


def _sizes(table: AssayTable) -> str:
    """Molecules, assays and labels of a table, as a line for people."""
    measured, real = n_measured(table.labels), table.is_real
    n_labels = int(measured.sum())
    text = (
        f"{len(table):,} molecules, {len(table.tasks):,} assays, {n_labels:,} labels "
        f"({percent(n_labels / max(table.labels.size, 1))} of all)"
    )
    if not real.all():
        n_active = int(n_equal(table.labels, 1)[~real].sum())
        text += f", {n_active / max(int(measured[~real].sum()), 1):.2%} active"
    if not real.any():
        return text
    n_values = int(measured[real].sum())
    n_censored = 0 if table.censored is None else int(n_marked(table.censored)[real].sum())
    return f"{text}; {int(real.sum())} assays are real, with {n_values:,} values, {n_censored:,} censored"


def targets_of(table: AssayTable, split: Split) -> Targets | None:
    """Scales of the real assays, from the training part; None where all assays are of two classes."""
    if not table.is_real.any():
        return None
    train = table.take(split.rows("train"))
    labels, censored = packed(train.labels, train.censored)
    return Targets.fit(labels, table.is_real, censored)


def sample_rows(table: AssayTable, split: Split) -> np.ndarray:
    """Places of the first molecules of the training part, and of the first with a label in each assay."""
    trained = split.rows("train")
    rows, tasks, _ = measured_cells(take_rows(table.labels, trained))
    first = rows[np.unique(tasks, return_index=True)[1]]
    return trained[np.union1d(np.arange(min(SAMPLE, len(trained))), first)]


def _unlearnable(table: AssayTable, split: Split) -> list[str]:
    """Assays whose labels in train are all the same, or none, though the table has both classes."""
    binary, rows = np.flatnonzero(~table.is_real), split.rows("train")
    table = table if len(binary) == len(table.tasks) else table.select([table.tasks[task] for task in binary])
    trained = take_rows(table.labels, rows)
    notes = []
    for what, other, value in (("active", "inactive", 1), ("inactive", "active", 0)):
        without = (n_equal(trained, value) == 0) & (n_equal(table.labels, value) > 0)
        names = [table.tasks[task] for task in np.flatnonzero(without)]
        if names:
            notes.append(
                f"{ATTENTION}the training part has no {what} label of {listed(names)}: they cannot be "
                f"learned from {other} labels alone. Another split (split=stratified) may share them out."
            )
    return notes


def _without_values(table: AssayTable, split: Split) -> list[str]:
    """Real assays of which train has one value at most, or bounds alone, though the table has more."""
    real, train = table.is_real, table.take(split.rows("train"))
    in_train, in_all = n_measured(train.labels), n_measured(table.labels)
    matters = {"no or one value": real & (in_train < 2) & (in_all > in_train)}
    if table.censored is not None and train.censored is not None:
        exact, exact_in_all = in_train - n_marked(train.censored), in_all - n_marked(table.censored)
        matters["bounds (>, <) alone"] = real & (exact == 0) & (in_train > 1) & (exact_in_all > 0)
    names = {what: listed(table.tasks[task] for task in np.flatnonzero(at)) for what, at in matters.items()}
    return [
        f"{ATTENTION}the training part has {what} of {names[what]}: they cannot be learned. Another split "
        "(split=stratified) may share them out."
        for what, at in matters.items()
        if at.any()
    ]


def _check_labels(table: AssayTable, source: str) -> None:
    if not len(table):
        raise DataError(f"{source}: no usable molecule is left. See the reasons in rejected.csv.")
    if not (measured := int(n_measured(table.labels).sum())):
        raise DataError(f"{source}: no assay has a label; all cells of {len(table.tasks)} assays are empty.")
    n_active = int(n_equal(table.labels, 1).sum())
    if not table.is_real.any() and n_active in (0, measured):
        value = "active" if n_active else "inactive"
        raise DataError(f"{source}: every label is {value}. Training needs actives and inactives.")
