"""A line per assay with a penalty on its weights: least squares for values, logistic for classes."""

import numpy as np

from .contract import BoundsAs, Count, Positive, baselines
from .linear_baseline import Line, LinearBaseline, logistic_line


@baselines.register("ridge")
class Ridge(LinearBaseline):
    """A ridge regression per real assay, on the inputs as the networks scale them; a logistic one per class.

    Counts become log(1 + c), real columns are standardised on the training molecules after a squashing
    (`layers.VectorScale`).

    Parameters
    ----------
    c : inverse of the strength of the penalty: 1 / alpha of scikit-learn's Ridge. The default is the best of
        seven by cross-validation within the training parts of five targets of MoleculeACE.
    class_c : the same of assays of two classes, which get a logistic regression; scikit-learn's C.
    iterations : at most so many steps of L-BFGS for assays of two classes.
    bounds : what a value counts as that is known by a bound alone (> 5): `value` = as if measured there,
        `left_out` = not at all in assays with 20 exact values or more.

    References
    ----------
    Hoerl, Kennard: Ridge regression, biased estimation for nonorthogonal problems, Technometrics 12, 1970,
    https://doi.org/10.1080/00401706.1970.10488634; scikit-learn's Ridge.
    """

    kind = "ridge"
    kinds = frozenset({"binary", "real"})

    def __init__(
        self,
        *,
        c: Positive = 0.1,
        class_c: Positive = 0.03,
        iterations: Count = 1000,
        bounds: BoundsAs = "value",
    ) -> None:
        self.c, self.class_c, self.iterations, self.bounds = c, class_c, iterations, bounds

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> Line:
        return logistic_line(inputs, answer, c=self.class_c, class_weight=None, iterations=self.iterations)

    def _fit_values(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> Line:
        from sklearn.linear_model import Ridge as LeastSquares

        line = LeastSquares(alpha=1 / self.c, solver="cholesky").fit(inputs.astype(np.float64), answer)
        return line.coef_, float(line.intercept_)
