"""What a metric is: from labels and scores to one number per task, with what tables need to show it.

The registry `metrics` is the list of columns of every table of results: `per_assay`, the command line and the
report read it. A metric is a function (or a class whose objects are called) of labels and scores [n, T]:

    @register("hit_rate", better="higher", reads="probabilities")
    def hit_rate(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        '''Share of actives among the molecules with a probability above 0.5.'''
        called = np.where(np.isnan(labels), False, probabilities > 0.5)
        return (called & (labels == 1)).sum(axis=0) / np.maximum(called.sum(axis=0), 1)
"""

import inspect
import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from ..registry import Registry
from .ranking import Ranking, rank

FIRST = (
    *("roc_auc", "average_precision", "bedroc", "ef_1pct"),
    *("log_loss", "base_entropy", "brier", "calibration_error"),
)
"""Metrics whose columns come first, in this order; those registered later follow by name."""

TEXTS = ("part", "assay", "status", "reason")
COUNTS = ("actives", "inactives")
NO_METRICS = (*TEXTS, *COUNTS, "base_rate")
"""Columns of a table of results that are no metrics; they come first."""


class Bounds(NamedTuple):
    """A 95 % interval of every task; NaN where there is none."""

    low: np.ndarray
    """float64 [T]"""
    high: np.ndarray
    """float64 [T]"""


@dataclass(frozen=True)
class Outcome:
    """What came out for T tasks: all that a metric may ask for, sorted once for all metrics."""

    labels: np.ndarray
    """[n, T], 1 active, 0 inactive, NaN not measured."""
    scores: np.ndarray
    """[n, T], higher = more active; not read where the label is NaN."""
    tasks: tuple[str, ...] | None = None
    """Names for messages."""

    @cached_property
    def ranking(self) -> Ranking:
        """The measured molecules of each task, sorted by score; errors as `rank`."""
        return rank(self.labels, self.scores, self.tasks)


@dataclass(frozen=True)
class Metric:
    """One metric of the registry; made by `register`."""

    name: str
    function: Callable[..., np.ndarray]
    """What `takes` says -> float64 [T]."""
    description: str
    """One line for `screening list metrics`."""
    better: Literal["higher", "lower"] | None
    """Direction; None where the number describes the assay and not the model."""
    range: tuple[float, float]
    """Least and greatest possible value."""
    needs: Literal["both classes", "a label"]
    """What a task must have; otherwise the value is NaN."""
    reads: Literal["order", "probabilities"]
    """Whether only the order of the scores counts, or they must be probabilities."""
    takes: Literal["arrays", "ranking"] = "arrays"
    """Whether the function is called with labels and scores [n, T], or with the `Ranking` made from them."""
    kinds: frozenset[str] = frozenset({"binary"})
    """Kinds of assay that it is for."""
    interval: Callable[..., Bounds] | None = None
    """Of the same arguments; None = the metric has no interval."""
    title: str = ""
    """Head of its column on pages and terminals."""
    digits: int = 3
    """Decimal places shown."""
    shown: frozenset[str] = frozenset({"terminal", "page"})
    """Where the table of assays has a column for it; files have all."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in a table of results: the name and, with an interval, `_low` and `_high`."""
        ends = ("", "_low", "_high") if self.interval is not None else ("",)
        return tuple(f"{self.name}{end}" for end in ends)

    def __call__(self, labels: np.ndarray, scores: np.ndarray, **options: Any) -> np.ndarray:
        """The metric of every task [T], from labels and scores [n, T] as `rank` takes them."""
        return self.values(Outcome(labels, scores), **options)

    def values(self, outcome: Outcome, **options: Any) -> np.ndarray:
        """The metric of every task, float64 [T]; NaN where a task lacks what it `needs`.

        Raises
        ------
        DataError : a label or a score that does not fit, see `ranking`.
        ValueError : the function of the metric did not give one number per task.
        """
        (values,) = self._of_tasks(outcome, lambda *given: (self.function(*given, **options),), 1)
        return values

    def bounds(self, outcome: Outcome) -> Bounds:
        """The 95 % interval of every task; for a metric that has one."""
        if self.interval is None:
            raise ValueError(f"The metric '{self.name}' has no interval.")
        return Bounds(*self._of_tasks(outcome, self.interval, 2))

    def table(self, outcome: Outcome) -> dict[str, np.ndarray]:
        """Its `columns`, each [T]."""
        bounds = () if self.interval is None else self.bounds(outcome)
        return dict(zip(self.columns, (self.values(outcome), *bounds), strict=True))

    def _of_tasks(
        self, outcome: Outcome, function: Callable[..., Iterable[np.ndarray]], n_numbers: int
    ) -> list[np.ndarray]:
        """`n_numbers` arrays [T] from the tasks that have what the metric needs."""
        ranking = outcome.ranking
        if self.takes == "ranking":
            return list(function(ranking))
        if self.reads == "probabilities":
            ranking.probabilities  # noqa: B018  refuses scores that are none
        has = ranking.has_both if self.needs == "both classes" else ranking.counts > 0
        spread = [np.full(len(has), np.nan) for _ in range(n_numbers)]
        if has.any():
            given = (np.asarray(outcome.labels)[:, has], np.asarray(outcome.scores)[:, has])
            for numbers, all_tasks in zip(function(*given), spread, strict=True):
                all_tasks[has] = self._checked(np.asarray(numbers, dtype=np.float64), int(has.sum()))
        return spread

    def _checked(self, numbers: np.ndarray, n_tasks: int) -> np.ndarray:
        if numbers.shape != (n_tasks,):
            raise ValueError(
                f"The metric '{self.name}' gave an array of shape {numbers.shape} for labels and scores of "
                f"{n_tasks} tasks. Expected one number per task, ({n_tasks},): take means over axis 0."
            )
        return numbers


metrics: Registry[Metric] = Registry(
    "metric",
    members=(
        "screening.metrics.roc_auc",
        "screening.metrics.average_precision",
        "screening.metrics.early_recognition",
        "screening.metrics.probabilities",
    ),
)

Member = TypeVar("Member", bound=Callable[..., Any])


def register(
    name: str,
    *,
    better: Literal["higher", "lower"] | None,
    range: tuple[float, float] = (-np.inf, np.inf),
    needs: Literal["both classes", "a label"] = "both classes",
    reads: Literal["order", "probabilities"] = "order",
    takes: Literal["arrays", "ranking"] = "arrays",
    kinds: Iterable[str] = ("binary",),
    interval: Callable[..., Bounds] | None = None,
    title: str | None = None,
    digits: int = 3,
    shown: Iterable[Literal["terminal", "page"]] = ("terminal", "page"),
) -> Callable[[Member], Member]:
    """Decorator: enter a function, or a class, into `metrics`; its first docstring line describes it.

    From then on it is a column of `per_assay.evaluate`, of evaluation.csv, the terminal and the report, with
    a row of means in `summarize`. Parameters are the fields of `Metric`.

    A function that `takes` arrays is called with the tasks alone that have what it `needs`; labels [n, T] are
    1, 0 or NaN (not measured), scores [n, T] are not to be read where the label is NaN. An object of a class
    is made without arguments and called; if it has a method `interval`, that gives the `Bounds`.

    Raises
    ------
    ValueError : the name is taken, also as a column of the table of results.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in NO_METRICS:
        raise ValueError(
            f"A metric cannot be called '{name}'. Expected small letters, digits and _, such as hit_rate, "
            f"and none of {', '.join(NO_METRICS)}."
        )

    def enter(member: Member) -> Member:
        function: Callable[..., Any] = member() if isinstance(member, type) else member
        metric = Metric(
            name=name,
            function=function,
            description=(inspect.getdoc(member) or "").partition("\n")[0],
            better=better,
            range=range,
            needs=needs,
            reads=reads,
            takes=takes,
            kinds=frozenset(kinds),
            interval=interval or getattr(function, "interval", None),
            title=title or name,
            digits=digits,
            shown=frozenset(shown),
        )
        metrics.register(name)(metric)
        return member

    return enter


def metrics_of(kind: str = "binary") -> list[Metric]:
    """The metrics for a kind of assay in the order of their columns: ours, then others by name."""
    names = sorted(
        metrics.names(), key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name)
    )
    return [metric for metric in map(metrics.get, names) if kind in metric.kinds]
