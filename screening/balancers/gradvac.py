"""GradVac: move each pair of gradients to the angle that the pair usually has."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..solvers import Columns, sweep, unit_gram, working_dtype
from . import Balancer, Step, register


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

    def weigh_present(self, step: Step) -> Tensor:
        assert step.gram is not None
        assert step.tasks is not None
        generator = self.generator(step.gram.device)
        order = torch.randperm(len(step.losses), generator=generator, device=step.gram.device)
        tasks = step.tasks[order]
        unit = unit_gram(step.gram[order[:, None], order])
        targets = self.targets[tasks[:, None], tasks]  # [i, j] of gradient i towards j
        moves, seen = self._move(unit.cosines, targets.T.clamp(-0.9999, 0.9999))
        targets += self.beta * (seen.T - targets)
        self.targets[tasks[:, None], tasks] = targets.fill_diagonal_(0)
        weights = 1 + unit.per_gradient(moves @ unit.norms)
        return torch.empty_like(weights).index_copy_(0, order, weights)

    def _move(self, cosines: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to each gradient, and the cosines seen on the way; all [j, i]."""
        cosines, targets = (values.to(working_dtype(len(cosines))) for values in (cosines, targets))
        slopes = targets / (1 - targets**2).sqrt()
        moves, seen = torch.zeros_like(cosines), torch.zeros_like(cosines)
        squares = torch.ones_like(cosines[0])  # of the lengths of the gradients as they are now

        def lengthened(products: Tensor, steps: Tensor, columns: slice) -> Tensor:
            """Squared lengths [k + 1, m] before, between and after the steps."""
            growth = steps * (steps - 2 * products)
            return torch.cat([squares[None, columns], growth]).cumsum(0).clamp_(min=tiny)

        def take(products: Tensor, guess: Tensor, tasks: slice, columns: slice) -> Tensor:
            across = lengthened(products, guess, columns)[:-1] - products**2
            return (products - slopes[tasks, columns] * across.clamp_(min=0).sqrt_()).clamp_(max=0)

        def settle(products: Tensor, steps: Tensor, tasks: slice, columns: slice) -> None:
            lengths = lengthened(products, steps, columns)
            seen[tasks, columns] += products / lengths[:-1].sqrt()
            squares[columns] = lengths[-1]

        tiny = torch.finfo(cosines.dtype).tiny
        turns: tuple[Columns, ...] = ("before", "after") if self.order == "cyclic" else ("others",)
        for columns in turns:
            sweep(cosines, moves, take, columns, settle)
        return moves.double(), seen.double()
