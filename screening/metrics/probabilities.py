"""How far probabilities are from what was measured."""

import numpy as np
from scipy.special import entr

from .contract import register
from .ranking import Ranking
from .sums import ratio, sums_between


@register(
    "log_loss",
    better="lower",
    range=(0.0, np.inf),
    needs="a label",
    reads="probabilities",
    takes="ranking",
    title="log-loss",
    shown=(),
)
def log_loss(ranking: Ranking) -> np.ndarray:
    """Mean cross-entropy in nats; compare with base_entropy.

    Probabilities are kept 1.2e-7 away from 0 and 1, as scikit-learn does for float32; here for float64 too,
    so that models which compute in one and in the other compare.
    """
    least = np.finfo(np.float32).eps
    of_label = np.where(ranking.is_active, ranking.probabilities, 1 - ranking.probabilities)
    of_label = np.clip(of_label, least, 1 - least)
    return ratio(sums_between(-np.log(of_label), ranking.bounds), ranking.counts, ranking.counts > 0)


@register(
    "base_entropy",
    better=None,
    range=(0.0, float(np.log(2))),
    needs="a label",
    takes="ranking",
    shown=(),
)
def base_entropy(ranking: Ranking) -> np.ndarray:
    """Log-loss in nats of predicting the assay's base rate for every molecule."""
    rate = ratio(ranking.actives, ranking.counts, ranking.counts > 0)
    return entr(rate) + entr(1 - rate)


@register(
    "brier",
    better="lower",
    range=(0.0, 1.0),
    needs="a label",
    reads="probabilities",
    takes="ranking",
    title="Brier score",
    shown=(),
)
def brier(ranking: Ranking) -> np.ndarray:
    """Mean squared difference of probability and label (Brier score)."""
    return ratio(sums_between(ranking.residuals**2, ranking.bounds), ranking.counts, ranking.counts > 0)


@register(
    "calibration_error",
    better="lower",
    range=(0.0, 1.0),
    needs="a label",
    reads="probabilities",
    takes="ranking",
    title="Calibr. error",
    shown=("page",),
)
def calibration_error(ranking: Ranking, *, bins: int = 10) -> np.ndarray:
    """Mean gap of probability and share of actives over 10 bins of equal numbers of molecules (adaptive ECE).

    Bins of equal width would put nearly all molecules of an assay with rare actives into one. Molecules
    of equal probability stay together, in the lower of the bins they could belong to.

    References
    ----------
    Nguyen, O'Connor, Posterior calibration and exploratory analysis, EMNLP 2015,
    https://aclanthology.org/D15-1182, section 3 (there with the root mean square).
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}: expected at least 1.")
    first = ranking.bounds[:-1, None] + ranking.counts[:, None] * np.arange(bins) // bins
    first = np.unique(ranking.tie_bounds(first[ranking.counts > 0])[0])
    gaps = np.abs(sums_between(ranking.residuals, np.append(first, len(ranking.keys))))
    sums = sums_between(gaps, np.searchsorted(first, ranking.bounds))
    return ratio(sums, ranking.counts, ranking.counts > 0)
