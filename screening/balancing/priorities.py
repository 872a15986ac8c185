"""Weights of assays that were set beforehand, beside what a balancer gives."""

from collections.abc import Sequence

from torch import Tensor

from .contract import Balancer
from .step import PresentStep


class Priorities(Balancer):
    """Fixed weights: w = n * p / sum(p) over the n present tasks.

    Last in a chain it multiplies what the balancer gives, for heads too: the balancer itself sees the losses
    and gradients as they are, and cannot undo it.

    Parameters
    ----------
    priorities : [T], above 0, p.
    """

    priorities: Tensor

    def __init__(self, tasks: Sequence[str], priorities: Tensor) -> None:
        super().__init__(tasks)
        if priorities.shape != (self.n_tasks,) or not bool((priorities > 0).all()):
            raise ValueError(f"priorities: expected {self.n_tasks} numbers above 0.")
        self.register_buffer("priorities", priorities.double(), persistent=False)

    def weigh_present(self, step: PresentStep) -> Tensor:
        present = self.priorities[step.tasks]
        return present / present.mean()
