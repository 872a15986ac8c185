"""A run at a glance: the card that a notebook shows, and its lines for a terminal."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..evaluation.headline import headline
from ..evaluation.results import Material
from ..evaluation.verdicts import SHADES, Macro, count_verdicts, in_words, meanings
from ..runtime.numbers import in_digits
from .models_told import model_in_words
from .pages import render
from .report import macro_of

PAGE, MODEL_CARD = "report.html", "MODEL_CARD.md"
SHOWN = (
    "concordance",
    "rmse",
    "r2",
    "spearman",
    "roc_auc",
    "average_precision",
    "pooled_average_precision",
    "bedroc",
    "ef_1pct",
    "log_loss",
)
"""Metrics of the card, as far as a summary has them."""


class Means(NamedTuple):
    """A metric over the assays of the test part; NaN where there is none."""

    metric: str
    mean: float
    low: float
    high: float
    """95 % interval of the mean; NaN where it is not known."""
    median: float
    assays: int


def card(results: Material, summary: pd.DataFrame) -> str:
    """HTML of a run: verdict, means with intervals, links to its pages; colours follow the notebook's theme.

    Parameters
    ----------
    summary : rows per metric of the test part, as `per_assay.summarize` gives them.
    """
    counts = count_verdicts(results.evaluation["verdict"].to_numpy())
    return render(
        "run_card.html",
        name=results.config.name,
        folder=results.folder,
        model=model_in_words(results.config),
        balancer=_balancer(results),
        table=results.manifest["file"],
        molecules=results.manifest["molecules"],
        n_assays=len(results.evaluation),
        rejected=len(results.rejected),
        verdict=in_words(counts),
        counts={name: n for name, n in counts.items() if n},
        meanings=meanings(results.evaluation),
        shades=SHADES,
        means=list(_means(results, summary)),
        links={name: _address(results.folder / name) for name in (PAGE, MODEL_CARD)},
    )


def lines(results: Material, summary: pd.DataFrame) -> list[str]:
    """The same in a few lines of text."""
    verdict = in_words(count_verdicts(results.evaluation["verdict"].to_numpy()))
    parts = ", ".join(f"{n:,} {part}" for part, n in results.manifest["molecules"].items())
    means = [
        f"{each.metric} {in_digits(each.mean)}{_interval(each)} over {each.assays:,} assays"
        for each in _means(results, summary)
        if each.metric in (SHOWN[:3] if results.is_real.any() else ("roc_auc", "average_precision"))
    ]
    return [
        f"{model_in_words(results.config)}{_balancer(results)}; {results.manifest['file']}: {parts}",
        f"{len(results.evaluation):,} assays: {verdict}",
        *means,
    ]


def _means(results: Material, summary: pd.DataFrame) -> Iterator[Means]:
    main, nothing = headline(results.evaluation).name, Macro(float("nan"), float("nan"), float("nan"), 0)
    rows = summary.set_index("metric")
    for metric in SHOWN:
        if metric in rows.index:
            row = rows.loc[metric]
            interval = macro_of(results) if metric == main else nothing
            yield Means(metric, row["mean"], interval.low, interval.high, row["median"], int(row["assays"]))


def _interval(means: Means) -> str:
    return "" if means.low != means.low else f" ({in_digits(means.low)} to {in_digits(means.high)})"


def _balancer(results: Material) -> str:
    """The balancer, as an ending of the model's words; a baseline has none."""
    config = results.config
    return "" if config.model.baseline else f", balancer {' + '.join(part.name for part in config.balancer)}"


def _address(path: Path) -> str | None:
    """A link from the notebook's folder; None where there is no such page yet."""
    return os.path.relpath(path).replace(os.sep, "/") if path.is_file() else None
