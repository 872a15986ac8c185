"""Which tasks should train together: groups chosen from the effects that tasks have on each other.

`affinity[i, j]` is the effect of a step on task i upon task j (row = who steps, column = who is affected),
NaN where the pair was never seen together; the diagonal is not used. Groups are tuples of sorted task
numbers. How affinities are measured is in `affinity`, the search itself in `covers` and `cover_search`, the
file of groups in `task_groups`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..data.sparse_cells import Cells, has_label, take_columns
from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from .cover_search import search
from .covers import EXACT_LIMIT, Problem, exact

NEVER = -1e6
"""Score, in units of the largest effect, of a task alone where that is not allowed; the authors' -1e6."""
METHODS = ("auto", "exact", "greedy")
"""Ways to search: auto = exact up to EXACT_LIMIT tasks, else greedy merging with local improvement."""
DROPPED = ("spectral", "agglomerative")
"""Ways of earlier versions. As further starts of the search they raised the score of the groups by less than
a hundredth, and models trained in such groups were not measurably better (docs/results.md)."""

Groups = Sequence[Sequence[int]]
Cost = Callable[[tuple[int, ...]], float]
"""Cost of training one network on a group, relative to the joint model."""


@dataclass(frozen=True)
class Grouping:
    """Groups of tasks, and for every task why it is where it is. Arrays are [T], effects as the affinity."""

    groups: tuple[tuple[int, ...], ...]
    """Sorted task numbers of each group; groups in the order of their members. A task may be in several."""
    serves: np.ndarray
    """int64: the group whose network scores the task: where its score is highest, the first of equals."""
    scores: np.ndarray
    """float64: mean effect of the known other members on the task, in that group; NaN where none is known."""
    joint: np.ndarray
    """float64: the same with all tasks in one group."""
    runner_up: np.ndarray
    """float64: the best score in another group that has the task; NaN where there is none."""
    best_partner: np.ndarray
    """int64: the member of that group that helps the task most; -1 where none is known."""
    worst_member: np.ndarray
    """int64: the member that helps it least or harms it most; -1 where none is known."""
    objective: float
    """Mean of the scores over the tasks that have one; NaN if none has."""
    method: str
    """How the groups were found: one of METHODS but auto, or what the caller says."""
    notes: tuple[str, ...] = ()
    """What was decided on the way, for the user."""


def select_groups(
    affinity: np.ndarray, n_groups: int, *, method: str = "auto", singletons: bool | np.ndarray = False
) -> Grouping:
    """At most K groups, overlap allowed, with the highest mean over tasks of the best score.

    The score of a task in a group is the mean effect of the other members on it; each task is served by the
    group where its score is highest. Of equals those with fewer groups win, then smaller groups (exact
    search), then those with the first tasks.

    Parameters
    ----------
    affinity : [T, T], NaN = pair never seen together: left out of the mean. A task that knows no other
        member of its group scores as if alone. A task of which no pair is known (an assay without labels) is
        not searched for; it joins the largest group, and a note says so.
    n_groups : K, 1 to T.
    method : one of METHODS. All but "exact" look for a local optimum, the same every time.
    singletons : True: a task may have a group of its own, where it scores 0 (no help, no harm), which is
        better than partners that harm it. An array [T] gives the scores of tasks alone. False: never.

    Raises
    ------
    ConfigError : K out of range, unknown method, or "exact" with more than EXACT_LIMIT tasks.
    DataError : the affinity is not square, or has an infinite entry.

    References
    ----------
    TAG: Fifty, Amid, Zhao, Yu, Anil, Finn, Efficiently Identifying Task Groupings for Multi-Task Learning,
    NeurIPS 2021, https://arxiv.org/abs/2109.04617; the objective as in the authors' code
    (google-research/google-research, tag/network_selection/TAG_network_selection.ipynb, Apache-2.0), which
    tries all covers and gives singletons -1e6.
    """
    problem = _problem(affinity, singletons)
    _check(problem.n_tasks, n_groups, method)
    linked = np.flatnonzero((problem.is_known.sum(axis=0) + problem.is_known.sum(axis=1)) > 0)
    inner = Problem(
        problem.effects[np.ix_(linked, linked)],
        problem.is_known[np.ix_(linked, linked)],
        problem.alone[linked],
    )
    cover, found_by = _search(inner, min(n_groups, len(linked)), method)
    groups = sorted(tuple(linked[row].tolist()) for row in cover)
    lost = np.setdiff1d(np.arange(problem.n_tasks), linked).tolist()
    notes: tuple[str, ...] = ()
    if lost:
        groups.sort(key=lambda group: (-len(group), group))
        groups = [tuple(sorted([*groups[0], *lost])), *groups[1:]] if groups else [tuple(lost)]
        notes = (
            f"No pair is known of {len(lost)} of {problem.n_tasks} assays: they join the largest group.",
        )
    return judge_groups(affinity, groups, singletons=singletons, method=found_by, notes=notes)


def select_within_budget(
    affinity: np.ndarray,
    budget: float,
    *,
    cost: Cost | None = None,
    method: str = "auto",
    singletons: bool | np.ndarray = False,
) -> Grouping:
    """The groups for the most networks whose training costs at most `budget` times that of the joint model.

    Without `cost` a network costs as much as the joint model, whatever its group: the encoder sees all
    molecules and takes most of the time. With it (such as `label_cost`) K grows from 1 until the groups found
    cost more; the last that do not are taken.

    Raises
    ------
    ConfigError : budget below 1, or as `select_groups`.
    """
    if not budget >= 1:
        raise ConfigError(
            f"The budget is {budget}: expected 1 or more, in units of training the joint model once."
        )
    n = len(affinity)
    if cost is None:
        return select_groups(affinity, int(min(budget, n)), method=method, singletons=singletons)
    chosen = select_groups(affinity, 1, method=method, singletons=singletons)
    for k in range(2, n + 1):
        grouping = select_groups(affinity, k, method=method, singletons=singletons)
        if sum(map(cost, grouping.groups)) > budget:
            break
        chosen = grouping
    return chosen


def label_cost(labels: Cells) -> Cost:
    """Cost of a group as the share of molecules with a label in it, of those with a label at all.

    `labels` are [n, T], NaN = not measured. A network trains
    on the molecules that have labels for its tasks only, so groups of rarely measured assays are cheap.
    """
    total = max(1, int(has_label(labels).sum()))
    return lambda group: float(has_label(take_columns(labels, np.array(group))).sum() / total)


def judge_groups(
    affinity: np.ndarray,
    groups: Groups,
    *,
    singletons: bool | np.ndarray = False,
    method: str = "given",
    notes: tuple[str, ...] = (),
) -> Grouping:
    """What the objective says of given groups; parameters as `select_groups`.

    A task without a score in any of its groups (it knows no other member, and `singletons` is False) is
    served by the largest, and left out of the mean.

    Raises
    ------
    ValueError : a task is in no group, or a number is not one of a task.
    """
    problem = _problem(affinity, singletons)
    n = problem.n_tasks
    in_order = tuple(sorted({tuple(sorted(set(group))) for group in groups}))
    if sorted({task for group in in_order for task in group}) != list(range(n)):
        raise ValueError(f"The groups have to cover the tasks 0 to {n - 1}, and no others.")
    cover = np.array([np.isin(np.arange(n), group) for group in in_order])
    scores = _known_scores(problem, cover, singletons)
    sizes = np.where(cover, cover.sum(axis=1)[:, None], 0)
    is_scored = ~np.isnan(scores).all(axis=0)
    order = np.where(np.isnan(scores), -np.inf, scores)
    serves = np.where(is_scored, order.argmax(axis=0), sizes.argmax(axis=0))
    tasks = np.arange(n)
    best = scores[serves, tasks]
    order[serves, tasks] = -np.inf
    second = order.max(axis=0)
    partners, effects = (
        cover[serves].T & (problem.is_known > 0),
        problem.effects,
    )  # [s, t]: s is with t, and known
    return Grouping(
        groups=in_order,
        serves=serves,
        scores=best,
        joint=_known_scores(problem, np.ones((1, n), dtype=bool), singletons)[0],
        runner_up=np.where(second > -np.inf, second, np.nan),
        best_partner=np.where(partners.any(axis=0), np.where(partners, effects, -np.inf).argmax(axis=0), -1),
        worst_member=np.where(partners.any(axis=0), np.where(partners, effects, np.inf).argmin(axis=0), -1),
        objective=float(best[is_scored].mean()) if is_scored.any() else float("nan"),
        method=method,
        notes=notes,
    )


def explain_groups(
    grouping: Grouping, affinity: np.ndarray, tasks: Sequence[str], error: np.ndarray | None = None
) -> pd.DataFrame:
    """One row per assay: which group serves it, and why.

    Columns: assay; group (counted from 1, as in groups.yaml); size of the group; score in it, in the joint
    model, and in the best other group that has the assay (empty: none); best_partner and worst_member of the
    group with their effects; `error`, of the best one, from the standard errors given; status: "ok", "alone",
    "no pair known".
    """
    names = np.array([*tasks, ""], dtype=object)
    columns = np.arange(len(tasks))
    sizes = np.array([len(group) for group in grouping.groups])[grouping.serves]
    has_partner = grouping.best_partner >= 0
    errors = np.full(affinity.shape, np.nan) if error is None else error
    return pd.DataFrame(
        {
            "assay": list(tasks),
            "group": grouping.serves + 1,
            "size": sizes,
            "score": grouping.scores,
            "score_joint": grouping.joint,
            "score_next": grouping.runner_up,
            "best_partner": names[grouping.best_partner],
            "best_effect": np.where(has_partner, affinity[grouping.best_partner, columns], np.nan),
            "error": np.where(has_partner, errors[grouping.best_partner, columns], np.nan),
            "worst_member": names[grouping.worst_member],
            "worst_effect": np.where(has_partner, affinity[grouping.worst_member, columns], np.nan),
            "status": np.where(has_partner, "ok", np.where(sizes == 1, "alone", "no pair known")),
        }
    )


def _problem(affinity: np.ndarray, singletons: bool | np.ndarray) -> Problem:
    """The affinity without diagonal and gaps, checked."""
    affinity = np.asarray(affinity, dtype=np.float64)
    if affinity.ndim != 2 or affinity.shape[0] != affinity.shape[1] or not affinity.size:
        raise DataError(
            f"The affinity has the shape {affinity.shape}: expected one row and column per assay."
        )
    off = ~np.eye(len(affinity), dtype=bool)
    bad = np.argwhere(np.isinf(affinity) & off)
    if len(bad):
        raise DataError(
            f"The affinity of row {bad[0][0]}, column {bad[0][1]} is {affinity[tuple(bad[0])]} ({len(bad)} "
            "such entries): expected finite numbers, or NaN for a pair never seen together."
        )
    is_known = ~np.isnan(affinity) & off
    effects = np.where(is_known, affinity, 0.0)
    if singletons is False:
        never = NEVER * max(1.0, float(np.abs(effects).max()))
        alone = np.where(is_known.any(axis=0), never, 0.0)
    else:
        alone = np.zeros(len(affinity)) if singletons is True else np.asarray(singletons, dtype=np.float64)
        if alone.shape != affinity.shape[:1] or not np.isfinite(alone).all():
            raise DataError(
                f"Scores of singletons: expected {len(affinity)} finite numbers, found {singletons}."
            )
    return Problem(effects, is_known.astype(np.float64), alone)


def _check(n_tasks: int, n_groups: int, method: str) -> None:
    if not 1 <= n_groups <= n_tasks:
        raise ConfigError(
            f"{n_groups} groups of {n_tasks} assays: expected 1 to {n_tasks} groups. Ask for fewer groups."
        )
    if method in DROPPED:
        raise ConfigError(
            f"The grouping method '{method}' was dropped: models in its groups were no better. Use 'auto'."
        )
    if method not in METHODS:
        raise ConfigError(f"There is no grouping method '{method}'. {did_you_mean(method, METHODS)}")
    if method == "exact" and n_tasks > EXACT_LIMIT:
        raise ConfigError(
            f"The exact search is for {EXACT_LIMIT} assays at most, here are {n_tasks}. Use 'auto'."
        )


def _search(problem: Problem, n_groups: int, method: str) -> tuple[np.ndarray, str]:
    """The cover, and how it was found."""
    if n_groups <= 1:
        return np.ones((min(1, problem.n_tasks), problem.n_tasks), dtype=bool), "exact"
    if method == "exact" or (method == "auto" and problem.n_tasks <= EXACT_LIMIT):
        return exact(problem, n_groups), "exact"
    return search(problem, n_groups), "greedy"


def _known_scores(problem: Problem, cover: np.ndarray, singletons: bool | np.ndarray) -> np.ndarray:
    """Scores [K, T], NaN outside the group, and where no other member is known unless singletons score."""
    counts = cover
    if singletons is False:
        counts = cover & (cover.astype(np.float64) @ problem.is_known > 0)
    return np.where(counts, problem.scores(cover), np.nan)
