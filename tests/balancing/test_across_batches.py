"""Affinities across batches are unbiased, those of one batch are not; reliability is as its formula says."""

import numpy as np
import pytest
import torch
from torch import Tensor

from screening.balancing.across_batches import AcrossBatches, Products
from screening.balancing.pair_means import PairMeans, split_half_reliability
from screening.balancing.step import Step

T, P = 6, 30
SIZE = 8
"""Steps of a block."""


def step_of(present: Tensor, losses: Tensor | None = None) -> Step:
    losses = torch.ones(len(present), dtype=torch.float64) if losses is None else losses
    return Step(losses=torch.where(present, losses, 0.0), present=present, counts=present.long())


def collected(rows: Tensor, present: Tensor, losses: Tensor) -> list[Products]:
    """What steps [S, T, P] give, the remainder too."""
    across = AcrossBatches(SIZE)
    found = [across.add(*each) for each in zip(rows, map(step_of, present, losses), strict=True)]
    return [products for products in (*found, across.end()) if products is not None]


@pytest.mark.parametrize("n_steps", [SIZE, 3])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_products_are_means_over_the_pairs_of_batches_of_the_two_halves(n_steps: int, share: float) -> None:
    """Against a plain loop, with tasks absent from batches."""
    torch.manual_seed(0)
    rows = torch.randn(n_steps, T, P, dtype=torch.float64)
    present, losses = torch.rand(n_steps, T) < share, torch.rand(n_steps, T, dtype=torch.float64)
    (products,) = collected(rows, present, losses)
    for i in range(T):
        at = present[:, i].nonzero().squeeze(1)
        expected = losses[at, i].mean() if len(at) else torch.tensor(0.0).double()
        torch.testing.assert_close(products.losses[i], expected)
        for j in range(T):
            pairs = [
                (rows[a, i], rows[b, j])
                for a in range(n_steps)
                for b in range(n_steps)
                if (a - b) % 2 and present[a, i] and present[b, j]
            ]
            assert bool(products.seen[i, j]) == bool(pairs)
            if pairs:
                inner = torch.stack([a @ b for a, b in pairs]).mean()
                cosines = torch.stack([a @ b / (a.norm() * b.norm()) for a, b in pairs]).mean()
                torch.testing.assert_close(products.gram[i, j], inner)
                torch.testing.assert_close(products.cosines[i, j], cosines)


def test_a_step_alone_says_nothing_and_gradients_that_are_not_finite_are_left_out() -> None:
    across, present = AcrossBatches(), torch.ones(T, dtype=torch.bool)
    assert across.end() is None
    rows = torch.randn(T, P)
    across.add(rows, step_of(present))
    assert across.end() is None
    broken = rows.clone()
    broken[2, 0] = torch.inf
    across.add(rows, step_of(present))
    across.add(broken, step_of(present))
    products = across.end()
    assert products is not None
    assert products.gram.isfinite().all()
    assert not products.seen[2, 2]


def test_one_batch_gives_the_shared_noise_and_two_do_not() -> None:
    """Gradients mu_t + noise of the molecules, which tasks share by half: the truth is mu_i' mu_j."""
    generator = torch.Generator().manual_seed(0)
    truth = 0.3 * torch.randn(T, P, generator=generator, dtype=torch.float64)
    n_steps, present = 4000, torch.ones(T, dtype=torch.bool)
    shared = torch.randn(n_steps, 1, P, generator=generator, dtype=torch.float64)
    own = torch.randn(n_steps, T, P, generator=generator, dtype=torch.float64)
    rows = truth + (0.5**0.5) * (shared + own)  # variance 1 per number, correlation 0.5 between tasks
    gram = truth @ truth.T
    same = (rows @ rows.transpose(1, 2)).mean(0) - gram
    products = collected(rows, present.repeat(n_steps, 1), torch.ones(n_steps, T).double())
    across = torch.stack([block.gram for block in products]).mean(0) - gram
    off = ~torch.eye(T, dtype=torch.bool)
    torch.testing.assert_close(same[off], torch.full((30,), 0.5 * P).double(), rtol=0.05, atol=0)
    torch.testing.assert_close(same.diagonal(), torch.full((T,), 1.0 * P).double(), rtol=0.05, atol=0)
    assert across.abs().max() < 0.02 * P
    wanted, found = gram[off], (across + gram)[off]
    assert torch.corrcoef(torch.stack([wanted, found]))[0, 1] > 0.95


@pytest.mark.parametrize(("between", "within"), [(1.0, 1.0), (1.0, 4.0), (0.0, 1.0), (2.0, 0.1)])
def test_split_half_reliability_is_variance_over_variance_and_error(between: float, within: float) -> None:
    """V / (V + E): V between pairs, E of the mean of n steps; and the error bars are E's root."""
    generator, n_tasks, n_steps = torch.Generator().manual_seed(1), 60, 40
    truth = between**0.5 * torch.randn(n_tasks, n_tasks, generator=generator, dtype=torch.float64)
    means, seen = PairMeans(n_tasks), torch.ones(n_tasks, n_tasks, dtype=torch.bool)
    for _ in range(n_steps):
        noise = torch.randn(n_tasks, n_tasks, generator=generator, dtype=torch.float64)
        means.add(truth + (within * n_steps) ** 0.5 * noise, seen)
    found = split_half_reliability(*means.halves().numpy())
    assert found == pytest.approx(between / (between + within), abs=0.05)
    assert means.error().square().mean().item() == pytest.approx(within, rel=0.05)


def test_reliability_sees_differences_within_a_column_alone() -> None:
    """How much an assay is helped by all others alike is no reason for a group."""
    generator = np.random.default_rng(0)
    columns = 10 * generator.standard_normal(40)
    first, second = columns + generator.standard_normal((2, 40, 40))
    assert split_half_reliability(first, second) < 0.1
    first[:] = second
    first[0] = np.nan
    assert split_half_reliability(first, second) == pytest.approx(1.0)
    assert np.isnan(split_half_reliability(first[:2, :2], second[:2, :2]))
    assert split_half_reliability(np.zeros((5, 5)), np.zeros((5, 5))) == 0
