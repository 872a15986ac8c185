"""Real assays in exported networks: from outputs to values, and from these to the unit of the user.

The same as `Targets.put_values` and `in_units`, as networks. Called by `exporting`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..data.assay_kinds import Assay
from ..data.transforms import MOLAR
from ..models.targets import Targets


class Answers(nn.Module):
    """Outputs [B, K] float64 of all members to probabilities and values on the scale of training.

    Parameters
    ----------
    targets : of the T assays.
    columns : K, the assay of each output.
    """

    is_real: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, targets: Targets, columns: Sequence[int]) -> None:
        super().__init__()
        taken = targets.take(columns)
        for name in ("is_real", "mean", "deviation"):
            self.register_buffer(name, torch.from_numpy(getattr(taken, name).copy()))

    def forward(self, outputs: Tensor) -> Tensor:
        return torch.where(self.is_real, self.mean + self.deviation * outputs, outputs.sigmoid())


class InUnits(nn.Module):
    """Values [B, T] float64 of the scale of training in the users' units; classes stay.

    A logarithm is undone by exp(rate * value + shift), a logit of percentages by 100 / (1 + exp(-value)).
    """

    rate: Tensor
    shift: Tensor
    is_logarithm: Tensor
    is_logit: Tensor

    def __init__(self, assays: Sequence[Assay]) -> None:
        super().__init__()
        rates = {"log10": math.log(10), "neg_log10_molar": -math.log(10)}
        names = [assay.transform if assay.is_real else "none" for assay in assays]
        molar = [name == "neg_log10_molar" for name in names]
        shifts = [
            -math.log(MOLAR[assay.unit]) if is_molar else 0.0
            for assay, is_molar in zip(assays, molar, strict=True)
        ]
        rate = torch.tensor([rates.get(name, 0.0) for name in names], dtype=torch.float64)
        self.register_buffer("rate", rate)
        self.register_buffer("shift", torch.tensor(shifts, dtype=torch.float64))
        self.register_buffer("is_logarithm", torch.tensor([name in rates for name in names]))
        self.register_buffer("is_logit", torch.tensor([name == "logit" for name in names]))

    def forward(self, values: Tensor) -> Tensor:
        raised = (self.rate * values + self.shift).exp()
        values = torch.where(self.is_logarithm, raised, values)
        return torch.where(self.is_logit, 100 * values.sigmoid(), values)
