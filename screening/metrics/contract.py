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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from ..registry import Registry
from .cells import Cells, Packing, cells_of
from .ranking import Ranking, rank

FIRST = (
    *("roc_auc", "average_precision", "bedroc", "ef_1pct"),
    *("log_loss", "base_entropy", "brier", "calibration_error"),
)
"""Metrics of binary assays whose columns come first, in this order; those registered later follow by name."""

FIRST_OF_REAL = ("concordance", "rmse", "mae", "r2", "spearman", "kendall", "within_03", "within_1")
"""The same of real assays. Concordance is of both kinds, and a column where there is a real assay."""

Reads = Literal["order", "probabilities", "values"]
Takes = Literal["arrays", "ranking", "cells", "outcome"]

TEXTS = ("part", "assay", "status", "reason")
COUNTS = ("actives", "inactives")
NO_METRICS = (*TEXTS, *COUNTS, "base_rate")
"""Columns of a table of results that are no metrics; they come first."""

REAL_COUNTS = ("measured", "censored")
OF_KINDS = ("kind", *REAL_COUNTS)
"""Further such columns of a table with real assays: `binary` or `real`, and how many cells were measured,
censored ones among them."""


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
    """[n, T], 1 active, 0 inactive, or the value (bound) of a real assay; NaN not measured."""
    scores: np.ndarray
    """[n, T], higher = more active, or the predicted value; not read where the label is NaN."""
    tasks: tuple[str, ...] | None = None
    """Names for messages."""
    is_real: np.ndarray | None = None
    """bool [T], which assays have values; None = none."""
    censored: np.ndarray | None = None
    """int8 [n, T], 1 = the true value is above the label, -1 = below; None = no cell is."""
    packing: Packing | None = None
    """Whose the cells are where the n rows are not the molecules; None = they are."""

    @property
    def n_molecules(self) -> int:
        """Molecules of the table."""
        return len(self.labels) if self.packing is None else self.packing.n

    @cached_property
    def is_binary(self) -> np.ndarray:
        """bool [T], which assays have two classes."""
        n_tasks = np.shape(self.labels)[-1]
        is_real = np.zeros(n_tasks, bool) if self.is_real is None else np.asarray(self.is_real, bool)
        if is_real.shape != (n_tasks,):
            raise ValueError(
                f"is_real {is_real.shape}: expected one truth value for each of {n_tasks} tasks."
            )
        return ~is_real

    @cached_property
    def ranking(self) -> Ranking:
        """The measured molecules of each binary task, sorted by score; errors as `rank`."""
        labels, scores, _, tasks = self._columns(self.is_binary)
        return rank(labels, scores, tasks)

    @cached_property
    def cells(self) -> Cells:
        """The measured cells of the real tasks; errors as `cells_of`."""
        cells = cells_of(*self._columns(~self.is_binary))
        if self.packing is None:
            return cells
        task = np.flatnonzero(~self.is_binary)[cells.task]
        return replace(cells, molecule=self.packing.molecule[cells.molecule, task])

    def take(self, at: slice) -> "Outcome":
        """What came out for a part of the tasks."""
        is_real, censored = (
            None if one is None else np.asarray(one) for one in (self.is_real, self.censored)
        )
        return Outcome(
            np.asarray(self.labels)[:, at],
            np.asarray(self.scores)[:, at],
            None if self.tasks is None else self.tasks[at],
            None if is_real is None else is_real[at],
            None if censored is None else censored[:, at],
            None if self.packing is None else self.packing.take(at),
        )

    def has(self, needs: str) -> np.ndarray:
        """bool [T], which tasks have what a metric needs."""
        both, has = needs == "both classes", np.zeros(len(self.is_binary), dtype=bool)
        has[self.is_binary] = self.ranking.has_both if both else self.ranking.counts > 0
        if not self.is_binary.all():
            exact = self.cells.exact
            has[~self.is_binary] = exact.varies if both else exact.counts > 0
        return has

    def exact(self, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels and scores of the tasks where `of` is true; a censored cell counts as not measured."""
        labels, scores, censored, _ = self._columns(of)
        return labels if censored is None else np.where(censored == 0, labels, np.nan), scores

    def _columns(
        self, of: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
        labels, scores, censored = np.asarray(self.labels), np.asarray(self.scores), self.censored
        if of.all():
            return labels, scores, censored, self.tasks
        tasks = None if self.tasks is None else tuple(np.array(self.tasks, dtype=object)[of])
        return labels[:, of], scores[:, of], None if censored is None else np.asarray(censored)[:, of], tasks


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
    """What a task must have; otherwise the value is NaN. Of real assays: two different values, or a value,
    censored cells not counted."""
    reads: Reads
    """Whether only the order of the scores counts, or they must be probabilities, or values as measured."""
    takes: Takes = "arrays"
    """Whether the function is called with labels and scores [n, T], with what is made from them, the
    `Ranking` (binary assays) or `Cells` (real ones), or with the whole `Outcome`."""
    kinds: frozenset[str] = frozenset({"binary"})
    """Kinds of assay that it is for; NaN of others."""
    is_common: bool = False
    """Whether it puts both kinds on one scale, so that a table without real assays has no column of it."""
    interval: Callable[..., Bounds] | None = None
    """Of the same arguments; None = the metric has no interval."""
    title: str = ""
    """Head of its column on pages and terminals."""
    digits: int = 3
    """Decimal places shown."""
    shown: frozenset[str] = frozenset({"terminal", "page"})
    """Where the table of assays has a column for it; files have all."""

    def suits(self, kinds: Iterable[str]) -> bool:
        """Whether a table of these kinds of assay has its columns."""
        return bool(self.kinds & {*kinds}) and ("real" in kinds or not self.is_common)

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in a table of results: the name and, with an interval, `_low` and `_high`."""
        ends = ("", "_low", "_high") if self.interval is not None else ("",)
        return tuple(f"{self.name}{end}" for end in ends)

    def __call__(self, labels: np.ndarray, scores: np.ndarray, **options: Any) -> np.ndarray:
        """The metric of every task [T], all of the kind it is for, from labels and scores [n, T]."""
        is_real = None if "binary" in self.kinds else np.ones(np.shape(labels)[-1], dtype=bool)
        return self.values(Outcome(labels, scores, is_real=is_real), **options)

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
        if self.takes == "outcome":
            return list(function(outcome))
        spread = [np.full(len(outcome.is_binary), np.nan) for _ in range(n_numbers)]
        for of, given in self._given(outcome):
            for numbers, all_tasks in zip(function(*given), spread, strict=True):
                all_tasks[of] = self._checked(np.asarray(numbers, dtype=np.float64), int(of.sum()))
        return spread

    def _given(self, outcome: Outcome) -> Iterator[tuple[np.ndarray, tuple[Any, ...]]]:
        """Which tasks [T] the function is called for, and with what."""
        for kind, of in (("binary", outcome.is_binary), ("real", ~outcome.is_binary)):
            if kind not in self.kinds:
                continue
            if self.takes != "arrays":
                yield of, (outcome.ranking if self.takes == "ranking" else outcome.cells,)
                continue
            if self.reads == "probabilities" and kind == "binary":
                outcome.ranking.probabilities  # noqa: B018  refuses scores that are none
            of = of & outcome.has(self.needs)
            if of.any():
                yield of, outcome.exact(of)

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
        "screening.metrics.concordance",
        "screening.metrics.errors_of_values",
        "screening.metrics.rank_correlation",
    ),
)

Member = TypeVar("Member", bound=Callable[..., Any])


def register(
    name: str,
    *,
    better: Literal["higher", "lower"] | None,
    range: tuple[float, float] = (-np.inf, np.inf),
    needs: Literal["both classes", "a label"] = "both classes",
    reads: Reads = "order",
    takes: Takes = "arrays",
    kinds: Iterable[str] = ("binary",),
    is_common: bool = False,
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
    if (
        not re.fullmatch(r"[a-z][a-z0-9_]*", name)
        or keyword.iskeyword(name)
        or name in (*NO_METRICS, *OF_KINDS)
    ):
        raise ValueError(
            f"A metric cannot be called '{name}'. Expected small letters, digits and _, such as hit_rate, "
            f"and none of {', '.join((*NO_METRICS, *OF_KINDS))}."
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
            is_common=is_common,
            interval=interval or getattr(function, "interval", None),
            title=title or name,
            digits=digits,
            shown=frozenset(shown),
        )
        metrics.register(name)(metric)
        return member

    return enter


def metrics_of(*kinds: str) -> list[Metric]:
    """The metrics of a table of such assays (none given = binary ones alone), in the order of their columns.

    Ours come first, then others by name; with real assays concordance, then binary and real ones.
    """
    kinds = kinds or ("binary",)
    first = FIRST if "real" not in kinds else ("concordance", *FIRST, *FIRST_OF_REAL[1:])
    suiting = [metric for metric in map(metrics.get, metrics.names()) if metric.suits(kinds)]
    return sorted(suiting, key=lambda m: (first.index(m.name) if m.name in first else len(first), m.name))
