"""Concordance: one scale for classes, values and censored values.

The chance that of two molecules the one with the higher true value has the higher prediction.
"""

import numpy as np

from .cells import Cells, cells_of
from .pair_counts import count_pairs
from .ranking import rank
from .roc_auc import roc_auc
from .sums import ratio, sums_between


def concordance(
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    is_real: np.ndarray | None = None,
    censored: np.ndarray | None = None,
) -> np.ndarray:
    """Share of pairs ranked right, of the pairs of molecules of which it is certain which is the higher one.

    Equal predictions count half. Of classes it is the ROC-AUC; of values (tau + 1) / 2 with Kendall's tau of
    the pairs with different values; of censored values Harrell's C. Which pairs count is said at
    `pair_counts.count_pairs`: 5 and > 5 do, > 5 and 6 do not. NaN where no pair does.

    Parameters
    ----------
    labels : [n, T]: 1, 0, or a value (the bound where it is censored); NaN = not measured.
    scores : [n, T], higher = more active or a higher value; not read where nothing was measured.
    is_real : bool [T], which assays have values; None = none.
    censored : int8 [n, T], 1 = the true value is above the label, -1 = below; None = no cell is censored.

    Raises
    ------
    DataError : as `ranking.rank` of classes, and `cells.cells_of` of values.

    References
    ----------
    Harrell, Califf, Pryor, Lee, Rosati, JAMA 247, 2543 (1982), https://doi.org/10.1001/jama.1982.03320430047030.

    Examples
    --------
    >>> labels = np.array([[1, 5.0], [0, 7.0], [0, 6.0]])
    >>> scores = np.array([[0.9, 5.5], [0.1, 6.5], [0.2, 7.0]])
    >>> concordance(labels, scores, is_real=np.array([False, True])).round(3).tolist()
    [1.0, 0.667]
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if is_real is None or not np.any(is_real):
        return roc_auc(rank(labels, scores))
    is_real = np.asarray(is_real, dtype=bool)
    values = np.empty(labels.shape[1])
    if not is_real.all():
        values[~is_real] = roc_auc(rank(labels[:, ~is_real], scores[:, ~is_real]))
        labels, scores = labels[:, is_real], scores[:, is_real]
        censored = None if censored is None else np.asarray(censored)[:, is_real]
    values[is_real] = of_cells(cells_of(labels, scores, censored))
    return values


def of_cells(cells: Cells) -> np.ndarray:
    """Concordance of real assays, float64 [T]."""
    pairs = count_pairs(cells)
    comparable = sums_between(pairs.comparable, cells.bounds)
    right = sums_between(pairs.right + pairs.tied / 2, cells.bounds)
    return ratio(right, comparable, comparable > 0)
