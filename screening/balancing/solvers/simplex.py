"""The nearest point of the simplex."""

import torch
from torch import Tensor


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
