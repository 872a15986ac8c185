"""Numbers of a Parquet file or a DataFrame stay what they are; a decimal sign is of texts, and must fit."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from screening.config import Data
from screening.config_sections import LongColumns
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.file_merging import merge_files
from screening.errors import DataError

COMMA = {"kind": "real", "decimal": ","}
VALUES = [1.234, 12.5, 0.125, 1000.0]
COLUMNS: dict[str, Any] = {
    "floats": np.array(VALUES),
    "float32": np.array(VALUES, np.float32),
    "nullable": pd.array([1.234, 12.5, 0.125, 1000.0], dtype="Float64"),
    "objects": np.array(VALUES, dtype=object),
    "categories": pd.Categorical(VALUES),
    "decimals": [Decimal(str(value)) for value in VALUES],
}


def frame_of(cells: Any) -> pd.DataFrame:
    return pd.DataFrame({"smiles": ["C", "CC", "CCC", "CCCC"], "X": cells})


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_decimal_comma_leaves_numbers_alone(name: str, is_file: bool, tmp_path: Path) -> None:
    frame = frame_of(COLUMNS[name])
    if is_file:
        frame.to_parquet(tmp_path / "t.parquet")
        table = read_assays(tmp_path / "t.parquet", assays={"X": COMMA})
    else:
        table = AssayTable.from_frame(frame, assays={"X": COMMA})
    np.testing.assert_allclose(table.labels[:, 0], VALUES, rtol=1e-6)


def test_numbers_of_a_long_table_too() -> None:
    frame = frame_of(VALUES).assign(assay=["a", "a", "b", "b"])
    long = LongColumns(assay=("assay",), value="X")
    table = AssayTable.from_frame(frame, assays={"*": COMMA}, format="long", long=long)
    np.testing.assert_allclose(np.nansum(table.labels, axis=1), VALUES, rtol=1e-6)


def test_numbers_among_texts_are_refused_with_a_decimal_comma_alone() -> None:
    frame = frame_of([1.234, "> 5,5", 2.5, None])
    with pytest.raises(DataError, match=r"'X' holds numbers and texts.*1234 of the number 1\.234"):
        AssayTable.from_frame(frame, assays={"X": COMMA})
    points = AssayTable.from_frame(
        frame_of([1.234, "> 5.5", 2.5, None]), assays={"X": {**COMMA, "decimal": "."}}
    )
    np.testing.assert_allclose(points.labels[:3, 0], [1.234, 5.5, 2.5], rtol=1e-6)
    whole = AssayTable.from_frame(frame_of([1, "> 5,5", 2, None]), assays={"X": COMMA})
    np.testing.assert_allclose(whole.labels[:3, 0], [1, 5.5, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("texts", "decimal"), [(["1.234", "12.5", "0.12", ""], ","), (["1,234", "> 12,5", "3,1", "7"], ".")]
)
def test_a_decimal_sign_that_no_number_has_is_refused(texts: list[str], decimal: str) -> None:
    setting = {"kind": "real", "decimal": decimal}
    with pytest.raises(DataError, match=rf"'X': data\.assays says decimal: '{decimal}', and no number"):
        AssayTable.from_frame(frame_of(texts), assays={"X": setting})
    frame = frame_of(texts).assign(assay="a")
    long = LongColumns(assay=("assay",), value="X")
    with pytest.raises(DataError, match="Correct `decimal`"):
        AssayTable.from_frame(frame, assays={"a": setting}, format="long", long=long)


def test_one_odd_number_among_those_with_the_sign_is_counted() -> None:
    table = AssayTable.from_frame(frame_of(["1,5", "2,25", "3.1", "4,5"]), assays={"X": COMMA})
    np.testing.assert_allclose(table.labels[[0, 1, 3], 0], [1.5, 2.25, 4.5])
    assert any("points and commas that make no number (1: record 3 '3.1')" in note for note in table.notes)


def test_a_merged_file_is_read_by_the_settings_that_it_was_merged_by(tmp_path: Path) -> None:
    """It has points, whatever its sources had."""
    frame_of(["1,234", "> 12,5", "0,125", "1000"]).to_csv(tmp_path / "a.csv", index=False)
    settings = Data(source=str(tmp_path / "a.csv"), assays={"X": COMMA})
    merge_files([str(tmp_path / "a.csv")], tmp_path / "m.parquet", settings)
    table = read_assays(tmp_path / "m.parquet", assays={"X": COMMA})
    np.testing.assert_allclose(table.labels[:, 0], [1.234, 12.5, 0.125, 1000], rtol=1e-6)
