"""Snapshots of a network in training, and which of them score which assay."""

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from ..config_sections import Train
from ..models.network import ScreeningModel
from .history import History, Kept

NEIGHBOURS = 1  # epochs before and after that smooth the validation score of one


def snapshot_epochs(settings: Train) -> list[int]:
    """Numbers of the epochs, from 0, whose weights are kept: evenly spaced, the last one among them.

    >>> snapshot_epochs(Train(epochs=20, snapshots=5))
    [3, 7, 11, 15, 19]
    """
    if settings.snapshots == 1:
        return []
    n = min(settings.snapshots, settings.epochs)
    return [math.ceil(settings.epochs * (number + 1) / n) - 1 for number in range(n)]


def kept_networks(
    model: ScreeningModel,
    snapshots: Mapping[int, Mapping[str, Tensor]],
    history: History,
    settings: Train,
    assays: Sequence[int],
) -> list[Kept]:
    """The networks that score these assays after training: that of the best epoch, or snapshots.

    Parameters
    ----------
    model : with the weights of the best epoch.
    snapshots : weights at the end of some epochs; {} = the best epoch scores all assays.
    """
    if not snapshots:
        return [Kept(_with_heads_of(model, assays), tuple(assays), None)]
    epochs, kept = sorted(snapshots), []
    takes = best_snapshots(history, epochs, settings.snapshots_used or len(epochs))
    for epoch, taken in zip(epochs, takes, strict=True):
        mine = [assay for assay in assays if taken[assay]]
        if mine:
            snapshot = copy.deepcopy(model)
            snapshot.load_state_dict(snapshots[epoch])
            kept.append(Kept(_with_heads_of(snapshot, mine), tuple(mine), epoch))
    return kept


def best_snapshots(history: History, epochs: Sequence[int], n_used: int) -> np.ndarray:
    """bool [snapshots, T], which snapshots score which assay: of each `n_used`, or all if there are fewer.

    An assay takes those with its best validation score, a mean over the epoch and those beside it. Where it
    has no score (one class alone) the macro mean stands for it; of equals the later is taken.

    Parameters
    ----------
    epochs : of the snapshots, ascending.
    """
    scores = np.stack([epoch.valid_concordance.double().numpy() for epoch in history])
    macro = np.array([epoch.macro for epoch in history])[:, None]
    smooth = _smoothed(np.nan_to_num(np.where(np.isnan(scores), macro, scores)))[list(epochs)]
    order = np.argsort(-smooth[::-1], axis=0, kind="stable")  # from the last snapshot on
    taken = np.zeros(smooth.shape, bool)
    np.put_along_axis(taken, len(epochs) - 1 - order[:n_used], True, axis=0)
    return taken


def _with_heads_of(model: ScreeningModel, assays: Sequence[int]) -> ScreeningModel:
    if list(assays) != list(range(model.heads.n_tasks)):
        model.heads = model.heads.take(assays)
    return model


def _smoothed(scores: np.ndarray) -> np.ndarray:
    """Means over each epoch and its neighbours, as far as there are any."""
    n = len(scores)
    beside = np.abs(np.arange(n)[:, None] - np.arange(n)) <= NEIGHBOURS
    means: np.ndarray = beside @ scores / beside.sum(1, keepdims=True)
    return means
