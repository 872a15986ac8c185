"""What a balancer is: from the losses of T tasks (and their gradients) to one weight per task.

A method is one file in `methods` with one registered class; all are imported when a name is first asked for.
Methods see present tasks only, in float64: `Balancer.decide` takes absent tasks out before and puts zeros
in after, so no method can be misled by an assay without labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..registry import Registry
from .outer_rows import OuterRows

Need = Literal["losses", "gram", "rows"]
NEEDS: tuple[Need, ...] = ("losses", "gram", "rows")
"""From cheap to dear; each includes those before it."""


@dataclass(frozen=True)
class Step:
    """What one training step knows about T tasks; sums over all processes, the same in each."""

    losses: Tensor
    """[T] mean loss of each task in nats, float64; 0 where absent."""
    present: Tensor
    """[T] bool, true where the task has a label in the batch."""
    counts: Tensor
    """[T] labels in the batch."""
    gram: Tensor | None = None
    """[T, T] inner products of the gradients of the losses; None unless needed."""
    rows: Tensor | None = None
    """[T, P] the gradients themselves; None unless needed."""
    outer: OuterRows | None = None
    """The gradients in place of `rows`, for a balancer with `takes_outer`, where they are outer products."""
    variances: Tensor | None = None
    """[T] variance of the loss over the molecules of the task, nats squared; 0 below two labels."""
    tasks: Tensor | None = None
    """[T] int64, places of these tasks among all that the balancer has; None = all of them, in order."""
    epoch: int = 0
    """From 0."""
    step: int = 0
    """Optimiser steps since the beginning of training, from 0."""

    def take(self, tasks: Tensor) -> "Step":
        """The same step as seen by some of the tasks: float64, `rows` as they are."""

        is_whole = torch.equal(tasks, torch.arange(len(self.losses), device=tasks.device))

        def pick(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[tasks].double()

        gram = self.gram
        if gram is not None and not is_whole:
            gram = gram.index_select(0, tasks).index_select(1, tasks)
        return replace(
            self,
            losses=self.losses[tasks].double(),
            present=self.present[tasks],
            counts=self.counts[tasks].double(),
            gram=None if gram is None else gram.double(),
            rows=self.rows if self.rows is None or is_whole else self.rows[tasks],
            outer=self.outer if self.outer is None or is_whole else self.outer.take(tasks),
            variances=pick(self.variances),
            tasks=tasks if self.tasks is None else self.tasks[tasks],
        )

    def weighted(self, weights: Tensor) -> "Step":
        """The step that the losses `weights * losses` would have made."""
        rows = None if self.rows is None else weights.to(self.rows.dtype)[:, None] * self.rows
        return replace(
            self,
            losses=weights * self.losses,
            gram=None if self.gram is None else weights[:, None] * self.gram * weights,
            rows=rows,
            outer=None if self.outer is None else self.outer.weighted(weights),
            variances=None if self.variances is None else weights**2 * self.variances,
        )


class Decision(NamedTuple):
    """What a balancer wants done with the gradients of one step; all detached."""

    weights: Tensor
    """[T] factor on each task's gradient by the shared parameters; 0 where absent."""
    head_weights: Tensor
    """[T] factor on each task's gradient by its own head; 0 where absent."""
    direction: Tensor | None = None
    """[P] what goes to the shared parameters in place of the sum of weights * rows, for the few methods
    that no weights can express (they mix gradients element by element, or with those of earlier steps)."""


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

    def weigh_present(self, step: Step) -> Tensor:
        """Weights [n] of a step that has its n >= 1 present tasks only, in float64, at `step.tasks`."""
        raise NotImplementedError

    def decide_present(self, step: Step) -> Decision:
        """The decision on a step that has present tasks only."""
        weights = self.weigh_present(step)
        return Decision(weights, weights if self.weighs_heads else torch.ones_like(weights))

    def look_again_present(self, step: Step) -> None:
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
        tasks = _finite_tasks(step)
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
        tasks = _finite_tasks(step)
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

    def scalarise(self, losses: Tensor, step: Step) -> Tensor:
        """One number from the losses [n] of present tasks, differentiable, on the scale of their sum."""
        raise NotImplementedError

    def weigh_present(self, step: Step) -> Tensor:
        losses = step.losses.detach().requires_grad_()
        with torch.enable_grad():
            total = self.scalarise(losses, step)
        return torch.autograd.grad(total, losses)[0]


class Chain(Balancer):
    """One balancer after the other: the second sees the losses and gradients as weighed by the first."""

    def __init__(self, first: Balancer, second: Balancer) -> None:
        super().__init__(first.tasks)
        if first.tasks != second.tasks:
            raise ValueError("Both parts of a chain need the same tasks.")
        self.first, self.second = first, second
        self.needs = max(first.needs, second.needs, key=NEEDS.index)
        self.without_gram = all(part.without_gram or part.needs == "losses" for part in (first, second))
        self.takes_outer = all(part.takes_outer or part.needs != "rows" for part in (first, second))
        self.second_look = first.second_look or second.second_look
        self.weighs_heads = first.weighs_heads or second.weighs_heads
        if first.places is None or second.places is None:
            self.places = first.places or second.places
        else:
            self.places = tuple(place for place in first.places if place in second.places)

    def decide_present(self, step: Step) -> Decision:
        before = self.first.decide_present(step)
        if before.direction is not None:
            raise ConfigError(
                f"'{type(self.first).__name__}' gives a direction and no weights, so nothing can follow it "
                "in a chain. Put it last."
            )
        after = self.second.decide_present(step.weighted(before.weights))
        return Decision(
            before.weights * after.weights, before.head_weights * after.head_weights, after.direction
        )

    def look_again_present(self, step: Step) -> None:
        self.first.look_again_present(step)
        self.second.look_again_present(step)

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        self.first.end_epoch(mean_losses, present)
        self.second.end_epoch(mean_losses, present)


balancers: Registry[type[Balancer]] = Registry("balancer", members="screening.balancing.methods")
register = balancers.register

Choice = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]
"""A balancer in a config: `slaw`, `{name: slaw, beta: 0.9}`, or a list of these for a chain."""


def build_balancer(choice: Choice, tasks: Sequence[str]) -> Balancer:
    """The balancer a config asks for.

    Raises
    ------
    ConfigError : unknown name or option, an option out of range, or an empty list.

    Examples
    --------
    >>> build_balancer({"name": "slaw", "beta": 0.9}, ["NR-AhR", "SR-p53"]).beta
    0.9
    """
    if isinstance(choice, str):
        return balancers.build(choice, tasks)
    if isinstance(choice, Mapping):
        options = dict(choice)
        if "name" not in options:
            raise ConfigError(f"The balancer {options} has no name. Give one: {{name: slaw}}.")
        return balancers.build(options.pop("name"), tasks, **options)
    if not choice:
        raise ConfigError("The list of balancers is empty. Name one, for example 'balancer: [slaw, pcgrad]'.")
    built = build_balancer(choice[0], tasks)
    for later in choice[1:]:
        built = Chain(built, build_balancer(later, tasks))
    return built


def _finite_tasks(step: Step) -> Tensor:
    finite = step.present & step.losses.isfinite()
    if step.gram is not None:
        finite &= step.gram.diagonal().isfinite()
    elif step.rows is not None:
        finite &= step.rows.sum(1).isfinite()
    elif step.outer is not None:
        finite &= step.outer.is_finite()
    return finite.nonzero().squeeze(1)
