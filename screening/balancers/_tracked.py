"""A gradient of each task kept from step to step, for the balancers that need more than one batch.

It has a meaning only where a coordinate is a parameter: at the features every step has other molecules.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

PLACES = ("last_layer", "encoder")
"""Where gradients of different steps can be compared."""


class Tracked(nn.Module):
    """One row per task, T * P numbers in float32; P is known from the first step on."""

    rows: Tensor
    updates: Tensor

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(n_tasks, 0))
        self.register_buffer("updates", torch.zeros(n_tasks, dtype=torch.int64))

    def read(self, tasks: Tensor, width: int) -> Tensor:
        """The rows [n, width] of these tasks; 0 where there is none so far.

        Raises
        ------
        ValueError : the rows had another width before.
        """
        if self.rows.shape[1] == 0:
            self.rows = self.rows.new_zeros(len(self.rows), width)
        if self.rows.shape[1] != width:
            raise ValueError(f"Gradients have {width} numbers, those of earlier steps {self.rows.shape[1]}.")
        return self.rows[tasks]

    def write(self, tasks: Tensor, rows: Tensor) -> None:
        """Keep these rows and count one more update of each."""
        self.rows[tasks] = rows.to(self.rows.dtype)
        self.updates[tasks] += 1

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(prefix + "rows")
        if saved is not None and saved.shape[0] == len(self.rows):
            self.rows = self.rows.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def split_share(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Shares [n] of present tasks as a point on the simplex, and the sum that they divide among them.

    With it, absent tasks keep their share, and present ones divide what they had together.
    """
    total = shares.sum()
    if total > 0:
        return shares / total, total
    return torch.full_like(shares, 1 / len(shares)), torch.full_like(total, len(shares))
