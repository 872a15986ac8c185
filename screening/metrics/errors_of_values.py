"""How far predicted values are from measured ones, in the unit of the trained scale.

Exact cells alone count. A censored cell has no distance: to count 0 wherever a prediction is on the right
side of its bound would make an assay look better the less of it was measured. `concordance` uses them.
"""

from functools import partial

import numpy as np
from scipy.special import ndtri

from .cells import Cells
from .contract import Bounds, register
from .estimates import Estimate, estimate, interval, log_interval, means
from .sums import ratio, wilson

_register = partial(register, reads="values", takes="cells", kinds=("real",))


def rmse_estimate(cells: Cells) -> Estimate:
    """RMSE with deviations, of exact cells."""
    cells = cells.exact
    squares = cells.residuals**2
    values = np.sqrt(means(squares, cells))
    slope = ratio(0.5, values, values > 0)
    return estimate(cells, values, slope[cells.task] * (squares - values[cells.task] ** 2))


def mae_estimate(cells: Cells) -> Estimate:
    """MAE with deviations, of exact cells."""
    cells = cells.exact
    distances = np.abs(cells.residuals)
    values = means(distances, cells)
    return estimate(cells, values, distances - values[cells.task])


def r2_estimate(cells: Cells) -> Estimate:
    """R2 with deviations, of exact cells."""
    cells = cells.exact
    squares, spread = cells.residuals**2, (cells.values - means(cells.values, cells)[cells.task]) ** 2
    error, variance = means(squares, cells), means(spread, cells)
    unexplained = ratio(error, variance, cells.varies)
    slope = ratio(1.0, variance, cells.varies)[cells.task]
    return estimate(cells, 1 - unexplained, -slope * (squares - unexplained[cells.task] * spread))


def share_estimate(cells: Cells, *, within: float) -> Estimate:
    """Share of exact cells predicted within a distance, with deviations."""
    cells = cells.exact
    # Labels and predictions are float32: what is 0.3 away on paper must not be 0.30000019.
    is_near = (np.abs(cells.residuals) <= within + 1e-5).astype(np.float64)
    values = means(is_near, cells)
    return estimate(cells, values, is_near - values[cells.task])


def _r2_interval(cells: Cells) -> Bounds:
    of_r2 = r2_estimate(cells)
    low, high = log_interval(of_r2._replace(values=1 - of_r2.values))
    return Bounds(1 - high, 1 - low)


def _share_interval(cells: Cells, *, within: float) -> Bounds:
    share = share_estimate(cells, within=within)
    return Bounds(*wilson(share.values, share.counts, float(ndtri(0.975))))


@_register(
    "rmse",
    better="lower",
    range=(0.0, np.inf),
    needs="a label",
    interval=interval(rmse_estimate, log_interval),
    title="RMSE",
)
def rmse(cells: Cells) -> np.ndarray:
    """Root of the mean squared difference of predicted and measured value."""
    return rmse_estimate(cells).values


@_register(
    "mae",
    better="lower",
    range=(0.0, np.inf),
    needs="a label",
    interval=interval(mae_estimate, log_interval),
    title="MAE",
    shown=("page",),
)
def mae(cells: Cells) -> np.ndarray:
    """Mean distance of predicted and measured value."""
    return mae_estimate(cells).values


@_register(
    "r2",
    better="higher",
    range=(-np.inf, 1.0),
    interval=_r2_interval,
    title="R2",
)
def r2(cells: Cells) -> np.ndarray:
    """Share of the variance explained: 1 is exact, 0 as good as the mean of these molecules for all."""
    return r2_estimate(cells).values


@_register(
    "within_03",
    better="higher",
    range=(0.0, 1.0),
    needs="a label",
    interval=partial(_share_interval, within=0.3),
    title="Within 0.3",
    shown=("page",),
)
def within_03(cells: Cells) -> np.ndarray:
    """Share of molecules predicted within 0.3 (of a log10 scale: within a factor of 2)."""
    return share_estimate(cells, within=0.3).values


@_register(
    "within_1",
    better="higher",
    range=(0.0, 1.0),
    needs="a label",
    interval=partial(_share_interval, within=1.0),
    title="Within 1",
    shown=("page",),
)
def within_1(cells: Cells) -> np.ndarray:
    """Share of molecules predicted within 1 (of a log10 scale: within a factor of 10)."""
    return share_estimate(cells, within=1.0).values
