"""DB-MTL: log losses, and averaged gradients brought to the length of the longest."""

from collections.abc import Sequence

import torch

from ..contract import Balancer, register
from ..step import Decision, PresentStep
from ..tracked_rows import PLACES, Tracked


@register("db_mtl")
class DbMtl(Balancer):
    r"""Dual-balancing: of the losses by the logarithm, of the gradients by their length.

    y_i <- beta_k y_i + (1 - beta_k) g_i / L_i, with beta_k = beta / k^decay and k the updates of the task.
    The update is sum_i (max_j |y_j| / |y_i|) y_i (here the mean). Heads are trained on the log losses. The
    first y_i is g_i / L_i, not a share of it (the length cancels, but for the longest). An absent task keeps
    y_i and has no part in the update. Memory: T * P numbers.

    Parameters
    ----------
    beta : at least 0, below 1, share of the old mean kept.
    decay : at least 0, exponent of its decrease.

    References
    ----------
    Lin, Jiang, Ye, Zhang, Chen, Chen, Liu, Kwok: Dual-Balancing for Multi-Task Learning, 2023,
    https://arxiv.org/abs/2308.12029, algorithm 1; 1e-8 and the defaults from LibMTL (LibMTL/weighting/
    DB_MTL.py, MIT), by the same authors.
    """

    needs = "rows"
    gives_direction = True
    without_gram = True
    places = PLACES
    weighs_heads = True

    def __init__(self, tasks: Sequence[str], *, beta: float = 0.9, decay: float = 0.0) -> None:
        super().__init__(tasks)
        if not 0 <= beta < 1:
            raise ValueError(f"beta is {beta}; expected at least 0 and below 1.")
        if not 0 <= decay < float("inf"):
            raise ValueError(f"decay is {decay}; expected at least 0.")
        self.beta, self.decay = beta, decay
        self.tracked = Tracked(self.n_tasks)

    def decide_present(self, step: PresentStep) -> Decision:
        inverse = 1 / (step.losses + 1e-8)
        updates = self.tracked.updates[step.tasks]
        kept = torch.where(updates == 0, 0.0, self.beta / (updates + 1.0) ** self.decay)
        self.tracked.mix(step.tasks, step.rows, kept, (1 - kept) * inverse)
        lengths = self.tracked.lengths(step.tasks)
        factors = torch.where(lengths > 0, lengths.max() / lengths, 0.0)
        return Decision(factors * inverse, inverse, self.tracked.combine(step.tasks, factors))
