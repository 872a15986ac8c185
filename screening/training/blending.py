"""The weights of a blend from what its models say of left-out molecules, and a table of what each brings."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit

from ..data.assay_table import AssayTable
from ..metrics.contract import Outcome, metrics
from ..models.blend_fitting import STRENGTHS, Cells, FittedBlend, crossed_of, fit_blend
from ..runtime import ragged
from .run_folder import BLEND_METRICS

BLEND = "blend"
"""Row of the blend itself among those of its models."""


def weighed(cells: Cells, table: AssayTable, labels: Sequence[str]) -> tuple[FittedBlend, pd.DataFrame]:
    """The weights, and `blend.csv`: a row for each assay and model, and one for the blend.

    Columns: assay, model, weight (share of the assay's weights), measured, actives, then the metrics of what
    it says of molecules that neither it nor, in the row of the blend, the weights were fitted to; and
    `gain_...`, how much better the blend is than a blend of the other models.

    Parameters
    ----------
    labels : P names of the models.
    """
    fitted = fit_blend(cells, table.is_real)
    said = {label: cells.outputs[number] for number, label in enumerate(labels)} | {BLEND: fitted.crossed}
    values = {model: _metrics(cells, table, outputs) for model, outputs in said.items()}
    whole = values[BLEND]
    gains = {BLEND: {name: np.full(len(table.tasks), np.nan) for name in BLEND_METRICS}}
    for number, label in enumerate(labels):
        others = cells.of_models([other for other in range(len(labels)) if other != number])
        without = _metrics(cells, table, crossed_of(others, table.is_real, fitted.strength))
        gains[label] = {name: whole[name] - without[name] for name in BLEND_METRICS}
    shares = dict(zip(labels, fitted.blend.shares, strict=True)) | {BLEND: np.ones(len(table.tasks))}
    measured = np.bincount(cells.tasks, minlength=len(table.tasks))
    actives = np.where(table.is_real, 0, np.bincount(cells.tasks, cells.labels > 0, len(table.tasks)))
    frames = [
        pd.DataFrame(
            {
                "assay": table.tasks,
                "model": model,
                "weight": shares[model],
                "measured": measured,
                "actives": actives.astype(np.int64),
                **values[model],
                **{f"gain_{name}": gain for name, gain in gains[model].items()},
            }
        )
        for model in said
    ]
    whole_table = pd.concat(frames, ignore_index=True)
    order = np.arange(len(whole_table)).reshape(len(said), -1).T.ravel()  # the models of an assay together
    return fitted, whole_table.iloc[order].reset_index(drop=True)


def _metrics(cells: Cells, table: AssayTable, said: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `BLEND_METRICS` [T]; RMSE in standard deviations of training values; NaN for the other kind."""
    counts = np.bincount(cells.tasks, minlength=len(table.tasks))
    place = ragged.spans(np.zeros(len(counts), np.int64), counts)  # cells are assay by assay
    shape = (int(counts.max(initial=0)), len(counts))
    labels, scores = np.full(shape, np.nan, np.float32), np.full(shape, 0.5, np.float32)
    sides = np.zeros(shape, np.int8)
    is_real = table.is_real[cells.tasks]
    labels[place, cells.tasks], sides[place, cells.tasks] = cells.labels, cells.sides
    scores[place, cells.tasks] = np.where(is_real, said, expit(said))
    outcome = Outcome(labels, scores, table.tasks, table.is_real, sides)
    return {name: metrics.get(name).values(outcome) for name in BLEND_METRICS}


def describe_blend(fitted: FittedBlend, table: pd.DataFrame) -> str:
    """A line for people: the blend against its best model, for left-out molecules, and the mean weights."""
    means = blend_summary(table)
    models = means.drop(index=BLEND)
    weights = ", ".join(f"{label} {weight:.2f}" for label, weight in models["weight"].items())
    apart = "the same in all assays" if fitted.strength == STRENGTHS[0] else "with a part of each assay's own"
    return (
        f"blend: concordance {means.loc[BLEND, 'concordance']:.4f} of left-out molecules, of its best model "
        f"({models['concordance'].idxmax()}) {models['concordance'].max():.4f}; weights {apart}, on the mean "
        f"{weights}"
    )


def blend_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the assays of `blend.csv`, one row per model in its order."""
    return table.drop(columns="assay").groupby("model", sort=False).mean()
