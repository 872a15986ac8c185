"""The search for covers: sums kept up to date, estimates of changes, starts, and no way downhill."""

import numpy as np
import pytest

from screening.grouping.cover_search import (
    _openings,
    _State,
    _swaps,
    _toggles_and_moves,
    greedy,
    improve,
    rebuild,
)
from screening.grouping.covers import Problem, _Subsets, exact


def a_problem(n: int, seed: int, missing: float = 0.0, alone: float = -0.5) -> Problem:
    random = np.random.default_rng(seed)
    known = (random.random((n, n)) >= missing) & ~np.eye(n, dtype=bool)
    return Problem(random.normal(size=(n, n)) * known, known.astype(float), np.full(n, alone))


def a_cover(n: int, n_groups: int, seed: int, *, overlap: bool) -> np.ndarray:
    random = np.random.default_rng(seed)
    cover = random.permutation(np.arange(n) % n_groups) == np.arange(n_groups)[:, None]
    return cover | (random.random((n_groups, n)) < 0.3) if overlap else cover


def flipped(cover: np.ndarray, *flips: tuple[int, int]) -> np.ndarray:
    found = cover.copy()
    for flip in flips:
        found[flip] ^= True
    return found


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_estimates_of_single_changes_are_exact(missing: float, overlap: bool) -> None:
    problem, cover = a_problem(12, 0, missing), a_cover(12, 3, 0, overlap=overlap)
    state = _State(problem, cover)
    toggle, move = _toggles_and_moves(state)
    for k in range(3):
        for t in range(12):
            gain = problem.total(flipped(cover, (k, t))) - state.total
            assert toggle[k, t] == pytest.approx(gain)
            if not cover[k, t] and not overlap:
                moved = flipped(cover, (state.home[t], t), (k, t))
                assert move[k, t] == pytest.approx(problem.total(moved) - state.total)


def test_estimates_of_swaps_are_exact_without_overlap_and_gaps() -> None:
    problem, cover = a_problem(12, 1), a_cover(12, 4, 1, overlap=False)
    state = _State(problem, cover)
    home, gains = state.home, _swaps(state)
    for t in range(12):
        for u in range(12):
            if t < u and home[t] != home[u]:
                swapped = flipped(cover, (home[t], t), (home[u], t), (home[u], u), (home[t], u))
                assert gains[t, u] == pytest.approx(problem.total(swapped) - state.total)
            else:
                assert gains[t, u] == -np.inf


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_estimates_of_openings_are_exact(missing: float) -> None:
    problem = a_problem(10, 2, missing)
    cover = np.vstack([a_cover(10, 2, 2, overlap=True), np.zeros((1, 10), dtype=bool)])
    state = _State(problem, cover)
    gains = _openings(state)
    for t in range(10):
        for u in range(t, 10):
            opened = flipped(cover, *{(2, t), (2, u)})
            assert gains[t, u] == pytest.approx(problem.total(opened) - state.total)


def test_state_takes_gains_only_and_keeps_its_sums() -> None:
    random = np.random.default_rng(3)
    state = _State(a_problem(15, 3, 0.3), a_cover(15, 4, 3, overlap=False))
    taken = 0
    for _ in range(500):
        before = state.total
        flips = tuple(
            (int(random.integers(4)), int(random.integers(15))) for _ in range(random.integers(1, 4))
        )
        taken += state.take(flips)
        assert state.total >= before
    fresh = _State(state.problem, state.cover)
    assert taken > 5
    assert state.total == pytest.approx(fresh.total)
    np.testing.assert_allclose(state.sums, fresh.sums, atol=1e-12)
    np.testing.assert_array_equal(state.counts, fresh.counts)
    np.testing.assert_allclose(state.scores, fresh.scores)


@pytest.mark.parametrize("missing", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("n_groups", [2, 5, 12])
def test_greedy_makes_a_partition_and_improvement_never_worsens_it(missing: float, n_groups: int) -> None:
    problem = a_problem(12, n_groups, missing)
    cover = greedy(problem, n_groups)
    assert 1 <= len(cover) <= n_groups
    assert (cover.sum(axis=0) == 1).all()
    improved = improve(problem, cover, n_groups)
    rebuilt = rebuild(problem, improved, n_groups)
    assert problem.total(cover) <= problem.total(improved) + 1e-9
    assert problem.total(improved) <= problem.total(rebuilt) + 1e-9
    assert problem.total(rebuilt) <= problem.total(exact(problem, n_groups)) + 1e-9
    assert rebuilt.any(axis=1).all()
    assert len(rebuilt) <= n_groups


@pytest.mark.parametrize("seed", range(5))
def test_greedy_merges_the_pair_that_loses_least(seed: int) -> None:
    problem = a_problem(9, seed, 0.2)
    groups = [[task] for task in range(9)]

    def total(groups: list[list[int]]) -> float:
        return problem.total(np.array([np.isin(np.arange(9), group) for group in groups]))

    while len(groups) > 3:
        merged = [
            [*(g for g in groups if g is not a and g is not b), a + b]
            for i, a in enumerate(groups)
            for b in groups[i + 1 :]
        ]
        groups = max(merged, key=total)
    further = [
        total([*(g for g in groups if g is not a and g is not b), a + b])
        for a in groups
        for b in groups
        if a is not b
    ]
    found = greedy(problem, 3)
    if max(further) <= total(groups):
        assert sorted(np.flatnonzero(row).tolist() for row in found) == sorted(map(sorted, groups))
    else:
        assert problem.total(found) >= max(further) - 1e-9


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_subsets_are_all_there(n: int) -> None:
    below = _Subsets(n)
    for whole in range(1 << n):
        assert below.of(whole).tolist() == [part for part in range(1 << n) if part & whole == part]
