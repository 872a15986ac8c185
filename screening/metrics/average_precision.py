"""Average precision, of every task or of all (molecule, task) pairs in one ranking."""

import numpy as np

from .contract import register
from .ranking import Ranking, rank
from .sums import ratio, sums_between


@register("average_precision", better="higher", range=(0.0, 1.0), takes="ranking", title="AP")
def average_precision(ranking: Ranking) -> np.ndarray:
    """Mean, over the actives, of the share of actives among all molecules that score at least as high.

    The step-wise sum of scikit-learn and OGB, without interpolation; a random order gives the base rate.
    """
    steps = ranking.steps
    reached = ranking.actives[steps.task] - steps.actives_below
    looked_at = ranking.counts[steps.task] - steps.actives_below - steps.inactives_below
    return ratio(
        sums_between(steps.actives * (reached / looked_at), steps.bounds), ranking.actives, ranking.has_both
    )


def pooled_average_precision(
    labels: np.ndarray, scores: np.ndarray, is_real: np.ndarray | None = None
) -> float:
    """Average precision of all (molecule, task) pairs in one ranking (micro); NaN where a class is missing.

    Real assays, of which `is_real` [T] is true, take no part.

    What SLAW's authors report; OGB reports the mean over tasks. Frequent tasks dominate it.
    """
    if is_real is not None and np.any(is_real):
        labels, scores = np.asarray(labels)[:, ~is_real], np.asarray(scores)[:, ~is_real]
    return float(average_precision(rank(_flat(labels), _flat(scores)))[0])


def _flat(table: np.ndarray) -> np.ndarray:
    return np.asarray(table).reshape(-1, 1)
