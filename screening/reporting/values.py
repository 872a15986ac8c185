"""Real values of a run's assays as pages show them: predicted beside measured, errors, numbers with units."""

from typing import NamedTuple

import numpy as np

from ..data.assay_kinds import Assay
from ..data.transforms import transforms
from ..runtime.numbers import short
from ..training.predictions import Predictions

QUANTILES = (5, 25, 50, 75, 95)
"""Percentiles of the errors of an assay that are drawn."""

SIGNS = {-1: "< ", 0: "", 1: "> "}


class Points(NamedTuple):
    """Measured and predicted values of an assay on its trained scale, k molecules."""

    rows: np.ndarray
    """int64 [k], rows of `Predictions.outcome`."""
    measured: np.ndarray
    """float64 [k]; the bound where the value is censored."""
    predicted: np.ndarray
    """float64 [k]"""
    censored: np.ndarray
    """int8 [k], 1 = the true value is above `measured`, -1 = below, 0 = exact."""


def points_of(predictions: Predictions, task: int, most: int) -> Points:
    """The measured molecules of an assay, or `most` of them: evenly over the errors, with the largest."""
    labels, scores = predictions.outcome.labels[:, task], predictions.outcome.scores[:, task]
    rows = np.flatnonzero(~np.isnan(labels))
    measured, predicted = labels[rows].astype(np.float64), scores[rows].astype(np.float64)
    if len(rows) > most:
        order = np.argsort(predicted - measured, kind="stable")
        chosen = np.sort(order[np.linspace(0, len(rows) - 1, most).round().astype(int)])
        rows, measured, predicted = rows[chosen], measured[chosen], predicted[chosen]
    return Points(rows, measured, predicted, censored_at(predictions, task)[rows])


def censored_at(predictions: Predictions, task: int) -> np.ndarray:
    """int8 [n], which labels of an assay are bounds, as in `AssayTable`; rows of `Predictions.outcome`."""
    marks = predictions.outcome.censored
    return np.zeros(len(predictions.outcome.labels), np.int8) if marks is None else marks[:, task]


def errors(predictions: Predictions) -> np.ndarray:
    """Percentiles `QUANTILES` of predicted - measured, on the trained scale: float64 [T, 5].

    Exact values alone; NaN of an assay that has none, and of assays of two classes.
    """
    table = np.full((len(predictions.tasks), len(QUANTILES)), np.nan)
    out = predictions.outcome
    difference = out.scores.astype(np.float64) - out.labels
    if out.censored is not None:
        difference[out.censored != 0] = np.nan
    has_values = predictions.is_real & np.isfinite(difference).any(axis=0)
    if has_values.any():
        table[has_values] = np.nanpercentile(difference[:, has_values], QUANTILES, axis=0).T
    return table


def good_end(assay: Assay) -> str:
    """Which values of an assay a project looks for, on both scales.

    Examples
    --------
    >>> good_end(Assay("Ki", "real", "nM", "neg_log10_molar")), good_end(Assay("B", "real", wanted="low"))
    ('high on the scale -log10 M, low in nM', 'low')
    """
    if assay.transform == "none":
        return assay.wanted
    own = "high" if assay.is_high_good else "low"
    return f"{assay.wanted} on the scale {assay.scale}, {own} in {assay.unit or '%'}"


def value_text(assay: Assay, value: float, censored: int = 0) -> str:
    """A value of the trained scale, and in brackets in the user's unit where that is another scale.

    Parameters
    ----------
    censored : 1 = the true value is above it, -1 = below.

    Examples
    --------
    >>> value_text(Assay("Ki", "real", "nM", "neg_log10_molar"), 5.0, -1)
    '< 5.00 (> 10,000 nM)'
    >>> value_text(Assay("logD", "real"), 2.314)
    '2.31'
    """
    sign = SIGNS[int(censored)]
    unit = assay.unit or ("%" if assay.transform == "logit" else "")
    if assay.transform == "none":
        return f"{sign}{short(value)} {unit}".strip()
    rises = transforms[assay.transform].is_rising
    own = float(assay.in_unit(np.array([value]))[0])
    own_sign = SIGNS[int(censored) * (1 if rises else -1)]
    return f"{sign}{value:.2f} ({own_sign}{short(own)} {unit}".strip() + ")"
