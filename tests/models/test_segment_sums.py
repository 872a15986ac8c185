"""Sums over chosen rows are those of a dense matrix of ones, and so are all their derivatives."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from screening.models.segment_sums import Sums


@pytest.fixture
def no_slow_batching() -> Iterator[None]:
    """An operation without a batching rule is an error, not a loop."""
    torch._C._functorch._set_vmap_fallback_enabled(False)
    yield
    torch._C._functorch._set_vmap_fallback_enabled(True)


def example(n_targets: int, n_rows: int, n: int) -> tuple[Sums, Tensor]:
    """Random sums, and the same as a dense matrix."""
    torch.manual_seed(n)
    targets, rows = torch.randint(n_targets, (n,)), torch.randint(n_rows, (n,))
    dense = torch.zeros(n_targets, n_rows, dtype=torch.float64)
    dense.index_put_((targets, rows), torch.ones(n, dtype=torch.float64), accumulate=True)
    return Sums.of(targets, rows, n_targets, n_rows), dense


@pytest.mark.parametrize("size", [(5, 4, 9), (4, 5, 2), (1, 1, 1), (3, 2, 0)])
def test_is_a_product_with_a_matrix_of_ones(size: tuple[int, int, int]) -> None:
    sums, dense = example(*size)
    values = torch.randn(size[1], 3, dtype=torch.float64)
    torch.testing.assert_close(sums(values), dense @ values)
    slopes = torch.randn(size[0], 3, dtype=torch.float64)
    torch.testing.assert_close(sums.transposed()(slopes), dense.T @ slopes)


@pytest.mark.usefixtures("no_slow_batching")
@pytest.mark.parametrize("size", [(5, 4, 9), (4, 5, 2), (1, 1, 1), (3, 2, 0), (0, 4, 0)])
def test_weighted_sums_are_a_product_with_a_matrix(size: tuple[int, int, int]) -> None:
    """Values, all derivatives and batched ones."""
    n_targets, n_rows, n = size
    torch.manual_seed(n)
    targets, rows = torch.randint(max(n_targets, 1), (n,)), torch.randint(n_rows, (n,))
    weights = torch.randn(n, dtype=torch.float64)
    dense = torch.zeros(n_targets, n_rows, dtype=torch.float64)
    dense.index_put_((targets, rows), weights, accumulate=True)
    sums = Sums.weighted(targets, rows, weights, n_targets, n_rows)
    values = torch.randn(n_rows, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(sums(values), dense @ values)
    with torch.no_grad():
        torch.testing.assert_close(
            Sums.weighted(targets, rows, weights, n_targets, n_rows)(values), dense @ values
        )
    if n_targets:
        assert torch.autograd.gradcheck(sums, values)
        assert torch.autograd.gradgradcheck(sums, values)
    slopes = torch.randn(7, n_targets, 3, dtype=torch.float64)
    (batched,) = torch.autograd.grad(sums(values), values, slopes, is_grads_batched=True)
    torch.testing.assert_close(batched, dense.T @ slopes)


def test_nothing_sums_to_nothing() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assert Sums.of(nothing, nothing, 0, 0)(torch.zeros(0, 3)).shape == (0, 3)
    assert Sums.of(nothing, nothing, 0, 4)(torch.zeros(4, 3)).shape == (0, 3)
    assert torch.equal(Sums.of(nothing, nothing, 4, 0)(torch.zeros(0, 3)), torch.zeros(4, 3))


def test_derivatives_of_first_and_second_order() -> None:
    sums, _ = example(5, 4, 9)
    values = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sums, values)
    assert torch.autograd.gradgradcheck(sums, values)


@pytest.mark.usefixtures("no_slow_batching")
def test_batched_gradients_are_those_one_by_one() -> None:
    sums, _ = example(5, 4, 9)
    values = torch.randn(4, 3, requires_grad=True)
    total, slopes = sums(values), torch.randn(7, 5, 3)
    (batched,) = torch.autograd.grad(total, values, slopes, is_grads_batched=True, retain_graph=True)
    for slope, gradient in zip(slopes, batched, strict=True):
        assert torch.equal(torch.autograd.grad(total, values, slope, retain_graph=True)[0], gradient)


def test_half_precision_adds_up_in_full() -> None:
    """A thousand small numbers on top of a large one: bfloat16 has 8 bits, and would lose each."""
    values = torch.full((1001, 1), 2.0**-6, dtype=torch.bfloat16)
    values[0] = 4.0
    sums = Sums.of(torch.zeros(1001, dtype=torch.int64), torch.arange(1001), 1, 1001)
    assert sums(values).item() == pytest.approx(4 + 1000 / 64, rel=0.01)
