"""PubChem's data tables are read with their outcomes as labels, named by the number of the bioassay."""

from pathlib import Path

import numpy as np
import pytest

from screening.config_sections import AssaySettings
from screening.data.assays import read_assays
from screening.data.datasets import load_dataset
from screening.data.pubchem import is_data_table, with_outcomes
from screening.errors import DataError

TABLE = """PUBCHEM_RESULT_TAG,PUBCHEM_SID,PUBCHEM_CID,PUBCHEM_EXT_DATASOURCE_SMILES,PUBCHEM_ACTIVITY_OUTCOME,\
PUBCHEM_ACTIVITY_SCORE,PUBCHEM_ACTIVITY_URL,Phenotype,Potency
RESULT_TYPE,,,,,,,STRING,FLOAT
RESULT_DESCR,,,,,,,Kind of curve,Half maximum
RESULT_UNIT,,,,,,,,MICROMOLAR
1,10,20,CCO,Active,40,http://x/1,Inhibitor,0.5
2,11,21,CCN,Inactive,0,http://x/2,Inactive,
3,12,22,CCC,Inconclusive,10,http://x/3,Inhibitor,30
4,13,23,CCCl,Unspecified,0,http://x/4,,
"""
MICRO = AssaySettings(kind="real", unit="uM", transform="neg_log10_molar")


def file_of(folder: Path, name: str, text: str = TABLE) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_outcome_is_the_assay_and_lines_about_columns_are_no_molecules(tmp_path: Path) -> None:
    table = read_assays(file_of(tmp_path, "AID_1000_datatable_all.csv"))
    assert table.tasks == ("AID 1000",)
    measured = dict(zip(table.ids, table.labels[:, 0].tolist(), strict=True))
    assert (measured["20"], measured["21"]) == (1, 0)
    assert np.isnan([measured["22"], measured["23"]]).all()
    assert "PUBCHEM_ACTIVITY_SCORE" in table.extra
    assert "is a data table of PubChem" in table.notes[0]


def test_measured_columns_can_be_declared(tmp_path: Path) -> None:
    path = file_of(tmp_path, "AID_1000.csv")
    table = read_assays(path, assays={"Potency": MICRO})
    assert table.tasks == ("AID 1000", "AID 1000 Potency")
    values = dict(zip(table.ids, table.labels[:, 1].tolist(), strict=True))
    assert values["20"] == pytest.approx(-np.log10(0.5e-6), rel=1e-6)
    assert [rejected.row for rejected in table.rejected] == [1, 2, 3]


def test_several_bioassays_stay_several_assays(tmp_path: Path) -> None:
    files = (str(file_of(tmp_path, "AID_1000.csv")), str(file_of(tmp_path, "AID_2000.csv")))
    table = load_dataset(files, assays={"Potency": MICRO})
    assert table.tasks == ("AID 1000", "AID 1000 Potency", "AID 2000", "AID 2000 Potency")


def test_the_user_may_say_otherwise(tmp_path: Path) -> None:
    path = file_of(tmp_path, "download.csv")
    assert read_assays(path).tasks == ("PUBCHEM_ACTIVITY_OUTCOME",)
    given = {"Active": 0, "inactive": 1}
    assert with_outcomes(given) == {**given, "Inconclusive": None, "Unspecified": None}
    table = read_assays(path, labels=given)
    assert table.labels[table.ids.index("20"), 0] == 0
    with pytest.raises(DataError, match="is neither 1, 0 nor empty"):
        read_assays(file_of(tmp_path, "x.csv", TABLE.replace("Unspecified", "Probe")))


def test_other_tables_are_none() -> None:
    assert not is_data_table(["SMILES", "PUBCHEM_ACTIVITY_OUTCOME"])
    assert is_data_table(["PUBCHEM_SID", "PUBCHEM_ACTIVITY_OUTCOME"])


def test_concentrations_are_named_with_the_setting_that_takes_them_in(tmp_path: Path) -> None:
    table = read_assays(file_of(tmp_path, "AID_1000.csv"))
    setting = "'data.assays={Potency: {kind: real, unit: uM, transform: neg_log10_molar}}'"
    assert f"Measured columns can be declared in data.assays: {setting}." in table.notes[0]
    declared = read_assays(file_of(tmp_path, "AID_1000.csv"), assays={"Potency": MICRO})
    assert "Measured columns" not in declared.notes[0]
    plain = read_assays(file_of(tmp_path, "AID_2.csv", TABLE.replace("MICROMOLAR", "")))
    assert "can be declared in data.assays." in plain.notes[0]
