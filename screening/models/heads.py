"""From the representation of a molecule to one logit per task: all tasks in one tensor operation."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .dropout import dropout


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
    """

    def __init__(self, width: int, n_tasks: int, hidden: int = 0, dropout: float = 0.0) -> None:
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
        self.weight = nn.Parameter(torch.empty(n_tasks, hidden or width))
        self.bias = nn.Parameter(torch.zeros(n_tasks))
        if hidden:
            self.private_weight = nn.Parameter(torch.empty(n_tasks, width, hidden))
            self.private_bias = nn.Parameter(torch.zeros(n_tasks, hidden))
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
        """Draw the weights as `nn.Linear` does, uniform within 1/sqrt(inputs), and set the biases to 0."""
        bound = 1 / math.sqrt(self.hidden or self.width)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)
        if self.hidden:
            bound = 1 / math.sqrt(self.width)
            nn.init.uniform_(self.private_weight, -bound, bound)
            nn.init.zeros_(self.private_bias)

    @torch.no_grad()
    def start_at(self, logits: Tensor) -> None:
        """Set the biases to logits [T], such as those of the best constant prediction (`Loss.start`).

        Without this, the first epochs on 1 % actives are spent on moving the biases.
        """
        self.bias.copy_(logits)

    def take(self, tasks: Sequence[int]) -> "TaskHeads":
        """Heads of some of the tasks, in that order, with copies of their weights."""
        heads = TaskHeads(self.width, len(tasks), hidden=self.hidden, dropout=self.dropout)
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
