"""Symmetric systems: conjugate gradients, and a Cholesky factor where they take too long."""

import torch
from torch import Tensor

TOLERANCE = 1e-9
"""Relative residual at which a system, a quadratic program or a bargaining problem counts as solved."""
NOISE = 1e-6
"""Added to the diagonal of cosines that have no inverse: float32 products may leave eigenvalues of -1e-7."""
HUGE = 1e3
"""Coefficients of unit gradients beyond this are made of rounding, and are found again with NOISE added."""
RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4)
"""Shares of the diagonal added to it until a Cholesky factor exists; the first is invisible at TOLERANCE."""
PRODUCTS = 40
"""Products with the matrix after which conjugate gradients are dearer than a Cholesky factor."""
RANK = 1e-6
"""Eigenvalues below this share of the largest are rounding: the entries of a Gramian are float32 products."""


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
    solution, is_solved = _conjugate_gradients(matrix, right, shift, among, PRODUCTS)
    return solution if is_solved else _cholesky_solve(matrix, right, shift, among)


def pseudo_solve(matrix: Tensor, right: Tensor) -> Tensor:
    """The shortest x [n] that comes nearest to matrix x = right.

    The matrix is symmetric and positive semi-definite. Eigenvalues below RANK times the largest count as 0.
    """
    solution, is_solved = _conjugate_gradients(matrix, right, None, None, 5 * PRODUCTS)
    if is_solved:
        return solution
    values, vectors = torch.linalg.eigh(matrix)
    inverse = torch.where(values > RANK * values[-1], 1 / values, 0.0)
    return vectors @ (inverse * (vectors.T @ right))


def _conjugate_gradients(
    matrix: Tensor, right: Tensor, shift: Tensor | None, among: Tensor | None, products: int
) -> tuple[Tensor, bool]:
    """Hestenes and Stiefel's method with the diagonal as preconditioner, and whether it came to an end."""
    diagonal = matrix.diagonal() if shift is None else matrix.diagonal() + shift
    inverse = 1 / diagonal if among is None else torch.where(among, 1 / diagonal, 0.0)
    solution = torch.zeros_like(right)
    residual = right if among is None else torch.where(among, right, 0.0)
    ahead = inverse * residual
    direction, size = ahead, float(residual @ ahead)
    goal = TOLERANCE**2 * size
    for _ in range(products):
        if size <= goal:
            return solution, True
        image = matrix @ direction
        if shift is not None:
            image = image + shift * direction
        if among is not None:
            image = torch.where(among, image, 0.0)
        curvature = float(direction @ image)
        if not curvature > 0:
            break
        solution = solution + size / curvature * direction
        residual = residual - size / curvature * image
        ahead = inverse * residual
        before, size = size, float(residual @ ahead)
        direction = ahead + size / before * direction
    return solution, size <= goal


def _cholesky_solve(matrix: Tensor, right: Tensor, shift: Tensor | None, among: Tensor | None) -> Tensor:
    rows = torch.arange(len(right), device=right.device) if among is None else among.nonzero().squeeze(1)
    part = matrix[rows[:, None], rows]
    if shift is not None:
        part = part + torch.diag(shift[rows])
    factor = cholesky(part)
    solution = torch.zeros_like(right[rows])
    for _ in range(2):  # the second time takes out what the ridge did
        rest = right[rows] - part @ solution
        solution = solution + torch.cholesky_solve(rest[:, None], factor).squeeze(1)
    return torch.zeros_like(right).index_copy(0, rows, solution)


def cholesky(matrix: Tensor) -> Tensor:
    """Lower factor of a symmetric matrix whose eigenvalues are at least 0 up to rounding."""
    for ridge in RIDGES:
        ridged = matrix + torch.diag(ridge * matrix.diagonal())
        factor, failed = torch.linalg.cholesky_ex(ridged)
        if not failed.item():
            break
    return factor
