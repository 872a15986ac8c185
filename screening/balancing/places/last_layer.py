"""At the last linear layer that all tasks share."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from ...runtime.distributed import sum_over_processes, world_size
from .at_parameters import AtParameters
from .contract import Cut, norms_after_last_layer, places, shared_part
from .labelled_cells import LabelledCells
from .path_back import PathBack
from .products import gram_of
from .tape import Calls


@places.register("last_layer")
class AtLastLayer(AtParameters):
    """At the weights of the last linear layer that all tasks share, as GradNorm defines it.

    Where the encoder says what follows the layer (`norms_after_last_layer`), only labelled cells are looked
    at: with C of them, d outputs and p inputs the Gramian costs C^2 d or C d p, of a batch of 256 molecules
    with three labels each a fraction of a step. Else one backward pass from the features per task.
    """

    def parameters(self) -> list[nn.Parameter]:
        weight = self._layer().weight
        return [weight] if weight.requires_grad else []  # type: ignore[list-item]

    def _gram(self, cut: Cut, calls: Calls) -> Tensor:
        if world_size() > 1:
            return gram_of(self._all_rows(cut, calls))
        cells = self._cells(cut, calls)
        return super()._gram(cut, calls) if cells is None else cells.gram()

    def _all_rows(self, cut: Cut, calls: Calls) -> Tensor:
        cells = self._cells(cut, calls)
        if cells is None:
            return super()._all_rows(cut, calls)
        self._check_memory(self._layer().weight.numel(), cut.heads.n_tasks)
        return sum_over_processes(cells.rows())

    def _cells(self, cut: Cut, calls: Calls) -> LabelledCells | None:
        """The labelled cells; None where there is nothing to see, or no path to the layer is given."""
        norms, layer = norms_after_last_layer(self.encoder), self._layer()
        if norms is None or not self.parameters() or not cut.features.requires_grad:
            return None
        molecule = self.tape.molecule
        with torch.autocast(cut.slopes.device.type, enabled=False):
            path = PathBack.of(cut.features, layer, norms, calls, molecule, cut.slopes.dtype)
            return None if path is None else LabelledCells.of(cut, path, calls[layer][0][0].detach())

    def _watched(self) -> Iterable[nn.Module]:
        return [self._layer(), *(norms_after_last_layer(self.encoder) or ())]

    def _layer(self) -> nn.Linear:
        return cast(nn.Linear, shared_part(self.encoder, "last_layer"))
