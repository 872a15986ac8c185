"""DeepChem's data sets to tables and back; its models on our splits, by our measures."""

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small

from screening.data import datasets
from screening.data.assay_table import AssayTable
from screening.data.deepchem import muted
from screening.data.splits import split_table
from screening.errors import ConfigError, DataError
from screening.metrics.per_assay import evaluate

dc: Any = pytest.importorskip("deepchem", reason="DeepChem is not installed")
NAN = np.nan
SMILES = np.array(["CCO", "CCN", "CCC"], dtype=object)


def table_of(labels: list[list[float]]) -> AssayTable:
    n, n_tasks = np.shape(labels)
    names = tuple(f"A{task}" for task in range(n_tasks))
    return AssayTable(
        list(SMILES[:n]), list(SMILES[:n]), np.float32(labels), names, {}, np.arange(1, n + 1), None
    )


def test_there_and_back() -> None:
    table = table_of([[1, 0], [0, NAN], [NAN, NAN]])
    dataset = table.to_deepchem()
    np.testing.assert_array_equal(dataset.w, [[1, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(dataset.y, [[1, 0], [0, 0], [0, 0]])
    back = AssayTable.from_deepchem(dataset, tasks=table.tasks)
    assert (back.smiles, back.ids, back.tasks, back.extra) == (table.smiles, table.ids, table.tasks, {})
    np.testing.assert_array_equal(back.labels, table.labels)
    np.testing.assert_array_equal(back.rows, table.rows)
    assert AssayTable.from_deepchem(dataset).tasks == ("0", "1")
    assert table.to_deepchem(np.zeros((3, 5))).X.shape == (3, 5)
    assert len(AssayTable.from_deepchem(table.take([]).to_deepchem())) == 0


def test_a_table_that_is_a_whole_data_set_comes_back_equal() -> None:
    table = small.table()
    back = AssayTable.from_deepchem(table.to_deepchem(), tasks=table.tasks)
    np.testing.assert_array_equal(back.labels, table.labels)
    assert (back.smiles, back.tasks) == (table.smiles, table.tasks)


def test_names_of_molecules_stand_beside_their_structures() -> None:
    dataset = dc.data.NumpyDataset(np.zeros((3, 1)), np.ones((3, 1)), ids=np.array(["M1", "M2", "M3"]))
    with pytest.raises(DataError, match=r"none of its first 3 ids is a SMILES \('M1'.*smiles=\[...\]"):
        AssayTable.from_deepchem(dataset)
    table = AssayTable.from_deepchem(dataset, tasks=["A"], smiles=list(SMILES))
    assert (table.ids, table.smiles) == (["M1", "M2", "M3"], list(SMILES))
    with pytest.raises(DataError, match="3 molecules, and 2 structures"):
        AssayTable.from_deepchem(dataset, smiles=["C", "CC"])


def test_weights_other_than_0_and_1_are_told_and_not_kept() -> None:
    weights = np.array([[3.5, 1], [0, 0.25], [1, 1]])
    dataset = dc.data.DiskDataset.from_numpy(
        np.zeros((3, 1)), np.array([[1.0, 0], [7, 1], [0, 1]]), weights, SMILES, ["A", "B"]
    )
    with pytest.warns(UserWarning, match=r"2 of 5 labels have a weight other than 0 and 1 \(0.25 to 3.5\)"):
        table = AssayTable.from_deepchem(dataset)
    assert table.tasks == ("A", "B")
    np.testing.assert_array_equal(table.labels, np.float32([[1, 0], [NAN, 1], [0, 1]]))


def test_a_weight_per_molecule_counts_for_all_of_its_labels() -> None:
    dataset = dc.data.NumpyDataset(np.zeros((3, 1)), np.ones((3, 2)), np.array([1.0, 0, 1]), SMILES)
    assert np.isnan(AssayTable.from_deepchem(dataset).labels).tolist() == [
        [False] * 2,
        [True] * 2,
        [False] * 2,
    ]


def test_labels_that_are_no_classes_and_wrong_numbers_of_names() -> None:
    dataset = dc.data.NumpyDataset(np.zeros((2, 1)), np.array([1.0, 7.0]), ids=SMILES[:2])
    with pytest.raises(DataError, match="row 2, assay '0': label 7"):
        AssayTable.from_deepchem(dataset)
    with pytest.raises(DataError, match="labels of 2 assays, and 3 names"):
        AssayTable.from_deepchem(table_of([[1, 0]]).to_deepchem(), tasks=["A", "B", "C"])


def test_a_name_alone_is_that_of_one_assay() -> None:
    dataset = table_of([[1], [0]]).to_deepchem()
    assert AssayTable.from_deepchem(dataset, tasks="NR-AhR").tasks == ("NR-AhR",)


@pytest.mark.parametrize("features", [np.zeros((3, 2)), dc.feat.CircularFingerprint(), []])
def test_features_of_other_molecules_are_refused(features: Any) -> None:
    with pytest.raises(ValueError, match="a row for each of 2 molecules"):
        table_of([[1], [0]]).to_deepchem(features)


def test_what_is_no_data_set_is_refused() -> None:
    with pytest.raises(TypeError, match="of type ndarray: expected one of DeepChem"):
        AssayTable.from_deepchem(np.zeros((2, 2)))


def test_without_deepchem_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepchem", None)
    with pytest.raises(ConfigError, match=r"to_deepchem needs DeepChem.*pip install deepchem==2.8.0\.$"):
        table_of([[1, 0]]).to_deepchem()
    monkeypatch.setattr(sys, "version_info", (3, 13))
    with pytest.raises(ConfigError, match=r"which is for Python below 3.12\.$"):
        table_of([[1, 0]]).to_deepchem()


def test_a_model_of_deepchem_on_our_split_by_our_measures() -> None:
    table = small.table(missing=0.2)
    split = split_table(table, "random", seed=1)
    with muted():
        fingerprints = dc.feat.CircularFingerprint(size=512).featurize(table.smiles)
    train, test = split.rows("train"), split.rows("test")
    model = dc.models.MultitaskClassifier(
        len(table.tasks), 512, layer_sizes=[64], dropouts=0.0, learning_rate=0.003, batch_size=32
    )
    model.fit(table.take(train).to_deepchem(fingerprints[train]), nb_epoch=20)
    for rows, least in ((train, 0.99), (test, 0.7)):
        scores = model.predict(table.take(rows).to_deepchem(fingerprints[rows]))[:, :, 1]
        result = evaluate(table.labels[rows], scores, table.tasks, part="part", few=1)
        assert result["roc_auc"].mean() > least
        assert result["actives"].tolist() == (table.labels[rows] == 1).sum(axis=0).tolist()


def moleculenet(folder: Path, out: Path, name: str) -> AssayTable:
    """A table of MoleculeNet as DeepChem reads it from a folder, without a network."""
    load = getattr(dc.molnet, f"load_{name}")
    _, (dataset,), _ = load(
        dc.feat.DummyFeaturizer(), splitter=None, transformers=[], data_dir=str(folder), save_dir=str(out)
    )
    return AssayTable.from_deepchem(dataset)


def assert_equal(ours: AssayTable, theirs: AssayTable) -> None:
    assert (ours.smiles, ours.tasks) == (theirs.smiles, theirs.tasks)
    np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_moleculenet_is_the_same_table_through_deepchem(tmp_path: Path) -> None:
    names = datasets.catalogue["tox21"].tasks or ()
    labels = np.random.default_rng(0).choice(["0", "1", ""], (3, len(names)))
    lines = [[*row, f"T{n}", smiles] for n, (row, smiles) in enumerate(zip(labels, SMILES, strict=True))]
    text = "\n".join(",".join(line) for line in [[*names, "mol_id", "smiles"], *lines])
    (tmp_path / "tox21.csv.gz").write_bytes(gzip.compress(text.encode()))
    ours = datasets.load_dataset("tox21", data=tmp_path)
    assert_equal(ours, moleculenet(tmp_path, tmp_path / "out", "tox21"))


@pytest.mark.parametrize("name", ["tox21", "clintox"])
def test_published_tables_are_the_same_through_deepchem(name: str, real_data: Path, tmp_path: Path) -> None:
    ours = datasets.load_dataset(name, data=real_data)
    assert_equal(ours, moleculenet(real_data, tmp_path, name))
