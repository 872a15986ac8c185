"""Pictures of learning curves: concordance against labels, the law through them, twice as many labels."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...evaluation.extrapolation import AHEAD, Law
from ..svg import PAGE, Picture, drawing, inline, plain
from .axes import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 12
"""Curves in one picture: four rows of three."""


def learning_curves(
    points: pd.DataFrame, answers: pd.DataFrame, metric: str, name: str = "curves"
) -> Picture:
    """A panel for each row of the answers, of which there are at most `PANELS`.

    Parameters
    ----------
    points, answers : as `LearningCurves` has them.
    name : makes ids of the picture its own.
    """
    across = min(3, len(answers))
    down = -(-len(answers) // across)
    with drawing((2.75 * across, 2.1 * down + 0.2)) as figure:
        panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
        for axes, row in zip(panels, answers.to_dict("records"), strict=False):
            own = points[(points["assay"] == row["assay"]) & (points["thinned"] == row["thinned"])]
            _panel(axes, own, row)
            alone = " (alone)" if row["thinned"] == "alone" else ""
            axes.set_title(plain(f"{row['assay']}{alone}", 30), fontsize=9, loc="left")
        for axes in panels[len(answers) :]:
            axes.set_axis_off()
        for axes in panels[::across]:
            axes.set_ylabel(metric)
        what = f"{metric} against labels of the training part, with 95 % intervals; the line is an inverse "
        what += f"power law, and where it goes further, the open point is at {AHEAD:g} times the labels."
        return inline(figure, name, "Learning curves", what)


def _panel(axes: "Axes", points: pd.DataFrame, row: dict[str, Any]) -> None:
    """The points of one curve, the law through them, and what is ahead."""
    labels, value = points["labels"].to_numpy(), points["concordance"].to_numpy()
    spread = [value - points["low"], points["high"] - value]
    axes.errorbar(labels, value, spread, color=PAGE.accent, fmt="o", ms=4, lw=1.2)
    ahead, whole = row["ahead"], row["labels"]
    law = Law(*(np.array(row[field]) for field in Law._fields))
    if not (labels > 0).all():
        return
    if np.isfinite(law.slope):
        x = np.geomspace(labels.min() / whole, AHEAD if ahead == ahead else 1.0, 50)
        axes.plot(x * whole, [law.at(each) for each in x], color=PAGE.ink, lw=1.2)
    if ahead == ahead:
        error = [[max(ahead - row["ahead_low"], 0)], [max(row["ahead_high"] - ahead, 0)]]
        axes.errorbar([AHEAD * whole], [ahead], error, color=PAGE.warm, fmt="o", ms=5, mfc="none", lw=1.2)
    axes.set_xscale("log")
    log_axis(axes.xaxis)
    axes.set_xlabel("labels")
