"""GradNorm: learn weights that give all tasks gradients of the length their training rate asks for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep
from ..task_adam import TaskAdam


@register("gradnorm")
class GradNorm(Balancer):
    r"""Gradient normalisation.

    With r_i = (L_i / L_i at first) / mean of these over present tasks, the weights descend on
    sum_i |w_i |g_i| - mean_j(w_j |g_j|) r_i^alpha|, the mean held constant, and are scaled to the sum n. A
    step uses the weights that it found, then moves them.

    Ours: w = exp(v) and Adam moves v, so that no weight falls below 0 (the paper moves w itself, LibMTL a
    softmax's input); a task's first loss, and Adam's counters, are its own. The paper takes the gradients at
    the last shared layer (`gradients.at: last_layer`).

    Parameters
    ----------
    alpha : at least 0, how strongly slow tasks are favoured; 0 makes all lengths equal. The paper used 1.5
        and 0.12, SLAW's authors 0.12 on molecules.
    lr : above 0, of Adam, as in the paper and SLAW's code.

    References
    ----------
    Chen, Badrinarayanan, Lee, Rabinovich: GradNorm: Gradient Normalization for Adaptive Loss Balancing in
    Deep Multitask Networks, ICML 2018, https://arxiv.org/abs/1711.02257, equations 1 and 2, algorithm 1.
    """

    needs = "gram"
    log_weights: Tensor
    first_losses: Tensor

    def __init__(self, tasks: Sequence[str], *, alpha: float = 0.12, lr: float = 0.025) -> None:
        super().__init__(tasks)
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"alpha is {alpha}; expected at least 0.")
        if not 0 < lr < float("inf"):
            raise ValueError(f"lr is {lr}; expected above 0.")
        self.alpha, self.lr = alpha, lr
        for name in ("log_weights", "first_losses"):
            self.register_buffer(name, torch.zeros(self.n_tasks, dtype=torch.float64))
        self.adam = TaskAdam(self.n_tasks, lr=lr)

    def weigh_present(self, step: PresentStep) -> Tensor:
        tasks = step.tasks
        first = self.first_losses[tasks]
        self.first_losses[tasks] = first = torch.where(first > 0, first, step.losses)
        weights = len(step.losses) * self.log_weights[tasks].softmax(0)
        lengths = weights * step.gram.diagonal().clamp(min=0).sqrt()
        mean = lengths.mean()
        if mean > 0:
            above = (lengths - mean * _relative_rates(step.losses, first) ** self.alpha).sign()
            before = self.log_weights[tasks].logsumexp(0)
            self.adam.update(self.log_weights, above * lengths / mean, tasks)
            self.log_weights[tasks] += before - self.log_weights[tasks].logsumexp(0)
        return weights


def _relative_rates(losses: Tensor, first: Tensor) -> Tensor:
    """Relative inverse training rates [n], with the mean 1."""
    rates = torch.where(first > 0, losses / first, 1.0)
    return torch.where(rates.mean() > 0, rates / rates.mean(), 1.0)
