"""Baselines: one forest, one boosted forest or one logistic regression per assay, on the vector features.

They predict as a network does (`predict`: logits of rows of a store) and are saved as flat arrays: no
pickle, and no scikit-learn or LightGBM where they are only used. How trees become arrays is in `trees`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..errors import BundleError, ConfigError
from ..features.store import GraphStore, VectorBlock
from ..registry import Registry
from ..runtime.processes import default_workers
from ..runtime.progress import progress
from .layers import VectorScale
from .trees import Tree, Trees, grown_by_lightgbm, grown_by_scikit_learn

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
ClassWeight = Literal["none", "balanced"]

LARGEST_LOGIT = 16.0  # a forest can be certain, a logit cannot: 1.1e-7 from 0 and 1
ROWS_AT_ONCE = 4096


class Baseline(ABC):
    """One model per assay; `fit` on the training molecules, then `predict` as a network does.

    Values that RDKit cannot compute (NaN) become the median of the training molecules. An assay with one
    class in training, or without labels, gets its base rate (shrunk with the weight of two molecules towards
    that of all assays, so that it is neither 0 nor 1), and `notes` says so.
    """

    kind: str
    """Its registered name."""
    base: Tensor
    """[T] float32, logit of the base rate of each assay in training."""
    notes: Sequence[str] = ()
    """What the user should know of the fit."""

    def fit(
        self,
        store: GraphStore,
        labels: Tensor,
        rows: Tensor,
        *,
        seed: int = 0,
        workers: int | None = None,
    ) -> Self:
        """Fit every assay on those of the molecules `rows` that have a label for it; gives itself back.

        Parameters
        ----------
        labels : [n, T] of all molecules of the store; 1, 0, NaN = not measured.
        rows : int64, the training molecules.
        workers : threads; None = one per processor. The result is the same.

        Raises
        ------
        ConfigError : the store has no vectors, or a package is missing.
        """
        blocks = store.vector_blocks
        if not blocks:
            raise ConfigError(
                f"baseline '{self.kind}' needs vector features. Add some: features.vectors=[ecfp_counts]."
            )
        wanted = labels[rows]
        self.base = _base_logits(wanted)
        positives, counts = wanted.nansum(0), (~wanted.isnan()).sum(0)
        fitted = ((positives > 0) & (positives < counts)).tolist()
        one_class = ((counts > 0) & ~torch.tensor(fitted, dtype=torch.bool)).nonzero().flatten().tolist()
        self.notes = _notes(len(one_class), int((counts == 0).sum()), len(fitted))
        self._prepare(store, rows, blocks)
        tasks = [task for task, can in enumerate(fitted) if can]
        results = self._fit_all(
            store, wanted, rows, tasks, seed, default_workers() if workers is None else workers
        )
        self._keep(dict(zip(tasks, results, strict=True)), len(fitted))
        return self

    def _fit_all(
        self, store: GraphStore, labels: Tensor, rows: Tensor, tasks: list[int], seed: int, workers: int
    ) -> list[Any]:
        """What `_fit_one` gives for each task: the libraries let go of the interpreter, so threads do."""

        def one(task: int) -> Any:
            measured = ~labels[:, task].isnan()
            answer = labels[measured, task].numpy().astype(np.int64)
            fitted = self._fit_one(self._inputs(store, rows[measured]), answer, seed)
            advance(1)
            return fitted

        with (
            progress(f"fitting {self.kind}", len(tasks)) as advance,
            ThreadPoolExecutor(max(workers, 1)) as pool,
        ):
            return list(pool.map(one, tasks))

    def _inputs(self, store: GraphStore, rows: Tensor) -> np.ndarray:
        """Inputs [n, F] float32 of the molecules, without NaN."""
        parts = [self._prepared(store.batch(part).vectors) for part in rows.split(ROWS_AT_ONCE)]
        return torch.cat(parts).numpy()

    def predict(self, store: GraphStore, rows: Tensor, *, batch_size: int = 512) -> Tensor:
        """Logits [n, T], float32, of the molecules `rows`; no logit is beyond plus or minus 16."""
        parts = [self._logits(self._prepared(store.batch(part).vectors)) for part in rows.split(batch_size)]
        logits = torch.cat(parts) if parts else torch.zeros(0, len(self.base))
        return logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)

    def describe(self) -> dict[str, Any]:
        """The options, as plain values for JSON."""
        return {"options": {option: getattr(self, option) for option in baselines.options(self.kind)}}

    def state_dict(self) -> dict[str, Tensor]:
        """The fitted arrays."""
        return {"base": self.base, **self._arrays()}

    def to(self, device: str | torch.device) -> Self:
        """Itself: baselines stay on the CPU."""
        return self

    @abstractmethod
    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        """Learn from the training molecules how inputs are prepared."""

    @abstractmethod
    def _prepared(self, vectors: Tensor) -> Tensor:
        """Inputs [B, F] of vectors [B, F]."""

    @abstractmethod
    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> Any:
        """The fitted model of one assay; `answer` has both classes."""

    @abstractmethod
    def _keep(self, fitted: dict[int, Any], n_tasks: int) -> None:
        """Store what `_fit_one` gave, by task."""

    @abstractmethod
    def _logits(self, inputs: Tensor) -> Tensor:
        """Logits [B, T], float32."""

    @abstractmethod
    def _arrays(self) -> dict[str, Tensor]:
        """All arrays but `base`."""

    @abstractmethod
    def _take(self, state: dict[str, Tensor], blocks: Sequence[VectorBlock], n_tasks: int) -> None:
        """Check and take the arrays of a file."""


baselines: Registry[type[Baseline]] = Registry("baseline")


def restore(
    kind: str,
    options: dict[str, Any],
    state: dict[str, Tensor],
    blocks: Sequence[VectorBlock],
    n_tasks: int,
) -> Baseline:
    """The baseline of that kind, options and `state_dict`; nothing in them is trusted.

    Parameters
    ----------
    blocks : the vectors it will be given.
    n_tasks : T.

    Raises
    ------
    BundleError : an array is missing, of another shape or kind, not finite, or points outside of its tree.
    ConfigError : no such baseline or option.
    """
    made: Baseline = baselines.build(kind, **options)
    made.base = taken(state, "base", (n_tasks,), torch.float32)
    made._take(state, blocks, n_tasks)
    return made


def taken(state: dict[str, Tensor], name: str, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
    """The array of that name, shape and kind, all of it finite; BundleError otherwise."""
    found = state.get(name)
    if found is None or found.shape != shape or found.dtype != kind or not found.isfinite().all():
        what = "is missing" if found is None else f"is {found.dtype} {tuple(found.shape)} or not finite"
        raise BundleError(
            f"a baseline's array '{name}' {what}; expected finite {kind} {shape}. Copy the bundle again."
        )
    return found


class TreeBaseline(Baseline):
    """What forests and boosted trees share: the raw numbers as inputs, and `Trees`."""

    medians: Tensor
    """[F] float32, what a NaN becomes."""
    grown: Trees

    def _prepare(self, store: GraphStore, rows: Tensor, blocks: Sequence[VectorBlock]) -> None:
        real = torch.tensor([block.kind == "real" for block in blocks for _ in block.columns])
        self.medians = torch.zeros(len(real))
        if real.any():
            values = [store.batch(part).vectors[:, real] for part in rows.split(ROWS_AT_ONCE)]
            self.medians[real] = torch.cat(values).nanmedian(0).values.nan_to_num(0.0)

    def _prepared(self, vectors: Tensor) -> Tensor:
        return torch.where(vectors.isnan(), self.medians, vectors)

    def _keep(self, fitted: dict[int, list[Tree]], n_tasks: int) -> None:
        self.grown = Trees.of([fitted.get(task, []) for task in range(n_tasks)])

    def _logits(self, inputs: Tensor) -> Tensor:
        totals = torch.from_numpy(self.grown.totals(inputs.numpy()))
        return torch.where(self._grown_tasks(), self._logits_of(totals).float(), self.base)

    def _grown_tasks(self) -> Tensor:
        return torch.from_numpy(self.grown.n_trees > 0)

    def _logits_of(self, totals: Tensor) -> Tensor:
        """Logits [B, T] of the sums over all trees, float64."""
        return totals

    def _arrays(self) -> dict[str, Tensor]:
        arrays = {name: torch.from_numpy(array) for name, array in self.grown._asdict().items()}
        return {"medians": self.medians, **arrays}

    def _take(self, state: dict[str, Tensor], blocks: Sequence[VectorBlock], n_tasks: int) -> None:
        n_columns = sum(len(block.columns) for block in blocks)
        self.medians = taken(state, "medians", (n_columns,), torch.float32)
        try:
            arrays = {name: state[name].numpy() for name in Trees._fields}
        except KeyError as problem:
            raise BundleError(f"a baseline's array {problem} is missing. Copy the bundle again.") from problem
        self.grown = Trees(**arrays)
        self.grown.check(n_columns, n_tasks)


@baselines.register("random_forest")
class RandomForest(TreeBaseline):
    """A random forest per assay: the share of trees, each weighing by its leaf.

    Parameters
    ----------
    trees : trees per assay.
    depth : largest depth of a tree; null = no limit.
    smallest_leaf : fewest molecules in a leaf.
    features : share of the columns tried at each split; sqrt = the square root of their number.
    class_weight : `balanced` gives both classes the same weight.

    References
    ----------
    L. Breiman, Random forests, Machine Learning 45, 5, 2001, https://doi.org/10.1023/A:1010933404324;
    scikit-learn's RandomForestClassifier.
    """

    kind = "random_forest"

    def __init__(
        self,
        *,
        trees: Count = 200,
        depth: Count | None = None,
        smallest_leaf: Count = 1,
        features: Literal["sqrt"] | Share = "sqrt",
        class_weight: ClassWeight = "none",
    ) -> None:
        self.trees, self.depth, self.smallest_leaf = trees, depth, smallest_leaf
        self.features, self.class_weight = features, class_weight

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> list[Tree]:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            n_estimators=self.trees,
            max_depth=self.depth,
            min_samples_leaf=self.smallest_leaf,
            max_features=self.features,
            class_weight=None if self.class_weight == "none" else self.class_weight,
            random_state=seed,
        ).fit(inputs, answer)
        return [grown_by_scikit_learn(each.tree_) for each in forest.estimators_]

    def _logits_of(self, totals: Tensor) -> Tensor:
        share = totals / torch.from_numpy(self.grown.n_trees).clamp(min=1)
        return torch.logit(share.clamp(0, 1))


@baselines.register("lightgbm")
class LightGBM(TreeBaseline):
    """Gradient-boosted trees per assay (package `lightgbm`, extra `baselines`; needed for fitting only).

    Parameters
    ----------
    trees, leaves : trees per assay and leaves per tree.
    depth : largest depth of a tree; null = no limit.
    lr : shrinkage of each tree.
    smallest_leaf : fewest molecules in a leaf.
    rows, columns : share of the molecules and of the columns that each tree sees.
    l2 : penalty on the values of the leaves.
    class_weight : `balanced` gives both classes the same weight.

    The defaults are the best of five settings on the validation part of Tox21 (`muben_scaffold`).

    References
    ----------
    Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017,
    https://papers.nips.cc/paper/6907-lightgbm-a-highly-efficient-gradient-boosting-decision-tree.
    """

    kind = "lightgbm"

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
    ) -> None:
        self.trees, self.leaves, self.depth, self.lr, self.smallest_leaf = (
            trees,
            leaves,
            depth,
            lr,
            smallest_leaf,
        )
        self.rows, self.columns, self.l2, self.class_weight = rows, columns, l2, class_weight

    def _fit_one(self, inputs: np.ndarray, answer: np.ndarray, seed: int) -> list[Tree]:
        try:
            import lightgbm
        except (ImportError, OSError) as problem:  # OSError: its OpenMP library is not there
            raise ConfigError(
                f"baseline 'lightgbm' cannot be fitted here: {problem}. "
                "Install it: pip install 'screening[baselines]'."
            ) from problem
        data = lightgbm.Dataset(inputs, answer, params={"verbosity": -1}, free_raw_data=True)
        booster = lightgbm.train(self._settings(seed), data, self.trees)
        return grown_by_lightgbm(booster.dump_model()["tree_info"])

    def _settings(self, seed: int) -> dict[str, Any]:
        return {
            "objective": "binary",
            "num_leaves": self.leaves,
            "max_depth": self.depth or -1,
            "learning_rate": self.lr,
            "min_data_in_leaf": self.smallest_leaf,
            "bagging_fraction": self.rows,
            "bagging_freq": int(self.rows < 1),
            "feature_fraction": self.columns,
            "lambda_l2": self.l2,
            "is_unbalance": self.class_weight == "balanced",
            "seed": seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


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


def _base_logits(labels: Tensor) -> Tensor:
    """[T] logit of the base rate of each assay, shrunk as `TaskHeads.set_base_rates` does."""
    counts, positives = (~labels.isnan()).sum(0).double(), labels.nansum(0).double()
    overall = (positives.sum() + 0.5) / (counts.sum() + 1)
    return torch.logit((positives + 2 * overall) / (counts + 2)).float()


def _notes(one_class: int, unmeasured: int, n_tasks: int) -> list[str]:
    parts = [
        f"{number} of {n_tasks} assays {what} in training: their base rate is predicted"
        for number, what in ((one_class, "have one class"), (unmeasured, "have no label"))
        if number
    ]
    return ["; ".join(parts)] if parts else []
