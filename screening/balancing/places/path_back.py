"""From the features back to a layer of the encoder, cell by cell and not task by task.

What lies between acts on each unit alone (activation, dropout, a sum over the atoms of a molecule), but for
normalisations, of which the encoder gives the list. Called by last_layer.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .tape import Calls


class Pulled(NamedTuple):
    """Derivatives by the outputs of a layer, a row of the layer for each."""

    slopes: Tensor
    """[e, d]"""
    rows: Tensor
    """[e] int64, of the layer."""
    cells: Tensor
    """[e] int64 ascending, which of the cells each belongs to."""


@dataclass(frozen=True)
class Stage:
    """What lies between two places of an encoder with A and M rows, and the normalisation before it."""

    factors: tuple[Tensor, ...]
    """[M, d] each, derivative of the upper units k, d + k, 2 d + k ... by the lower unit k, gain included."""
    starts: Tensor | None
    """[A] int64, first of the M rows of each upper row; None = they are the same rows."""
    lengths: Tensor | None
    """[A] int64, how many."""
    normal: Tensor | None = None
    """[M, d] the normalised inputs of the normalisation; None without one."""
    scale: Tensor | None = None
    """[M, 1] 1 / their standard deviation before."""

    @classmethod
    def of(
        cls,
        upper: Tensor,
        lower: Tensor,
        norm: tuple[nn.LayerNorm, Tensor] | None,
        n_rows: Tensor | None,
        dtype: torch.dtype,
    ) -> "Stage":
        """From tensors with their graph; `norm` that gave `lower` and its inputs, `n_rows` [A] if A != M."""
        d = lower.shape[1]
        factors = []
        for start in range(0, upper.shape[1], d):
            ones = torch.zeros_like(upper)
            ones[:, start : start + d] = 1
            factor = torch.autograd.grad(upper, lower, ones, retain_graph=True)[0].to(dtype)
            has_gain = norm is not None and norm[0].weight is not None
            factors.append(factor * norm[0].weight.detach().to(dtype) if has_gain and norm else factor)
        starts = None if n_rows is None else n_rows.cumsum(0) - n_rows
        if norm is None:
            return cls(tuple(factors), starts, n_rows)
        given = norm[1].detach().to(dtype)
        normal, _, scale = torch.native_layer_norm(given, (d,), None, None, norm[0].eps)
        return cls(tuple(factors), starts, n_rows, normal, scale)

    def back(self, above: Pulled) -> Pulled:
        """One stage down."""
        rows, cells, slopes = above.rows, above.cells, above.slopes
        blocks = slopes.split(self.factors[0].shape[1], dim=1)
        if self.starts is not None and self.lengths is not None:
            lengths = self.lengths[rows]
            of = torch.repeat_interleave(lengths)
            first = (lengths.cumsum(0) - lengths)[of]
            rows = self.starts[rows][of] + torch.arange(len(of), device=of.device) - first
            cells, blocks = cells[of], tuple(block.index_select(0, of) for block in blocks)
        slopes = self.factors[0].index_select(0, rows).mul_(blocks[0])
        for factor, block in zip(self.factors[1:], blocks[1:], strict=True):
            slopes.addcmul_(factor.index_select(0, rows), block)
        if self.normal is not None and self.scale is not None:
            normal = self.normal.index_select(0, rows)
            along = torch.linalg.vecdot(normal, slopes).unsqueeze(1) / slopes.shape[1]
            slopes -= slopes.mean(1, keepdim=True)
            slopes.addcmul_(normal, along, value=-1).mul_(self.scale[rows])
        return Pulled(slopes, rows, cells)


@dataclass(frozen=True)
class PathBack:
    """All stages between the features and a layer, from above."""

    stages: tuple[Stage, ...]
    n_rows: Tensor
    """[B] int64, rows of the layer that each molecule has."""
    width: int
    """Outputs of the layer."""

    @classmethod
    def of(
        cls,
        features: Tensor,
        layer: nn.Linear,
        norms: Sequence[nn.LayerNorm],
        calls: Calls,
        molecule: Tensor | None,
        dtype: torch.dtype,
    ) -> "PathBack | None":
        """The path of one pass, or None where the layers were not called once, or on other rows.

        Parameters
        ----------
        norms : between layer and features, in the order of the pass.
        molecule : [N] int64 ascending, of each atom; None where there are none.
        dtype : to compute in.
        """
        if any(len(calls.get(module, ())) != 1 for module in (layer, *norms)):
            return None
        ones, n_rows = torch.ones(len(features), dtype=torch.int64, device=features.device), None
        upper, stages = features, []
        for module in (*reversed(norms), layer):
            given, lower = calls[module][0]
            lengths = None
            if len(lower) != len(upper):
                if molecule is None or len(molecule) != len(lower) or len(upper) != len(features):
                    return None
                lengths = n_rows = molecule.bincount(minlength=len(features))
            norm = (module, given) if isinstance(module, nn.LayerNorm) else None
            stages.append(Stage.of(upper, lower, norm, lengths, dtype))
            upper = given
        return cls(tuple(stages), ones if n_rows is None else n_rows, layer.out_features)

    def back(self, gradients: Tensor, molecules: Tensor) -> Pulled:
        """Of C cells from their gradients by the features [C, d of these] of `molecules` [C]."""
        pulled = Pulled(gradients, molecules, torch.arange(len(molecules), device=molecules.device))
        with torch.no_grad():
            for stage in self.stages:
                pulled = stage.back(pulled)
        return pulled
