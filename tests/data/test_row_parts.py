"""Rows of one structure in different parts, or of different dates: counted when they are merged."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.config import Config
from screening.data.assay_table import AssayTable
from screening.data.merging import prepare
from screening.data.row_parts import row_parts
from screening.training.preparation import prepare_data

SMILES = ["CCO", "OCC", "CCN", "C(C)O", "NCC", "CCC"]


def table_of(column: str, texts: list[str]) -> AssayTable:
    frame = pd.DataFrame(
        {"smiles": SMILES[: len(texts)], "tox": [0, 1, 0, 1, 0, 1][: len(texts)], column: texts}
    )
    return AssayTable.from_frame(frame, tasks=["tox"])


def merged(table: AssayTable, split: str, **options: Any) -> tuple[AssayTable, list[str]]:
    table, _, notes = prepare(table, workers=0, parts=row_parts(table, split, options))
    return table, [note for note in notes if "structures have rows" in note]


def test_different_parts_are_counted_with_the_setting() -> None:
    table, notes = merged(
        table_of("part", ["train", "test", "training", "", "train", "test"]), "column", column="part"
    )
    assert table.extra["part"] == ["train", "training", "test"]
    (note,) = notes
    assert note.startswith("Attention: 1 structures have rows in different parts by column 'part'")
    assert "data.keep_apart=part keeps such rows" in note
    assert not merged(
        table_of("part", ["train", "Train ", "test", "training", "testing"]), "column", column="part"
    )[1]


def test_parts_of_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("row,part\n0,train\n1,test\n2,train\n3,train\n4,train\n5,test\n")
    _, (note,) = merged(table_of("x", ["a"] * 6), "file", path=path)
    assert "1 structures have rows in different parts by" in note
    assert "data.duplicates=keep keeps such rows" in note


DAYS = st.lists(
    st.sampled_from(["2020-01-05", "2021-05-01", "2019-03-02", "n/a", ""]), min_size=6, max_size=6
)


@given(DAYS)
def test_the_oldest_date_of_merged_rows_counts(texts: list[str]) -> None:
    table = table_of("date", texts)
    after, notes = merged(table, "time", column="date")
    rows = prepare(table, duplicates="keep", workers=0)[0].canonical or []
    days = [
        {day for day, other in zip(texts, rows, strict=True) if other == one and day.startswith("2")}
        for one in dict.fromkeys(rows)
    ]
    kept = [day if day.startswith("2") else "" for day in after.extra["date"]]
    assert kept == [min(of_one, default="") for of_one in days]
    n_several = sum(len(of_one) > 1 for of_one in days)
    assert [note.split(" ")[0] for note in notes] == [str(n_several)] * (n_several > 0)


def test_a_training_tells_it() -> None:
    frame = pd.DataFrame(
        {
            "smiles": ["CCO", "CCN", "OCC", "CCC", "CCCC"],
            "tox": [0, 1, None, 1, 0],
            "part": ["train", "train", "test", "test", "valid"],
        }
    )
    config = Config.model_validate(
        {
            "name": "x",
            "data": {"source": "x", "tasks": ["tox"]},
            "split": {"name": "column", "column": "part"},
        }
    )
    table = AssayTable.from_frame(frame, tasks=["tox"])
    notes = prepare_data(config, table).notes
    assert any("1 structures have rows in different parts" in note for note in notes)


@pytest.mark.parametrize("split", ["random", "scaffold"])
def test_splits_of_structures_look_at_no_column(split: str) -> None:
    assert row_parts(table_of("part", ["train", "test"]), split, {}) is None
