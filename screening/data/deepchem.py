"""Between assay tables and DeepChem's data sets; and DeepChem itself, imported without its remarks.

DeepChem is an optional package: it cannot be had for every Python, and only what names it needs it.
"""

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from rdkit import rdBase

from ..errors import ConfigError, DataError
from .assay_table import AssayTable
from .molecules import canonical_smiles

LOOKED_AT = 20
"""Identifiers of a data set of which one at least must be a SMILES."""


@contextmanager
def muted() -> Iterator[None]:
    """Without DeepChem's remarks on packages it misses and RDKit's on functions it will drop."""
    logger = logging.getLogger("deepchem")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), rdBase.BlockLogs():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def import_deepchem(asker: str, instead: str = "") -> ModuleType:
    """The package.

    Parameters
    ----------
    asker : what needs it, the subject of the message.
    instead : a sentence on what does without it.

    Raises
    ------
    ConfigError : it cannot be imported.
    """
    try:
        with muted():
            import deepchem
            import deepchem.data
            import deepchem.feat
            import deepchem.splits
    except ImportError as problem:
        limit = ", which is for Python below 3.12" if sys.version_info >= (3, 12) else ""
        raise ConfigError(
            f"{asker} needs DeepChem, and it cannot be imported ({problem}). Install it: "
            f"pip install deepchem==2.8.0{limit}. {instead}".rstrip()
        ) from problem
    return deepchem


def from_deepchem(
    dataset: Any, tasks: Sequence[str] | None = None, smiles: Sequence[str] | None = None
) -> AssayTable:
    """The table of a data set; `AssayTable.from_deepchem` says how."""
    if not hasattr(dataset, "get_task_names"):
        raise TypeError(
            f"The data set is of type {type(dataset).__name__}: expected one of DeepChem, such as a "
            "NumpyDataset or DiskDataset."
        )
    ids = [str(text) for text in dataset.ids]
    given = dataset.get_task_names() if tasks is None else tasks
    names = [given] if isinstance(given, str) else list(map(str, given))
    structures = ids if smiles is None else [str(text) for text in smiles]
    _check_structures(structures, len(ids))
    labels = np.asarray(dataset.y, dtype=np.float32)
    if labels.size != len(ids) * len(names):
        n_tasks = labels.size // max(len(ids), 1)
        raise DataError(
            f"DeepChem data set: labels of {n_tasks:,} assays, and {len(names):,} names of assays."
        )
    labels = labels.reshape(len(ids), len(names))
    weights = np.asarray(dataset.w)  # as many as labels, or one per molecule
    weights = weights.reshape(labels.shape if weights.size == labels.size else (-1, 1))
    labels = np.where(weights == 0, np.float32("nan"), labels)
    _check_labels(labels, names)
    _warn_of_weights(np.broadcast_to(weights, labels.shape)[~np.isnan(labels)])
    return AssayTable(ids, structures, labels, tuple(names), {}, np.arange(1, len(ids) + 1))


def to_deepchem(table: AssayTable, features: Any = None) -> Any:
    """The data set of a table; `AssayTable.to_deepchem` says how."""
    n_rows = len(features) if hasattr(features, "__len__") else 0
    if features is not None and n_rows != len(table):
        raise ValueError(
            f"features, of type {type(features).__name__}, have {n_rows:,} rows: expected a row for each of "
            f"{len(table):,} molecules."
        )
    deepchem = import_deepchem("to_deepchem")
    smiles = np.array(table.smiles, dtype=object)
    is_measured = ~np.isnan(table.labels)
    return deepchem.data.NumpyDataset(
        X=smiles if features is None else features,
        y=np.where(is_measured, table.labels, 0).astype(np.float32),
        w=is_measured.astype(np.float32),
        ids=smiles,
        n_tasks=len(table.tasks),
    )


def _check_structures(smiles: Sequence[str], n: int) -> None:
    if len(smiles) != n:
        raise DataError(f"DeepChem data set: {n:,} molecules, and {len(smiles):,} structures were given.")
    first = list(smiles[:LOOKED_AT])
    _, reasons = canonical_smiles(first, workers=1)
    if first and all(reasons):
        raise DataError(
            f"DeepChem data set: none of its first {len(first)} ids is a SMILES ({first[0]!r}: "
            f"{reasons[0]}). Load it with the structures as ids, as MoleculeNet does, or give them: "
            "from_deepchem(dataset, smiles=[...])."
        )


def _check_labels(labels: np.ndarray, tasks: Sequence[str]) -> None:
    odd = np.argwhere(~(np.isnan(labels) | (labels == 0) | (labels == 1)))
    if len(odd):
        row, task = odd[0]
        raise DataError(
            f"DeepChem data set, row {row + 1}, assay '{tasks[task]}': label {labels[row, task]} is "
            f"neither 0 nor 1 ({len(odd)} such labels in all). Only 0/1 assays can be used."
        )


def _warn_of_weights(weights: np.ndarray) -> None:
    """Say that weights of labels other than 1 are not kept; MoleculeNet's default balances by them."""
    n_other = int((weights != 1).sum())
    if n_other:
        other = weights[weights != 1]
        warnings.warn(
            f"DeepChem data set: {n_other:,} of {len(weights):,} labels have a weight other than 0 and 1 "
            f"({other.min():.3g} to {other.max():.3g}); weights are not kept, all labels count the same. "
            "Load MoleculeNet with transformers=[] for labels without weights; the setting "
            "loss.positive_weight=balanced weighs actives.",
            UserWarning,
            stacklevel=4,
        )
