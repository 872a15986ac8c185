"""Sets of labels with a guaranteed error per assay and class (Mondrian conformal prediction); no torch.

Fitted on the model's validation scores; only their order counts, so calibration changes nothing here.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import BundleError
from ..runtime import ragged
from .arrays import arrays_of

SETS = ("none", "active", "inactive", "both")
"""What a set of labels can be; `ConformalSets.sets` gives the place in this list."""


class PValues(NamedTuple):
    """How usual a molecule would be among the measured ones of a class, above 0 and at most 1."""

    active: np.ndarray
    """float32 [n, T], share of the assay's actives that score no higher, the molecule counted in."""
    inactive: np.ndarray
    """float32 [n, T], share of the assay's inactives that score no lower, the molecule counted in."""


@dataclass(frozen=True)
class ConformalSets:
    """The scores of the validation part's actives and inactives, by assay."""

    active_scores: np.ndarray
    """float32, ascending within an assay."""
    active_bounds: np.ndarray
    """int64 [T + 1]: assay t has the scores active_bounds[t] to active_bounds[t + 1]."""
    inactive_scores: np.ndarray
    """float32, ascending within an assay."""
    inactive_bounds: np.ndarray
    """int64 [T + 1]"""

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray) -> "ConformalSets":
        """From scores [n, T] of validation molecules and their labels [n, T], NaN = not measured."""
        return cls(*_sorted(scores, labels == 1), *_sorted(scores, labels == 0))

    @property
    def n_tasks(self) -> int:
        """T"""
        return len(self.active_bounds) - 1

    def p_values(self, scores: np.ndarray) -> PValues:
        """p-values of both classes for scores [n, T]; NaN where the score is.

        A molecule exchangeable with the assay's validation actives has a p-value of at most alpha with
        probability at most alpha if it is active, and likewise if inactive. A class without a validation
        label has p-value 1. With few labels p-values are coarse: n give multiples of 1 / (n + 1).

        References
        ----------
        Vovk, Conditional validity of inductive conformal predictors, ACML 2012, section 2 (label
        conditional). https://proceedings.mlr.press/v25/vovk12.html Norinder, Carlsson, Boyer, Eklund,
        J. Chem. Inf. Model. 54, 1596, 2014. https://doi.org/10.1021/ci5001168
        """
        scores = np.asarray(scores, np.float32)
        below = _counts(self.active_scores, self.active_bounds, scores, "right")
        not_above = _counts(self.inactive_scores, self.inactive_bounds, scores, "left")
        n_active, n_inactive = np.diff(self.active_bounds), np.diff(self.inactive_bounds)
        unknown = np.isnan(scores)
        values = ((below + 1) / (n_active + 1), (n_inactive - not_above + 1) / (n_inactive + 1))
        return PValues(*(np.where(unknown, np.nan, value).astype(np.float32) for value in values))

    def sets(self, scores: np.ndarray, alpha: float) -> np.ndarray:
        """Labels that cannot be ruled out at error `alpha`: uint8 [n, T], places in `SETS`.

        Of the actives of an assay at most a share `alpha` get a set without "active" on average, of its
        inactives likewise, whatever the model, as long as molecules are exchangeable with the validation
        part. A new chemical series is not: look at `domain` too. Where the score is NaN the set is both.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha}: expected a share between 0 and 1, such as 0.1.")
        values = self.p_values(scores)
        return (~(values.active <= alpha) + 2 * ~(values.inactive <= alpha)).astype(np.uint8)

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "ConformalSets":
        """The sets of which `state` was taken; BundleError where arrays are missing or do not fit."""
        sets = cls(*arrays_of(state, _ARRAYS, "conformal sets"))
        pairs = ((sets.active_scores, sets.active_bounds), (sets.inactive_scores, sets.inactive_bounds))
        if not all(ragged.are_bounds(bounds, len(scores)) for scores, bounds in pairs):
            raise BundleError("The scores of the conformal sets do not fit their bounds. Train again.")
        return sets


_ARRAYS = ("active_scores", "active_bounds", "inactive_scores", "inactive_bounds")


def _sorted(scores: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chosen scores by assay, ascending, and where each assay's begin and end."""
    task, row = np.nonzero(chosen.T)
    values = np.asarray(scores, np.float32)[row, task]
    order = np.lexsort((values, task))
    return values[order], np.searchsorted(task, np.arange(chosen.shape[1] + 1))


def _counts(fitted: np.ndarray, bounds: np.ndarray, scores: np.ndarray, side: str) -> np.ndarray:
    """How many known scores of its assay each score lies above (side "left") or not below ("right").

    Task and score in one whole number: one binary search serves all assays.
    """
    task = ragged.owners(np.diff(bounds))
    keys, sought = _keys(fitted, task), _keys(np.nan_to_num(scores), np.arange(scores.shape[1]))
    return np.searchsorted(keys, sought, side) - bounds[:-1]  # type: ignore[call-overload]


def _keys(scores: np.ndarray, task: np.ndarray) -> np.ndarray:
    """uint64 that sort as (task, score): the bits of a score from 0 up sort as the score does."""
    bits = np.ascontiguousarray(np.abs(scores), np.float32).view(np.uint32)
    return (task.astype(np.uint64) << np.uint64(32)) | bits
