"""Per-assay tables of a run: of fresh predictions, and of those that a run folder keeps."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from ..bundle.prediction import Prediction
from ..config import Config
from ..data.assay_kinds import Assay, are_real
from ..metrics.average_precision import pooled_average_precision
from ..metrics.per_assay import evaluate as evaluate_scores
from ..metrics.per_assay import summarize
from ..uncertainty.calibration import effect
from .after_training import OPTIMISTIC
from .measured import measured
from .predictions import read_predictions
from .preparation import Prepared
from .run_folder import read_config, read_table


def evaluate(run: str | PathLike[str], *, part: str = "test") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per-assay table and its summary for a split part of a run, from its saved predictions.

    Raises
    ------
    DataError : no finished run there, or no such part in it.
    """
    run = Path(run)
    predictions = read_predictions(run, part=part)
    out = predictions.outcome
    config = read_config(run)
    evaluation = _evaluate_part(config, out.labels, out.scores, predictions.assays, part, out.censored)
    pooled = pooled_precision(out.labels, out.scores, predictions.is_real)
    return evaluation, summarize(evaluation, pooled=pooled)


def calibration_effect(run: Path) -> pd.DataFrame:
    """What calibration changed on the test part, as `calibration.effect`; empty where nothing was changed."""
    table = read_table(run, "calibration.csv")
    if not len(table) or table["method"].iloc[0] == "none":
        return pd.DataFrame()
    return effect(table)


def evaluate_parts(config: Config, predictions: dict[str, Prediction], prepared: Prepared) -> pd.DataFrame:
    """The tables of all parts, one below the other."""
    table, tables = prepared.table, []
    for part, prediction in predictions.items():
        of_part = measured(table, prepared.split.rows(part), prediction)
        labels, scores, censored = of_part.labels, of_part.scores, of_part.censored
        tables.append(_evaluate_part(config, labels, scores, table.assays, part, censored))
    return pd.concat(tables, ignore_index=True)


def _evaluate_part(
    config: Config,
    labels: np.ndarray,
    scores: np.ndarray,
    assays: Sequence[Assay],
    part: str,
    censored: np.ndarray | None,
) -> pd.DataFrame:
    """The table of a part; where the calibration was fitted on it, that is a reason to doubt its numbers."""
    is_real, tasks = are_real(assays), [assay.name for assay in assays]
    table = evaluate_scores(labels, scores, tasks, part=part, is_real=is_real, censored=censored)
    if part == "valid" and config.calibration.name != "none":
        with_reason = (table["reason"] + " " + OPTIMISTIC).str.strip()
        table["reason"] = table["reason"].where(is_real, with_reason)
    return table


def pooled_precision(labels: np.ndarray, scores: np.ndarray, is_real: np.ndarray) -> float | None:
    """Average precision of the binary assays taken together; None where there is none."""
    return None if is_real.all() else pooled_average_precision(labels, scores, is_real)
