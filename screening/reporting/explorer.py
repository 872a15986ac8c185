"""Each assay of a run by itself, as data: curves, history, wrongly predicted and top molecules, drawn.

The report carries it once, and its script draws the assay that a reader opens. How much is kept per assay
shrinks with their number, so that the page of thousands of assays still opens.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..evaluation.headline import headline
from ..evaluation.results import Material
from ..evaluation.verdicts import VERDICTS
from ..metrics.per_assay import further_metrics, metrics_in
from ..training.predictions import Predictions
from .curves import bins, cumulative
from .sketches import sketch
from .value_section import kept_intervals
from .values import censored_at, good_end, points_of, value_text

MOLECULES = 6
"""Molecules in each list of an assay, at most."""

STRUCTURES = 2000
"""Molecules of all assays together that are drawn; the rest is shown as SMILES."""

HISTORY = ("epoch", "loss", "weight", "valid_concordance")
"""Columns of the history that are kept."""

COUNTED = ("actives", "inactives", "base_rate", "measured", "censored")
"""Columns of the evaluation that are counts and shares, as far as it has them."""

WITHIN = ("runs_mean", "runs_sd", "runs")
"""Columns that the evaluation of a set of runs has behind them."""


class Sizes(NamedTuple):
    """How much is kept of each assay."""

    points: int
    """Of its curve."""
    epochs: int
    molecules: int
    """Of each list."""

    @classmethod
    def of(cls, n_assays: int) -> "Sizes":
        def share(whole: int, least: int, most: int) -> int:
            return max(least, min(most, whole // max(1, n_assays)))

        return cls(share(40_000, 8, 80), share(20_000, 4, 40), share(3_600, 1, MOLECULES))


def explore(material: Material) -> Markup:
    """JSON that stands safely inside a script element; rows of `assays` are those of the evaluation.

    `molecules` has id, SMILES and the drawing (null where there is none) of every molecule that `missed`
    (actives that stand below an inactive, lowest first), `false` (inactives that stand above an active,
    highest first) or `top` of an assay name, by its place; of real values see `_lists_of_values`.
    """
    evaluation, test = material.evaluation, material.test_predictions
    numbers = [name for name in COUNTED if name in evaluation]
    numbers += [name for metric in metrics_in(evaluation) for name in metric.columns]
    sizes = Sizes.of(len(evaluation))
    history = _histories(material.history, sizes.epochs)
    parts = _label_counts(material.counts)
    lists = [_lists(test, task, sizes.molecules) for task in range(len(evaluation))]
    places = _in_rounds([test.molecules_at(task, rows) for task, assay in enumerate(lists) for rows in assay])
    names = {row: place for place, row in enumerate(places)}
    width, covered = kept_intervals(material).values()
    assays = [
        {
            "name": row.assay,
            "verdict": list(VERDICTS).index(row.verdict),
            "why": " ".join(filter(None, (row.reason, row.why and f"Likely: {row.why}."))),
            "numbers": [_short(getattr(row, name)) for name in numbers],
            "labels": parts.get(row.assay, []),
            **_outcome(test, task, sizes),
            "history": history.get(row.assay, []),
            "within": [_short(getattr(row, name, math.nan)) for name in WITHIN],
            **_named(lists[task], names, test, task),
            **({"interval": [_short(width[task]), _short(covered[task])]} if test.is_real[task] else {}),
        }
        for task, row in enumerate(evaluation.itertuples(index=False))
    ]
    molecules = [
        [test.ids[row] or "", test.smiles[row], sketch(test.smiles[row]) if place < STRUCTURES else None]
        for place, row in enumerate(places)
    ]
    further = [(metric.title, metric.digits, *metric.columns) for metric in further_metrics(evaluation)]
    data = {
        "fields": numbers,
        "further": further,
        "verdicts": list(VERDICTS),
        "headline": headline(evaluation).name,
    }
    return as_script({**data, "assays": assays, "molecules": molecules})


def as_script(values: Any) -> Markup:
    """JSON in which no text can end the element or begin another."""
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _short(value: float) -> float | int | None:
    """Three significant digits; None where there is no number."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    if not math.isfinite(value):
        return None
    short = float(f"{value:.3g}")
    return int(short) if short.is_integer() else short


def _rows(table: np.ndarray) -> list[list[float | int | None]]:
    return [[_short(value) for value in row] for row in table.tolist()]


def _outcome(test: Predictions, task: int, sizes: Sizes) -> dict[str, Any]:
    """What is drawn of an assay: of classes its `curve` and `bins`, of values `points` and what they are."""
    assay, labels, scores = test.assays[task], test.outcome.labels[:, task], test.outcome.scores[:, task]
    if not assay.is_real:
        return {
            "curve": _rows(cumulative(labels, scores, sizes.points)),
            "bins": _rows(bins(labels, scores, 1)),
        }
    points = points_of(test, task, 3 * sizes.points)
    columns = np.stack([points.measured, points.predicted, points.censored], axis=1)
    is_log, good = "log10" in assay.transform, good_end(assay)
    about = {"scale": assay.scale, "good": good, "isLog": is_log}
    return {"points": _rows(columns), "about": about}


# --- molecules ----------------------------------------------------------------------------------------------


class Lists(NamedTuple):
    """Rows of `Predictions.outcome` of the test part, the most telling molecules first."""

    missed: list[int]
    false: list[int]
    top: list[int]


def _lists(test: Predictions, task: int, n: int) -> Lists:
    if test.assays[task].is_real:
        return _lists_of_values(test, task, n)
    labels, scores = test.outcome.labels[:, task], test.outcome.scores[:, task]
    order = _known(test, labels, np.argsort(-scores, kind="stable"))
    actives, inactives = order[labels[order] == 1], order[labels[order] == 0]
    missed, false = actives[:0], inactives[:0]
    if len(actives) and len(inactives):
        missed = actives[scores[actives] <= scores[inactives[0]]][::-1]
        false = inactives[scores[inactives] >= scores[actives[-1]]]
    return Lists(missed[:n].tolist(), false[:n].tolist(), order[:n].tolist())


def _lists_of_values(test: Predictions, task: int, n: int) -> Lists:
    """Of real values: those measured better than predicted, predicted better than measured, predicted best.

    Better is towards the wanted end. A bound that the prediction satisfies is no error; else it counts as the
    value.
    """
    better, censored = 1 if test.assays[task].wanted == "high" else -1, censored_at(test, task)
    labels, scores = test.outcome.labels[:, task], test.outcome.scores[:, task]
    excess = scores.astype(np.float64) - labels
    excess[((censored > 0) & (excess > 0)) | ((censored < 0) & (excess < 0))] = 0
    excess = np.nan_to_num(excess) * better
    order = np.argsort(-excess, kind="stable")
    top = _known(test, labels, np.argsort(-better * scores, kind="stable"))
    false, missed = order[excess[order] > 0], order[excess[order] < 0][::-1]
    return Lists(missed[:n].tolist(), false[:n].tolist(), top[:n].tolist())


def _known(test: Predictions, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows that are of a molecule: those that were measured, where nothing else is kept."""
    return rows if test.outcome.packing is None else rows[~np.isnan(labels[rows])]


def _in_rounds(every: Sequence[list[int]]) -> list[int]:
    """Every molecule of the lists once: the first of each list, then the second, and so on."""
    longest = max(map(len, every), default=0)
    rows = (one[place] for place in range(longest) for one in every if place < len(one))
    return list(dict.fromkeys(rows))


def _named(lists: Lists, names: dict[int, int], test: Predictions, task: int) -> dict[str, Any]:
    """The lists as [molecule, probability, label, rank among the measured]; label and rank may be None.

    Of real values predicted and measured value are texts with their units, and ranks count from the wanted
    end.
    """
    assay, labels, censored = test.assays[task], test.outcome.labels[:, task], censored_at(test, task)
    said, sign = test.outcome.scores[:, task], -1 if assay.is_real and assay.wanted == "low" else 1
    measured = np.sort(sign * said[~np.isnan(labels)])

    def row(place: int, molecule: int) -> list[Any]:
        score, label, rank = float(said[place]), labels[place], None
        if not np.isnan(label):
            rank = len(measured) - int(np.searchsorted(measured, sign * said[place], side="right")) + 1
        if assay.is_real:
            measured_text = None if rank is None else value_text(assay, float(label), int(censored[place]))
            return [names[molecule], value_text(assay, score), measured_text, rank]
        return [names[molecule], _short(score), None if rank is None else int(label), rank]

    return {
        name: [row(*both) for both in zip(one, test.molecules_at(task, one), strict=True)]
        for name, one in lists._asdict().items()
    }


# --- training -----------------------------------------------------------------------------------------------


def _histories(history: pd.DataFrame, n: int) -> dict[str, list[list[float | int | None]]]:
    """Per assay up to `n` rows of epoch (from 1), loss, weight and validation ROC-AUC or concordance."""
    if not len(history):
        return {}
    epochs = np.sort(history["epoch"].unique())
    kept = epochs[np.unique(np.linspace(0, len(epochs) - 1, n).round().astype(int))]
    rows = history[history["epoch"].isin(kept)]
    numbers = _rows(rows.assign(epoch=rows["epoch"] + 1)[list(HISTORY)].to_numpy(float))
    return _by_assay(rows["assay"].tolist(), numbers)


def _label_counts(counts: pd.DataFrame) -> dict[str, list[list[Any]]]:
    """Per assay [part, labels, actives] of every part; and bounds, where a table has real values."""
    if not len(counts):
        return {}
    columns = [name for name in ("part", "measured", "actives", "censored") if name in counts]
    return _by_assay(counts["assay"].tolist(), counts[columns].values.tolist())


def _by_assay(assays: list[str], rows: list[Any]) -> dict[str, list[Any]]:
    lists: dict[str, list[Any]] = {assay: [] for assay in assays}
    for assay, row in zip(assays, rows, strict=True):
        lists[assay].append(row)
    return lists
