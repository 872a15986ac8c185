"""How many of the actives stand at the top of the list, which is all that a screen buys."""

import numpy as np

from .contract import register
from .ranking import Ranking
from .sums import ratio, sums_between


@register("bedroc", better="higher", range=(0.0, 1.0), takes="ranking", title="BEDROC", shown=("page",))
def bedroc(ranking: Ranking, *, alpha: float = 20.0) -> np.ndarray:
    """Early recognition, BEDROC: 0 worst order, 1 best; alpha 20 puts 80 % of the weight on the top 8 %.

    Molecules with equal scores share the mean weight of the ranks they fill.

    References
    ----------
    Truchon, Bayly, J. Chem. Inf. Model. 47, 488 (2007), https://doi.org/10.1021/ci600426e, equation 36.
    """
    if not alpha > 0:
        raise ValueError(f"alpha is {alpha}: expected a number above 0, such as 20.")
    steps, share = ranking.steps, ratio(ranking.actives, ranking.counts, ranking.has_both)
    rate = ratio(alpha, ranking.counts, ranking.counts > 0)
    size = steps.actives + steps.inactives
    above = ranking.counts[steps.task] - steps.actives_below - steps.inactives_below - size
    rate_of_step = rate[steps.task]
    # Mean of exp(-rate r) over the ranks r = above + 1 ... above + size, but for a factor that cancels.
    weight = np.exp(-rate_of_step * above) * np.expm1(-rate_of_step * size) / size
    sums = sums_between(steps.actives * weight, steps.bounds)
    mean = ratio(sums, ranking.actives, ranking.has_both) * ranking.counts
    best = np.expm1(-alpha * share) / share
    worst = best * np.exp(-alpha * (1 - share))
    return np.clip((mean - worst) / (best - worst), 0, 1)


@register("ef_1pct", better="higher", range=(0.0, 100.0), takes="ranking", title="EF 1 %", digits=1)
def enrichment_factor(ranking: Ranking, *, fraction: float = 0.01) -> np.ndarray:
    """Share of actives in the top 1 % (rounded up to whole molecules) over that in the whole assay.

    Where the limit falls into molecules of equal score, their actives count in proportion.
    """
    top, places = _top(ranking, fraction), np.zeros(len(ranking.tasks), dtype=np.int64)
    has = ranking.has_both
    places[has] = ranking.bounds[1:][has] - top[has]
    if not has.any():
        return np.full(len(has), np.nan)
    start, end = ranking.tie_bounds(places)
    before_start, before_end = np.searchsorted(ranking.active_places, [start, end])
    hits = ranking.active_bounds[1:] - before_end
    hits = hits + (before_end - before_start) * ((end - places) / (end - start))
    return ratio(hits * ranking.counts, top * ranking.actives, has)


def enrichment_factor_max(ranking: Ranking, *, fraction: float = 0.01) -> np.ndarray:
    """The enrichment factor of a perfect order: all of the top are actives, or all actives in the top."""
    top = _top(ranking, fraction)
    hits = np.minimum(top, ranking.actives)
    return ratio(hits * ranking.counts, top * ranking.actives, ranking.has_both)


def _top(ranking: Ranking, fraction: float) -> np.ndarray:
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}: expected a number above 0 and up to 1, such as 0.01.")
    # 0.07 * 100 is 7.000000000000001: what is meant is 7.
    return np.ceil(np.round(fraction * ranking.counts, 9)).astype(np.int64)
