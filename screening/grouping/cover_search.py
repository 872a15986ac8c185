"""Searching for a good cover of many tasks: greedy merging, then local improvement; the same every time.

Called by `selection`, with problems too large for `covers.exact`. Never worse than what it begins with.
"""

import numpy as np

from .covers import Problem, means

PASSES = 300
"""Of local improvement at most; 20 to 60 are usual at T = 617."""
REBUILDS = 60
"""Groups dissolved at most: 20 to 40 are usual at T = 617, K = 8; K = 32 would go on to 350, 0.2 s each."""
CANDIDATES = 64
"""Changes tried in a pass, the most promising first: a pass costs as much as some hundred trials."""

Flips = tuple[tuple[int, int], ...]
"""Memberships (group, task) that change together, from in to out or from out to in."""


def search(problem: Problem, n_groups: int) -> np.ndarray:
    """A cover [K, T] of at most `n_groups` groups, improved until nothing that was tried helps.

    On 120 random and structured matrices of 8 and 12 tasks, K = 2 to 6, it is the best cover in 78 % of the
    cases and has 99.1 % of the best one's gain over the joint group on average. Clusters as other starts
    (spectral, average linkage) make that 88 and 99.7 %, less than affinities differ between two trainings.
    """
    return rebuild(problem, improve(problem, greedy(problem, n_groups), n_groups), n_groups)


def greedy(problem: Problem, n_groups: int) -> np.ndarray:
    """Groups of one, merged two at a time where the total gains most (or loses least), down to K groups.

    Goes on below K while a merge gains. Two groups that meet have all pairs' scores at hand in sums over one
    group per row, so a merge costs G x T for G groups.
    """
    n = problem.n_tasks
    owner = np.arange(n)
    sums, counts = problem.effects.copy(), problem.is_known.copy()  # [G, T], of the members of each group
    own = problem.alone.copy()
    while len(sums) > 1:
        to_join = means(sums + sums[owner, np.arange(n)], counts + counts[owner, np.arange(n)], problem.alone)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(sums)))
        change = np.add.reduceat((to_join - own)[:, order], starts, axis=1)
        gain = change + change.T
        np.fill_diagonal(gain, -np.inf)
        a, b = divmod(int(gain.argmax()), len(sums))
        if len(sums) <= n_groups and gain[a, b] <= problem.tolerance:
            break
        a, b = min(a, b), max(a, b)
        own = np.where(owner == a, to_join[b], np.where(owner == b, to_join[a], own))
        sums[a] += sums[b]
        counts[a] += counts[b]
        sums, counts = np.delete(sums, b, axis=0), np.delete(counts, b, axis=0)
        owner = np.where(owner == b, a, owner - (owner > b))
    return owner == np.arange(len(sums))[:, None]


def improve(problem: Problem, cover: np.ndarray, n_groups: int) -> np.ndarray:
    """A cover of at most K groups, not worse than `cover`, that no promising change improves.

    A task joins a group, leaves one or moves; two tasks open a group while there are fewer than K; when
    nothing of that helps, two tasks swap places. All changes of a kind are weighed at once, exactly where
    groups do not overlap and all pairs are known; the most promising are then tried one by one, and kept if
    the total gains.
    """
    state = _State(problem, np.zeros((n_groups, problem.n_tasks), dtype=bool))
    state.cover[: len(cover)] = cover
    for _ in range(PASSES):
        state = _State(problem, _serving(problem, state.cover))
        if not (state.take_all(_single_changes(state)) or state.take_all(_swap_changes(state))):
            break
    return state.cover[state.cover.any(axis=1)]


def rebuild(problem: Problem, cover: np.ndarray, n_groups: int) -> np.ndarray:
    """The cover, improved further by dissolving its groups one after the other, until none of that helps.

    The tasks that the group serves join their next best, and another group opens where it pays.
    """
    total, since = problem.total(cover), 0
    for turn in range(REBUILDS):
        if since == len(cover) or len(cover) == 1:
            break
        rebuilt = improve(problem, _without(problem, cover, turn % len(cover)), n_groups)
        since += 1
        if problem.total(rebuilt) > total + problem.tolerance:
            cover, total, since = rebuilt, problem.total(rebuilt), 0
    return cover


def _without(problem: Problem, cover: np.ndarray, group: int) -> np.ndarray:
    """The cover without a group, the tasks it serves in the group where they score best then."""
    state = _State(problem, cover)
    orphans = np.flatnonzero(state.home == group)
    inside = means(state.sums, state.counts, problem.alone)
    inside[group] = -np.inf
    rest = cover.copy()
    rest[inside[:, orphans].argmax(axis=0), orphans] = True
    return np.delete(rest, group, axis=0)


def _serving(problem: Problem, cover: np.ndarray) -> np.ndarray:
    """The cover with the groups emptied that are the best of no task."""
    home = problem.scores(cover).argmax(axis=0)
    return cover & np.isin(np.arange(len(cover)), home)[:, None]


class _State:
    """A cover with the sums its scores are made of, kept up to date as memberships flip."""

    def __init__(self, problem: Problem, cover: np.ndarray) -> None:
        self.problem, self.cover = problem, cover.copy()
        members = cover.astype(np.float64)
        self.sums, self.counts = members @ problem.effects, members @ problem.is_known
        self.scores = problem.scores(cover)
        self.total = float(self.scores.max(axis=0).sum())

    @property
    def best(self) -> np.ndarray:
        """Best score of each task [T]."""
        return self.scores.max(axis=0)

    @property
    def home(self) -> np.ndarray:
        """Group of the best score [T], the first of equals."""
        return self.scores.argmax(axis=0)

    @property
    def elsewhere(self) -> np.ndarray:
        """Best score of each task in the groups other than the row's, [K, T]; -inf where there is none."""
        if len(self.scores) == 1:
            return np.full_like(self.scores, -np.inf)
        second, best = np.partition(self.scores, len(self.scores) - 2, axis=0)[-2:]
        return np.where(np.arange(len(self.scores))[:, None] == self.home, second, best)

    def take_all(self, changes: list[Flips]) -> int:
        """Try the changes one after the other; how many were taken."""
        return sum([self.take(flips) for flips in changes])

    def take(self, flips: Flips) -> bool:
        """Flip the memberships if the total gains."""
        rows = sorted({group for group, _ in flips})
        cover, sums, counts = self.cover[rows], self.sums[rows], self.counts[rows]
        for group, task in flips:
            row = rows.index(group)
            sign = -1 if cover[row, task] else 1
            cover[row, task] ^= True
            sums[row] += sign * self.problem.effects[task]
            counts[row] += sign * self.problem.is_known[task]
        scores = self.scores.copy()
        scores[rows] = np.where(cover, means(sums, counts, self.problem.alone), -np.inf)
        total = float(scores.max(axis=0).sum())
        if not total > self.total + self.problem.tolerance:
            return False
        self.cover[rows], self.sums[rows], self.counts[rows] = cover, sums, counts
        self.scores, self.total = scores, total
        return True


def _single_changes(state: _State) -> list[Flips]:
    """Joining, leaving, moving and opening: the changes with the highest estimated gains, best first."""
    home = state.home.tolist()
    toggle, move = _toggles_and_moves(state)
    changes: list[tuple[float, Flips]] = []
    changes += [(gain, ((k, t),)) for gain, k, t in _highest(toggle, state.problem.tolerance)]
    changes += [(gain, ((home[t], t), (k, t))) for gain, k, t in _highest(move, state.problem.tolerance)]
    empty = np.flatnonzero(~state.cover.any(axis=1))
    if len(empty):
        free = int(empty[0])
        for gain, t, u in _highest(_openings(state), state.problem.tolerance):
            changes.append((gain, tuple({(free, t), (free, u)})))
    return [flips for _, flips in sorted(changes, key=lambda change: -change[0])[:CANDIDATES]]


def _swap_changes(state: _State) -> list[Flips]:
    """The swaps with the highest estimated gains, best first."""
    home = state.home.tolist()
    swaps = _highest(_swaps(state), state.problem.tolerance)
    return [((home[t], t), (home[u], t), (home[u], u), (home[t], u)) for _, t, u in swaps]


def _highest(gains: np.ndarray, least: float) -> list[tuple[float, int, int]]:
    """The CANDIDATES highest entries above `least` with their places, highest first."""
    places = np.flatnonzero(gains > least)
    places = places[np.argsort(-gains.ravel()[places], kind="stable")[:CANDIDATES]]
    rows, columns = np.unravel_index(places, gains.shape)
    return list(zip(gains[rows, columns].tolist(), rows.tolist(), columns.tolist(), strict=True))


def _toggles_and_moves(state: _State) -> tuple[np.ndarray, np.ndarray]:
    """Gains [K, T] if the task joins the group, or leaves it if in; and if it moves there from its best."""
    problem, cover = state.problem, state.cover
    best, home, elsewhere = state.best, state.home, state.elsewhere
    others = np.zeros_like(state.scores)  # gain of the other members
    for k, members in enumerate(cover):
        group = np.flatnonzero(members)
        sign = np.where(members, -1.0, 1.0)[:, None]
        sums = state.sums[k, group] + sign * problem.effects[:, group]
        counts = state.counts[k, group] + sign * problem.is_known[:, group]
        gains = np.maximum(means(sums, counts, problem.alone[group]), elsewhere[k, group]) - best[group]
        gains[group, np.arange(len(group))] = 0
        others[k] = gains.sum(axis=1)
    inside = means(state.sums, state.counts, problem.alone)  # a task's score in the group, if it were in
    toggle = others + np.where(cover, elsewhere - best, np.maximum(inside - best, 0))
    tasks = np.arange(problem.n_tasks)
    move = others + others[home, tasks] + np.maximum(inside, elsewhere[home, tasks]) - best
    return toggle, np.where(cover, -np.inf, move)


def _swaps(state: _State) -> np.ndarray:
    """Gains [T, T] if two tasks swap the groups that serve them; -inf below the diagonal.

    A group keeps its size, so the scores of its other members are linear in who is in it.
    """
    problem, tasks = state.problem, np.arange(state.problem.n_tasks)
    best, home, elsewhere = state.best, state.home, state.elsewhere
    share = 1 / np.maximum(state.counts[home, tasks], 1)
    given = ((home == np.arange(len(state.cover))[:, None]) * share) @ problem.effects.T  # [K, T] by the task
    inside = means(
        (state.sums[home] - problem.effects).T,
        (state.counts[home] - problem.is_known).T,
        problem.alone[:, None],
    )
    half = given[home].T - given[home, tasks][:, None] - problem.effects * share
    half += np.maximum(inside, elsewhere[home, tasks][:, None]) - best[:, None]
    is_out = ~state.cover[home].T
    return np.where(np.triu(is_out & is_out.T, 1), half + half.T, -np.inf)


def _openings(state: _State) -> np.ndarray:
    """Gains [T, T] if two tasks open a group of their own, on the diagonal one task; -inf below it."""
    problem = state.problem
    to_column = np.where(problem.is_known > 0, problem.effects, problem.alone) - state.best
    gains = np.maximum(to_column, 0)
    return np.where(np.triu(np.ones_like(gains)) > 0, (gains + gains.T) / (1 + np.eye(len(gains))), -np.inf)
