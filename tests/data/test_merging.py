"""Rows of one structure become one: replicates of real values by one rule, in whatever order and file."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from screening.data.assay_kinds import Assay
from screening.data.assay_table import AssayTable
from screening.data.merging import prepare

ASSAYS = (Assay("pIC50", "real"), Assay("tox"), Assay("Ki", "real", "nM", "neg_log10_molar"))
SMILES = ("CCO", "OCC", "CCN", "C(C)O", "c1ccccc1", "NCC")
"""Three structures in six spellings."""

CELL = st.tuples(st.none() | st.sampled_from([4.0, 5.0, 5.5, 7.0, 9.0]), st.sampled_from([-1, 0, 0, 1]))
ROWS = st.lists(st.tuples(st.sampled_from(SMILES), CELL, st.sampled_from([None, 0, 1]), CELL), max_size=14)


def table_of(rows: list) -> AssayTable:
    labels = np.full((len(rows), 3), np.nan, np.float32)
    censored = np.zeros((len(rows), 3), np.int8)
    for row, (_, first, label, third) in enumerate(rows):
        for task, (value, mark) in ((0, first), (2, third)):
            labels[row, task] = np.nan if value is None else value
            censored[row, task] = 0 if value is None else mark
        labels[row, 1] = np.nan if label is None else label
    return AssayTable(
        [f"i{row}" for row in range(len(rows))],
        [row[0] for row in rows],
        labels,
        tuple(assay.name for assay in ASSAYS),
        {},
        np.arange(1, len(rows) + 1),
        about=ASSAYS,
        censored=censored,
    )


def by_structure(table: AssayTable) -> dict[str, tuple[list[float], list[int]]]:
    prepared = prepare(table, workers=0)[0]
    assert prepared.canonical is not None
    assert prepared.censored is not None
    labels, censored = np.nan_to_num(prepared.labels, nan=-1).tolist(), prepared.censored.tolist()
    return dict(zip(prepared.canonical, zip(labels, censored, strict=True), strict=True))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_of_no_matter(rows: list, shuffler: random.Random) -> None:
    other = list(rows)
    shuffler.shuffle(other)
    assert by_structure(table_of(rows)) == by_structure(table_of(other))


def test_replicates_are_medians_and_classes_contradict() -> None:
    none = (None, 0)
    rows = [
        ("CCO", (5.0, 0), 1, (7.0, 1)),
        ("OCC", (5.5, 0), 0, (9.0, 1)),
        ("C(C)O", (9.0, 0), 1, none),
        ("CCN", (4.0, 1), 1, (5.0, 1)),
        ("NCC", (4.0, 0), None, (9.0, -1)),
    ]
    merged = by_structure(table_of(rows))
    assert merged["CCO"] == ([5.5, -1, 9.0], [0, 0, 1])
    assert merged["CCN"] == ([4.0, 1, -1], [0, 0, 0])
    notes = prepare(table_of(rows), workers=0)[2]
    assert notes[0].endswith("1 labels that contradict each other were taken as missing.")
    assert notes[1] == "1 real values are medians of several exact ones: 'pIC50' 1."
    assert "over more than 1 in 'pIC50' 1." in notes[2]
    assert notes[3] == "1 censored measurements gave way to exact ones: 'pIC50' 1."
    assert notes[4] == "1 values have bounds in both directions and none exact, and are missing: 'Ki' 1."


def test_tables_of_classes_say_what_they_always_said() -> None:
    table = AssayTable(["", ""], ["CCO", "OCC"], np.float32([[1], [0]]), ("A",), {}, np.arange(1, 3))
    merged, _, notes = prepare(table, workers=0)
    assert notes == [
        "1 rows repeat 1 structures and were merged into the first row of each; 1 labels that contradict "
        "each other were taken as missing."
    ]
    assert (merged.about, merged.censored, np.isnan(merged.labels).all()) == ((), None, True)
