"""Folds inside the training part, made as the test part is: by scaffold where it is of other scaffolds."""

from typing import NamedTuple

import numpy as np

from ..config import Config
from ..config_model import Blending
from ..data.splits import Split, leakage
from ..data.splits.contract import molecules_of
from ..errors import DataError
from .preparation import Prepared

SEEN = 0.05
"""Share of the test molecules with a ring whose scaffold is in the training part, up to which the test part
counts as one of other scaffolds."""


class Folds(NamedTuple):
    """The fold of each molecule of a table."""

    of_row: np.ndarray
    """int64 [n], from 0; -1 = not in the training part."""
    n: int
    by: str
    """scaffold or random."""

    @property
    def of_training(self) -> np.ndarray:
        """int64, of the molecules of the training part alone."""
        return self.of_row[self.of_row >= 0]

    def rows(self, fold: int) -> np.ndarray:
        """The molecules of a fold, int64, ascending."""
        return np.flatnonzero(self.of_row == fold)

    def without(self, split: Split, fold: int) -> Split:
        """The split with a fold taken out of the training part; that of these molecules and others behind."""
        parts = list(split.parts)
        for row in self.rows(fold).tolist():
            parts[row] = ""
        return Split(parts, split.notes)


def folds_of(config: Config, prepared: Prepared) -> Folds:
    """The folds that `model.blending` asks for; copies of a structure stay together.

    Whole scaffolds, or structures, in a random order and then the largest first, each into the fold that has
    the fewest molecules.

    Raises
    ------
    DataError : there are fewer scaffolds or structures than folds.
    """
    settings, workers = config.model.blending, config.train.workers
    by = settings.by if settings.by != "auto" else _as_test(prepared, workers)
    molecules = molecules_of(prepared.table, workers)
    keys = molecules.scaffolds() if by == "scaffold" else molecules.smiles()
    is_trained = np.zeros(len(prepared.table), bool)
    is_trained[prepared.split.rows("train")] = True
    groups = [rows[is_trained[rows]] for rows in molecules.rows_by(keys)]
    groups = [rows for rows in groups if len(rows)]
    _check(len(groups), settings, by)
    of_row, filled = np.full(len(prepared.table), -1, np.int64), np.zeros(settings.folds, np.int64)
    order = np.random.default_rng(config.seed).permutation(len(groups))
    for number in sorted(order.tolist(), key=lambda each: -len(groups[each])):
        fold = int(filled.argmin())
        of_row[groups[number]], filled[fold] = fold, filled[fold] + len(groups[number])
    return Folds(of_row, settings.folds, by)


def _as_test(prepared: Prepared, workers: int | None) -> str:
    """`scaffold` where the training part has not the scaffolds of the test part."""
    leaks = leakage(prepared.table, prepared.split, workers=workers)
    return "scaffold" if leaks.n_seen < SEEN * leaks.n_with_ring else "random"


def _check(n_groups: int, settings: Blending, by: str) -> None:
    if n_groups < settings.folds:
        what = "scaffolds" if by == "scaffold" else "structures"
        raise DataError(
            f"The training part has {n_groups} {what}, fewer than model.blending.folds ({settings.folds}). "
            "Set model.blending.weights=equal, fewer folds, or model.blending.by=random."
        )
