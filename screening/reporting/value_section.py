"""What the page of a run shows of its assays with real values: panels and ranges of errors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..data.assay_kinds import Assay
from ..data.sparse_cells import n_marked, n_measured
from ..evaluation.headline import common_scale
from ..evaluation.results import Material
from ..runtime.numbers import in_digits, short
from . import pictures
from .svg import Picture
from .values import errors, points_of

PANELS, POINTS, SCALES = 12, 250, 4
"""Assays with a picture of their own, molecules in each, and pictures of errors, at most."""

ERROR = 0.1
"""Share of values that the intervals of the page may miss."""


class Panel(NamedTuple):
    """An assay with its picture of predicted against measured values."""

    place: int
    """Of the assay in the evaluation."""
    assay: str
    picture: Picture


class Ranges(NamedTuple):
    """Errors of all assays on one scale."""

    scale: str
    assays: int
    wide: Picture
    narrow: Picture


class Box(NamedTuple):
    """A number of the summary."""

    title: str
    value: str
    note: str


class ValueSection(NamedTuple):
    """The part of the page about real values."""

    assays: int
    values: int
    """In the test part, bounds among them."""
    bounds: int
    panels: list[Panel]
    ranges: list[Ranges]
    further_scales: int
    """Scales without a picture."""
    boxes: list[Box]
    interval: str
    """What is aimed at by the intervals in the table, such as 90 %; "" = there are none."""


def value_section(material: Material, ranked: Sequence[int], summary: pd.DataFrame) -> ValueSection | None:
    """The section; None where no assay has real values.

    Parameters
    ----------
    summary : of the test part, as `summarize` gives it, rows by metric.
    ranked : places of the assays with real values in the evaluation, best first.
    """
    if not len(ranked):
        return None
    test, ranges = material.test_predictions, error_ranges(material, ranked)
    bounds = 0 if test.censored is None else int(n_marked(test.censored)[list(ranked)].sum())
    return ValueSection(
        assays=len(ranked),
        values=int(n_measured(test.labels)[list(ranked)].sum()),
        bounds=bounds,
        panels=_panels(material, ranked),
        ranges=ranges[:SCALES],
        further_scales=max(0, len(ranges) - SCALES),
        boxes=_boxes(material, summary),
        interval=f"{1 - ERROR:.0%}".replace("%", " %") if len(_intervals(material)) else "",
    )


def _assays(n: int) -> str:
    return f"{n:,} assay{'s' if n != 1 else ''}"


def kept_intervals(material: Material) -> dict[str, np.ndarray]:
    """`half_width` of the intervals of each assay, and `covered`, their share that held: float64 [T].

    NaN where there is none.
    """
    table = _intervals(material).reindex([assay.name for assay in material.assays])
    return {name: table[name].to_numpy(float) for name in ("half_width", "covered")}


def _intervals(material: Material) -> pd.DataFrame:
    """Rows of the intervals of `ERROR` by assay."""
    table = material.intervals
    if not len(table):
        return pd.DataFrame(columns=["half_width", "covered", "measured"])
    return table[np.isclose(table["error"], ERROR)].set_index("assay")


def _boxes(material: Material, summary: pd.DataFrame) -> list[Box]:
    """Errors, where all are on one scale, then what does not depend on it."""
    scale, boxes, kept = common_scale(material.assays), list[Box](), _intervals(material)
    means, n = summary["mean"], summary["assays"]
    if scale is not None:
        note = f"mean absolute error {in_digits(means['mae'], 2)}; {_assays(n['rmse'])}"
        boxes.append(Box(f"RMSE, mean{scale and f', {scale}'}", short(means["rmse"]), note))
    note = f"explained variance; {_assays(n['r2'])}"
    boxes.append(Box("R2, mean", in_digits(means["r2"], 2), note))
    note = f"rank correlation; Kendall's tau {in_digits(means['kendall'], 2)}"
    boxes.append(Box("Spearman's rho, mean", in_digits(means["spearman"], 2), note))
    if kept["covered"].notna().any():
        width = "" if scale is None else f"; median half width {short(kept['half_width'].median())}"
        note = f"mean share of test values inside{width}"
        boxes.append(
            Box(
                f"Intervals of {1 - ERROR:.0%}".replace("%", " %"),
                f"{kept['covered'].mean():.0%}".replace("%", " %"),
                note,
            )
        )
    return boxes


def _panels(material: Material, ranked: Sequence[int]) -> list[Panel]:
    """Of up to `PANELS` assays, from best to worst in even steps of rank."""
    measured = n_measured(material.test_predictions.labels)
    drawable = [task for task in ranked if measured[task]]
    steps = np.unique(np.linspace(0, len(drawable) - 1, min(PANELS, len(drawable))).round().astype(int))
    return [panel_of(material, drawable[step]) for step in steps.tolist()]


def panel_of(material: Material, task: int) -> Panel:
    """The picture of one assay with real values."""
    assay = material.assays[task]
    points = points_of(material.test_predictions, task, POINTS)
    return Panel(task, assay.name, pictures.predicted_and_measured(assay, points, task))


def error_ranges(material: Material, ranked: Sequence[int]) -> list[Ranges]:
    """One for each scale, that of most assays first."""
    table, by_scale = errors(material.test_predictions), dict[str, list[int]]()
    for task in ranked:
        if np.isfinite(table[task]).all():
            by_scale.setdefault(material.assays[task].scale, []).append(task)
    ordered = sorted(by_scale.values(), key=lambda tasks: -len(tasks))
    return [_ranges_of(material.assays, table, tasks, number) for number, tasks in enumerate(ordered)]


def _ranges_of(assays: Sequence[Assay], table: np.ndarray, tasks: list[int], number: int) -> Ranges:
    names, scale = [assays[task].name for task in tasks], assays[tasks[0]].scale
    wide, narrow = (
        pictures.error_ranges(names, table[tasks], scale, number=number, narrow=is_narrow)
        for is_narrow in (False, True)
    )
    return Ranges(scale, len(tasks), wide, narrow)
