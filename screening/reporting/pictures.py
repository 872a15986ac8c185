"""Pictures of a run: its assays, curves, training, and which assays are alike; as files or for a page.

matplotlib is imported when one is drawn (`svg`). What is drawn is decided in `report` and `cli`.
"""

import io
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..errors import DataError
from ..evaluation.verdicts import SHADES, Likeness
from ..runtime.files import write_atomically
from .curves import Curves
from .svg import PAGE, PAPER, Colours, Marks, Picture, drawing, inline, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

SHOWN = 40
"""Assays drawn with their names; of more, the best and the worst halves or all without names."""


# --- files --------------------------------------------------------------------------------------------------


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


# --- assays -------------------------------------------------------------------------------------------------


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
        _chance(axes, PAGE)
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
        table, size = evaluation[is_drawn], 26 if is_drawn.sum() <= SHOWN else 9
        x = training_actives[is_drawn]
        axes.vlines(x, table["roc_auc_low"], table["roc_auc_high"], colors=PAGE.grid, lw=0.8)
        axes.scatter(x, table["roc_auc"], c=colours[is_drawn], s=size, zorder=3, linewidths=0)
        _chance(axes, PAGE)
        axes.set(xlabel="actives in training (log scale)", ylabel="test ROC-AUC", xscale="log")
        _log_axis(axes.xaxis)
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
        size = 26 if shown.sum() <= SHOWN else 9
        axes.scatter(measured[shown], actives[shown], c=colours[shown], s=size, zorder=3, linewidths=0)
        _log_axis(axes.xaxis)
        _log_axis(axes.yaxis)
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


# --- curves -------------------------------------------------------------------------------------------------


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


# --- training -----------------------------------------------------------------------------------------------


def training_pictures(history: pd.DataFrame) -> list[Picture]:
    """Training loss and validation ROC-AUC over epochs: mean over assays, and where 80 % of them lie."""
    pictures = []
    columns = (
        ("loss", "training loss, nats", "Training loss"),
        ("valid_roc_auc", "ROC-AUC", "ROC-AUC of the validation part"),
    )
    for column, label, title in columns:
        groups = history.groupby("epoch")[column]
        mean, low, high = groups.mean(), groups.quantile(0.1), groups.quantile(0.9)
        epochs = mean.index.to_numpy() + 1
        with drawing((4.7, 2.7)) as figure:
            axes = figure.subplots()
            axes.fill_between(epochs, low, high, color=PAGE.pale, alpha=0.35, lw=0)
            axes.plot(epochs, mean, color=PAGE.accent, lw=2, marker="o", ms=3.5 if len(epochs) < 40 else 0)
            axes.set(xlabel="epoch", ylabel=label)
            _whole_numbers(axes.xaxis)
            axes.margins(x=0.03)
            what = (
                f"{title} per epoch: mean over assays, with the range from the 10th to the 90th percentile. "
            )
            what += f"From {mean.iloc[0]:.3f} to {mean.iloc[-1]:.3f}."
            pictures.append(inline(figure, column, title, what))
    return pictures


def weight_map(history: pd.DataFrame) -> Picture | None:
    """What the balancer did: weight of each assay and epoch, the heaviest on top; None if all are equal."""
    weights = history.pivot(index="assay", columns="epoch", values="weight")
    relative = np.log2((weights / weights.mean()).where(weights > 0))
    if not relative.abs().max(axis=None) > 0.01:
        return None
    order = relative.mean(axis=1).sort_values(ascending=False, kind="stable").index
    reach = max(0.25, float(np.nanquantile(relative.abs(), 0.98)))
    note = (
        f"Cool is more than the mean of the epoch, full colour at {2**reach:.2g} times; warm is less, full "
    )
    note += f"colour at {2**-reach:.2g}. Most weight on top."
    return _epoch_map(relative.loc[order], "weights", "Weight of each assay", note, reach=reach)


def validation_map(history: pd.DataFrame) -> Picture:
    """Validation ROC-AUC of each assay and epoch, the best of the last epoch on top."""
    values = history.pivot(index="assay", columns="epoch", values="valid_roc_auc")
    order = values.iloc[:, -1].sort_values(ascending=False, kind="stable").index
    note = "Cool is above chance, full colour at 1; warm is below. Best on top; grey has no number."
    title = "Validation ROC-AUC of each assay"
    return _epoch_map(values.loc[order], "valid", title, note, centre=0.5, reach=0.5)


def _epoch_map(
    values: pd.DataFrame, name: str, title: str, note: str, *, centre: float = 0.0, reach: float
) -> Picture:
    """A row of colours per assay and a column per epoch; `reach` from `centre` has the full colour."""
    named = len(values) <= SHOWN
    with drawing((4.7, 0.9 + (0.19 * len(values) if named else 3.4))) as figure:
        axes = figure.subplots()
        shade = _shades((values.to_numpy(float) - centre) / reach)
        extent = (0.5, values.shape[1] + 0.5, len(values) - 0.5, -0.5)
        axes.imshow(shade, aspect="auto", interpolation="none", extent=extent)
        ticks = list(range(len(values))) if named else []
        axes.set_yticks(ticks, [plain(assay, 30) for assay in values.index] if named else [])
        axes.set(xlabel="epoch", ylabel="" if named else f"{len(values)} assays")
        _whole_numbers(axes.xaxis)
        axes.tick_params(length=0)
        return inline(figure, name, title, note)


# --- likeness -----------------------------------------------------------------------------------------------


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
        axes.imshow(_shades(np.where(below, labels, scores)), interpolation="none")
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


def _shades(values: np.ndarray) -> np.ndarray:
    """uint8 [..., 4] of values from -1 (warm) to 1 (cool); 0 is transparent, NaN grey.

    The colours are the same in both themes, as a raster cannot follow the page.
    """
    strength = np.round(np.clip(np.abs(np.nan_to_num(values)), 0, 1) * 31) / 31
    cool, warm, grey = (46, 125, 204), (214, 107, 32), (128, 128, 128)
    colour = np.where((np.nan_to_num(values) >= 0)[..., None], cool, warm)
    shade = np.concatenate([colour, (strength * 255)[..., None]], axis=-1)
    shade[np.isnan(values)] = (*grey, 46)
    return shade.astype(np.uint8)


# --- axes ---------------------------------------------------------------------------------------------------


def _whole_numbers(axis: "Axis") -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def _log_axis(axis: "Axis") -> None:
    """Ticks of a log10 axis at 1, or 1, 2 and 5, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if _decades(axis) < 2 else (1.0,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _decades(axis: "Axis") -> float:
    low, high = axis.get_view_interval()
    return float(np.log10(high / low)) if low > 0 else 0.0


def _chance(axes: "Axes", colours: Colours) -> None:
    axes.axhline(0.5, color=colours.soft, lw=1, ls=":")


def _per_cent(share: float) -> str:
    return f"{100 * share:g} %"
