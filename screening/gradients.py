"""What one training step knows of T tasks, and the backward pass with the weights made from it.

The graph is cut at the shared features: heads and encoder are differentiated apart, so that each head can
keep its own gradient, and so that the encoder needs one backward pass whatever the number of tasks.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .balancers import Balancer, Decision, Step
from .distributed import sum_over_processes
from .errors import ConfigError
from .heads import TaskHeads
from .losses import cell_losses, label_counts, logit_gradients
from .registry import Registry

NUMBERS_AT_ONCE = 2**24
"""Largest intermediate array of a Gramian: 64 MiB in float32."""


@dataclass(frozen=True)
class Cut:
    """One forward pass, cut at the features."""

    features: Tensor
    """[B, d] as they came from the encoder, with its graph."""
    leaf: Tensor
    """[B, d] the same numbers, from which the graph of the heads starts."""
    private: Tensor
    """[B, d] with linear heads, else [B, T, k]: `heads.private(leaf)`."""
    logits: Tensor
    """[B, T]"""
    slopes: Tensor
    """[B, T] at least float32, derivative of each task's mean loss by its logit; 0 where not measured."""
    heads: TaskHeads

    def private_slopes(self) -> Tensor:
        """Derivative of each task's loss by what its head is linear in: [B, T], or [B, T, k]."""
        if self.heads.is_linear:
            return self.slopes
        slopes = self.slopes.to(self.logits.dtype)
        inner = torch.autograd.grad(self.logits, self.private, slopes, retain_graph=True)[0]
        return inner.to(self.slopes.dtype)


class Place(Protocol):
    """Where gradients of the tasks are taken: a row of `gradients.at`."""

    def gram(self, cut: Cut) -> Tensor:
        """[T, T] float64, inner products of the gradients of the whole batch, over all processes."""

    def rows(self, cut: Cut) -> Tensor:
        """[T, P] the gradients themselves; only the part of this process if P runs over its molecules."""

    def pull(self, cut: Cut, direction: Tensor) -> Tensor:
        """Derivative by the features [B, d] that a combined row [P] stands for."""


places: Registry[type[Place]] = Registry("place of gradients (gradients.at)")


@places.register("features")
class AtFeatures:
    """At the shared representation, of which all the rest of the encoder's gradient is a linear function.

    With linear heads W [T, d] and slopes R [B, T], the gradient of task t at molecule b is R[b, t] W[t],
    hence G = (R'R) * (WW') elementwise: two small matrix products.
    """

    def gram(self, cut: Cut) -> Tensor:
        slopes = cut.private_slopes()
        with torch.autocast(slopes.device.type, enabled=False):
            if cut.heads.is_linear:
                return sum_over_processes(_gram(slopes.T)) * _gram(cut.heads.weight.detach())
            n_tasks, width = cut.heads.n_tasks, cut.heads.width
            total = slopes.new_zeros(n_tasks, n_tasks, dtype=torch.float64)
            for part in slopes.split(max(1, NUMBERS_AT_ONCE // (n_tasks * width))):
                total += _gram(cut.heads.feature_gradients(part).transpose(0, 1).flatten(1))
            return sum_over_processes(total)

    def rows(self, cut: Cut) -> Tensor:
        slopes = cut.private_slopes()
        with torch.autocast(slopes.device.type, enabled=False):
            return cut.heads.feature_gradients(slopes).transpose(0, 1).flatten(1)

    def pull(self, cut: Cut, direction: Tensor) -> Tensor:
        return direction.view_as(cut.leaf)


@dataclass(frozen=True)
class Look:
    """One step seen through a `Gradients`: the `step` for the balancer, then `backward`."""

    step: Step
    cut: Cut
    place: Place

    def backward(self, decision: Decision, scale: float = 1.0) -> None:
        """Add the gradient of the weighted losses to `.grad` of encoder and heads; once per look.

        A head gets its own gradient times its head weight, the encoder sum(weights * gradients) or the
        decision's direction; all divided by the number of present tasks and multiplied by `scale`
        (1 / micro-batches when accumulating). With several processes call
        `distributed.sum_gradients` before the optimiser's step.
        """
        cut, factor = self.cut, scale / self.step.present.sum().clamp(min=1)
        parameters = [p for p in cut.heads.parameters() if p.requires_grad]

        def pulled(weights: Tensor) -> Tensor:
            return (cut.slopes * (weights * factor)).to(cut.logits.dtype)

        if decision.direction is not None:
            shared = self.place.pull(cut, decision.direction * factor)
        else:
            slopes = pulled(decision.weights)
            (shared,) = torch.autograd.grad(cut.logits, cut.leaf, slopes, retain_graph=True)
        if parameters:
            torch.autograd.backward(cut.logits, pulled(decision.head_weights), inputs=parameters)
        if cut.features.requires_grad:
            cut.features.backward(shared.to(cut.features.dtype))


class Gradients:
    """Looks at batches for one balancer.

    Parameters
    ----------
    heads : the heads of the model; the encoder is known through the graph of its features.
    balancer : says what it needs.
    at : where the gradients of the tasks are taken, one of `places`.

    Raises
    ------
    ConfigError : no such place, or the balancer cannot work there.
    """

    def __init__(self, heads: TaskHeads, balancer: Balancer, *, at: str = "features") -> None:
        place = places.get(at)
        if balancer.places is not None and at not in balancer.places:
            raise ConfigError(
                f"{type(balancer).__name__} cannot work with gradients.at: {at}; it can with "
                f"{' or '.join(balancer.places) or 'none, because the parts of the chain disagree'}."
            )
        self.heads, self.needs, self.place = heads, balancer.needs, place()

    def look(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        positive_weight: Tensor | None = None,
        epoch: int = 0,
        step: int = 0,
    ) -> Look:
        """Run the heads and say what the balancer needs to know; inside autocast if the encoder was.

        Parameters
        ----------
        features : [B, d] of this process's molecules, with the encoder's graph.
        labels : [B, T], 0, 1 or NaN, on the same device.
        positive_weight : [T] or None, see `losses.positive_weights`.
        epoch, step : from 0; handed to the balancer.

        Raises
        ------
        DataError : a label is neither 0, 1 nor NaN.
        """
        leaf = features.detach().requires_grad_()
        with torch.enable_grad():  # a second look after the update comes from inside no_grad
            private = self.heads.private(leaf)
            logits = self.heads.readout(private)
        counts = sum_over_processes(label_counts(labels))
        losses, variances = _losses_and_variances(logits.detach(), labels, counts, positive_weight)
        slopes = logit_gradients(logits, labels, counts, positive_weight)
        cut = Cut(features, leaf, private, logits, slopes, self.heads)
        return Look(
            Step(
                losses=losses,
                present=counts > 0,
                counts=counts,
                gram=None if self.needs == "losses" else self.place.gram(cut),
                rows=self.place.rows(cut) if self.needs == "rows" else None,
                variances=variances,
                epoch=epoch,
                step=step,
            ),
            cut,
            self.place,
        )


def _losses_and_variances(
    logits: Tensor, labels: Tensor, counts: Tensor, positive_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Mean and variance [T] float64 of the loss over the molecules of each task, over all processes."""
    cells = cell_losses(logits, labels, positive_weight).double()
    total, squares = sum_over_processes(torch.stack([cells.sum(0), (cells**2).sum(0)]))
    mean = total / counts.clamp(min=1)
    variance = (squares - total * mean) / (counts - 1).clamp(min=1)
    return mean, torch.where(counts > 1, variance.clamp(min=0), 0.0)


def _gram(rows: Tensor) -> Tensor:
    """Inner products [T, T] of rows [T, P] in float64.

    On a GPU the products themselves are float64, because float32 ones may silently be TF32 (10 bits).
    On a CPU float32 is exact to 1e-7 of the norms and twice as fast.
    """
    rows = rows.double() if rows.is_cuda else rows
    products = (rows @ rows.T).double()
    return (products + products.T) / 2
