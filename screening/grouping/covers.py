"""Covers: at most K groups of tasks, overlap allowed, such that each task is in one; and the best of all.

A cover is a boolean matrix [K, T], a row per group. Arrays in, arrays out: what the numbers mean, the rules
for tasks without data and the user's mistakes are the matter of `selection`. Where there are too many tasks
for `exact`, `cover_search` looks for a good one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

EXACT_LIMIT = 15
"""Tasks up to which every group is looked at: 3^T steps, 14 million here; three times more with each task."""
ROUNDING = 1e-12
"""Two objectives closer than this share of the largest entry, times T, count as equal."""


@dataclass(frozen=True)
class Problem:
    """What a cover is judged by."""

    effects: np.ndarray
    """float64 [T, T]: effect of the row's task on the column's; 0 where unknown and on the diagonal."""
    is_known: np.ndarray
    """float64 [T, T]: 1 where the effect is known, else 0; the diagonal is 0."""
    alone: np.ndarray
    """float64 [T]: score of a task in a group where it knows no other member."""

    @property
    def n_tasks(self) -> int:
        """T."""
        return len(self.alone)

    @cached_property
    def tolerance(self) -> float:
        """What an objective must gain at least, in the sum over tasks, to count as better."""
        return ROUNDING * self.n_tasks * max(1e-300, float(np.abs(self.effects).max(initial=0)))

    def scores(self, cover: np.ndarray) -> np.ndarray:
        """Score of each task in each group [K, T]: mean effect of the known other members; -inf outside."""
        members = cover.astype(np.float64)
        scores = means(members @ self.effects, members @ self.is_known, self.alone)
        return np.where(cover, scores, -np.inf)

    def total(self, cover: np.ndarray) -> float:
        """Sum over tasks of the best score; -inf if a task is in no group."""
        return float(self.scores(cover).max(axis=0).sum())


def means(sums: np.ndarray, counts: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Sums divided by counts, `otherwise` where the count is 0; the arguments broadcast."""
    return np.where(counts > 0.5, sums / np.maximum(counts, 1), otherwise)


def exact(problem: Problem, n_groups: int) -> np.ndarray:
    """The best cover; among equals one with the fewest groups, and those with the fewest members.

    Every task is served by one group, so a cover is a partition of the tasks into sets served, and a group
    around each. `best[A]` = the highest total of the tasks A in one group that has them all, and then

        most[k][S] = max over A in S, A with the first task of S, of best[A] + most[k - 1][S without A]

    Each of the two runs over all pairs of a set and a subset, 3^T of them, whatever K is: trying all covers
    (the authors' way) takes (2^T)^K. T = 12, K = 4: 0.5 million against 10^13.

    References
    ----------
    The objective is that of TAG (see `selection`); dynamic programming over subsets as in Lawler, A note on
    the complexity of the chromatic number problem, Inf. Process. Lett. 5, 1976,
    https://doi.org/10.1016/0020-0190(76)90065-X.
    """
    n = problem.n_tasks
    sets = np.arange(1 << n)
    members = (sets[:, None] >> np.arange(n)[::-1] & 1).astype(bool)  # the first task is the highest bit
    below = _Subsets(n)
    best, group = _best_groups(problem, members, below)
    most = np.full((n_groups + 1, 1 << n), -np.inf)
    most[0, 0] = 0
    served = np.zeros((n_groups + 1, 1 << n), dtype=np.int64)
    for whole in range(1, 1 << n):
        first = 1 << (whole.bit_length() - 1)
        parts = first | below.of(whole ^ first)
        totals = best[parts] + most[:-1, whole ^ parts]
        chosen = totals.argmax(axis=1)
        most[1:, whole] = totals[np.arange(n_groups), chosen]
        served[1:, whole] = parts[chosen]
    left = (1 << n) - 1
    k = int(np.argmax(most[:, left] >= most[:, left].max() - problem.tolerance))
    chosen_groups = []
    for level in range(k, 0, -1):
        part = served[level, left]
        chosen_groups.append(members[group[part]])
        left ^= part
    return np.array(chosen_groups)


def _best_groups(problem: Problem, members: np.ndarray, below: "_Subsets") -> tuple[np.ndarray, np.ndarray]:
    """For every set of tasks: its highest total in one group that has them all, and that group, [2^T]."""
    n = problem.n_tasks
    whole = (1 << n) - 1
    scores = problem.scores(members)
    order = members.sum(axis=1) * (whole + 1) - np.arange(whole + 1)  # small first, then first tasks first
    best, group = np.zeros(whole + 1), np.zeros(whole + 1, dtype=np.int64)
    for part in range(1, whole + 1):
        around = part | below.of(whole ^ part)
        totals = scores[np.ix_(around, np.flatnonzero(members[part]))].sum(axis=1)
        equal = around[totals >= totals.max() - problem.tolerance]
        group[part] = equal[order[equal].argmin()]
        best[part] = totals.max()
    return best, group


class _Subsets:
    """Lists of the subsets of a set, sets being bits of a number below 2^n; put together from two halves."""

    def __init__(self, n: int) -> None:
        self.half = n // 2 + n % 2
        low = [np.zeros(1, dtype=np.int64)]
        for whole in range(1, 1 << self.half):
            bit = 1 << (whole.bit_length() - 1)
            low.append(np.concatenate([low[whole ^ bit], low[whole ^ bit] | bit]))
        self.low = low

    def of(self, whole: int) -> np.ndarray:
        """All subsets of `whole`, ascending: the empty set first."""
        high = self.low[whole >> self.half] << self.half
        return (high[:, None] | self.low[whole & ((1 << self.half) - 1)]).ravel()
