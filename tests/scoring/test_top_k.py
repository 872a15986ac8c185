"""The best K: what a stable sort of everything gives, ties and gaps included."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.data.assay_kinds import Assay
from screening.scoring.part_files import PartFolder, Tally
from screening.scoring.top_k import COLUMNS, Best, Leaders, rows_at, write_top


def sorted_best(parts: list[np.ndarray], k: int) -> tuple[list[list[float]], list[list[int]]]:
    """Values and places by sorting all scores of an assay: by value, then by place."""
    places = np.concatenate(
        [(number << COLUMNS) + np.arange(part.shape[1]) for number, part in enumerate(parts)]
    )
    scores = np.concatenate(parts, axis=1)
    values, where = [], []
    for row in scores:
        known = np.flatnonzero(~np.isnan(row))
        order = known[np.argsort(-row[known], kind="stable")][:k]
        values.append(row[order].tolist())
        where.append(places[order].tolist())
    return values, where


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.lists(st.integers(1, 30), min_size=1, max_size=12),
    st.integers(1, 4),
    st.sampled_from([2, 5, 1000]),
)
def test_any_stream_gives_what_sorting_gives(
    seed: int, k: int, sizes: list[int], n_tasks: int, n_values: int
) -> None:
    random = np.random.default_rng(seed)
    parts = [random.integers(0, n_values, (n_tasks, size)).astype(np.float32) / n_values for size in sizes]
    for part in parts:
        part[:, random.random(part.shape[1]) < 0.2] = np.nan
    best = Best(n_tasks, k)
    for number, part in enumerate(parts):
        best.add(number, part)
    best.merge()
    values, places = sorted_best(parts, k)
    for task in range(n_tasks):
        n = len(values[task])
        assert best.values[task, :n].tolist() == values[task]
        assert best.places[task, :n].tolist() == places[task]
        assert (best.values[task, n:] == -np.inf).all()


def test_memory_does_not_grow_with_the_library() -> None:
    """Ascending scores, the worst case: every molecule is better than all before it."""
    best, waiting = Best(3, 10), 0
    for number in range(200):
        best.add(number, np.tile(np.arange(50, dtype=np.float32) + 50 * number, (3, 1)))
        waiting = max(waiting, sum(len(task) for task, _, _ in best._waiting))
    best.merge()
    assert waiting <= 3 * 10
    assert best.values[0].tolist() == list(range(9999, 9989, -1))


@pytest.mark.parametrize("numbers", [[0, 1], [0, 7], []])
def test_the_table_names_the_molecules(tmp_path: Path, numbers: list[int]) -> None:
    parts = PartFolder(tmp_path)
    leaders = Leaders(parts, (Assay("x"), Assay("never")), 3, ())
    for number in numbers:
        table = pa.table(
            {
                "row": [1, 2],
                "file": ["f"] * 2,
                "id": [f"{number}a", f"{number}, b"],
                "smiles": ["CC", "C"],
                "x": pa.array([0.5, number / 10], pa.float32()),
            }
        )
        parts.write(table, Tally(number, "", {"": 2}, 0))
        leaders.add(number, np.array([[0.5, number / 10], [np.nan, np.nan]], np.float32))
    leaders.complete(numbers)
    write_top(leaders, tmp_path / "top.csv")
    lines = (tmp_path / "top.csv").read_text().splitlines()
    last = numbers[-1] if numbers else 0
    assert lines[0] == "assay,rank,id,smiles,probability,row,file"
    assert len(lines) == 1 + min(3, 2 * len(numbers))
    if last == 7:
        assert lines[1:] == ['x,1,"7, b",C,0.7,2,f', "x,2,0a,CC,0.5,1,f", "x,3,7a,CC,0.5,1,f"]


def test_rows_come_in_the_order_of_their_places_and_each_part_is_read_once() -> None:
    asked: list[int] = []

    def read(number: int) -> pa.Table:
        asked.append(number)
        return pa.table({"id": [f"{number}-{row}" for row in range(5)]})

    places = np.array([(number << COLUMNS) + row for number, row in ((7, 4), (0, 1), (7, 0), (0, 1))])
    assert rows_at(places, read).to_pydict() == {"id": ["7-4", "0-1", "7-0", "0-1"]}
    assert asked == [0, 7]


def test_the_best_values_are_at_the_good_end_and_have_their_limits(tmp_path: Path) -> None:
    """Low nM are high pKi; a real assay whose low values are wanted; a binary one beside them."""
    assays = (
        Assay("Ki", "real", "nM", "neg_log10_molar"),
        Assay("logD", "real", wanted="low"),
        Assay("AhR"),
    )
    parts, random = PartFolder(tmp_path), np.random.default_rng(0)
    leaders, whole = Leaders(parts, assays, 4, ()), []
    for number in (0, 3):
        names = ("Ki", "Ki:low", "Ki:high", "logD", "logD:low", "logD:high", "AhR", "AhR:set")
        columns = {name: random.random(20).astype(np.float32) for name in names}
        texts = {"id": [f"{number}-{row}" for row in range(20)], "smiles": ["C"] * 20, "file": ["f"] * 20}
        parts.write(pa.table({"row": range(20), **texts, **columns}), Tally(number, "", {"": 20}, 0))
        whole.append(pd.DataFrame({**texts, **columns}))
    leaders.complete([0, 3])
    write_top(leaders, tmp_path / "top.csv", limits=True)
    top, rows = pd.read_csv(tmp_path / "top.csv"), pd.concat(whole)
    assert list(top) == ["assay", "rank", "id", "smiles", "value", "low", "high", "unit", "row", "file"]
    for assay, rises in (("Ki", False), ("logD", False), ("AhR", True)):
        best = rows.sort_values(assay, ascending=not rises).head(4)
        here = top[top["assay"] == assay]
        assert here["id"].tolist() == best["id"].tolist()
        np.testing.assert_allclose(here["value"], best[assay], rtol=1e-5)
        if assay != "AhR":
            np.testing.assert_allclose(here["low"], best[f"{assay}:low"], rtol=1e-5)
            np.testing.assert_allclose(here["high"], best[f"{assay}:high"], rtol=1e-5)
    assert top["unit"].fillna("").drop_duplicates().tolist() == ["nM", "", "probability"]
    assert top.loc[top["assay"] == "AhR", ["low", "high"]].isna().all(axis=None)
