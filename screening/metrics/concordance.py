"""Concordance: one scale for classes, values and censored values.

The chance that of two molecules the one with the higher true value has the higher prediction.
"""

import numpy as np

from .cells import Cells
from .contract import Bounds, Outcome, register
from .estimates import Estimate, estimate, means, share_interval
from .roc_auc import delong_interval, roc_auc
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
    return _of_outcome(Outcome(labels, scores, is_real=is_real, censored=censored))


def concordance_estimate(cells: Cells) -> Estimate:
    """Concordance of real assays with deviations, of all cells."""
    pairs = cells.pairs
    right = pairs.right + pairs.tied / 2
    comparable, mean_right = means(pairs.comparable, cells), means(right, cells)
    values = ratio(mean_right, comparable, comparable > 0)
    slope = ratio(2.0, comparable, comparable > 0)[cells.task]
    return estimate(cells, values, slope * (right - values[cells.task] * pairs.comparable))


def _bounds_of_cells(cells: Cells) -> Bounds:
    """Where an order has no wrong pair: as `estimates.correlation_interval`, of the cells in pairs."""
    in_pairs = sums_between(cells.pairs.comparable > 0, cells.bounds)
    return share_interval(concordance_estimate(cells), in_pairs / 2)


def _bounds(outcome: Outcome) -> Bounds:
    """DeLong's interval of binary assays, and that of the deviations of real ones."""
    bounds = np.full((2, len(outcome.is_binary)), np.nan)
    of_classes = delong_interval(outcome.ranking)
    bounds[:, outcome.is_binary] = of_classes.low, of_classes.high
    bounds[:, ~outcome.is_binary] = _bounds_of_cells(outcome.cells)
    return Bounds(*bounds)


@register(
    "concordance",
    better="higher",
    range=(0.0, 1.0),
    takes="outcome",
    kinds=("binary", "real"),
    is_common=True,
    interval=_bounds,
    title="Concordance",
)
def _of_outcome(outcome: Outcome) -> np.ndarray:
    """Share of pairs of molecules ranked right, ties half: ROC-AUC of classes, (tau + 1) / 2 of values."""
    values = np.empty(len(outcome.is_binary))
    values[outcome.is_binary] = roc_auc(outcome.ranking)
    values[~outcome.is_binary] = concordance_estimate(outcome.cells).values
    return values
