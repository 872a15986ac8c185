"""A random forest per assay."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .contract import BoundsAs, ClassWeight, Count, Share, baselines
from .tree_baseline import TreeBaseline
from .trees import Tree, grown_by_scikit_learn


@baselines.register("random_forest")
class RandomForest(TreeBaseline):
    """A random forest per assay: the share of trees, each weighing by its leaf; of real values their mean.

    Parameters
    ----------
    trees : trees per assay.
    depth : largest depth of a tree; null = no limit.
    smallest_leaf : fewest molecules in a leaf.
    features : share of the columns tried at each split; sqrt = the square root of their number. For real
        values 0.33 is slower and better: an RMSE 2 to 4 % lower within the training parts of MoleculeACE.
    class_weight : `balanced` gives both classes the same weight; of no effect on real values.
    bounds : what a value counts as that is known by a bound alone (> 5): `value` = as if measured there,
        `left_out` = not at all in assays with 20 exact values or more.

    References
    ----------
    L. Breiman, Random forests, Machine Learning 45, 5, 2001, https://doi.org/10.1023/A:1010933404324;
    scikit-learn's RandomForestClassifier and RandomForestRegressor.
    """

    kind = "random_forest"
    kinds = frozenset({"binary", "real"})

    def __init__(
        self,
        *,
        trees: Count = 200,
        depth: Count | None = None,
        smallest_leaf: Count = 1,
        features: Literal["sqrt"] | Share = "sqrt",
        class_weight: ClassWeight = "none",
        bounds: BoundsAs = "value",
    ) -> None:
        self.trees, self.depth, self.smallest_leaf = trees, depth, smallest_leaf
        self.features, self.class_weight, self.bounds = features, class_weight, bounds

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> list[Tree]:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            class_weight=None if self.class_weight == "none" else self.class_weight, **self._settings(seed)
        ).fit(inputs, answer)
        return [grown_by_scikit_learn(each.tree_) for each in forest.estimators_]

    def _fit_values(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> list[Tree]:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(**self._settings(seed)).fit(inputs, answer)
        return [grown_by_scikit_learn(each.tree_) for each in forest.estimators_]

    def _settings(self, seed: int) -> dict[str, Any]:
        return {
            "n_estimators": self.trees,
            "max_depth": self.depth,
            "min_samples_leaf": self.smallest_leaf,
            "max_features": self.features,
            "random_state": seed,
        }

    def _logits_of(self, totals: Tensor) -> Tensor:
        means = totals / torch.from_numpy(self.grown.n_trees).clamp(min=1)
        return torch.where(self.is_real, means, torch.logit(means.clamp(0, 1)))
