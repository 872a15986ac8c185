"""A column of logarithms, declared with a transform, is not transformed twice without a word."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from screening.config_sections import LongColumns
from screening.data.assay_table import AssayTable
from screening.errors import DataError

MOLAR = {"kind": "real", "unit": "nM", "transform": "neg_log10_molar"}
LOG = {"kind": "real", "transform": "log10"}
POTENCIES = np.random.default_rng(0).uniform(3.5, 11, 30).round(2)


def read(name: str, values: Any, setting: dict[str, Any]) -> AssayTable:
    frame = pd.DataFrame({"smiles": ["C" * (row + 1) for row in range(len(values))], name: values})
    return AssayTable.from_frame(frame, assays={name: setting})


def read_long(name: str, values: Any, setting: dict[str, Any], column: str = "value") -> AssayTable:
    smiles = ["C" * (row + 1) for row in range(len(values))]
    frame = pd.DataFrame({"smiles": smiles, "assay": name, column: values})
    long = LongColumns(assay=("assay",), value=column)
    return AssayTable.from_frame(frame, assays={"*": setting}, format="long", long=long)


@pytest.mark.parametrize(
    ("name", "setting"),
    [("pIC50", MOLAR), ("CHEMBL204 pKi", MOLAR), ("pEC50_a", MOLAR), ("logIC50", LOG), ("logD7.4", LOG)],
)
@pytest.mark.parametrize("reader", [read, read_long])
def test_logarithms_by_name_and_values_are_refused(name: str, setting: dict[str, Any], reader: Any) -> None:
    with pytest.raises(DataError, match=r"would take the logarithm again.*Take transform and unit out"):
        reader(name, POTENCIES[:5], setting)
    assert reader(name, POTENCIES[:5], {"kind": "real"}).labels[0, 0] == np.float32(POTENCIES[0])


def test_the_column_of_values_may_say_it() -> None:
    with pytest.raises(DataError, match=r"'a \(pchembl_value\)'"):
        read_long("a", POTENCIES, MOLAR, "pchembl_value")


@pytest.mark.parametrize("reader", [read, read_long])
def test_the_name_or_the_values_alone_are_told(reader: Any) -> None:
    concentrations = 10 ** (9 - POTENCIES)
    (named,) = (note for note in reader("pKi", concentrations, MOLAR).notes if "logarithm" in note)
    assert named.startswith("Attention")
    assert "named as logarithms and read as values in nM" in named
    (ranged,) = (note for note in reader("binding", POTENCIES, MOLAR).notes if "logarithm" in note)
    assert "all values lie between 2 and 13, as logarithms do, and are read as nM: 'binding'" in ranged


@pytest.mark.parametrize("reader", [read, read_long])
@pytest.mark.parametrize(
    ("name", "values", "setting"),
    [
        ("Ki", 10 ** (9 - POTENCIES), MOLAR),
        ("Ki", POTENCIES[:10], MOLAR),
        ("pERK IC50", POTENCIES[:10], MOLAR),
        ("clearance", POTENCIES, LOG),
        ("pKi", POTENCIES, {"kind": "real"}),
    ],
)
def test_of_others_nothing_is_said(reader: Any, name: str, values: Any, setting: dict[str, Any]) -> None:
    assert not any("logarithm" in note for note in reader(name, values, setting).notes)
