"""Pictures of assays: how well each is predicted, from how many labels, and against another run."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...errors import DataError
from ...evaluation.headline import are_real_rows, headline, n_measured, title_of
from ...evaluation.verdicts import SHADES
from ...runtime.files import write_atomically
from ..svg import PAGE, PAPER, Colours, Marks, Picture, drawing, inline, plain
from .axes import SHOWN, chance, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_assays(evaluation: pd.DataFrame, path: Path, *, title: str) -> None:
    """ROC-AUC or concordance of each assay with its 95 % interval, best on top, as SVG or PNG by the suffix.

    Parameters
    ----------
    evaluation : one row per assay, as `evaluation.evaluate` gives it; assays without the number are
        left out and counted under the picture.

    Raises
    ------
    DataError : there is no such folder, no room, or no permission.
    """
    metric = headline(evaluation)
    assays = evaluation.dropna(subset=metric.name).sort_values(metric.name)
    rows = assays if len(assays) <= SHOWN else pd.concat([assays.head(SHOWN // 2), assays.tail(SHOWN // 2)])
    with drawing((7.5, 1.2 + 0.27 * len(rows)), PAPER) as figure:
        axes = figure.subplots()
        _forest(axes, rows, PAPER, mean=assays[metric.name].mean())
        left_out = len(evaluation) - len(rows)
        note = f"; {left_out} of {len(evaluation)} assays not drawn" if left_out else ""
        counts = (
            f"{'labels' if are_real_rows(rows).any() else 'actives of measured molecules'} beside the name"
        )
        axes.set_xlabel(f"{title_of(metric)}, 95 % interval ({counts}{note})")
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
    """The `headline` with interval of every assay that has it: by name for up to `SHOWN`, else as one curve.

    Parameters
    ----------
    verdicts : of each row, `findings.judge`; they choose the colour.
    narrow : for the width of a phone.
    """
    metric = headline(evaluation)
    value, low, high = metric.columns
    rows = evaluation.reset_index(drop=True).assign(verdict=verdicts)
    rows = rows.dropna(subset=value).sort_values(value, kind="stable")
    mean, assays = rows[value].mean(), rows.index.tolist()
    what = f"{metric.title} with 95 % interval of {len(rows)} assays, from worst to best; "
    what += f"the mean is {mean:.3f}."
    name, width = ("ranked-narrow", 4.3) if narrow else ("ranked", 9.0)
    title = f"{metric.title} of each assay"
    if len(rows) <= SHOWN:
        with drawing((width, 0.8 + 0.25 * len(rows))) as figure:
            axes = figure.subplots()
            _forest(axes, rows, PAGE, mean=mean, longest=18 if narrow else 36, counts=not narrow)
            marks = Marks(axes, assays, rows[value].to_numpy(), np.arange(len(rows)))
            return inline(figure, name, title, what, marks)
    with drawing((width, 3.1)) as figure:
        axes = figure.subplots()
        places = np.arange(1, len(rows) + 1)
        colours = _shades_of(rows["verdict"], PAGE)
        axes.vlines(places, rows[low], rows[high], colors=colours, alpha=0.35, lw=0.9)
        axes.plot(places, rows[value], color=PAGE.ink, lw=1.6)
        chance(axes, PAGE)
        axes.set(
            xlabel="assays, from worst to best", ylabel=f"{title_of(metric)}, 95 % interval", ylim=(0, 1)
        )
        axes.margins(x=0.01)
        return inline(figure, name, title, what, Marks(axes, assays, places, rows[value].to_numpy()))


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
    value, low, high = headline(rows).columns
    shades = _shades_of(rows["verdict"], colours) if "verdict" in rows else [colours.accent] * len(rows)
    axes.hlines(places, rows[low], rows[high], colors=shades, alpha=0.5, lw=2)
    axes.scatter(rows[value], places, c=shades, s=22, zorder=3)
    names = [plain(name, longest) for name in rows["assay"]]
    if counts:
        names = [f"{name}  ({words})" for name, words in zip(names, label_words(rows), strict=True)]
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0.5, color=colours.soft, lw=1, ls=":")
    axes.axvline(mean, color=colours.warm, lw=1, ls="--", label=f"mean {mean:.3f}")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.spines["left"].set_visible(False)


def label_words(evaluation: pd.DataFrame) -> list[str]:
    """How many labels each assay has, in words: actives of measured molecules, or values."""
    rows = zip(are_real_rows(evaluation), evaluation["actives"], n_measured(evaluation), strict=True)
    return [f"{n:,} values" if is_real else f"{actives:,} of {n:,}" for is_real, actives, n in rows]


def _shades_of(verdicts: Iterable[str], colours: Colours) -> list[str]:
    return [getattr(colours, SHADES[verdict]) for verdict in verdicts]


def amount_and_quality(amounts: np.ndarray, evaluation: pd.DataFrame, verdicts: np.ndarray) -> Picture:
    """The `headline` of each assay against what it could learn from, on a log10 axis.

    Parameters
    ----------
    amounts : [T], actives in training; where assays have real values, labels. NaN where not known.
    """
    metric, amount = headline(evaluation), "labels" if are_real_rows(evaluation).any() else "actives"
    value, low, high = metric.columns
    with drawing((4.7, 3.3)) as figure:
        axes = figure.subplots()
        colours = np.array(_shades_of(verdicts, PAGE))
        is_drawn = np.isfinite(evaluation[value].to_numpy()) & (amounts > 0)
        table, x = evaluation[is_drawn], amounts[is_drawn]
        axes.vlines(x, table[low], table[high], colors=PAGE.grid, lw=0.8)
        axes.scatter(x, table[value], c=colours[is_drawn], s=_size(len(x)), zorder=3, linewidths=0)
        chance(axes, PAGE)
        axes.set(xlabel=f"{amount} in training (log scale)", ylabel=f"test {title_of(metric)}", xscale="log")
        log_axis(axes.xaxis)
        what = (
            f"One point per assay ({is_drawn.sum()}), test {title_of(metric)} against the number of training "
        )
        what += f"{amount}."
        marks = Marks(axes, np.flatnonzero(is_drawn).tolist(), x, table[value].to_numpy())
        return inline(figure, "amount", "Does more data help?", what, marks)


def label_counts(
    measured: np.ndarray, actives: np.ndarray, verdicts: np.ndarray, places: np.ndarray | None = None
) -> Picture:
    """Measured molecules and actives of each assay on log10 axes, with lines of equal base rate.

    Parameters
    ----------
    places : of the assays in their table; None = all of it, in its order.
    """
    places = np.arange(len(measured)) if places is None else places
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
        marks = Marks(axes, places[shown].tolist(), measured[shown], actives[shown])
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
