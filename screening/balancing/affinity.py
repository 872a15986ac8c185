"""How a step on one task changes the losses of the others: TAG affinities, collected while training.

`affinity[i, j]` is the effect of task i's step on task j: row = who steps, column = who is affected; above 0
it helps. A pair that was never seen is NaN. Called by `training`; the groups that follow from it are found in
`grouping`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import ConfigError
from ..features.store import GraphBatch
from ..models.losses import CrossEntropy, Loss, label_counts, measured
from ..models.network import ScreeningModel
from ..runtime.distributed import sum_over_processes, world_size
from .across_batches import AcrossBatches, Products
from .gradients import Look
from .pair_means import PairMeans
from .places import Settings, places
from .places.contract import shared_part

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
    cosines: Tensor
    """[T, T] float64, the same relative to the sizes of the gradients: for small steps their cosine."""


class Batch(NamedTuple):
    """Molecules of this process and their labels."""

    graphs: GraphBatch
    labels: Tensor
    """[B, T], 0, 1 or NaN."""


class Affinity(nn.Module):
    """Means of effects and of cosines over the steps in which both tasks had labels.

    Examples
    --------
    >>> affinity = Affinity(2)
    >>> both = torch.tensor([[True, False], [True, True]])
    >>> affinity.add(Effects(torch.full((2, 2), 0.5), both, torch.ones(2, 2)))
    >>> affinity.effects.mean().tolist()
    [[0.5, nan], [0.5, 0.5]]
    """

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.effects, self.cosines = PairMeans(n_tasks), PairMeans(n_tasks)

    def add(self, effects: Effects) -> None:
        """Count one step."""
        self.effects.add(effects.values, effects.seen)
        self.cosines.add(effects.cosines, effects.seen)

    def include(self, part: "Affinity", columns: Sequence[int]) -> None:
        """Count what another network saw of the tasks at `columns`."""
        self.effects.include(part.effects, columns)
        self.cosines.include(part.cosines, columns)

    def frame(self, tasks: Sequence[str], shared: np.ndarray) -> pd.DataFrame:
        """A row per pair: `source` (who steps), `target` (who is affected), and what is known of it.

        Columns: affinity with its standard error, in shares of the loss; cosine of the gradients with its
        own; `count` of matrices; `shared`, as given [T, T], molecules that both are measured in; the means of
        the two halves of the matrices, affinity_1, affinity_2, cosine_1 and cosine_2.
        """
        numbers, n = np.arange(len(tasks)), len(tasks)
        columns: dict[str, Any] = {
            "source": pd.Categorical.from_codes(numbers.repeat(n), list(tasks)),
            "target": pd.Categorical.from_codes(np.tile(numbers, n), list(tasks)),
        }
        for name, means in (("affinity", self.effects), ("cosine", self.cosines)):
            halves = means.halves()
            columns |= {name: means.mean(), f"{name}_error": means.error()}
            columns |= {f"{name}_1": halves[0], f"{name}_2": halves[1]}
        columns |= {"count": self.effects.counts, "shared": torch.from_numpy(shared)}
        flat = {
            name: values.cpu().numpy().ravel() if isinstance(values, Tensor) else values
            for name, values in columns.items()
        }
        return pd.DataFrame(flat)


class LinearEffects:
    """eta G_ij / L_j from inner products of gradients: the limit of small steps, nearly free.

    At `encoder` it is the limit of `ExactEffects`, of the same pass; elsewhere the inner products are those
    of the gradients there, so only comparisons within a matrix have a meaning. From the same batch and at
    `features` a pair without a common molecule is not seen: its inner product is always 0.

    Parameters
    ----------
    encoder : of the model; to be made before the features it looks at.
    at : where the gradients are taken, one of `places`.
    settings : of the places.
    across : whether i's gradient and j's are of different batches (see `AcrossBatches`); effects then come at
        the end of a block of steps.

    Raises
    ------
    ConfigError : gradients of different batches have no inner product there.

    References
    ----------
    Fifty et al., Efficiently Identifying Task Groupings for Multi-Task Learning, NeurIPS 2021,
    https://arxiv.org/abs/2109.04617: equation 1 to first order in the learning rate, there of one batch.
    """

    def __init__(self, encoder: nn.Module, at: str, settings: Settings, across: bool = True) -> None:
        if across and not (places.get(at).sees_across and places.get(at).has_rows):
            usable = [
                name for name in places.names() if places.get(name).sees_across and places.get(name).has_rows
            ]
            raise ConfigError(
                f"grouping.at: {at} has no gradients that can be compared across batches. Use "
                f"{' or '.join(usable)}, or grouping.batch: train."
            )
        self.place = places.get(at)(encoder, settings)
        self.blocks = AcrossBatches() if across else None
        self.rate = 0.0

    def effects(self, look: Look, batch: Batch, rate: float, judged: Batch | None = None) -> Effects | None:
        """Effects of a step of size `rate` over all processes; call it before `look.backward`."""
        self.rate = rate
        if self.blocks is not None:
            return self._of(self.blocks.add(self.place.rows(look.cut), look.step))
        step = look.step
        gram = step.gram if type(look.place) is type(self.place) else None
        gram = (self.place.gram(look.cut) if gram is None else gram).double()
        sizes = gram.diagonal().clamp(min=0).sqrt()
        seen = step.present[:, None] & step.present
        return self._of(
            Products(
                gram,
                gram / sizes.outer(sizes),
                seen if self.place.sees_across else seen & _meet(batch.labels),
                step.losses.double(),
            )
        )

    def end(self) -> Effects | None:
        """Effects of the steps that are left of a block, at the end of an epoch."""
        return None if self.blocks is None else self._of(self.blocks.end())

    def _of(self, products: Products | None) -> Effects | None:
        """Shares of the losses, with the rate of the last step."""
        if products is None:
            return None
        values = self.rate * products.gram / products.losses.clamp(min=LEAST_LOSS)
        return Effects(values, products.seen, products.cosines)


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
            values, cosines = look_ahead(shared, losses_at, judged_at, present, rate)
        return Effects(values, present[:, None] & affected, cosines)

    def end(self) -> Effects | None:
        """Nothing: every step has its effects."""
        return None

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
    at: str = "auto",
    settings: Settings | None = None,
    loss: Loss | None = None,
    across: bool = True,
) -> LinearEffects | ExactEffects:
    """What gives the effects of a step, by its name in a config; parameters as in the two classes."""
    if how == "linear":
        place = usual_place(model.encoder, across) if at == "auto" else at
        return LinearEffects(model.encoder, place, settings or Settings(), across)
    return ExactEffects(model, loss)


def usual_place(encoder: nn.Module, across: bool) -> str:
    """Where gradients for affinities are nearly free: the features or, across batches, at few parameters."""
    if not across:
        return "features"
    try:
        shared_part(encoder, "last_norm")
    except ConfigError:
        return "last_layer"
    return "last_norm"


def look_ahead(
    parameters: Parameters, losses_at: LossesAt, judged_at: LossesAt, present: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
    """Effects and cosines [T, T] float64 of one step on each present task; 0 in the rows of the others.

    What stands for a cosine is the fall of the loss over rate |grad L_i| |grad L_j|, gradients of the losses
    that are followed; NaN where one of them is 0.

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
    sizes = torch.zeros_like(losses.detach())
    with torch.no_grad():
        before = losses.detach() if judged_at is losses_at else judged_at(start)
        after = before.repeat(len(present), 1)
        for task in present.nonzero().squeeze(1).tolist():
            gradients = _gradients(start, own[task])
            sizes[task] = (
                torch.stack([gradient.double().square().sum() for gradient in gradients]).sum().sqrt()
            )
            pairs = zip(start.items(), gradients, strict=True)
            after[task] = judged_at({name: value.detach() - rate * step for (name, value), step in pairs})
        before, after = sum_over_processes(torch.cat([before[None], after])).split([1, len(present)])
    falls = before - after
    return falls / before.clamp(min=LEAST_LOSS), falls / (rate * sizes.outer(sizes))


def _gradients(start: Parameters, loss: Tensor) -> Sequence[Tensor]:
    """Gradients of the loss of all processes by the parameters."""
    gradients = torch.autograd.grad(
        loss, list(start.values()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    if world_size() == 1:
        return gradients
    flat = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = flat.split([gradient.numel() for gradient in gradients])
    return [part.view_as(old) for part, old in zip(parts, gradients, strict=True)]


def _meet(labels: Tensor) -> Tensor:
    """[T, T] bool, true where both tasks are measured in one molecule of the batch, over all processes."""
    there = measured(labels).float()
    return sum_over_processes(there.T @ there) > 0


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
