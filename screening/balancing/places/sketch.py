"""At all parameters of the encoder, from a few random directions."""

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...models.heads import TaskHeads
from ...runtime.distributed import sum_over_processes
from ..outer_rows import OuterRows
from .contract import Cut, Settings, places
from .products import gram_of


@places.register("sketch")
class Sketch:
    r"""At all parameters of the encoder, estimated from K random directions.

    With v_k ~ N(0, I), the K products J v_k [T] (forward-mode, here as the derivative of a vector-Jacobian
    product by its vector, over the graph that is there) give G ~ (1/K) sum_k (J v_k)(J v_k)', unbiased;
    the relative standard deviation of a squared norm is sqrt(2/K), of rank at most K.
    """

    has_rows = False
    sees_across = True

    def __init__(self, encoder: nn.Module | None, settings: Settings) -> None:
        if encoder is None:
            raise TypeError("A sketch of the gradients at the encoder needs the encoder.")
        self.encoder, self.settings = encoder, settings

    def gram(self, cut: Cut, rows: Tensor | None = None) -> Tensor:
        products = self._products(cut)
        return gram_of(sum_over_processes(products)) / self.settings.sketch

    def rows(self, cut: Cut) -> Tensor:
        raise ConfigError("gradients.at: sketch has no gradients of single tasks. Use features or encoder.")

    def outer(self, cut: Cut) -> OuterRows | None:
        return None

    def push(self, cut: Cut, direction: Tensor, weighted: Tensor) -> None:
        raise ConfigError("gradients.at: sketch has no gradients of single tasks. Use features or encoder.")

    def _products(self, cut: Cut) -> Tensor:
        """[T, K], derivative of each task's loss along each direction; the part of this process."""
        parameters = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        products = cut.slopes.new_zeros(cut.heads.n_tasks, self.settings.sketch)
        if not parameters or not cut.features.requires_grad or not len(cut.features):
            return products
        generator = torch.Generator(cut.slopes.device).manual_seed(cut.step)
        slopes = cut.private_slopes()
        with torch.enable_grad():
            probe = torch.zeros_like(cut.features, requires_grad=True)
            back = torch.autograd.grad(
                cut.features, parameters, probe, create_graph=True, allow_unused=True, materialize_grads=True
            )
        for k in range(self.settings.sketch):
            directions = [
                torch.randn(p.shape, generator=generator, device=p.device, dtype=p.dtype) for p in parameters
            ]
            (moved,) = torch.autograd.grad(back, probe, directions, retain_graph=True)
            products[:, k] = _along(cut.heads, slopes, moved.to(slopes.dtype))
        return products


def _along(heads: TaskHeads, slopes: Tensor, moved: Tensor) -> Tensor:
    """Derivative [T] of the losses when the features move by `moved` [B, d]."""
    with torch.autocast(slopes.device.type, enabled=False), torch.no_grad():
        if heads.is_linear:
            return (slopes * (moved @ heads.weight.T)).sum(0)
        return (slopes * torch.einsum("bd,tdk->btk", moved, heads.private_weight)).sum((0, 2))
