"""ExcessMTL: weight tasks by how far they are from their optimum, so that noisy ones do not take over."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep
from ..tracked_rows import PLACES, Tracked


@register("excess_mtl")
class ExcessMtl(Balancer):
    r"""Robust multi-task learning with excess risks.

    The excess risk of a task is about E_i = sum(g_i^2 / sqrt(sum of g_i^2 over all steps + 1e-7)), relative
    to its first value; w_i <- w_i exp(eta E_i), scaled to the sum n. The first E_i of a task sets its scale
    and moves nothing, as in LibMTL (TorchJD moves by the raw value, the paper averages three epochs).
    An absent task keeps its sums and its share of the weights. Memory: T * P numbers.

    Parameters
    ----------
    eta : above 0, step size; LibMTL uses 0.01, TorchJD 1.

    References
    ----------
    He, Zhou, Zhang, Xu, Zhao: Robust Multi-Task Learning with Excess Risks, ICML 2024,
    https://arxiv.org/abs/2402.02009, equations 6, 7 and 9; as in its code (uiuctml/ExcessMTL, MIT).
    """

    needs = "rows"
    without_gram = True
    places = PLACES
    log_weights: Tensor
    first: Tensor

    def __init__(self, tasks: Sequence[str], *, eta: float = 0.01) -> None:
        super().__init__(tasks)
        if not 0 < eta < float("inf"):
            raise ValueError(f"eta is {eta}; expected above 0.")
        self.eta = eta
        self.tracked = Tracked(self.n_tasks)
        for name in ("log_weights", "first"):
            self.register_buffer(name, torch.zeros(self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        tasks = step.tasks
        is_new, excess = self.tracked.updates[tasks] == 0, torch.zeros_like(step.losses)

        def add_squares(total: Tensor, rows: Tensor, part: slice) -> None:
            squares = rows**2
            total += squares
            excess[part] = (squares / (total + 1e-7).sqrt()).sum(1).double()

        self.tracked.change(tasks, step.rows, add_squares)
        self.first[tasks] = torch.where(is_new, excess, self.first[tasks])
        relative = excess / (self.first[tasks] + 1e-7)
        before = self.log_weights[tasks]
        after = before + torch.where(is_new, 0.0, self.eta * relative)
        after += before.logsumexp(0) - after.logsumexp(0)  # absent tasks keep their share
        self.log_weights[tasks] = after
        return len(excess) * after.softmax(0)
