"""GO4Align: tasks in groups of similar progress, with one weight for each group."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep

SMALLEST_LOSS = 1e-8
"""Nats; smaller losses are scored as this one."""
ENDS_AT_ONCE = 32
"""Ends of a last group whose best beginnings are looked for together."""


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

    def weigh_present(self, step: PresentStep) -> Tensor:
        losses = step.losses.clamp(min=SMALLEST_LOSS)
        self.log_risk[step.tasks] -= self.eta * losses
        scores = self.log_risk[step.tasks].softmax(0) * losses.sum() / losses
        return group_means(scores, min(self.groups, len(scores)))


def group_means(values: Tensor, n_groups: int) -> Tensor:
    """Each value's [n] cluster mean in the best k-means clustering into `n_groups`, at most n.

    Dynamic programming over the sorted values, after Wang, Song: Ckmeans.1d.dp, The R Journal 2011,
    https://doi.org/10.32614/RJ-2011-015. The best clustering has the largest sum of (sum of a group)^2 /
    size, and its last group never begins earlier when there are more values.
    """
    ordered, order = values.sort()
    ordered = ordered - ordered.mean()  # so that sums of squares are those of differences
    ordered = ordered / ordered.abs().max().clamp(min=torch.finfo(values.dtype).tiny)
    n = len(values)
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    ends = torch.arange(1, n + 1, device=values.device)
    best, starts = torch.cat([sums[:1], sums[1:] ** 2 / ends]), []
    for left in range(n_groups - 1, 0, -1):
        best, start = _one_more_group(best, sums, n if left == 1 else 1)
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


def _one_more_group(best: Tensor, sums: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Score of the best clustering of the first values with a group more, and where that group begins.

    Parameters
    ----------
    best : [n + 1] the score with the groups so far; entry e is of the first e values.
    sums : [n + 1] of the first values.
    first : the smallest e that is asked for; entries before it are not filled in.
    """
    n, low = len(sums) - 1, 0
    more, starts = best.clone(), torch.zeros(n + 1, dtype=torch.int64, device=sums.device)
    for begin in range(first, n + 1, ENDS_AT_ONCE):
        ends = torch.arange(begin, min(begin + ENDS_AT_ONCE, n + 1), device=sums.device)
        begins = torch.arange(low, int(ends[-1]), device=sums.device)
        sizes = ends[:, None] - begins
        scores = (sums[ends, None] - sums[begins]).square_().div_(sizes).add_(best[begins])
        more[ends], places = scores.masked_fill_(sizes <= 0, -torch.inf).max(1)
        starts[ends] = begins[places]
        low = int(starts[ends[-1]])
    return more, starts
