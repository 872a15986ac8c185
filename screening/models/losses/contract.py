"""What a loss is: for every molecule and task a value, and its slope by the logit in closed form.

A new loss is one file beside this one and one test line. Nothing here knows of models or balancers. Whoever
divides by the label counts of the whole batch (`label_counts`, summed over processes) can add up over
processes: a loss is a sum of cells.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...errors import DataError
from ...registry import Registry
from ..base_rates import base_logits

STEEPEST = 40.0
"""Logits of a start are held within: beyond, float64 has no chance that differs from 0 and 1."""
HALVINGS = 60
"""Of an interval of 80: to less than float64 resolves."""


class Loss(nn.Module):
    """The loss of T tasks, cell by cell: [B, T] logits and labels to [B, T] values and slopes.

    A member gives `cell_values` and `cell_slopes`; training calls `values` and `slopes`, which take out the
    cells without a label before and put zeros in after. A cell depends on its own logit and label alone (and
    on what the training part told of its task), so that batches and processes can be cut anywhere.

    Real and censored labels fit: `kinds` says which labels it takes and `check_labels` refuses others; where
    an interval is all that is known a label is two numbers, [B, T, 2], its bounds, infinite where open. What
    a loss learns itself (the spread of each assay) is a parameter [T]: the values are differentiable by it,
    and training moves it with the heads' weights.

    Parameters
    ----------
    labels : [n, T] of the training part, NaN = not measured; for what depends on its counts. Options of a
        member follow as keyword-only parameters; out of range is a ValueError that says the range.
    """

    kinds: frozenset[str] = frozenset({"binary"})
    """Of assays that it is for: `binary` (0 and 1), `real`."""
    is_convex: bool = False
    """Whether it is convex in the logit."""
    takes_spreads: bool = False
    """Whether it weighs a molecule by how uncertain its value is: `values` and `slopes` of spreads [B, T]."""

    def __init__(self, labels: Tensor | None = None) -> None:
        super().__init__()

    def log_spreads(self) -> Tensor:
        """Logarithms [T] of the standard deviations of the noise where training begins; 0 without any."""
        raise NotImplementedError(type(self).__name__)

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Values [B, T], at least 0 and differentiable, of labels none of which is missing; no autocast.

        Balancers take logarithms and ratios of losses: a likelihood gets the constant with which it is never
        below 0. With `takes_spreads` a third argument, [B, T] or None, are logarithms of standard deviations
        in place of those that the loss learns itself.
        """
        raise NotImplementedError(type(self).__name__)

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Derivative [B, T] of `cell_values` by the logits, in closed form."""
        raise NotImplementedError(type(self).__name__)

    def check_labels(self, labels: Tensor) -> None:
        """Raise DataError where a label is none that this loss has a value for."""
        allowed = (labels == 0) | (labels == 1) | labels.isnan()
        if not bool(allowed.all()):
            row, task = (~allowed).nonzero()[0].tolist()
            raise DataError(
                f"Label {labels[row, task].item()} of molecule {row} of the batch in task {task} is neither "
                "0, 1 nor missing (NaN). Only two-class assays can be trained: set a threshold on the column "
                "first."
            )

    @torch.no_grad()
    def start(self, labels: Tensor) -> Tensor:
        """The logits [T] float64 of the best constant prediction, where untrained heads begin.

        Of binary labels: where the mean slope at the base rates (`base_rates`) is 0, found by halving.

        Parameters
        ----------
        labels : [n, T] of the training part.
        """
        rates = torch.sigmoid(base_logits(labels))
        classes = torch.stack([torch.ones_like(rates), torch.zeros_like(rates)])
        low = torch.full_like(rates, -STEEPEST)
        high = -low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            active, inactive = self.slopes(middle.expand_as(classes), classes)
            falls = rates * active + (1 - rates) * inactive < 0
            low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
        return (low + high) / 2

    def values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        """The loss of every molecule in every task: [B, T], 0 where not measured; differentiable.

        Never computed in less than float32, whatever the type of `logits` and inside autocast too.

        Parameters
        ----------
        logits : [B, T], unbounded.
        labels : [B, T], NaN = not measured.
        log_spreads : [B, T], of each molecule's own noise, where the heads say it; see `takes_spreads`.

        Raises
        ------
        DataError : a label is none that this loss has a value for.
        """
        self.check_labels(labels)
        return _in_measured_cells(self.cell_values, logits, labels, log_spreads)

    @torch.no_grad()
    def slopes(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        """Derivative of every cell by its own logit: [B, T], at least float32, 0 where not measured."""
        return _in_measured_cells(self.cell_slopes, logits.detach(), labels, log_spreads)


losses: Registry[type[Loss]] = Registry("loss", members="screening.models.losses")


def measured(labels: Tensor) -> Tensor:
    """Which cells have a label: [B, T] bool of labels [B, T], or [B, T, 2] of bounds."""
    is_missing = labels.isnan()
    return ~(is_missing if is_missing.ndim == 2 else is_missing.flatten(2).any(2))


def label_counts(labels: Tensor) -> Tensor:
    """How many molecules are measured in each task: [T] float32 of labels [B, T]."""
    return measured(labels).sum(0, dtype=torch.float32)


def _in_measured_cells(
    function: Callable[..., Tensor], logits: Tensor, labels: Tensor, log_spreads: Tensor | None
) -> Tensor:
    """The function of logits in float32, or float64 if they are; 0 where nothing is measured."""
    there = measured(labels)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logits = torch.where(there, logits, 0.0)  # what is said of no label is not in the gradient of a spread
    present = torch.where(there if labels.ndim == 2 else there.unsqueeze(2), labels, 0.0).to(logits.dtype)
    with torch.autocast(logits.device.type, enabled=False):
        cells = function(logits, present, *(() if log_spreads is None else (log_spreads.to(logits.dtype),)))
    return torch.where(there, cells, cells.new_zeros(()))
