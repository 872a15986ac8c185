"""IMTL: impartial to the scale of the losses and to the direction of the gradients."""

from collections.abc import Sequence

from ..chain import Chain
from ..contract import register
from .imtl_g import ImtlG
from .imtl_l import ImtlL


@register("imtl")
class Imtl(Chain):
    """`imtl_l` on the losses, which also weighs the heads, then `imtl_g` on the gradients of the shared part.

    The direction for the shared parameters is that of `imtl_g` alone, which no scale of a loss changes.

    Parameters
    ----------
    lr : above 0, of the log-scales of the losses, see `imtl_l`.

    References
    ----------
    Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang: Towards Impartial Multi-task Learning, ICLR 2021,
    https://openreview.net/forum?id=IMPnRXEWpvr, algorithm 1.
    """

    needs = "gram"

    def __init__(self, tasks: Sequence[str], *, lr: float = 0.01) -> None:
        super().__init__(ImtlL(tasks, lr=lr), ImtlG(tasks))
