"""Replicates are merged first and then compared with the threshold, in any form and order."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.config_sections import LongColumns
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.merging import prepare
from screening.data.several_files import read_several
from screening.data.sparse_cells import SparseCells

NAN = float("nan")
SMILES = ("CCO", "OCC", "C(C)O", "CCN", "NCC", "C(C)N")
"""Two structures in three spellings each."""

MEASURED = st.tuples(
    st.sampled_from(["", "", ">", ">=", "<", "<=", "~"]), st.sampled_from([8.0, 9.0, 10.0, 11.0])
)
ROWS = st.lists(st.tuples(st.sampled_from(SMILES), MEASURED), min_size=1, max_size=10)
ABOVE = {"threshold": 10}
BELOW = {"threshold": 10, "active": "below"}


def frame_of(rows: list[tuple[str, tuple[str, float]]]) -> pd.DataFrame:
    return pd.DataFrame(
        {"smiles": [smiles for smiles, _ in rows], "x": [f"{sign}{value}" for _, (sign, value) in rows]}
    )


def wide(frame: pd.DataFrame, setting: dict[str, Any]) -> AssayTable:
    return AssayTable.from_frame(frame, assays={"x": setting}, format="wide")


def long(frame: pd.DataFrame, setting: dict[str, Any]) -> AssayTable:
    columns = LongColumns(assay=("assay",), value="x")
    return AssayTable.from_frame(frame.assign(assay="x"), assays={"x": setting}, format="long", long=columns)


def classes(table: AssayTable) -> dict[str, float]:
    """Class of each structure, 0.5 = undecided."""
    prepared = prepare(table, workers=0)[0]
    return dict(
        zip(prepared.canonical or [], np.nan_to_num(prepared.labels[:, -1], nan=0.5).tolist(), strict=True)
    )


def by_hand(rows: list[tuple[str, tuple[str, float]]], active: str) -> dict[str, float]:
    """The rule, by structure: a bound decides where all values that it allows are on one side."""
    answers = {}
    for letter, name in (("O", "CCO"), ("N", "CCN")):
        measured = [one for smiles, one in rows if letter in smiles]
        exact = [value for sign, value in measured if sign in ("", "~")]
        lows = [(value, sign == ">") for sign, value in measured if sign.startswith(">")]
        highs = [(value, sign == "<") for sign, value in measured if sign.startswith("<")]
        if exact:
            says = {bool(np.median(exact) >= 10 if active == "above" else np.median(exact) <= 10)}
        elif active == "above":
            says = {True for low, _ in lows if low >= 10} | {
                False for high, is_strict in highs if high < 10 or (high == 10 and is_strict)
            }
        else:
            says = {True for high, _ in highs if high <= 10} | {
                False for low, is_strict in lows if low > 10 or (low == 10 and is_strict)
            }
        if measured:
            answers[name] = float(says.pop()) if len(says) == 1 else 0.5
    return answers


@pytest.mark.parametrize("reader", [wide, long])
@pytest.mark.parametrize("setting", [ABOVE, BELOW])
@given(rows=ROWS)
def test_it_is_the_rule_worked_by_hand(reader: Any, setting: dict[str, Any], rows: list) -> None:
    assert classes(reader(frame_of(rows), setting)) == by_hand(rows, setting.get("active", "above"))


@given(rows=ROWS, shuffler=st.randoms(use_true_random=False))
def test_the_order_of_rows_is_of_no_matter(rows: list, shuffler: random.Random) -> None:
    shuffled = shuffler.sample(rows, len(rows))
    assert classes(wide(frame_of(rows), ABOVE)) == classes(wide(frame_of(shuffled), ABOVE))


@pytest.mark.parametrize("reader", [wide, long])
def test_replicates_on_both_sides_have_the_class_of_their_median(reader: Any) -> None:
    frame = pd.DataFrame({"smiles": ["CCO"] * 3 + ["CCN"], "x": ["9.9", "10.1", "9.8", "11"]})
    table = reader(frame, {"kind": "real", **ABOVE})
    prepared, _, notes = prepare(table, workers=0)
    np.testing.assert_allclose(prepared.labels, [[9.9, 0], [11, 1]])
    assert "0 labels that contradict each other" in notes[0]
    assert any("1 classes have exact values on both sides" in note and "'x>=10' 1" in note for note in notes)
    kept = prepare(table, duplicates="keep", workers=0)[0]
    assert sorted(np.asarray(kept.labels)[:, 1].tolist()) == [0, 0, 1, 1]


def test_bounds_that_decide_differently_contradict() -> None:
    table = wide(pd.DataFrame({"smiles": ["CCO", "CCO", "CCN"], "x": ["> 12", "< 8", "11"]}), ABOVE)
    prepared, _, notes = prepare(table, workers=0)
    np.testing.assert_array_equal(prepared.labels, [[NAN], [1]])
    assert "1 labels that contradict each other" in notes[0]


def test_a_value_that_decided_nothing_alone_counts_in_the_median_of_none() -> None:
    """`> 9` says nothing of 10; beside it, 10.5 decides."""
    assert classes(wide(pd.DataFrame({"smiles": ["CCO", "CCO"], "x": ["> 9", "10.5"]}), ABOVE)) == {"CCO": 1}


def test_measurements_in_several_files_are_merged_first(tmp_path: Path) -> None:
    for name, values in (("a.csv", ["9.9", "11"]), ("b.csv", ["10.4", "> 12"])):
        pd.DataFrame({"smiles": ["CCO", "CCN"], "x": values}).to_csv(tmp_path / name, index=False)
    table = read_several([tmp_path / "a.csv", tmp_path / "b.csv"], None, {"x": ABOVE})
    assert classes(table) == {"CCO": 1, "CCN": 1}


def test_of_a_table_of_many_assays_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Labels that are kept as their cells alone."""
    monkeypatch.setattr("screening.data.sparse_cells.is_worth_it", lambda *sizes: True)
    rows = [
        (smiles, f"a{k}", value)
        for k in range(30)
        for smiles, value in (("CCO", 9.9), ("OCC", 10.3), ("CCN", 3))
    ]
    pd.DataFrame(rows, columns=["smiles", "assay", "value"]).to_csv(tmp_path / "t.csv", index=False)
    table = read_assays(tmp_path / "t.csv", format="long", assays={"*": ABOVE})
    assert isinstance(table.labels, SparseCells)
    merged = prepare(table.select(table.tasks[5:]), workers=0)[0]
    np.testing.assert_array_equal(np.asarray(merged.labels), [[1] * 25, [0] * 25])
