"""Cross-entropy of each task by torch's own function: what ours is compared with."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class Losses(NamedTuple):
    """The losses of one batch."""

    values: Tensor
    """[T] nats; 0 for a task without labels."""
    present: Tensor
    """[T] bool, true where the task has a label in the whole batch."""


def per_task_losses(
    logits: Tensor, labels: Tensor, counts: Tensor, positive_weight: Tensor | None = None
) -> Losses:
    """Mean over the measured molecules; `counts` [T] of the whole batch, of which this may be a part."""
    cells = functional.binary_cross_entropy_with_logits(
        logits, labels.nan_to_num().to(logits.dtype), pos_weight=positive_weight, reduction="none"
    )
    return Losses(cells.where(~labels.isnan(), 0.0).sum(0) / counts.clamp(min=1), counts > 0)
