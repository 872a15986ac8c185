"""Small dense problems on the n x n Gramian of n tasks: quadratic programs, bargaining, projections in turn.

Called by balancers. Everything is float64 and made for n in the hundreds: no solver that leaves the device,
no loop over pairs of tasks. All work is done on unit gradients (`unit_gram`), where the matrix of cosines is
nearly diagonal in practice, so that conjugate gradients need a dozen products with it; a Cholesky factor is
the way out when they do not.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

TOLERANCE = 1e-9
"""Relative residual at which a system, a quadratic program or a bargaining problem counts as solved."""
RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4)
"""Shares of the diagonal added to it until a Cholesky factor exists; the first is invisible at TOLERANCE."""
PRODUCTS = 40
"""Products with the matrix after which conjugate gradients are dearer than a Cholesky factor."""
PIVOTS = 15
"""Exchanges of the active set before the interior point method takes over."""
NOISE = 1e-6
"""Added to the diagonal of cosines that have no inverse: float32 products may leave eigenvalues of -1e-7."""
HUGE = 1e3
"""Coefficients of unit gradients beyond this are made of rounding, and are found again with NOISE added."""
HARDLY = 1e-3
"""Length of a mean of gradients that counts as 0, as a share of the shortest gradient."""
RANK = 1e-6
"""Eigenvalues below this share of the largest are rounding: the entries of a Gramian are float32 products."""
BLOCK = 32
"""Projections in turn that are done together."""
SETTLED = 100
"""Rounding errors by which a step may still change when a block of them counts as done."""
SINGLE = 128
"""From so many tasks on, what takes longest is done in float32, like the products a Gramian is made of."""


Columns = Literal["all", "others", "before", "after"]


class UnitGram(NamedTuple):
    """Gradients by direction and length."""

    cosines: Tensor
    """[n, n] inner products of the unit gradients; diagonal 1, also for a gradient of length 0."""
    norms: Tensor
    """[n] lengths."""

    def per_gradient(self, coefficients: Tensor) -> Tensor:
        """Factors [n] on the gradients for factors [n] on the unit gradients; 0 where the length is 0."""
        return torch.where(self.norms > 0, coefficients / self.norms, 0.0)

    def in_order(self, order: Tensor) -> "UnitGram":
        """Those of the gradients `order` [m] int64, with cosines in `working_dtype`."""
        cosines = self.cosines.to(working_dtype(len(self.norms)))
        return UnitGram(cosines.index_select(0, order).index_select(1, order), self.norms[order])


def unit_gram(gram: Tensor) -> UnitGram:
    """Cosines and lengths of gradients with the inner products `gram` [n, n]."""
    norms = gram.diagonal().clamp(min=0).sqrt()
    inverse = torch.where(norms > 0, 1 / norms, 0.0)
    cosines = (gram * inverse[:, None] * inverse).clamp_(-1, 1)
    return UnitGram(cosines.fill_diagonal_(1), norms)


def distribute(shares: Tensor, total: float | Tensor) -> Tensor:
    """`shares` [n] times the factor above 0 that brings the sum of |shares| to `total`; all 0 stays 0."""
    size = shares.abs().sum()
    return torch.where(size > 0, shares * (total / size), 0.0)


def project_to_simplex(point: Tensor) -> Tensor:
    """The nearest x [n] with x >= 0 and sum 1.

    References
    ----------
    Held, Wolfe, Crowder: Validation of subgradient optimization, Math. Program. 6, 1974,
    https://doi.org/10.1007/BF01580223.
    """
    ordered = (point - point.max()).sort(descending=True).values
    excess = (ordered.cumsum(0) - 1) / torch.arange(1, len(point) + 1, device=point.device)
    return (point - point.max() - excess[(ordered > excess).sum() - 1]).clamp(min=0)


# Linear systems


def solve(
    matrix: Tensor, right: Tensor, *, shift: Tensor | None = None, among: Tensor | None = None
) -> Tensor:
    """x [n] with (matrix + diag(shift)) x = right in the rows and columns `among`; 0 outside.

    Parameters
    ----------
    matrix : [n, n] symmetric positive semi-definite.
    right : [n].
    shift : [n], at least 0; None = 0.
    among : [n] bool; None = all.
    """
    found, is_solved = _conjugate_gradients(matrix, right, shift, among, PRODUCTS)
    return found if is_solved else _cholesky_solve(matrix, right, shift, among)


def pseudo_solve(matrix: Tensor, right: Tensor) -> Tensor:
    """The shortest x [n] that comes nearest to matrix x = right.

    The matrix is symmetric and positive semi-definite. Eigenvalues below RANK times the largest count as 0.
    """
    found, is_solved = _conjugate_gradients(matrix, right, None, None, 5 * PRODUCTS)
    if is_solved:
        return found
    values, vectors = torch.linalg.eigh(matrix)
    inverse = torch.where(values > RANK * values[-1], 1 / values, 0.0)
    return vectors @ (inverse * (vectors.T @ right))


def _conjugate_gradients(
    matrix: Tensor, right: Tensor, shift: Tensor | None, among: Tensor | None, products: int
) -> tuple[Tensor, bool]:
    """Hestenes and Stiefel's method with the diagonal as preconditioner, and whether it came to an end."""
    diagonal = matrix.diagonal() if shift is None else matrix.diagonal() + shift
    inverse = 1 / diagonal if among is None else torch.where(among, 1 / diagonal, 0.0)
    found = torch.zeros_like(right)
    residual = right if among is None else torch.where(among, right, 0.0)
    ahead = inverse * residual
    direction, size = ahead, float(residual @ ahead)
    goal = TOLERANCE**2 * size
    for _ in range(products):
        if size <= goal:
            return found, True
        image = matrix @ direction
        if shift is not None:
            image = image + shift * direction
        if among is not None:
            image = torch.where(among, image, 0.0)
        curvature = float(direction @ image)
        if not curvature > 0:
            break
        found = found + size / curvature * direction
        residual = residual - size / curvature * image
        ahead = inverse * residual
        before, size = size, float(residual @ ahead)
        direction = ahead + size / before * direction
    return found, size <= goal


def _cholesky_solve(matrix: Tensor, right: Tensor, shift: Tensor | None, among: Tensor | None) -> Tensor:
    rows = torch.arange(len(right), device=right.device) if among is None else among.nonzero().squeeze(1)
    part = matrix[rows[:, None], rows]
    if shift is not None:
        part = part + torch.diag(shift[rows])
    factor = cholesky(part)
    found = torch.zeros_like(right[rows])
    for _ in range(2):  # the second time takes out what the ridge did
        rest = right[rows] - part @ found
        found = found + torch.cholesky_solve(rest[:, None], factor).squeeze(1)
    return torch.zeros_like(right).index_copy(0, rows, found)


def cholesky(matrix: Tensor) -> Tensor:
    """Lower factor of a symmetric matrix whose eigenvalues are at least 0 up to rounding."""
    for ridge in RIDGES:
        ridged = matrix + torch.diag(ridge * matrix.diagonal())
        factor, failed = torch.linalg.cholesky_ex(ridged)
        if not failed.item():
            break
    return factor


# Quadratic programs


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
        found = solve(matrix, linear, among=passive)
        slack = matrix @ found - linear
        tolerance = TOLERANCE * max(1.0, float(found.abs().max()))
        wrong = torch.where(passive, found < -tolerance, slack < -tolerance)
        n_wrong = int(wrong.sum())
        if float(found.abs().max()) > HUGE:
            break
        if n_wrong == 0:
            return scale * found.clamp(min=0)
        patience = 3 if n_wrong < fewest else patience - 1
        fewest = min(fewest, n_wrong)
        if patience < 0:
            break
        passive = passive ^ wrong
    return scale * _interior_minimum(matrix, linear)


def _interior_minimum(matrix: Tensor, linear: Tensor) -> Tensor:
    """The same with NOISE added, by Mehrotra's predictor and corrector; |linear| at most 1."""
    matrix = matrix + NOISE * torch.eye(len(linear), dtype=linear.dtype, device=linear.device)
    found, slack = torch.ones_like(linear), torch.ones_like(linear)
    for _ in range(60):
        rest = linear - matrix @ found + slack
        gap = float(found @ slack) / len(found)
        if gap < TOLERANCE**1.5 and float(rest.abs().max()) < TOLERANCE:
            break
        factor = cholesky(matrix + torch.diag(slack / found))

        def newton(target: Tensor) -> tuple[Tensor, Tensor]:
            right = (rest - slack + target / found)[:, None]  # noqa: B023
            move = torch.cholesky_solve(right, factor).squeeze(1)  # noqa: B023
            return move, (target - slack * move) / found - slack  # noqa: B023

        move, other = newton(torch.zeros_like(found))
        length = min(_longest(found, move), _longest(slack, other))
        ahead = float((found + length * move) @ (slack + length * other)) / len(found)
        centre = (ahead / gap) ** 3 * gap
        move, other = newton(centre - move * other)
        length = 0.995 * min(_longest(found, move), _longest(slack, other))
        found, slack = found + length * move, slack + length * other
    return found


def _longest(values: Tensor, move: Tensor) -> float:
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
    found = torch.zeros_like(cosines)

    def take(products: Tensor, guess: Tensor, tasks: slice, columns: slice) -> Tensor:
        return torch.minimum(products, found[tasks])

    for _ in range(1000):
        before = found.clone()
        sweep(cosines, found, take)
        if float((found - before).norm()) <= tolerance * float(found.norm()):
            break
    return found.double()


def largest_least_descent(unit: UnitGram, radius: float) -> Tensor:
    """x [n] >= 0 of the d = g0 + sum_i x_i g_i with the largest min_i g_i . d within |d - g0| <= radius |g0|.

    g0 is the mean gradient. For a given value of the maximum, x is the minimum of a quadratic program; the
    length of d - g0 grows with the value and is the root of a quadratic function between changes of the
    active set, so a few steps of Newton's method, held in a bracket, find the value to 1e-6 of the radius.
    If no d improves every task, that is, if some mean of the gradients is shorter than HARDLY times the
    shortest of them, x is that of the projection of g0 on the dual cone.
    """
    norms, cosines = unit.norms, unit.cosines
    inverse = unit.per_gradient(torch.ones_like(norms))
    along = cosines @ norms / len(norms)  # g0 along each unit gradient
    wanted = radius * float((norms @ along / len(norms)).clamp(min=0).sqrt())
    if wanted == 0:
        return torch.zeros_like(norms)
    shares = best = nonnegative_minimum(cosines, -along)
    mean = nonnegative_minimum(cosines, inverse)  # the shortest mean of the gradients, times a number
    shortest = float((mean @ cosines @ mean).clamp(min=0).sqrt() / (inverse @ mean))
    if shortest < HARDLY * float(norms[norms > 0].min()):
        return unit.per_gradient(best)
    low, high, value = -float("inf"), float("inf"), 0.0
    for _ in range(40):
        length = float((shares @ cosines @ shares).clamp(min=0).sqrt())
        if length <= wanted:
            low, best = value, shares
        else:
            high = value
        if abs(length - wanted) <= 1e-6 * wanted:
            return unit.per_gradient(shares)
        active = shares > 0
        if active.any():
            value = _value_on_face(cosines, inverse, along, active, wanted)
        else:  # below the value at which the first task gets active
            first = (along * norms).where(norms > 0, float("inf")).argmin()
            value = float((along[first] + wanted) * norms[first])
        if not low < value < high:
            if low == -float("inf"):
                value = high - 2 * abs(high) - wanted * float(norms.mean())
            elif high == float("inf"):
                value = low + 2 * abs(low) + wanted * float(norms.mean())
            else:
                value = (low + high) / 2
        shares = nonnegative_minimum(cosines, value * inverse - along, passive=active)
    return unit.per_gradient(best)


def _value_on_face(cosines: Tensor, inverse: Tensor, along: Tensor, active: Tensor, wanted: float) -> float:
    """The value at which the solution with these active tasks has the wanted length; NaN if there is none."""
    growth, offset = solve(cosines, inverse, among=active), solve(cosines, along, among=active)
    square, middle, rest = float(growth @ inverse), float(growth @ along), float(offset @ along)
    discriminant = middle**2 - square * (rest - wanted**2)
    if not square > 0 or discriminant < 0:
        return float("nan")
    return (middle + discriminant**0.5) / square


# Bargaining


def fair_shares(matrix: Tensor, scales: Tensor, power: float) -> Tensor:
    """y [n] > 0 with (My)_i = scales_i * y_i^(-power) for all i, to TOLERANCE of one or the other.

    It is the minimum of the strictly convex y'My/2 - sum_i scales_i * y_i^(1 - power) / (1 - power), found by
    Newton's method, in which no y falls to less than a tenth or grows to more than tenfold in a step. If the
    minimum lies at infinity, or so far that y is HUGE, NOISE is added to the diagonal of M.

    Parameters
    ----------
    matrix : M [n, n], symmetric positive semi-definite with a diagonal of 1.
    scales : [n], above 0.
    power : above 0; 1 = Nash's bargaining solution.
    """
    start = orthogonal_shares(scales, power)
    found = _fair_shares(matrix, scales, power, start, 0.0)
    if float((found / start).max()) > HUGE:
        found = _fair_shares(matrix, scales, power, start, NOISE)
    return found


def orthogonal_shares(scales: Tensor, power: float) -> Tensor:
    """What `fair_shares` gives if the matrix is the identity."""
    return scales ** (1 / (1 + power))


def _fair_shares(matrix: Tensor, scales: Tensor, power: float, start: Tensor, ridge: float) -> Tensor:
    def residual(shares: Tensor) -> Tensor:
        return matrix @ shares + ridge * shares - scales * shares**-power

    found = start
    rest = residual(found)
    for _ in range(100):
        wanted = scales * found**-power
        if float((rest / wanted).abs().max()) < TOLERANCE or float((found / start).max()) > HUGE:
            break
        move = solve(matrix, -rest, shift=ridge + power * wanted / found)
        slope = float(move @ rest)
        fall, growth = float((-move / found).max()), float((move / found).max())
        length = min(1.0, 0.9 / max(fall, 1e-300), 9 / max(growth, 1e-300))
        ahead = residual(found + length * move)
        while float(move @ ahead) > -0.5 * slope and length > 1e-9:  # beyond the minimum, and far
            length /= 2
            ahead = residual(found + length * move)
        found, rest = found + length * move, ahead
        if float((move / found).abs().max()) < TOLERANCE:
            break
    return found


# Projections in turn


def working_dtype(n_tasks: int) -> torch.dtype:
    """The type of numbers for the longest computations with so many tasks."""
    return torch.float32 if n_tasks >= SINGLE else torch.float64


def sweep(
    cosines: Tensor,
    moves: Tensor,
    take: Callable[[Tensor, Tensor, slice, slice], Tensor],
    columns: Columns = "all",
    settle: Callable[[Tensor, Tensor, slice, slice], None] | None = None,
) -> None:
    """Let the unit gradients j, in order, take their parts out of combinations of all of them, in place.

    Combination i is u_i + sum_k moves[k, i] u_k. For j = 0, 1, ..., with the inner products p of u_j and the
    combinations: moves[j] -= take(p). Done for BLOCK tasks j at a time: within a block, a step acts on later
    ones through the small matrix of their cosines, so all steps of the block are guessed at once, and
    guessed again with what the earlier ones do to the later, until nothing changes (in the worst case BLOCK
    times, by when the last is right; usually five times).

    Parameters
    ----------
    cosines : [n, n] inner products of the unit gradients.
    moves : [n, n].
    take : the steps [k, m] from the products [k, m] of tasks j with combinations i, the steps as guessed
        before, and the slices of j and i. A step may depend on those guessed for the same i and earlier j.
    columns : which combinations i task j acts on: all, the others, those with i < j ("before"), or with i > j
        ("after"). A sweep "before" has to be the first, with `moves` 0.
    settle : called after each block with the products and the steps, both 0 where j does not act, and the
        slices.
    """
    n = len(cosines)
    close = SETTLED * torch.finfo(cosines.dtype).eps
    for start in range(0, n, BLOCK):
        tasks = slice(start, min(start + BLOCK, n))
        acted = slice(start if columns == "after" else 0, tasks.stop if columns == "before" else n)
        known = start if columns == "before" else n
        first = start - acted.start
        fixed = torch.addmm(cosines[tasks, acted], cosines[tasks, :known], moves[:known, acted])
        inner = cosines[tasks, tasks].tril(-1)
        products, before = fixed, torch.zeros_like(fixed)
        steps = _acting(take(products, before, tasks, acted), first, columns)
        for guess in range(tasks.start, tasks.stop):
            if guess - start > 1 and float((steps - before).abs_().max()) <= close:
                break
            products, before = torch.addmm(fixed, inner, steps, alpha=-1), steps
            steps = _acting(take(products, before, tasks, acted), first, columns)
        moves[tasks, acted] -= steps
        if settle is not None:
            settle(_acting(products, first, columns), steps, tasks, acted)


def _acting(steps: Tensor, first: int, columns: Columns) -> Tensor:
    """`steps` [k, m] with 0 where task j does not act; combination `first` is that of the first task."""
    own = steps[:, first : first + len(steps)]
    if columns == "others":
        own.fill_diagonal_(0)
    elif columns == "before":
        own.tril_(-1)
    elif columns == "after":
        own.triu_(1)
    return steps
