"""Texts become labels, columns become assays, structures become unique rows; every row is accounted for."""

import csv
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.merging import prepare
from screening.data.molecules import read_molecule
from screening.data.tables import open_table
from screening.errors import ConfigError, DataError

NAN = float("nan")
DIRTY_LABELS = {
    **{"active": 1, "yes": 1, "true": 1, '"1"': 1},
    **{"inactive": 0, "false": 0, "-1": 0, "<1": 0},
    **dict.fromkeys(["NA", "nan", "x", "?", "2", "0.5", "inf"]),
}


def written(folder: Path, content: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def same(a: AssayTable, b: AssayTable) -> bool:
    """Whether two tables hold the same, row numbers and canonical SMILES aside."""
    return (a.ids, a.smiles, a.tasks, a.extra) == (b.ids, b.smiles, b.tasks, b.extra) and np.array_equal(
        a.labels, b.labels, equal_nan=True
    )


def table_of(smiles: list[str], labels: list[list[float]]) -> AssayTable:
    n = len(smiles)
    width = len(labels[0]) if labels else 0
    return AssayTable(
        [f"i{row}" for row in range(n)],
        smiles,
        np.array(labels, dtype=np.float32).reshape(n, width),
        tuple(f"T{task}" for task in range(width)),
        {"note": [f"n{row}" for row in range(n)]},
        np.arange(1, n + 1),
    )


# --- labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *((text, 1.0) for text in ["1", " 1", "1 ", "1.0", "1e0", "+1", "01"]),
        *((text, 0.0) for text in ["0", "0.0", "-0", "0e5", " 0 "]),
        *((text, NAN) for text in ["", "  "]),
    ],
)
def test_labels_without_mapping(tmp_path, text, label) -> None:
    table = read_assays(written(tmp_path, f"smiles,A\nCCO,{text}\nCCN,1\n"))
    np.testing.assert_array_equal(table.labels, np.float32([[label], [1]]))


@pytest.mark.parametrize("name", ["replicate", "Rep No.", "batch_id", "plate", "assay run"])
def test_numbers_of_replicates_are_no_assay(tmp_path, name) -> None:
    rows = "".join(f"{'C' * n},{n % 2},{r}\n" for n in range(1, 5) for r in (1, 2))
    table = read_assays(written(tmp_path, f"smiles,A,{name}\n{rows}"))
    notes = table.notes
    assert table.tasks == ("A",)
    assert any(f"not assays: '{name}'" in note for note in notes)
    with pytest.raises(DataError, match="label '2'"):  # under another name it may be a code
        read_assays(written(tmp_path, f"smiles,A,outcome\n{rows}"))


def test_a_list_of_no_smiles_is_called_so(tmp_path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("id^smiles^A\n1^CCO^1\n2^CCN^0\n")
    with pytest.raises(DataError, match=r"read as a list of SMILES, and none of its first 2 lines .*'1\^CCO"):
        read_assays(path)


@pytest.mark.parametrize(
    "text", ["active", "NA", "nan", "-1", "0.5", "TRUE", "inf", "2", "1_0", "0x1", "1,0", "?", "1e-400x"]
)
def test_other_texts_need_a_mapping(tmp_path, text) -> None:
    path = written(tmp_path, f'smiles,A\nCCO,1\nCCN,"{text}"\n')
    with pytest.raises(DataError, match="record 2, column 'A': label") as caught:
        read_assays(path)
    assert f"{text!r} (1)" in str(caught.value)
    for value in (1, 0, None):
        table = read_assays(path, labels={f" {text.upper()} ": value})
        np.testing.assert_array_equal(table.labels[1], np.float32([NAN if value is None else value]))


def test_all_unknown_values_are_listed_with_counts(tmp_path) -> None:
    rows = ["CCO,1,1,hit", "CCN,yes,0,no", "CCC,yes,no,no", "CCF,1,no,no", "CCI,0,0,no"]
    path = written(tmp_path, "smiles,A,B,C\n" + "\n".join(rows))
    with pytest.raises(DataError) as caught:
        read_assays(path)
    for part in ("record 2, column 'A': label 'yes'", "also in 'B'", "'yes' (2), 'no' (2)", "data.labels"):
        assert part in str(caught.value)
    with pytest.raises(DataError, match=r"'no' \(6\), 'yes' \(2\), 'hit' \(1\)"):
        read_assays(path, tasks=["A", "B", "C"])
    table = read_assays(path, labels={"YES": 1, "No": 0, "hit": 1})
    assert table.tasks == ("A", "B", "C")
    assert not np.isnan(table.labels).any()


def test_the_mapping_may_say_what_a_number_or_blank_means(tmp_path) -> None:
    path = written(tmp_path, "smiles,A\nCCO,1\nCCN,-1\nCCC,0\nCCF,\n")
    table = read_assays(path, labels={-1: 0, "0": None, "": 0})  # type: ignore[dict-item]
    np.testing.assert_array_equal(table.labels[:, 0], np.float32([1, 0, NAN, 0]))


@pytest.mark.parametrize("labels", [{"active": 2}, {"active": "yes"}, {"NA": None, "na": 0}])
def test_a_wrong_mapping_is_a_config_error(tmp_path, labels) -> None:
    with pytest.raises(ConfigError, match=r"data\.labels"):
        read_assays(written(tmp_path, "smiles,A\nCCO,1\n"), labels=labels)


# --- which columns are assays -------------------------------------------------------------------------


def test_assays_are_found_and_the_rest_passes_through(tmp_path) -> None:
    path = written(
        tmp_path,
        "id,A,smiles,note,empty,B,weight\n0012,1,CCO,=1+1,,,46.1\n,0.0,CCN,,,1,45\nx,,CCC,a b,,0,1\n",
    )
    table = read_assays(path)
    rejected, notes = table.rejected, table.notes
    assert (table.tasks, table.ids, rejected) == (("A", "B"), ["0012", "", "x"], [])
    assert table.extra == {
        "note": ["=1+1", "", "a b"],
        "empty": ["", "", ""],
        "weight": ["46.1", "45", "1"],
    }
    np.testing.assert_array_equal(table.labels, np.float32([[1, NAN], [0, 1], [NAN, 0]]))
    assert notes == [
        f"{path}: passed through, not assays: 'note', 'empty', 'weight'.",
        f"{path}: no value in 'empty'; passed through (named in data.tasks they would be assays without "
        "labels).",
    ]


def test_given_tasks_are_the_assays_in_that_order(tmp_path) -> None:
    path = written(tmp_path, "smiles,A,B,C\nCCO,1,0,\nCCN,0,x,\n")
    table = read_assays(path, tasks=["C", "A"])
    np.testing.assert_array_equal(table.labels, np.float32([[NAN, 1], [NAN, 0]]))
    assert (table.tasks, table.extra) == (("C", "A"), {"B": ["0", "x"]})
    assert read_assays(path, tasks=[]).labels.shape == (2, 0)
    with pytest.raises(DataError, match=r"no column 'AA'.*Did you mean 'A'"):
        read_assays(path, tasks=["AA"])
    with pytest.raises(DataError, match=r"'smiles' .* holds the structures"):
        read_assays(path, tasks=["smiles"])
    with pytest.raises(ConfigError, match="twice"):
        read_assays(path, tasks=["A", "A"])


@pytest.mark.parametrize("n_odd", [1, 2])
def test_a_column_of_mostly_labels_never_becomes_extra_in_silence(tmp_path, n_odd) -> None:
    odd = [*["0.5", "0.7"][:n_odd], "1", "0"]
    path = written(tmp_path, "smiles,A,B\n" + "".join(f"CCO,{text},1\n" for text in odd))
    with pytest.raises(DataError, match=r"record 1, column 'A': label '0\.5'"):
        read_assays(path)
    assert read_assays(path, tasks=["B"]).extra == {"A": odd}


def test_a_column_of_few_labels_is_extra(tmp_path) -> None:
    table = read_assays(written(tmp_path, "smiles,A,B\nCCO,0.5,1\nCCN,0.7,\nCCC,1,0\n"))
    assert table.tasks == ("B",)


def test_repeated_columns_matter_only_among_assays(tmp_path) -> None:
    table = read_assays(written(tmp_path, "smiles,A,note,note\nCCO,1,x,y\n"))
    assert table.extra == {"note": ["x"], "note (2)": ["y"]}
    with pytest.raises(DataError, match="shares its column name"):
        read_assays(written(tmp_path, "smiles,A,A\nCCO,text,1\n"))


def test_bad_records_are_rejected_and_their_labels_not_looked_at(tmp_path) -> None:
    path = written(tmp_path, 'id,smiles,A\na,CCO,1\nb,CCN,shifted,0\n"c"x,CCC,1\nd,CCF\n')
    table = read_assays(path)
    rejected, notes = table.rejected, table.notes
    assert table.rows.tolist() == [1, 4]
    np.testing.assert_array_equal(table.labels[:, 0], np.float32([1, NAN]))
    assert [(r.row, r.id, r.smiles) for r in rejected] == [(2, "b", "CCN"), (3, "", "")]
    assert rejected[0].reason == "4 fields where the header has 3"
    assert any("record 4: fewer fields" in note for note in notes)


def test_repeated_identifiers_are_kept_and_noted(tmp_path) -> None:
    table = read_assays(written(tmp_path, "id,smiles,A\na,CCO,1\na,CCN,0\n,CCC,1\n,CCF,1\n"))
    notes = table.notes
    assert table.ids == ["a", "a", "", ""]
    assert notes[-1].endswith("identifiers that occur more than once (1): 'a'.")


# --- the bad input of the data folder -----------------------------------------------------------------

OUTCOMES = {  # file: (rows kept, rejected, assays), or the error
    "all_invalid.csv": (0, 2, 1),
    "bom.csv": (3, 0, 2),
    "crlf.csv": (3, 0, 2),
    "decimal_comma.csv": r"no column is an assay.*'ASSAY-1' \('1,0', '0,0'\).*data\.labels",
    "duplicated_task_column.csv": "assay 'ASSAY-1' shares its column name",
    "empty.csv": "is empty",
    "gzip_without_suffix.csv": (3, 0, 2),
    "header_only.csv": "no records",
    "latin1.csv": (3, 0, 2),
    "no_header.csv": "no column of SMILES",
    "no_labels.csv": r"no column is an assay.*'ASSAY-1' \(empty\)",
    "no_smiles_column.csv": "no column of SMILES",
    "no_task_column.csv": "no column is an assay.*There is no further column",
    "not_gzip.csv.gz": (3, 0, 2),
    "nul_byte.csv": (2, 1, 2),
    "old_mac_line_ends.csv": (3, 0, 2),
    "one_class.csv": (3, 0, 1),
    "one_row.csv": (1, 0, 1),
    "png_named_csv.csv": "PNG",
    "regression_values.csv": r"no column is an assay.*'5\.3', '7\.1', '4\.4'.*threshold",
    "semicolons.csv": (3, 0, 2),
    "tabs.tsv": (3, 0, 2),
    "text_labels.csv": r"no column is an assay.*'active', 'inactive', 'inconclusive'.*data\.labels",
    "truncated.csv.gz": "broken or cut off",
    "two_smiles_columns.csv": "could all hold the structures",
    "unbalanced_quote.csv": "quotation mark",
    "unnamed_column.csv": (2, 0, 1),
    "utf16.csv": (3, 0, 2),
    "very_wide.csv": (1, 0, 3000),
    "zero_bytes.sdf": "is empty",
    "zero_bytes.smi": "is empty",
}


def test_every_variant_has_an_outcome(real_data) -> None:
    assert {path.name for path in (real_data / "dirty" / "variants").iterdir()} == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_variant(real_data, name) -> None:
    path, outcome = real_data / "dirty" / "variants" / name, OUTCOMES[name]
    if isinstance(outcome, str):
        with pytest.raises(DataError, match=outcome) as caught:
            read_assays(path)
        assert str(path) in str(caught.value)
    else:
        table = read_assays(path)
        rejected = table.rejected
        prepared, unusable, _ = prepare(table, workers=1)
        assert (len(prepared), len(rejected) + len(unusable), len(table.tasks)) == outcome


def test_text_labels_with_a_mapping(real_data) -> None:
    path = real_data / "dirty" / "variants" / "text_labels.csv"
    table = read_assays(path, labels={"Active": 1, "inactive": 0, "inconclusive": None})
    np.testing.assert_array_equal(table.labels[:, 0], np.float32([1, 0, NAN]))


@pytest.mark.parametrize("name", ["empty.csv", "zero_bytes.smi", "no_task_column.csv"])
def test_an_error_is_one_paragraph(real_data, name) -> None:
    with pytest.raises(DataError) as caught:
        read_assays(real_data / "dirty" / "variants" / name)
    assert "\n" not in str(caught.value)


def test_dirty_csv_without_mapping_lists_what_to_map(real_data) -> None:
    with pytest.raises(DataError, match=r"record 9, column 'ASSAY-1': label 'active'") as caught:
        read_assays(real_data / "dirty" / "dirty.csv")
    for text in DIRTY_LABELS:
        assert any(f"'{spelled}' (1)" in str(caught.value) for spelled in (text, text.upper(), text.title()))


def test_dirty_csv(real_data) -> None:
    path = real_data / "dirty" / "dirty.csv"
    table = read_assays(path, labels=DIRTY_LABELS)
    rejected, notes = table.rejected, table.notes
    assert table.tasks == ("ASSAY-1", "ASSAY-2", "ASSAY-3", "ASSAY-4", "ASSAY-6")
    assert list(table.extra) == ["note", "ASSAY-5"]
    assert [(r.row, r.id) for r in rejected] == [(148, "CMP-9902")]
    with open(real_data / "dirty" / "dirty_csv_expected.csv", encoding="utf-8", newline="") as stream:
        expected = {int(record["record"]): record for record in csv.DictReader(stream)}
    assert table.ids == [expected[row]["compound_id"] for row in table.rows.tolist()]
    kept, unusable, _ = prepare(table, duplicates="keep", workers=1)
    assert len(kept) + len(unusable) + len(rejected) == 149
    for row, text in zip(kept.rows.tolist(), kept.canonical or [], strict=True):
        assert expected[row]["rdkit_reads"] == "1"
        assert expected[row]["canonical"] in (text, "(long)")
    for reject in unusable:
        assert reject.reason
        n_atoms = int(expected[reject.row]["atoms"] or 0)
        assert expected[reject.row]["rdkit_reads"] == "0" or n_atoms == 0 or n_atoms > 1000
    assert any("no value in 'ASSAY-5'" in note for note in notes)
    assert read_assays(path, labels=DIRTY_LABELS, tasks=["ASSAY-5"]).labels.shape == (148, 1)
    merged, unusable, notes = prepare(table, workers=1)
    assert (
        len(merged) == len(set(kept.canonical or [])) == len(table) - len(unusable) - int(notes[0].split()[0])
    )


def test_dirty_sdf(real_data) -> None:
    table = read_assays(real_data / "dirty" / "dirty.sdf")
    rejected = table.rejected
    kept, unusable, _ = prepare(table, duplicates="keep", workers=1)
    assert (table.tasks, len(table), len(rejected), len(unusable)) == (("ASSAY-1",), 82, 8, 1)
    assert "more than 1,000 atoms" in unusable[0].reason
    assert np.nansum(table.labels) == 67
    assert len(kept) + len(rejected) + len(unusable) == 90


# --- preparing ----------------------------------------------------------------------------------------

STRUCTURES = [
    "CCO",
    "OCC",
    "C(O)C",
    "CCN",
    "c1ccccc1O",
    "Oc1ccccc1",
    "C1CC",
    "",
    "  ",
    "[Na+].[Cl-]",
    "aspirin",
]
labels_of_three = st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=3, max_size=3)


@settings(max_examples=200, deadline=None)
@given(records=st.lists(st.tuples(st.sampled_from(STRUCTURES), labels_of_three), max_size=25))
def test_rows_in_are_rows_kept_merged_and_rejected(records) -> None:
    table = table_of([smiles for smiles, _ in records], [labels for _, labels in records])
    before = table.labels.copy()
    merged, rejected, notes = prepare(table, workers=1)
    n_merged = int(notes[0].split()[0]) if notes else 0
    assert len(table) == len(merged) + n_merged + len(rejected)
    kept, rejected_too, _ = prepare(table, duplicates="keep", workers=1)
    assert rejected == rejected_too
    assert sorted(kept.rows.tolist() + [reject.row for reject in rejected]) == table.rows.tolist()
    assert all(read_molecule(reject.smiles)[0] is None for reject in rejected)
    np.testing.assert_array_equal(table.labels, before)
    # and against the plain loop
    rows_of: dict[str, list[int]] = {}
    for place, text in enumerate(kept.canonical or []):
        rows_of.setdefault(text, []).append(place)
    assert merged.canonical == list(rows_of)
    n_contradicting = 0
    for place, rows in enumerate(rows_of.values()):
        assert merged.ids[place] == kept.ids[rows[0]]
        assert merged.extra["note"][place] == kept.extra["note"][rows[0]]
        for task in range(len(table.tasks)):
            seen = {kept.labels[row, task].item() for row in rows if not math.isnan(kept.labels[row, task])}
            n_contradicting += len(seen) == 2
            np.testing.assert_equal(merged.labels[place, task].item(), seen.pop() if len(seen) == 1 else NAN)
    assert not notes or f"; {n_contradicting} labels that contradict" in notes[0]


def test_policies_for_duplicates() -> None:
    table = table_of(["CCO", "CCN", "OCC"], [[1, 0], [0, 1], [0, NAN]])
    kept, _, notes = prepare(table, duplicates="keep", workers=1)
    assert (kept.canonical, notes) == (
        ["CCO", "CCN", "CCO"],
        ["1 rows repeat 1 structures; they were kept as they are."],
    )
    with pytest.raises(DataError, match=r"record 1 \('i0', CCO\) and record 3 \('i2', OCC\)"):
        prepare(table, duplicates="error", workers=1)
    with pytest.raises(ConfigError, match="no 'drop'"):
        prepare(table, duplicates="drop", workers=1)
    with pytest.raises(ConfigError, match="standard"):
        prepare(table, standardize="no", workers=1)
    assert prepare(table.take([0, 1]), duplicates="error", workers=1)[2] == []


def test_rows_that_a_column_keeps_apart_are_merged_within_its_texts() -> None:
    table = table_of(["CCO", "OCC", "CCO", "CCN", "OCC"], [[1, 0], [NAN, 1], [0, NAN], [0, 0], [NAN, 1]])
    table.extra["part"] = ["train", "test", " train", "test", "test"]
    merged, rejected, notes = prepare(table, keep_apart="part", workers=1)
    assert (merged.rows.tolist(), rejected) == ([1, 2, 4], [])
    np.testing.assert_array_equal(merged.labels, np.array([[NAN, 0], [NAN, 1], [0, 0]], np.float32))
    assert notes[0].startswith("2 rows repeat 2 structures with the same 'part' and were merged")
    with pytest.raises(ConfigError, match=r"no column 'parts'.*Did you mean 'part'"):
        prepare(table, keep_apart="parts", workers=1)


def test_standardisation_decides_what_is_a_duplicate() -> None:
    table = table_of(["CC(=O)O", "CC(=O)[O-].[Na+]"], [[1.0], [NAN]])
    assert len(prepare(table, workers=1)[0]) == 2
    merged, _, _ = prepare(table, standardize="neutral", workers=1)
    assert (merged.smiles, merged.canonical) == (["CC(=O)O"], ["CC(=O)O"])


def test_no_rows_and_no_assays() -> None:
    for table in (table_of([], []), table_of(["CCO", "OCC"], [[], []])):
        prepared, rejected, _ = prepare(table, workers=1)
        assert (len(prepared), rejected, prepared.labels.dtype) == (len(table) // 2, [], np.float32)


def test_two_processes_equal_one() -> None:
    smiles = ["C" * (1 + i % 50) + ("O" if i % 3 else "C1") for i in range(5000)]
    table = table_of(smiles, [[float(i % 2)] for i in range(5000)])
    one, two = (prepare(table, workers=workers) for workers in (1, 2))
    assert same(one[0], two[0])
    assert one[1:] == two[1:]


# --- the table itself ---------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(cells, cells.filter(lambda t: "\n" not in t and "\r" not in t), cells, labels_of_three)
    ),
    suffix=st.sampled_from(["csv", "csv.gz"]),
)
def test_a_written_table_reads_back_equal(tmp_path_factory, rows, suffix) -> None:
    n = len(rows)
    table = AssayTable(
        [row[0] for row in rows],
        [row[1] for row in rows],
        np.array([row[3] for row in rows], dtype=np.float32).reshape(n, 3),
        ("A", "B,2", 'C "3"'),
        {"note": [row[2] for row in rows], "SMILES (old)": [""] * n},
        np.arange(1, n + 1),
    )
    path = tmp_path_factory.mktemp("t") / f"t.{suffix}"
    table.write_csv(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    if n:
        assert same(read_assays(path, smiles="smiles", id="id", tasks=table.tasks), table)
    else:
        assert list(open_table(path, smiles="smiles")) == []


def test_colliding_names_in_a_written_table(tmp_path) -> None:
    table = AssayTable(["a"], ["CCO"], np.ones((1, 1), np.float32), ("A",), {"id": ["x"]}, np.array([7]))
    table.write_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "id,smiles,id (2),A\na,CCO,x,1\n"
    with pytest.raises(DataError, match="cannot be called"):
        AssayTable(["a"], ["CCO"], np.ones((1, 1), np.float32), ("id",), {}, np.array([1])).write_csv(
            "no.csv"
        )


def test_take_and_select() -> None:
    table, _, _ = prepare(table_of(["CCO", "CCN", "CCC"], [[1, 0], [0, 1], [NAN, NAN]]), workers=1)
    by_place, by_mask = table.take([2, 0]), table.take(np.array([True, False, True]))
    assert (by_place.rows.tolist(), by_place.canonical, by_place.ids) == (
        [3, 1],
        ["CCC", "CCO"],
        ["i2", "i0"],
    )
    assert (by_mask.rows.tolist(), by_mask.extra) == ([1, 3], {"note": ["n0", "n2"]})
    assert len(table.take([])) == 0
    chosen = table.select(["T1"])
    assert (chosen.tasks, len(chosen)) == (("T1",), 3)
    np.testing.assert_array_equal(chosen.labels[:, 0], np.float32([0, 1, NAN]))
    with pytest.raises(ConfigError, match="Did you mean 'T1'"):
        table.select(["T11"])


def test_columns_of_different_lengths_are_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="1 rows and 1 assays"):
        AssayTable([], ["CCO"], np.ones((1, 1), np.float32), ("A",), {}, np.array([1]))


# --- real tables, against the facts of their README ---------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "tasks", "labels", "unreadable", "repeats", "contradicting"),
    [
        ("tox21", 7831, 12, 77_946, 8, 0, 0),
        ("clintox", 1484, 2, 2_968, 4, 19, 38),
        ("bbbp", 2050, 1, 2_050, 11, 64, 10),
        ("raw/tox21_8014_rows", 8014, 12, 79_573, 8, 183, 64),
        ("raw/toxcast_8615_rows", 8615, 617, 1_538_395, 18, 18, 0),
    ],
)
def test_real_table(real_data, name, rows, tasks, labels, unreadable, repeats, contradicting) -> None:
    table = read_assays(real_data / f"{name}.csv.gz")
    rejected = table.rejected
    assert (len(table), len(table.tasks), np.isfinite(table.labels).sum()) == (rows, tasks, labels)
    assert rejected == []
    prepared, unusable, notes = prepare(table)
    assert (len(unusable), len(prepared)) == (unreadable, rows - unreadable - repeats)
    assert bool(notes) == bool(repeats)
    assert not notes or f"; {contradicting} labels" in notes[0]


def test_real_labels_equal_pandas(real_data) -> None:
    import pandas

    path = real_data / "toxcast.csv.gz"
    table = read_assays(path)
    frame = pandas.read_csv(path)
    assert table.tasks == tuple(frame.columns[1:])
    np.testing.assert_array_equal(table.labels, frame[list(table.tasks)].to_numpy(np.float32))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_third_of_a_million_rows_in_little_memory(real_data) -> None:
    code = (
        "import sys, numpy\n"
        "from screening.data.assays import read_assays\n"
        "table = read_assays(sys.argv[1])\n"
        "rejected = table.rejected\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]\n"
        "print(*table.labels.shape, numpy.isfinite(table.labels).sum(), len(rejected), peak)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(real_data / "merged128.csv.gz")],
        capture_output=True,
        check=True,
        text=True,
    )
    *counts, kilobytes = map(int, done.stdout.split())
    assert counts == [334_041, 128, 1_027_351, 0]
    assert kilobytes < 700_000


def test_reading_takes_time_in_proportion_to_the_columns(tmp_path) -> None:
    """Eight times the columns took some forty times as long: names were looked up in lists."""
    seconds = []
    for n in (2_000, 16_000):
        names = [f"a{i}" for i in range(n)]
        rows = [f"{'C' * (i + 1)}O,{','.join('01'[(i + j) % 2] for j in range(n))}" for i in range(4)]
        path = tmp_path / "wide.csv"
        path.write_text("\n".join([",".join(["smiles", *names]), *rows]) + "\n")
        start = time.process_time()
        table = read_assays(path)
        same = read_assays(path, tasks=names[: n // 2])
        seconds.append(time.process_time() - start)
        assert (len(table.tasks), len(same.tasks), len(same.extra)) == (n, n // 2, n - n // 2)
    assert seconds[1] < 20 * seconds[0], seconds


def test_what_looks_like_an_assay_or_cannot_be_learned_is_said_loudly(tmp_path) -> None:
    rows = [f"{'C' * (n + 1)},{n % 2},{['No', 'Yes'][n % 2]},1,{n % 3 == 0:d},{n / 7:.2f}" for n in range(12)]
    path = written(tmp_path, "smiles,A,B,One,fr_azide,pIC50\n" + "\n".join(rows))
    table = read_assays(path)
    notes = table.notes
    loud = [note for note in notes if note.startswith("Attention: ")]
    assert notes[: len(loud)] == loud
    assert table.tasks == ("A", "One", "fr_azide")
    assert "'B' ('No' 6, 'Yes' 6)" in loud[0]
    assert "'data.labels={No: 0, Yes: 1}'" in loud[0]
    assert "'fr_azide'" in loud[1]
    assert "'data.tasks=[A, One]'" in loud[1]
    assert "every label of 'One' is active" in loud[2]
    with pytest.raises(DataError, match="threshold"):
        read_assays(path, tasks=["pIC50"])


def test_lines_that_are_no_molecules_do_not_stop_the_reading(tmp_path) -> None:
    path = written(tmp_path, "id,smiles,A\n,,0/1\na,CCO,1\nid,smiles,A\nb,no molecule,odd\nc,CCN,0\n")
    table = read_assays(path)
    rejected = table.rejected
    assert table.ids == ["a", "c"]
    assert [r.row for r in rejected] == [1, 3, 4]
    assert "a line of units" in rejected[0].reason
    assert rejected[1].reason == "the header line once more"
