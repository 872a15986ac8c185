"""Aligned-MTL: make the gradients orthogonal and of one length."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..contract import Balancer, register
from ..solvers.unit_gradients import working_dtype
from ..step import PresentStep


@register("aligned_mtl")
class AlignedMtl(Balancer):
    r"""Independent component alignment: w = s * G^(-1/2) 1, with the eigenvalues of G that are not 0.

    The weighed system of gradients then has one singular value, s. As in the authors' code an eigenvalue
    counts as 0 below n * 1.2e-7 (float32) of the largest, and from 128 tasks on the decomposition is done in
    float32, as theirs is.

    Parameters
    ----------
    scale : s: root of the smallest eigenvalue that is not 0 ("min", the paper), of their median, or of
        their mean ("rmse").

    References
    ----------
    Senushkin, Patakin, Kuznetsov, Konushin: Independent Component Alignment for Multi-Task Learning, CVPR
    2023, https://arxiv.org/abs/2305.19000, algorithm 1.
    """

    needs = "gram"
    weighs_heads = False

    def __init__(self, tasks: Sequence[str], *, scale: Literal["min", "median", "rmse"] = "min") -> None:
        super().__init__(tasks)
        if scale not in ("min", "median", "rmse"):
            raise ValueError(f"scale is {scale!r}; expected 'min', 'median' or 'rmse'.")
        self.scale = scale

    def weigh_present(self, step: PresentStep) -> Tensor:
        size = step.gram.diagonal().max()
        if not size > 0:
            return torch.zeros_like(step.losses)
        values, vectors = torch.linalg.eigh((step.gram / size).to(working_dtype(len(step.gram))))
        kept = values > values[-1] * len(values) * torch.finfo(torch.float32).eps
        values, vectors = values[kept], vectors[:, kept]
        scale = {"min": values[0], "median": values.median(), "rmse": values.mean()}[self.scale].sqrt()
        return (scale * (vectors @ (vectors.sum(0) / values.sqrt()))).double()
