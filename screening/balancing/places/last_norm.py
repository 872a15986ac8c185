"""At the normalisation that ends the encoder: nearly free."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...models.heads import TaskHeads
from ...runtime.distributed import sum_over_processes
from .at_parameters import AtParameters
from .contract import Cut, places, shared_part
from .products import gram_of


@places.register("last_norm")
class AtLastNorm(AtParameters):
    """At gain and bias of the normalisation that ends the encoder: 2 d numbers per task, nearly free.

    What follows it acts on each number alone (ReLU, dropout), with derivatives s [B, d]. With the normalised
    z [B, d], slopes R [B, T] and linear heads W [T, d], the gradients by the gain are R'(s * z) * W, those by
    the bias R's * W, elementwise: two small matrix products.
    """

    def parameters(self) -> list[nn.Parameter]:
        norm = self._norm()
        return [p for p in (norm.weight, norm.bias) if p is not None and p.requires_grad]

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        return gram_of(self.rows(cut) if rows is None else rows)

    def rows(self, cut: Cut) -> Tensor:
        norm, parameters, slopes = self._norm(), self.parameters(), cut.private_slopes()
        calls = self.tape.take().get(norm)
        rows = slopes.new_zeros(cut.heads.n_tasks, sum(parameter.numel() for parameter in parameters))
        if calls and parameters and cut.features.requires_grad:
            given, output = calls[-1]
            ones = torch.ones_like(cut.features)
            after = torch.autograd.grad(cut.features, output, ones, retain_graph=True)[0].to(slopes.dtype)
            with torch.autocast(slopes.device.type, enabled=False):
                normal = functional.layer_norm(
                    given.detach().to(slopes.dtype), norm.normalized_shape, eps=norm.eps
                )
                inner = [after * normal if parameter is norm.weight else after for parameter in parameters]
                rows = torch.cat([_through_heads(cut.heads, slopes, part) for part in inner], 1)
        return sum_over_processes(rows)

    def _watched(self) -> Iterable[nn.Module]:
        return [self._norm()]

    def _norm(self) -> nn.LayerNorm:
        return cast(nn.LayerNorm, shared_part(self.encoder, "last_norm"))


def _through_heads(heads: TaskHeads, slopes: Tensor, inner: Tensor) -> Tensor:
    """[T, d] sum over the molecules of each task's gradient by the features times `inner` [B, d]."""
    with torch.no_grad():
        if heads.is_linear:
            return (slopes.T @ inner) * heads.weight
        return (torch.einsum("btk,bd->tdk", slopes, inner) * heads.private_weight).sum(2)
