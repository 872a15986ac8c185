"""GradDrop: where gradients disagree on a sign, pick one sign and drop the rest."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..step import Decision, PresentStep

TASKS_AT_ONCE = 16
"""So that a copy of their gradients stays in the cache."""


@register("graddrop")
class GradDrop(Balancer):
    r"""Gradient sign dropout.

    At each coordinate, P = (1 + sum(g) / sum(|g|)) / 2. With the chance P only the positive entries of the
    tasks are kept, otherwise only the negative ones; of the others, `leak` is kept. The expected update is
    the sum of the gradients where they agree.

    A coordinate is a number of the features of a molecule, or a parameter, as in lines 10 to 15 of the
    paper's algorithm and TorchJD. The paper multiplies gradients at the features by the sign of the feature
    and sums over the batch first, so that one sign is picked per feature for all molecules; here each
    molecule has its own. No weights can express the update: it comes last in a chain.

    What is kept is (sum(|g|) +- sum(g)) / 2, so at the features the gradients of single tasks are not made:
    with slopes R [B, T] and linear heads W [T, d] the two sums are |R||W| and RW.

    Parameters
    ----------
    leak : from 0 to 1, share of dropped entries that is kept all the same; 1 is the plain sum.

    References
    ----------
    Chen, Ngiam, Huang, Luong, Kretzschmar, Chai, Anguelov: Just Pick a Sign: Optimizing Deep Multitask Models
    with Gradient Sign Dropout, NeurIPS 2020, https://arxiv.org/abs/2010.06808, equation 1, algorithm 1.
    """

    needs = "rows"
    gives_direction = True
    places = ("features", "last_norm", "last_layer", "encoder")
    weighs_heads = False
    without_gram = True
    takes_outer = True

    def __init__(self, tasks: Sequence[str], *, leak: float = 0.0, seed: int = 0) -> None:
        super().__init__(tasks, seed=seed)
        if not 0 <= leak <= 1:
            raise ValueError(f"leak is {leak}; expected from 0 to 1.")
        self.leak = leak

    def decide_present(self, step: PresentStep) -> Decision:
        total, sizes = _sums(step)
        chance = torch.rand(total.shape, generator=self.generator(total.device), device=total.device)
        is_positive = 2 * chance * sizes < sizes + total
        kept = torch.where(is_positive, total + sizes, total - sizes) / 2
        ones = torch.ones_like(step.losses)
        return Decision(ones, ones, self.leak * total + (1 - self.leak) * kept)


def _sums(step: PresentStep) -> tuple[Tensor, Tensor]:
    """Sum of the gradients and of their absolute values, [P] each."""
    if step.outer is not None:
        return step.outer.sums()
    total, sizes = step.rows.sum(0), torch.zeros_like(step.rows[0])
    for part in step.rows.split(TASKS_AT_ONCE):
        sizes += part.abs().sum(0)
    return total, sizes
