"""SLAW on sparse assays: what the choice of molecules adds to a loss, and what is left of it."""

from typing import Any

import pytest
import torch

from screening.balancing.chain import build_balancer
from screening.testing.balancers import step_of

COUNTS = (1000, 100, 20, 5)
"""Labels per batch of four assays with equal true gradients."""
WITHIN = 0.5
"""Standard deviation of the loss of a label within its assay."""


def bias(gradient_sd: float, **options: Any) -> float:
    """Largest over smallest mean weight in the second hundred of 200 steps, over ten seeds; 1 is ideal."""
    total = torch.zeros(len(COUNTS))
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        balancer = build_balancer({"name": "slaw", **options}, [f"with {count}" for count in COUNTS])
        for number in range(200):
            levels = 0.7 + gradient_sd * torch.randn(len(COUNTS), generator=generator)
            cells = [
                level + WITHIN * torch.randn(count, generator=generator)
                for level, count in zip(levels, COUNTS, strict=True)
            ]
            step = step_of(
                torch.stack([cell.mean() for cell in cells]),
                counts=torch.tensor(COUNTS).float(),
                variances=torch.stack([cell.var() for cell in cells]),
                number=number,
            )
            weights = balancer.weigh(step)
            total += weights if number >= 100 else 0
    return float(total.max() / total.min())


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
