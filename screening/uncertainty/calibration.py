"""Calibration: probabilities that mean what they say, per assay, fitted on validation labels; no torch.

A method of the registry `calibrations` takes probabilities and labels of the validation part and gives a
`Calibration`. Sets with a guaranteed error are in `conformal`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.special import expit, logit

from ..data.sparse_cells import ROWS, Cells, SparseCells, measured_cells, n_equal
from ..errors import BundleError
from ..metrics.contract import metrics
from ..metrics.per_assay import FEW
from ..registry import Registry
from ..runtime import ragged

EFFECT = ("log_loss", "brier", "calibration_error", "roc_auc")
"""Metrics that `effect` compares."""

_LARGEST_LOG_SLOPE = 4.0  # slopes from 1/55 to 55: what is beyond says nothing about probabilities
_FAR = 100.0  # logits of float32 probabilities are within -88 and 17
_DOUBT = 0.1  # variance of the imaginary assay of `platt`; keeps the priors from closing
_ROUNDS, _STEPS = 12, 40


@dataclass(frozen=True)
class Calibration:
    """One increasing curve per assay, from the model's probability to a calibrated one."""

    method: str
    """Name in `calibrations`."""
    slope: np.ndarray
    """float64 [T], above 0: the calibrated logit is slope * logit + intercept."""
    intercept: np.ndarray
    """float64 [T]."""
    actives: np.ndarray
    """int64 [T], active molecules it was fitted on."""
    inactives: np.ndarray
    """int64 [T]."""
    bounds: np.ndarray
    """int64 [T + 1]: assay t has the knots bounds[t] to bounds[t + 1]; without knots its line holds."""
    knots: np.ndarray
    """float64, logits, ascending within an assay; the curve is straight between them and flat beyond."""
    values: np.ndarray
    """float64, calibrated probability at each knot."""

    @property
    def n_tasks(self) -> int:
        """T"""
        return len(self.slope)

    def take(self, columns: Sequence[int]) -> "Calibration":
        """The calibration of some assays, in that order."""
        tasks = np.asarray(columns, np.int64)
        sizes = np.diff(self.bounds)[tasks]
        places = ragged.spans(self.bounds[tasks], sizes)
        return Calibration(
            self.method,
            self.slope[tasks],
            self.intercept[tasks],
            self.actives[tasks],
            self.inactives[tasks],
            ragged.bounds(sizes),
            self.knots[places],
            self.values[places],
        )

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [n, T] of the model's; of the same dtype, NaN stays NaN."""
        if self.method == "none":
            return probabilities
        logits = _logits(probabilities)
        kind = logits.dtype
        calibrated = expit(self.slope.astype(kind) * logits + self.intercept.astype(kind))
        stepped = np.flatnonzero(np.diff(self.bounds))
        if stepped.size:
            calibrated[:, stepped] = self._on_knots(logits[:, stepped], stepped)
        return calibrated

    def _on_knots(self, logits: np.ndarray, stepped: np.ndarray) -> np.ndarray:
        """All curves laid end to end are one curve: one interpolation for all assays."""
        task = ragged.owners(np.diff(self.bounds))
        first, last = self.knots[self.bounds[stepped]], self.knots[self.bounds[stepped + 1] - 1]
        places = np.clip(logits, first, last) + 3 * _FAR * stepped
        return np.interp(places, self.knots + 3 * _FAR * task, self.values)

    def reasons(self) -> list[str]:
        """Why an assay has no fit of its own, T texts; "" where it has."""
        if self.method == "none":
            return [""] * len(self.slope)
        counts = zip(self.actives.tolist(), self.inactives.tolist(), np.diff(self.bounds), strict=True)
        return [_reason(*count, isotonic=self.method == "isotonic") for count in counts]

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a file; `restore` reads them."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {"method": np.frombuffer(self.method.encode(), np.uint8), **arrays}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> "Calibration":
        """The calibration of which `state` was taken.

        Raises
        ------
        BundleError : an array is missing, of a wrong shape, or not a number.
        """
        missing = [name for name in ("method", *_ARRAYS) if name not in state]
        if missing:
            raise BundleError(f"The calibration lacks {', '.join(missing)}. Train again.")
        method = state["method"].tobytes().decode(errors="replace")
        calibration = cls(method, *(state[name] for name in _ARRAYS))
        if method not in calibrations.names() or not calibration._is_consistent():
            raise BundleError(
                f"The calibration ('{method}', {calibration.n_tasks} assays) is not one this version reads: "
                f"expected {', '.join(calibrations.names())} with finite curves. Train again."
            )
        return calibration

    def _is_consistent(self) -> bool:
        lengths = {len(self.slope), len(self.intercept), len(self.actives), len(self.inactives)}
        fits = lengths == {len(self.bounds) - 1} and ragged.are_bounds(self.bounds, len(self.knots))
        numbers = (self.slope, self.intercept, self.knots, self.values)
        return fits and len(self.knots) == len(self.values) and all(np.isfinite(x).all() for x in numbers)


_ARRAYS = ("slope", "intercept", "actives", "inactives", "bounds", "knots", "values")

calibrations: Registry[Callable[..., Calibration]] = Registry("calibration")
register = calibrations.register


@calibrations.register("none")
def none(probabilities: np.ndarray, labels: Cells) -> Calibration:
    """Probabilities as the model gives them."""
    n_tasks = labels.shape[1]
    return _lines("none", np.ones(n_tasks), np.zeros(n_tasks), labels)


@calibrations.register("temperature")
def temperature(probabilities: np.ndarray, labels: Cells, *, pooled: bool = True) -> Calibration:
    """One number per assay: its logits divided by a temperature; the decision at 0.5 stays.

    Parameters
    ----------
    pooled : assays lean on each other as far as their labels are few (see `platt`); False fits each alone.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017, section 4.2.
    https://arxiv.org/abs/1706.04599 (there one temperature for all classes).
    """
    sample = _sample(probabilities, labels)
    sample = sample._replace(centre=np.zeros_like(sample.centre))
    fitted = _fit(sample, np.array([True, False]), pooled)
    return _lines("temperature", np.exp(fitted[0]), fitted[1], labels)


@calibrations.register("platt")
def platt(
    probabilities: np.ndarray, labels: Cells, *, smoothing: bool = True, pooled: bool = True
) -> Calibration:
    """Two numbers per assay, slope (above 0) and intercept of its logits, shared out by partial pooling.

    Each assay's log slope and its shift at its mean logit have a normal prior whose mean and variance are
    fitted to all assays together (EM; one imaginary assay that needs no calibration counts among them). An
    assay with many labels follows its labels; one without any takes the mean of the others.

    Parameters
    ----------
    smoothing : Platt's targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) in place of 1 and 0.
    pooled : False fits each assay alone; one without labels then stays as it is.

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers, 1999,
    section 2.2. Fisher scoring with damping instead of his Levenberg-Marquardt; the slope's logarithm is
    fitted, so that the order of molecules cannot turn round. Pooling: Laplace approximation within EM, as
    Bishop, Pattern Recognition and Machine Learning (2006), sections 4.4 and 9.3.4.
    """
    sample = _sample(probabilities, labels)
    if smoothing:
        actives, inactives = (_per_task(sample, x) for x in (sample.targets, 1 - sample.targets))
        high, low = (actives + 1) / (actives + 2), 1 / (inactives + 2)
        sample = sample._replace(targets=np.where(sample.targets == 1, high[sample.task], low[sample.task]))
    log_slope, shift = _fit(sample, np.array([True, True]), pooled)
    slope = np.exp(log_slope)
    return _lines("platt", slope, shift + sample.centre * (1 - slope), labels)


@calibrations.register("isotonic")
def isotonic(
    probabilities: np.ndarray, labels: Cells, *, least: Annotated[int, Field(ge=2)] = 30
) -> Calibration:
    """The best increasing curve per assay, without a shape; makes ties, so the order loses a little.

    Values are kept 1 / (n + 2) away from 0 and 1, n labels, because a curve that says "never" after n
    inactives does not know it.

    Parameters
    ----------
    least : actives and inactives that an assay must have; others are fitted as `platt`.

    References
    ----------
    Zadrozny, Elkan, Transforming classifier scores into accurate multiclass probability estimates, KDD
    2002. https://doi.org/10.1145/775047.775151
    """
    from sklearn.isotonic import IsotonicRegression  # a third of a second that scoring does not need

    lines, sample = platt(probabilities, labels), _sample(probabilities, labels)
    first = np.searchsorted(sample.task, np.arange(labels.shape[1] + 1))
    knots, values = [np.zeros(0)], [np.zeros(0)]
    bounds = np.zeros(labels.shape[1] + 1, np.int64)
    for task in np.flatnonzero((lines.actives >= least) & (lines.inactives >= least)):
        part = slice(first[task], first[task + 1])
        margin = 1 / (part.stop - part.start + 2)
        curve = IsotonicRegression(y_min=margin, y_max=1 - margin)
        curve.fit(sample.logits[part], sample.targets[part])
        knots.append(curve.X_thresholds_)
        values.append(curve.y_thresholds_)
        bounds[task + 1] = len(knots[-1])
    of_all = (np.concatenate(arrays).astype(np.float64) for arrays in (knots, values))
    whole = dict(zip(("knots", "values"), of_all, strict=True))
    return replace(lines, method="isotonic", bounds=np.cumsum(bounds), **whole)


def compare(labels: np.ndarray, before: np.ndarray, after: np.ndarray, tasks: Sequence[str]) -> pd.DataFrame:
    """What calibration changed on molecules it was not fitted on: one row per assay.

    Columns: assay, then `<metric>_before` and `<metric>_after` for each of `EFFECT`, NaN where the assay
    lacks the labels. Labels and probabilities are [n, T].
    """
    columns: dict[str, Sequence[str] | np.ndarray] = {"assay": list(tasks)}
    for name in EFFECT:
        columns[f"{name}_before"] = metrics.get(name)(labels, before)
        columns[f"{name}_after"] = metrics.get(name)(labels, after)
    return pd.DataFrame(columns)


def effect(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `compare` over its assays: one row for each of `EFFECT`.

    Columns: metric, before and after (means over the assays that have the number), better (assays with
    an improvement of more than 1e-6), worse, and assays.
    """
    rows = []
    for name in EFFECT:
        old, new = (table[f"{name}_{when}"].to_numpy(float) for when in ("before", "after"))
        has_both = np.isfinite(old) & np.isfinite(new)
        gain = (new - old)[has_both] * (1 if metrics.get(name).better == "higher" else -1)
        means = (old[has_both].mean(), new[has_both].mean()) if has_both.any() else (np.nan, np.nan)
        rows.append((name, *means, int((gain > 1e-6).sum()), int((gain < -1e-6).sum()), int(has_both.sum())))
    return pd.DataFrame(rows, columns=["metric", "before", "after", "better", "worse", "assays"])


class _Sample(NamedTuple):
    """The measured entries of all assays, k in all, by assay."""

    logits: np.ndarray
    """float64 [k]"""
    targets: np.ndarray
    """float64 [k]"""
    task: np.ndarray
    """int64 [k], ascending"""
    centre: np.ndarray
    """float64 [T], mean logit of the assay over all molecules, measured or not."""


def _sample(probabilities: np.ndarray, labels: Cells) -> _Sample:
    if len(labels.shape) != 2 or labels.shape != probabilities.shape:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape}: expected [n, T].")
    if isinstance(labels, SparseCells):
        return _sample_of_cells(probabilities, labels)
    by_task, logits = labels.T, _logits(probabilities).T.astype(np.float64)
    measured = np.isfinite(by_task)
    task = ragged.owners(measured.sum(axis=1))
    centre = logits.mean(axis=1) if logits.shape[1] else np.zeros(len(logits))
    return _Sample(logits[measured], by_task[measured].astype(np.float64), task, centre)


def _sample_of_cells(probabilities: np.ndarray, labels: SparseCells) -> _Sample:
    """The same of labels that are kept as their cells, whose array would be large."""
    rows, tasks, values = measured_cells(labels)
    order = np.argsort(tasks, kind="stable")
    rows, tasks = rows[order], tasks[order]
    starts = range(0, len(probabilities), ROWS)
    sums = [_logits(probabilities[at : at + ROWS]).sum(axis=0, dtype=np.float64) for at in starts]
    centre = np.sum(sums, axis=0) / max(len(probabilities), 1) if sums else np.zeros(labels.shape[1])
    logits = _logits(probabilities[rows, tasks]).astype(np.float64)
    return _Sample(logits, values[order].astype(np.float64), tasks, centre)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits of float32 or float64 probabilities, finite at 0 and 1 too."""
    limits = np.finfo(probabilities.dtype)
    return logit(np.clip(probabilities, np.finfo(np.float32).tiny, 1 - limits.epsneg))


def _lines(method: str, slope: np.ndarray, intercept: np.ndarray, labels: np.ndarray) -> Calibration:
    nothing, bounds = np.zeros(0), np.zeros(labels.shape[1] + 1, np.int64)
    actives, inactives = (n_equal(labels, value) for value in (1, 0))
    return Calibration(method, slope, intercept, actives, inactives, bounds, nothing, nothing)


def _reason(actives: int, inactives: int, knots: int, *, isotonic: bool) -> str:
    if actives + inactives == 0:
        return "No validation label: it is calibrated as the other assays are on average."
    if actives == 0 or inactives == 0:
        return f"{actives} active and {inactives} inactive in validation: mostly calibrated as other assays."
    if actives < FEW or inactives < FEW:
        return f"Only {actives} active and {inactives} inactive in validation: leans on the other assays."
    if isotonic and not knots:
        return f"{actives} active and {inactives} inactive in validation: too few for a curve, so a line."
    return ""


def _fit(sample: _Sample, free: np.ndarray, pooled: bool) -> np.ndarray:
    """Log slope and shift of each assay [2, T]; parameters that are not `free` stay 0."""
    n_tasks = len(sample.centre)
    mean, variance = np.zeros(2), np.ones(2)
    if not pooled:
        return _posterior(sample, np.zeros((2, n_tasks)), mean, 1e9 * variance, free)[0]
    fitted = np.zeros((2, n_tasks))
    labelled = np.bincount(sample.task, minlength=n_tasks) > 0  # the others follow, and say nothing
    n_labelled = int(labelled.sum())
    for _ in range(_ROUNDS):
        fitted, spread = _posterior(sample, fitted, mean, variance, free)
        mean = fitted[:, labelled].sum(axis=1) / (n_labelled + 1)
        squares = ((fitted - mean[:, None]) ** 2 + spread)[:, labelled].sum(axis=1)
        variance = (squares + mean**2 + _DOUBT) / (n_labelled + 1)
    return fitted


def _posterior(
    sample: _Sample, start: np.ndarray, mean: np.ndarray, variance: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Most likely parameters [2, T] under normal priors, and their variances [2, T].

    Fisher scoring of all assays at once; each assay has its own damping, which grows where a step made
    its loss larger (and is taken back) and shrinks where it helped.
    """
    best, damping = start, np.full(start.shape[1], 1e-3)
    loss, gradient, information = _derivatives(sample, best, mean, variance, free)
    for _ in range(_STEPS):
        step = _solve(information, gradient, damping)
        tried = np.clip(best - step, [[-_LARGEST_LOG_SLOPE], [-_FAR]], [[_LARGEST_LOG_SLOPE], [_FAR]])
        derivatives = _derivatives(sample, tried, mean, variance, free)
        helped = derivatives[0] <= loss
        damping = np.where(helped, damping / 10, damping * 10)
        moved = np.abs(tried - best).max(initial=0)
        best, loss = np.where(helped, tried, best), np.where(helped, derivatives[0], loss)
        gradient = np.where(helped, derivatives[1], gradient)
        information = np.where(helped, derivatives[2], information)
        if moved < 1e-7:
            break
    a, b, c = information
    return best, np.stack([c, a]) / np.maximum(a * c - b**2, 1e-300) * free[:, None]


def _derivatives(
    sample: _Sample, parameters: np.ndarray, mean: np.ndarray, variance: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss [T] in nats, gradient [2, T] and Fisher information [3, T] (11, 12, 22), priors included."""
    slope, shift, task = np.exp(parameters[0]), parameters[1], sample.task
    stretched = slope[task] * (sample.logits - sample.centre[task])
    fitted = stretched + sample.centre[task] + shift[task]
    residual = expit(fitted) - sample.targets
    weight = expit(fitted) * expit(-fitted)
    away = parameters - mean[:, None]
    loss = _per_task(sample, np.logaddexp(0, fitted) - sample.targets * fitted)
    gradient = np.stack([_per_task(sample, residual * stretched), _per_task(sample, residual)])
    information = [_per_task(sample, weight * x) for x in (stretched**2, stretched, np.ones_like(stretched))]
    precision = 1 / variance
    both = free.all()
    return (
        loss + 0.5 * (precision[:, None] * away**2 * free[:, None]).sum(axis=0),
        (gradient + precision[:, None] * away) * free[:, None],
        np.stack(
            [information[0] + precision[0], information[1] * both, information[2] * free[1] + precision[1]]
        ),
    )


def _solve(information: np.ndarray, gradient: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Damped steps [2, T] of T problems of two parameters."""
    a, b, c = information[0] * (1 + damping), information[1], information[2] * (1 + damping)
    determinant = np.maximum(a * c - b**2, 1e-300)
    return np.stack([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]]) / determinant


def _per_task(sample: _Sample, values: np.ndarray) -> np.ndarray:
    return np.bincount(sample.task, values, len(sample.centre))
