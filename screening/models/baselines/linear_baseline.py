"""What logistic and ridge regression share: a line per assay on the inputs as the networks scale them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...features.store import GraphStore, VectorBlock
from ..layers import VectorScale
from .contract import Baseline, taken

Line = tuple[np.ndarray, float]
"""Weights [F] and a bias."""


class LinearBaseline(Baseline):
    """Lines, kept as weights [T, F].

    Counts become log(1 + c), real columns are standardised on the training molecules after a squashing
    (`layers.VectorScale`).
    """

    scale: VectorScale
    weight: Tensor
    """[T, F] float32, 0 where the assay has its base rate."""
    bias: Tensor
    """[T] float32"""

    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        self.scale = VectorScale(tuple(blocks)).eval()
        self.scale.fit(store, rows)

    def _prepared(self, vectors: Tensor) -> Tensor:
        return self.scale(vectors)

    def _keep(self, fitted: dict[int, Line], n_tasks: int) -> None:
        self.weight, self.bias = torch.zeros(n_tasks, self.scale.size), self.base.clone()
        for task, (weight, bias) in fitted.items():
            self.weight[task], self.bias[task] = torch.from_numpy(weight), bias

    def _logits(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight.T + self.bias

    def _arrays(self) -> dict[str, Tensor]:
        scale = {f"scale.{name}": value for name, value in self.scale.state_dict().items()}
        return {"weight": self.weight, "bias": self.bias, **scale}

    def _take(self, state: dict[str, Tensor], blocks: Sequence[VectorBlock], n_tasks: int) -> None:
        self.scale = VectorScale(tuple(blocks)).eval()
        self.weight = taken(state, "weight", (n_tasks, self.scale.size), torch.float32)
        self.bias = taken(state, "bias", (n_tasks,), torch.float32)
        for name, value in self.scale.state_dict().items():
            value.copy_(taken(state, f"scale.{name}", tuple(value.shape), torch.float32))


def logistic_line(
    inputs: np.ndarray, answer: np.ndarray, *, c: float, class_weight: str | None, iterations: int
) -> Line:
    """scikit-learn's logistic regression of classes 0 and 1, with an L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, class_weight=class_weight, max_iter=iterations).fit(inputs, answer)
    return model.coef_[0], float(model.intercept_[0])
