"""wPCGrad: gradient projection in which chance, weighted by priority, decides who gives way to whom."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..chain import Choice, build_balancer
from ..contract import Balancer, register
from ..priorities import by_name
from ..solvers.unit_gradients import UnitGram, unit_gram
from ..step import PresentStep
from .pcgrad import project_in_turn

READINGS = ("priority_order", "sequential", "anchor", "pairwise")
VANISHED = 1e-6
"""Length of a projected gradient, as a share of the original, below which none is projected against it."""
BLOCK = 32
"""Projections whose effect on each other is worked out before it is applied to all the rest."""
SMALLEST = 1e-30
"""Share of protection that stands for 0, so that tasks without any are still drawn, after the others."""


@register("wpcgrad")
class WPCGrad(Balancer):
    r"""Weighted projection of conflicting gradients.

    PCGrad's projection, but a distribution p over the tasks decides whose gradient stays and whose is
    projected; without conflict the update is the plain sum. p is the probability to be *protected* (the
    abstract speaks of that to be projected). The public material leaves the rule open, so it has a name:

    "priority_order": draw an order of the tasks without replacement from p; each gradient is projected
        against the original gradients of all before it, the foremost last, so that this one is never altered
        nor opposed.
    "sequential": draw an order as above, first the foremost; all other gradients, as they are by then, are
        projected against that of each task in turn, as it is by then. The first is never altered, and no two
        of the final gradients conflict: the one reading with which both published statements hold.
    "anchor": draw one task from p; the others are projected against its gradient.
    "pairwise": in every conflicting pair i gives way to j with probability p_j / (p_i + p_j), else j
        to i; projections follow each other in random order, as in PCGrad.

    p is proportional to the `priorities` times what `priority` says, over present tasks.
    Where every task gives way to every other this is PCGrad; a uniform p is not.

    Parameters
    ----------
    reading : "priority_order", "sequential", "anchor" or "pairwise"; none is confirmed by the full text.
    priority : "static": p does not change. "losses": it follows (mean loss of the task's last epoch)^gamma,
        so hard tasks are protected; one without an epoch yet counts as the mean of the others. Or any
        balancer that needs losses alone, as name or as mapping of name and options: it follows the weights.
    gamma : at least 0, for "losses".
    priorities : assay name -> at least 0; 1 for those not named.
    floor : in [0, 1], part of p that is spread evenly over the present tasks.

    References
    ----------
    Bohn, Freeman, Tercan, Meisen: Task Weighting through Gradient Projection for Multitask Learning, 2024,
    https://arxiv.org/abs/2409.01793. There is no public code; we follow the abstract and a note by others,
    after which the text keeps one drawn task intact ("anchor") and algorithm 2 goes through a drawn order.
    PCGrad: https://arxiv.org/abs/2001.06782, algorithm 1.
    """

    needs = "gram"
    weighs_heads = False
    priorities: Tensor
    last_epoch: Tensor
    epochs: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        reading: Literal["priority_order", "sequential", "anchor", "pairwise"] = "priority_order",
        priority: Choice = "static",
        gamma: float = 1.0,
        priorities: Mapping[str, float] | None = None,
        floor: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(tasks, seed=seed)
        if reading not in READINGS:
            raise ValueError(f"reading is {reading!r}; expected one of {', '.join(READINGS)}.")
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma is {gamma}; expected at least 0.")
        if not 0 <= floor <= 1:
            raise ValueError(f"floor is {floor}; expected at least 0 and at most 1.")
        self.reading, self.gamma, self.floor = reading, gamma, floor
        self.by_losses = priority == "losses"
        self.guide = None if priority in ("static", "losses") else build_balancer(priority, tasks)
        if self.guide is not None and self.guide.needs != "losses":
            raise ValueError(
                f"priority is {priority!r}, which needs gradients; expected 'static', 'losses' or a balancer "
                "that needs losses alone, such as 'slaw'."
            )
        self.second_look = self.guide is not None and self.guide.second_look
        self.register_buffer("priorities", by_name("priorities", priorities, self.tasks), persistent=False)
        self.register_buffer("last_epoch", torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("epochs", torch.zeros(self.n_tasks, dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        protection, generator = self.protection(step), self.generator(step.gram.device)
        if self.reading in ("priority_order", "sequential"):
            order = draw_order(protection, generator)
            if self.reading == "priority_order":
                weights = project_in_turn(unit_gram(step.gram).in_order(order), ["before"])
            else:
                order = order.flip(0)
                weights = project_sequentially(unit_gram(step.gram).in_order(order))
            return torch.empty_like(weights).index_copy_(0, order, weights)
        gives_way, order = self._draw(protection, generator)
        return give_way(step.gram, gives_way, order).sum(0)

    def protection(self, step: PresentStep) -> Tensor:
        """Distribution p [n] of a step with present tasks only; moves the state of the balancer behind it."""
        shares = self.priorities[step.tasks]
        if self.guide is not None:
            shares = shares * self.guide.decide_present(step).weights.clamp(min=0)
        elif self.by_losses:
            shares = shares * self._hardness(step)
        if not shares.sum() > 0:
            shares = torch.ones_like(shares)
        shares = shares / shares.sum()
        return ((1 - self.floor) * shares + self.floor / len(shares)).clamp(min=SMALLEST)

    def look_again_present(self, step: PresentStep) -> None:
        if self.guide is not None:
            self.guide.look_again_present(step)

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        if self.guide is not None:
            self.guide.end_epoch(mean_losses, present)
        seen = present & mean_losses.isfinite()
        self.last_epoch[seen] = mean_losses[seen].double()
        self.epochs[seen] += 1

    def _hardness(self, step: PresentStep) -> Tensor:
        """(Loss of the last epoch)^gamma [n], up to a factor."""
        losses, has_past = self.last_epoch[step.tasks], self.epochs[step.tasks] > 0
        if not losses[has_past].sum() > 0:
            return torch.ones_like(losses)
        losses = torch.where(has_past, losses, losses[has_past].mean())
        return (losses / losses.max()) ** self.gamma

    def _draw(self, protection: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Who gives way to whom [n, n], and the order [m] of the tasks projected against; other readings."""
        n, device = len(protection), protection.device
        if self.reading == "anchor":
            everybody = torch.ones(n, n, dtype=torch.bool, device=device).fill_diagonal_(False)
            return everybody, protection.multinomial(1, generator=generator)
        coins = torch.rand(n, n, generator=generator, device=device, dtype=protection.dtype)
        upper = (coins * (protection[:, None] + protection) < protection).triu(1)
        lower = upper.logical_not().T.tril(-1)
        return upper | lower, torch.randperm(n, generator=generator, device=device)


def draw_order(protection: Tensor, generator: torch.Generator) -> Tensor:
    """Order [n] drawn without replacement from the distribution p [n], the task drawn first at the end.

    The first of independent exponential clocks of rates p rings for task i with probability p_i.
    """
    clocks = torch.empty_like(protection).exponential_(generator=generator) / protection
    return clocks.argsort(descending=True)


def project_sequentially(unit: UnitGram) -> Tensor:
    """Weights [n] if each gradient in turn, as it is by then, has all after it projected against it.

    One that was gone through conflicts with none that comes later, so it stays as it is. With c the final
    gradients, g_i = c_i + sum over k < i of m_ik c_k: the moves m are found as a Cholesky factor is, and the
    weights of sum_i c_i solve a triangular system.
    """
    left = unit.cosines.double()
    moves = torch.eye(len(left), dtype=torch.float64, device=left.device)
    for place in range(len(left) - 1):
        square, products = left[place, place], left[place + 1 :, place].clone()
        if square <= VANISHED**2:
            continue
        move = products.clamp(max=0) / square
        moves[place + 1 :, place] = move
        rest = left[place + 1 :, place + 1 :]
        rest.addr_(move, products - square * move, alpha=-1).addr_(products, move, alpha=-1)
    weights = torch.linalg.solve_triangular(moves.T, unit.norms.double()[:, None], upper=True)[:, 0]
    return torch.where(unit.norms > 0, weights / unit.norms, 1.0)


def give_way(gram: Tensor, gives_way: Tensor, order: Tensor) -> Tensor:
    """Coefficients C [n, n] of the projected gradients: gradient i becomes sum_j C[i, j] g_j.

    One task j after the other, all gradients i that give way to it and conflict with it as they now are lose
    their part along the original g_j.

    Parameters
    ----------
    gram : [n, n] inner products of the gradients.
    gives_way : [n, n] bool, true where gradient i may be projected against g_j; false on the diagonal.
    order : [m] int64, the tasks j to go through, each once.
    """
    squares = gram.diagonal()
    inverse = torch.where(squares > torch.finfo(gram.dtype).tiny, 1 / squares, 0.0)
    rows = gram[order]
    inner = rows[:, order]
    steps = (gives_way.T * inverse[:, None])[order]  # [m, n]: the part of their product that i loses to j
    for start in range(0, len(order), BLOCK):
        block = slice(start, start + BLOCK)
        products = rows[block] - inner[block, :start] @ steps[:start]  # with the gradients as they are now
        for place, step in enumerate(steps[block]):
            step.mul_(products[place].clamp(max=0))
            products[place + 1 :].addr_(inner[block][place, block][place + 1 :], step, alpha=-1)
    return torch.eye(len(gram), dtype=gram.dtype, device=gram.device).index_add_(1, order, steps.T, alpha=-1)
