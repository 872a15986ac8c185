"""Pictures of assays with real values: predicted against measured, and how large the errors are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...data.assay_kinds import Assay
from ..svg import PAGE, Picture, drawing, inline, plain
from ..values import Points
from .axes import SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOUNDS = {1: ">", -1: "<"}
"""By `censored`: arrows point to where the true value lies on the axis of measured values."""


def predicted_and_measured(assay: Assay, points: Points, number: int) -> Picture:
    """Predicted against measured values of an assay, with the line where both are equal.

    Parameters
    ----------
    number : of the assay in its table, which makes ids of the picture its own.
    """
    with drawing((2.75, 2.65)) as figure:
        axes = figure.subplots()
        low, high = _limits(points)
        axes.plot([low, high], [low, high], color=PAGE.soft, lw=1, ls=":")
        is_exact = points.censored == 0
        _draw_dots(axes, points.measured[is_exact], points.predicted[is_exact])
        for kind, marker in BOUNDS.items():
            is_kind = points.censored == kind
            x, y = points.measured[is_kind], points.predicted[is_kind]
            axes.scatter(x, y, 22, marker=marker, facecolors="none", edgecolors=PAGE.warm, linewidths=0.8)
        unit = f", {assay.scale}" if assay.scale else ""
        axes.set(xlim=(low, high), ylim=(low, high), xlabel=f"measured{plain(unit, 24)}", ylabel="predicted")
        axes.set_aspect("equal")
        axes.locator_params(nbins=4)
        n_bounds = int((points.censored != 0).sum())
        bounds = f", {n_bounds} of them bounds (arrows)" if n_bounds else ""
        what = f"Predicted against measured values of {len(points.rows)} molecules{bounds}, on one scale."
        return inline(figure, f"values-{number}", f"{assay.name}: predicted against measured", what)


def _draw_dots(axes: "Axes", x: np.ndarray, y: np.ndarray) -> None:
    """Points as one path of lines without length, which is a fifth of the size of a symbol for each."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if len(x):
        corners = np.repeat(np.column_stack([x, y]), 2, axis=0)
        path = Path(corners, np.tile([Path.MOVETO, Path.LINETO], len(x)))
        path.should_simplify = False
        axes.add_patch(PathPatch(path, fill=False, ec=PAGE.accent, lw=3.2, capstyle="round", alpha=0.65))


def _limits(points: Points) -> tuple[float, float]:
    """Of both axes alike, with some room."""
    both = np.concatenate([points.measured, points.predicted])
    low, high = float(both.min()), float(both.max())
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def error_ranges(
    names: Sequence[str], ranges: np.ndarray, scale: str, *, number: int = 0, narrow: bool = False
) -> Picture:
    """Errors of each assay: the median, and where 50 and 90 % of them lie.

    Parameters
    ----------
    names : of assays that have errors, the best first; of more than `SHOWN` none is named.
    ranges : [n, 5] as `values.errors` gives them.
    scale : that they are on.
    number : of the picture among those of errors, which makes its ids its own.
    narrow : for the width of a phone.
    """
    named, width = len(names) <= SHOWN, 4.3 if narrow else 9.0
    with drawing((width, 0.8 + 0.25 * len(names) if named else 3.4)) as figure:
        axes = figure.subplots()
        places = np.arange(len(names))[::-1] if named else np.arange(1, len(names) + 1)
        (axes.axvline if named else axes.axhline)(0, color=PAGE.soft, lw=1, ls=":")
        _draw_ranges(axes, places, ranges, is_flat=named)
        unit = f", {scale}" if scale else ""
        words = f"predicted - measured{unit}"
        if named:
            axes.set_yticks(places, [plain(name, 18 if narrow else 36) for name in names])
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
            axes.set(ylim=(-0.7, len(names) - 0.3), xlabel=words)
        else:
            axes.set(xlabel="assays, the best first", ylabel=words)
            axes.margins(x=0.01)
        what = (
            f"Errors of {len(names)} assays: the median, and where 50 % (thick) and 90 % (thin) of them lie."
        )
        return inline(figure, f"errors-{number}{'-narrow' if narrow else ''}", "Errors of each assay", what)


def _draw_ranges(axes: "Axes", places: np.ndarray, ranges: np.ndarray, *, is_flat: bool) -> None:
    low, quarter, median, three, high = ranges.T
    lines = axes.hlines if is_flat else axes.vlines
    lines(places, low, high, colors=PAGE.accent, alpha=0.45, lw=1.4)
    lines(places, quarter, three, colors=PAGE.accent, lw=4)
    x, y = (median, places) if is_flat else (places, median)
    axes.scatter(x, y, color=PAGE.card, edgecolors=PAGE.ink, s=20 if is_flat else 8, zorder=3, linewidths=1)
