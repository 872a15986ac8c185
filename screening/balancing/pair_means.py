"""Means over steps of something that is known per pair of tasks, and how far they can be trusted.

Called by affinity.py, which collects them, and by `grouping`, which judges a whole matrix.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

FEWEST = 3
"""Pairs of which a correlation is made at least."""


class PairMeans(nn.Module):
    """Means per pair over the matrices in which it was seen, every other one in a second half.

    Examples
    --------
    >>> means = PairMeans(2)
    >>> for number in (1.0, 2.0, 3.0):
    ...     means.add(torch.full((2, 2), number), torch.tensor([[True, False], [True, True]]))
    >>> means.mean().tolist()
    [[2.0, nan], [2.0, 2.0]]
    >>> means.halves()[:, 0, 0].tolist()
    [2.0, 2.0]
    """

    total: Tensor
    """[2, T, T] float64, sums of each half."""
    squares: Tensor
    """[T, T] float64, sum of the squares."""
    halves_seen: Tensor
    """[2, T, T] int64, in how many matrices of each half."""
    added: Tensor
    """Matrices so far."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2, n_tasks, n_tasks, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(n_tasks, n_tasks, dtype=torch.float64))
        self.register_buffer("halves_seen", torch.zeros(2, n_tasks, n_tasks, dtype=torch.int64))
        self.register_buffer("added", torch.zeros((), dtype=torch.int64))

    def add(self, values: Tensor, seen: Tensor) -> None:
        """Count a matrix [T, T]; values that are not finite (a look-ahead that overflowed) are left out."""
        seen = seen & values.isfinite()
        values = torch.where(seen, values.double(), 0.0)
        half = int(self.added) % 2
        self.total[half] += values
        self.squares += values**2
        self.halves_seen[half] += seen
        self.added += 1

    def include(self, part: "PairMeans", columns: Sequence[int]) -> None:
        """Count what another network saw of the tasks at `columns`."""
        here = torch.tensor(columns)
        for name in ("total", "squares", "halves_seen"):
            getattr(self, name)[..., here[:, None], here] += getattr(part, name).cpu()

    @property
    def counts(self) -> Tensor:
        """[T, T] int64, matrices in which the pair was seen."""
        return self.halves_seen.sum(0)

    def mean(self) -> Tensor:
        """[T, T] float64; NaN where a pair was never seen."""
        return torch.where(self.counts > 0, self.total.sum(0) / self.counts.clamp(min=1), torch.nan)

    def halves(self) -> Tensor:
        """[2, T, T] float64, means of the halves; NaN where a pair was not seen in one."""
        return torch.where(self.halves_seen > 0, self.total / self.halves_seen.clamp(min=1), torch.nan)

    def error(self) -> Tensor:
        """[T, T] float64, standard error of the mean; NaN where a pair was seen less than twice.

        What changes in the course of the training counts as noise, so that it is rather too large.
        """
        counts = self.counts
        spread = (self.squares / counts.clamp(min=1) - self.mean() ** 2).clamp(min=0)
        return torch.where(counts > 1, (spread / (counts - 1).clamp(min=1)).sqrt(), torch.nan)


def split_half_reliability(first: np.ndarray, second: np.ndarray) -> float:
    """How well a matrix [T, T] would correlate with another of as many steps: 2 r / (1 + r), 0 to 1.

    r is the correlation of two halves over the pairs known in both, without the diagonal. Each column (who is
    affected) is centred first: groups depend on who helps an assay most, not on how much all others do. With
    a variance V between pairs and an error E of the mean of all steps it is V / (V + E). NaN for less than
    `FEWEST` pairs.

    References
    ----------
    Spearman, Correlation calculated from faulty data, Br. J. Psychol. 3, 1910,
    https://doi.org/10.1111/j.2044-8295.1910.tb00206.x; Brown, the same volume.
    """
    is_known = np.isfinite(first) & np.isfinite(second) & ~np.eye(len(first), dtype=bool)
    if is_known.sum() < FEWEST:
        return float("nan")
    one, other = (_centred(values, is_known)[is_known] for values in (first, second))
    size = np.sqrt((one**2).sum() * (other**2).sum())
    r = float((one * other).sum() / size) if size > 0 else 0.0
    return max(0.0, 2 * r / (1 + r)) if r > -1 else 0.0


def _centred(values: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """Values [T, T] minus the mean of the known ones of their column; 0 where not known."""
    values = np.where(is_known, values, 0.0)
    return np.where(is_known, values - values.sum(0) / np.maximum(is_known.sum(0), 1), 0.0)
