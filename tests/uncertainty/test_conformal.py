"""Conformal sets: coverage by class and assay, agreement with counting, what happens without labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from screening.errors import BundleError
from screening.uncertainty.calibration import calibrations
from screening.uncertainty.conformal import SETS, ConformalSets

NAN = float("nan")


def made(n: int, n_tasks: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a middling model, one fifth active, a third of the labels missing."""
    random = np.random.default_rng(seed)
    labels = (random.random((n, n_tasks)) < 0.2).astype(np.float32)
    scores = 1 / (1 + np.exp(-random.normal(1.5 * labels - 1, 1)))
    labels[random.random((n, n_tasks)) < 0.33] = NAN
    return scores.astype(np.float32), labels


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_each_class_of_each_assay_is_covered(alpha: float) -> None:
    """Mean over 300 draws of calibration and test data: the error is at most alpha, and not far below."""
    covered = {1: [], 0: []}
    for seed in range(300):
        fitted = ConformalSets.fit(*made(150, seed=seed))
        scores, labels = made(150, seed=10_000 + seed)
        found = fitted.sets(scores, alpha)
        for label, bit in ((1, 1), (0, 2)):
            inside = [((found & bit) > 0)[labels[:, task] == label, task].mean() for task in range(3)]
            covered[label].append(inside)
    for label, slack in ((1, 1 / 21), (0, 1 / 81)):  # some 20 actives and 80 inactives: multiples of these
        coverage = np.mean(covered[label], axis=0)
        error = np.std(covered[label], axis=0) / np.sqrt(300)
        assert (coverage > 1 - alpha - 3 * error).all()
        assert (coverage < 1 - alpha + slack + 3 * error).all()


_grid = some.integers(0, 4).map(lambda value: value / 4)


@given(some.lists(some.tuples(_grid, some.sampled_from([0, 1, NAN])), max_size=12), _grid)
def test_p_values_are_counted(known: list[tuple[float, float]], score: float) -> None:
    """The definition as a plain loop, with ties."""
    scores = np.array([[value] for value, _ in known], np.float32).reshape(-1, 1)
    labels = np.array([[label] for _, label in known]).reshape(-1, 1)
    values = ConformalSets.fit(scores, labels).p_values(np.array([[score]]))
    actives = [value for value, label in known if label == 1]
    inactives = [value for value, label in known if label == 0]
    active = (1 + sum(value <= score for value in actives)) / (1 + len(actives))
    inactive = (1 + sum(value >= score for value in inactives)) / (1 + len(inactives))
    assert values.active[0, 0] == pytest.approx(active)
    assert values.inactive[0, 0] == pytest.approx(inactive)


def test_assays_do_not_mix() -> None:
    scores, labels = made(200, n_tasks=7)
    labels[:, 3] = NAN
    new, _ = made(50, n_tasks=7, seed=1)
    together = ConformalSets.fit(scores, labels).p_values(new)
    for task in range(7):
        one = slice(task, task + 1)
        alone = ConformalSets.fit(scores[:, one], labels[:, one]).p_values(new[:, one])
        np.testing.assert_array_equal(together.active[:, one], alone.active)
        np.testing.assert_array_equal(together.inactive[:, one], alone.inactive)
    assert (together.active[:, 3] == 1).all()
    assert (ConformalSets.fit(scores, labels).sets(new, 0.1)[:, 3] == SETS.index("both")).all()


def test_calibration_does_not_change_the_sets() -> None:
    scores, labels = made(300)
    fitted = calibrations.build("platt", scores.astype(float), labels)
    before = ConformalSets.fit(scores, labels).sets(scores, 0.1)
    calibrated = fitted.apply(scores.astype(float))
    after = ConformalSets.fit(calibrated, labels).sets(calibrated, 0.1)
    assert (before == after).mean() > 0.999


def test_labels_of_the_sets() -> None:
    scores = np.concatenate([np.linspace(0.5, 1, 50), np.linspace(0, 0.7, 50)])[:, None]
    fitted = ConformalSets.fit(scores, np.repeat([[1.0], [0.0]], 50, axis=0))
    found = fitted.sets(np.array([[0.9], [0.1], [0.6], [NAN]]), 0.1)
    assert [SETS[place] for place in found[:, 0]] == ["active", "inactive", "both", "both"]
    strict = fitted.sets(np.array([[0.6]]), 0.5)
    assert SETS[strict[0, 0]] == "none"
    with pytest.raises(ValueError, match="alpha"):
        fitted.sets(scores, 0)


def test_state_gives_the_same_sets_back() -> None:
    scores, labels = made(100)
    fitted = ConformalSets.fit(scores, labels)
    again = ConformalSets.restore(fitted.state())
    np.testing.assert_array_equal(again.sets(scores, 0.2), fitted.sets(scores, 0.2))
    with pytest.raises(BundleError, match="lack active_bounds"):
        ConformalSets.restore({"active_scores": fitted.active_scores})
    with pytest.raises(BundleError, match="do not fit"):
        ConformalSets.restore({**fitted.state(), "inactive_scores": fitted.inactive_scores[1:]})


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)])
def test_empty_tables(shape: tuple[int, int]) -> None:
    fitted = ConformalSets.fit(np.zeros(shape), np.full(shape, NAN))
    assert fitted.sets(np.zeros((4, shape[1])), 0.1).tolist() == [[SETS.index("both")] * shape[1]] * 4
