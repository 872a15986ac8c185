"""From the representation of a molecule to one logit per task: all tasks in one tensor operation."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .dropout import dropout

WIDEST = 4.0
"""Largest logarithm of a spread: beyond e^4 standard deviations of an assay a value is not known at all."""


class TaskHeads(nn.Module):
    """One linear head per task, or one private hidden layer and an output per task.

    `forward` is `readout(private(features))`. The part that differentiates (gradients.py) calls the two
    halves itself: all that a task does on its own happens behind `private`.

    Parameters
    ----------
    width : d, of the representation.
    n_tasks : T.
    hidden : k, units of each task's private layer; 0 = linear heads, for which balancing by gradients
        costs next to nothing. A private layer adds T * d * k parameters.
    dropout : share of the private units left out in training; 0 without a private layer.
    heteroscedastic : whether they also say how far off each value may be (`log_spreads`): T * (d + 1) more.
    """

    def __init__(
        self,
        width: int,
        n_tasks: int,
        hidden: int = 0,
        dropout: float = 0.0,
        heteroscedastic: bool = False,
    ) -> None:
        super().__init__()
        if hidden < 0:
            raise ValueError(f"hidden is {hidden}; expected 0 (linear heads) or more.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; expected at least 0 and below 1.")
        if dropout and not hidden:
            raise ValueError(
                "dropout of heads acts on their private layer: set hidden above 0, or dropout to 0."
            )
        self.width, self.n_tasks, self.hidden, self.dropout = width, n_tasks, hidden, dropout
        self.heteroscedastic = heteroscedastic
        self.weight = nn.Parameter(torch.empty(n_tasks, hidden or width))
        self.bias = nn.Parameter(torch.zeros(n_tasks))
        if hidden:
            self.private_weight = nn.Parameter(torch.empty(n_tasks, width, hidden))
            self.private_bias = nn.Parameter(torch.zeros(n_tasks, hidden))
        if heteroscedastic:
            self.spread_weight = nn.Parameter(torch.empty(n_tasks, width))
            self.spread_bias = nn.Parameter(torch.empty(n_tasks))
        self.reset_parameters()

    @classmethod
    def of(cls, linear: nn.Linear) -> "TaskHeads":
        """Linear heads that share the parameters of a layer with one output per task."""
        heads = cls(linear.in_features, linear.out_features)
        heads.weight = cast(nn.Parameter, linear.weight)  # the same parameters, not copies
        if linear.bias is None:
            heads.bias.requires_grad_(False)
        else:
            heads.bias = linear.bias
        return heads

    @property
    def is_linear(self) -> bool:
        """True if a task's logit is a linear function of the shared features."""
        return self.hidden == 0

    def reset_parameters(self) -> None:
        """Draw the weights as `nn.Linear` does, uniform within 1/sqrt(inputs), and set the biases to 0.

        Spreads start at 1, the same for every molecule.
        """
        bound = 1 / math.sqrt(self.hidden or self.width)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)
        if self.hidden:
            bound = 1 / math.sqrt(self.width)
            nn.init.uniform_(self.private_weight, -bound, bound)
            nn.init.zeros_(self.private_bias)
        if self.heteroscedastic:
            nn.init.zeros_(self.spread_weight)
            nn.init.zeros_(self.spread_bias)

    @torch.no_grad()
    def start_at(self, logits: Tensor) -> None:
        """Set the biases to logits [T], such as those of the best constant prediction (`Loss.start`).

        Without this, the first epochs on 1 % actives are spent on moving the biases.
        """
        self.bias.copy_(logits)

    @torch.no_grad()
    def start_spreads_at(self, log_spreads: Tensor) -> None:
        """Set the spreads of all molecules to these [T], logarithms of standard deviations."""
        self.spread_bias.copy_(log_spreads)

    def take(self, tasks: Sequence[int]) -> "TaskHeads":
        """Heads of some of the tasks, in that order, with copies of their weights."""
        heads = TaskHeads(self.width, len(tasks), self.hidden, self.dropout, self.heteroscedastic)
        chosen = torch.tensor(tasks, dtype=torch.int64, device=self.bias.device)
        heads.load_state_dict({name: value[chosen] for name, value in self.state_dict().items()})
        return heads.to(self.bias.device).train(self.training)

    def forward(self, features: Tensor) -> Tensor:
        """Logits [B, T] of features [B, d]."""
        return self.readout(self.private(features))

    def private(self, features: Tensor) -> Tensor:
        """What each task makes of features [B, d] for itself: [B, T, k]; with linear heads the features."""
        if self.is_linear:
            return features
        return torch.einsum("bd,tdk->btk", features, self.private_weight) + self.private_bias

    def readout(self, private: Tensor) -> Tensor:
        """Logits [B, T] of the result of `private`."""
        if self.is_linear:
            return functional.linear(private, self.weight, self.bias)
        units = dropout(functional.silu(private), self.dropout, self.training)
        return torch.einsum("btk,tk->bt", units, self.weight) + self.bias

    def log_spreads(self, features: Tensor) -> Tensor | None:
        """Logarithms [B, T] of the standard deviation of each value, of features [B, d].

        None unless the heads are heteroscedastic. A line on the features as they are: what a spread learns
        does not move the encoder, so that balancers see the losses' slopes by the values alone. Held within
        e^-4 and e^4, in standard deviations of the assay.
        """
        if not self.heteroscedastic:
            return None
        spreads = functional.linear(features.detach(), self.spread_weight, self.spread_bias)
        return WIDEST * torch.tanh(spreads.float() / WIDEST)

    @torch.no_grad()
    def feature_gradients(self, slopes: Tensor, tasks: Tensor | None = None) -> Tensor:
        """Derivative of each task's loss by the shared features: [B, T, d], B * T * d numbers.

        Parameters
        ----------
        slopes : derivative by each logit, [B, T], with linear heads; by the result of `private`, [B, T, k],
            otherwise.
        tasks : int64, the T tasks that `slopes` is of; None = all.
        """
        weight: Tensor = self.weight if self.is_linear else self.private_weight
        weight = weight if tasks is None else weight[tasks]
        if self.is_linear:
            return slopes.unsqueeze(2) * weight
        return torch.einsum("btk,tdk->btd", slopes, weight)

    @torch.no_grad()
    def cell_gradients(self, slopes: Tensor, tasks: Tensor) -> Tensor:
        """Derivative of a task's loss by the features of one molecule, of C such cells: [C, d].

        Parameters
        ----------
        slopes : as those of `feature_gradients`, of each cell: [C], or [C, k].
        tasks : int64 [C]
        """
        if self.is_linear:
            return slopes.unsqueeze(1) * self.weight.index_select(0, tasks)
        return torch.einsum("ck,cdk->cd", slopes, self.private_weight[tasks])
