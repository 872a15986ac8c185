"""One balancer after the other, and the balancer that a config asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import ConfigError
from .contract import NEEDS, Balancer, balancers
from .step import Decision, PresentStep


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
        self.gives_direction = second.gives_direction
        self.weighs_heads = first.weighs_heads or second.weighs_heads
        if first.places is None or second.places is None:
            self.places = first.places or second.places
        else:
            self.places = tuple(place for place in first.places if place in second.places)

    def decide_present(self, step: PresentStep) -> Decision:
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

    def look_again_present(self, step: PresentStep) -> None:
        self.first.look_again_present(step)
        self.second.look_again_present(step)

    def end_epoch(self, mean_losses: Tensor, present: Tensor) -> None:
        self.first.end_epoch(mean_losses, present)
        self.second.end_epoch(mean_losses, present)


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
