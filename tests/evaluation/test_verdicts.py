"""Verdicts, reasons, the interval of the macro mean, and which assays are alike."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from screening.evaluation.verdicts import (
    SHADES,
    VERDICTS,
    count_verdicts,
    judge,
    likely_reasons,
    likeness,
    macro_interval,
    meanings,
)
from screening.metrics.concordance import concordance
from screening.metrics.per_assay import evaluate
from screening.reporting.pages import TEMPLATES
from screening.reporting.svg import Colours


def drawn(n: int, strengths: list[float], seed: int, missing: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities [n, T]; an active's log-odds are higher by the strength of its assay."""
    random = np.random.default_rng(seed)
    labels = (random.random((n, len(strengths))) < 0.3).astype(np.float32)
    scores = 1 / (1 + np.exp(-random.normal(size=labels.shape) - np.array(strengths) * labels))
    labels[random.random(labels.shape) < missing] = np.nan
    return labels, scores.astype(np.float32)


def test_verdicts_follow_the_interval() -> None:
    labels, scores = drawn(600, [3, 0.7, 0, -2], seed=1)
    one_class, none = np.zeros((600, 1)), np.full((600, 1), np.nan)
    few = np.where(np.arange(600) < 5, 1, 0)[:, None]
    labels = np.concatenate([labels, one_class, none, few], axis=1)
    scores = np.concatenate([scores, scores[:, :2], np.clip(few, 0.1, 0.9)], axis=1)
    table = evaluate(labels, scores, list("abcdefg"), part="test")
    expected = ["good", "fair", "no better than chance", "worse than chance", *["too few to judge"] * 3]
    assert judge(table).tolist() == expected
    assert set(expected) == set(VERDICTS)
    counts = count_verdicts(judge(table))
    assert list(counts) == list(VERDICTS)
    assert sum(counts.values()) == len(table)


def test_every_verdict_has_a_colour_in_pictures_and_on_the_page() -> None:
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert set(SHADES) == set(VERDICTS)
    for shade in SHADES.values():
        assert shade in Colours._fields
        assert f".{shade} {{ background: var(--{shade}); }}" in style


def test_macro_mean_is_that_of_scikit_learn() -> None:
    labels, scores = drawn(200, [2, 1, 0.5], seed=2)
    values = [
        roc_auc_score(y[~np.isnan(y)], p[~np.isnan(y)]) for y, p in zip(labels.T, scores.T, strict=True)
    ]
    found = macro_interval(labels, scores)
    assert found.value == pytest.approx(np.mean(values))
    assert found.low < found.value < found.high
    assert found.assays == 3


def test_macro_interval_covers_the_truth_where_assays_share_molecules() -> None:
    """Each assay three times: an interval that took them for independent would be too narrow by sqrt(3)."""
    true, inside = float(np.mean([0.76025, 0.5])), 0  # Phi(1 / sqrt 2) and chance
    for seed in range(200):
        labels, scores = drawn(150, [1, 0], seed=seed)
        found = macro_interval(np.tile(labels, 3), np.tile(scores, 3))
        inside += found.low < true < found.high
    assert 0.9 < inside / 200 < 0.985


def test_an_assay_with_one_active_is_in_the_mean_and_widens_it() -> None:
    labels, scores = drawn(200, [2, 1], seed=5)
    with_one = np.concatenate([labels, np.where(np.arange(200) == 7, 1.0, 0.0)[:, None]], axis=1)
    scores = np.concatenate([scores, np.linspace(0, 1, 200)[:, None]], axis=1)
    before, after = macro_interval(labels, scores[:, :2]), macro_interval(with_one, scores)
    assert after.assays == 3
    assert after.value == pytest.approx((2 * before.value + 7 / 199) / 3)
    assert after.high - after.low > before.high - before.low


def test_macro_interval_of_nothing() -> None:
    labels = np.array([[1, np.nan], [1, np.nan], [np.nan, 0]])
    found = macro_interval(labels, np.full((3, 2), 0.5))
    assert found.assays == 0
    assert np.isnan([found.value, found.low, found.high]).all()


def made_up(**columns: list[float]) -> pd.DataFrame:
    """A table of `evaluate` for assays that differ in these columns."""
    n = len(next(iter(columns.values())))
    usual = {
        "status": "ok",
        "actives": 50,
        "inactives": 200,
        "roc_auc": 0.6,
        "roc_auc_high": 0.7,
        "log_loss": 0.4,
    }
    return pd.DataFrame({"assay": [f"a{row}" for row in range(n)], **usual, **columns})


def trained(measured: int = 1000, actives: int = 200, loss: float = 0.3, weight: float = 1.0) -> tuple:
    assays = ["a0", "a1", "a2"]
    counts = pd.DataFrame({"assay": assays, "part": "train", "measured": measured, "actives": actives})
    history = pd.DataFrame({"epoch": 0, "assay": assays, "loss": loss, "weight": [weight, 1.0, 2 - weight]})
    return counts, history


@pytest.mark.parametrize(
    ("test", "valid", "known", "reason"),
    [
        ({"actives": [3]}, {}, {}, "only 3 active in the test part"),
        ({"inactives": [4]}, {}, {}, "only 4 inactive in the test part"),
        ({"actives": [0], "inactives": [0]}, {}, {}, "no label in the test part"),
        ({}, {}, {"actives": 12}, "only 12 actives to learn from"),
        ({}, {}, {"measured": 10_000, "actives": 50}, "0.50% of the training labels are active"),
        ({}, {}, {"actives": 50}, "20.0% are active in the test part, 5.0% in training"),
        ({}, {"roc_auc": [0.9]}, {}, "ROC-AUC was 0.90 in the validation part"),
        ({}, {}, {"loss": 0.5}, "hardly learned"),  # entropy of 20 % is 0.500
        ({"log_loss": [0.6]}, {}, {"loss": 0.05}, "memorised"),
        ({}, {}, {"weight": 0.1}, "the balancer gave it 0.10 of the mean weight"),
        ({}, {}, {}, ""),
    ],
)
def test_reasons(test: dict, valid: dict, known: dict, reason: str) -> None:
    columns = {"roc_auc": [0.6], **test}
    found = likely_reasons(made_up(**columns), made_up(**{"roc_auc": [0.6], **valid}), *trained(**known))
    assert found[0].startswith(reason)
    if not reason:
        assert found == [""]


def test_reasons_do_without_history_and_counts() -> None:
    empty = pd.DataFrame()
    assert likely_reasons(made_up(roc_auc=[0.6]), made_up(roc_auc=[0.9]).head(0), empty, empty) == [""]
    weighted = likely_reasons(
        made_up(roc_auc=[0.6]), made_up(roc_auc=[0.6]), *trained(loss=0.6), plain_loss=False
    )
    assert weighted == [""]


def test_label_correlation_is_that_of_the_shared_molecules() -> None:
    labels, scores = drawn(300, [1, 1, 1, 1], seed=3, missing=0.4)
    labels[:, 1] = np.where(np.arange(300) % 5 == 0, labels[:, 1], labels[:, 0])
    labels[:280, 3] = np.nan
    found = likeness(labels, scores)
    frame = pd.DataFrame(labels)
    expected = frame.corr(min_periods=30).to_numpy()
    np.testing.assert_allclose(found.labels, expected, atol=1e-9)
    assert np.isnan(found.labels[0, 3])
    both = (~np.isnan(labels)).astype(int)
    np.testing.assert_array_equal(found.shared, both.T @ both)
    np.testing.assert_allclose(found.scores, np.corrcoef(np.log(scores / (1 - scores)).T), atol=1e-4)


def test_like_assays_stand_together_in_a_cluster() -> None:
    random = np.random.default_rng(4)
    base = random.normal(size=(400, 3))
    kinds = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    odds = base[:, kinds] + 0.2 * random.normal(size=(400, 9))
    found = likeness(np.full((400, 9), np.nan), 1 / (1 + np.exp(-odds)))
    assert len(set(zip(kinds, found.clusters, strict=True))) == 3
    assert sorted(found.order.tolist()) == list(range(9))
    assert (np.diff(kinds[found.order]) != 0).sum() == 2
    assert (np.diff(found.clusters[found.order]) >= 0).all()


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_likeness_of_few_or_constant_assays(n_tasks: int) -> None:
    found = likeness(np.zeros((50, n_tasks)), np.full((50, n_tasks), 0.5))
    assert found.order.tolist() == list(range(n_tasks))
    assert found.scores.tolist() == np.eye(n_tasks).tolist()


# --- real assays ------------------------------------------------------------------------------------------


def of_values(slopes: list[float], seed: int, *, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Values and predictions [300, T], the predictions `slope` times the value and noise."""
    random = np.random.default_rng(seed)
    labels = random.normal(size=(300, len(slopes)))
    return labels, np.array(slopes) * labels + 0.5 * random.normal(size=labels.shape) + offset


def test_verdicts_on_values_follow_concordance_and_r2() -> None:
    labels, scores = of_values([1, 0.3, 0, -1, 1, 1], seed=1)
    scores[:, 4] += 3  # the order is right, the values are not
    labels[8:, 5] = np.nan
    is_real = np.array([True] * 6 + [False])
    labels = np.concatenate([labels, labels[:, :1] > 0], axis=1)
    scores = np.concatenate([scores, 1 / (1 + np.exp(-scores[:, :1]))], axis=1)
    table = evaluate(labels, scores, list("abcdefg"), part="test", is_real=is_real)
    assert judge(table).tolist() == [
        "good",
        "fair",
        "no better than chance",
        "worse than chance",
        "fair",
        "too few to judge",
        "good",
    ]
    assert judge(table)[-1] == judge(evaluate(labels[:, -1:], scores[:, -1:], ["g"], part="test"))[0]


def test_the_meaning_of_a_verdict_is_told_for_the_table() -> None:
    labels, scores = drawn(60, [1, 1], seed=0)
    binary = evaluate(labels, scores, ["a", "b"], part="test")
    assert meanings(binary) == VERDICTS
    mixed = evaluate(labels, scores, ["a", "b"], part="test", is_real=np.array([True, False]))
    assert list(meanings(mixed)) == list(VERDICTS)
    assert "ROC-AUC" not in " ".join(meanings(mixed).values())


def test_macro_interval_of_both_kinds() -> None:
    labels, scores = of_values([1, 0.5, 1], seed=2)
    labels[:, 1] = labels[:, 1] > 0
    labels[:200, 2] = np.nan
    is_real = np.array([True, False, True])
    censored = np.zeros(labels.shape, np.int8)
    censored[:40, 0] = 1
    values = concordance(labels, scores, is_real=is_real, censored=censored)
    both = macro_interval(labels, scores, is_real, censored)
    assert both.value == pytest.approx(values.mean())
    assert both.low < both.value < both.high
    assert both.assays == 3
    binary = macro_interval(labels[:, 1:2], scores[:, 1:2])
    assert binary == macro_interval(labels[:, 1:2], scores[:, 1:2], np.array([False]))


def test_macro_interval_of_values_covers_the_truth_where_assays_share_molecules() -> None:
    """Each assay three times, as of classes; values and predictions correlate by 1 / sqrt 1.25."""
    true, inside = 0.5 + np.arcsin(1 / 1.25**0.5) / np.pi, 0
    for seed in range(200):
        labels, scores = of_values([1], seed=seed)
        both = macro_interval(np.tile(labels, 3), np.tile(scores, 3), np.ones(3, bool))
        inside += both.low < true < both.high
    assert 0.9 < inside / 200 < 0.985


REAL = {
    "kind": "real",
    "measured": 200,
    "censored": 0,
    "concordance": 0.7,
    "concordance_high": 0.75,
    "r2": 0.3,
    "r2_high": 0.5,
    "roc_auc": np.nan,
}


@pytest.mark.parametrize(
    ("test", "valid", "known", "reason"),
    [
        ({"measured": [0]}, {}, {}, "no label in the test part"),
        ({"measured": [1]}, {}, {}, "only 1 exact value in the test part"),
        ({"measured": [30], "censored": [22]}, {}, {}, "only 8 exact values in the test part: the interval"),
        ({"censored": [150]}, {}, {}, "75% of the test values are bounds"),
        ({}, {}, {"measured": 20}, "only 20 values to learn from"),
        ({"r2": [-0.4], "r2_high": [-0.1]}, {}, {}, "further off than the mean of the test values for all"),
        ({}, {"concordance": [0.9]}, {}, "concordance was 0.90 in the validation part"),
        ({}, {}, {"weight": 0.1}, "the balancer gave it 0.10 of the mean weight"),
        ({}, {}, {"actives": 0}, ""),
    ],
)
def test_reasons_of_values(test: dict, valid: dict, known: dict, reason: str) -> None:
    table = made_up(**{**REAL, "kind": ["real"], **test})
    found = likely_reasons(table, made_up(**{**REAL, "kind": ["real"], **valid}), *trained(**known))
    assert found[0].startswith(reason)
    if not reason:
        assert found == [""]


def test_reasons_of_both_kinds_stand_beside_each_other() -> None:
    table = made_up(**{**REAL, "kind": ["binary", "real"], "roc_auc": [0.6, np.nan], "actives": [3, 0]})
    found = likely_reasons(table, table.head(0), pd.DataFrame(), pd.DataFrame())
    assert found[0].startswith("only 3 active")
    assert found[1] == ""
