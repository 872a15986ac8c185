"""The sum of the logarithms of the losses: the scale-invariant baseline."""

from torch import Tensor

from ..contract import Scalariser, register
from ..step import PresentStep

EPS = 1e-8
"""Added to every loss before its logarithm, nats."""


@register("log_loss")
class LogLoss(Scalariser):
    r"""Scale-invariant sum: minimises sum(log(L + 1e-8)), so w = 1 / L.

    The direction of GLS, and that of uncertainty weighting and IMTL-L where their learned scales have
    settled. The scale of the weights is the method's own, and as with GLS they are huge where a batch has
    a few fitted negatives of an assay alone: up to 540,000 on ToxCast, batch 256. Those two learn slowly
    enough to be spared that.

    References
    ----------
    Baseline "SI" of Navon et al.: Multi-Task Learning as a Bargaining Game, ICML 2022,
    https://arxiv.org/abs/2202.01017.
    """

    def scalarise(self, losses: Tensor, step: PresentStep) -> Tensor:
        return (losses + EPS).log().sum()
