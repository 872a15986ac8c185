"""What a network is to say of a molecule of a library: descriptors, counts, the scores of a teacher.

All on one scale: a set of targets has the mean square 1 over the library.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.assay_kinds import Assay
from ..features.packing import vector_featurizer
from ..models.targets import SMALLEST

TEACHER = "teacher"
"""Name of the set of the scores of another model."""


class TargetSet(NamedTuple):
    """Targets of one kind."""

    name: str
    """Of the featurizer, or `TEACHER`."""
    kind: str
    """counts, bits or real."""
    columns: tuple[str, ...]
    weight: float = 1.0
    """Of the mean loss of the set, beside those of the other sets."""

    def share(self, of_computed: float) -> float:
        """Of its targets that count in a step: of a teacher's scores all, of what is computed as given."""
        return 1.0 if self.name == TEACHER else of_computed


class TargetScales:
    """The scales of F targets of several sets, side by side.

    Counts count as log(1 + c), and have one deviation for a whole set: a column that is hardly ever hit has
    small targets. Real values have a deviation each, and what is further off than `clip` deviations counts
    as so far. A value that is not defined, and a column that is everywhere the same, is NaN: not learned.

    Parameters
    ----------
    values : [n, F] of a sample of the library, NaN = not defined.
    """

    def __init__(self, sets: Sequence[TargetSet], values: Tensor, clip: float) -> None:
        self.sets, self.clip = tuple(sets), clip
        widths = [len(each.columns) for each in sets]
        starts = torch.tensor([0, *widths]).cumsum(0).tolist()
        self.places = [slice(*ends) for ends in pairwise(starts)]
        self.is_count = torch.zeros(sum(widths), dtype=torch.bool)
        for each, place in zip(self.sets, self.places, strict=True):
            self.is_count[place] = each.kind != "real"
        numbers = self._logged(values.double())
        self.mean = numbers.nanmean(0).nan_to_num(0.0)
        variance = (numbers - self.mean).square().nanmean(0).nan_to_num(0.0)
        self.is_constant = variance.sqrt() <= SMALLEST * self.mean.abs().clamp(min=1.0)
        for each, place in zip(self.sets, self.places, strict=True):
            if each.kind != "real":
                variance[place] = variance[place].mean()
        self.deviation = torch.where(variance > 0, variance, 1.0).sqrt()
        self.mean, self.deviation = self.mean.float(), self.deviation.float()

    def _logged(self, values: Tensor) -> Tensor:
        return torch.where(self.is_count, torch.log1p(values), values)

    def of(self, values: Tensor) -> Tensor:
        """Values [B, F] as they are learned."""
        numbers = ((self._logged(values) - self.mean) / self.deviation).clamp(-self.clip, self.clip)
        return torch.where(self.is_constant, torch.nan, numbers)

    def assays(self) -> tuple[Assay, ...]:
        """The F targets as assays of real values; counts on the scale log(1 + c)."""
        return tuple(Assay(f"{each.name}:{column}", "real") for each in self.sets for column in each.columns)


def sets_of(names: Sequence[str]) -> list[TargetSet]:
    """The sets of vector featurizers."""
    built = [vector_featurizer(name) for name in names]
    return [TargetSet(each.name, each.kind, tuple(each.columns)) for each in built]


def masked(targets: Tensor, share: float) -> Tensor:
    """bool [B, F], which targets of a set count in a step: a random share of those that are there."""
    return (torch.rand(targets.shape) < share) & ~targets.isnan()


def mean_square(outputs: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """Mean squared error over the cells that count, 0 where none does."""
    off = torch.where(counts, outputs - targets.nan_to_num(0.0), 0.0)
    return off.square().sum() / counts.sum().clamp(min=1)
