"""Balancing for models that are not ours: from T losses, and what they share, to one backward pass.

`gradients` knows heads and labels and has closed forms; here a loss is any number with a graph, such as
those of a network with a head per task and another kind of loss in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError, DataError
from .contract import Balancer
from .step import Decision, Step

AT = ("features", "parameters")


@dataclass(frozen=True)
class LossLook:
    """One step seen through a `LossGradients`: the `step` for the balancer, then `backward`."""

    step: Step
    losses: Tensor
    """[n] losses of the present tasks, with their graph."""
    features: tuple[Tensor, ...]
    parameters: tuple[nn.Parameter, ...]
    """Where a direction goes; empty = to the features."""

    def backward(self, decision: Decision, scale: float = 1.0) -> None:
        """Add the gradient of the weighted losses to every `.grad`, in place of `loss.backward()`; once.

        What only one task uses gets that task's gradient times its head weight; what lies before the
        features gets sum(weights * gradients) or the decision's direction; all divided by the number of
        present tasks and multiplied by `scale` (1 / micro-batches when accumulating).
        """
        present = self.step.present
        if not present.any():
            return
        factor = scale / present.sum().clamp(min=1)
        weights = (decision.weights[present] * factor).to(self.losses.dtype)
        head_weights = (decision.head_weights[present] * factor).to(self.losses.dtype)
        if decision.direction is None and torch.equal(weights, head_weights):
            (weights * self.losses).sum().backward()
            return
        hooks = [
            features.register_hook(lambda gradient, instead=instead: instead)
            for features, instead in zip(self.features, self._shared(weights, decision, factor), strict=True)
        ]
        try:
            (head_weights * self.losses).sum().backward()
        finally:
            for hook in hooks:
                hook.remove()
        if decision.direction is not None and self.parameters:
            for parameter, gradient in _like(decision.direction * factor, self.parameters):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

    def _shared(self, weights: Tensor, decision: Decision, factor: Tensor) -> list[Tensor]:
        """What goes back from the features into the shared part."""
        if decision.direction is not None and not self.parameters:
            return [gradient for _, gradient in _like(decision.direction * factor, self.features)]
        weights = weights if decision.direction is None else torch.zeros_like(weights)
        return _gradients((weights * self.losses).sum(), self.features)


class LossGradients:
    """Looks at the losses of T tasks for one balancer, whatever model they come from.

    One process; the gradients of the tasks cost a backward pass each from their loss to the place. Where
    the heads are linear and the labels 0, 1 and missing, `Gradients` has them for two matrix products.

    Parameters
    ----------
    balancer : any balancer, with the names of the T tasks.
    at : where the gradients of the tasks are compared: at the shared `features`, which is cheap, or at all
        `parameters` of the encoder, as the PCGrad and CAGrad papers define.
    encoder : the shared part; needed for `parameters`.

    Examples
    --------
    >>> from screening.balancing.chain import build_balancer
    >>> encoder, heads = nn.Linear(4, 8), nn.ModuleList([nn.Linear(8, 1), nn.Linear(8, 3)])
    >>> balancer = build_balancer("pcgrad", ["price", "kind"])
    >>> features = encoder(torch.zeros(5, 4))
    >>> price = nn.functional.mse_loss(heads[0](features).squeeze(1), torch.ones(5))
    >>> kind = nn.functional.cross_entropy(heads[1](features), torch.tensor([0, 1, 2, 0, 1]))
    >>> look = LossGradients(balancer).look([price, kind], features)
    >>> look.backward(balancer.decide(look.step))
    >>> encoder.bias.grad.shape
    torch.Size([8])
    """

    def __init__(self, balancer: Balancer, *, at: str = "features", encoder: nn.Module | None = None) -> None:
        if at not in AT:
            raise ConfigError(f"at is '{at}': expected {' or '.join(AT)}.")
        if at == "parameters" and encoder is None:
            raise TypeError("Gradients at parameters of the encoder need the encoder.")
        place = "encoder" if at == "parameters" else at
        if balancer.places is not None and place not in balancer.places:
            raise ConfigError(
                f"{type(balancer).__name__} cannot work at {at}; it can with gradients at "
                f"{' or '.join(balancer.places)}."
            )
        self.balancer = balancer
        self.encoder = encoder if at == "parameters" else None

    def look(
        self,
        losses: Sequence[Tensor | None] | Tensor,
        features: Tensor | Sequence[Tensor],
        *,
        counts: Tensor | None = None,
        epoch: int = 0,
        step: int = 0,
    ) -> LossLook:
        """What the balancer needs to know of one batch.

        Parameters
        ----------
        losses : T numbers with their graphs, None for a task without a label in this batch.
        features : the tensor, or tensors, through which every loss depends on the shared part.
        counts : [T] labels of each task in the batch, for the balancers that ask; None = one each.
        epoch, step : from 0; handed to the balancer.

        Raises
        ------
        DataError : a loss is not a finite number.
        """
        shared = (features,) if isinstance(features, Tensor) else tuple(features)
        if not all(tensor.requires_grad for tensor in shared):
            raise ValueError("The features have no graph: give them as the encoder made them, not detached.")
        values, present = self._present(losses)
        parameters = (
            () if self.encoder is None else tuple(p for p in self.encoder.parameters() if p.requires_grad)
        )
        gram = rows = None
        if self.balancer.needs != "losses" and len(values):
            rows = _rows(values, parameters or shared, present)
            gram = None if self.balancer.without_gram else _products(rows)
        seen = self.step_of(losses, counts=counts, epoch=epoch, step=step)
        seen = Step(
            losses=seen.losses,
            present=seen.present,
            counts=seen.counts,
            gram=gram,
            rows=rows if self.balancer.needs == "rows" else None,
            epoch=epoch,
            step=step,
        )
        return LossLook(seen, values, shared, parameters)

    def step_of(
        self,
        losses: Sequence[Tensor | None] | Tensor,
        *,
        counts: Tensor | None = None,
        epoch: int = 0,
        step: int = 0,
    ) -> Step:
        """The losses alone, as `Balancer.look_again` wants them after the update (FAMO)."""
        values, present = self._present(losses)
        spread = torch.zeros(len(present), dtype=torch.float64, device=values.device)
        return Step(
            losses=spread.masked_scatter(present, values.detach().double()),
            present=present,
            counts=present.double() if counts is None else counts.to(values.device),
            epoch=epoch,
            step=step,
        )

    def _present(self, losses: Sequence[Tensor | None] | Tensor) -> tuple[Tensor, Tensor]:
        """Losses [n] of the tasks that have one, and which [T] those are."""
        if len(losses) != self.balancer.n_tasks:
            raise ValueError(f"{len(losses)} losses for {self.balancer.n_tasks} tasks.")
        there = [loss for loss in losses if loss is not None]
        values = torch.stack(there) if there else torch.zeros(0)
        present = torch.tensor([loss is not None for loss in losses], device=values.device)
        if not values.isfinite().all():
            names = [
                name for name, is_there in zip(self.balancer.tasks, present.tolist(), strict=True) if is_there
            ]
            bad = [
                name
                for name, is_finite in zip(names, values.isfinite().tolist(), strict=True)
                if not is_finite
            ]
            raise DataError(
                f"The loss of {', '.join(bad)} is not a finite number. Give None for a task without a label "
                "in the batch; else lower the learning rate or look at its labels."
            )
        return values, present


def _rows(losses: Tensor, inputs: Sequence[Tensor], present: Tensor) -> Tensor:
    """Gradients [T, P] of each loss by all inputs, one after the other; 0 where absent.

    A loop over tasks: each loss has a graph of its own, so there is nothing to do at once.
    """
    rows = losses.new_zeros(len(present), sum(tensor.numel() for tensor in inputs))
    for task, loss in zip(present.nonzero().flatten().tolist(), losses, strict=True):
        rows[task] = torch.cat([gradient.flatten() for gradient in _gradients(loss, inputs)])
    return rows


def _gradients(loss: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    gradients = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for gradient, tensor in zip(gradients, inputs, strict=True)
    ]


def _products(rows: Tensor) -> Tensor:
    """Gramian [T, T] float64."""
    with torch.autocast(rows.device.type, enabled=False):
        exact = rows.double()
        return exact @ exact.T


def _like(flat: Tensor, tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The pieces of a row, each with the tensor that it belongs to."""
    pieces = flat.split([tensor.numel() for tensor in tensors])
    return [
        (tensor, piece.view_as(tensor).to(tensor.dtype))
        for tensor, piece in zip(tensors, pieces, strict=True)
    ]
