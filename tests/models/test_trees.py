"""Trees in flat arrays: the same answer as the library that grew them, and nothing that walks in a circle."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from screening.errors import BundleError
from screening.models.baselines.trees import Tree, Trees, grown_by_lightgbm, grown_by_scikit_learn


def data(n: int = 300, n_features: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts, and real numbers of many sizes, with an answer that depends on both."""
    random = np.random.default_rng(seed)
    counts = random.poisson(0.7, (n, n_features // 2))
    reals = random.normal(size=(n, n_features - n_features // 2)) * 10.0 ** random.integers(
        -8, 9, n_features - n_features // 2
    )
    inputs = np.hstack([counts, reals]).astype(np.float32)
    return inputs, ((counts[:, 0] > 0) ^ (reals[:, 0] > 0)).astype(int)


def walked_one_by_one(trees: Trees, inputs: np.ndarray) -> np.ndarray:
    totals = np.zeros((len(inputs), len(trees.n_trees)))
    assay = np.repeat(np.arange(len(trees.n_trees)), trees.n_trees)
    for row, vector in enumerate(inputs):
        for root, task in zip(trees.first, assay, strict=False):
            node = root
            while trees.right[node]:
                node += 1 if vector[trees.feature[node]] <= trees.number[node] else trees.right[node]
            totals[row, task] += trees.number[node]
    return totals


def test_a_forest_predicts_as_scikit_learn_does() -> None:
    inputs, answer = data()
    forest = RandomForestClassifier(40, random_state=1).fit(inputs, answer)
    trees = Trees.of([[grown_by_scikit_learn(each.tree_) for each in forest.estimators_]])
    trees.check(inputs.shape[1], 1)
    near = np.vstack([inputs, np.nextafter(inputs, np.float32(np.inf)), data(seed=2)[0]])
    assert trees.totals(near)[:, 0] / 40 == pytest.approx(forest.predict_proba(near)[:, 1], abs=1e-6)


def test_inputs_at_a_threshold_go_left_as_in_scikit_learn() -> None:
    inputs, answer = data()
    tree = RandomForestClassifier(1, random_state=0).fit(inputs, answer).estimators_[0]
    thresholds = tree.tree_.threshold[tree.tree_.children_left >= 0]
    edges = np.concatenate(
        [thresholds.astype(np.float32), np.nextafter(thresholds.astype(np.float32), np.float32(-1e30))]
    )
    at = np.repeat(edges[:, None], inputs.shape[1], axis=1)
    assert Trees.of([[grown_by_scikit_learn(tree.tree_)]]).totals(at)[:, 0] == pytest.approx(
        tree.predict_proba(at)[:, 1]
    )


def test_boosted_trees_predict_as_lightgbm_does() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    inputs, answer = data()
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 3},
        lightgbm.Dataset(inputs, answer),
        60,
    )
    trees = Trees.of([grown_by_lightgbm(booster.dump_model()["tree_info"])])
    trees.check(inputs.shape[1], 1)
    new = data(seed=2)[0]
    assert trees.totals(new)[:, 0] == pytest.approx(booster.predict(new, raw_score=True), abs=1e-5)


def three_assays() -> Trees:
    inputs, answer = data()
    trees = [
        grown_by_scikit_learn(each.tree_)
        for each in RandomForestClassifier(7, max_depth=4, random_state=1).fit(inputs, answer).estimators_
    ]
    leaf = Tree(np.zeros(1, np.int32), np.zeros(1, np.int32), np.full(1, 2.5, np.float32))
    return Trees.of([trees[:5], [], [leaf, *trees[5:]]])


@pytest.mark.parametrize("at_once", [1, 50, 2**17])
def test_walking_many_trees_at_once_is_walking_each(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr("screening.models.baselines.trees.AT_ONCE", at_once)
    trees, inputs = three_assays(), data(20)[0]
    assert trees.totals(inputs) == pytest.approx(walked_one_by_one(trees, inputs))
    assert (trees.totals(inputs)[:, 1] == 0).all()


def test_no_molecule_and_no_tree_are_fine() -> None:
    assert three_assays().totals(np.zeros((0, 30), np.float32)).shape == (0, 3)
    none = Trees.of([[], []])
    none.check(30, 2)
    assert none.totals(data(5)[0]).tolist() == [[0.0, 0.0]] * 5


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("right", 0, 1),
        ("right", 0, -3),
        ("right", 0, 10**6),
        ("right", -1, 2),
        ("feature", 0, 30),
        ("feature", 0, -1),
        ("number", 0, np.nan),
        ("first", 0, 1),
        ("first", 1, 10**6),
        ("first", -1, 3),
        ("n_trees", 0, 9),
        ("n_trees", 1, -1),
    ],
)
def test_damaged_arrays_are_refused(name: str, place: int, value: Any) -> None:
    trees = three_assays()
    array = getattr(trees, name).copy()
    array[place] = value
    with pytest.raises(BundleError, match="damaged"):
        trees._replace(**{name: array}).check(30, 3)


def test_arrays_of_other_kinds_or_sizes_are_refused() -> None:
    trees = three_assays()
    for wrong in (
        trees._replace(right=trees.right.astype(np.int64)),
        trees._replace(number=trees.number[:-1]),
        trees._replace(feature=trees.feature[:, None]),
        trees._replace(n_trees=trees.n_trees[:-1]),
        trees._replace(first=trees.first[:0]),
    ):
        with pytest.raises(BundleError, match="damaged"):
            wrong.check(30, 3)


def test_any_arrays_that_pass_the_check_can_be_walked() -> None:
    random = np.random.default_rng(0)
    passed = 0
    for _ in range(2000):
        n = int(random.integers(1, 6))
        trees = Trees(
            random.integers(0, 5, n).astype(np.int32),
            random.integers(0, 3, n).astype(np.int32),
            random.normal(size=n).astype(np.float32),
            np.array([0, n]),
            np.array([1]),
        )
        try:
            trees.check(3, 1)
        except BundleError:
            continue
        passed += 1
        inputs = random.normal(size=(4, 3)).astype(np.float32)
        assert trees.totals(inputs) == pytest.approx(walked_one_by_one(trees, inputs))
    assert passed > 50
