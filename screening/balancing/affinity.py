"""How a step on one task changes the losses of the others: TAG affinities, collected while training.

`affinity[i, j]` is the effect of task i's step on task j: row = who steps, column = who is affected; above 0
it helps. A pair whose tasks never had labels in the same step is NaN. Called by `training`; the groups that
follow from it are found in `grouping`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..features.store import GraphBatch
from ..models.losses import CrossEntropy, Loss, label_counts, measured
from ..models.network import ScreeningModel
from ..runtime.distributed import sum_over_processes, world_size
from .gradients import Look
from .places import Settings, places

LEAST_LOSS = 1e-6
"""Nats. A loss below it is divided by as if it were this large: such a task has nothing left to gain, and the
quotient of two numbers near the rounding error would be noise."""

Parameters = dict[str, Tensor]
LossesAt = Callable[[Parameters], Tensor]
"""Losses [T] of the molecules of this process at other values of the shared parameters."""


class Effects(NamedTuple):
    """What one step says about the pairs of tasks."""

    values: Tensor
    """[T, T] float64, effect of the row's step on the column's loss, as a share of that loss."""
    seen: Tensor
    """[T, T] bool, true where both tasks had labels."""


class Batch(NamedTuple):
    """Molecules of this process and their labels."""

    graphs: GraphBatch
    labels: Tensor
    """[B, T], 0, 1 or NaN."""


class Affinity(nn.Module):
    """Means of the effects over the steps in which both tasks had labels.

    Examples
    --------
    >>> affinity = Affinity(2)
    >>> both = torch.tensor([[True, False], [True, True]])
    >>> affinity.add(Effects(torch.full((2, 2), 0.5), both))
    >>> affinity.mean().tolist()
    [[0.5, nan], [0.5, 0.5]]
    """

    total: Tensor
    counts: Tensor

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(n_tasks, n_tasks, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(n_tasks, n_tasks, dtype=torch.int64))

    def add(self, effects: Effects) -> None:
        """Count one step; values that are not finite (a look-ahead that overflowed) are left out."""
        seen = effects.seen & effects.values.isfinite()
        self.total += torch.where(seen, effects.values.double(), 0.0)
        self.counts += seen

    def include(self, part: "Affinity", columns: Sequence[int]) -> None:
        """Count what another network saw of the tasks at `columns`."""
        here = torch.tensor(columns)
        self.total[here[:, None], here] += part.total.cpu()
        self.counts[here[:, None], here] += part.counts.cpu()

    def mean(self) -> Tensor:
        """[T, T] float64; NaN where a pair was never seen."""
        return torch.where(self.counts > 0, self.total / self.counts.clamp(min=1), torch.nan)

    def frame(self, tasks: Sequence[str]) -> pd.DataFrame:
        """A row per pair: `source` (who steps), `target` (who is affected), `affinity`, `count` of steps."""
        numbers, n = np.arange(len(tasks)), len(tasks)
        return pd.DataFrame(
            {
                "source": pd.Categorical.from_codes(numbers.repeat(n), list(tasks)),
                "target": pd.Categorical.from_codes(np.tile(numbers, n), list(tasks)),
                "affinity": self.mean().cpu().numpy().ravel(),
                "count": self.counts.cpu().numpy().ravel(),
            }
        )


class LinearEffects:
    """eta G_ij / L_j from the Gramian of the step: the limit of small steps, nearly free.

    At `encoder` it is the limit of `ExactEffects`, of the same pass; at `features`, `last_layer` and `sketch`
    the inner products are those of the gradients there, so only comparisons within a matrix have a meaning.
    At `features` a pair without a common molecule in the batch is not seen: its inner product is always 0.

    Parameters
    ----------
    encoder : of the model; to be made before the features it looks at.
    at : where the gradients are taken, one of `places`.
    settings : of the places.

    References
    ----------
    Fifty et al., Efficiently Identifying Task Groupings for Multi-Task Learning, NeurIPS 2021,
    https://arxiv.org/abs/2109.04617: equation 1 to first order in the learning rate.
    """

    def __init__(self, encoder: nn.Module, at: str, settings: Settings) -> None:
        self.place = places.get(at)(encoder, settings)

    def effects(self, look: Look, batch: Batch, rate: float, judged: Batch | None = None) -> Effects:
        """Effects of a step of size `rate` over all processes; call it before `look.backward`."""
        step = look.step
        gram = step.gram if type(look.place) is type(self.place) else None
        if gram is None:
            gram = self.place.gram(look.cut)
        values = rate * gram.double() / step.losses.double().clamp(min=LEAST_LOSS)
        seen = step.present[:, None] & step.present
        return Effects(values, seen if self.place.sees_across else seen & _meet(batch.labels))


class ExactEffects:
    """Z_ij = 1 - L_j(theta - eta grad L_i) / L_j(theta): a step on every task alone, a look at all losses.

    theta are the parameters of the encoder; heads stay as they are. Everything happens in evaluation mode and
    in float32, on copies of the parameters: the model, its gradients, the optimiser and the random numbers
    are not touched. One backward and one forward pass per task with labels in the batch.

    References
    ----------
    Fifty et al., as above, equation 1. The authors' code divides by the learning rate, steps with momentum
    and looks ahead in training mode, which disturbs batch statistics; none of that is done here.
    """

    def __init__(self, model: ScreeningModel, loss: Loss | None = None) -> None:
        self.model, self.loss = model, loss or CrossEntropy()

    def effects(self, look: Look, batch: Batch, rate: float, judged: Batch | None = None) -> Effects:
        """Effects of a step of size `rate` on the losses of the same molecules, or of `judged`.

        With several processes each gives its own molecules and all get the effects of the whole batch.
        """
        encoder = self.model.encoder
        shared = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
        with _evaluating(self.model):
            losses_at, present = self._losses(batch)
            judged_at, affected = (losses_at, present) if judged is None else self._losses(judged)
            values = look_ahead(shared, losses_at, judged_at, present, rate)
        return Effects(values, present[:, None] & affected)

    def _losses(self, batch: Batch) -> tuple[LossesAt, Tensor]:
        """The losses of a batch as a function of the shared parameters, and which tasks have labels."""
        counts = sum_over_processes(label_counts(batch.labels))

        def losses_at(parameters: Parameters) -> Tensor:
            features = functional_call(self.model.encoder, parameters, (batch.graphs,))
            heads = self.model.heads
            log_spreads = heads.log_spreads(features) if self.loss.takes_spreads else None
            cells = self.loss.values(heads(features), batch.labels, log_spreads)
            return cells.sum(0, dtype=torch.float64) / counts.clamp(min=1)

        return losses_at, counts > 0


def collector(
    how: Literal["linear", "exact"],
    model: ScreeningModel,
    *,
    at: str = "features",
    settings: Settings | None = None,
    loss: Loss | None = None,
) -> LinearEffects | ExactEffects:
    """What gives the effects of a step, by its name in a config; parameters as in the two classes."""
    if how == "linear":
        return LinearEffects(model.encoder, at, settings or Settings())
    return ExactEffects(model, loss)


def look_ahead(
    parameters: Parameters, losses_at: LossesAt, judged_at: LossesAt, present: Tensor, rate: float
) -> Tensor:
    """Effects [T, T] float64 of one step on each present task; 0 in the rows of the others.

    Parameters
    ----------
    parameters : where to start; stay as they are.
    losses_at : losses whose gradients are followed.
    judged_at : losses that are compared before and after; may be the same function.
    present : [T] bool, the tasks to take a step on, the same in all processes.
    """
    start = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    with torch.enable_grad():
        losses = losses_at(start)
        own = losses.unbind()
    with torch.no_grad():
        before = losses.detach() if judged_at is losses_at else judged_at(start)
        after = before.repeat(len(present), 1)
        for task in present.nonzero().squeeze(1).tolist():
            moved = _moved(start, own[task], rate)
            after[task] = judged_at(moved)
        before, after = sum_over_processes(torch.cat([before[None], after])).split([1, len(present)])
    return (before - after) / before.clamp(min=LEAST_LOSS)


def _meet(labels: Tensor) -> Tensor:
    """[T, T] bool, true where both tasks are measured in one molecule of the batch, over all processes."""
    there = measured(labels).float()
    return sum_over_processes(there.T @ there) > 0


def _moved(start: Parameters, loss: Tensor, rate: float) -> Parameters:
    """The parameters after one step of gradient descent on the loss of all processes."""
    gradients = torch.autograd.grad(
        loss, list(start.values()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    if world_size() > 1:
        flat = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = flat.split([gradient.numel() for gradient in gradients])
        gradients = tuple(part.view_as(old) for part, old in zip(parts, gradients, strict=True))
    return {
        name: value.detach() - rate * gradient
        for (name, value), gradient in zip(start.items(), gradients, strict=True)
    }


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
