"""SLAW on sparse assays: what the choice of molecules adds to a loss, and what is left of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from screening.balancing.chain import build_balancer
from screening.balancing.step import Step
from screening.testing.balancers import step_of

COUNTS = (1000, 100, 20, 5)
"""Labels per batch of four assays with equal true gradients."""
WITHIN = 0.5
"""Standard deviation of the loss of a label within its assay."""


N_PARAMETERS = 64
"""Where gradients are taken; a place of more has less noise in their inner products."""


def simulated(gradient_sd: float, seed: int, true_norms: Tensor) -> Iterator[Step]:
    """200 steps: parameters wander so that a loss moves by its gradient's norm, gradient_sd * true_norms.

    The gradients of an assay's labels lie as far from the assay's as their losses, WITHIN.
    """
    generator, of_rows = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(1000 + seed)
    counts = torch.tensor(COUNTS).float()
    norms = gradient_sd * true_norms
    gradients = norms[:, None] * normalize(torch.randn(len(COUNTS), N_PARAMETERS, generator=of_rows))
    noise = WITHIN / (counts[:, None] * N_PARAMETERS).sqrt()
    for number in range(200):
        levels = 0.7 + norms * torch.randn(len(COUNTS), generator=generator)
        cells = [
            level + WITHIN * torch.randn(count, generator=generator)
            for level, count in zip(levels, COUNTS, strict=True)
        ]
        yield step_of(
            torch.stack([cell.mean() for cell in cells]),
            gradients + noise * torch.randn(gradients.shape, generator=of_rows),
            counts=counts,
            variances=torch.stack([cell.var() for cell in cells]),
            number=number,
        )


def mean_weights(gradient_sd: float, true_norms: Sequence[float] = (1, 1, 1, 1), **options: Any) -> Tensor:
    """Mean weights of the second hundred of 200 steps, over ten seeds."""
    total = torch.zeros(len(COUNTS))
    for seed in range(10):
        balancer = build_balancer({"name": "slaw", **options}, [f"with {count}" for count in COUNTS])
        for step in simulated(gradient_sd, seed, torch.tensor(true_norms)):
            weights = balancer.weigh(step)
            total += weights if step.step >= 100 else 0
    return total / 1000


def bias(gradient_sd: float, **options: Any) -> float:
    """Largest over smallest mean weight; 1 is ideal."""
    weights = mean_weights(gradient_sd, **options)
    return float(weights.max() / weights.min())


@pytest.mark.parametrize(
    ("gradient_sd", "plain", "corrected"),
    [(0.10, 2.4, 1.2), (0.05, 4.4, 1.8), (0.03, 6.7, 3.0), (0.01, 12, 9)],
)
def test_noise_correction_brings_equal_gradients_nearer_to_equal_weights(
    gradient_sd: float, plain: float, corrected: float
) -> None:
    as_published = bias(gradient_sd)
    assert 0.9 * plain < as_published < 1.1 * plain
    assert bias(gradient_sd, noise_correction=True) < min(corrected, as_published)


def test_no_assay_takes_all_the_weight_where_noise_is_all_there_is() -> None:
    """The variance that is left is at least its own standard error: weights differ by the counts at most."""
    assert bias(0.0, noise_correction=True) < (COUNTS[0] / COUNTS[-1]) ** 0.5 * 1.2


@pytest.mark.parametrize("gradient_sd", [0.10, 0.05, 0.03, 0.01])
def test_gradients_of_different_batches_give_equal_gradients_equal_weights(gradient_sd: float) -> None:
    assert bias(gradient_sd, name="slaw_unbiased") < 1.15


def test_norms_of_single_batches_are_those_of_few_labels() -> None:
    assert bias(0.01, name="slw") > 10


@pytest.mark.parametrize("true_norms", [(1, 2, 3, 4), (4, 3, 2, 1), (1, 3, 1, 3)])
def test_gradients_of_different_batches_tell_true_norms_from_counts(true_norms: tuple[float, ...]) -> None:
    inverse = 1 / torch.tensor(true_norms)
    weights = mean_weights(0.03, true_norms, name="slaw_unbiased")
    torch.testing.assert_close(weights, 4 * inverse / inverse.sum(), rtol=0.05, atol=0)


def test_a_gradient_that_is_all_noise_has_a_weight_by_the_noise() -> None:
    """Without a true gradient u is as often below 0 as above, and the floor holds it."""
    assert bias(0.0, name="slaw_unbiased") < (COUNTS[0] / COUNTS[-1]) ** 0.5 * 1.2


def test_the_first_losses_and_a_memory_of_one_step_give_finite_weights() -> None:
    for beta in (0.0, 0.5):
        balancer = build_balancer({"name": "slaw", "noise_correction": True, "beta": beta}, ["a", "b"])
        for number in range(4):
            step = step_of(
                torch.tensor([0.7 + number % 2, 0.3]),
                counts=torch.tensor([3.0, 1.0]),
                variances=torch.tensor([0.25, 0.0]),
                number=number,
            )
            weights = balancer.weigh(step)
            assert weights.isfinite().all()
            assert weights.sum() == pytest.approx(2)
