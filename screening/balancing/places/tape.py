"""What layers saw and gave in one pass, and which of it the gradients of many tasks are shortest by.

Called by at_parameters.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...models.scaled_vectors import ScaledVectors
from ...runtime.distributed import world_size

Calls = dict[nn.Module, list[tuple[Tensor, Tensor]]]


class Tape:
    """Remembers inputs and outputs of some layers in the latest pass that can be differentiated."""

    def __init__(self, encoder: nn.Module, layers: Iterable[nn.Module]) -> None:
        self.calls: Calls = {}
        self.molecule: Tensor | None = None
        """[N] int64, of each atom of the batch; None where it has none."""
        encoder.register_forward_pre_hook(self._begin)
        for layer in layers:
            layer.register_forward_hook(self._keep)

    def take(self) -> Calls:
        """What was remembered; forgets it, so that the graph can go."""
        calls, self.calls = self.calls, {}
        return calls

    def _begin(self, encoder: nn.Module, inputs: Any) -> None:
        self.calls = {}
        self.molecule = getattr(inputs[0], "molecule", None)

    def _keep(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if output.requires_grad:
            given = inputs[0].dense() if isinstance(inputs[0], ScaledVectors) else inputs[0]
            self.calls.setdefault(layer, []).append((given, output))


@dataclass(frozen=True)
class Source:
    """What a part of the rows comes from: a parameter, or the outputs of a layer and a basis."""

    parameter: Tensor
    size: int
    """Numbers per row."""
    outputs: tuple[Tensor, ...] = ()
    basis: Tensor | None = None
    """[M, M] or smaller, L with LL' = AA'."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What to differentiate by."""
        return self.outputs or (self.parameter,)

    def row(self, derivatives: Iterator[Tensor], n: int, like: Tensor) -> Tensor:
        """[n, size] from the next of the `derivatives`."""
        if self.basis is None:
            return next(derivatives).reshape(n, -1)
        slopes = torch.cat([next(derivatives) for _ in self.outputs], dim=1).to(like.dtype)
        return (slopes.transpose(1, 2) @ self.basis).reshape(n, -1)


def sources_of(parameters: list[nn.Parameter], calls: Calls) -> list[Source]:
    """Every parameter, by the shorter of its two ways; with several processes rows must add up."""
    short: dict[int, Source] = {}
    for layer, passes in calls.items() if world_size() == 1 else ():
        rows = sum(given.shape[0] for given, _ in passes)
        if not isinstance(layer, nn.Linear):
            continue
        if all(given.ndim == 2 for given, _ in passes) and 0 < rows < layer.in_features:
            inputs = torch.cat([given.detach().to(layer.weight.dtype) for given, _ in passes])
            basis = torch.linalg.qr(inputs.T, mode="r").R.T
            outputs = tuple(output for _, output in passes)
            size = layer.out_features * basis.shape[1]
            short[id(layer.weight)] = Source(layer.weight, size, outputs, basis)
    return [short.get(id(p)) or Source(p, p.numel()) for p in parameters]
