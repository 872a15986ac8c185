"""Pictures of a search: what each trial came to, which settings matter, and where good values lie."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..reporting.pictures.axes import whole_numbers
from ..reporting.svg import PAGE, Picture, drawing, inline, plain
from .space import Setting, shown
from .study import VALUE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 20
"""Settings of which the importance is drawn."""


def history(trials: pd.DataFrame, metric: str) -> Picture:
    """The validation concordance of each trial, and the best so far."""
    complete, stopped = (trials[trials["state"] == state] for state in ("complete", "pruned"))
    with drawing((4.7, 2.7)) as figure:
        axes = figure.subplots()
        axes.scatter(stopped["trial"], stopped[VALUE], 16, color=PAGE.pale, marker="x", linewidths=1)
        axes.scatter(complete["trial"], complete[VALUE], 18, color=PAGE.accent)
        axes.step(complete["trial"], complete[VALUE].cummax(), color=PAGE.ink, lw=1.4, where="post")
        _upper_part(axes, trials[VALUE])
        axes.set(xlabel="trial", ylabel=f"validation {metric}")
        whole_numbers(axes.xaxis)
        axes.margins(x=0.03)
        what = f"Validation {metric} of each trial: dots are finished trials, crosses those stopped early "
        what += "(their last epoch); the line is the best so far."
        return inline(figure, "trials", "Trials", what)


def importances(importance: Mapping[str, float]) -> Picture:
    """Share of the variance of the finished trials that each setting explains."""
    pairs = list(importance.items())[:MOST_BARS][::-1]
    with drawing((4.7, 0.8 + 0.26 * len(pairs))) as figure:
        axes = figure.subplots()
        axes.barh(
            [plain(key, 40) for key, _ in pairs],
            [share for _, share in pairs],
            color=PAGE.accent,
            height=0.62,
        )
        axes.set(xlabel="share of the variance")
        axes.tick_params(axis="y", length=0)
        what = "Share of the variance of the results that each setting explains (fANOVA), largest on top: "
        what += ", ".join(f"{key} {share:.0%}" for key, share in importance.items())
        return inline(figure, "importance", "Which settings matter", what)


def slices(trials: pd.DataFrame, settings: tuple[Setting, ...], metric: str) -> list[Picture]:
    """Per setting the result of each trial against its value."""
    return [_slice(trials, setting, number, metric) for number, setting in enumerate(settings)]


def _slice(trials: pd.DataFrame, setting: Setting, number: int, metric: str) -> Picture:
    with drawing((3.1, 2.3)) as figure:
        axes = figure.subplots()
        for state, style in (
            ("pruned", {"color": PAGE.pale, "marker": "x", "linewidths": 1}),
            ("complete", {"color": PAGE.accent}),
        ):
            rows = trials[trials["state"] == state]
            axes.scatter(_places(setting, rows[setting.key].tolist()), rows[VALUE], 16, **style)
        if setting.choices:
            texts = [plain(shown(choice), 14) for choice in setting.choices]
            axes.set_xticks(range(len(texts)), texts, rotation=30 if max(map(len, texts)) > 5 else 0)
            axes.set_xlim(-0.5, len(texts) - 0.5)
        elif setting.log:
            axes.set_xscale("log")
        _upper_part(axes, trials[VALUE])
        axes.set(xlabel=plain(setting.key, 36), ylabel=metric)
        what = f"Validation {metric} of each trial against its {setting.key}; crosses were stopped early."
        return inline(figure, f"slice-{number}", setting.key, what)


def _places(setting: Setting, values: list[Any]) -> list[Any]:
    """Where values stand on the axis."""
    return [setting.choices.index(value) for value in values] if setting.choices else values


def _upper_part(axes: "Axes", values: pd.Series) -> None:
    """The range in which all trials but the worst tenth lie."""
    usable = values.dropna()
    if len(usable) > 1 and usable.max() > usable.min():
        low, high = np.quantile(usable, 0.1), usable.max()
        room = 0.08 * (high - low) or 0.01
        axes.set_ylim(low - room, high + room)
