"""What one training step knows of T tasks, and what a balancer decides about it.

`Gradients` and `LossGradients` make a `Step` of all tasks; a method sees the `PresentStep` that
`Balancer.decide` makes from it, without absent tasks and in float64.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .outer_rows import OuterRows


@dataclass(frozen=True)
class Step:
    """What one training step knows about T tasks; sums over all processes, the same in each."""

    losses: Tensor
    """[T] mean loss of each task in nats, float64; 0 where absent."""
    present: Tensor
    """[T] bool, true where the task has a label in the batch."""
    counts: Tensor
    """[T] labels in the batch."""
    gram: Tensor | None = None
    """[T, T] inner products of the gradients of the losses; None unless needed."""
    rows: Tensor | None = None
    """[T, P] the gradients themselves; None unless needed."""
    outer: OuterRows | None = None
    """The gradients in place of `rows`, for a balancer with `takes_outer`, where they are outer products."""
    variances: Tensor | None = None
    """[T] variance of the loss over the molecules of the task, nats squared; 0 below two labels."""
    epoch: int = 0
    """From 0."""
    step: int = 0
    """Optimiser steps since the beginning of training, from 0."""

    def finite_tasks(self) -> Tensor:
        """Places, int64 [n], of the present tasks whose loss and gradient are finite."""
        finite = self.present & self.losses.isfinite()
        if self.gram is not None:
            finite &= self.gram.diagonal().isfinite()
        elif self.rows is not None:
            finite &= self.rows.sum(1).isfinite()
        elif self.outer is not None:
            finite &= self.outer.is_finite()
        return finite.nonzero().squeeze(1)

    def take(self, tasks: Tensor) -> "PresentStep":
        """The step as the tasks at these places, int64 [n], see it; `rows` are not copied where all are."""
        is_whole = torch.equal(tasks, torch.arange(len(self.losses), device=tasks.device))

        def pick(values: Tensor | None) -> Tensor | None:
            return values if values is None or is_whole else values[tasks]

        gram = self.gram
        if gram is not None and not is_whole:
            gram = gram.index_select(0, tasks).index_select(1, tasks)
        variances = pick(self.variances)
        return PresentStep(
            losses=self.losses[tasks].double(),
            counts=self.counts[tasks].double(),
            tasks=tasks,
            gram_or_none=None if gram is None else gram.double(),
            rows_or_none=pick(self.rows),
            outer=self.outer if self.outer is None or is_whole else self.outer.take(tasks),
            variances=None if variances is None else variances.double(),
            epoch=self.epoch,
            step=self.step,
        )


@dataclass(frozen=True)
class PresentStep:
    """A step as a method sees it: its n >= 1 present tasks alone, in float64."""

    losses: Tensor
    """[n] mean loss of each task in nats."""
    counts: Tensor
    """[n] labels in the batch."""
    tasks: Tensor
    """[n] int64, places of these tasks among all of the balancer: where its state is read and written."""
    gram_or_none: Tensor | None = None
    """See `gram`."""
    rows_or_none: Tensor | None = None
    """See `rows`."""
    outer: OuterRows | None = None
    """The gradients in place of `rows`, for a balancer with `takes_outer`, where they are outer products."""
    variances: Tensor | None = None
    """[n] variance of the loss over the molecules of the task, nats squared; None where it is not known."""
    epoch: int = 0
    """From 0."""
    step: int = 0
    """Optimiser steps since the beginning of training, from 0."""

    @property
    def gram(self) -> Tensor:
        """[n, n] inner products of the gradients of the losses.

        Raises
        ------
        ValueError : the balancer did not say that it needs them.
        """
        if self.gram_or_none is None:
            raise ValueError("This step has no Gramian. A balancer that reads it says needs = 'gram'.")
        return self.gram_or_none

    @property
    def rows(self) -> Tensor:
        """[n, P] the gradients themselves, float32.

        Raises
        ------
        ValueError : the balancer did not say that it needs them.
        """
        if self.rows_or_none is None:
            raise ValueError(
                "This step has no gradients of single tasks. A balancer that reads them says needs = 'rows'."
            )
        return self.rows_or_none

    def weighted(self, weights: Tensor) -> "PresentStep":
        """The step that the losses `weights * losses` would have made; `weights` [n]."""
        gram, rows = self.gram_or_none, self.rows_or_none
        return replace(
            self,
            losses=weights * self.losses,
            gram_or_none=None if gram is None else weights[:, None] * gram * weights,
            rows_or_none=None if rows is None else weights.to(rows.dtype)[:, None] * rows,
            outer=None if self.outer is None else self.outer.weighted(weights),
            variances=None if self.variances is None else weights**2 * self.variances,
        )


class Decision(NamedTuple):
    """What a balancer wants done with the gradients of one step; all detached."""

    weights: Tensor
    """[T] factor on each task's gradient by the shared parameters; 0 where absent."""
    head_weights: Tensor
    """[T] factor on each task's gradient by its own head; 0 where absent."""
    direction: Tensor | None = None
    """[P] what goes to the shared parameters in place of the sum of weights * rows, for the few methods
    that no weights can express (they mix gradients element by element, or with those of earlier steps)."""
