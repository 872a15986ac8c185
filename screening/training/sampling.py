"""Which molecules each step of an epoch sees."""

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from ..config_sections import Train
from ..errors import ConfigError
from .label_rows import Labels

CHUNK = 4096  # molecules whose labels are looked at together


class Actives(NamedTuple):
    """The actives of the training part, assay by assay; assays without any are left out."""

    rows: Tensor
    """[all actives] int64, molecules; those of an assay side by side."""
    n: Tensor
    """[assays] int64, actives of each."""

    @classmethod
    def of(cls, labels: Labels, rows: Tensor, is_real: np.ndarray) -> Self:
        """Those among the molecules `rows`, by the labels of all; `is_real` bool [T] are assays without any.

        Raises
        ------
        ConfigError : there are none.
        """
        classes = torch.from_numpy(np.flatnonzero(~is_real))
        cells = [_actives(labels[chunk][:, classes], chunk) for chunk in rows.split(CHUNK)]
        assay, row = torch.cat(cells).T
        if not len(assay):
            raise ConfigError(
                "train.sampler is actives, and no assay of two classes has an active in the training part. "
                "Set train.sampler=random."
            )
        order = assay.argsort(stable=True)
        return cls(row[order], assay.bincount()[assay.unique()])

    def draw(self, n: int) -> Tensor:
        """int64 [n]: in each round one active of every assay, the assays in random order.

        Round by round an assay goes through its actives in a random order, again and again.
        """
        n_assays, assay = len(self.n), torch.repeat_interleave(self.n)
        shuffled = self.rows[(assay + torch.rand(len(assay), dtype=torch.float64)).argsort()]
        n_rounds = -(-n // n_assays)
        assays = torch.rand(n_rounds, n_assays).argsort(1)
        turn = torch.arange(n_rounds).unsqueeze(1) % self.n[assays]
        first = self.n.cumsum(0) - self.n
        return shuffled[first[assays] + turn].flatten()[:n]


def batches(rows: Tensor, settings: Train, actives: Actives | None) -> list[Tensor]:
    """The molecules `rows` in random order, in batches; by the random numbers of torch.

    Parameters
    ----------
    actives : of which `settings.active_share` of each batch is drawn, beside the molecules of `rows`, each of
        which is there once; None = of nothing.
    """
    order, size = rows[torch.randperm(len(rows))], settings.batch_size
    if actives is None:
        return list(order.split(size))
    n_drawn = min(max(1, round(settings.active_share * size)), size - 1)
    plain = order.split(size - n_drawn)
    drawn = actives.draw(n_drawn * len(plain)).split(n_drawn)
    return [torch.cat(parts) for parts in zip(plain, drawn, strict=True)]


def _actives(labels: Tensor, rows: Tensor) -> Tensor:
    """[actives, 2] int64: assay and molecule of each, of labels [k, t] or bounds [k, t, 2]."""
    classes = labels if labels.ndim == 2 else labels[..., 0]
    place, assay = (classes == 1).nonzero(as_tuple=True)
    return torch.stack([assay, rows[place]], 1)
