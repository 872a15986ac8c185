"""A logistic regression per assay."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...features.store import GraphStore, VectorBlock
from ..layers import VectorScale
from .contract import Baseline, ClassWeight, Count, Positive, baselines, taken


@baselines.register("logistic_regression")
class LogisticRegression(Baseline):
    """A logistic regression per assay, with an L2 penalty, on the inputs as the networks scale them.

    Counts become log(1 + c), real values are standardised on the training molecules after a squashing
    (`layers.VectorScale`).

    Parameters
    ----------
    c : inverse of the strength of the penalty, as scikit-learn's C.
    class_weight : `balanced` gives both classes the same weight.
    iterations : at most so many steps of L-BFGS.
    """

    kind = "logistic_regression"
    scale: VectorScale
    weight: Tensor
    """[T, F] float32, 0 where the assay has its base rate."""
    bias: Tensor
    """[T] float32"""

    def __init__(
        self, *, c: Positive = 0.03, class_weight: ClassWeight = "none", iterations: Count = 1000
    ) -> None:
        self.c, self.class_weight, self.iterations = c, class_weight, iterations

    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        self.scale = VectorScale(tuple(blocks)).eval()
        self.scale.fit(store, rows)

    def _prepared(self, vectors: Tensor) -> Tensor:
        return self.scale(vectors)

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
        from sklearn.linear_model import LogisticRegression as OneAssay

        weighing = None if self.class_weight == "none" else self.class_weight
        line = OneAssay(C=self.c, class_weight=weighing, max_iter=self.iterations).fit(inputs, answer)
        return line.coef_[0], float(line.intercept_[0])

    def _keep(self, fitted: dict[int, tuple[np.ndarray, float]], n_tasks: int) -> None:
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
