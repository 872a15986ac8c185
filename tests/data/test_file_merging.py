"""Merging files loses no measurement, whatever their order and whether it is done at once or in steps."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screening.config_sections import AssaySettings, Data
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.datasets import load_dataset
from screening.data.file_merging import merge_files, regrouped
from screening.data.merging import prepare
from screening.data.table_union import united
from screening.errors import ConfigError, DataError

NM = AssaySettings(kind="real", unit="nM", transform="neg_log10_molar")
Cell = tuple[str, str, float, int]
SMILES = ["CCO", "OCC", "CCN", "c1ccccc1", "C1=CC=CC=C1"]
rows = st.lists(
    st.tuples(
        st.sampled_from(SMILES), st.sampled_from([None, 0, 1]), st.sampled_from(["", "3", ">50", "<0.5"])
    ),
    min_size=1,
    max_size=6,
)


def measurements(table: AssayTable) -> Counter[Cell]:
    """Structure, assay, label and mark of every measurement."""
    usable = table if table.canonical else prepare(table, duplicates="keep", workers=0)[0]
    labels = np.asarray(usable.labels)
    marks = np.zeros(labels.shape, int) if usable.censored is None else np.asarray(usable.censored)
    assert usable.canonical is not None
    return Counter(
        (usable.canonical[row], usable.tasks[task], round(float(labels[row, task]), 4), int(marks[row, task]))
        for row, task in zip(*np.nonzero(~np.isnan(labels)), strict=True)
    )


def results(table: AssayTable) -> Counter[Cell]:
    return measurements(prepare(table, workers=0)[0])


def file_of(folder: Path, name: str, values: list[tuple[str, int | None, str]]) -> str:
    frame = pd.DataFrame(values, columns=["smiles", "toxic", "Ki"]).astype({"toxic": "Int64"})
    frame.insert(0, "id", [f"{name}{n}" for n in range(len(frame))])
    frame.to_csv(folder / f"{name}.csv", index=False)
    return str(folder / f"{name}.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(rows, rows, rows)
def test_merging_is_associative_and_free_of_order(
    tmp_path: Path,
    a: list[tuple[str, int | None, str]],
    b: list[tuple[str, int | None, str]],
    c: list[tuple[str, int | None, str]],
) -> None:
    tables = [_table(values) for values in (a, b, c)]
    expected = sum((measurements(table) for table in tables), Counter[Cell]())
    for order in itertools.permutations(tables):
        assert measurements(regrouped(_prepared(united(order, "abc")))) == expected
    first = regrouped(_prepared(united(tables[:2], "ab")))
    last = regrouped(_prepared(united(tables[1:], "bc")))
    whole = united(tables, "abc")
    assert results(united([first, tables[2]], "xc")) == results(whole)
    assert results(united([tables[0], last], "ax")) == results(whole)
    assert results(regrouped(_prepared(whole))) == results(whole)


def _table(values: list[tuple[str, int | None, str]]) -> AssayTable:
    frame = pd.DataFrame(values, columns=["smiles", "toxic", "Ki"])
    return AssayTable.from_frame(frame, tasks=["toxic", "Ki"], assays={"Ki": NM}, format="wide")


def _prepared(table: AssayTable) -> AssayTable:
    return prepare(table, duplicates="keep", workers=0)[0]


A = [("CCO", 1, "5"), ("CCN", 0, ">1000"), ("c1ccccc1", None, "")]
B = [("OCC", 1, "7"), ("CCC", 1, "2"), ("not a structure", 0, "")]
C = [("CCO", 0, "900"), ("NCC", 0, "<10"), ("CCC", 1, "2")]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_a_merged_file_is_read_back_with_all_measurements(tmp_path: Path, ending: str) -> None:
    files = [file_of(tmp_path, name, values) for name, values in zip("abc", (A, B, C), strict=True)]
    data = Data(source=tuple(files), assays={"Ki": NM})
    out = tmp_path / f"merged{ending}"
    merged = merge_files(files, out, data)
    declared = {} if ending == ".parquet" else {"Ki": NM}
    table = read_assays(out, assays=declared)
    whole = load_dataset(tuple(files), assays={"Ki": NM})
    assert table.tasks == whole.tasks
    assert table.assays == whole.assays
    assert measurements(table) == measurements(whole)
    assert results(table) == results(whole)
    assert (merged.n_structures, merged.n_rows, merged.n_rejected) == (4, 8, 1)
    assert "data.source=" in str(merged)
    assert (merged.setting == "") == (ending == ".parquet")


def test_identifiers_files_and_contradictions_are_told(tmp_path: Path) -> None:
    files = [file_of(tmp_path, name, values) for name, values in zip("abc", (A, B, C), strict=True)]
    merged = merge_files(files, tmp_path / "m.csv", Data(source=tuple(files), assays={"Ki": NM}))
    text = str(merged)
    assert "assay 'toxic' is in 'a.csv', 'b.csv', 'c.csv': its measurements were joined." in text
    table = pd.read_csv(tmp_path / "m.csv", dtype=str, keep_default_na=False)
    ethanol = table[table.smiles == "CCO"]
    assert set(ethanol.id) == {"a0"}
    assert set(ethanol.other_ids) == {"b0;c0"}
    odd = pd.read_csv(tmp_path / "m.contradictions.csv", dtype=str)
    assert odd[["structure", "assay", "ids"]].values.tolist() == [
        ["CCO", "toxic", "c0; a0; b0"] if odd.ids[0].startswith("c0") else ["CCO", "toxic", "a0; b0; c0"],
        ["CCO", "Ki", odd.ids[1]],
        ["CCN", "Ki", odd.ids[2]],
    ]
    rejected = pd.read_csv(tmp_path / "m.rejected.csv")
    assert rejected[["row", "id"]].values.tolist() == [[6, "b2"]]
    with pytest.raises(ConfigError, match="is there already"):
        merge_files(files, tmp_path / "m.csv")
    with pytest.raises(ConfigError, match="ends in"):
        merge_files(files, tmp_path / "m.txt")


def test_files_of_several_formats_are_one_source(tmp_path: Path) -> None:
    first = file_of(tmp_path, "a", A)
    (tmp_path / "b.tsv").write_text("SMILES\tpermeable\nCCO\t1\nCCCC\t0\n")
    texts = {"smiles": ["CCN", "CCO", "CCF", "CCBr"], "assay": ["AhR", "hERG"] * 2, "label": [1, 0, 1, 0]}
    pd.DataFrame(texts).to_parquet(tmp_path / "c.parquet")
    table = load_dataset((first, str(tmp_path / "b.tsv"), str(tmp_path / "c.parquet")), assays={"Ki": NM})
    assert table.tasks == ("toxic", "Ki", "permeable", "AhR", "hERG")
    assert table.extra["file"] == ["a.csv"] * 3 + ["b.tsv"] * 2 + ["c.parquet"] * 4
    assert table.rows.tolist() == list(range(1, 10))
    chosen = load_dataset((first, str(tmp_path / "b.tsv")), assays={"Ki": NM}, tasks=["permeable"])
    assert chosen.tasks == ("permeable",)
    with pytest.raises(ConfigError, match="'K_i': no file has it"):
        load_dataset((first, str(tmp_path / "b.tsv")), assays={"Ki": NM, "K_i": NM})


def test_units_are_converted_or_refused() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "x": ["1000", "2000"]})
    nano, micro = (AssaySettings(kind="real", unit=unit) for unit in ("nM", "uM"))
    small = AssayTable.from_frame(frame, assays={"x": nano})
    large = AssayTable.from_frame(frame.assign(x=["1", "2"]), assays={"x": micro})
    np.testing.assert_allclose(united([small, large], "ab").labels[:, 0], [1000, 2000, 1000, 2000])
    other = AssayTable.from_frame(frame, assays={"x": AssaySettings(kind="real", unit="%")})
    with pytest.raises(DataError, match=r"assay 'x' is .*nM.* in a and .*%.* in b"):
        united([small, other], "ab")
    scaled = AssayTable.from_frame(frame, assays={"x": NM})
    with pytest.raises(DataError, match="one kind, scale and unit"):
        united([small, scaled], "ab")


def test_units_of_columns_beside_the_values_are_not_mixed_between_files() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "x": ["1000", "2000"], "x_unit": ["nM", "nM"]})
    micro = frame.assign(x=["1", "2"], x_unit=["uM", "uM"])
    settings = AssaySettings(kind="real")
    tables = [AssayTable.from_frame(each, assays={"x": settings}) for each in (frame, micro)]
    np.testing.assert_allclose(united(tables, "ab").labels[:, 0], [1000, 2000, 1000, 2000])
    classes = AssaySettings(threshold=100)
    tables = [AssayTable.from_frame(each, assays={"x": classes}) for each in (frame, micro)]
    with pytest.raises(DataError, match="one kind, scale and unit"):
        united(tables, "ab")
