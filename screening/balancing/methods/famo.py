"""FAMO: all losses fall at the same relative rate, learned from how each changed over the last step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..contract import Balancer, register
from ..step import PresentStep
from ..task_adam import TaskAdam

EPS = 1e-8
"""Added to every loss before its logarithm, as in the authors' code; nats."""


@register("famo")
class Famo(Balancer):
    r"""Fast adaptive multitask optimization.

    With z = softmax(logits) over the n present tasks, the objective is c * sum(z * log(L + eps)) with
    c = 1 / sum(z / (L + eps)) held constant, so the weights are n * c * z / (L + eps) and sum to n (in the
    paper to 1; ours divides by n). After the update it looks at the same batch again:
    delta = log(L before + eps) - log(L after + eps), and the logits move by Adam against z * (delta -
    sum(z * delta)): a task that fell more than the others loses weight. The lower bounds of the losses
    are 0, as cross-entropy has it.

    The paper has no rule for missing labels; ours: an absent task, or one that was not seen in both looks,
    keeps its logit, and the softmax runs over the others.

    Parameters
    ----------
    lr : above 0, learning rate of the logits, 0.025 in the paper.
    gamma : at least 0, weight decay of the logits: 0.001 in the paper's algorithm 2 and LibMTL, 0.01 in the
        authors' famo.py.

    References
    ----------
    Liu et al.: FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023, https://arxiv.org/abs/2306.03792,
    algorithm 2; constants after the authors' code (Cranial-XIX/FAMO, famo.py, MIT). Their clipping of the
    gradient norm is left to training.
    """

    second_look = True
    before: Tensor

    def __init__(self, tasks: Sequence[str], *, lr: float = 0.025, gamma: float = 1e-3) -> None:
        super().__init__(tasks)
        if not 0 < lr < math.inf:
            raise ValueError(f"lr is {lr}; expected above 0.")
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma is {gamma}; expected at least 0.")
        self.logits = nn.Parameter(torch.zeros(self.n_tasks, dtype=torch.float64), requires_grad=False)
        self.adam = TaskAdam(self.n_tasks, lr=lr, weight_decay=gamma)
        self.register_buffer("before", torch.full((self.n_tasks,), -1.0, dtype=torch.float64))  # -1: no look

    def weigh_present(self, step: PresentStep) -> Tensor:
        self.before[step.tasks] = step.losses
        weights = self.logits[step.tasks].softmax(0) / (step.losses + EPS)
        return len(weights) * weights / weights.sum()

    def look_again_present(self, step: PresentStep) -> None:
        seen = self.before[step.tasks] >= 0
        tasks, after = step.tasks[seen], step.losses[seen]
        delta = (self.before[tasks] + EPS).log() - (after + EPS).log()
        shares = self.logits[tasks].softmax(0)
        self.adam.update(self.logits, shares * (delta - (shares * delta).sum()), tasks)
        self.before[tasks] = -1.0
