"""GLS: the geometric mean of the losses."""

from torch import Tensor

from ..contract import Scalariser, register
from ..step import PresentStep

EPS = 1e-8
"""Added to every loss before its logarithm, nats."""


@register("gls")
class Gls(Scalariser):
    r"""Geometric loss strategy.

    Minimises prod(L)^(1/n) = exp(mean(log L)) over the n present tasks, so w = (geometric mean) / L: easy
    tasks weigh more, and a loss can be multiplied by anything without a change to the direction. Taken in
    the logarithmic form, for the product of hundreds of losses underflows. The scale of the weights is the
    method's own: they sum to at least n. An assay whose labels in the batch are all negative and fitted has
    nearly no loss and a huge weight: up to 160,000 in the first epoch on ToxCast, batch 256.

    References
    ----------
    Chennupati et al.: MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for
    Multi-Task Learning, CVPR Workshops 2019,
    https://openaccess.thecvf.com/content_CVPRW_2019/html/WAD/Chennupati_MultiNet_Multi-Stream_Feature_Aggregation_and_Geometric_Loss_Strategy_for_Multi-Task_CVPRW_2019_paper.html.
    """

    def scalarise(self, losses: Tensor, step: PresentStep) -> Tensor:
        return len(losses) * (losses + EPS).log().mean().exp()
