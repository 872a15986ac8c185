"""A logistic regression per assay."""

import numpy as np

from .contract import ClassWeight, Count, Positive, baselines
from .linear_baseline import Line, LinearBaseline, logistic_line


@baselines.register("logistic_regression")
class LogisticRegression(LinearBaseline):
    """A logistic regression per assay, with an L2 penalty, on the inputs as the networks scale them.

    Counts become log(1 + c), real values are standardised on the training molecules after a squashing
    (`layers.VectorScale`). For assays of real values, and tables with both: `ridge`.

    Parameters
    ----------
    c : inverse of the strength of the penalty, as scikit-learn's C.
    class_weight : `balanced` gives both classes the same weight.
    iterations : at most so many steps of L-BFGS.
    """

    kind = "logistic_regression"

    def __init__(
        self, *, c: Positive = 0.03, class_weight: ClassWeight = "none", iterations: Count = 1000
    ) -> None:
        self.c, self.class_weight, self.iterations = c, class_weight, iterations

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> Line:
        weighing = None if self.class_weight == "none" else self.class_weight
        return logistic_line(inputs, answer, c=self.c, class_weight=weighing, iterations=self.iterations)
