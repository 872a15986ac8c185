"""A gradient of each task kept from step to step, for the balancers that need more than one batch.

It has a meaning only where a coordinate is a parameter: at the features every step has other molecules.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

PLACES = ("last_norm", "last_layer", "encoder")
"""Where gradients of different steps can be compared, from cheap to dear."""
NUMBERS_AT_ONCE = 2**18
"""Of the rows that are changed together: they stay in the cache."""


class Tracked(nn.Module):
    """One row per task, T * P numbers in float32; P is known from the first step on.

    Rows are changed in place and never copied as a whole: with 617 tasks at a layer of 100 x 2000 they are
    half a gigabyte.
    """

    rows: Tensor
    updates: Tensor

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(n_tasks, 0))
        self.register_buffer("updates", torch.zeros(n_tasks, dtype=torch.int64))

    def change(self, tasks: Tensor, rows: Tensor, how: Callable[[Tensor, Tensor, slice], None]) -> None:
        """Let `how` change the rows of these tasks, and count one more update of each.

        Parameters
        ----------
        tasks : int64 [n].
        rows : [n, P] of this step.
        how : called with some of the rows kept [k, P] (0 before the first update), to be changed in place,
            those of this step [k, P], and which of the n they are.

        Raises
        ------
        ValueError : the rows had another width before.
        """
        self._fit(rows.shape[1])
        is_whole = len(tasks) == len(self.rows)
        at_once = max(1, NUMBERS_AT_ONCE // max(1, rows.shape[1]))
        for start in range(0, len(tasks), at_once):
            part = slice(start, start + at_once)
            block = self.rows[part] if is_whole else self.rows[tasks[part]]
            how(block, rows[part].to(block.dtype), part)
            if not is_whole:
                self.rows[tasks[part]] = block
        self.updates[tasks] += 1

    def mix(self, tasks: Tensor, rows: Tensor, kept: Tensor, taken: Tensor) -> None:
        """Row i becomes kept[i] times itself plus taken[i] times that of this step; `kept`, `taken` [n]."""
        kept, taken = (factors.to(self.rows.dtype)[:, None] for factors in (kept, taken))

        def how(block: Tensor, new: Tensor, part: slice) -> None:
            block.mul_(kept[part]).addcmul_(new, taken[part])

        self.change(tasks, rows, how)

    def exchange(self, tasks: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Keep these rows; before that, the inner products with those kept so far.

        Returns
        -------
        [k, k] float64, [i, j] of the row kept of i with the new one of j, of the k tasks that had one; and
        [n] bool, which had one.
        """
        self._fit(rows.shape[1])
        has_past = self.updates[tasks] > 0
        products = self.rows.new_zeros(0, 0)
        if has_past.any():
            products = (self.rows @ rows.to(self.rows.dtype).T)[tasks[has_past]][:, has_past]
        if len(tasks) == len(self.rows):
            self.rows.copy_(rows)
        else:
            self.rows[tasks] = rows.to(self.rows.dtype)
        self.updates[tasks] += 1
        return products.double(), has_past

    def combine(self, tasks: Tensor, weights: Tensor) -> Tensor:
        """[P] sum of the rows of these tasks times their weights [n]."""
        return weights.new_zeros(len(self.rows)).index_copy(0, tasks, weights).to(self.rows.dtype) @ self.rows

    def along(self, tasks: Tensor, direction: Tensor) -> Tensor:
        """[n] float64, inner products of the rows of these tasks with a direction [P]."""
        return (self.rows @ direction)[tasks].double()

    def lengths(self, tasks: Tensor) -> Tensor:
        """[n] float64, Euclidean norms of the rows of these tasks."""
        return torch.linalg.vector_norm(self.rows, dim=1)[tasks].double()

    def _fit(self, width: int) -> None:
        if self.rows.shape[1] == 0:
            self.rows = self.rows.new_zeros(len(self.rows), width)
        if self.rows.shape[1] != width:
            raise ValueError(f"Gradients have {width} numbers, those of earlier steps {self.rows.shape[1]}.")

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
