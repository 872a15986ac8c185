"""Choosing task groups: the authors' matrices, enumeration, planted groups, gaps, costs and bad input."""

import itertools

import numpy as np
import pytest

from screening.errors import ConfigError, DataError
from screening.grouping.covers import EXACT_LIMIT
from screening.grouping.selection import (
    METHODS,
    explain_groups,
    judge_groups,
    label_cost,
    select_groups,
    select_within_budget,
)

NAN = float("nan")

# The matrices that TAG's authors published (google-research/google-research, tag/network_selection and
# tag/celeba, Apache-2.0; CelebA rounded to 3 decimals). Their rows are the affected task, so the affinity of
# this project, whose columns are, is the transposed matrix.
TASKONOMY = np.array(
    [
        [11.99932, 0.04891036, 0.1153743, 0.004547247, 0.008776140],
        [0.1398237, 1.070989, 0.2209619, 0.01049377, 0.07645967],
        [0.4135585, 0.2914148, 7.327637, 0.01353652, 0.07395688],
        [0.02109853, 0.01072901, 0.01336598, 0.7338844, 0.6897359],
        [0.05669202, 0.03600666, 0.03668338, 0.3037213, 5.966191],
    ]
)
SS, NORM, DEPTH, KEY, EDGE = range(5)
COSINES = np.full((5, 5), NAN)
for _pair, _cosine in {
    (SS, NORM): 0.2423715,
    (SS, DEPTH): 0.2595692,
    (SS, KEY): 0.05406022,
    (SS, EDGE): 0.08864023,
    (NORM, DEPTH): 0.9115829,
    (NORM, KEY): 0.1458850,
    (NORM, EDGE): 0.2801396,
    (DEPTH, KEY): 0.09153055,
    (DEPTH, EDGE): 0.1564647,
    (KEY, EDGE): 2.968082,
}.items():
    COSINES[_pair] = COSINES[_pair[::-1]] = _cosine
CELEBA = np.array(
    [
        [239.721, -83.335, -86.052, -82.421, -81.974, -86.024, -49.038, -87.371, -86.770],
        [-188.157, 378.851, -184.529, -147.502, -189.465, -190.998, -185.285, -190.658, -189.419],
        [-121.054, -109.584, 310.712, -106.022, -122.622, -124.403, -117.204, -120.556, -123.259],
        [-143.721, -112.179, -139.848, 321.539, -145.427, -146.783, -142.397, -146.299, -146.227],
        [-85.532, -92.212, -95.750, -91.741, 238.425, -65.427, -45.951, -98.599, -95.683],
        [-30.223, -32.697, -34.784, -33.475, -0.840, 178.668, -15.272, -35.207, -34.370],
        [-109.479, -147.502, -152.395, -148.489, -127.316, -147.136, 291.850, -157.477, -156.158],
        [-74.979, -74.249, -72.049, -73.832, -76.452, -76.498, -75.211, 240.390, -77.004],
        [-109.371, -100.850, -113.525, -110.645, -110.264, -116.102, -106.512, -119.352, 374.632],
    ]
)
HOA = np.array(
    [
        [0.0509, 0.0528, 0.0471, 0.0606, 0.0655],
        [0.2636, 0.2616, 0.2551, 0.2675, 0.2674],
        [0.1004, 0.1002, 0.0975, 0.1082, 0.1110],
        [0.0287, 0.0423, 0.0310, 0.0337, 0.0232],
        [0.0972, 0.1068, 0.0568, 0.0933, 0.0910],
    ]
)
"""Validation loss of the row's task trained with the column's, alone on the diagonal (the HOA notebook)."""

ALL = (0, 1, 2, 3, 4)
TWO = ((SS, NORM, DEPTH), (KEY, EDGE))
THREE = ((SS, DEPTH), (NORM, DEPTH), (KEY, EDGE))


@pytest.mark.parametrize(
    ("affinity", "n_groups", "groups", "objective"),
    [
        (TASKONOMY.T, 1, (ALL,), 0.1292923),
        (TASKONOMY.T, 2, TWO, 0.3216958),
        (TASKONOMY.T, 3, THREE, 0.3486704),
        (TASKONOMY.T, 4, THREE, 0.3486704),
        (TASKONOMY, 3, THREE, 0.3838785),
        (COSINES, 1, (ALL,), 0.5198326),
        (COSINES, 2, TWO, 1.4699374),
        (COSINES, 3, THREE, 1.6037796),
        (CELEBA.T, 1, (tuple(range(9)),), -106.9054519),
        (CELEBA.T, 2, ((0, 6), (1, 2, 3, 4, 5, 6, 7, 8)), -99.4418187),
        (CELEBA.T, 3, ((0, 6), (1, 3), (1, 2, 4, 5, 6, 7, 8)), -92.4384293),
    ],
)
def test_groups_of_the_published_matrices(
    affinity: np.ndarray, n_groups: int, groups: tuple[tuple[int, ...], ...], objective: float
) -> None:
    found = select_groups(affinity, n_groups)
    assert found.groups == tuple(sorted(groups))
    rounding = 1e-4 if len(affinity) == 9 else 2.5e-7  # of the matrix as printed
    assert found.objective == pytest.approx(objective, abs=rounding)


def subsets(n: int) -> list[tuple[int, ...]]:
    return [group for size in range(1, n + 1) for group in itertools.combinations(range(n), size)]


def plain_scores(affinity: np.ndarray, groups: list[tuple[int, ...]], alone: np.ndarray) -> np.ndarray:
    """Scores [groups, T] as the definition says, one task and group at a time; -inf outside the group."""
    scores = np.full((len(groups), len(affinity)), -np.inf)
    for k, group in enumerate(groups):
        for task in group:
            effects = [affinity[s, task] for s in group if s != task and not np.isnan(affinity[s, task])]
            scores[k, task] = sum(effects) / len(effects) if effects else alone[task]
    return scores


def plain_best(affinity: np.ndarray, n_groups: int, alone: np.ndarray) -> tuple[float, int]:
    """The highest objective of all covers of at most K groups, and the fewest groups that reach it."""
    groups = subsets(len(affinity))
    scores = plain_scores(affinity, groups, alone)
    best, n_best = -np.inf, 0
    for k in range(1, n_groups + 1):
        covers = np.array(list(itertools.combinations(range(len(groups)), k)))
        found = scores[covers].max(axis=1).mean(axis=1).max()
        if found > best + 1e-9:
            best, n_best = found, k
    return best, n_best


def an_affinity(n: int, seed: int, kind: str) -> np.ndarray:
    random = np.random.default_rng(seed)
    affinity = random.normal(size=(n, n))
    if kind == "gaps":
        affinity[random.random((n, n)) < 0.4] = NAN
    elif kind == "blocks":
        block = np.arange(n) % 3
        affinity = (block[:, None] == block) - 0.2 + 0.1 * affinity
    elif kind == "few values":
        affinity = np.round(affinity)
    elif kind == "low rank":
        factors = random.normal(size=(n, 2))
        affinity = factors @ factors.T / random.uniform(0.5, 2, n)
    return affinity


KINDS = ("random", "gaps", "blocks", "few values", "low rank")


@pytest.mark.parametrize("singletons", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "n_groups"), [(2, 2), (3, 3), (4, 3), (5, 1), (5, 2), (6, 3), (7, 2), (7, 3)])
def test_exact_search_equals_plain_enumeration(n: int, n_groups: int, kind: str, singletons: bool) -> None:
    affinity = an_affinity(n, 10 * n + n_groups, kind)
    has_pair = (~np.isnan(affinity) & ~np.eye(n, dtype=bool)).any(axis=0)
    alone = np.where(has_pair, 0.0 if singletons else -1e6, 0.0)
    objective, n_best = plain_best(affinity, n_groups, alone)
    found = select_groups(affinity, n_groups, method="exact", singletons=singletons)
    total = np.where(np.isnan(found.scores), 0, found.scores).sum()
    assert total / n == pytest.approx(objective, abs=1e-9)
    assert len(found.groups) == n_best
    assert {task for group in found.groups for task in group} == set(range(n))


def test_scores_and_serving_group_follow_the_definition() -> None:
    affinity = an_affinity(9, 4, "gaps")
    groups = [(0, 1, 2, 3), (2, 3, 4), (4, 5, 6, 7, 8), (0, 8)]
    found = judge_groups(affinity, groups)
    scores = plain_scores(affinity, sorted(groups), np.full(9, -np.inf))
    assert found.groups == tuple(sorted(groups))
    scored = np.isfinite(scores.max(axis=0))
    np.testing.assert_allclose(found.scores[scored], scores.max(axis=0)[scored])
    np.testing.assert_array_equal(found.serves[scored], scores.argmax(axis=0)[scored])
    assert found.objective == pytest.approx(scores.max(axis=0)[scored].mean())
    joint = plain_scores(affinity, [tuple(range(9))], np.full(9, NAN))[0]
    np.testing.assert_allclose(found.joint, joint)
    np.testing.assert_allclose(found.runner_up[[2, 3]], np.sort(scores, axis=0)[-2, [2, 3]])
    assert np.isnan(found.runner_up[[1, 5, 6, 7]]).all()
    for task in np.flatnonzero(scored):
        members = [
            s for s in found.groups[found.serves[task]] if s != task and not np.isnan(affinity[s, task])
        ]
        effects = [affinity[s, task] for s in members]
        assert found.best_partner[task] == members[int(np.argmax(effects))]
        assert found.worst_member[task] == members[int(np.argmin(effects))]


@pytest.mark.parametrize("seed", range(4))
def test_search_does_not_depend_on_the_order_of_tasks(seed: int) -> None:
    affinity = an_affinity(8, seed, "random")
    order = np.random.default_rng(seed).permutation(8)
    found = select_groups(affinity, 3)
    moved = select_groups(affinity[np.ix_(order, order)], 3)
    assert sorted(tuple(sorted(order[list(group)].tolist())) for group in moved.groups) == list(found.groups)
    assert moved.objective == pytest.approx(found.objective)
    np.testing.assert_allclose(moved.scores, found.scores[order])


def test_diagonal_is_never_used() -> None:
    affinity = an_affinity(6, 0, "random")
    other = affinity.copy()
    np.fill_diagonal(other, [np.inf, NAN, 1e9, -1e9, 0, 3])
    assert select_groups(affinity, 3).groups == select_groups(other, 3).groups


@pytest.mark.parametrize("method", METHODS)
def test_shift_of_a_column_changes_no_group(method: str) -> None:
    affinity = an_affinity(10, 3, "random")
    shift = np.linspace(-5, 5, 10)
    found, moved = (select_groups(a, 3, method=method) for a in (affinity, affinity + shift))
    assert moved.groups == found.groups
    np.testing.assert_allclose(moved.scores, found.scores + shift)


def test_equals_are_settled_by_fewer_groups_then_smaller_then_first() -> None:
    assert select_groups(np.zeros((6, 6)), 4).groups == (tuple(range(6)),)
    # Tasks 0 and 1 help each other as much as 2 and 3 do, and nobody else helps or harms them.
    affinity = np.kron(np.eye(2), np.ones((2, 2)))
    assert select_groups(affinity, 4).groups == ((0, 1), (2, 3))
    assert select_groups(np.ones((3, 3)), 3).groups == ((0, 1, 2),)


@pytest.mark.parametrize("method", METHODS)
def test_singletons_are_used_where_allowed_and_never_otherwise(method: str) -> None:
    affinity = np.full((6, 6), -1.0)
    affinity[:3, :3] = 1  # 3, 4 and 5 are harmed by everybody
    allowed = select_groups(affinity, 4, method=method, singletons=True)
    assert allowed.groups == ((0, 1, 2), (3,), (4,), (5,))
    assert allowed.scores.tolist() == [1, 1, 1, 0, 0, 0]
    never = select_groups(affinity, 4, method=method)
    assert all(len(group) > 1 for group in never.groups)
    assert never.objective == 0


@pytest.mark.parametrize("method", METHODS)
def test_unknown_pairs_are_left_out_and_not_zero(method: str) -> None:
    affinity = np.full((4, 4), NAN)
    affinity[0, 1] = affinity[1, 0] = affinity[2, 3] = affinity[3, 2] = -1.0
    found = select_groups(affinity, 1, method=method)
    assert found.scores.tolist() == [-1, -1, -1, -1]  # with 0 for unknown: -1/3
    affinity[2, 0] = 5  # 0 is helped by 2 and harmed by 1
    assert select_groups(affinity, 1, method=method).scores.tolist() == [2, -1, -1, -1]


@pytest.mark.parametrize("method", METHODS)
def test_assays_without_any_pair_join_the_largest_group(method: str) -> None:
    affinity = an_affinity(9, 0, "blocks")
    affinity[[2, 7]] = affinity[:, [2, 7]] = NAN
    inner = [0, 1, 3, 4, 5, 6, 8]
    found = select_groups(affinity, 3, method=method)
    without = select_groups(affinity[np.ix_(inner, inner)], 3, method=method)
    assert found.objective == pytest.approx(without.objective)
    largest = max(found.groups, key=len)
    assert {2, 7} <= set(largest)
    assert [found.groups[found.serves[task]] for task in (2, 7)] == [largest, largest]
    assert np.isnan(found.scores[[2, 7]]).all()
    assert "2 of 9 assays" in found.notes[0]
    assert without.notes == ()


def test_table_without_any_pair_is_one_group() -> None:
    for n in (1, 5):
        found = select_groups(np.full((n, n), NAN), 1)
        assert found.groups == (tuple(range(n)),)
        assert np.isnan(found.objective)
        assert found.best_partner.tolist() == [-1] * n


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("singletons", [False, True])
def test_greedy_search_comes_near_the_exact_search(kind: str, singletons: bool) -> None:
    shares = []
    for seed, n_groups in ((0, 2), (1, 3), (2, 4)):
        affinity = an_affinity(11, seed, kind)
        joint = judge_groups(affinity, [range(11)], singletons=singletons).objective
        best = select_groups(affinity, n_groups, singletons=singletons).objective
        found = select_groups(affinity, n_groups, method="greedy", singletons=singletons)
        assert len(found.groups) <= n_groups
        assert found.method == "greedy"
        shares.append((found.objective - joint) / (best - joint))
    assert min(shares) >= 0.75
    assert np.mean(shares) >= 0.9
    assert max(shares) <= 1 + 1e-9


@pytest.mark.parametrize("n_groups", [2, 4, 8])
def test_planted_groups_of_40_tasks_are_recovered(n_groups: int) -> None:
    random = np.random.default_rng(n_groups)
    block = random.permutation(np.arange(40) % n_groups)
    affinity = 0.1 * (block[:, None] == block) + 0.03 * random.normal(size=(40, 40)) - 0.2
    affinity *= random.uniform(0.5, 2, 40)  # a loss of its own scale for each affected task
    affinity[random.random((40, 40)) < 0.1] = NAN
    found = select_groups(affinity, n_groups)
    planted = judge_groups(affinity, [np.flatnonzero(block == k) for k in range(n_groups)])
    assert found.objective >= planted.objective
    together = found.serves[:, None] == found.serves
    assert (together == (block[:, None] == block)).mean() > 0.97


@pytest.mark.parametrize("method", METHODS)
def test_same_input_gives_the_same_groups(method: str) -> None:
    affinity = an_affinity(10, 5, "gaps")
    first, second = (select_groups(affinity.copy(), 4, method=method) for _ in range(2))
    assert first.groups == second.groups
    np.testing.assert_array_equal(first.serves, second.serves)


def test_losses_of_pairs_are_minimised_as_by_enumeration() -> None:
    affinity, singletons = -HOA.T, -np.diag(HOA)  # lower losses are better
    losses = np.array([[_pair_loss(task, group) for task in range(5)] for group in subsets(5)])
    for n_groups in (1, 2, 3, 4):
        covers = np.array(list(itertools.combinations(range(len(losses)), n_groups)))
        best = losses[covers].min(axis=1).mean(axis=1).min()
        found = select_groups(affinity, n_groups, singletons=singletons)
        assert -found.objective == pytest.approx(best)
    assert (0,) not in found.groups  # segmentation is better with normals (.0471) than alone (.0509)


def _pair_loss(task: int, group: tuple[int, ...]) -> float:
    """The predicted loss of a task in a group: the mean over its partners; infinite if it is not in it."""
    others = [s for s in group if s != task]
    if task not in group:
        return np.inf
    return float(np.mean([HOA[task, s] for s in others])) if others else HOA[task, task]


def test_budget_counts_networks_without_a_cost() -> None:
    affinity = an_affinity(8, 1, "random")
    assert select_within_budget(affinity, 3.9).groups == select_groups(affinity, 3).groups
    assert select_within_budget(affinity, 100).groups == select_groups(affinity, 8).groups
    with pytest.raises(ConfigError, match=r"The budget is 0\.5: expected 1 or more"):
        select_within_budget(affinity, 0.5)


def test_budget_in_labelled_molecules() -> None:
    # Two batteries of three assays each on their own half of the molecules: two networks cost as much as one.
    labels = np.full((20, 6), NAN)
    labels[:10, :3] = labels[10:, 3:] = 0
    cost = label_cost(labels)
    assert [cost((0, 1)), cost((2, 3)), cost((0, 1, 2, 3, 4, 5))] == [0.5, 1, 1]
    affinity = np.kron(np.eye(2), np.ones((3, 3))) - 0.5
    assert select_within_budget(affinity, 1, cost=cost).groups == ((0, 1, 2), (3, 4, 5))
    crossed = affinity[np.ix_([0, 3, 1, 4, 2, 5], [0, 3, 1, 4, 2, 5])]
    assert select_within_budget(crossed, 1, cost=cost).groups == (tuple(range(6)),)
    assert len(select_within_budget(crossed, 2, cost=cost).groups) == 2


def test_table_says_which_group_serves_each_assay_and_why() -> None:
    names = ["ss", "norm", "depth", "key", "edge", "empty"]
    affinity = np.pad(TASKONOMY.T, (0, 1), constant_values=NAN)
    frame = explain_groups(select_groups(affinity, 3), affinity, names).set_index("assay")
    assert frame.group.tolist() == [1, 2, 1, 3, 3, 1]
    depth = frame.loc["depth"]
    assert depth.best_partner == depth.worst_member == "ss"
    assert depth.score == depth.best_effect == 0.4135585
    assert depth.score_next == 0.2914148
    assert depth.score_joint == pytest.approx(np.delete(TASKONOMY[2], 2).mean())
    assert frame.status.tolist() == ["ok"] * 5 + ["no pair known"]
    assert frame.loc["empty", ["best_partner", "worst_member"]].tolist() == ["", ""]
    alone = select_groups(np.full((2, 2), -1.0), 2, singletons=True)
    assert explain_groups(alone, np.full((2, 2), -1.0), ["a", "b"]).status.tolist() == ["alone", "alone"]


@pytest.mark.parametrize(
    ("n_groups", "method", "message"),
    [
        (5, "auto", "5 groups of 4 assays: expected 1 to 4"),
        (0, "auto", "0 groups of 4 assays"),
        (2, "spectral", "method 'spectral' was dropped: .* Use 'auto'"),
        (2, "greddy", "no grouping method 'greddy'. Did you mean 'greedy'"),
    ],
)
def test_wrong_settings_are_config_errors(n_groups: int, method: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select_groups(np.zeros((4, 4)), n_groups, method=method)


def test_wrong_matrices_are_data_errors() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 3\)"):
        select_groups(np.zeros((2, 3)), 1)
    with pytest.raises(DataError, match=r"row 0, column 1 is inf \(1 such entries\)"):
        select_groups(np.array([[0, np.inf], [0, 0]]), 1)
    with pytest.raises(DataError, match="expected 2 finite numbers"):
        select_groups(np.zeros((2, 2)), 1, singletons=np.array([0.0, NAN]))
    n = EXACT_LIMIT + 1
    with pytest.raises(ConfigError, match=f"{EXACT_LIMIT} assays at most, here are {n}"):
        select_groups(np.zeros((n, n)), 2, method="exact")


@pytest.mark.parametrize("groups", [[(0, 1)], [(0, 1, 2, 3)], [(0, 1), (1, -1)]])
def test_judged_groups_must_cover_the_tasks(groups: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="cover the tasks 0 to 2"):
        judge_groups(np.zeros((3, 3)), groups)
