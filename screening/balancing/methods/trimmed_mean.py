"""Trimmed mean: at every parameter without the largest and the smallest gradients."""

from collections.abc import Sequence

import torch

from ..contract import Balancer, register
from ..step import Decision, PresentStep
from ..tracked_rows import PLACES

COLUMNS_AT_ONCE = 2**12
"""Parameters that are sorted together, so that their gradients stay in the cache."""


@register("trimmed_mean")
class TrimmedMean(Balancer):
    r"""Mean of the tasks' gradients, coordinate by coordinate, without the k largest and k smallest.

    k is `trim` * n rounded down, of n present tasks; the update is n times the mean of what is left. Like
    `krum` a control, made against workers that send wrong gradients of one loss. No weights can express the
    update: it comes last in a chain. At the features most tasks have no label for a molecule and gradients
    of 0, which is what would be left: it works at parameters alone.

    Parameters
    ----------
    trim : from 0 to below 0.5, share of the present tasks that is left out at each end; 0.1 is ours.

    References
    ----------
    Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical
    Rates, ICML 2018, https://proceedings.mlr.press/v80/yin18a.html, definition 2, algorithm 1.
    """

    needs = "rows"
    without_gram = True
    places = PLACES
    gives_direction = True
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, trim: float = 0.1) -> None:
        super().__init__(tasks)
        if not 0 <= trim < 0.5:
            raise ValueError(f"trim is {trim}; expected at least 0 and below 0.5.")
        self.trim = trim

    def decide_present(self, step: PresentStep) -> Decision:
        n = len(step.rows)
        cut = int(self.trim * n)
        means = [
            part.T.sort(1).values[:, cut : n - cut].mean(1)
            for part in step.rows.split(COLUMNS_AT_ONCE, dim=1)
        ]
        ones = torch.ones_like(step.losses)
        return Decision(ones, ones, n * torch.cat(means))
