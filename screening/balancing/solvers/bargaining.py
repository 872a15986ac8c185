"""Bargaining: shares of a common step in which no task gains but at the cost of others."""

from torch import Tensor

from .linear_systems import HUGE, NOISE, TOLERANCE, solve


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
    shares = _fair_shares(matrix, scales, power, start, 0.0)
    if float((shares / start).max()) > HUGE:
        shares = _fair_shares(matrix, scales, power, start, NOISE)
    return shares


def orthogonal_shares(scales: Tensor, power: float) -> Tensor:
    """What `fair_shares` gives if the matrix is the identity."""
    return scales ** (1 / (1 + power))


def _fair_shares(matrix: Tensor, scales: Tensor, power: float, start: Tensor, ridge: float) -> Tensor:
    def residual(shares: Tensor) -> Tensor:
        return matrix @ shares + ridge * shares - scales * shares**-power

    shares = start
    rest = residual(shares)
    for _ in range(100):
        goal = scales * shares**-power
        if float((rest / goal).abs().max()) < TOLERANCE or float((shares / start).max()) > HUGE:
            break
        move = solve(matrix, -rest, shift=ridge + power * goal / shares)
        slope = float(move @ rest)
        fall, growth = float((-move / shares).max()), float((move / shares).max())
        length = min(1.0, 0.9 / max(fall, 1e-300), 9 / max(growth, 1e-300))
        ahead = residual(shares + length * move)
        while float(move @ ahead) > -0.5 * slope and length > 1e-9:  # beyond the minimum, and far
            length /= 2
            ahead = residual(shares + length * move)
        shares, rest = shares + length * move, ahead
        if float((move / shares).abs().max()) < TOLERANCE:
            break
    return shares
