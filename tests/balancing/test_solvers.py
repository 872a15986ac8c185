"""Solvers on the Gramian: optimality conditions, slow plain loops, SciPy and LAPACK."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls
from torch import Tensor

from screening.balancing.solvers.bargaining import fair_shares
from screening.balancing.solvers.linear_systems import pseudo_solve, solve
from screening.balancing.solvers.projections import Columns, sweep
from screening.balancing.solvers.quadratic_programs import (
    _interior_minimum,
    largest_least_descent,
    nonnegative_minima,
    nonnegative_minimum,
)
from screening.balancing.solvers.simplex import project_to_simplex
from screening.balancing.solvers.unit_gradients import unit_gram

SIZES = [(1, 3), (2, 5), (12, 40), (12, 5), (300, 400), (300, 40)]
"""Tasks and coordinates; fewer coordinates than tasks: rank-deficient, and some mean of them is 0."""
every_size = pytest.mark.parametrize(("n_tasks", "width"), SIZES)


def draw(n_tasks: int, width: int, seed: int = 0, common: float = 0.0) -> Tensor:
    """Unit gradients [n, P] float64, with a common part if wanted."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_tasks, width, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(rows + common)


def numbers(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_unit_gradients_and_lengths() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-9, 0.0]], dtype=torch.float64)
    unit = unit_gram(rows @ rows.T)
    torch.testing.assert_close(unit.norms, torch.tensor([5.0, 0.0, 1e-9], dtype=torch.float64))
    expected = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.0], [0.6, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(unit.cosines, expected)
    torch.testing.assert_close(
        unit.per_gradient(torch.ones(3).double()), torch.tensor([0.2, 0, 1e9]).double()
    )


def test_projection_to_the_simplex() -> None:
    torch.testing.assert_close(project_to_simplex(torch.tensor([0.5, 0.5])), torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(
        project_to_simplex(torch.tensor([3.0, 1.0, 2.5])), torch.tensor([0.75, 0, 0.25])
    )
    assert project_to_simplex(torch.tensor([-7.0])).tolist() == [1]
    point = numbers(200)
    found = project_to_simplex(point)
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(), torch.ones(()).double())
    shift = (point - found)[found > 0]
    torch.testing.assert_close(shift, shift[:1].expand_as(shift))
    assert (point[found == 0] <= shift[0]).all()


# Linear systems


@pytest.mark.parametrize("condition", [1e1, 1e4, 1e8])
def test_systems_are_solved_with_and_without_a_good_condition(condition: float) -> None:
    basis = torch.linalg.qr(draw(60, 60)).Q
    matrix = (
        basis @ torch.diag(torch.logspace(0, -torch.tensor(condition).log10().item(), 60).double()) @ basis.T
    )
    wanted, among = numbers(60), torch.arange(60) % 3 > 0
    torch.testing.assert_close(solve(matrix, matrix @ wanted), wanted, rtol=1e-5, atol=1e-5)
    part = torch.where(among, wanted, 0.0)
    torch.testing.assert_close(solve(matrix, matrix @ part, among=among), part, rtol=1e-5, atol=1e-5)
    shift = torch.linspace(0.1, 2, 60).double()
    torch.testing.assert_close(solve(matrix, matrix @ wanted + shift * wanted, shift=shift), wanted)


@every_size
def test_pseudo_inverse(n_tasks: int, width: int) -> None:
    cosines, right = (rows := draw(n_tasks, width)) @ rows.T, torch.ones(n_tasks, dtype=torch.float64)
    expected = torch.linalg.pinv(cosines, rtol=1e-9, hermitian=True) @ right
    torch.testing.assert_close(pseudo_solve(cosines, right), expected, rtol=1e-6, atol=1e-7)


def test_pseudo_inverse_of_dependent_gradients() -> None:
    rows = torch.tensor([[1.0, 0], [1, 0], [0, 1], [-1, 0]], dtype=torch.float64)
    # 3/(-1): the two equal ones share, the opposite one pulls back: parts (1, 1, -1)/3 * (1 + 1 - 1)
    torch.testing.assert_close(
        pseudo_solve(rows @ rows.T, torch.ones(4).double()), torch.tensor([1 / 9, 1 / 9, 1, -1 / 9]).double()
    )


# Quadratic programs


@every_size
@pytest.mark.parametrize("common", [0.0, 1.0])
@pytest.mark.parametrize("method", [nonnegative_minimum, _interior_minimum])
def test_nonnegative_minimum_is_that_of_scipy(
    n_tasks: int, width: int, common: float, method: Callable[[Tensor, Tensor], Tensor]
) -> None:
    rows = draw(n_tasks, width, common=common)
    target = torch.nn.functional.normalize(numbers(width), dim=0)
    found = method(rows @ rows.T, rows @ target)
    expected = torch.from_numpy(nnls(rows.T.numpy(), target.numpy())[0])
    assert (found >= 0).all()
    torch.testing.assert_close(found @ rows, expected @ rows, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_tasks", [1, 2, 300])
def test_minimum_at_infinity_is_finite(n_tasks: int) -> None:
    rows = torch.cat([draw(n_tasks, 20), -draw(n_tasks, 20)])
    found = nonnegative_minimum(rows @ rows.T, torch.ones(2 * n_tasks).double())
    assert found.isfinite().all()
    assert torch.linalg.norm(found / found.sum() @ rows) < 1e-4


@every_size
def test_all_projections_at_once_are_those_of_scipy(n_tasks: int, width: int) -> None:
    rows = draw(n_tasks, width)
    found = nonnegative_minima(rows @ rows.T, 1e-10)
    assert (found >= 0).all()
    for task in range(0, n_tasks, 50):
        expected = torch.from_numpy(nnls(rows.T.numpy(), -rows[task].numpy())[0])
        torch.testing.assert_close(found[:, task] @ rows, expected @ rows, rtol=0, atol=1e-4)


def test_sweeps_end_when_they_change_little() -> None:
    rows = draw(300, 3000)
    exact = nonnegative_minima(rows @ rows.T, 1e-10)
    rough = nonnegative_minima(rows @ rows.T, 1e-2)
    assert 1e-7 < (rough - exact).norm() / exact.norm() < 1e-2


@pytest.mark.parametrize(
    ("n_tasks", "width", "common"), [(2, 3, 0.0), (6, 9, 0.0), (6, 9, 0.5), (9, 30, 0.2)]
)
@pytest.mark.parametrize("radius", [0.1, 0.5, 2.0])
def test_largest_least_descent_is_that_of_scipy(
    n_tasks: int, width: int, common: float, radius: float
) -> None:
    rows = torch.logspace(0, 1, n_tasks)[:, None] * draw(n_tasks, width, common=common)
    gram, mean = (rows @ rows.T).numpy(), torch.ones(n_tasks).double().numpy() / n_tasks
    reach = radius * float(rows.mean(0).norm())
    result = minimize(
        lambda w: w @ gram @ mean + reach * max(w @ gram @ w, 1e-30) ** 0.5,
        mean,
        bounds=[(0, 1)] * n_tasks,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        tol=1e-12,
    )
    extra = largest_least_descent(unit_gram(rows @ rows.T), radius)
    assert (extra >= 0).all()
    direction = rows.mean(0) + extra @ rows
    assert float((extra @ rows).norm()) <= reach * (1 + 1e-5)
    assert float((rows @ direction).min()) >= result.fun - 1e-5 * abs(result.fun)


def test_without_a_common_descent_the_mean_is_projected() -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.5, 1.0]], dtype=torch.float64)
    extra = largest_least_descent(unit_gram(rows @ rows.T), 0.9)
    torch.testing.assert_close(
        rows.mean(0) + extra @ rows, torch.tensor([0.0, 1 / 3]).double(), rtol=0, atol=1e-4
    )


# Bargaining


@every_size
@pytest.mark.parametrize("power", [0.1, 0.5, 1.0, 3.0])
def test_shares_are_fair(n_tasks: int, width: int, power: float) -> None:
    rows = draw(n_tasks, width, common=1.0 if n_tasks > width else 0.1)
    scales = torch.logspace(-1, 1, n_tasks).double()
    found = fair_shares(rows @ rows.T, scales, power)
    assert (found > 0).all()
    torch.testing.assert_close(rows @ (found @ rows), scales * found**-power, rtol=1e-5, atol=0)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_shares_of_opposite_gradients_are_finite_and_cancel(power: float) -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    found = fair_shares(rows @ rows.T, torch.ones(3).double(), power)
    assert found.isfinite().all()
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[2], torch.ones(()).double(), rtol=0, atol=1e-6)


# Projections in turn


def plain_sweep(rows: Tensor, current: Tensor, columns: Columns) -> Tensor:
    current = current.clone()
    for j in range(len(rows)):
        for i in range(len(rows)):
            if {"all": True, "others": i != j, "before": i < j, "after": i > j}[columns]:
                current[i] -= (current[i] @ rows[j]).clamp(max=0) * rows[j]
    return current


@pytest.mark.parametrize("columns", ["all", "others", "before", "after"])
@pytest.mark.parametrize(("n_tasks", "width"), [(1, 3), (5, 4), (70, 100), (70, 9)])
def test_sweep_is_the_loop_over_explicit_gradients(n_tasks: int, width: int, columns: Columns) -> None:
    rows = draw(n_tasks, width)
    moves = torch.zeros(n_tasks, n_tasks, dtype=torch.float64)
    sweep(rows @ rows.T, moves, lambda products, *_: products.clamp(max=0), columns)
    torch.testing.assert_close(rows + moves.T @ rows, plain_sweep(rows, rows, columns))
    if columns == "before":
        sweep(rows @ rows.T, moves, lambda products, *_: products.clamp(max=0), "after")
        both = plain_sweep(rows, plain_sweep(rows, rows, "before"), "after")
        torch.testing.assert_close(rows + moves.T @ rows, both)


@pytest.mark.parametrize("seed", range(6))
def test_cagrad_with_more_tasks_than_dimensions_is_that_of_its_dual(seed: int) -> None:
    """0 is a mean of 12 gradients in 6 dimensions; the paper's dual by SciPy says which value can be had."""
    rows = torch.randn(12, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mean, radius = rows.mean(0), 0.5
    update = mean + largest_least_descent(unit_gram(rows @ rows.T), radius) @ rows
    assert (update - mean).norm() <= radius * mean.norm() * (1 + 1e-5)

    def dual(shares: np.ndarray) -> float:
        mixed = shares @ rows.numpy()
        return float(mixed @ mean.numpy() + radius * float(mean.norm()) * np.sqrt(mixed @ mixed + 1e-18))

    sums_to_one = {"type": "eq", "fun": lambda shares: shares.sum() - 1}
    starts = [np.full(12, 1 / 12), *np.random.default_rng(0).dirichlet(np.ones(12), 4)]
    found = [
        minimize(dual, start, method="SLSQP", bounds=[(0, 1)] * 12, constraints=sums_to_one)
        for start in starts
    ]
    assert float((rows @ update).min()) == pytest.approx(min(each.fun for each in found), abs=1e-5)
