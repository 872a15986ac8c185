"""Nash-MTL: the tasks bargain for the update."""

from collections.abc import Sequence

from torch import Tensor

from ..contract import Balancer, register
from ..solvers.bargaining import fair_shares, orthogonal_shares
from ..solvers.unit_gradients import UnitGram, unit_gram
from ..step import PresentStep


@register("nash_mtl")
class NashMtl(Balancer):
    r"""Nash's bargaining solution: the w > 0 with w_i (Gw)_i = 1 for all tasks i.

    The part of the update along a gradient is inverse to the weight, and scaling a loss changes nothing. It
    is the minimum of w'Gw/2 - sum(log w), found by Newton's method to 1e-9; no state, no update every few
    steps (the authors solve a sequence of convex problems to about 1e-3, at a cost that made that needful).

    The solution fixes the length of the update at sqrt(n), whatever that of the gradients, and the authors
    cut it to `max_norm`. By default the weights have the factor instead with which orthogonal gradients
    would keep sum(w_i |g_i|) = sum(|g_i|), the mean norm: the update shrinks with the gradients. A task
    without slope gets 0.

    Parameters
    ----------
    max_norm : above 0 or None; a number gives the update the length min(sqrt(n), max_norm), as in the
        authors' code with 1. The length counts where the gradients are taken, so it means the paper's with
        `gradients.at: encoder` alone.

    References
    ----------
    Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik, Fetaya: Multi-Task Learning as a Bargaining Game,
    ICML 2022, https://arxiv.org/abs/2202.01017, claim 3.1 and algorithm 1.
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, max_norm: float | None = None) -> None:
        super().__init__(tasks)
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"max_norm is {max_norm}; expected above 0, or none.")
        self.max_norm = max_norm

    def weigh_present(self, step: PresentStep) -> Tensor:
        unit = unit_gram(step.gram)
        weights = bargain(unit, 1.0)
        if self.max_norm is None:
            return weights
        length = (weights @ step.gram @ weights).sqrt()
        limit = min(len(weights) ** 0.5, self.max_norm)
        return weights * (limit * len(weights) / length if length > 0 else 0)


def bargain(unit: UnitGram, power: float) -> Tensor:
    """Weights [n] with (Gw)_i proportional to w_i^(-power).

    The factor is that with which orthogonal gradients would have sum(w_i |g_i|) = sum(|g_i|).
    """
    norms = unit.norms
    has_length = norms > 0
    if not has_length.any():
        return norms
    relative = (norms / norms[has_length].log().mean().exp()).where(has_length, 1.0)
    scales = relative ** (power - 1)
    factor = norms.sum() / orthogonal_shares(scales, power)[has_length].sum()
    return unit.per_gradient(factor * fair_shares(unit.cosines, scales, power))
