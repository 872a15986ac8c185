"""Convex quadratic programs over coefficients that are not below 0, of one gradient or of all at once."""

import torch
from torch import Tensor

from .linear_systems import HUGE, NOISE, TOLERANCE, cholesky, solve
from .projections import sweep
from .unit_gradients import UnitGram, working_dtype

PIVOTS = 15
"""Exchanges of the active set before the interior point method takes over."""
HARDLY = 1e-3
"""Length of a mean of gradients that counts as 0, as a share of the shortest gradient."""


def nonnegative_minimum(matrix: Tensor, linear: Tensor, *, passive: Tensor | None = None) -> Tensor:
    """y [n] >= 0 that minimises y'My/2 - linear'y, to TOLERANCE times the largest |linear|.

    If M is singular and the minimum lies at infinity, or M has eigenvalues below 0 from rounding, NOISE is
    added to its diagonal: y is finite, and My small.

    Parameters
    ----------
    matrix : M [n, n], symmetric positive semi-definite with a diagonal of 1.
    linear : [n].
    passive : [n] bool, guess where y is above 0; None = where `linear` is.

    References
    ----------
    Kim, Park: Fast Nonnegative Matrix Factorization: An Active-Set-Like Method and Comparisons, SIAM J. Sci.
    Comput. 33, 2011, https://doi.org/10.1137/110821172 (block principal pivoting). It can cycle: after three
    exchanges without progress Mehrotra's interior point method takes over.
    """
    scale = float(linear.abs().max())
    if scale == 0:
        return torch.zeros_like(linear)
    linear = linear / scale
    passive = linear > 0 if passive is None else passive
    fewest, patience = len(linear) + 1, 3
    for _ in range(PIVOTS):
        solution = solve(matrix, linear, among=passive)
        slack = matrix @ solution - linear
        tolerance = TOLERANCE * max(1.0, float(solution.abs().max()))
        wrong = torch.where(passive, solution < -tolerance, slack < -tolerance)
        n_wrong = int(wrong.sum())
        if float(solution.abs().max()) > HUGE:
            break
        if n_wrong == 0:
            return scale * solution.clamp(min=0)
        patience = 3 if n_wrong < fewest else patience - 1
        fewest = min(fewest, n_wrong)
        if patience < 0:
            break
        passive = passive ^ wrong
    return scale * _interior_minimum(matrix, linear)


def _interior_minimum(matrix: Tensor, linear: Tensor) -> Tensor:
    """The same with NOISE added, by Mehrotra's predictor and corrector; |linear| at most 1."""
    matrix = matrix + NOISE * torch.eye(len(linear), dtype=linear.dtype, device=linear.device)
    solution, slack = torch.ones_like(linear), torch.ones_like(linear)
    for _ in range(60):
        rest = linear - matrix @ solution + slack
        gap = float(solution @ slack) / len(solution)
        if gap < TOLERANCE**1.5 and float(rest.abs().max()) < TOLERANCE:
            break
        factor = cholesky(matrix + torch.diag(slack / solution))

        def newton(target: Tensor) -> tuple[Tensor, Tensor]:
            right = (rest - slack + target / solution)[:, None]  # noqa: B023
            move = torch.cholesky_solve(right, factor).squeeze(1)  # noqa: B023
            return move, (target - slack * move) / solution - slack  # noqa: B023

        move, other = newton(torch.zeros_like(solution))
        length = min(_longest_step(solution, move), _longest_step(slack, other))
        ahead = float((solution + length * move) @ (slack + length * other)) / len(solution)
        centre = (ahead / gap) ** 3 * gap
        move, other = newton(centre - move * other)
        length = 0.995 * min(_longest_step(solution, move), _longest_step(slack, other))
        solution, slack = solution + length * move, slack + length * other
    return solution


def _longest_step(values: Tensor, move: Tensor) -> float:
    """Longest step, at most 1, that keeps values + step * move above 0."""
    return min(1.0, 1 / max(float((-move / values).max()), 1e-300))


def nonnegative_minima(cosines: Tensor, tolerance: float) -> Tensor:
    """Y [n, n] >= 0 whose column i minimises |u_i + sum_j Y[j, i] u_j|: all unit gradients u at once.

    Projected Gauss-Seidel (Hildreth's method): one task after the other, for all i together. Each number is
    the best given the others, so a column never gets worse, and it is feasible at any time.

    Parameters
    ----------
    cosines : [n, n] inner products of the unit gradients.
    tolerance : sweeps end when the last changed Y by less than this share of it (Frobenius), or after 1000.

    References
    ----------
    Hildreth: A quadratic programming procedure, Nav. Res. Logist. Q. 4, 1957,
    https://doi.org/10.1002/nav.3800040113.
    """
    cosines = cosines.to(working_dtype(len(cosines)) if tolerance > 1e-5 else torch.float64)
    solution = torch.zeros_like(cosines)

    def take(products: Tensor, guess: Tensor, tasks: slice, columns: slice) -> Tensor:
        return torch.minimum(products, solution[tasks])

    for _ in range(1000):
        before = solution.clone()
        sweep(cosines, solution, take)
        if float((solution - before).norm()) <= tolerance * float(solution.norm()):
            break
    return solution.double()


def largest_least_descent(unit: UnitGram, radius: float) -> Tensor:
    """x [n] >= 0 of the d = g0 + sum_i x_i g_i with the largest min_i g_i . d within |d - g0| <= radius |g0|.

    g0 is the mean gradient. For a given value of the maximum, x is the minimum of a quadratic program; the
    length of d - g0 grows with the value and is the root of a quadratic function between changes of the
    active set, so a few steps of Newton's method, held in a bracket, find the value to 1e-6 of the radius.
    If no d improves every task, that is, if some mean of the gradients is shorter than HARDLY times the
    shortest of them, the value is 0 where a d in the ball harms none: x is then that of the projection of g0
    on the dual cone. Where that lies outside the ball, the value is below 0 and found as any other.
    """
    norms, cosines = unit.norms, unit.cosines
    inverse = unit.per_gradient(torch.ones_like(norms))
    along = cosines @ norms / len(norms)  # g0 along each unit gradient
    longest = radius * float((norms @ along / len(norms)).clamp(min=0).sqrt())
    if longest == 0:
        return torch.zeros_like(norms)
    shares = best = nonnegative_minimum(cosines, -along)
    mean = nonnegative_minimum(cosines, inverse)  # the shortest mean of the gradients, times a number
    shortest = float((mean @ cosines @ mean).clamp(min=0).sqrt() / (inverse @ mean))
    harmless = float((best @ cosines @ best).clamp(min=0).sqrt())
    if shortest < HARDLY * float(norms[norms > 0].min()) and harmless <= longest:
        return unit.per_gradient(best)
    low, high, value = -float("inf"), float("inf"), 0.0
    for _ in range(40):
        length = float((shares @ cosines @ shares).clamp(min=0).sqrt())
        if length <= longest:
            low, best = value, shares
        else:
            high = value
        if abs(length - longest) <= 1e-6 * longest:
            return unit.per_gradient(shares)
        active = shares > 0
        if active.any():
            value = _value_on_face(cosines, inverse, along, active, longest)
        else:  # below the value at which the first task gets active
            first = (along * norms).where(norms > 0, float("inf")).argmin()
            value = float((along[first] + longest) * norms[first])
        if not low < value < high:
            if low == -float("inf"):
                value = high - 2 * abs(high) - longest * float(norms.mean())
            elif high == float("inf"):
                value = low + 2 * abs(low) + longest * float(norms.mean())
            else:
                value = (low + high) / 2
        shares = nonnegative_minimum(cosines, value * inverse - along, passive=active)
    return unit.per_gradient(best)


def _value_on_face(cosines: Tensor, inverse: Tensor, along: Tensor, active: Tensor, longest: float) -> float:
    """The value at which the solution with these active tasks has that length; NaN if there is none."""
    growth, offset = solve(cosines, inverse, among=active), solve(cosines, along, among=active)
    square, middle, rest = float(growth @ inverse), float(growth @ along), float(offset @ along)
    discriminant = middle**2 - square * (rest - longest**2)
    if not square > 0 or discriminant < 0:
        return float("nan")
    return (middle + discriminant**0.5) / square
