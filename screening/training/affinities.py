"""When a training collects the effects of assays on each other, and on which molecules they are looked at.

Owned by the trainer; what is collected is in `balancing.affinity`.
"""

import torch
from torch import Tensor, nn

from ..balancing.affinity import Affinity, Batch, Effects, collector
from ..balancing.gradients import Look
from ..balancing.places import Settings
from ..config_sections import Grouping
from ..models.losses import Loss
from ..models.network import ScreeningModel

EVERY = {"linear": 1, "exact": 10}
"""Steps from one collection to the next, unless the config says: what each affords."""


class Affinities(nn.Module):
    """Collects the affinities of one training.

    Parameters
    ----------
    model : of T tasks; to be made before its features.
    grouping : its section of the config, with `affinity` other than none.
    """

    def __init__(
        self, model: ScreeningModel, n_tasks: int, grouping: Grouping, places: Settings, loss: Loss
    ) -> None:
        super().__init__()
        if grouping.affinity == "none":
            raise ValueError("grouping.affinity is none: there is nothing to collect.")
        self.grouping = grouping
        self.every = grouping.every or EVERY[grouping.affinity]
        self.affinity = Affinity(n_tasks)
        self._collector = collector(
            grouping.affinity,
            model,
            at=grouping.at,
            settings=places,
            loss=loss,
            across=grouping.batch == "other",
        )

    def is_due(self, step: int, n_steps: int) -> bool:
        """Whether this step of so many is looked at: every n-th, once the first ones are over."""
        return step >= self.grouping.skip * n_steps and step % self.every == 0

    def add(self, look: Look, batch: Batch, rate: float, judged: Batch | None) -> None:
        """Count what a step of that size says about the pairs; one that does not move says nothing."""
        rate = rate if self.grouping.rate is None else self.grouping.rate
        if rate > 0:
            self._count(self._collector.effects(look, batch, rate, judged))

    def end_epoch(self) -> None:
        """Count what is left, so that an epoch can be the last of a process."""
        self._count(self._collector.end())

    def judged(self, rows: Tensor, part: Tensor, step: int, n: int) -> Tensor | None:
        """The n molecules that `exact` looks at after a step on the molecules `rows`; None = these.

        They are drawn from the rest of the molecules of `part`, by the number of the step; empty where none
        are left.
        """
        if self.grouping.affinity == "linear" or self.grouping.batch == "train":
            return None
        others = part[~torch.isin(part, rows)]
        return others[torch.randperm(len(others), generator=torch.Generator().manual_seed(step))[:n]]

    def _count(self, effects: Effects | None) -> None:
        if effects is not None:
            self.affinity.add(effects)
