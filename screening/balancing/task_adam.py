"""The optimiser for numbers that a balancer learns itself, one per task: Adam that knows absent tasks."""

import torch
from torch import Tensor, nn


class TaskAdam(nn.Module):
    """Adam on a parameter [T], for the tasks of a step alone, each with its own count of updates.

    An ordinary optimiser would go on moving absent tasks by its momentum and weight decay. If all tasks are
    present, this is `torch.optim.Adam`.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization, ICLR 2015, https://arxiv.org/abs/1412.6980,
    algorithm 1; weight decay is added to the gradient.
    """

    first: Tensor
    second: Tensor
    updates: Tensor

    def __init__(self, n_tasks: int, *, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.lr, self.weight_decay = lr, weight_decay
        for name in ("first", "second"):
            self.register_buffer(name, torch.zeros(n_tasks, dtype=torch.float64))
        self.register_buffer("updates", torch.zeros(n_tasks, dtype=torch.int64))

    def update(self, parameter: Tensor, gradient: Tensor, tasks: Tensor) -> None:
        """Move `parameter` [T] in place against `gradient` [n], at `tasks` [n]."""
        gradient = gradient + self.weight_decay * parameter[tasks]
        self.updates[tasks] += 1
        self.first[tasks] = 0.9 * self.first[tasks] + 0.1 * gradient
        self.second[tasks] = 0.999 * self.second[tasks] + 0.001 * gradient**2
        seen = self.updates[tasks].double()
        first = self.first[tasks] / (1 - 0.9**seen)
        second = self.second[tasks] / (1 - 0.999**seen)
        parameter[tasks] -= self.lr * first / (second.sqrt() + 1e-8)
