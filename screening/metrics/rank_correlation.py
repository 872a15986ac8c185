"""How far predicted values stand in the order of the measured ones; exact cells alone.

Where all predictions of an assay are equal there is no order, and both correlations are 0, as its
concordance is 0.5: a missing number would take the assay out of the means.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from .cells import Cells
from .contract import register
from .estimates import Estimate, correlation_interval, estimate, interval, means
from .pair_counts import extent, numbered
from .sums import ratio

_register = partial(register, better="higher", range=(-1.0, 1.0), takes="cells", kinds=("real",))


def spearman_estimate(cells: Cells) -> Estimate:
    """Spearman's correlation with deviations, of exact cells; no deviations where all predictions are equal.

    With F and G the shares of molecules below a molecule's value and prediction, ties half, it is the
    correlation of F and G. A molecule acts on E[FG] by its own product and by what it adds to the shares of
    those above it: FG + E[G of those above in value] + E[F of those above in prediction] - 3 E[FG].
    """
    cells = cells.exact
    x, y = _Order(cells, cells.values), _Order(cells, cells.predictions)
    both, of_x, of_y = _product(x, y, cells), _product(x, x, cells), _product(y, y, cells)
    defined = cells.varies & cells.predictions_vary
    spread = ratio(1.0, np.sqrt(np.where(defined, of_x.mean * of_y.mean, 1.0)), defined)
    values = np.clip(both.mean * spread, -1, 1)
    shrink = of_x.influences * ratio(0.5, of_x.mean, defined)[cells.task]
    shrink += of_y.influences * ratio(0.5, of_y.mean, defined)[cells.task]
    slopes = both.influences * spread[cells.task] - values[cells.task] * shrink
    return estimate(cells, np.where(cells.varies & ~defined, 0.0, values), slopes)


def kendall_estimate(cells: Cells) -> Estimate:
    """Kendall's tau-b with deviations, of exact cells; no deviations where all predictions are equal.

    Right minus wrong pairs, over the root of the pairs of two values times the pairs of two predictions.
    """
    cells = cells.exact
    pairs, codes = cells.pairs, numbered(cells.task, cells.predictions)
    gain = (2 * pairs.right + pairs.tied - pairs.comparable).astype(np.float64)
    differ = (cells.counts[cells.task] - np.bincount(codes)[codes]).astype(np.float64)
    right, of_values, of_predictions = (means(one, cells) for one in (gain, pairs.comparable, differ))
    defined = cells.varies & cells.predictions_vary
    spread = ratio(1.0, np.sqrt(np.where(defined, of_values * of_predictions, 1.0)), defined)
    values = np.clip(right * spread, -1, 1)
    shrink = pairs.comparable * ratio(0.5, of_values, defined)[cells.task]
    shrink += differ * ratio(0.5, of_predictions, defined)[cells.task]
    slopes = 2 * (gain * spread[cells.task] - values[cells.task] * shrink)
    return estimate(cells, np.where(cells.varies & ~defined, 0.0, values), slopes)


@_register(
    "spearman",
    interval=interval(spearman_estimate, correlation_interval),
    title="Spearman",
)
def spearman(cells: Cells) -> np.ndarray:
    """Correlation of the ranks of predicted and measured values."""
    return spearman_estimate(cells).values


@_register(
    "kendall",
    interval=interval(kendall_estimate, correlation_interval),
    title="Kendall",
    shown=("page",),
)
def kendall(cells: Cells) -> np.ndarray:
    """Kendall's tau-b: pairs in the right order minus those in the wrong one, corrected for ties."""
    return kendall_estimate(cells).values


class _Order:
    """The cells of each assay in the order of a number."""

    def __init__(self, cells: Cells, numbers: np.ndarray) -> None:
        codes = numbered(cells.task, numbers)
        self._order = np.argsort(codes)
        self._start, self._end = extent(codes[self._order])
        self._first, self._last = cells.bounds[:-1][cells.task], cells.bounds[1:][cells.task]
        self._n = cells.counts[cells.task]
        self.below = self._by_cell((self._start + self._end) / 2 - self._first)
        """float64 [k], share of the assay's cells below each, ties and itself half."""

    def above(self, values: np.ndarray) -> np.ndarray:
        """Mean, over the assay, of the values [k] of cells above each, ties and itself half, 0 for others."""
        sums = np.concatenate([[0.0], np.cumsum(values[self._order])])
        return self._by_cell(sums[self._last] - (sums[self._end] + sums[self._start]) / 2)

    def _by_cell(self, sums: np.ndarray) -> np.ndarray:
        shares = np.empty(len(sums))
        shares[self._order] = sums / self._n
        return shares


class _Product(NamedTuple):
    """Covariance of the shares below in two orders."""

    mean: np.ndarray
    """float64 [T]"""
    influences: np.ndarray
    """float64 [k]"""


def _product(one: _Order, other: _Order, cells: Cells) -> _Product:
    product = one.below * other.below
    mean = means(product, cells)
    pulled = one.above(other.below) + other.above(one.below)
    return _Product(mean - 0.25, product + pulled - 3 * mean[cells.task])
