"""GradVac: move each pair of gradients to the angle that the pair usually has."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.projections import BLOCK, Columns, sweep
from ..solvers.unit_gradients import unit_gram
from ..step import PresentStep


@register("gradvac")
class GradVac(Balancer):
    r"""Gradient vaccine: PCGrad with a target for the cosine of every pair, in place of 0.

    For each task i, c = g_i; then for every other task j in a random order, with phi the cosine of c and g_j
    and phi* the target: if phi < phi*, c += a g_j with the a that makes the cosine phi*. Then
    phi* <- (1 - beta) phi* + beta phi. The update is the sum of all c (here the mean). With targets of 0,
    where they start, it is PCGrad.

    As in TorchJD and the paper, each phi seen updates its target (LibMTL: only those below it). The random
    order is as in `pcgrad`: one circle, or one order, for all tasks. Whole-model granularity; the paper also
    has one target per layer.

    Parameters
    ----------
    beta : from 0 to 1, share of the new cosine in the target. The paper uses 0.01, LibMTL and TorchJD 0.5.
    order : "cyclic" or "shared", see `pcgrad`.

    References
    ----------
    Wang, Tsvetkov, Firat, Cao: Gradient Vaccine: Investigating and Improving Multi-task Optimization in
    Massively Multilingual Models, ICLR 2021, https://arxiv.org/abs/2010.05874, equations 3 and 4,
    algorithm 1.
    """

    needs = "gram"
    weighs_heads = False
    targets: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        beta: float = 0.5,
        order: Literal["cyclic", "shared"] = "cyclic",
        seed: int = 0,
    ) -> None:
        super().__init__(tasks, seed=seed)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta is {beta}; expected from 0 to 1.")
        if order not in ("cyclic", "shared"):
            raise ValueError(f"order is {order!r}; expected 'cyclic' or 'shared'.")
        self.beta, self.order = beta, order
        self.register_buffer("targets", torch.zeros(self.n_tasks, self.n_tasks, dtype=torch.float64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        generator = self.generator(step.gram.device)
        order = torch.randperm(len(step.losses), generator=generator, device=step.gram.device)
        unit = unit_gram(step.gram).in_order(order)
        targets = self._targets(step.tasks[order], unit.cosines.dtype)
        moves, seen = self._move(unit.cosines, targets.T.contiguous().clamp_(-0.9999, 0.9999))
        targets = targets.lerp_(seen.T, self.beta).fill_diagonal_(0)
        self._keep(step.tasks, targets, order.argsort())
        weights = 1 + unit.per_gradient(moves.double() @ unit.norms)
        return torch.empty_like(weights).index_copy_(0, order, weights)

    def _targets(self, tasks: Tensor, dtype: torch.dtype) -> Tensor:
        """[i, j] of gradient i towards j."""
        return self.targets.to(dtype).index_select(0, tasks).index_select(1, tasks)

    def _keep(self, tasks: Tensor, targets: Tensor, back: Tensor) -> None:
        """Write the targets among some tasks; those of the first of them are in row and column `back[0]`."""
        targets = targets.index_select(0, back).index_select(1, back).double()
        if len(tasks) == self.n_tasks:
            self.targets.copy_(targets)
        else:
            self.targets[tasks[:, None], tasks] = targets

    def _move(self, cosines: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to each gradient, and the cosines seen on the way; all [j, i]."""
        slopes = targets / (1 - targets**2).sqrt()
        moves, seen = torch.zeros_like(cosines), torch.zeros_like(cosines)
        squares = torch.ones_like(cosines[0])  # of the lengths of the gradients as they are now

        earlier = torch.ones(BLOCK, BLOCK, dtype=cosines.dtype, device=cosines.device).tril(-1)

        def growth(products: Tensor, steps: Tensor) -> Tensor:
            """What each step adds to the squared lengths."""
            return torch.sub(steps, products, alpha=2).mul_(steps)

        def lengths(growth: Tensor, columns: slice) -> Tensor:
            """Squared lengths [k, m] before each of the steps."""
            k = len(growth)
            return torch.addmm(squares[columns], earlier[:k, :k], growth)

        def take(products: Tensor, guess: Tensor, tasks: slice, columns: slice) -> Tensor:
            across = lengths(growth(products, guess), columns).addcmul_(products, products, value=-1)
            across = across.clamp_(min=0).sqrt_().mul_(slopes[tasks, columns])
            return torch.sub(products, across, out=across).clamp_(max=0)

        def settle(products: Tensor, steps: Tensor, tasks: slice, columns: slice) -> None:
            grown = growth(products, steps)
            before = lengths(grown, columns).clamp_(min=tiny)
            squares[columns] = (before[-1] + grown[-1]).clamp_(min=tiny)
            seen[tasks, columns] += products / before.sqrt_()

        tiny = torch.finfo(cosines.dtype).tiny
        turns: tuple[Columns, ...] = ("before", "after") if self.order == "cyclic" else ("others",)
        for columns in turns:
            sweep(cosines, moves, take, columns, settle)
        return moves, seen
