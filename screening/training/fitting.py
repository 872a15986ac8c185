"""All models that a config asks for, one after the other, and how they are put together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..bundle.member import Member
from ..config import Config
from ..config_model import NETWORK, BlendPart
from ..models.baselines import Baseline, baselines
from .blending import describe_blend, weighed
from .folds import folds_of
from .history import Epoch
from .members import Course, Fitted, fit_part, joined, of_part
from .out_of_fold import Left, left_out_cells, out_of_fold, training_cells
from .preparation import Note, Prepared


def fit(
    config: Config,
    prepared: Prepared,
    *,
    origin: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    """Train every model of a config; those of a blend that is weighed also without one fold each time.

    Parameters
    ----------
    origin : what the training rests on, kept in checkpoints and files of folds.
    resume : go on from these.
    on_epoch : is not told of the epochs of models that are trained without a fold.
    """
    course = Course(origin, resume, on_note, on_epoch)
    if config.model.is_weighed:
        return _weighed(config, prepared, course)
    parts = [fit_part(*of_part(config, prepared, part), course) for part in config.model.parts]
    return _blended(config, parts) if config.model.blend else parts[0]


def _weighed(config: Config, prepared: Prepared, course: Course) -> Fitted:
    """The models of a blend, with weights from what each says of molecules that it was not fitted to."""
    folds = folds_of(config, prepared)
    course.on_note(f"blend: weights from {folds.n} folds of the training part, by {folds.by}")
    rows, cells = training_cells(prepared, folds)
    pairs = [
        _with_left_out(config, prepared, part, Left(folds, rows, cells), course)
        for part in config.model.blend
    ]
    parts, cells = (
        [fitted for fitted, _ in pairs],
        cells._replace(outputs=np.array([said for _, said in pairs])),
    )
    fitted, table = weighed(cells, prepared.table, [part.label for part in config.model.blend])
    course.on_note(describe_blend(fitted, table))
    return _blended(config, parts)._replace(blend=fitted.blend, blend_table=table)


def _with_left_out(
    config: Config, prepared: Prepared, part: BlendPart, left: Left, course: Course
) -> tuple[Fitted, np.ndarray]:
    """A model fitted to the whole training part, and what it says of `training_cells` without their fold."""
    own, view = of_part(config, prepared, part)
    if part.name != NETWORK and baselines.get(part.name).leaves_out:
        fitted = fit_part(own, view, course, folds=left.folds.of_training)
        baseline = fitted.members[0].model
        assert isinstance(baseline, Baseline)
        assert baseline.left_out is not None
        return fitted, left_out_cells(baseline.left_out, prepared, left)
    quiet = course._replace(on_note=lambda note: None, on_epoch=lambda epoch: None)

    def without(fold: int) -> Sequence[Member]:
        """Of the main table the fold is taken out, so that auxiliary ones lose forms of its compounds too."""
        rest = prepared._replace(split=left.folds.without(prepared.split, fold))
        return fit_part(own, of_part(config, rest, part)[1], quiet, fold=fold).members

    said = out_of_fold(
        without,
        view,
        left,
        label=part.label,
        folder=config.folder,
        course=course,
    )
    return fit_part(own, view, course), said


def _blended(config: Config, parts: list[Fitted]) -> Fitted:
    """The members of all parts, those of one with the same weight together as those of another."""
    members = []
    for part, fitted in zip(config.model.blend, parts, strict=True):
        n_tasks = len({column for member in fitted.members for column in member.columns})
        times = sum(len(member.columns) for member in fitted.members) // n_tasks
        members += [replace(member, weight=1 / times, part=part.label) for member in fitted.members]
    trained = [fitted for fitted in parts if len(fitted.epochs)] or parts[:1]
    return Fitted(
        tuple(members),
        joined([fitted.history for fitted in trained]),
        joined([fitted.epochs for fitted in trained]),
        [epoch for fitted in trained for epoch in fitted.best_epochs],
        next((fitted.affinity for fitted in trained if fitted.affinity is not None), None),
        place=next((fitted.place for fitted in trained if fitted.place is not None), None),
    )
