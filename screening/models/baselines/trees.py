"""Decision trees of all assays in flat arrays: made from scikit-learn's or LightGBM's, checked, walked.

Each tree is in preorder: the left child follows its parent, so that one number per node, how far away the
right child is, says the whole shape, and a walk can only go forward.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import BundleError
from ...runtime import ragged

AT_ONCE = 2**17  # molecules times trees that walk together: about what fits in a processor's cache


class Tree(NamedTuple):
    """One tree of m nodes in preorder."""

    right: np.ndarray
    """[m] int32, nodes to the right child; 0 = a leaf."""
    feature: np.ndarray
    """[m] int32, column that is compared; 0 in a leaf."""
    number: np.ndarray
    """[m] float32: go left where the column is at most this; in a leaf, its value."""


class Trees(NamedTuple):
    """The trees of T assays, one after the other.

    Examples
    --------
    >>> stump = Tree(np.array([2, 0, 0], "i4"), np.array([1, 0, 0], "i4"), np.array([0.5, -1, 3], "f4"))
    >>> Trees.of([[stump, stump], []]).totals(np.array([[0, 0.4], [0, 0.6]], "f4")).tolist()
    [[-2.0, 0.0], [6.0, 0.0]]
    """

    right: np.ndarray
    """[nodes] int32, as in `Tree`."""
    feature: np.ndarray
    """[nodes] int32"""
    number: np.ndarray
    """[nodes] float32"""
    first: np.ndarray
    """[trees + 1] int64, first node of each tree; the last is the end."""
    n_trees: np.ndarray
    """[T] int64, trees of each assay; 0 = none."""

    @classmethod
    def of(cls, assays: Sequence[Sequence[Tree]]) -> "Trees":
        """The trees of each assay."""
        every = [tree for trees in assays for tree in trees]
        empty = Tree(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
        right, feature, number = (np.concatenate(arrays) for arrays in zip(empty, *every, strict=True))
        first = ragged.bounds(np.array([len(tree.right) for tree in every], np.int64))
        return cls(right, feature, number, first, np.array([len(trees) for trees in assays], np.int64))

    def totals(self, inputs: np.ndarray) -> np.ndarray:
        """Sum over the trees of each assay of the leaf each molecule ends in: [B, T] float64.

        Parameters
        ----------
        inputs : [B, F] float32 without NaN.
        """
        n = len(inputs)
        assay = ragged.owners(self.n_trees)
        totals = np.zeros((n, len(self.n_trees)))
        width = max(1, AT_ONCE // max(n, 1))
        for start in range(0, len(assay), width):
            leaves = self._leaves(inputs, self.first[start : min(start + width, len(assay))])
            present, begins = np.unique(assay[start : start + width], return_index=True)
            totals[:, present] += np.add.reduceat(self.number[leaves].astype(np.float64), begins, axis=1)
        return totals

    def _leaves(self, inputs: np.ndarray, roots: np.ndarray) -> np.ndarray:
        """The leaf of every molecule in every tree, [B, trees]."""
        n, n_features = inputs.shape
        flat = np.ascontiguousarray(inputs).ravel()
        node = np.tile(roots, n)
        walking = np.arange(len(node))
        row = np.repeat(np.arange(n) * n_features, len(roots))
        here = node
        while True:
            jump = self.right[here]
            inner = jump > 0
            if not inner.all():
                walking, row, here, jump = walking[inner], row[inner], here[inner], jump[inner]
            if not len(walking):
                return node.reshape(n, len(roots))
            goes_left = flat[row + self.feature[here]] <= self.number[here]
            here = here + np.where(goes_left, 1, jump)
            node[walking] = here

    def check(self, n_features: int, n_tasks: int) -> None:
        """Refuse arrays that a walk could leave, or that are not those of T assays on F columns.

        Raises
        ------
        BundleError : what is wrong.
        """
        kinds = (np.int32, np.int32, np.float32, np.int64, np.int64)
        n_nodes = len(self.right)
        sizes = (n_nodes, n_nodes, n_nodes, None, n_tasks)
        for name, array, kind, size in zip(self._fields, self, kinds, sizes, strict=True):
            if array.dtype != kind or array.ndim != 1 or (size is not None and len(array) != size):
                raise _broken(f"array '{name}' is {array.dtype} {array.shape}")
        lengths = np.diff(self.first)
        if not len(self.first) or self.first[0] != 0 or self.first[-1] != n_nodes or (lengths <= 0).any():
            raise _broken("trees do not lie one after the other")
        if (
            (self.n_trees < 0).any()
            or (self.n_trees > len(lengths)).any()
            or self.n_trees.sum() != len(lengths)
        ):
            raise _broken(f"{len(lengths)} trees are not those of the assays")
        # A node is a leaf or followed by its left child, and its right child lies further on: no circles.
        last = np.repeat(self.first[1:], lengths) - 1 - np.arange(n_nodes)
        if ((self.right < 0) | (self.right == 1) | (self.right > last)).any():
            raise _broken("a node's children are not behind it in its tree")
        if ((self.feature < 0) | (self.feature >= max(n_features, 1))).any():
            raise _broken(f"a tree looks at a column outside of 0 to {n_features - 1}")
        if not np.isfinite(self.number).all():
            raise _broken("a number is not finite")


def grown_by_scikit_learn(tree: Any) -> Tree:
    """The `tree_` of a fitted classifier of two classes, or of a regressor.

    A leaf's value is its share of the second class, or the mean of its values.

    scikit-learn keeps nodes in preorder where the number of leaves is not limited, and compares float32
    inputs with float64 thresholds: a threshold rounded down to float32 decides the same.
    """
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    inner = left >= 0
    nodes = np.arange(len(left))
    if (left[inner] != nodes[inner] + 1).any():
        raise ValueError("the nodes of this tree are not in preorder")
    values = np.asarray(tree.value)[:, 0, :]
    leaves = values[:, 1] / values.sum(1) if values.shape[1] == 2 else values[:, 0]
    return Tree(
        np.where(inner, right - nodes, 0).astype(np.int32),
        np.where(inner, tree.feature, 0).astype(np.int32),
        np.where(inner, _rounded_down(np.asarray(tree.threshold)), leaves.astype(np.float32)),
    )


def grown_by_lightgbm(trees: Sequence[dict[str, Any]]) -> list[Tree]:
    """The trees of LightGBM's `dump_model()["tree_info"]`, columns without NaN; sums are logits or values."""
    return [_preorder(tree["tree_structure"]) for tree in trees]


def _preorder(root: dict[str, Any]) -> Tree:
    right: list[int] = []
    feature: list[int] = []
    number: list[float] = []
    waiting: list[tuple[dict[str, Any], int]] = [(root, -1)]  # a node, and whose right child it is
    while waiting:
        node, parent = waiting.pop()
        here = len(right)
        if parent >= 0:
            right[parent] = here - parent
        right.append(0)
        if "split_feature" in node:
            feature.append(node["split_feature"])
            number.append(float(_rounded_down(np.array([node["threshold"]]))[0]))
            waiting += [(node["right_child"], here), (node["left_child"], -1)]
        else:
            feature.append(0)
            number.append(node["leaf_value"])
    return Tree(np.array(right, np.int32), np.array(feature, np.int32), np.array(number, np.float32))


def _rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 that is not above each float64."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _broken(what: str) -> BundleError:
    return BundleError(f"the trees of a baseline are damaged: {what}. Copy the bundle again.")
