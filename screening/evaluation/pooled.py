"""Runs of a set (seeds, or folds of a cross-validation) as one: their test molecules together, per assay.

`evaluate` and `report` take a set under the name that `compare` takes: `runs/a` for `runs/a-fold0`, ...
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..data.sparse_cells import (
    Cells,
    SparseCells,
    n_equal,
    n_marked,
    n_measured,
    no_marks,
    row_means,
    rows_differ,
    stacked,
    take_rows,
)
from ..errors import DataError, listed
from ..metrics.per_assay import evaluate, summarize
from ..training.evaluating import pooled_precision
from ..training.predictions import Predictions, read_predictions
from .results import Material, read_material, training_counts
from .run_sets import run_folders
from .verdicts import judge, likely_reasons


class Pooled(NamedTuple):
    """What the runs of a set say together about one split part."""

    name: str
    folders: tuple[Path, ...]
    predictions: Predictions
    """Every molecule that a run has in the part, once; of several runs with its mean score."""
    evaluation: pd.DataFrame
    """As `evaluation.evaluate`, of all molecules in one ranking per assay, and runs_mean, runs_sd (of the
    ROC-AUC within each run, of the concordance where an assay is real; the deviation is NaN of one run) and
    runs (that have one)."""
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
        kinds = self.predictions.is_real
        scores = "predicted value" if kinds.all() else "score" if kinds.any() else "probability"
        if self.repeated:
            text += f" {self.repeated:,} of them are in several runs and have their mean {scores}."
        else:
            several = "probabilities" if scores == "probability" else f"{scores}s"
            text += f" One ranking also compares the {several} of different models with each other."
        metric = "concordance" if kinds.any() else "ROC-AUC"
        return text + f" Beside it stands the mean of the {metric} within each run, with its deviation."


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
    evaluation = _evaluated(predictions, part).assign(**_within(runs, part))
    out = predictions.outcome
    pooled = pooled_precision(out.labels, out.scores, predictions.is_real)
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
    is_sparse = isinstance(pooled.predictions.labels, SparseCells)
    return first._replace(
        config=first.config.model_copy(update={"name": pooled.name}),
        manifest=_manifest(materials, pooled),
        evaluation=evaluation.join(training_counts(counts), on="assay"),
        valid=valid,
        test_predictions=pooled.predictions,
        labels=None if is_sparse else pooled.predictions.labels,
        scores=None if is_sparse else pooled.predictions.scores,
        counts=counts,
        history=history,
        folders=pooled.folders,
        note=pooled.note(),
        intervals=pd.DataFrame(),
    )


def _together(folders: tuple[Path, ...], runs: Sequence[Predictions]) -> tuple[Predictions, int]:
    """All molecules once, in the order of the table, and how many were in several runs."""
    first = runs[0]
    _check_assays(folders, runs)
    rows, censored = np.concatenate([run.rows for run in runs]), _censored(runs)
    unique, first_place, place = np.unique(rows, return_index=True, return_inverse=True)
    every = stacked([run.labels for run in runs])
    smiles = [text for run in runs for text in run.smiles]
    ids = [name for run in runs for name in run.ids]
    labels = take_rows(every, first_place)
    differ = rows_differ(every, take_rows(labels, place))
    if censored is not None:
        differ |= rows_differ(censored, take_rows(censored, first_place[place]))
    differ |= np.array([text != smiles[first_place[at]] for text, at in zip(smiles, place, strict=True)])
    if differ.any():
        raise DataError(
            f"The runs {listed([folder.name for folder in folders], 5)} are of different tables: record "
            f"{rows[differ][0]} has another structure or other labels in one of them. Train them on the same "
            "table."
        )
    mean = row_means(stacked([run.scores for run in runs]), place, len(unique))
    chosen = first_place.tolist()
    predictions = Predictions(
        unique,
        [ids[at] for at in chosen],
        [smiles[at] for at in chosen],
        labels,
        mean,
        first.tasks,
        first.kinds,
        None if censored is None else take_rows(censored, first_place),
    )
    return predictions, int((np.bincount(place) > 1).sum())


def _check_assays(folders: tuple[Path, ...], runs: Sequence[Predictions]) -> None:
    """Raise DataError unless all runs have the same assays in one order, with one kind, unit and scale."""
    first = runs[0]
    for folder, run in zip(folders[1:], runs[1:], strict=True):
        if run.tasks != first.tasks:
            other = [task for task in run.tasks if task not in first.tasks] or run.tasks
            raise DataError(
                f"{folder} has other assays than {folders[0]} ({listed(other, 3)}), or in another order: "
                "they are no set. Evaluate them one by one, or train them on the same table."
            )
        differ = [one.name for one, other in zip(run.assays, first.assays, strict=True) if one != other]
        if differ:
            raise DataError(
                f"{folder} has assays of another kind, unit or scale than {folders[0]} "
                f"({listed(differ, 3)}): they are no set. Train them with the same data.assays."
            )


def _censored(runs: Sequence[Predictions]) -> Cells | None:
    """`censored` of all runs, one below the other; None where no run has a bound."""
    if all(run.censored is None for run in runs):
        return None
    return stacked([no_marks(run.labels) if run.censored is None else run.censored for run in runs])


def _evaluated(run: Predictions, part: str) -> pd.DataFrame:
    out = run.outcome
    return evaluate(out.labels, out.scores, run.tasks, part=part, is_real=run.is_real, censored=out.censored)


def _within(runs: Sequence[Predictions], part: str) -> dict[str, np.ndarray]:
    """Mean and deviation of the ROC-AUC, or concordance, within each run, per assay."""
    metric = "concordance" if runs[0].is_real.any() else "roc_auc"
    values = pd.DataFrame([_evaluated(run, part)[metric].to_numpy() for run in runs])
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
    names = [name for name in ("measured", "actives", "censored") if name in every.columns]
    means = every.groupby(["assay", "part"], sort=False)[names].mean().round().astype(int)
    table = means.reset_index()
    table = table[table["part"] != "test"]
    of_test = {
        "assay": test.tasks,
        "part": "test",
        "measured": n_measured(test.labels),
        "actives": np.where(test.is_real, 0, n_equal(test.labels, 1)),
        "censored": np.zeros(len(test.tasks), int) if test.censored is None else n_marked(test.censored),
    }
    of_test = {name: of_test[name] for name in ("assay", "part", *names)}
    return pd.concat([table, pd.DataFrame(of_test)], ignore_index=True)


def _manifest(materials: Sequence[Material], pooled: Pooled) -> dict[str, Any]:
    """That of the first run, with sizes of the set; which epochs were kept differs between runs."""
    sizes = [material.manifest["molecules"] for material in materials]
    molecules = {part: round(float(np.mean([size.get(part, 0) for size in sizes]))) for part in sizes[0]}
    molecules["test"] = len(pooled.predictions.rows)
    kept = {key: value for key, value in materials[0].manifest.items() if key != "best_epochs"}
    return {**kept, "molecules": molecules}
