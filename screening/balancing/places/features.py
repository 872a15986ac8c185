"""At the shared representation: two small matrix products."""

import torch
from torch import Tensor, nn

from ...runtime.distributed import sum_over_processes
from ..outer_rows import OuterRows
from .contract import Cut, Settings, places
from .products import at_once, gram_of, products_of, symmetric


@places.register("features")
class AtFeatures:
    """At the shared representation, of which all the rest of the encoder's gradient is a linear function.

    With linear heads W [T, d] and slopes R [B, T], the gradient of task t at molecule b is R[b, t] W[t],
    hence G = (R'R) * (WW') elementwise: two small matrix products.
    """

    has_rows = True
    sees_across = False

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None:
        pass

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        slopes, heads = cut.private_slopes(), cut.heads
        with torch.autocast(slopes.device.type, enabled=False):
            if heads.is_linear:
                products = sum_over_processes(products_of(slopes.T))
                return symmetric(products * products_of(heads.weight.detach()))
            total = slopes.new_zeros(heads.n_tasks, heads.n_tasks, dtype=torch.float64)
            for part in slopes.split(at_once(slopes, heads.n_tasks * heads.width)):
                total += gram_of(heads.feature_gradients(part).transpose(0, 1).flatten(1))
            return sum_over_processes(total)

    def rows(self, cut: Cut) -> Tensor:
        slopes = cut.private_slopes()
        with torch.autocast(slopes.device.type, enabled=False):
            return cut.heads.feature_gradients(slopes).transpose(0, 1).flatten(1)

    def outer(self, cut: Cut) -> OuterRows | None:
        heads = cut.heads
        weight: Tensor = heads.weight if heads.is_linear else heads.private_weight
        return OuterRows(cut.private_slopes(), weight.detach())

    def push(self, cut: Cut, direction: Tensor, weighted: Tensor) -> None:
        cut.features.backward(direction.view_as(cut.leaf).to(cut.features.dtype))
