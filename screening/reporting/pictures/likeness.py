"""The map of which assays are alike, by their labels and by their predictions."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...evaluation.verdicts import Likeness
from ..svg import PAGE, Picture, drawing, inline, plain
from .axes import SHOWN, shades


def likeness_map(alike: Likeness, names: Sequence[str]) -> Picture:
    """Correlation of assays: below the diagonal of labels, above it of predictions; clusters framed.

    Parameters
    ----------
    names : of the T assays, in the order of the table.
    """
    order, named = alike.order, len(names) <= SHOWN
    labels, scores = alike.labels[np.ix_(order, order)], alike.scores[np.ix_(order, order)]
    size = 4.6 + (0.06 * len(names) if named else 1.6)
    below = np.tril(np.ones_like(scores, bool), -1)
    with drawing((size + (1.2 if named else 0), size)) as figure:
        axes = figure.subplots()
        axes.imshow(shades(np.where(below, labels, scores)), interpolation="none")
        starts = np.flatnonzero(np.diff(alike.clusters[order], prepend=-1, append=-1))
        for start, end in pairwise(starts.tolist()):
            if end - start > 1:
                corners = np.array([start, start, end, end, start]) - 0.5
                axes.plot(corners, np.roll(corners[:4], 1)[[0, 1, 2, 3, 0]], PAGE.ink, lw=0.9, clip_on=False)
        ticks = list(range(len(names))) if named else []
        shown = [plain(names[task], 26) for task in order] if named else []
        axes.set_yticks(ticks, shown)
        axes.set_xticks(ticks, shown, rotation=90)
        axes.tick_params(length=0)
        what = f"Correlation of {len(names)} assays, alike ones side by side: below the diagonal of labels, "
        what += "above it of their predictions. Cool is positive, warm negative, grey unknown."
        return inline(figure, "likeness", "Which assays are alike", what)
