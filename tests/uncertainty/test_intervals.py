"""Intervals of real assays: coverage by simulation, agreement with counting, censored values, few values."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.testing import assert_allclose, assert_array_equal

from screening.errors import BundleError
from screening.uncertainty.intervals import Intervals, coverage

NAN, INF = float("nan"), float("inf")


def drawn(n: int, seed: int, n_tasks: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, labels of which a third is missing, and deviations that are right up to a factor."""
    random = np.random.default_rng(seed)
    values = random.normal(6, 1, (n, n_tasks))
    sd = random.uniform(0.2, 2, (n, n_tasks))
    labels = values + random.normal(0, 1, (n, n_tasks)) * sd * np.linspace(0.5, 3, n_tasks)
    labels[random.random((n, n_tasks)) < 0.33] = NAN
    return values.astype(np.float32), labels.astype(np.float32), sd.astype(np.float32)


REAL = np.ones(3, bool)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("is_scaled", [True, False])
def test_every_assay_is_covered(alpha: float, is_scaled: bool) -> None:
    """Mean over 300 draws of validation and test data: the error is at most alpha, and not far below."""
    covered = []
    for seed in range(300):
        values, labels, sd = drawn(90, seed)
        fitted = Intervals.fit(values, labels, REAL, sd=sd if is_scaled else None)
        new, truth, its_sd = drawn(90, 10_000 + seed)
        low, high = fitted.limits(new, alpha, its_sd if is_scaled else None)
        inside = np.where(np.isfinite(truth), (low <= truth) & (truth <= high), np.nan)
        covered.append(np.nanmean(inside, axis=0))
        assert fitted.is_scaled.all() == is_scaled
    mean, error = np.mean(covered, axis=0), np.std(covered, axis=0) / np.sqrt(300)
    assert (mean > 1 - alpha - 3 * error).all()
    assert (mean < 1 - alpha + 1 / 51 + 3 * error).all()  # some 60 values: multiples of 1 / 61


def test_deviations_that_tell_make_narrower_intervals_and_others_are_left_alone() -> None:
    values, labels, sd = drawn(2000, 0)
    right = Intervals.fit(values, labels, REAL, sd=sd)
    plain = Intervals.fit(values, labels, REAL)
    of_right, of_plain = right.limits(values, 0.1, sd), plain.limits(values, 0.1)
    assert (np.median(of_right.high - of_right.low, 0) < np.median(of_plain.high - of_plain.low, 0)).all()
    shuffled = np.random.default_rng(0).permutation(sd)
    wrong = Intervals.fit(values, labels, REAL, sd=shuffled)
    if wrong.is_scaled.any():  # then by so little that the widths hardly differ
        of_wrong = wrong.limits(values, 0.1, shuffled)
        widths = of_plain.high - of_plain.low
        assert_allclose((of_wrong.high - of_wrong.low).mean(), widths.mean(), rtol=0.05)
    few = Intervals.fit(values[:10], labels[:10], REAL, sd=sd[:10])
    assert not few.is_scaled.any()


cells = some.tuples(some.integers(0, 6), some.integers(0, 6), some.sampled_from([0, 0, 1, -1]))


@given(some.lists(cells, max_size=14), some.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 0.9]))
def test_radius_is_counted(rows: list[tuple[int, int, int]], alpha: float) -> None:
    """The rule as a plain loop, with ties and bounds."""
    values = np.array([[float(value)] for value, _, _ in rows]).reshape(-1, 1)
    labels = np.array([[float(label)] for _, label, _ in rows], np.float32).reshape(-1, 1)
    censored = np.array([[sign] for *_, sign in rows], np.int8).reshape(-1, 1)
    fitted = Intervals.fit(values, labels, np.array([True]), censored=censored)
    exact = [abs(label - value) for value, label, sign in rows if sign == 0]
    every = [*exact, *(max(sign * (label - value), 0) for value, label, sign in rows if sign != 0)]
    expected = _plain_quantile(exact, alpha)
    if len(every) > len(exact):
        expected = max(expected, _plain_quantile(every, alpha))
    assert fitted.radius(alpha)[0] == pytest.approx(expected)
    assert (fitted.n_exact[0], fitted.n_censored[0]) == (len(exact), len(every) - len(exact))
    assert bool(fitted.reasons(alpha)[0]) == (expected == INF)


def _plain_quantile(distances: list[float], alpha: float) -> float:
    """The smallest radius that at least (n + 1)(1 - alpha) of n distances are within."""
    needed = (len(distances) + 1) * (1 - alpha) - 1e-9
    fitting = [each for each in distances if sum(other <= each for other in distances) >= needed]
    return min(fitting, default=INF)


def test_a_bound_that_contradicts_widens_and_one_that_agrees_never_narrows() -> None:
    values = np.zeros((40, 1))
    labels = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    exact = Intervals.fit(values, labels, np.array([True])).radius(0.1)
    bounds = np.vstack([labels, np.full((60, 1), -3.0)]).astype(np.float32)
    above = np.vstack([np.zeros((40, 1)), np.ones((60, 1))]).astype(np.int8)
    more = np.zeros((100, 1))
    agreeing = Intervals.fit(more, bounds, np.array([True]), censored=above)
    against = Intervals.fit(more, bounds, np.array([True]), censored=-above)
    assert agreeing.radius(0.1) == exact
    assert against.radius(0.1) == 3
    assert Intervals.fit(more, bounds, np.array([True]), censored=np.ones_like(above)).radius(0.1) == INF


def test_assays_do_not_mix_and_classes_have_no_interval() -> None:
    values, labels, _ = drawn(200, 0, n_tasks=5)
    labels[:, 3] = NAN
    is_real = np.array([True, False, True, True, True])
    together = Intervals.fit(values, labels, is_real)
    low, high = together.limits(values, 0.1)
    assert np.isnan(low[:, 1]).all()
    assert np.isnan(high[:, 1]).all()
    assert (low[:, 3] == -INF).all()
    assert (high[:, 3] == INF).all()
    assert together.reasons(0.1)[3] == "No exact validation values: an interval at error 0.1 takes 9 or more."
    for task in (0, 2, 4):
        one = slice(task, task + 1)
        alone = Intervals.fit(values[:, one], labels[:, one], np.array([True])).limits(values[:, one], 0.1)
        assert_array_equal(low[:, one], alone.low)
        assert_array_equal(high[:, one], alone.high)


def test_the_unit_of_an_assay_changes_nothing_but_its_column() -> None:
    values, labels, sd = drawn(300, 1)
    factor = np.array([1, 1000.0, 0.01])
    plain = Intervals.fit(values, labels, REAL, sd=sd, deviation=np.ones(3))
    other = Intervals.fit(values * factor, labels * factor, REAL, sd=sd * factor, deviation=factor)
    before, after = plain.limits(values, 0.1, sd), other.limits(values * factor, 0.1, sd * factor)
    assert_allclose(after.low / factor, before.low, rtol=1e-4)
    assert_allclose(after.high / factor, before.high, rtol=1e-4)


def test_state_gives_the_same_intervals_back() -> None:
    values, labels, sd = drawn(100, 0)
    censored = (np.random.default_rng(0).random(labels.shape) < 0.2).astype(np.int8)
    fitted = Intervals.fit(values, labels, np.array([True, False, True]), sd=sd, censored=censored)
    again = Intervals.restore(fitted.state())
    assert_array_equal(again.limits(values, 0.2, sd).low, fitted.limits(values, 0.2, sd).low)
    with pytest.raises(ValueError, match="give `sd`"):
        fitted.limits(values, 0.2)
    with pytest.raises(ValueError, match="alpha"):
        fitted.limits(values, 1.0, sd)


Damage = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: {name: state[name] for name in state if name != "floor"},
        lambda state: {**state, "exact": state["exact"][1:]},
        lambda state: {**state, "exact": -state["exact"]},
        lambda state: {**state, "floor": state["floor"][1:]},
        lambda state: {**state, "floor": np.zeros(3)},
        lambda state: {**state, "is_real": state["is_real"].astype(np.float32)},
        lambda state: {**state, "every_bounds": state["every_bounds"][:-1]},
    ],
)
def test_damaged_arrays_are_refused(damage: Damage) -> None:
    values, labels, _ = drawn(50, 0)
    state = Intervals.fit(values, labels, REAL).state()
    with pytest.raises(BundleError, match="Train again"):
        Intervals.restore(damage(state))


def test_coverage_is_counted() -> None:
    values, labels, _ = drawn(120, 3)
    censored = np.where(np.random.default_rng(1).random(labels.shape) < 0.3, -1, 0).astype(np.int8)
    is_real = np.array([True, False, True])
    fitted = Intervals.fit(values[:60], labels[:60], is_real, censored=censored[:60])
    table = coverage(fitted, values[60:], labels[60:], ("A", "B", "C"), censored=censored[60:])
    assert table["assay"].tolist() == ["A", "C"] * 3
    row = table[(table["assay"] == "C") & (table["error"] == 0.1)].iloc[0]
    radius = float(fitted.radius(0.1)[2])
    away, bound = (labels - values)[60:, 2], censored[60:, 2] != 0
    measured = np.isfinite(away)
    assert (row["measured"], row["censored"]) == ((measured & ~bound).sum(), (measured & bound).sum())
    assert row["covered"] == pytest.approx((np.abs(away[measured & ~bound]) <= radius).mean())
    assert row["agree"] == pytest.approx((away[measured & bound] >= -radius).mean())
    assert row["half_width"] == pytest.approx(radius, rel=1e-5)
    assert row["fitted"] == fitted.n_exact[2]
    assert not row["scaled"]


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)])
def test_empty_tables(shape: tuple[int, int]) -> None:
    fitted = Intervals.fit(np.zeros(shape), np.full(shape, NAN), np.ones(shape[1], bool))
    assert fitted.limits(np.zeros((4, shape[1])), 0.1).high.tolist() == [[INF] * shape[1]] * 4
    assert len(coverage(fitted, np.zeros(shape), np.full(shape, NAN), ["a"] * shape[1])) == 3 * shape[1]
