"""Pictures of training: losses, weights and validation over the epochs."""

import numpy as np
import pandas as pd

from ..svg import PAGE, Picture, drawing, inline, plain
from .axes import SHOWN, shades, whole_numbers


def training_pictures(history: pd.DataFrame, metric: str = "ROC-AUC") -> list[Picture]:
    """Training loss and validation metric over epochs: mean over assays, and where 80 % of them lie.

    Parameters
    ----------
    metric : what the column `valid_concordance` is called where the assays are of these kinds.
    """
    pictures = []
    loss = "training loss, nats" if metric == "ROC-AUC" else "training loss"
    columns = (
        ("loss", loss, "Training loss"),
        ("valid_concordance", metric, f"{metric[:1].upper()}{metric[1:]} of the validation part"),
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
            whole_numbers(axes.xaxis)
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


def validation_map(history: pd.DataFrame, metric: str = "ROC-AUC") -> Picture:
    """Validation ROC-AUC, or another `metric`, of each assay and epoch, the best of the last on top."""
    values = history.pivot(index="assay", columns="epoch", values="valid_concordance")
    order = values.iloc[:, -1].sort_values(ascending=False, kind="stable").index
    note = "Cool is above chance, full colour at 1; warm is below. Best on top; grey has no number."
    title = f"Validation {metric} of each assay"
    return _epoch_map(values.loc[order], "valid", title, note, centre=0.5, reach=0.5)


def _epoch_map(
    values: pd.DataFrame, name: str, title: str, note: str, *, centre: float = 0.0, reach: float
) -> Picture:
    """A row of colours per assay and a column per epoch; `reach` from `centre` has the full colour."""
    named = len(values) <= SHOWN
    with drawing((4.7, 0.9 + (0.19 * len(values) if named else 3.4))) as figure:
        axes = figure.subplots()
        shade = shades((values.to_numpy(float) - centre) / reach)
        extent = (0.5, values.shape[1] + 0.5, len(values) - 0.5, -0.5)
        axes.imshow(shade, aspect="auto", interpolation="none", extent=extent)
        ticks = list(range(len(values))) if named else []
        axes.set_yticks(ticks, [plain(assay, 30) for assay in values.index] if named else [])
        axes.set(xlabel="epoch", ylabel="" if named else f"{len(values)} assays")
        whole_numbers(axes.xaxis)
        axes.tick_params(length=0)
        return inline(figure, name, title, note)
