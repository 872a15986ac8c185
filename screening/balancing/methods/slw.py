"""SLW: what SLAW approximates, weights inverse to the gradient norms."""

from collections.abc import Sequence

from torch import Tensor

from ..contract import Balancer, register
from ..step import PresentStep


@register("slw")
class Slw(Balancer):
    r"""Scaled loss weighting with the true gradient norms: w = n * (1 / |g|) / sum(1 / |g|).

    The reference for `slaw`; it costs a Gramian. The author's code takes the norms at the last shared layer
    (`gradients.at: last_layer`).

    Parameters
    ----------
    eps : above 0, smallest |g|, as in the author's code. A task at its optimum would take all the weight.

    References
    ----------
    Crawshaw, Kosecka: SLAW: Scaled Loss Approximate Weighting for Efficient Multi-Task Learning, 2021,
    https://arxiv.org/abs/2109.08218, equation 4; class SLW in mtcrawshaw/meta, meta/train/loss.py (MIT).
    """

    needs = "gram"

    def __init__(self, tasks: Sequence[str], *, eps: float = 1e-5) -> None:
        super().__init__(tasks)
        if not eps > 0:
            raise ValueError(f"eps is {eps}; expected above 0.")
        self.eps = eps

    def weigh_present(self, step: PresentStep) -> Tensor:
        inverse = 1 / step.gram.diagonal().clamp(min=self.eps**2).sqrt()
        return len(inverse) * inverse / inverse.sum()
