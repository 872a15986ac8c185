"""A long table is the wide one of the same data: classes, values, censored ones, repeats, in any order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.config_sections import AssaySettings, LongColumns
from screening.data import sparse_cells
from screening.data.assay_table import AssayTable
from screening.data.assays import assays_of, read_assays
from screening.data.merging import prepare
from screening.data.pivoting import rows_of_cells
from screening.data.sparse_cells import SparseCells
from screening.data.tables import open_frame
from screening.errors import ConfigError, DataError

SMILES = ["CCO", "CCN", "c1ccccc1", "CCCl", "CC(C)O", "CCOC"]
NM = AssaySettings(kind="real", unit="nM", transform="neg_log10_molar")


def long_table(frame: pd.DataFrame, long: LongColumns | None = None, **settings: AssaySettings) -> AssayTable:
    return assays_of(lambda: open_frame(frame), None, {}, "long", settings, long)


def cells_by_name(table: AssayTable) -> dict[tuple[str, str], float]:
    """Label by structure and assay, of the merged table."""
    merged = prepare(table, workers=0)[0]
    labels = np.asarray(merged.labels)
    return {
        (merged.smiles[row], merged.tasks[task]): float(labels[row, task])
        for row, task in zip(*np.nonzero(~np.isnan(labels)), strict=True)
    }


records = st.lists(
    st.tuples(st.sampled_from(SMILES), st.sampled_from(["A", "B", "C d"]), st.integers(0, 1)),
    min_size=1,
    max_size=40,
)


@given(records)
def test_long_is_wide(rows: Sequence[tuple[str, str, int]]) -> None:
    long = long_table(pd.DataFrame(rows, columns=["smiles", "assay", "label"]))
    names = list(dict.fromkeys(assay for _, assay, _ in rows))
    wide = pd.DataFrame([{"smiles": s, **{n: (y if n == a else None) for n in names}} for s, a, y in rows])
    assert long.tasks == tuple(names)
    assert cells_by_name(long) == cells_by_name(AssayTable.from_frame(wide, tasks=names, format="wide"))


@given(records, st.randoms())
def test_the_order_of_records_changes_nothing(rows: list[tuple[str, str, int]], draw: object) -> None:
    shuffled = rows.copy()
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        cells_by_name(long_table(pd.DataFrame(each, columns=["smiles", "assay", "label"])))
        for each in (rows, shuffled)
    )
    assert one == other


@given(records)
def test_a_sparse_table_is_the_dense_one(rows: list[tuple[str, str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["smiles", "assay", "label"])
    dense = long_table(frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_cells, "DENSE_BYTES", 0)
        patch.setattr(sparse_cells, "DENSE_SHARE", 2.0)
        sparse = long_table(frame)
    assert isinstance(sparse.labels, SparseCells)
    np.testing.assert_array_equal(sparse.labels[:], dense.labels)
    assert cells_by_name(sparse) == cells_by_name(dense)
    chosen = np.arange(len(dense))[::-2]
    np.testing.assert_array_equal(sparse.take(chosen).labels[:], dense.take(chosen).labels)
    tasks = dense.tasks[::-1][:2]
    np.testing.assert_array_equal(sparse.select(tasks).labels[:], dense.select(tasks).labels)
    assert repr(sparse) == repr(dense)


def test_no_measurement_is_lost_and_repeats_have_rows_of_their_own() -> None:
    rows = [("CCO", "A", 1), ("CCO", "A", 0), ("CCO", "B", 1), ("CCN", "A", 0), ("CCO", "A", 1)]
    table = long_table(pd.DataFrame(rows, columns=["smiles", "assay", "label"]))
    assert table.smiles == ["CCO", "CCO", "CCO", "CCN"]
    nan = np.nan
    np.testing.assert_array_equal(table.labels, [[1, 1], [0, nan], [1, nan], [0, nan]])
    assert any("2 further rows" in note for note in table.notes)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=60))
def test_every_cell_has_a_row_of_its_structure_to_itself(pairs: list[tuple[int, int]]) -> None:
    structures = np.array([structure for structure, _ in pairs], np.int64)
    _, first, structures = np.unique(structures, return_index=True, return_inverse=True)
    structures = np.argsort(np.argsort(first))[structures]
    tasks = np.array([task for _, task in pairs], np.int64)
    n = len(pairs)
    owners, rows = rows_of_cells(structures, np.arange(n), tasks)
    assert len(set(zip(rows.tolist(), tasks.tolist(), strict=True))) == n
    np.testing.assert_array_equal(owners[rows], structures)
    most = max((pairs.count(pair) for pair in pairs), default=0)
    assert len(owners) <= max(1, most) * len(set(structures.tolist()))


def test_columns_of_the_structure_are_kept_and_others_are_said_to_be_left_out() -> None:
    frame = pd.DataFrame(
        {
            "compound": ["M1", "M1", "M2"],
            "smiles": ["CCO", "CCO", "CCN"],
            "assay": ["A", "B", "A"],
            "label": [1, 0, 1],
            "series": ["x", "x", "y"],
            "date": ["2020", "2021", "2020"],
        }
    )
    table = assays_of(lambda: open_frame(frame, id="compound"), None, {}, "long")
    assert table.extra == {"series": ["x", "y"]}
    assert table.ids == ["M1", "M2"]
    assert any("left out" in note and "'date'" in note for note in table.notes)
    apart = assays_of(lambda: open_frame(frame), None, {}, "long", {}, None, "date")
    assert apart.extra["date"] == ["2020", "2021", "2020"]
    assert apart.smiles == ["CCO", "CCO", "CCN"]
    with pytest.raises(DataError, match=r"no column 'dat'.*date"):
        assays_of(lambda: open_frame(frame), None, {}, "long", {}, None, "dat")


def test_records_without_structure_or_assay_are_rejected_one_by_one() -> None:
    frame = pd.DataFrame(
        {
            "smiles": ["CCO", "", "CCN", "smiles"],
            "assay": ["A", "A", "", "assay"],
            "label": ["1", "0", "1", "label"],
        }
    )
    table = long_table(frame)
    reasons = {rejected.row: rejected.reason for rejected in table.rejected}
    assert reasons == {2: "the SMILES is empty", 3: "the assay is not named", 4: "the header line once more"}
    assert len(table) == 1
    with pytest.raises(DataError, match="no record has a structure and an assay"):
        long_table(frame.iloc[[1, 2]], LongColumns(assay=("assay",), value="label"))


VALUES = pd.DataFrame(
    [
        ("CCO", "T1", "Ki", "100", "=", "nM"),
        ("CCO", "T1", "Ki", "0.2", "", "uM"),
        ("CCN", "T1", "Ki", "10", ">", "uM"),
        ("CCN", "T2", "Ki", "> 5", "=", "nM"),
        ("CCCl", "T2", "Ki", "0", "=", "nM"),
        ("CCCl", "T2", "Inhibition", "55", "=", "%"),
        ("CCOC", "T2", "Inhibition", "12", "<", "%"),
        ("CCOC", "T2", "Ki", "7", "?!", "nM"),
        ("CCOC", "T1", "Ki", "8", "=", ""),
        ("CCOC", "T1", "Ki", "abc", "=", "nM"),
    ],
    columns=["smiles", "target", "type", "value", "relation", "unit"],
)
ROLES = LongColumns(assay=("target", "type"), value="value", relation="relation", unit="unit")


def test_values_have_relations_units_and_a_scale() -> None:
    table = long_table(
        VALUES, ROLES, **{"* Ki": NM, "* Inhibition": AssaySettings(kind="real", threshold=50)}
    )
    assert table.tasks == ("T1 Ki", "T2 Ki", "T2 Inhibition", "T2 Inhibition>=50")
    assert [assay.unit for assay in table.assays] == ["nM", "nM", "%", "%"]
    assert table.censored is not None
    rows = {
        (s, k): (y, c)
        for s, y_row, c_row in zip(table.smiles, table.labels, table.censored, strict=True)
        for k, (y, c) in enumerate(zip(y_row, c_row, strict=True))
        if not np.isnan(y)
    }
    expected = {
        ("CCN", 0): (5.0, -1),  # > 10 uM is a pKi below 5
        ("CCN", 1): (8.30103, -1),
        ("CCCl", 2): (55, 0),
        ("CCCl", 3): (1, 0),
        ("CCOC", 2): (12, -1),
        ("CCOC", 3): (0, 0),
    }
    exact = sorted(float(y) for (s, k), (y, _) in rows.items() if (s, k) == ("CCO", 0))
    assert rows.keys() == expected.keys() | {("CCO", 0)}
    for key, (value, mark) in expected.items():
        assert rows[key] == (pytest.approx(value, abs=1e-5), mark)
    both = table.labels[[place for place, smiles in enumerate(table.smiles) if smiles == "CCO"], 0]
    np.testing.assert_allclose(sorted(both), [6.69897, 7.0], atol=1e-5)
    assert exact
    notes = " ".join(table.notes)
    for text in ("not above 0", "no relation", "no unit where others", "2 values were converted"):
        assert text in notes


def test_a_unit_that_cannot_be_converted_is_an_error_or_left_out() -> None:
    frame = pd.concat(
        [VALUES, pd.DataFrame([("CCC", "T1", "Ki", "3", "=", "ug.mL-1")], columns=VALUES.columns)]
    )
    settings = {"* Ki": NM, "* Inhibition": AssaySettings(kind="real")}
    with pytest.raises(DataError, match=r"'ug.mL-1' \(1\).*record 11, assay 'T1 Ki'.*other_units=leave_out"):
        long_table(frame, ROLES, **settings)
    table = long_table(frame, ROLES.model_copy(update={"other_units": "leave_out"}), **settings)
    assert any("not converted to nM" in note for note in table.notes)
    by_unit = ROLES.model_copy(update={"assay": ("target", "type", "unit")})
    with pytest.raises(ConfigError, match=r"'\* Inhibition': no column matches"):
        long_table(frame, by_unit, **settings)


def test_scaling_the_unit_changes_nothing() -> None:
    micro = VALUES[VALUES.unit != ""].copy()
    nano = micro.unit == "nM"
    plain = micro.value.str.match(r"\d")
    micro.loc[nano & plain, "value"] = (micro.value[nano & plain].astype(float) / 1000).astype(str)
    micro.loc[nano & plain, "unit"] = "µM"
    settings = {"* Ki": NM, "* Inhibition": AssaySettings(kind="real")}
    one = long_table(VALUES[VALUES.unit != ""], ROLES, **settings)
    other = long_table(micro, ROLES, **settings)
    np.testing.assert_allclose(one.labels, other.labels, rtol=1e-6)


def test_undeclared_values_are_refused_with_the_setting_to_paste() -> None:
    with pytest.raises(
        DataError, match=r"""data.assays={"\* Ki": {kind: real, unit: nM, transform: neg_log10"""
    ):
        long_table(VALUES, ROLES)


def test_words_are_labels_as_the_user_says(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("smiles,assay,outcome\nCCO,A,Active\nCCN,A,Inactive\nCCO,B,Inconclusive\nCCN,B,Active\n")
    with pytest.raises(DataError, match=r"data.labels={Active: 1, Inactive: 0, Inconclusive: null}"):
        read_assays(path, format="long")
    table = read_assays(path, format="long", labels={"Active": 1, "Inactive": 0, "Inconclusive": None})
    np.testing.assert_array_equal(table.labels, [[1, np.nan], [0, 1]])


def test_wrong_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"no column 'targt' \(data.long.assay\).*target"):
        long_table(VALUES, LongColumns(assay=("targt",), value="value"))
    frame = pd.DataFrame({"smiles": ["C", "CC"], "x": ["a", "b"], "y z": ["c", "d"]})
    with pytest.raises(
        DataError, match=r"which column says of which assay a row is.*data.long={assay: COLUMN"
    ):
        long_table(frame)


CHEMBL = """"Molecule ChEMBL ID";"Smiles";"Standard Type";"Standard Relation";"Standard Value";\
"Standard Units";"pChEMBL Value";"Assay ChEMBL ID";"Target ChEMBL ID";"Target Name"
"CHEMBL1";"CCO";"IC50";"'>'";"20000.0";"nM";"";"CHEMBL90";"CHEMBL204";"Thrombin"
"CHEMBL2";"CCN";"IC50";"'='";"20.0";"nM";"7.70";"CHEMBL91";"CHEMBL204";"Thrombin"
"CHEMBL3";"CCC";"Ki";"'='";"2.0";"nM";"8.70";"CHEMBL91";"CHEMBL203";"EGFR"
"""


def test_an_export_of_chembl_is_recognised_though_no_structure_repeats(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(CHEMBL)
    with pytest.raises(
        DataError, match=r"""data.assays={"\*": {kind: real, unit: nM, transform: neg_log10_molar}}"""
    ):
        read_assays(path)
    table = read_assays(path, assays={"*": NM})
    assert table.tasks == ("CHEMBL204 IC50", "CHEMBL203 Ki")
    assert table.ids == ["CHEMBL1", "CHEMBL2", "CHEMBL3"]
    np.testing.assert_allclose(table.labels[:, 0], [-np.log10(2e-5), -np.log10(2e-8), np.nan], rtol=1e-6)
    assert table.censored is not None
    assert table.censored[:, 0].tolist() == [-1, 0, 0]
    assert "unit 'Standard Units'" in table.notes[0]
    pchembl = read_assays(
        path,
        long=LongColumns(assay=("Target Name",), value="pChEMBL Value"),
        assays={"*": AssaySettings(kind="real")},
    )
    assert "relation" not in pchembl.notes[0]  # which is that of the standard value
    np.testing.assert_allclose(pchembl.labels[:, 0], [np.nan, 7.7, np.nan], rtol=1e-6)


def test_the_real_long_table_streams(real_data: Path) -> None:
    table = read_assays(real_data / "fsmol_train_long.csv.gz")
    assert isinstance(table.labels, SparseCells)
    assert (len(set(table.smiles)), len(table.tasks)) == (207_223, 4_935)
    assert len(table.labels.values) == 412_402
