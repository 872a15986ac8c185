"""Asymmetric loss: focal loss that looks away from easy inactives, and from the easiest altogether."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from .contract import Loss, losses
from .focal import Gamma, focal, focal_slopes

Shift = Annotated[float, Field(ge=0, lt=1)]


@losses.register("asymmetric")
class Asymmetric(Loss):
    r"""Asymmetric loss: actives and inactives focus each with their own exponent, inactives after a shift.

    Of an active, with p = sigmoid(logit): (1 - p)^gamma_pos * (-log p). Of an inactive, with
    q = max(p - shift, 0): q^gamma_neg * (-log(1 - q)); below the shift it does not count at all. With both
    exponents and the shift at 0 it is cross-entropy. Slopes are those of the whole expression (the authors'
    code can leave out those of the focusing factor).

    Parameters
    ----------
    gamma_pos : from 0 to 20; how much less an active counts that is right already.
    gamma_neg : from 0 to 20; how much less an inactive counts that is right already.
    shift : from 0 to below 1, the paper's margin m, `clip` in the authors' code.

    References
    ----------
    Ridnik et al., Asymmetric loss for multi-label classification, ICCV 2021,
    https://arxiv.org/abs/2009.14119, equations 4 to 7. The defaults are those of the authors' code
    (Alibaba-MIIL/ASL, MIT).
    """

    def __init__(
        self,
        labels: Tensor | None = None,
        *,
        gamma_pos: Gamma = 1.0,
        gamma_neg: Gamma = 4.0,
        shift: Shift = 0.05,
    ) -> None:
        super().__init__(labels)
        for name, gamma in (("gamma_pos", gamma_pos), ("gamma_neg", gamma_neg)):
            if not 0 <= gamma <= 20:
                raise ValueError(f"{name} is {gamma}; expected from 0 to 20.")
        if not 0 <= shift < 1:
            raise ValueError(f"shift is {shift}; expected at least 0 and below 1.")
        self.gamma_pos, self.gamma_neg, self.shift = gamma_pos, gamma_neg, shift

    def cell_values(self, logits: Tensor, labels: Tensor) -> Tensor:
        shifted, log_rest = self._shifted(logits)
        return torch.where(labels == 1, focal(logits, self.gamma_pos), -(shifted**self.gamma_neg) * log_rest)

    def cell_slopes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of an inactive: p (1 - p) (gamma q^(gamma - 1) (-log(1 - q)) + q^gamma / (1 - q))."""
        gamma, (shifted, log_rest) = self.gamma_neg, self._shifted(logits)
        chance, log_other = torch.sigmoid(logits), functional.logsigmoid(-logits)
        focusing = -gamma * shifted ** (gamma - 1) * log_other.exp() * log_rest
        slopes = chance * (focusing + shifted**gamma * (log_other - log_rest).exp())
        negatives = torch.where(chance > self.shift, slopes, 0.0)
        return torch.where(labels == 1, focal_slopes(logits, self.gamma_pos), negatives)

    def _shifted(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """q, above 0 by the least that powers of it are finite, and log(1 - q)."""
        shifted = (torch.sigmoid(logits) - self.shift).clamp(min=torch.finfo(logits.dtype).tiny)
        log_shift = logits.new_tensor(math.log(self.shift) if self.shift else -math.inf)
        return shifted, torch.logaddexp(functional.logsigmoid(-logits), log_shift).clamp(max=0)
