"""Tables of real and censored values are written so that they read back the same."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.data.assay_kinds import Assay
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.cell_texts import cell_texts, settings_of

ASSAYS = (
    Assay("tox"),
    Assay("pIC50", "real"),
    Assay("Ki", "real", "nM", "neg_log10_molar"),
    Assay("CL*", "real", "mL/min", "log10", wanted="low"),
    Assay("inh", "real", "%", "logit"),
    Assay("pIC50>=6", threshold=6.0),
)
VALUE = st.none() | st.floats(0.5, 9.5, width=32)
CELL = st.tuples(VALUE, st.sampled_from([-1, 0, 0, 1]))


@given(st.lists(st.lists(CELL, min_size=6, max_size=6), min_size=1, max_size=12))
def test_a_written_table_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    labels = np.array([[np.nan if v is None else v for v, _ in row] for row in rows], np.float32)
    censored = np.array([[0 if v is None else mark for v, mark in row] for row in rows], np.int8)
    for task in (0, 5):
        labels[:, task], censored[:, task] = (
            np.where(np.isnan(labels[:, task]), np.nan, labels[:, task] > 5),
            0,
        )
    n = len(rows)
    path = tmp_path_factory.mktemp("t") / "t.csv"
    names = tuple(assay.name for assay in ASSAYS)
    smiles = ["C" * (row + 1) for row in range(n)]
    table = AssayTable(
        [""] * n, smiles, labels, names, {}, np.arange(1, n + 1), about=ASSAYS, censored=censored
    )
    table.write_csv(path)
    again = read_assays(path, smiles="smiles", id="id", tasks=names, assays=settings_of(ASSAYS))
    np.testing.assert_array_equal(again.labels, labels)
    assert ((again.censored if again.censored is not None else 0) == censored).all()
    assert again.assays[:5] == ASSAYS[:5]


def test_values_are_written_in_the_users_unit_and_relations_turn_with_it(tmp_path: Path) -> None:
    labels = np.float32([[1, 5.5, 8, 2, 0, np.nan], [0, 6, 5, np.nan, np.nan, 1]])
    censored = np.int8([[0, -1, 1, 1, 0, 0], [0, 0, -1, 0, 0, 0]])
    assert cell_texts(labels, censored, ASSAYS).tolist() == [
        ["1", "<5.5", "<10", ">100", "50", ""],
        ["0", "6.0", ">10000", "", "", "1"],
    ]


def test_settings_are_those_of_real_assays_alone() -> None:
    plain = {name: each.model_dump(exclude_defaults=True) for name, each in settings_of(ASSAYS).items()}
    assert plain["Ki"] == {"kind": "real", "unit": "nM", "transform": "neg_log10_molar"}
    assert plain["CL*"]["wanted"] == "low"
    assert set(plain) == {"pIC50", "Ki", "CL*", "inh"}
