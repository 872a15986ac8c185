"""What must hold for every metric, of binary and of real assays."""

import warnings

import numpy as np

from ..metrics.contract import Metric, Outcome, metrics
from .subjects import Check, Subject

T = 40
NEAR = 1e-9


def build(subject: Subject) -> Metric:
    """The metric."""
    return metrics.get(subject.name)


def table_of(n: int = 120, n_tasks: int = T, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels with gaps and probabilities with ties, [n, T]; the first assays have no label or one class."""
    random = np.random.default_rng(seed)
    labels = (random.random((n, n_tasks)) < random.uniform(0.1, 0.6, n_tasks)).astype(float)
    scores = np.clip(0.3 * labels + 0.7 * random.random((n, n_tasks)), 0, 1).round(2)
    labels[random.random((n, n_tasks)) < 0.4] = np.nan
    labels[:, 0], labels[:, 1], labels[:, 2] = np.nan, 0, 1
    return labels, scores


def values_of(n: int = 120, n_tasks: int = T, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values with gaps, and predictions, [n, T], with ties; the first assays have no value or equal ones."""
    random = np.random.default_rng(seed)
    labels = random.normal(6, 1, (n, n_tasks)).round(1)
    scores = (labels + random.normal(0, 0.7, (n, n_tasks))).round(1)
    labels[random.random((n, n_tasks)) < 0.4] = np.nan
    labels[:, 0], labels[:, 1], labels[:, 2] = np.nan, 0, 1
    return labels, scores


def _table(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    return table_of() if "binary" in build(subject).kinds else values_of()


def _outcome(subject: Subject, labels: np.ndarray, scores: np.ndarray) -> Outcome:
    is_real = None if "binary" in build(subject).kinds else np.ones(labels.shape[1], dtype=bool)
    return Outcome(labels, scores, is_real=is_real)


def _values(subject: Subject, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return build(subject)(labels, scores, **subject.options)


def is_declared(subject: Subject) -> None:
    """It is described by a sentence, and says what is better, what it reads and needs."""
    metric = build(subject)
    assert metric.description.endswith("."), "the first line of the docstring is no sentence"
    assert metric.better in ("higher", "lower", None), f"better is {metric.better!r}"
    assert metric.needs in ("both classes", "a label"), f"needs is {metric.needs!r}"
    assert metric.reads in ("order", "probabilities", "values"), f"reads is {metric.reads!r}"
    assert set() < metric.kinds <= {"binary", "real"}, f"kinds is {metric.kinds!r}"
    assert metric.range[0] < metric.range[1], f"range is {metric.range}"


def values_are_in_range(subject: Subject) -> None:
    """Values are float64 [T] in the range stated; NaN where an assay lacks what is needed, and only there."""
    metric, (labels, scores) = build(subject), _table(subject)
    values = _values(subject, labels, scores)
    assert values.shape == (T,), f"values of {T} tasks have the shape {values.shape}"
    has = _outcome(subject, labels, scores).has(metric.needs)
    wrong = np.flatnonzero(np.isnan(values) != ~has)
    assert not len(wrong), f"task {wrong[:1]} has the value {values[wrong[:1]]}: needs {metric.needs}"
    least, greatest = metric.range
    outside = values[has & ~((values >= least - NEAR) & (values <= greatest + NEAR))]
    assert not len(outside), f"{outside[0]:.4g} is outside of the range {least:g} to {greatest:g}"


def one_class_and_no_label_break_nothing(subject: Subject) -> None:
    """Tables without rows, labels or one of the classes give no error and no warning."""
    for shape in ((0, 3), (4, 0), (0, 0), (4, 3)):
        for label in (np.nan, 0.0, 1.0):
            values = _values(subject, np.full(shape, label), np.full(shape, 0.5))
            assert values.shape == shape[1:], f"values of {shape} are {values.shape}"
    one = np.array([[1.0], [np.nan]])
    assert _values(subject, one, np.full((2, 1), 0.5)).shape == (1,), "one molecule"


def tasks_stand_alone(subject: Subject) -> None:
    """The value of an assay does not depend on the others, nor on the order of molecules and assays."""
    labels, scores = _table(subject)
    whole = _values(subject, labels, scores)
    alone = [_values(subject, labels[:, [task]], scores[:, [task]])[0] for task in range(T)]
    _assert_same(whole, np.array(alone), "with other assays and alone")
    random = np.random.default_rng(1)
    rows, columns = random.permutation(len(labels)), random.permutation(T)
    _assert_same(_values(subject, labels[rows], scores[rows]), whole, "in another order of molecules")
    _assert_same(_values(subject, labels[:, columns], scores[:, columns]), whole[columns], "of assays turned")


def unmeasured_scores_are_not_read(subject: Subject) -> None:
    """Scores of molecules without a label do not matter."""
    labels, scores = _table(subject)
    other = np.where(np.isnan(labels), 1 - scores, scores)
    _assert_same(_values(subject, labels, other), _values(subject, labels, scores), "with other scores there")


def order_is_all_that_counts_where_claimed(subject: Subject) -> None:
    """If it says that it reads the order, scores may be stretched."""
    if build(subject).reads == "order":
        labels, scores = _table(subject)
        for stretched in (1000 * scores - 500, np.exp(scores), -1 / (1 + scores)):
            _assert_same(
                _values(subject, labels, stretched), _values(subject, labels, scores), "if stretched"
            )


def better_predictions_are_better(subject: Subject) -> None:
    """Right predictions have a better value than wrong ones; the same where nothing is better."""
    labels = np.repeat([1.0, 0.0], [10, 490])[:, None]
    if "binary" not in build(subject).kinds:
        labels = np.linspace(0, 10, 500)[:, None]
    good, bad = (_values(subject, labels, scores)[0] for scores in (0.8 * labels + 0.1, 0.9 - 0.8 * labels))
    better = build(subject).better
    told = f"right predictions have {good:.4g}, wrong ones {bad:.4g}: better is {better!r}"
    assert good == bad if better is None else (good > bad) == (better == "higher") and good != bad, told


def interval_surrounds_the_value(subject: Subject) -> None:
    """If it has an interval, the value is inside."""
    metric, outcome = build(subject), _outcome(subject, *_table(subject))
    if metric.interval is not None:
        (low, high), values = metric.bounds(outcome), metric.values(outcome)
        has = ~np.isnan(values) & ~np.isnan(low) & ~np.isnan(high)
        outside = np.flatnonzero(has & ~((low <= values + NEAR) & (values <= high + NEAR)))
        assert has.any(), "no assay has an interval"
        assert not len(outside), f"task {outside[0]}: {values[outside[0]]:.4g} is outside of its interval"


def _assert_same(one: np.ndarray, other: np.ndarray, what: str) -> None:
    is_same = np.allclose(one, other, rtol=NEAR, atol=NEAR, equal_nan=True)
    away = np.nanmax(np.abs(one - other)) if not is_same else 0.0
    assert is_same, f"values {what} differ by up to {away:.3g}"


CHECKS: tuple[Check, ...] = (
    is_declared,
    values_are_in_range,
    one_class_and_no_label_break_nothing,
    tasks_stand_alone,
    unmeasured_scores_are_not_read,
    order_is_all_that_counts_where_claimed,
    better_predictions_are_better,
    interval_surrounds_the_value,
)
