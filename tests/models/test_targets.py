"""Real values in standard deviations of the training part, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import BundleError
from screening.models.targets import Targets

IS_REAL = np.array([False, True, True])


def labels() -> np.ndarray:
    values = np.random.default_rng(0).normal([0, 6, -200], [1, 1.5, 40], (50, 3)).astype(np.float32)
    values[:, 0] = values[:, 0] > 0
    values[::7, 1] = np.nan
    return values


def test_real_columns_have_mean_0_and_deviation_1() -> None:
    table = labels()
    standardised = Targets.fit(table, IS_REAL).standardised(table)
    np.testing.assert_array_equal(standardised[:, 0], table[:, 0])
    np.testing.assert_allclose(np.nanmean(standardised[:, 1:], 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(standardised[:, 1:], 0), 1, rtol=1e-5)
    assert np.isnan(standardised[0, 1])


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_another_unit_changes_nothing(scale: float, shift: float) -> None:
    table = labels()
    other = table.astype(np.float64)
    other[:, 1:] = scale * other[:, 1:] + shift
    np.testing.assert_allclose(
        Targets.fit(other, IS_REAL).standardised(other),
        Targets.fit(table, IS_REAL).standardised(table),
        atol=2e-3,
    )


def test_outputs_are_put_back_into_values() -> None:
    table = labels()
    targets = Targets.fit(table, IS_REAL)
    answers = np.full(table.shape, 0.25)
    targets.put_values(answers, targets.standardised(table).astype(np.float64))
    np.testing.assert_allclose(answers[:, 1:], table[:, 1:], rtol=1e-5)
    np.testing.assert_array_equal(answers[:, 0], 0.25)


def test_bounds_are_standardised_like_values() -> None:
    table = labels()
    targets = Targets.fit(table, IS_REAL)
    bounds = np.stack([table, np.where(IS_REAL, np.inf, table)], axis=2)
    standardised = targets.standardised(bounds)
    np.testing.assert_array_equal(standardised[..., 0], targets.standardised(table))
    assert np.isinf(standardised[1:7, 1:, 1]).all()


def test_censored_values_set_no_scale() -> None:
    table, censored = labels(), np.zeros((50, 3), np.int8)
    exact = Targets.fit(table, IS_REAL)
    more = np.concatenate([table, np.full((20, 3), 1e4, np.float32)])
    bounds = np.concatenate([censored, np.ones((20, 3), np.int8)])
    np.testing.assert_array_equal(Targets.fit(more, IS_REAL, bounds).mean, exact.mean)


@pytest.mark.parametrize("values", [[np.nan] * 4, [3.0, np.nan, np.nan, np.nan], [3.0] * 4])
def test_values_that_say_nothing_of_a_scale_have_deviation_1(values: list[float]) -> None:
    targets = Targets.fit(np.array(values, np.float32)[:, None], np.array([True]))
    assert targets.deviation.tolist() == [1.0]
    assert targets.mean[0] in (0.0, 3.0)


def test_only_bounds_count_as_values() -> None:
    table = np.array([[5.0], [7.0]], np.float32)
    targets = Targets.fit(table, np.array([True]), np.ones((2, 1), np.int8))
    assert targets.mean.tolist() == [6.0]


def test_state_is_restored_and_checked() -> None:
    targets = Targets.fit(labels(), IS_REAL)
    again = Targets.restore(targets.state())
    np.testing.assert_array_equal(again.mean, targets.mean)
    np.testing.assert_array_equal(again.take([2, 0]).is_real, [True, False])
    for name, value in (
        ("mean", np.array([np.inf, 0, 0])),
        ("deviation", np.zeros(3)),
        ("mean", np.zeros(2)),
    ):
        with pytest.raises(BundleError):
            Targets.restore({**targets.state(), name: value})
    with pytest.raises(BundleError):
        Targets.restore({"mean": targets.mean})
