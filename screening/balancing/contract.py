"""What a balancer is: from the losses of T tasks (and their gradients) to one weight per task.

A method is one file in `methods` with one registered class; all are imported when a name is first asked for.
Methods see present tasks only, in float64: `Balancer.decide` takes absent tasks out before and puts zeros
in after, so no method can be misled by an assay without labels.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..registry import Registry
from .step import Decision, PresentStep, Step

Need = Literal["losses", "gram", "rows"]
NEEDS: tuple[Need, ...] = ("losses", "gram", "rows")
"""From cheap to dear; each includes those before it."""


class Balancer(nn.Module):
    """Weighs tasks. A method gives `weigh_present`; training calls `decide`.

    The objective of a step is sum(weights * losses) / number of present tasks, so weights of a method
    that only distributes attention sum to that number.

    State is a buffer, trained state a parameter that the method moves itself inside `weigh_present`, for
    present tasks alone (the optimiser of the model must not touch it: its momentum would move absent
    tasks). Both are [T] or [T, T] float64, read and written at `step.tasks`, and survive save and load.

    Parameters
    ----------
    tasks : names of all T tasks, in the order of the columns. Options of a method follow as keyword-only
        parameters; out of range is a ValueError that says the range.
    seed : of the method's own randomness, for methods that have some.
    """

    needs: Need = "losses"
    """The dearest thing it asks of a step."""
    without_gram: bool = False
    """Whether it needs rows and not their Gramian, which with many tasks is as dear."""
    takes_outer: bool = False
    """Whether it needs rows, but no more of them than `OuterRows` can say, which need no memory."""
    places: tuple[str, ...] | None = None
    """Where its gradients may be taken (`gradients.at`); None = anywhere."""
    weighs_heads: bool = True
    """Whether the weights also act on the heads; gradient-based methods leave each head its own gradient."""
    gives_direction: bool = False
    """Whether it gives a direction in place of weights, so that nothing can follow it in a chain."""
    second_look: bool = False
    """Whether it wants to see the same batch again after the update (`look_again`)."""

    draws: Tensor

    def __init__(self, tasks: Sequence[str], *, seed: int = 0) -> None:
        super().__init__()
        if isinstance(tasks, str) or len(tasks) == 0:
            raise TypeError(f"tasks is {tasks!r}; expected the names of one or more tasks.")
        self.tasks = tuple(tasks)
        self.n_tasks = len(self.tasks)
        self.seed = seed
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def weigh_present(self, step: PresentStep) -> Tensor:
        """Weights [n] of a step that has its n >= 1 present tasks only, in float64, at `step.tasks`."""
        raise NotImplementedError

    def decide_present(self, step: PresentStep) -> Decision:
        """The decision on a step that has present tasks only."""
        weights = self.weigh_present(step)
        return Decision(weights, weights if self.weighs_heads else torch.ones_like(weights))

    def look_again_present(self, step: PresentStep) -> None:
        """Learn from the losses of the same batch after the update; `step` as in `weigh_present`."""

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        """Learn from the mean losses [T] of an epoch; `present` [T] false: no label in the whole epoch."""

    @torch.no_grad()
    def decide(self, step: Step) -> Decision:
        """The decision on a step of all T tasks; absent ones get 0 and leave no trace.

        A present task with a loss or gradient that is not finite is taken for absent here, so that it
        cannot poison the others' history; training stops on it with its name.
        """
        self._check(step, self.needs)
        tasks = step.finite_tasks()
        zeros = torch.zeros_like(step.losses, dtype=torch.float32)
        if len(tasks) == 0:
            return Decision(zeros, zeros)
        decision = self.decide_present(step.take(tasks))
        weights = zeros.index_copy(0, tasks, decision.weights.float())
        if decision.head_weights is decision.weights:
            return Decision(weights, weights, decision.direction)
        head_weights = zeros.index_copy(0, tasks, decision.head_weights.float())
        return Decision(weights, head_weights, decision.direction)

    def weigh(self, step: Step) -> Tensor:
        """The weights [T] of `decide`."""
        return self.decide(step).weights

    @torch.no_grad()
    def look_again(self, step: Step) -> None:
        """Show the step of the same batch after the update, to a balancer with `second_look`."""
        self._check(step, "losses")
        tasks = step.finite_tasks()
        if len(tasks):
            self.look_again_present(step.take(tasks))

    def generator(self, device: torch.device) -> torch.Generator:
        """A fresh source of randomness for this step: the same in all processes and after a resume."""
        seed = np.random.SeedSequence((self.seed, int(self.draws))).generate_state(1)[0]
        self.draws += 1
        return torch.Generator(device).manual_seed(int(seed))

    def _check(self, step: Step, needs: Need) -> None:
        if step.losses.shape != (self.n_tasks,):
            raise ValueError(f"{type(self).__name__} has {self.n_tasks} tasks, the step {len(step.losses)}.")
        if (needs == "gram" and step.gram is None) or (
            needs == "rows" and step.rows is None and not (self.takes_outer and step.outer is not None)
        ):
            raise ValueError(f"{type(self).__name__} needs {needs}, and the step has none.")


class Scalariser(Balancer):
    """A balancer that is a differentiable function of the losses; its derivative is the weights."""

    def scalarise(self, losses: Tensor, step: PresentStep) -> Tensor:
        """One number from the losses [n] of present tasks, differentiable, on the scale of their sum."""
        raise NotImplementedError

    def weigh_present(self, step: PresentStep) -> Tensor:
        losses = step.losses.detach().requires_grad_()
        with torch.enable_grad():
            total = self.scalarise(losses, step)
        return torch.autograd.grad(total, losses)[0]


balancers: Registry[type[Balancer]] = Registry("balancer", members="screening.balancing.methods")
register = balancers.register
