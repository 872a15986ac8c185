"""Weights that were set beforehand."""

import pytest
import torch

from screening.balancing import Step
from screening.balancing.chain import Chain, build_balancer
from screening.balancing.contract import balancers
from screening.balancing.methods.slaw import Slaw
from screening.balancing.priorities import Priorities

TASKS = ("a", "b", "c")
P = torch.tensor([3.0, 1.0, 1.0])


def step(losses: list[float], present: list[bool]) -> Step:
    counts = torch.tensor(present).long() * 8
    return Step(torch.tensor(losses, dtype=torch.float64), torch.tensor(present), counts)


def test_weights_are_shared_out_over_the_present_tasks() -> None:
    """3 : 1 : 1 of 3 present tasks, 3 : 1 of 2, and of tasks alike nothing but 1."""
    priorities = Priorities(TASKS, P)
    cases = [([1, 1, 1], [1.8, 0.6, 0.6]), ([1, 0, 1], [1.5, 0, 0.5]), ([0, 1, 1], [0, 1, 1])]
    for present, weights in cases:
        decision = priorities.decide(step([0.5, 0.2, 0.3], list(map(bool, present))))
        assert decision.weights.tolist() == pytest.approx(weights)
        assert decision.head_weights.tolist() == pytest.approx(weights)


def test_a_balancer_before_it_sees_the_losses_as_they_are() -> None:
    """SLAW would undo weights that it sees; last in the chain they stay, step by step."""
    alone, chained = Slaw(TASKS), Chain(Slaw(TASKS), Priorities(TASKS, P))
    for losses in ([0.5, 0.2, 0.3], [0.7, 0.1, 0.3], [0.2, 0.4, 0.6]):
        one = alone.decide(step(losses, [True] * 3)).weights
        other = chained.decide(step(losses, [True] * 3)).weights
        torch.testing.assert_close(other, one * P * 3 / 5)


def test_nothing_of_it_is_kept_in_a_checkpoint() -> None:
    assert set(Priorities(TASKS, P).state_dict()) == {"draws"}


@pytest.mark.parametrize("wrong", [[1, 1], [1, 0, 1], [1, -1, 1]])
def test_wrong_priorities_are_refused(wrong: list[int]) -> None:
    with pytest.raises(ValueError, match="expected 3 numbers above 0"):
        Priorities(TASKS, torch.tensor(wrong))


@pytest.mark.parametrize("name", balancers.names())
def test_balancers_say_whether_they_give_a_direction(name: str) -> None:
    rows = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    losses, ones = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64), torch.ones(3)
    seen = Step(losses, ones.bool(), ones.long() * 8, rows @ rows.T, rows, variances=losses)
    balancer = build_balancer(name, TASKS)
    assert balancer.gives_direction == (balancer.decide(seen).direction is not None)
    assert build_balancer(["equal", name], TASKS).gives_direction == balancer.gives_direction
