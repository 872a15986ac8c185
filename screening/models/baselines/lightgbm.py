"""Gradient-boosted trees per assay, by LightGBM."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ...errors import ConfigError
from .contract import BoundsAs, ClassWeight, Count, Positive, Share, baselines
from .tree_baseline import TreeBaseline
from .trees import Tree, grown_by_lightgbm


@baselines.register("lightgbm")
class LightGBM(TreeBaseline):
    """Gradient-boosted trees per assay (package `lightgbm`, extra `baselines`; needed for fitting only).

    Parameters
    ----------
    trees : trees per assay.
    leaves : leaves per tree, at most.
    depth : largest depth of a tree; null = no limit.
    lr : shrinkage of each tree.
    smallest_leaf : fewest molecules in a leaf.
    rows : share of the molecules that each tree sees.
    columns : share of the columns that each tree sees.
    l2 : penalty on the values of the leaves.
    class_weight : `balanced` gives both classes the same weight; of no effect on real values.
    bounds : what a value counts as that is known by a bound alone (> 5): `value` = as if measured there,
        `left_out` = not at all in assays with 20 exact values or more.

    Real values are fitted by least squares. The defaults are the best of five settings on the validation part
    of Tox21 (`muben_scaffold`).

    References
    ----------
    Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017,
    https://papers.nips.cc/paper/6907-lightgbm-a-highly-efficient-gradient-boosting-decision-tree.
    """

    kind = "lightgbm"
    kinds = frozenset({"binary", "real"})

    def __init__(
        self,
        *,
        trees: Count = 500,
        leaves: Annotated[int, Field(ge=2)] = 64,
        depth: Count | None = None,
        lr: Positive = 0.03,
        smallest_leaf: Count = 5,
        rows: Share = 1.0,
        columns: Share = 0.2,
        l2: Annotated[float, Field(ge=0)] = 0.0,
        class_weight: ClassWeight = "none",
        bounds: BoundsAs = "value",
    ) -> None:
        self.trees, self.leaves, self.depth, self.lr, self.smallest_leaf = (
            trees,
            leaves,
            depth,
            lr,
            smallest_leaf,
        )
        self.rows, self.columns, self.l2, self.class_weight = rows, columns, l2, class_weight
        self.bounds = bounds

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> list[Tree]:
        classes = {"objective": "binary", "is_unbalance": self.class_weight == "balanced"}
        return self._grown_trees(inputs, answer, {**classes, **self._settings(seed)})

    def _fit_values(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> list[Tree]:
        return self._grown_trees(inputs, answer, {"objective": "regression", **self._settings(seed)})

    def _grown_trees(self, inputs: np.ndarray, answer: np.ndarray, settings: dict[str, Any]) -> list[Tree]:
        try:
            import lightgbm
        except (ImportError, OSError) as problem:  # OSError: its OpenMP library is not there
            raise ConfigError(
                f"baseline 'lightgbm' cannot be fitted here: {problem}. "
                "Install it: pip install 'screening[baselines]'."
            ) from problem
        data = lightgbm.Dataset(inputs, answer, params={"verbosity": -1}, free_raw_data=True)
        booster = lightgbm.train(settings, data, self.trees)
        return grown_by_lightgbm(booster.dump_model()["tree_info"])

    def _settings(self, seed: int) -> dict[str, Any]:
        return {
            "num_leaves": self.leaves,
            "max_depth": self.depth or -1,
            "learning_rate": self.lr,
            "min_data_in_leaf": self.smallest_leaf,
            "bagging_fraction": self.rows,
            "bagging_freq": int(self.rows < 1),
            "feature_fraction": self.columns,
            "lambda_l2": self.l2,
            "seed": seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
