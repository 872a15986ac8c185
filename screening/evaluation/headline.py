"""The one number that the assays of a table share: ROC-AUC, or concordance where some have real values."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..data.assay_kinds import Assay
from ..metrics.contract import Metric, metrics

REAL = "real"
ERRORS = ("rmse", "mae")
"""Metrics in the units of an assay's scale."""

HEADLINES = ("roc_auc", "concordance")
"""The metrics that `headline` may be."""


def headline(evaluation: pd.DataFrame) -> Metric:
    """The metric by which assays of a table of `per_assay.evaluate` are ranked and averaged.

    Concordance is the ROC-AUC of an assay of two classes, so that a table without real values shows that.
    """
    return metrics.get("concordance" if "concordance" in evaluation else "roc_auc")


def title_of(metric: Metric) -> str:
    """The title of a `headline` as it stands within a sentence: ROC-AUC, concordance."""
    return metric.title if metric.name == "roc_auc" else metric.title.lower()


def are_real_rows(evaluation: pd.DataFrame) -> np.ndarray:
    """Which rows are of assays with real values: bool [n]."""
    if "kind" not in evaluation:
        return np.zeros(len(evaluation), dtype=bool)
    return evaluation["kind"].to_numpy() == REAL


def n_measured(evaluation: pd.DataFrame) -> np.ndarray:
    """Labels of each row, bounds among them: int64 [n]."""
    labels = (
        evaluation["measured"]
        if "measured" in evaluation
        else evaluation[["actives", "inactives"]].sum(axis=1)
    )
    return labels.to_numpy(np.int64)


def common_scale(assays: Iterable[Assay]) -> str | None:
    """The scale on which all assays with real values are trained; None where there are several, or none.

    Errors may be averaged over assays of one scale alone.
    """
    scales = {assay.scale for assay in assays if assay.is_real}
    return scales.pop() if len(scales) == 1 else None


def comparable_means(summary: pd.DataFrame, assays: Iterable[Assay]) -> pd.DataFrame:
    """A summary of `per_assay.summarize` without mean errors of assays that are on several scales."""
    if common_scale(assays) is not None:
        return summary
    return summary[~summary["metric"].isin(ERRORS)].reset_index(drop=True)
