"""GO4Align: tasks in groups of similar progress, with one weight for each group."""

from collections.abc import Sequence

import torch
from torch import Tensor

from . import Balancer, Step, register

SMALLEST_LOSS = 1e-8
"""Nats; smaller losses are scored as this one."""


@register("go4align")
class Go4Align(Balancer):
    r"""Group optimization for multi-task alignment.

    Each step p <- p * exp(-eta * L), normalised; the score of a task is p * sum(L) / L; the scores are
    clustered by k-means, and every task gets the mean score of its group. The scale of the weights is the
    method's own: with a group for each task sum(w * L) = sum(L).

    The authors' k-means starts at random; on a line the best groups are intervals, so ours finds
    the global optimum. The paper has no rule for missing labels; ours: only present tasks multiply their p,
    which is normalised over them, so that of a rarely measured assay falls later.

    Parameters
    ----------
    groups : at least 1; 3 is ours.
    eta : at least 0, per nat; 0.0001 in the authors' code.

    References
    ----------
    Shen et al.: GO4Align: Group Optimization for Multi-Task Alignment, NeurIPS 2024,
    https://arxiv.org/abs/2404.06486, after the authors' code (autumn9999/GO4Align,
    methods/cluster_methods.py, class GO4ALIGN).
    """

    log_risk: Tensor

    def __init__(self, tasks: Sequence[str], *, groups: int = 3, eta: float = 1e-4) -> None:
        super().__init__(tasks)
        if not groups >= 1:
            raise ValueError(f"groups is {groups}; expected at least 1.")
        if not 0 <= eta < float("inf"):
            raise ValueError(f"eta is {eta}; expected at least 0.")
        self.groups, self.eta = groups, eta
        self.register_buffer("log_risk", torch.zeros(self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: Step) -> Tensor:
        losses = step.losses.clamp(min=SMALLEST_LOSS)
        self.log_risk[step.tasks] -= self.eta * losses
        scores = self.log_risk[step.tasks].softmax(0) * losses.sum() / losses
        return group_means(scores, min(self.groups, len(scores)))


def group_means(values: Tensor, n_groups: int) -> Tensor:
    """Each value's [n] cluster mean in the best k-means clustering into `n_groups`, at most n.

    Dynamic programming over the sorted values, O(groups * n^2) in few tensor operations; after Wang, Song:
    Ckmeans.1d.dp, The R Journal 2011, https://doi.org/10.32614/RJ-2011-015.
    """
    ordered, order = values.sort()
    ordered = ordered / ordered[-1].clamp(min=torch.finfo(values.dtype).tiny)  # sums of squares stay exact
    n = len(values)
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    squares = torch.cat([ordered.new_zeros(1), (ordered**2).cumsum(0)])
    places = torch.arange(n + 1, dtype=values.dtype, device=values.device)
    sizes = places - places[:, None]  # of the interval [start, end)
    spread = (squares - squares[:, None]).addcdiv((sums - sums[:, None]) ** 2, sizes, value=-1).clamp(min=0)
    spread.masked_fill_(sizes <= 0, torch.inf)
    best, starts = spread[0], []
    for _ in range(n_groups - 1):
        best, start = (best[:, None] + spread).min(0)
        starts.append(start)
    is_start = torch.zeros(n + 1, dtype=torch.int64, device=values.device)
    end = torch.tensor(n, device=values.device)
    for start in reversed(starts):
        end = start[end]
        is_start[end] = 1
    group = is_start[:n].cumsum(0)
    count = ordered.new_zeros(n_groups).index_add(0, group, torch.ones_like(ordered))
    total = torch.zeros_like(count).index_add(0, group, values[order])
    return torch.empty_like(values).index_copy(0, order, (total / count)[group])
