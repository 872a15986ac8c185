"""The loss of a table with both kinds of assay: each column goes to the loss of its kind."""

import torch
from torch import Tensor

from .contract import Loss


class Mixed(Loss):
    """A loss for the binary assays and one for the real ones, as one loss of all T tasks.

    Parameters
    ----------
    binary, real : built of the labels of their own tasks, in the order of the tasks.
    is_real : bool [T].
    """

    kinds = frozenset({"binary", "real"})
    places: Tensor
    of_binary: Tensor
    of_real: Tensor

    def __init__(self, binary: Loss, real: Loss, is_real: Tensor) -> None:
        super().__init__()
        self.binary, self.real = binary, real
        self.is_convex = binary.is_convex and real.is_convex
        self.takes_spreads = real.takes_spreads
        of_real = is_real.nonzero().flatten()
        of_binary = (~is_real).nonzero().flatten()
        self.register_buffer("of_binary", of_binary, persistent=False)
        self.register_buffer("of_real", of_real, persistent=False)
        self.register_buffer("places", torch.cat([of_binary, of_real]).argsort(), persistent=False)

    def log_spreads(self) -> Tensor:
        """Those of the real assays; 0 of the others."""
        of_real = self.real.log_spreads()
        return torch.cat([of_real.new_zeros(len(self.of_binary)), of_real])[self.places]

    def cell_values(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        return self._both("cell_values", logits, labels, log_spreads)

    def cell_slopes(self, logits: Tensor, labels: Tensor, log_spreads: Tensor | None = None) -> Tensor:
        return self._both("cell_slopes", logits, labels, log_spreads)

    def check_labels(self, labels: Tensor) -> None:
        self.binary.check_labels(self._classes(labels))
        self.real.check_labels(labels[:, self.of_real])

    @torch.no_grad()
    def start(self, labels: Tensor) -> Tensor:
        starts = self.binary.start(self._classes(labels)), self.real.start(labels[:, self.of_real])
        return torch.cat([start.double() for start in starts])[self.places]

    def _both(self, function: str, logits: Tensor, labels: Tensor, log_spreads: Tensor | None) -> Tensor:
        """Cells [B, T] of both losses, the columns in the order of the tasks."""
        of_binary = getattr(self.binary, function)(logits[:, self.of_binary], self._classes(labels))
        spreads = () if log_spreads is None else (log_spreads[:, self.of_real],)
        of_real = getattr(self.real, function)(logits[:, self.of_real], labels[:, self.of_real], *spreads)
        return torch.cat([of_binary, of_real], dim=1)[:, self.places]

    def _classes(self, labels: Tensor) -> Tensor:
        """The labels of the binary tasks, [B, t] also where bounds are given."""
        classes = labels[:, self.of_binary]
        return classes if classes.ndim == 2 else classes[..., 0]


def loss_for(is_real: Tensor, binary: Loss, real: Loss) -> Loss:
    """One of the two where all assays are of its kind, else both.

    Parameters
    ----------
    is_real : bool [T].
    binary, real : of their own tasks' labels.
    """
    if not bool(is_real.any()):
        return binary
    return real if bool(is_real.all()) else Mixed(binary, real, is_real)
