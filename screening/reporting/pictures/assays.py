"""Pictures of assays: how well each is predicted, from how many labels, and against another run."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...errors import DataError
from ...evaluation.verdicts import SHADES
from ...runtime.files import write_atomically
from ..svg import PAGE, PAPER, Colours, Marks, Picture, drawing, inline, plain
from .axes import SHOWN, chance, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_assays(evaluation: pd.DataFrame, path: Path, *, title: str) -> None:
    """ROC-AUC of each assay with its 95 % interval, best on top, written as SVG or PNG by the suffix.

    Parameters
    ----------
    evaluation : one row per assay, as `evaluation.evaluate` gives it; assays without a ROC-AUC are
        left out and counted under the picture.

    Raises
    ------
    DataError : there is no such folder, no room, or no permission.
    """
    assays = evaluation.dropna(subset="roc_auc").sort_values("roc_auc")
    rows = assays if len(assays) <= SHOWN else pd.concat([assays.head(SHOWN // 2), assays.tail(SHOWN // 2)])
    with drawing((7.5, 1.2 + 0.27 * len(rows)), PAPER) as figure:
        axes = figure.subplots()
        _forest(axes, rows, PAPER, mean=assays["roc_auc"].mean())
        left_out = len(evaluation) - len(rows)
        note = f"; {left_out} of {len(evaluation)} assays not drawn" if left_out else ""
        axes.set_xlabel(f"ROC-AUC, 95 % interval (actives of measured molecules beside the name{note})")
        axes.set_title(plain(title), loc="left", fontsize=11)
        axes.legend(loc="lower right", frameon=False)
        stream = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(stream, format=path.suffix[1:], metadata=metadata)
    try:
        write_atomically(path, stream.getvalue())
    except OSError as problem:
        raise DataError(
            f"{path} cannot be written: {problem.strerror or problem}. Give a file in a folder that exists, "
            "where there is room and you may write."
        ) from problem


def ranked_assays(evaluation: pd.DataFrame, verdicts: np.ndarray, *, narrow: bool = False) -> Picture:
    """ROC-AUC with interval of every assay that has one: by name for up to `SHOWN`, else as one curve.

    Parameters
    ----------
    verdicts : of each row, `findings.judge`; they choose the colour.
    narrow : for the width of a phone.
    """
    rows = evaluation.reset_index(drop=True).assign(verdict=verdicts)
    rows = rows.dropna(subset="roc_auc").sort_values("roc_auc", kind="stable")
    mean, assays = rows["roc_auc"].mean(), rows.index.tolist()
    what = f"ROC-AUC with 95 % interval of {len(rows)} assays, from worst to best; the mean is {mean:.3f}."
    name, width = ("ranked-narrow", 4.3) if narrow else ("ranked", 9.0)
    title = "ROC-AUC of each assay"
    if len(rows) <= SHOWN:
        with drawing((width, 0.8 + 0.25 * len(rows))) as figure:
            axes = figure.subplots()
            _forest(axes, rows, PAGE, mean=mean, longest=18 if narrow else 36, counts=not narrow)
            marks = Marks(axes, assays, rows["roc_auc"].to_numpy(), np.arange(len(rows)))
            return inline(figure, name, title, what, marks)
    with drawing((width, 3.1)) as figure:
        axes = figure.subplots()
        places = np.arange(1, len(rows) + 1)
        colours = _shades_of(rows["verdict"], PAGE)
        axes.vlines(places, rows["roc_auc_low"], rows["roc_auc_high"], colors=colours, alpha=0.35, lw=0.9)
        axes.plot(places, rows["roc_auc"], color=PAGE.ink, lw=1.6)
        chance(axes, PAGE)
        axes.set(xlabel="assays, from worst to best", ylabel="ROC-AUC, 95 % interval", ylim=(0, 1))
        axes.margins(x=0.01)
        return inline(figure, name, title, what, Marks(axes, assays, places, rows["roc_auc"].to_numpy()))


def _forest(
    axes: "Axes",
    rows: pd.DataFrame,
    colours: Colours,
    *,
    mean: float,
    longest: int = 36,
    counts: bool = True,
) -> None:
    """A point and a line per assay; colours by verdict where `rows` has a column of that name."""
    places = np.arange(len(rows))
    shades = _shades_of(rows["verdict"], colours) if "verdict" in rows else [colours.accent] * len(rows)
    axes.hlines(places, rows["roc_auc_low"], rows["roc_auc_high"], colors=shades, alpha=0.5, lw=2)
    axes.scatter(rows["roc_auc"], places, c=shades, s=22, zorder=3)
    names = [plain(name, longest) for name in rows["assay"]]
    if counts:
        numbers = zip(names, rows["actives"], rows["actives"] + rows["inactives"], strict=True)
        names = [f"{name}  ({actives:,} of {measured:,})" for name, actives, measured in numbers]
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0.5, color=colours.soft, lw=1, ls=":")
    axes.axvline(mean, color=colours.warm, lw=1, ls="--", label=f"mean {mean:.3f}")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.spines["left"].set_visible(False)


def _shades_of(verdicts: Iterable[str], colours: Colours) -> list[str]:
    return [getattr(colours, SHADES[verdict]) for verdict in verdicts]


def amount_and_quality(
    training_actives: np.ndarray, evaluation: pd.DataFrame, verdicts: np.ndarray
) -> Picture:
    """ROC-AUC of each assay against the actives it could learn from, on a log10 axis.

    Parameters
    ----------
    training_actives : [T], NaN where not known.
    """
    with drawing((4.7, 3.3)) as figure:
        axes = figure.subplots()
        colours = np.array(_shades_of(verdicts, PAGE))
        is_drawn = np.isfinite(evaluation["roc_auc"].to_numpy()) & (training_actives > 0)
        table, x = evaluation[is_drawn], training_actives[is_drawn]
        axes.vlines(x, table["roc_auc_low"], table["roc_auc_high"], colors=PAGE.grid, lw=0.8)
        axes.scatter(x, table["roc_auc"], c=colours[is_drawn], s=_size(len(x)), zorder=3, linewidths=0)
        chance(axes, PAGE)
        axes.set(xlabel="actives in training (log scale)", ylabel="test ROC-AUC", xscale="log")
        log_axis(axes.xaxis)
        what = f"One point per assay ({is_drawn.sum()}), test ROC-AUC against the number of training actives."
        marks = Marks(axes, np.flatnonzero(is_drawn).tolist(), x, table["roc_auc"].to_numpy())
        return inline(figure, "amount", "Does more data help?", what, marks)


def label_counts(measured: np.ndarray, actives: np.ndarray, verdicts: np.ndarray) -> Picture:
    """Measured molecules and actives of each assay on log10 axes, with lines of equal base rate."""
    with drawing((4.7, 3.3)) as figure:
        axes = figure.subplots()
        shown = (measured > 0) & (actives > 0)
        colours = np.array(_shades_of(verdicts, PAGE))
        axes.set(
            xlabel="molecules measured (log scale)", ylabel="actives (log scale)", xscale="log", yscale="log"
        )
        size = _size(int(shown.sum()))
        axes.scatter(measured[shown], actives[shown], c=colours[shown], s=size, zorder=3, linewidths=0)
        log_axis(axes.xaxis)
        log_axis(axes.yaxis)
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        halo = {"facecolor": PAGE.card, "edgecolor": "none", "alpha": 0.75, "pad": 1}
        for rate in (0.001, 0.01, 0.1, 0.5):
            axes.plot([left, right], [left * rate, right * rate], color=PAGE.grid, lw=1, zorder=1)
            x = min(right, top / rate)
            if bottom < x * rate and x > left:
                axes.text(x, x * rate, _per_cent(rate), ha="right", va="top", color=PAGE.soft, bbox=halo)
        axes.set(xlim=(left, right), ylim=(bottom, top))
        what = (
            f"One point per assay ({shown.sum()}), actives against measured molecules; lines of equal share."
        )
        marks = Marks(axes, np.flatnonzero(shown).tolist(), measured[shown], actives[shown])
        return inline(figure, "counts", "Labels and actives of each assay", what, marks)


def differences(assays: pd.DataFrame) -> Picture:
    """Paired differences of one run to another with their 95 % intervals, most hurt at the bottom.

    Parameters
    ----------
    assays : rows of one run of `compare.Comparison.assays`; of more than `SHOWN` the ends are drawn.
    """
    tested = assays.dropna(subset="difference").sort_values("difference")
    rows = tested if len(tested) <= SHOWN else pd.concat([tested.head(SHOWN // 2), tested.tail(SHOWN // 2)])
    shades = [{"win": PAGE.good, "loss": PAGE.worse}.get(result, PAGE.few) for result in rows["result"]]
    with drawing((9.0, 0.8 + 0.25 * len(rows))) as figure:
        axes, places = figure.subplots(), np.arange(len(rows))
        axes.axvline(0, color=PAGE.soft, lw=1, ls=":")
        axes.hlines(places, rows["low"], rows["high"], colors=shades, alpha=0.5, lw=2)
        axes.scatter(rows["difference"], places, c=shades, s=22, zorder=3)
        axes.set_yticks(places, [plain(name, 36) for name in rows["assay"]])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set(ylim=(-0.7, len(rows) - 0.3), xlabel="difference, 95 % interval (grey: not significant)")
        won, lost = ((assays["result"] == result).sum() for result in ("win", "loss"))
        what = f"Difference per assay with 95 % interval, {len(rows)} of {len(tested)} drawn: {won} won, "
        what += f"{lost} lost."
        return inline(figure, "differences", "Difference per assay", what)


def _size(n_points: int) -> int:
    """Of a point, in square points: small where there are many."""
    return 26 if n_points <= SHOWN else 9


def _per_cent(share: float) -> str:
    return f"{100 * share:g} %"
