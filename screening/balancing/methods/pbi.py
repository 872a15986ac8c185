"""PBI: how far the losses are along the preferences, and how far beside them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm

from ..contract import Scalariser, register
from ..priorities import by_name
from ..step import PresentStep
from ..tracked_rows import split_share

EPS = 1e-12
"""Added to the squared distance, nats squared, as in TorchJD: a root has no slope at 0."""


@register("pbi")
class Pbi(Scalariser):
    r"""Penalty-based boundary intersection: the losses to a line through the ideal point, and down it.

    With u the `preferences` [n] of the present tasks at length 1, d1 = (L - ideal) . u and
    d2 = |L - ideal - d1 u|, minimises (d1 + theta d2) n / sum(u): at theta 0 the weights are n u / sum(u).
    With equal preferences w = 1 + theta * (L - mean) / (standard deviation), over the tasks. The scale of the
    weights is the method's own. Where this is below 0, which would drive an easy task's loss up, the weight
    is 0 here; see `negative`.

    Parameters
    ----------
    theta : at least 0. 5 in the paper, for solutions of their own; of one network it leaves tasks below the
        mean untrained, so 0.5 is ours.
    ideal : nats, below every loss: 0 for cross-entropy.
    preferences : assay name -> at least 0; 1 for those not named.
    negative : keep weights below 0, as in the paper.

    References
    ----------
    Zhang, Li: MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition, IEEE Transactions on
    Evolutionary Computation 2007, https://doi.org/10.1109/TEVC.2007.892759, section II.C.
    """

    preferences: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        theta: float = 0.5,
        ideal: float = 0.0,
        preferences: Mapping[str, float] | None = None,
        negative: bool = False,
    ) -> None:
        super().__init__(tasks)
        if not 0 <= theta < torch.inf:
            raise ValueError(f"theta is {theta}; expected at least 0.")
        if not -torch.inf < ideal < torch.inf:
            raise ValueError(f"ideal is {ideal}; expected a finite number.")
        self.theta, self.ideal, self.negative = theta, ideal, negative
        shares = by_name("preferences", preferences, self.tasks)
        self.register_buffer("preferences", shares, persistent=False)

    def scalarise(self, losses: Tensor, step: PresentStep) -> Tensor:
        shares, _ = split_share(self.preferences[step.tasks])
        unit = shares / vector_norm(shares)
        above = losses - self.ideal
        along = above @ unit
        beside = ((above - along * unit).square().sum() + EPS).sqrt()
        return (along + self.theta * beside) * len(losses) / unit.sum()

    def weigh_present(self, step: PresentStep) -> Tensor:
        weights = super().weigh_present(step)
        return weights if self.negative else weights.clamp(min=0)
