"""What one training step knows of T tasks, and the backward pass with the weights made from it.

The graph is cut at the shared features: heads and encoder are differentiated apart, so that each head can
keep its own gradient, and so that the encoder needs one backward pass whatever the number of tasks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..models.heads import TaskHeads
from ..models.losses import CrossEntropy, Loss, label_counts
from ..runtime.distributed import sum_over_processes
from .contract import Balancer
from .outer_rows import OuterRows
from .places import Cut, Place, Settings, places
from .step import Decision, Step


@dataclass(frozen=True)
class Look:
    """One step seen through a `Gradients`: the `step` for the balancer, then `backward`."""

    step: Step
    cut: Cut
    place: Place
    own: Tensor | None = None
    """[T] this process's share of the losses, with the graph to the loss's own parameters; None without."""

    def backward(self, decision: Decision, scale: float = 1.0) -> None:
        """Add the gradient of the weighted losses to `.grad` of encoder and heads; once per look.

        A head, and what the loss learns itself, gets its own gradient times its head weight, the encoder
        sum(weights * gradients) or the decision's direction; all divided by the number of present tasks and
        multiplied by `scale` (1 / micro-batches when accumulating). With several processes call
        `distributed.sum_gradients` before the optimiser's step.
        """
        cut, factor = self.cut, scale / self.step.present.sum().clamp(min=1)
        if self.own is not None:
            (self.own * (decision.head_weights * factor)).sum().backward()
        parameters = [p for p in cut.heads.parameters() if p.requires_grad]

        def pulled(weights: Tensor) -> Tensor:
            return (cut.slopes * (weights * factor)).to(cut.logits.dtype)

        (shared,) = torch.autograd.grad(cut.logits, cut.leaf, pulled(decision.weights), retain_graph=True)
        if parameters:
            torch.autograd.backward(cut.logits, pulled(decision.head_weights), inputs=parameters)
        if not cut.features.requires_grad:
            return
        if decision.direction is not None:
            self.place.push(cut, decision.direction * factor, shared)
        else:
            cut.features.backward(shared.to(cut.features.dtype))


class Gradients:
    """Looks at batches for one balancer.

    Parameters
    ----------
    heads : the heads of the model; a linear layer with one output per task will do. Models whose tasks have
        other heads are for `loss_gradients`.
    balancer : says what it needs.
    at : where the gradients of the tasks are taken, one of `places`.
    encoder : makes the features; places at its parameters need it, and to be made before the features.
    settings : of the places; None = the defaults.
    loss : what the tasks are trained on; None = cross-entropy.

    Raises
    ------
    ConfigError : no such place, or the balancer cannot work there.
    """

    def __init__(
        self,
        heads: TaskHeads | nn.Linear,
        balancer: Balancer,
        *,
        at: str = "features",
        encoder: nn.Module | None = None,
        settings: Settings | None = None,
        loss: Loss | None = None,
    ) -> None:
        place = places.get(at)
        if balancer.places is not None and at not in balancer.places:
            raise ConfigError(
                f"{type(balancer).__name__} cannot work with gradients.at: {at}; it can with "
                f"{' or '.join(balancer.places) or 'none, because the parts of the chain disagree'}."
            )
        if balancer.needs == "rows" and not place.has_rows:
            with_rows = [name for name in places.names() if places.get(name).has_rows]
            raise ConfigError(
                f"{type(balancer).__name__} needs the gradients of single tasks, and gradients.at: {at} has "
                f"none. It can work with {' or '.join(with_rows)}."
            )
        self.heads = TaskHeads.of(heads) if isinstance(heads, nn.Linear) else heads
        self.balancer = balancer
        self.loss = loss or CrossEntropy()
        if balancer.needs == "losses":
            place, encoder = places.get("features"), None
        self.place: Place = place(encoder, settings or Settings())

    def look(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        epoch: int = 0,
        step: int = 0,
    ) -> Look:
        """Run the heads and say what the balancer needs to know; inside autocast if the encoder was.

        Parameters
        ----------
        features : [B, d] of this process's molecules, with the encoder's graph.
        labels : [B, T], 0, 1 or NaN (or what else the loss takes), on the same device.
        epoch, step : from 0; handed to the balancer.

        Raises
        ------
        DataError : a label is none that the loss has a value for.
        """
        leaf = features.detach().requires_grad_()
        with torch.enable_grad():  # a second look after the update comes from inside no_grad
            private = self.heads.private(leaf)
            logits = self.heads.readout(private)
        counts = sum_over_processes(label_counts(labels))
        log_spreads = self.heads.log_spreads(leaf) if self.loss.takes_spreads else None
        cells = self.loss.values(logits.detach(), labels, log_spreads)
        losses, variances = _losses_and_variances(cells.detach(), counts)
        slopes = self.loss.slopes(logits, labels, log_spreads) / counts.clamp(min=1)
        cut = Cut(features, leaf, private, logits, slopes, self.heads, step)
        gram, rows, outer = self._wanted(cut)
        return Look(
            Step(
                losses=losses,
                present=counts > 0,
                counts=counts,
                gram=gram,
                rows=rows,
                outer=outer,
                variances=variances,
                epoch=epoch,
                step=step,
            ),
            cut,
            self.place,
            cells.sum(0) / counts.clamp(min=1) if cells.requires_grad else None,
        )

    def _wanted(self, cut: Cut) -> tuple[Tensor | None, Tensor | None, OuterRows | None]:
        """Gramian, rows, and what stands for the rows: what the balancer needs of them."""
        rows = outer = None
        if self.balancer.needs == "rows":
            outer = self.place.outer(cut) if self.balancer.takes_outer else None
            rows = self.place.rows(cut) if outer is None else None
        without = self.balancer.needs == "losses" or self.balancer.without_gram
        return None if without else self.place.gram(cut, rows), rows, outer


def _losses_and_variances(cells: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance [T] float64 of the losses [B, T] of the molecules of each task; all processes."""
    cells = cells.double()
    total, squares = sum_over_processes(torch.stack([cells.sum(0), (cells**2).sum(0)]))
    mean = total / counts.clamp(min=1)
    variance = (squares - total * mean) / (counts - 1).clamp(min=1)
    return mean, torch.where(counts > 1, variance.clamp(min=0), 0.0)
