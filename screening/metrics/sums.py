"""Sums and ratios of all tasks at once, for the metrics."""

import numpy as np


def sums_between(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Sums over the last axis from each bound to the next, float64 [..., T]; 0 where there is nothing."""
    sums = np.zeros((*values.shape[:-1], len(bounds) - 1))
    filled = np.diff(bounds) > 0
    if filled.any():
        sums[..., filled] = np.add.reduceat(values, bounds[:-1][filled], axis=-1, dtype=np.float64)
    return sums


def spread_between(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Greatest minus least value from each bound to the next, float64 [T]; 0 where there is nothing."""
    spread, filled = np.zeros(len(bounds) - 1), np.diff(bounds) > 0
    if filled.any():
        starts = bounds[:-1][filled]
        spread[filled] = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    return spread


def previous(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The value before each, 0 at the beginning of a task."""
    previous = np.zeros_like(values)
    previous[1:] = values[:-1]
    previous[bounds[:-1][np.diff(bounds) > 0]] = 0
    return previous


def ratio(numerator: np.ndarray | float, denominator: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """numerator / denominator where `defined`, NaN elsewhere."""
    shape = np.broadcast_shapes(np.shape(numerator), denominator.shape)
    return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=defined)


def wilson(share: np.ndarray, trials: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval for a share of so many trials; NaN where there are none."""
    trials = np.where(trials > 0, trials, np.nan)
    centre = share + z**2 / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z**2 / trials
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)
