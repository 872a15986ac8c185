"""Pictures of curves: ROC, precision-recall and reliability; the numbers are those of `reporting.curves`."""

from collections.abc import Sequence

import numpy as np

from ..curves import Curves
from ..svg import PAGE, Picture, drawing, inline


def curve_pictures(curves: Curves) -> list[Picture]:
    """ROC, precision-recall and reliability; each assay's curve carries its place as `data-pick`."""
    n = curves.n_averaged
    about = f"mean over {n} assays in bold" + ("" if curves.tasks else ", 80 % of them in the band")
    return [
        _lines(
            "roc",
            "ROC curves",
            f"Share of actives found against share of inactives taken; {about}.",
            curves.roc,
            curves,
            ("inactives taken (false positive rate)", "actives found (recall)"),
        ),
        _lines(
            "precision",
            "Precision-recall curves",
            f"Precision against recall; {about}.",
            curves.precision,
            curves,
            ("actives found (recall)", "precision"),
        ),
        _reliability(curves),
    ]


def _lines(
    name: str,
    title: str,
    what: str,
    lines: Sequence[np.ndarray],
    curves: Curves,
    labels: tuple[str, str],
) -> Picture:
    common = curves.mean_roc if name == "roc" else curves.mean_precision
    with drawing((3.3, 3.15)) as figure:
        axes = figure.subplots()
        if name == "roc":
            axes.plot([0, 1], [0, 1], color=PAGE.soft, lw=1, ls=":")
        for task, line in zip(curves.tasks, lines, strict=True):
            axes.plot(*line.T, color=PAGE.pale, lw=0.9, gid=f"pick-{task}")
        if len(common):
            if not lines:
                axes.fill_between(common[:, 0], common[:, 2], common[:, 3], color=PAGE.pale, alpha=0.35, lw=0)
            axes.plot(*common[:, :2].T, color=PAGE.ink, lw=2.2)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=labels[0], ylabel=labels[1])
        axes.set_aspect("equal")
        return inline(figure, name, title, what, unit=axes)


def _reliability(curves: Curves) -> Picture:
    with drawing((3.3, 3.15)) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=PAGE.soft, lw=1, ls=":")
        for task, points in zip(curves.tasks, curves.reliability, strict=True):
            axes.plot(*points[:, :2].T, color=PAGE.pale, lw=0.9, gid=f"pick-{task}")
        x, y, low, high, size = curves.pooled.T
        axes.vlines(x, low, high, color=PAGE.ink, lw=1.2)
        axes.plot(x, y, color=PAGE.ink, lw=1.6)
        axes.scatter(x, y, s=8 + 60 * np.sqrt(size / max(1, size.max(initial=1))), color=PAGE.ink, zorder=3)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.set(xlabel="predicted probability", ylabel="share that is active")
        axes.set_aspect("equal")
        what = (
            "Share of actives against predicted probability in ten bins; all labels together in bold, larger "
        )
        what += "points hold more labels; on the dotted line probabilities are right."
        return inline(figure, "reliability", "Reliability", what, unit=axes)
