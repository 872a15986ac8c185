"""Equal weights, in the two meanings of the word."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("equal")
class Equal(Balancer):
    """Every assay, or every label, has the same weight.

    Parameters
    ----------
    reduction : "macro": mean over present tasks of their mean losses; every assay weighs the same, and one
        with few labels is noisy. "micro": sum over all labels divided by their number, as in OGB's baseline
        and chemprop; an assay weighs as much as it has labels in the batch.
    """

    def __init__(self, tasks: Sequence[str], *, reduction: Literal["macro", "micro"] = "macro") -> None:
        super().__init__(tasks)
        if reduction not in ("macro", "micro"):
            raise ValueError(f"reduction is {reduction!r}; expected 'macro' or 'micro'.")
        self.reduction = reduction

    def weigh_present(self, step: PresentStep) -> Tensor:
        if self.reduction == "macro":
            return step.losses.new_ones(len(step.losses))
        return step.counts / step.counts.mean()
