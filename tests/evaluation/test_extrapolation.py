"""The law through learning curves: what is known of it comes back, and what is not is not made up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from screening.evaluation.extrapolation import (
    AHEAD,
    EXPONENTS,
    FLAT,
    NO,
    PERHAPS,
    UNTOLD,
    WORTH,
    YES,
    Curves,
    Extrapolated,
    extrapolate,
    fit_law,
)

SHARES = np.array([0.1, 0.25, 0.5, 1.0])


def curves_of(y: np.ndarray, sd: float, common: float = 0.02) -> Curves:
    """Curves with independent errors `sd` and an error that all shares have in common."""
    n, size = y.shape
    covariance = np.full((n, size, size), common**2) + np.eye(size) * sd**2
    return Curves(np.tile(SHARES[-size:], (n, 1)), y, covariance)


def laws(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Curves [n, S] of random laws, and the gain of each from twice as many labels."""
    random = np.random.default_rng(seed)
    ceiling, slope = random.uniform(0.7, 0.95, n), random.uniform(0.0, 0.12, n)
    exponent = random.uniform(0.2, 1.0, n)
    y = ceiling[:, None] - slope[:, None] * SHARES ** -exponent[:, None]
    return y, slope * (1 - AHEAD**-exponent)


def drawn(n: int, sd: float, seed: int = 0) -> tuple[Extrapolated, np.ndarray]:
    y, gain = laws(n, seed)
    random = np.random.default_rng(seed + 1)
    noise = random.normal(0, 0.02, (n, 1)) + random.normal(0, sd, y.shape)
    return extrapolate(curves_of(y + noise, sd), seed=0, draws=200), gain


@given(ceiling=st.floats(0.6, 0.99), slope=st.floats(0.001, 0.2), place=st.integers(0, len(EXPONENTS) - 1))
def test_a_law_comes_back(ceiling: float, slope: float, place: int) -> None:
    y = ceiling - slope * SHARES ** -EXPONENTS[place]
    law = fit_law(SHARES, y, np.ones(4))
    assert law.at(1.0) == pytest.approx(y[-1], abs=1e-6)
    assert law.at(AHEAD) == pytest.approx(ceiling - slope * AHEAD ** -EXPONENTS[place], abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_as_good_as_that_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    y = laws(1, seed)[0][0] + random.normal(0, 0.01, 4)
    weights = random.uniform(0.5, 2, 4)
    law = fit_law(SHARES, y, weights)
    error = (weights * (y - law.ceiling + law.slope * SHARES**-law.exponent) ** 2).sum()
    best, _ = curve_fit(
        lambda x, a, b, c: a - b * x**-c,
        SHARES,
        y,
        p0=(0.9, 0.05, 0.5),
        sigma=weights**-0.5,
        bounds=([0, 0, EXPONENTS[0]], [1, 10, EXPONENTS[-1]]),
    )
    expected = (weights * (y - best[0] + best[1] * SHARES ** -best[2]) ** 2).sum()
    assert error <= expected * 1.05 + 1e-7  # exponents are tried in steps


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_labels_do_no_harm_and_nothing_is_better_than_perfect(values: list[float]) -> None:
    law = fit_law(SHARES, np.array(values), np.ones(4))
    assert law.slope >= 0
    assert law.ceiling <= 1
    assert law.at(1.0) <= law.at(AHEAD) <= 1


def test_many_curves_are_fitted_as_each_alone() -> None:
    y, _ = laws(20)
    weights = np.random.default_rng(0).uniform(0.5, 2, y.shape)
    together = fit_law(SHARES, y, weights)
    for row in range(20):
        alone = fit_law(SHARES, y[row], weights[row])
        assert [float(each[row]) for each in together] == pytest.approx([float(each) for each in alone])


@pytest.mark.parametrize("sd", [0.003, 0.01, 0.02])
def test_intervals_hold_the_gain(sd: float) -> None:
    what, gain = drawn(500, sd)
    told = np.isfinite(what.gain)
    assert told.mean() > 0.6
    inside = (what.gain_low <= gain) & (gain <= what.gain_high)
    assert 0.92 < inside[told].mean() < 0.985
    assert (gain[what.answer == YES] >= WORTH).mean() > 0.98
    assert (what.answer == YES).sum() > 50


def test_more_noise_widens_the_intervals() -> None:
    widths = [
        np.nanmedian(what.gain_high - what.gain_low) for what, _ in (drawn(300, sd) for sd in (0.003, 0.02))
    ]
    assert widths[1] > 2 * widths[0]


def test_answers() -> None:
    steep, shallow = 0.9 - 0.08 * SHARES**-0.5, 0.9 - 0.004 * SHARES**-0.8
    flat = np.full(4, 0.8)
    curves = curves_of(np.stack([steep, shallow, flat]), 0.002)
    what = extrapolate(curves, seed=0)
    assert what.answer.tolist() == [YES, NO, FLAT]
    assert np.isfinite(what.gain).tolist() == [True, True, False]
    assert what.gain[0] == pytest.approx(0.08 * (1 - AHEAD**-0.5), abs=1e-3)
    unsure = extrapolate(curves_of((0.9 - 0.03 * SHARES**-0.5)[None], 0.008), seed=0)
    assert unsure.answer.tolist() == [PERHAPS]


def test_a_curve_that_is_no_power_law_is_refused() -> None:
    y = np.array([[0.60, 0.61, 0.62, 0.80]])  # what the first three say of the last is far off
    what = extrapolate(curves_of(y, 0.004), seed=0)
    assert what.answer[0] == UNTOLD
    assert "no power law" in what.reason[0]
    assert np.isnan([what.gain[0], what.ahead[0]]).all()


def test_what_is_not_known_is_refused() -> None:
    y = np.tile(0.9 - 0.08 * SHARES**-0.5, (4, 1))
    curves = curves_of(y, 0.002)
    curves.y[0, 1] = np.nan
    curves.covariance[1] = np.nan
    curves.x[2] = [0.1, 0.1, 0.1, 1.0]
    what = extrapolate(curves, seed=0)
    assert what.answer.tolist() == [UNTOLD] * 3 + [YES]
    assert ["not known" in text for text in what.reason] == [True, True, False, False]
    assert "fewer than three shares" in what.reason[2]
    two = Curves(curves.x[3:, ::3], curves.y[3:, ::3], curves.covariance[3:, ::3, ::3])
    assert extrapolate(two, seed=0).answer.tolist() == [UNTOLD]


def test_too_wide_an_interval_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    y = (0.9 - 0.08 * SHARES**-0.5)[None]
    told = extrapolate(curves_of(y, 0.01), seed=0)
    width = float((told.gain_high - told.gain_low)[0])
    monkeypatch.setattr("screening.evaluation.extrapolation.WIDEST", 0.9 * width)
    what = extrapolate(curves_of(y, 0.01), seed=0)
    assert what.answer[0] == UNTOLD
    assert "wider than" in what.reason[0]
    assert np.isnan(what.gain[0])


def test_the_seed_decides_and_pieces_do_not() -> None:
    y, _ = laws(30)
    one, again, other = (extrapolate(curves_of(y, 0.01), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.gain_low, again.gain_low)
    assert not np.array_equal(one.gain_low, other.gain_low)
    np.testing.assert_allclose(one.gain_low, other.gain_low, atol=0.02)


def test_no_curve_is_no_fault() -> None:
    empty = Curves(np.empty((0, 4)), np.empty((0, 4)), np.empty((0, 4, 4)))
    assert len(extrapolate(empty, seed=0).answer) == 0
