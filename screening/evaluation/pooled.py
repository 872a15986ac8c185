"""Runs of a set (seeds, or folds of a cross-validation) as one: their test molecules together, per assay.

`evaluate` and `report` take a set under the name that `compare` takes: `runs/a` for `runs/a-fold0`, ...
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import DataError, listed
from ..metrics.average_precision import pooled_average_precision
from ..metrics.per_assay import evaluate, summarize
from ..training.run_folder import Predictions, read_predictions
from .results import Material, read_material, training_counts
from .run_sets import run_folders
from .verdicts import judge, likely_reasons


class Pooled(NamedTuple):
    """What the runs of a set say together about one split part."""

    name: str
    folders: tuple[Path, ...]
    predictions: Predictions
    """Every molecule that a run has in the part, once; of several runs with its mean probability."""
    evaluation: pd.DataFrame
    """As `evaluation.evaluate`, of all molecules in one ranking per assay, and runs_mean, runs_sd (of the
    ROC-AUC within each run; the deviation is NaN of one run) and runs (that have one)."""
    summary: pd.DataFrame
    """As `evaluation.summarize`."""
    repeated: int
    """Molecules that several runs have."""

    def note(self) -> str:
        """What was put together, and how, in a sentence or two."""
        text = (
            f"{len(self.folders)} runs together ({listed([folder.name for folder in self.folders], 5)}): "
            f"{len(self.predictions.rows):,} molecules in one ranking per assay."
        )
        if self.repeated:
            text += f" {self.repeated:,} of them are in several runs and have their mean probability."
        else:
            text += " One ranking also compares the probabilities of different models with each other."
        return text + " Beside it stands the mean of the ROC-AUC within each run, with its deviation."


def pool(path: Path, *, part: str = "test") -> Pooled:
    """The runs `path`-seed0, `path`-seed1, ... or `path`-fold0, ... together.

    One ranking of the molecules of all folds also compares probabilities of different models: it is the
    stricter number where these are not calibrated alike. The mean within runs does not.

    Raises
    ------
    DataError : there is no finished run or no such part, or the runs are of different tables or assays.
    """
    folders = tuple(run_folders(path))
    runs = [read_predictions(folder, part=part) for folder in folders]
    predictions, repeated = _together(folders, runs)
    labels, scores = predictions.labels, predictions.scores
    evaluation = evaluate(labels, scores, predictions.tasks, part=part)
    evaluation = evaluation.assign(**_within(runs, part))
    pooled = pooled_average_precision(labels, scores)
    return Pooled(path.name, folders, predictions, evaluation, summarize(evaluation, pooled=pooled), repeated)


def read_pooled_material(path: Path) -> Material:
    """What the report of a set is made from: the pooled test part, and means over runs of the rest."""
    pooled = pool(path)
    materials = [read_material(folder) for folder in pooled.folders]
    first = materials[0]
    history = _mean_history([material.history for material in materials])
    counts = _mean_counts([material.counts for material in materials], pooled.predictions)
    plain = first.config.loss.is_plain
    evaluation = pooled.evaluation
    valid = pd.concat([material.valid for material in materials]).head(0)
    reasons = likely_reasons(evaluation, valid, counts, history, plain_loss=plain)
    evaluation = evaluation.assign(verdict=judge(evaluation), why=reasons)
    return first._replace(
        config=first.config.model_copy(update={"name": pooled.name}),
        manifest=_manifest(materials, pooled),
        evaluation=evaluation.join(training_counts(counts), on="assay"),
        valid=valid,
        test_predictions=pooled.predictions,
        labels=pooled.predictions.labels,
        scores=pooled.predictions.scores,
        counts=counts,
        history=history,
        folders=pooled.folders,
        note=pooled.note(),
    )


def _together(folders: tuple[Path, ...], runs: Sequence[Predictions]) -> tuple[Predictions, int]:
    """All molecules once, in the order of the table, and how many were in several runs."""
    first = runs[0]
    for folder, run in zip(folders[1:], runs[1:], strict=True):
        if run.tasks != first.tasks:
            other = [task for task in run.tasks if task not in first.tasks] or run.tasks
            raise DataError(
                f"{folder} has other assays than {folders[0]} ({listed(other, 3)}), or in another order: "
                "they are no set. Evaluate them one by one, or train them on the same table."
            )
    rows = np.concatenate([run.rows for run in runs])
    unique, first_place, place = np.unique(rows, return_index=True, return_inverse=True)
    every = np.concatenate([run.labels for run in runs])
    smiles = [text for run in runs for text in run.smiles]
    ids = [name for run in runs for name in run.ids]
    labels = every[first_place]
    differ = ~((every == labels[place]) | (np.isnan(every) & np.isnan(labels[place]))).all(axis=1)
    differ |= np.array([text != smiles[first_place[at]] for text, at in zip(smiles, place, strict=True)])
    if differ.any():
        raise DataError(
            f"The runs {listed([folder.name for folder in folders], 5)} are of different tables: record "
            f"{rows[differ][0]} has another structure or other labels in one of them. Train them on the same "
            "table."
        )
    times = np.bincount(place)
    scores = np.zeros(labels.shape, np.float64)
    np.add.at(scores, place, np.concatenate([run.scores for run in runs]).astype(np.float64))
    mean = (scores / times[:, None]).astype(np.float32)
    chosen = first_place.tolist()
    predictions = Predictions(
        unique, [ids[at] for at in chosen], [smiles[at] for at in chosen], labels, mean, first.tasks
    )
    return predictions, int((times > 1).sum())


def _within(runs: Sequence[Predictions], part: str) -> dict[str, np.ndarray]:
    """Mean and deviation of the ROC-AUC within each run, per assay."""
    tables = [evaluate(run.labels, run.scores, run.tasks, part=part) for run in runs]
    values = pd.DataFrame([table["roc_auc"].to_numpy() for table in tables])
    return {
        "runs_mean": values.mean().to_numpy(),
        "runs_sd": values.std().to_numpy(),
        "runs": values.notna().sum().to_numpy(),
    }


def _mean_history(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    history = pd.concat(histories)
    if not len(history):
        return history
    numbers = ["loss", "weight", "valid_concordance"]
    return history.groupby(["epoch", "assay"], sort=False)[numbers].mean().reset_index()


def _mean_counts(counts: Sequence[pd.DataFrame], test: Predictions) -> pd.DataFrame:
    """Labels per assay and part, means over runs; of the test part those of all runs together."""
    every = pd.concat(counts)
    if not len(every):
        return every
    means = every.groupby(["assay", "part"], sort=False)[["measured", "actives"]].mean().round().astype(int)
    table = means.reset_index()
    table = table[table["part"] != "test"]
    of_test = {
        "assay": test.tasks,
        "part": "test",
        "measured": np.isfinite(test.labels).sum(axis=0),
        "actives": (test.labels == 1).sum(axis=0),
    }
    return pd.concat([table, pd.DataFrame(of_test)], ignore_index=True)


def _manifest(materials: Sequence[Material], pooled: Pooled) -> dict[str, Any]:
    """That of the first run, with sizes of the set; which epochs were kept differs between runs."""
    sizes = [material.manifest["molecules"] for material in materials]
    molecules = {part: round(float(np.mean([size.get(part, 0) for size in sizes]))) for part in sizes[0]}
    molecules["test"] = len(pooled.predictions.rows)
    kept = {key: value for key, value in materials[0].manifest.items() if key != "best_epochs"}
    return {**kept, "molecules": molecules}
