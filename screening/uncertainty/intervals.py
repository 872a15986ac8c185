"""Intervals of real assays with a guaranteed error, per assay (split conformal prediction); no torch.

Fitted on the model's validation values. Sets of labels of binary assays are in `conformal`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import BundleError
from ..runtime import ragged
from .arrays import arrays_of

ERRORS = (0.05, 0.1, 0.2)
"""Errors that `coverage` looks at."""
FLOORS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
"""What is tried as `Intervals.floor`, in standard deviations of the training values."""
LEAST = 50
"""Exact validation values, of all assays together, that it takes to weigh the model's own deviations."""


class Limits(NamedTuple):
    """Lower and upper ends, each float32 [n, T]; infinite where nothing can be said, NaN of classes."""

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Intervals:
    """Distances of the validation values from their predictions, by assay.

    A distance is |value - prediction| / difficulty. The difficulty of a molecule is 1, or, where the model
    gives standard deviations and they tell large errors from small ones, sqrt(sd^2 + floor^2).
    """

    is_real: np.ndarray
    """bool [T]; the other assays have no interval."""
    floor: np.ndarray
    """float64 [T], on the trained scale; infinite where the difficulty is 1."""
    exact: np.ndarray
    """float32, distances of the values that were measured exactly, ascending within an assay."""
    exact_bounds: np.ndarray
    """int64 [T + 1]: assay t has the distances exact_bounds[t] to exact_bounds[t + 1]."""
    every: np.ndarray
    """float32, the same and those of censored values, of assays that have such: how far the bound is beyond
    the prediction, 0 where the prediction agrees with it."""
    every_bounds: np.ndarray
    """int64 [T + 1]"""

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        labels: np.ndarray,
        is_real: np.ndarray,
        *,
        censored: np.ndarray | None = None,
        sd: np.ndarray | None = None,
        deviation: np.ndarray | None = None,
    ) -> "Intervals":
        """From predictions [n, T] of validation molecules and their labels [n, T], NaN = not measured.

        Parameters
        ----------
        is_real : bool [T].
        censored : int8 [n, T] as in `AssayTable`; None = no label is a bound.
        sd : float [n, T], standard deviations that the model gives, NaN = none; None = none at all.
        deviation : float [T], of the training values; None = 1. The unit of `FLOORS`.
        """
        is_real = np.asarray(is_real, bool)
        is_exact = np.isfinite(labels) & is_real
        is_bound = np.zeros_like(is_exact)
        if censored is not None:
            is_bound, is_exact = is_exact & (censored != 0), is_exact & (censored == 0)
        unit = np.ones(labels.shape[1]) if deviation is None else np.asarray(deviation, np.float64)
        away = np.asarray(labels, np.float64) - values
        floor = _floor(away, is_exact, is_exact | is_bound, sd, unit)
        distance = np.abs(away) / _difficulty(floor, away.shape, sd)
        if censored is not None:
            distance = np.where(is_bound & (away * censored < 0), 0.0, distance)
        with_bounds = (is_exact | is_bound) & is_bound.any(0)
        return cls(is_real, floor, *_sorted(distance, is_exact), *_sorted(distance, with_bounds))

    @property
    def n_tasks(self) -> int:
        """T"""
        return len(self.is_real)

    @property
    def is_scaled(self) -> np.ndarray:
        """bool [T], whether the model's own standard deviations make an interval wider or narrower."""
        return np.isfinite(self.floor)

    @property
    def n_exact(self) -> np.ndarray:
        """int64 [T], exact validation values."""
        return np.diff(self.exact_bounds)

    @property
    def n_censored(self) -> np.ndarray:
        """int64 [T], censored validation values."""
        every = np.diff(self.every_bounds)
        return np.where(every > 0, every - self.n_exact, 0)

    def radius(self, alpha: float) -> np.ndarray:
        """float32 [T], half the width of the intervals at error `alpha`, for a difficulty of 1.

        It is the distance of rank ceil((n + 1)(1 - alpha)) among n; infinite where n is smaller than that.
        The larger of that among the exact values and that among all values: the error is at most `alpha` both
        for molecules that are measured exactly (the value is outside) and for all (the value is outside, or a
        bound leaves nothing of the interval).
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha}: expected a share between 0 and 1, such as 0.1.")
        of_all = _ranked(self.every, self.every_bounds, alpha)
        of_all = np.where(np.diff(self.every_bounds) > 0, of_all, 0)
        return np.maximum(_ranked(self.exact, self.exact_bounds, alpha), of_all)

    def limits(self, values: np.ndarray, alpha: float, sd: np.ndarray | None = None) -> Limits:
        """Both ends for predictions [n, T], on the trained scale.

        The true value of a molecule exchangeable with the validation part is outside with probability at most
        `alpha`, whatever the model (but for `floor`, one number for all assays, which the same values chose).
        A new chemical series is not exchangeable: look at `domain` too.

        References
        ----------
        Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, Distribution-free predictive inference for regression,
        JASA 113, 1094, 2018, algorithm 2 and section 5.2. https://doi.org/10.1080/01621459.2017.1307116
        Censored values: ours.

        Raises
        ------
        ValueError : an assay is fitted with standard deviations, and `sd` is None.
        """
        if sd is None and self.is_scaled.any():
            raise ValueError("these intervals go by the model's standard deviations: give `sd`.")
        half = self.radius(alpha) * _difficulty(self.floor, values.shape, sd)
        half = np.where(self.is_real & np.isfinite(values), half, np.nan)
        return Limits((values - half).astype(np.float32), (values + half).astype(np.float32))

    def reasons(self, alpha: float) -> list[str]:
        """Why an assay has no limits at error `alpha`, T texts; "" where it has, and for classes."""
        least = int(np.ceil(1 / alpha - 1e-9)) - 1
        has_none = np.isinf(self.radius(alpha)) & self.is_real
        said = "{} exact validation values: an interval at error {} takes {} or more."
        return [
            said.format(n or "No", f"{alpha:g}", least) if none else ""
            for n, none in zip(self.n_exact.tolist(), has_none.tolist(), strict=True)
        ]

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Intervals":
        """The intervals of which `state` was taken; BundleError where arrays are missing or do not fit."""
        intervals = cls(*arrays_of(state, _ARRAYS, "intervals"))
        if not intervals._is_consistent():
            raise BundleError("The arrays of the intervals do not fit together. Train again.")
        return intervals

    def _is_consistent(self) -> bool:
        n_tasks = (len(self.is_real),)
        pairs = ((self.exact, self.exact_bounds), (self.every, self.every_bounds))
        fits = self.is_real.dtype == bool and self.floor.shape == self.is_real.shape == n_tasks
        fits = fits and bool((self.floor > 0).all())
        return fits and all(
            ragged.are_bounds(bounds, len(distances))
            and len(bounds) == n_tasks[0] + 1
            and bool((np.isfinite(distances) & (distances >= 0)).all())
            for distances, bounds in pairs
        )


_ARRAYS = ("is_real", "floor", "exact", "exact_bounds", "every", "every_bounds")


def coverage(
    intervals: Intervals,
    values: np.ndarray,
    labels: np.ndarray,
    tasks: Sequence[str],
    *,
    censored: np.ndarray | None = None,
    sd: np.ndarray | None = None,
    errors: Sequence[float] = ERRORS,
) -> pd.DataFrame:
    """How often intervals hold what was measured on molecules they were not fitted on.

    A row per real assay and error. Columns: assay, error, fitted and fitted_censored (validation values),
    scaled (by the model's standard deviations), half_width (median over the measured molecules, on the
    trained scale), measured (exact values), covered (their share inside), censored, agree (share of the
    bounds that leave something of the interval), reason.
    """
    is_bound = np.isfinite(labels) & intervals.is_real
    is_exact = is_bound if censored is None else is_bound & (censored == 0)
    is_bound = is_bound & ~is_exact
    above = np.ones(labels.shape, bool) if censored is None else censored > 0
    tables = []
    for error in errors:
        low, high = intervals.limits(values, error, sd)
        inside = (labels >= low) & (labels <= high)
        agrees = np.where(above, labels <= high, labels >= low)
        columns = {
            "assay": np.array(tasks, object),
            "error": np.full(len(tasks), error),
            "fitted": intervals.n_exact,
            "fitted_censored": intervals.n_censored,
            "scaled": intervals.is_scaled,
            "half_width": _medians((high - low) / 2, is_exact | is_bound),
            "measured": is_exact.sum(0),
            "covered": _share(inside & is_exact, is_exact),
            "censored": is_bound.sum(0),
            "agree": _share(agrees & is_bound, is_bound),
            "reason": np.array(intervals.reasons(error), object),
        }
        tables.append(pd.DataFrame(columns)[intervals.is_real])
    return pd.concat(tables, ignore_index=True)


def _floor(
    away: np.ndarray, is_exact: np.ndarray, is_used: np.ndarray, sd: np.ndarray | None, unit: np.ndarray
) -> np.ndarray:
    """[T]: one of `FLOORS` for all assays, or infinite: the likeliest for normal errors of that difficulty.

    Each assay has a free factor besides, as its own distances will give it one. `is_used` are the cells whose
    difficulty counts: an assay with one that has no standard deviation is not scaled.
    """
    can = np.zeros(len(unit), bool) if sd is None else ~(is_used & ~np.isfinite(sd)).any(0) & is_used.any(0)
    cells = is_exact & can
    if sd is None or cells.sum() < LEAST:
        return np.full(len(unit), np.inf)
    task, row = np.nonzero(cells.T)
    errors, own, units = np.square(away[row, task]), np.square(sd[row, task].astype(np.float64)), unit[task]
    counts = np.bincount(task, minlength=len(unit))

    def misfit(variance: np.ndarray) -> float:
        factors = np.bincount(task, errors / variance, len(unit)) / np.maximum(counts, 1)
        return float(np.log(variance).sum() + (counts * np.log(np.maximum(factors, 1e-12))).sum())

    misfits = [misfit(own + np.square(floor * units)) for floor in FLOORS]
    best = int(np.argmin(misfits))
    chosen = FLOORS[best] if misfits[best] < misfit(np.square(units)) - 1e-9 else np.inf
    return np.where(can, chosen * unit, np.inf)


def _difficulty(floor: np.ndarray, shape: tuple[int, ...], sd: np.ndarray | None) -> np.ndarray:
    """float64 [n, T], 1 where there is no floor."""
    if sd is None:
        return np.ones(shape)
    is_scaled = np.isfinite(floor)
    scaled = np.sqrt(np.square(sd, dtype=np.float64) + np.square(np.where(is_scaled, floor, 1.0)))
    return np.where(is_scaled, scaled, 1.0)


def _sorted(distances: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chosen distances by assay, ascending, and where each assay's begin and end."""
    task, row = np.nonzero(chosen.T)
    values = distances[row, task].astype(np.float32)
    order = np.lexsort((values, task))
    return values[order], np.searchsorted(task, np.arange(chosen.shape[1] + 1))


def _ranked(distances: np.ndarray, bounds: np.ndarray, alpha: float) -> np.ndarray:
    """float32 [T], the distance of rank ceil((n + 1)(1 - alpha)) of each assay's n; infinite beyond n."""
    n = np.diff(bounds)
    rank = np.maximum(np.ceil((n + 1) * (1 - alpha) - 1e-9).astype(np.int64), 1)
    places = np.where(rank <= n, bounds[:-1] + rank - 1, len(distances))
    return np.append(distances, np.float32(np.inf))[places]


def _share(chosen: np.ndarray, among: np.ndarray) -> np.ndarray:
    """[T], NaN where there is nothing to count."""
    counts = among.sum(0)
    return np.where(counts > 0, chosen.sum(0) / np.maximum(counts, 1), np.nan)


def _medians(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """[T], medians of the chosen values of each column; NaN where there are none."""
    ordered, bounds = _sorted(values, chosen)
    n = np.diff(bounds)
    middle = np.stack([bounds[:-1] + (n - 1) // 2, bounds[:-1] + n // 2])
    of_all = np.append(ordered, np.float32(np.nan))[np.where(n > 0, middle, len(ordered))]
    return of_all.mean(0)
