"""Calibration: agreement with scikit-learn and scipy, order kept, assays that have little borrow."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from screening.errors import BundleError, ConfigError
from screening.metrics.contract import metrics
from screening.metrics.per_assay import FEW
from screening.testing.calibrations import CHECKS
from screening.testing.subjects import Check, Subject, statement
from screening.uncertainty.calibration import Calibration, calibrations, compare, effect

NAN = float("nan")
METHODS = calibrations.names()


def made(
    n: int = 400,
    n_tasks: int = 5,
    slope: float = 0.4,
    shift: float = -1.0,
    missing: float = 0.3,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of an overconfident model [n, T], and labels whose logit is slope * logit + shift."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 3, (n, n_tasks))
    labels = (random.random((n, n_tasks)) < expit(slope * logits + shift)).astype(np.float32)
    labels[random.random((n, n_tasks)) < missing] = NAN
    return expit(logits), labels


def test_platt_alone_is_logistic_regression() -> None:
    probabilities, labels = made()
    fitted = calibrations.build("platt", probabilities, labels, smoothing=False, pooled=False)
    for task in range(5):
        known = np.isfinite(labels[:, task])
        oracle = LogisticRegression(C=np.inf, tol=1e-10)
        oracle.fit(logit(probabilities[known, task])[:, None], labels[known, task])
        assert fitted.slope[task] == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
        assert fitted.intercept[task] == pytest.approx(oracle.intercept_[0], rel=1e-4, abs=1e-4)


def test_platt_smooths_its_targets() -> None:
    """The smoothed loss as a plain function, at its least where the fit says it is."""
    probabilities, labels = made(n=60, n_tasks=1, missing=0)
    fitted = calibrations.build("platt", probabilities, labels, pooled=False)
    n_active = labels.sum()
    targets = np.where(labels == 1, (n_active + 1) / (n_active + 2), 1 / (60 - n_active + 2))

    def loss(slope: float, intercept: float) -> float:
        fit = slope * logit(probabilities) + intercept
        return float((np.logaddexp(0, fit) - targets * fit).sum())

    slope, intercept = fitted.slope[0], fitted.intercept[0]
    for step in (-0.01, 0.01):
        assert loss(slope + step, intercept) > loss(slope, intercept)
        assert loss(slope, intercept + step) > loss(slope, intercept)


def test_temperature_alone_is_the_best_one() -> None:
    probabilities, labels = made()
    fitted = calibrations.build("temperature", probabilities, labels, pooled=False)
    assert (fitted.intercept == 0).all()
    for task in range(5):
        known = np.isfinite(labels[:, task])
        logits, known_labels = logit(probabilities[known, task]), labels[known, task]
        oracle = minimize_scalar(
            lambda slope, z, y: log_loss(y, expit(slope * z)),
            bounds=(0.01, 10),
            args=(logits, known_labels),
            method="bounded",
            options={"xatol": 1e-8},
        )
        assert fitted.slope[task] == pytest.approx(oracle.x, rel=1e-3)


def test_isotonic_is_that_of_sklearn() -> None:
    probabilities, labels = made(n_tasks=4)
    fitted = calibrations.build("isotonic", probabilities, labels)
    new = np.concatenate([np.random.default_rng(1).random((50, 4)), np.full((1, 4), NAN), np.eye(4)])
    applied = fitted.apply(new)
    for task in range(4):
        known = np.isfinite(labels[:, task])
        margin = 1 / (known.sum() + 2)
        oracle = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
        oracle.fit(logit(probabilities[known, task]), labels[known, task])
        usual = np.isfinite(new[:, task])
        expected = oracle.predict(logit(np.clip(new[usual, task], 1e-30, 1 - 1e-16)))
        np.testing.assert_allclose(applied[usual, task], expected, atol=1e-9)
        assert np.isnan(applied[~usual, task]).all()


@pytest.mark.parametrize("method", ["platt", "temperature", "isotonic"])
def test_assays_without_labels_change_no_other(method: str) -> None:
    """They are calibrated as the others are on average, however many there are."""
    probabilities, labels = made(n=120, n_tasks=4)
    alone = calibrations.build(method, probabilities, labels)
    without = np.full((len(labels), 300), np.nan, np.float32)
    many = calibrations.build(
        method, np.hstack([probabilities, np.tile(probabilities, 75)]), np.hstack([labels, without])
    )
    np.testing.assert_allclose(many.slope[:4], alone.slope, rtol=1e-6)
    np.testing.assert_allclose(many.intercept[:4], alone.intercept, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["none", "temperature", "platt"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_order_of_molecules_stays(method: str, dtype: type) -> None:
    """Also where the model is worse than chance on the few labels of an assay, and at 0 and 1."""
    probabilities, labels = made(n=150, n_tasks=40, missing=0.8)
    labels[:, ::3] = 1 - labels[:, ::3]
    probabilities[:2] = [[0.0], [1.0]]
    fitted = calibrations.build(method, probabilities, labels)
    scores = probabilities.astype(dtype)
    applied = fitted.apply(scores)
    assert applied.dtype == dtype
    assert (fitted.slope > 0).all()
    for task in range(40):
        assert (np.diff(applied[np.argsort(scores[:, task]), task]) >= 0).all()
    tolerance = 0 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(
        metrics.get("roc_auc")(labels, applied), metrics.get("roc_auc")(labels, scores), atol=tolerance
    )


@pytest.mark.parametrize("method", [name for name in METHODS if name != "none"])
def test_new_molecules_are_predicted_better(method: str) -> None:
    truth = {"temperature": {"shift": 0.0}}.get(method, {})
    fitted = calibrations.build(method, *made(n=1000, **truth))
    probabilities, labels = made(n=2000, seed=1, **truth)
    table = compare(labels, probabilities, fitted.apply(probabilities), list("ABCDE"))
    assert list(table["assay"]) == list("ABCDE")
    table = effect(table).set_index("metric")
    for metric in ("log_loss", "brier", "calibration_error"):
        assert table.loc[metric, "after"] < table.loc[metric, "before"]
        assert table.loc[metric, "better"] == 5
    assert table.loc["roc_auc", "after"] == pytest.approx(table.loc["roc_auc", "before"], abs=0.01)


def test_few_labels_borrow_from_the_other_assays() -> None:
    """Hundreds of assays with some 15 labels: fitted together they beat each alone, and the raw scores."""
    probabilities, labels = made(n=50, n_tasks=300, missing=0.7)
    new, new_labels = made(n=400, n_tasks=300, seed=1)

    def loss(**options: bool) -> float:
        fitted = calibrations.build("platt", probabilities, labels, **options)
        return float(np.nanmean(metrics.get("log_loss")(new_labels, fitted.apply(new))))

    raw = float(np.nanmean(metrics.get("log_loss")(new_labels, new)))
    assert loss() < 0.97 * loss(pooled=False)
    assert loss() < 0.8 * raw


def test_many_labels_do_not_borrow() -> None:
    first, other = made(n=20_000, n_tasks=1, slope=1.5, shift=1), made(n=20_000, n_tasks=3)
    probabilities, labels = (np.concatenate(pair, axis=1) for pair in zip(first, other, strict=True))
    fitted = calibrations.build("platt", probabilities, labels)
    np.testing.assert_allclose(fitted.slope, [1.5, 0.4, 0.4, 0.4], rtol=0.06)
    np.testing.assert_allclose(fitted.intercept, [1, -1, -1, -1], atol=0.08)


@pytest.mark.parametrize("method", METHODS)
def test_odd_assays_are_calibrated_with_a_reason(method: str) -> None:
    probabilities, labels = made(n=300, n_tasks=6, missing=0)
    labels[:, 1] = NAN
    labels[:, 2] = 0
    labels[:, 3] = 1
    labels[8:, 4] = NAN
    fitted = calibrations.build(method, probabilities, labels)
    applied = fitted.apply(probabilities)
    assert np.isfinite(applied).all()
    assert ((applied >= 0) & (applied <= 1)).all()
    told = [bool(reason) for reason in fitted.reasons()]
    assert told == [False, *[method != "none"] * 4, False]
    if method in ("temperature", "platt"):
        assert 0.2 < fitted.slope[1] < 0.8, "an assay without labels is like the mean of the others"
    if method == "platt":
        assert applied[:, 2].mean() < applied[:, 1].mean() < applied[:, 3].mean()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (1, 1)])
def test_tiny_tables(method: str, shape: tuple[int, int]) -> None:
    fitted = calibrations.build(method, np.full(shape, 0.3), np.full(shape, NAN))
    assert fitted.apply(np.full((2, shape[1]), 0.3)) == pytest.approx(np.full((2, shape[1]), 0.3), abs=1e-6)


def test_separable_labels_and_extreme_scales_stay_finite() -> None:
    labels = np.repeat([[0.0], [1.0]], 20, axis=0).repeat(3, axis=1)
    logits = np.linspace(-1, 1, 40)[:, None] * np.array([1e-8, 1, 80])
    for pooled in (True, False):
        fitted = calibrations.build("platt", expit(logits), labels, pooled=pooled)
        assert np.isfinite(fitted.slope).all()
        assert np.isfinite(fitted.intercept).all()


def test_confident_and_wrong_models_are_brought_back() -> None:
    """Logits 50 times too large: steps of a plain Newton method would run away."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (3000, 1))
    labels = (random.random((3000, 1)) < expit(logits)).astype(float)
    fitted = calibrations.build("platt", expit(np.clip(10 * logits, -30, 30)), labels, pooled=False)
    assert fitted.slope[0] == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=statement)
def test_contract(method: str, check: Check) -> None:
    check(Subject(method))


@pytest.mark.parametrize(
    "change",
    [
        {"slope": np.array([1.0])},
        {"slope": np.full(5, NAN)},
        {"bounds": np.arange(6)},
        {"method": np.frombuffer(b"magic", np.uint8)},
        {"knots": None},
    ],
)
def test_other_states_are_refused(change: dict[str, np.ndarray | None]) -> None:
    state = {**calibrations.build("platt", *made()).state(), **change}
    with pytest.raises(BundleError, match=r"calibration.*Train again"):
        Calibration.restore({name: value for name, value in state.items() if value is not None})


def test_wrong_options_are_explained() -> None:
    with pytest.raises(ConfigError, match="has no option 'smooth'"):
        calibrations.build("platt", *made(), smooth=True)
    with pytest.raises(ConfigError, match="least"):
        calibrations.build("isotonic", *made(), least=1)
    with pytest.raises(ValueError, match="expected"):
        calibrations.get("platt")(np.zeros((2, 3)), np.zeros((3, 2)))


def test_nothing_can_be_said_without_labels() -> None:
    table = effect(compare(np.full((4, 2), NAN), np.full((4, 2), 0.5), np.full((4, 2), 0.4), "AB"))
    assert (table["assays"] == 0).all()
    assert table[["before", "after"]].isna().all(axis=None)


def test_few_is_a_reason_below_its_number() -> None:
    probabilities, labels = made(n=100, n_tasks=2, missing=0)
    labels[:] = 0
    labels[:FEW, 0] = 1
    labels[: FEW - 1, 1] = 1
    reasons = calibrations.build("platt", probabilities, labels).reasons()
    assert reasons[0] == ""
    assert f"Only {FEW - 1} active" in reasons[1]
