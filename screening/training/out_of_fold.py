"""What the models of a blend say of molecules of the training part that they were not fitted to.

Each is fitted without one fold after the other; what it says is kept in the run folder, so that a training
that was stopped goes on behind the last finished fold. What leaves folds out by itself is fitted once.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..bundle.member import Member
from ..data.sparse_cells import cells_at, measured_cells, take_rows
from ..models.blend_fitting import Cells
from ..models.blends import on_scale
from ..runtime import distributed
from .fold_files import fold_file, keep_fold, kept_fold
from .folds import Folds
from .members import Course
from .preparation import Prepared

AT_ONCE = 2**24  # outputs, molecules times assays, that are made at a time: 128 MiB

Fit = Callable[[int], Sequence[Member]]
"""From the number of a fold to a model that is fitted without it."""


class Left(NamedTuple):
    """What is asked of every model of a blend."""

    folds: Folds
    rows: np.ndarray
    """int64 [c], of each cell its row in the table."""
    cells: Cells
    """The measured cells of the training part, as `training_cells` gives them."""


def training_cells(prepared: Prepared, folds: Folds) -> tuple[np.ndarray, Cells]:
    """Rows in the table, int64 [c], and the measured cells of the training part, assay by assay; no outputs.

    Labels of real assays are standardised.
    """
    trained = prepared.split.rows("train")
    places, tasks, values = measured_cells(take_rows(prepared.table.labels, trained))
    order = np.argsort(tasks, kind="stable")
    rows, tasks, labels = trained[places[order]], tasks[order], values[order].astype(np.float64)
    if prepared.targets is not None:
        labels = (labels - prepared.targets.mean[tasks]) / prepared.targets.deviation[tasks]
    censored = prepared.table.censored
    sides = np.zeros(len(rows), np.int8) if censored is None else cells_at(censored, rows, tasks)
    return rows, Cells(tasks, labels, sides, folds.of_row[rows], np.zeros((0, len(rows))))


def outputs_at(
    members: Sequence[Member], prepared: Prepared, rows: np.ndarray, tasks: np.ndarray
) -> np.ndarray:
    """What a model says of cells: mean of its members' outputs on the scale that is weighed, float64 [c]."""
    molecules, places = np.unique(rows, return_inverse=True)
    is_real, n_tasks = prepared.table.is_real, len(prepared.table.tasks)
    said, step = np.zeros(len(rows)), max(AT_ONCE // n_tasks, 1)
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(0, len(molecules) + step, step))
    for number, start in enumerate(range(0, len(molecules), step)):
        block = torch.from_numpy(molecules[start : start + step])
        total, count = np.zeros((len(block), n_tasks)), np.zeros(n_tasks)
        for member in members:
            columns = list(member.columns)
            outputs = member.model.predict(prepared.store, block).numpy()
            total[:, columns] += on_scale(outputs, is_real[columns])
            count[columns] += 1
        cells = order[ends[number] : ends[number + 1]]
        said[cells] = total[places[cells] - start, tasks[cells]] / count[tasks[cells]]
    return said


def out_of_fold(
    fit: Fit,
    prepared: Prepared,
    left: Left,
    *,
    label: str,
    folder: Path,
    course: Course,
) -> np.ndarray:
    """What a model says of all cells without their fold, float64 [c].

    Parameters
    ----------
    prepared : the table as the model sees it: behind its molecules and assays may be those of other tables.
    folder : of the run, for a file per fold.
    """
    folds, rows, cells = left
    said = np.zeros(len(rows))
    for fold in range(folds.n):
        inside, path = np.flatnonzero(cells.folds == fold), folder / f"{fold_file(label, fold)}.safetensors"
        if course.resume and path.exists():
            said[inside] = kept_fold(path, len(inside))
            continue
        course.on_note(f"{label} without fold {fold + 1} of {folds.n}, for the weights of the blend")
        members = fit(fold)
        said[inside] = outputs_at(members, prepared, rows[inside], cells.tasks[inside])
        if distributed.is_main():
            keep_fold(path, said[inside], course.origin)
        distributed.wait_for_all()
    return said


def left_out_cells(said: torch.Tensor, prepared: Prepared, left: Left) -> np.ndarray:
    """The same of a baseline that leaves folds out itself, from its `left_out` [training molecules, T]."""
    places, tasks = np.searchsorted(prepared.split.rows("train"), left.rows), left.cells.tasks
    return on_scale(said.numpy()[places, tasks], prepared.table.is_real[tasks])
