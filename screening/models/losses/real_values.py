"""What the losses of real values share: labels as intervals, how far a prediction is from one, constants."""

import torch
from torch import Tensor

from ...errors import DataError
from .contract import HALVINGS, Loss, measured


class RealLoss(Loss):
    """A loss of values on the standardised scale of their assay, exact or known by bounds.

    Labels are [B, T], or [B, T, 2] of lower and upper bounds: equal where the value is exact, infinite where
    open (a value above 3 is from 3 to infinity). Losses of the distance to the interval cost nothing inside
    of it: with one bound they are the plain one-sided (hinge) form of themselves.
    """

    kinds = frozenset({"real"})

    def pulls(self, distances: Tensor) -> Tensor:
        """Slopes of cells by their signed distances (`misses`), but for a factor that each task may have."""
        raise NotImplementedError(type(self).__name__)

    def check_labels(self, labels: Tensor) -> None:
        """Raise DataError where a label is infinite, or bounds are none of an interval."""
        if labels.ndim == 2:
            is_wrong = labels.isinf()
        else:
            low, high = labels.unbind(2)
            is_wrong = (low > high) | (low == torch.inf) | (high == -torch.inf) | (low.isinf() & high.isinf())
        if bool(is_wrong.any()):
            row, task = is_wrong.nonzero()[0].tolist()
            raise DataError(
                f"Label {labels[row, task].tolist()} of molecule {row} of the batch in task {task} is no "
                "value and no interval: expected a finite number, or two bounds of which at least one is "
                "finite. Correct the value, or leave the cell empty."
            )

    @torch.no_grad()
    def start(self, labels: Tensor) -> Tensor:
        """The best constant [T] float64 of each task, with two molecules more in each, at -1 and 1.

        Of exact values on the standardised scale it is 0 for a loss that is least at the mean. Labels
        [n, T], or [n, T, 2] of bounds.
        """
        low, high, tasks = measured_cells(labels)
        ends = torch.stack([low, high])[torch.stack([low, high]).isfinite()]
        lowest = torch.full((labels.shape[1],), float(ends.min()), dtype=torch.float64, device=labels.device)
        highest = torch.full_like(lowest, float(ends.max()))
        for _ in range(HALVINGS):
            middle = (lowest + highest) / 2
            cells = self.pulls(misses(middle[tasks], low, high))
            falls = torch.zeros_like(middle).index_add_(0, tasks, cells) < 0
            lowest, highest = torch.where(falls, middle, lowest), torch.where(falls, highest, middle)
        return (lowest + highest) / 2


def bounds(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds [B, T] of labels [B, T], where they are equal, or [B, T, 2]."""
    if labels.ndim == 2:
        return labels, labels
    low, high = labels.unbind(2)
    return low, high


def misses(logits: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How far each prediction is above (positive) or below (negative) its interval, 0 inside of it."""
    return (logits - high).clamp(min=0) - (low - logits).clamp(min=0)


def measured_cells(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lower bound, upper bound and task [m] of all measured cells, and of two at -1 and 1 in every task.

    Those two are what is expected of standardised values before any is seen: with them a task without
    values, or with bounds to one side alone, has a best constant and a spread, as with `base_logits`.

    Parameters
    ----------
    labels : [n, T], or [n, T, 2] of bounds; NaN = not measured.
    """
    there = measured(labels)
    before = torch.arange(labels.shape[1], device=labels.device)
    ones = torch.ones(labels.shape[1], dtype=torch.float64, device=labels.device)
    low, high = (torch.cat([end[there].double(), -ones, ones]) for end in bounds(labels))
    return low, high, torch.cat([there.nonzero()[:, 1], before, before])
