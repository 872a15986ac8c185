"""Learning curves as numbers: an inverse power law, what twice as many labels would give, with its error.

Arrays in, arrays out, for C curves at once; `learning_curves` measures them.
"""

from typing import NamedTuple

import numpy as np

EXPONENTS = np.linspace(0.1, 1.5, 29)
"""Exponents that are tried: those of learning curves lie between 0.1 and 1 (Hestness et al.)."""
AHEAD = 2.0
"""How many times the labels of today are looked ahead to."""
DRAWS = 500
"""Draws of the curves from their errors: the ends of an interval are then known to about a tenth of it."""
SURE = (0.025, 0.975)
WORTH = 0.01
"""Concordance that is worth measuring for: the gain that "yes" and "no" are about."""
WIDEST = 0.2
"""Width of an interval of the gain from which on it says nothing."""

_DRAWN_AT_ONCE = 2**22

YES, PERHAPS, NO, FLAT, UNTOLD = "yes", "perhaps", "hardly", "no rise is seen", "cannot be told"


class Curves(NamedTuple):
    """C measured curves of S shares, the last of which is the whole."""

    x: np.ndarray
    """float64 [C, S], labels at each share, as a share of those of the whole."""
    y: np.ndarray
    """float64 [C, S], concordance, mean over seeds; NaN where there is none."""
    covariance: np.ndarray
    """float64 [C, S, S] of y, from the test molecules and from the seeds."""


class Law(NamedTuple):
    """y = ceiling - slope x ** -exponent, [...] each."""

    ceiling: np.ndarray
    slope: np.ndarray
    exponent: np.ndarray

    def at(self, x: float) -> np.ndarray:
        """The concordance at so many times the labels of the whole."""
        return self.ceiling - self.slope * x**-self.exponent


class Extrapolated(NamedTuple):
    """What the curves say, [C] each; NaN where a curve does not carry it."""

    law: Law
    rise: np.ndarray
    """Concordance of the whole minus that of the smallest share."""
    rise_low: np.ndarray
    rise_high: np.ndarray
    ahead: np.ndarray
    """Concordance at `AHEAD` times the labels."""
    ahead_low: np.ndarray
    ahead_high: np.ndarray
    gain: np.ndarray
    """Of that over the whole."""
    gain_low: np.ndarray
    gain_high: np.ndarray
    answer: np.ndarray
    """C texts: YES, PERHAPS, NO, FLAT or UNTOLD."""
    reason: np.ndarray
    """C texts: why it cannot be told."""


def fit_law(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Law:
    """The inverse power law with the least weighted squares, of every curve.

    The slope is at least 0 (more labels do no harm) and the ceiling at most 1. For each exponent of
    `EXPONENTS` the other two have a closed form.

    Parameters
    ----------
    x, weights : [..., S].
    y : [..., S]; x and weights are broadcast to it.

    References
    ----------
    Figueroa, Zeng-Treitler, Kandula, Ngo, BMC Medical Informatics and Decision Making 12, 8 (2012), equation
    1, https://doi.org/10.1186/1472-6947-12-8; Hestness et al., https://arxiv.org/abs/1712.00409.
    """
    shape = np.broadcast_shapes(x.shape, y.shape, weights.shape)
    w = np.broadcast_to(weights, shape)[..., None, :]
    w = w / w.sum(axis=-1, keepdims=True)
    z = np.broadcast_to(x, shape)[..., None, :] ** -EXPONENTS[:, None]  # [..., G, S]
    values = y[..., None, :]
    mean_y, mean_z = (w * values).sum(-1), (w * z).sum(-1)
    about = z - mean_z[..., None]
    slope = np.maximum(-(w * about * values).sum(-1) / (w * about**2).sum(-1), 0.0)
    ceiling = mean_y + slope * mean_z
    capped = np.maximum((w * z * (1 - values)).sum(-1) / (w * z**2).sum(-1), 0.0)
    slope, ceiling = np.where(ceiling > 1, capped, slope), np.minimum(ceiling, 1.0)
    errors = (w * (values - ceiling[..., None] + slope[..., None] * z) ** 2).sum(-1)
    best = errors.argmin(axis=-1)[..., None]
    law = (np.take_along_axis(each, best, axis=-1)[..., 0] for each in (ceiling, slope))
    return Law._make([*law, EXPONENTS[best[..., 0]]])


def extrapolate(curves: Curves, *, seed: int, draws: int = DRAWS) -> Extrapolated:
    """What twice as many labels would give, with 95 % intervals from draws of the curves.

    A curve is not carried further where it is not known with its errors, where it has fewer than three
    different shares, where no rise is seen, where the law through the smaller shares misses the whole by more
    than the errors allow, and where the interval of the gain is wider than `WIDEST`.

    Parameters
    ----------
    seed : of the draws.
    """
    n_curves, n_shares = curves.y.shape
    variance = np.diagonal(curves.covariance, axis1=1, axis2=2)
    is_known = (
        np.isfinite(curves.y).all(1) & np.isfinite(curves.covariance).all((1, 2)) & (variance > 0).all(1)
    )
    has_shares = (np.diff(curves.x, axis=1) > 0.01).sum(axis=1) >= 2
    usable = np.flatnonzero(is_known & has_shares)
    numbers = np.full((9, n_curves), np.nan)
    misses = np.zeros(n_curves, bool)
    at_once = max(1, _DRAWN_AT_ONCE // (draws * len(EXPONENTS) * n_shares))
    for start in range(0, len(usable), at_once):
        rows = usable[start : start + at_once]
        part = Curves(curves.x[rows], curves.y[rows], curves.covariance[rows])
        generator = np.random.default_rng([seed, start])
        numbers[:, rows], misses[rows] = _carried(part, _drawn(part, generator, draws))
    law = Law(np.full(n_curves, np.nan), np.full(n_curves, np.nan), np.full(n_curves, np.nan))
    if len(usable):
        fitted = fit_law(curves.x[usable], curves.y[usable], 1 / variance[usable])
        for into, each in zip(law, fitted, strict=True):
            into[usable] = each
    return _judged(law, numbers, misses, is_known, has_shares)


def _drawn(curves: Curves, generator: np.random.Generator, draws: int) -> np.ndarray:
    """Draws [C, draws, S] of the curves, normal with their covariance."""
    values, vectors = np.linalg.eigh(curves.covariance)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]  # [C, S, S]
    normal = generator.standard_normal((len(curves.y), draws, curves.y.shape[1]))
    return curves.y[:, None, :] + np.einsum("cst,cdt->cds", roots, normal)


def _carried(curves: Curves, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of `Extrapolated` [9, C], and whether the smaller shares miss the whole [C]."""
    weights = 1 / np.diagonal(curves.covariance, axis1=1, axis2=2)
    x = curves.x
    law, laws = fit_law(x, curves.y, weights), fit_law(x[:, None], drawn, weights[:, None])
    sd = np.sqrt(curves.covariance[:, 0, 0] + curves.covariance[:, -1, -1] - 2 * curves.covariance[:, 0, -1])
    rise = curves.y[:, -1] - curves.y[:, 0]
    ahead, gain = laws.at(AHEAD), laws.at(AHEAD) - laws.at(1.0)
    numbers = [rise, rise - 1.96 * sd, rise + 1.96 * sd]
    numbers += [law.at(AHEAD), *np.quantile(ahead, SURE, axis=1)]
    numbers += [law.at(AHEAD) - law.at(1.0), *np.quantile(gain, SURE, axis=1)]
    if x.shape[1] < 4:
        return np.array(numbers), np.zeros(len(x), bool)
    smaller = fit_law(x[:, None, :-1], drawn[..., :-1], weights[:, None, :-1])
    low, high = np.quantile(drawn[..., -1] - smaller.at(1.0), SURE, axis=1)
    return np.array(numbers), (low > 0) | (high < 0)


def _judged(
    law: Law, numbers: np.ndarray, misses: np.ndarray, is_known: np.ndarray, has_shares: np.ndarray
) -> Extrapolated:
    """The answers; numbers that a curve does not carry become NaN."""
    rise_low, low, high = numbers[1], numbers[7], numbers[8]
    is_flat = ~(rise_low > 0)
    reason = np.select(
        [~is_known, ~has_shares, misses & ~is_flat, (high - low > WIDEST) & ~is_flat],
        [
            "the concordance at some share, or its error, is not known",
            "fewer than three shares with different numbers of labels",
            "the smaller shares foretell another quality than the whole has: no power law",
            f"the interval of the gain is wider than {WIDEST}",
        ],
        "",
    ).astype(object)
    answer = np.select(
        [reason != "", is_flat, low >= WORTH, high < WORTH], [UNTOLD, FLAT, YES, NO], PERHAPS
    ).astype(object)
    kept = numbers.copy()
    kept[3:, (answer == UNTOLD) | (answer == FLAT)] = np.nan
    return Extrapolated._make([law, *kept, answer, reason])
