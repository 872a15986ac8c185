"""COSMOS: the weighted sum of the losses, and how well their vector points along the preferences."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm

from ..contract import Scalariser, register
from ..priorities import by_name
from ..step import PresentStep
from ..tracked_rows import split_share

EPS = 1e-8
"""Added to the length of the losses, nats: all may be 0."""


@register("cosmos")
class Cosmos(Scalariser):
    r"""Sum of the losses minus the cosine between them and the preferences: hard tasks get more.

    Minimises n * (r . L - pull * cos(r, L)) over the n present tasks, with r the `preferences`, brought to
    the sum 1. Equal preferences pull all losses to the same value. The scale of the weights is the method's
    own; r . w L is that of r . L, since the cosine does not depend on the length of L.

    The paper draws r anew in every step and shows it to the network beside the input, so that one network
    has the whole Pareto front; here r is fixed and the network does not see it. Where the cosine asks for a
    weight below 0, which would drive an easy task's loss up, it is 0 here; see `negative`.

    Parameters
    ----------
    pull : at least 0, nats, lambda of the paper, which uses 0.01 to 8 and has no best value; 0.1 is ours,
        for losses of 0.05 to 0.7 nats: the penalty grows as losses fall.
    preferences : assay name -> at least 0; 1 for those not named.
    negative : keep weights below 0, as in the paper.

    References
    ----------
    Ruchte, Grabocka: Scalable Pareto Front Approximation for Deep Multi-Objective Learning, ICDM 2021,
    https://arxiv.org/abs/2103.13392, the objective alone, as TorchJD has it (scalarization/_cosmos.py, MIT).
    """

    preferences: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        pull: float = 0.1,
        preferences: Mapping[str, float] | None = None,
        negative: bool = False,
    ) -> None:
        super().__init__(tasks)
        if not 0 <= pull < torch.inf:
            raise ValueError(f"pull is {pull}; expected at least 0.")
        self.pull, self.negative = pull, negative
        shares = by_name("preferences", preferences, self.tasks)
        self.register_buffer("preferences", shares, persistent=False)

    def scalarise(self, losses: Tensor, step: PresentStep) -> Tensor:
        shares, _ = split_share(self.preferences[step.tasks])
        cosine = shares @ losses / (vector_norm(shares) * (vector_norm(losses) + EPS))
        return len(losses) * (shares @ losses - self.pull * cosine)

    def weigh_present(self, step: PresentStep) -> Tensor:
        weights = super().weigh_present(step)
        return weights if self.negative else weights.clamp(min=0)
