"""Which assays of a run are alike, as tables of its page: clusters, pairs, and what pairs have in common."""

from typing import NamedTuple

import numpy as np

from ..evaluation.verdicts import Likeness

PAIRS = 12
"""Rows of the list of pairs."""


class Cluster(NamedTuple):
    """Assays whose predictions go together."""

    number: int
    assays: list[str]
    correlation: float
    """Mean over its pairs, of the predictions."""


def clusters(alike: Likeness, tasks: tuple[str, ...]) -> list[Cluster]:
    """Clusters of two and more assays, largest first."""
    rows = []
    for number in np.unique(alike.clusters).tolist():
        members = alike.order[alike.clusters[alike.order] == number]
        if len(members) > 1:
            block = alike.scores[np.ix_(members, members)]
            mean = float((block.sum() - len(members)) / (len(members) * (len(members) - 1)))
            rows.append(Cluster(number, [tasks[task] for task in members], mean))
    return sorted(rows, key=lambda cluster: -len(cluster.assays))


class Pair(NamedTuple):
    """Two assays and how their labels and predictions go together."""

    first: str
    second: str
    labels: float
    scores: float
    shared: int


def best_pairs(alike: Likeness, tasks: tuple[str, ...]) -> list[Pair]:
    """The pairs whose labels are most alike."""
    above = np.triu(np.nan_to_num(alike.labels, nan=-2), 1) + np.tril(np.full(alike.labels.shape, -2.0))
    best = np.argsort(-above, axis=None, kind="stable")[:PAIRS]
    places = [divmod(place, len(tasks)) for place in best.tolist() if above.flat[place] > -2]
    return [
        Pair(tasks[a], tasks[b], alike.labels[a, b], alike.scores[a, b], int(alike.shared[a, b]))
        for a, b in places
    ]


class Shared(NamedTuple):
    """How many molecules two assays have in common."""

    median: float
    few: float
    """Share of the pairs with fewer than 30."""
    correlation: float
    """Mean over pairs, of the predictions."""


def in_common(alike: Likeness) -> Shared | None:
    above = np.triu_indices(len(alike.shared), 1)
    pairs = alike.shared[above]
    if not len(pairs):
        return None
    return Shared(float(np.median(pairs)), float((pairs < 30).mean()), float(alike.scores[above].mean()))
