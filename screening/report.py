"""Pictures of a run; matplotlib is imported when one is drawn."""

from pathlib import Path

import numpy as np
import pandas as pd

SHOWN = 40
"""Assays drawn; of more, the best and the worst halves."""


def plot_assays(evaluation: pd.DataFrame, path: Path, *, title: str) -> None:
    """ROC-AUC of each assay with its 95 % interval, best on top, written as SVG or PNG by the suffix.

    Parameters
    ----------
    evaluation : one row per assay, as `evaluation.evaluate` gives it; assays without a ROC-AUC are
        left out and counted under the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "screening"
    from matplotlib import pyplot

    known = evaluation.dropna(subset="roc_auc").sort_values("roc_auc").reset_index(drop=True)
    rows = known if len(known) <= SHOWN else pd.concat([known.head(SHOWN // 2), known.tail(SHOWN // 2)])
    places = np.arange(len(rows))
    figure, axes = pyplot.subplots(figsize=(7.5, 1.2 + 0.27 * len(rows)), layout="constrained")
    low, high = rows["roc_auc"] - rows["roc_auc_low"], rows["roc_auc_high"] - rows["roc_auc"]
    axes.errorbar(rows["roc_auc"], places, xerr=[low, high], fmt="o", color="#1f5a94", ecolor="#9db8d2", ms=5)
    names = [
        f"{row.assay}  ({row.actives:,} of {row.actives + row.inactives:,})" for row in rows.itertuples()
    ]
    axes.set_yticks(places, names, fontsize=9)
    axes.axvline(0.5, color="#888888", lw=1, ls=":")
    mean = known["roc_auc"].mean()
    axes.axvline(mean, color="#c0392b", lw=1, ls="--", label=f"mean {mean:.3f}")
    left_out = len(evaluation) - len(rows)
    note = f"; {left_out} of {len(evaluation)} assays not drawn" if left_out else ""
    axes.set_xlabel(
        f"ROC-AUC, 95 % interval (actives of measured molecules beside the name{note})", fontsize=9
    )
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
