"""What a run folder holds, read once, with a verdict on every assay; the report is made from it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..config import Config
from ..data.assay_kinds import Assay
from ..data.catalogue import DataSet, catalogue
from ..data.sparse_cells import SparseCells
from ..errors import DataError
from ..metrics.per_assay import read_evaluation
from ..training.predictions import Predictions, read_predictions
from ..training.run_folder import read_config, read_table
from .verdicts import judge, likely_reasons


class Material(NamedTuple):
    """What a run folder holds, read once."""

    folder: Path
    config: Config
    manifest: dict[str, Any]
    evaluation: pd.DataFrame
    """Test part, one row per assay, with `verdict`, `why` and the label counts of training."""
    valid: pd.DataFrame
    test_predictions: Predictions
    labels: np.ndarray | None
    scores: np.ndarray | None
    """float32 [n, T], labels and scores of the validation and the test part together; None where predictions
    are kept as their measured cells."""
    counts: pd.DataFrame
    history: pd.DataFrame
    """Per epoch and assay, means over members; empty without training epochs."""
    rejected: pd.DataFrame
    data: DataSet | None
    """The table's row in the catalogue, if it is a known one."""
    folders: tuple[Path, ...] = ()
    """The runs of a set (`pooled`); empty of one run."""
    note: str = ""
    """What was put together of a set."""
    intervals: pd.DataFrame = pd.DataFrame()
    """Of each assay with real values and each error how often its intervals hold the test part's values, as
    `uncertainty.intervals.coverage`; empty without any, and of a set."""

    @property
    def assays(self) -> tuple[Assay, ...]:
        """Kind, unit and scale of the T assays."""
        return self.test_predictions.assays

    @property
    def is_real(self) -> np.ndarray:
        """bool [T], which assays have real values."""
        return self.test_predictions.is_real


def read_material(folder: Path) -> Material:
    """Read a run folder; DataError where it is not that of a finished run, or files in it do not fit."""
    test = read_predictions(folder, part="test")
    config = read_config(folder)
    manifest = _read_manifest(folder / "manifest.json")
    parts = _evaluated_parts(folder / "evaluation.csv", test.tasks)
    valid_predictions = [read_predictions(folder, part="valid")] if "valid" in parts else []
    counts, history = read_table(folder, "labels.csv"), _history(folder)
    valid = parts.get("valid", parts["test"].head(0))
    plain = config.loss.is_plain
    reasons = likely_reasons(parts["test"], valid, counts, history, plain_loss=plain)
    evaluation = parts["test"].assign(verdict=judge(parts["test"]), why=reasons)
    evaluation = evaluation.join(training_counts(counts), on="assay")
    both = [*valid_predictions, test]
    is_sparse = isinstance(test.labels, SparseCells)
    return Material(
        folder=folder,
        config=config,
        manifest=manifest,
        evaluation=evaluation,
        valid=valid,
        test_predictions=test,
        labels=None if is_sparse else np.concatenate([part.labels for part in both]),
        scores=None if is_sparse else np.concatenate([part.scores for part in both]),
        counts=counts,
        history=history,
        rejected=read_table(folder, "rejected.csv"),
        data=catalogue.get(str(config.data.source)),
        intervals=read_table(folder, "intervals.csv"),
    )


def _history(folder: Path) -> pd.DataFrame:
    """history.csv; where several networks were trained, the mean over those that know the assay."""
    history = read_table(folder, "history.csv")
    if not len(history):
        return history
    numbers = ["loss", "weight", "valid_concordance"]
    return history.groupby(["epoch", "assay"], sort=False)[numbers].mean().reset_index()


def training_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """`train_measured` and `train_actives` by assay; NaN in runs without labels.csv."""
    if not len(counts):
        return pd.DataFrame(columns=["train_measured", "train_actives"], dtype=float)
    of_train = counts[counts["part"] == "train"].set_index("assay")[["measured", "actives"]]
    return of_train.add_prefix("train_")


def _evaluated_parts(path: Path, tasks: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """The tables of evaluation.csv by part, rows in the order of `tasks`."""
    table = read_evaluation(path)
    parts = {part: rows.reset_index(drop=True) for part, rows in table.groupby("part", sort=False)}
    for part in dict.fromkeys(["test", *parts]):
        assays = tuple(parts[part]["assay"]) if part in parts else ()
        if assays != tasks:
            raise DataError(
                f"{path}: the part '{part}' has {len(assays):,} assays, predictions.parquet beside it has "
                f"{len(tasks):,}, or in another order. Expected files of one training. Train it again."
            )
    return parts


_MANIFEST = {"file": str, "file_sha256": str, "seed": int, "molecules": dict, "versions": dict}
"""What every manifest of a run has, and what type it is."""


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise DataError(
            f"{path}: the run is not finished or damaged ({problem}). Train it again."
        ) from problem
    if not isinstance(values, dict):
        raise DataError(f"{path} is not the manifest of a run. Train it again.")
    bad = [name for name, kind in _MANIFEST.items() if not isinstance(values.get(name), kind)]
    if not bad and not all(isinstance(values["molecules"].get(part), int) for part in ("train", "test")):
        bad = ["molecules"]
    if bad:
        raise DataError(f"{path} is damaged: {', '.join(bad)} not as training writes it. Train it again.")
    return values
