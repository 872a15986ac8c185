"""Weights of assays that were set beforehand, beside what a balancer gives."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..registry import did_you_mean
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


def by_name(option: str, values: Mapping[str, float] | None, tasks: Sequence[str]) -> Tensor:
    """The values [T] float64 of an option that names assays; 1 for those not named.

    Raises
    ------
    ValueError : a name is no assay, or a value is below 0 or not finite.
    """
    values = values or {}
    for name, value in values.items():
        if name not in tasks:
            raise ValueError(f"{option} has '{name}', which is no assay. {did_you_mean(name, tasks)}")
        if not 0 <= value < math.inf:
            raise ValueError(f"{option} has {value} for '{name}'; expected at least 0.")
    return torch.tensor([values.get(name, 1.0) for name in tasks], dtype=torch.float64)
