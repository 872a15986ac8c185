"""A table of pandas in memory is read as a file of the same cells: same table, same messages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rdkit.Chem import MolFromSmiles

from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.tables import IN_MEMORY
from screening.errors import ConfigError, DataError

SMILES = ["CCO", "CCN", "C1CC", "CCF"]
FRAMES = {
    "floats": pd.DataFrame(
        {"smiles": SMILES, "A": [1.0, np.nan, 0.0, 1.0], "weight": [46.1, 45.1, 1.5, 2.5]}
    ),
    "integers that may be missing": pd.DataFrame({"SMILES": SMILES, "A": pd.array([1, None, 0, 1], "Int64")}),
    "objects of several types": pd.DataFrame(
        {"smiles": SMILES, "A": [1, "0", None, 1.0], "n": [1, "x", "", 2]}
    ),
    "categories": pd.DataFrame({"smiles": SMILES, "A": pd.Categorical(["1", "0", None, "1"])}),
    "a column twice": pd.DataFrame([["CCO", 1, "x", "y"]] * 2, columns=["smiles", "A", "note", "note"]),
    "blank cells": pd.DataFrame({"smiles": ["CCO", "", None], "id": [7, 8, 9], "A": [1, 0, 1]}),
    "odd names": pd.DataFrame({"smiles": SMILES, 7: [1, 0, 1, 1], None: ["a", "b", "c", "d"]}),
    "half a million": pd.DataFrame({"smiles": SMILES * 3000, "A": [1, 0, 1, 0] * 3000}),
}


def same(one: AssayTable, other: AssayTable) -> bool:
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.rows, other.rows)
    columns = [(table.ids, table.smiles, table.tasks, table.rejected) for table in (one, other)]
    return columns[0] == columns[1]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_read_as_its_csv_file(name: str, tmp_path: Path) -> None:
    frame = FRAMES[name]
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    table, read = AssayTable.from_frame(frame), read_assays(path)
    assert same(table, read)
    assert [note.replace(IN_MEMORY, str(path)) for note in table.notes] == read.notes


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        (FRAMES["floats"], {"smiles": "SMILES"}),
        (FRAMES["floats"], {"tasks": ["B"]}),
        (FRAMES["floats"], {"tasks": ["weight"]}),
        (FRAMES["floats"], {"id": "name"}),
        (FRAMES["a column twice"], {"tasks": ["note"]}),
        (pd.DataFrame({"A": [1, 0]}), {}),
        (pd.DataFrame({"smiles": ["CCO"], "smiles 2": ["CCN"], "A": [1]}), {}),
        (pd.DataFrame({"smiles": ["CCO"] * 3, "A": ["active", "inactive", ""]}), {}),
        (FRAMES["floats"].head(0), {}),
        (FRAMES["floats"], {"labels": {"yes": 2}}),
        (FRAMES["floats"], {"format": "long"}),
    ],
)
def test_its_errors_are_those_of_a_file(
    frame: pd.DataFrame, options: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    with pytest.raises((ConfigError, DataError)) as of_file:
        read_assays(path, **options)  # type: ignore[arg-type]
    with pytest.raises(of_file.type) as of_frame:
        AssayTable.from_frame(frame, **options)  # type: ignore[arg-type]
    assert str(of_frame.value).replace(IN_MEMORY, str(path)) == str(of_file.value)


def test_an_index_with_a_name_is_a_column_and_molecules_are_structures() -> None:
    frame = pd.DataFrame(
        {"mol": [MolFromSmiles("OCC"), None], "A": [1, 0]}, index=pd.Index(["x", "y"], name="id")
    )
    table = AssayTable.from_frame(frame, id="id")
    assert (table.ids, table.smiles) == (["x", "y"], ["CCO", ""])
    plain = AssayTable.from_frame(frame.reset_index(drop=True), smiles="mol")
    assert plain.ids == ["", ""]
    assert list(frame.columns) == ["mol", "A"]


def test_a_table_of_arrow_is_a_table() -> None:
    frame = FRAMES["floats"]
    assert same(AssayTable.from_frame(pa.Table.from_pandas(frame)), AssayTable.from_frame(frame))


@pytest.mark.parametrize(
    "other",
    ["table.csv", FRAMES["floats"]["smiles"], [["CCO", 1]], {"smiles": ["CCO"]}, np.zeros((2, 2)), None],
)
def test_what_is_no_table_is_refused(other: object) -> None:
    with pytest.raises(
        TypeError, match=rf"of type {type(other).__name__}: expected a DataFrame.*read_assays"
    ):
        AssayTable.from_frame(other)


def test_a_table_shows_what_it_holds_and_keeps_its_rejects(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("smiles,A\nCCO,1\nCCN,0\nCCF,1,2,3\n")
    table = read_assays(path)
    assert repr(table) == (
        "AssayTable: 2 molecules, 1 assays, 2 labels (100.0% of all), 1 active; 1 records rejected"
    )
    assert table.take([1]).rejected == table.select(["A"]).rejected == table.rejected


def test_two_assays_of_one_name_are_no_table() -> None:
    table = AssayTable.from_frame(FRAMES["floats"])
    with pytest.raises(ValueError, match="two assays are called 'A'"):
        table.select(["A", "A"])


def test_truth_values_are_told_to_be_labels_as_in_parquet() -> None:
    frame = pd.DataFrame({"smiles": SMILES, "A": [True, False, True, True]})
    with pytest.raises(DataError, match=r"labels=\{true: 1, false: 0\}"):
        AssayTable.from_frame(frame)
    assert AssayTable.from_frame(frame, labels={"true": 1, "false": 0}).labels[:, 0].tolist() == [1, 0, 1, 1]
