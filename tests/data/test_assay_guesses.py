"""Settings for columns of measured values are offered for pasting, and what is pasted reads the table."""

import copy
import shlex
from typing import Any

import pandas as pd
import pytest

from screening.config import load_config
from screening.data.assay_columns import is_measured
from screening.data.assay_guesses import by_pattern, guessed_settings
from screening.data.assay_table import AssayTable
from screening.data.labels import TextColumn
from screening.errors import DataError, UndeclaredError


def guess(name: str, *texts: str) -> dict[str, Any]:
    column = TextColumn()
    column.append(list(texts))
    return guessed_settings(name, column.explained({}))


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("Ki [nM]", ["> 10000", "5"], {"unit": "nM", "transform": "neg_log10_molar"}),
        ("IC50_uM", ["0.5", "7"], {"unit": "uM", "transform": "neg_log10_molar"}),
        ("IC50 (µM)", ["0", "7"], {"unit": "uM"}),
        ("pIC50", ["5.5", "7"], {}),
        ("pChEMBL Value", ["5.5", "7"], {}),
        ("logD", ["-1", "400"], {}),
        ("clearance", ["0.5", "700"], {"transform": "log10"}),
        ("hERG_inhibition", ["5", "700"], {"unit": "%"}),
        ("remaining [%]", ["5", "700"], {"unit": "%"}),
        ("form M", ["1", "2"], {}),
        ("Ki", ["10 nM", "> 7 nM", "1 uM"], {"unit": "nM", "transform": "neg_log10_molar"}),
        ("a", ["45%", "> 90 %"], {"unit": "%"}),
        ("a", ["4,5", "10,25"], {"decimal": ","}),
        ("a", ["1,234", "2,345"], {}),
        ("empty", [""], {}),
    ],
)
def test_unit_and_scale_are_guessed_from_name_and_values(
    name: str, texts: list[str], expected: dict[str, str]
) -> None:
    assert guess(name, *texts) == {"kind": "real", **expected}


def test_patterns_stand_for_columns_alike_and_for_no_other_column() -> None:
    real, molar = {"kind": "real"}, {"kind": "real", "unit": "nM"}
    names = ["CHEMBL1_Ki", "CHEMBL2_Ki", "CHEMBL3_Ki", "logD"]
    assert by_pattern(dict.fromkeys(names, real), names) == {"*_Ki": real, "logD": real}
    assert by_pattern(dict.fromkeys(names, real), [*names, "note_Ki"]) == dict.fromkeys(names, real)
    different = {name: molar if name == "CHEMBL2_Ki" else real for name in names}
    assert by_pattern(different, names) == different


@pytest.mark.parametrize("also", [{}, {"tox": [0, 1, 1]}, {"tox": [1, 0, None], "text": ["a", "b", "c"]}])
def test_what_is_offered_reads_the_table(also: dict[str, list[Any]]) -> None:
    cells = {"Ki [nM]": ["> 10000", "5", "7"], "IC50, a": ["3", "4", "5.5"], "p_x": [5.5, 6, 7], **also}
    frame = pd.DataFrame({"smiles": ["CCO", "CCN", "CCC"], **cells})
    if also:
        text = "\n".join(note for note in AssayTable.from_frame(frame).notes if "data.assays" in note)
    else:
        with pytest.raises(DataError, match="Measured values or counts") as caught:
            AssayTable.from_frame(frame)
        text = str(caught.value)
    setting = shlex.split(text[text.index("'data.assays") :])[0].rstrip(".;")
    config = load_config({"name": "t", "data": {"source": "t.csv"}}, [setting])
    table = AssayTable.from_frame(frame, assays=config.data.assays)
    assert set(table.tasks) >= {"Ki [nM]", "IC50, a"}
    assert dict(zip(table.tasks, table.assays, strict=True))["Ki [nM]"].transform == "neg_log10_molar"


def test_settings_that_are_there_already_are_offered_with_the_others() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "Ki": [5.0, 600], "pKd": [5.5, 6], "tox": [0, 1]})
    notes = AssayTable.from_frame(frame, assays={"Ki": {"kind": "real", "unit": "nM"}}).notes
    assert any("{Ki: {kind: real, unit: nM}, pKd: {kind: real}}" in note for note in notes)


def test_the_unit_may_stand_in_a_column_beside() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "Ki": [5.0, 600], "Ki_unit": ["nM", "nM"]})
    with pytest.raises(UndeclaredError) as caught:
        AssayTable.from_frame(frame)
    assert caught.value.assays == {"Ki": {"kind": "real", "unit": "nM", "transform": "neg_log10_molar"}}
    again = copy.copy(caught.value)
    assert (str(again), again.assays) == (str(caught.value), caught.value.assays)


@pytest.mark.parametrize(
    "texts", [["1,0", "0,0", "1,0"], ["2", "3", "4"], ["2020-01-05", "x", "y"], ["", ""]]
)
def test_codes_words_and_labels_are_no_measured_values(texts: list[str]) -> None:
    column = TextColumn()
    column.append(texts)
    assert not is_measured(column.explained({}))


def test_properties_are_not_offered() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "tox": [0, 1], "MolLogP": [1.5, 2.5], "weight": [46, 45]})
    assert not any("data.assays" in note for note in AssayTable.from_frame(frame).notes)
