"""Tables as streams of text: every format, encoding and kind of damage; nothing lost, nothing shifted."""

import contextlib
import csv
import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from dirty_tables import BAD_VARIANTS, GOOD_VARIANTS
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from screening.data.tables import Block, TableReader, open_table
from screening.errors import DataError

PLAIN = "compound_id,smiles,ASSAY-1\nA,CCO,1\n0012,CCN,\n=1+1,c1ccccc1,0\n"
PLAIN_COLUMNS = {
    "compound_id": ["A", "0012", "=1+1"],
    "smiles": ["CCO", "CCN", "c1ccccc1"],
    "ASSAY-1": ["1", "", "0"],
}


def whole(reader: TableReader) -> Block:
    """All blocks of the table as one."""
    blocks = list(reader)
    columns = {name: [text for block in blocks for text in block.columns[name]] for name in reader.columns}
    rows = np.concatenate([np.zeros(0, int), *(block.rows for block in blocks)])
    return Block(rows, columns, [problem for block in blocks for problem in block.problems])


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def expected_records(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def canonical(smiles: str) -> str | None:
    mol = Chem.MolFromSmiles(smiles)
    return None if mol is None else Chem.MolToSmiles(mol)


# --- properties ---------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
one_line = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=8)
tables = st.lists(st.tuples(one_line, texts, texts), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    records=tables,
    separator=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    is_packed=st.booleans(),
    block_size=st.integers(1, 5),
)
def test_any_table_comes_back_as_it_was_written(
    tmp_path_factory, records, separator, line_end, encoding, is_packed, block_size
) -> None:
    stream = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if line_end == "\r\n" else csv.QUOTE_ALL  # for it leaves a lone \r unquoted
    writer = csv.writer(stream, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerows([("SMILES", "id", "note"), *records])
    data = stream.getvalue().encode(encoding)
    path = written(tmp_path_factory.mktemp("t"), gzip.compress(data) if is_packed else data)
    reader = open_table(path, block_size=block_size)
    block = whole(reader)
    assert (reader.smiles, reader.id, reader.columns) == ("SMILES", "id", ("SMILES", "id", "note"))
    assert list(zip(*block.columns.values(), strict=True)) == records
    assert block.rows.tolist() == list(range(1, len(records) + 1))
    assert not any(block.problems)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(min_size=1, max_size=200), suffix=st.sampled_from([".csv", ".smi", ".sdf", ".txt"]))
def test_no_bytes_crash_the_reader(tmp_path_factory, data, suffix) -> None:
    for content in (data, b"smiles,A\nCCO,1\n" + data, b"CCO x\n" + data):
        path = written(tmp_path_factory.mktemp("t"), content, f"t{suffix}")
        with contextlib.suppress(DataError):
            block = whole(open_table(path, block_size=3))
            assert len(block.rows) == len(block.problems) == len(next(iter(block.columns.values())))


def test_a_file_can_be_read_again(tmp_path) -> None:
    reader = open_table(written(tmp_path, PLAIN))
    assert whole(reader).columns == whole(reader).columns == PLAIN_COLUMNS


def test_parquet_gives_the_same_texts_as_csv(tmp_path) -> None:
    table = pyarrow.table(
        {
            "compound_id": ["A", "0012", None],
            "smiles": ["CCO", "CC\0N", "c1ccccc1"],
            "whole": [1, None, 0],
            "real": [1.0, float("nan"), 0.5],
            "truth": [True, None, False],
            "list": [[1], None, []],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    (tmp_path / "packed").write_bytes(gzip.compress((tmp_path / "t.parquet").read_bytes()))
    for name in ("t.parquet", "packed"):
        block = whole(open_table(tmp_path / name, block_size=2))
        assert block.columns == {
            "compound_id": ["A", "0012", ""],
            "smiles": ["CCO", "CC\ufffdN", "c1ccccc1"],
            "whole": ["1", "", "0"],
            "real": ["1", "", "0.5"],
            "truth": ["true", "", "false"],
            "list": ["[1]", "", "[]"],
        }


def test_broken_parquet_is_a_data_error(tmp_path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"smiles": ["CCO"] * 100}), tmp_path / "t.parquet")
    path = written(tmp_path, (tmp_path / "t.parquet").read_bytes()[:-20], "cut.parquet")
    with pytest.raises(DataError, match="Parquet file is broken"):
        open_table(path)


@pytest.mark.parametrize("content", [PLAIN.encode(), gzip.compress(PLAIN.encode()), b"CCO A\nCCN B\n"])
def test_standard_input_is_read_once(monkeypatch, content) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    reader = open_table("-")
    assert whole(reader).columns["smiles"][:2] == ["CCO", "CCN"]
    assert not sys.stdin.buffer.closed
    with pytest.raises(ValueError, match="only once"):
        next(iter(reader))


# --- the bad input of the data folder -----------------------------------------------------------------


def test_every_variant_has_an_outcome(real_data) -> None:
    files = {path.name for path in (real_data / "dirty" / "variants").iterdir()}
    assert files == {*GOOD_VARIANTS, *BAD_VARIANTS}


@pytest.mark.parametrize("name", GOOD_VARIANTS)
def test_good_variant(real_data, name) -> None:
    structures, ids, note = GOOD_VARIANTS[name]
    reader = open_table(real_data / "dirty" / "variants" / name)
    block = whole(reader)
    assert block.columns[reader.smiles] == structures
    assert (block.columns[reader.id] if reader.id else None) == ids
    assert not any(block.problems)
    assert len(reader.notes) == bool(note)
    assert note in " ".join(reader.notes)


@pytest.mark.parametrize("name", BAD_VARIANTS)
def test_bad_variant(real_data, name) -> None:
    path = real_data / "dirty" / "variants" / name
    with pytest.raises(DataError, match=BAD_VARIANTS[name]) as caught:
        whole(open_table(path))
    assert str(path) in str(caught.value)


def test_dirty_csv(real_data) -> None:
    reader = open_table(real_data / "dirty" / "dirty.csv", block_size=10)
    block = whole(reader)
    expected = expected_records(real_data / "dirty" / "dirty_csv_expected.csv")
    assert block.rows.tolist() == [int(record["record"]) for record in expected]
    assert block.columns["compound_id"] == [record["compound_id"] for record in expected]
    assert [p for p in block.problems if p] == ["11 fields where the header has 9"]
    assert block.problems[147]
    assert block.columns["smiles"][147:] == ["CCCCN", "CCCCS"]
    assert [block.columns[name][146] for name in reader.columns[-4:]] == [""] * 4
    assert block.columns["note"][67] == "béta-form, 5 µM"
    for structure, record in zip(block.columns["smiles"], expected, strict=True):
        if record["rdkit_reads"] == "1" and record["canonical"] != "(long)":
            assert canonical(structure) == record["canonical"]
    assert reader.notes[0].endswith("record 68: bytes that are not UTF-8 were read as Latin-1.")
    assert "record 147: fewer fields than the header's 9" in reader.notes[1]
    assert len(reader.notes) == 2


def test_dirty_smi(real_data) -> None:
    reader = open_table(real_data / "dirty" / "dirty.smi", block_size=10)
    block = whole(reader)
    skipped = {"header line", "comment line", "blank line", "line of blanks"}
    expected = [
        record
        for record in expected_records(real_data / "dirty" / "dirty_smi_expected.csv")
        if record["problem"] not in skipped
    ]
    names = [record["name"].replace(" (Latin-1 byte)", "") for record in expected]
    assert [name.replace("\ufffd", "") for name in block.columns["name"]] == names
    assert (reader.smiles, reader.id, reader.columns) == ("smiles", "name", ("smiles", "name"))
    for structure, record in zip(block.columns["smiles"], expected, strict=True):
        if record["rdkit_reads"] == "1" and record["canonical"] != "(long)":
            assert canonical(structure) == record["canonical"]
    assert block.columns["smiles"][names.index("L904")] == ""
    assert not any(block.problems)
    assert [note.split(", ")[1] for note in reader.notes] == [
        "record 103: bytes that are not UTF-8 were read as Latin-1.",
        "record 105: fields behind the first 2 were left out.",
        "record 107: NUL bytes were replaced by the character U+FFFD.",
    ]


@pytest.mark.parametrize("is_packed", [False, True])
def test_dirty_sdf(real_data, tmp_path, is_packed) -> None:
    data = (real_data / "dirty" / "dirty.sdf").read_bytes()
    path = written(tmp_path, gzip.compress(data) if is_packed else data, "table.sdf")
    reader = open_table(path, block_size=10)
    block = whole(reader)
    expected = expected_records(real_data / "dirty" / "dirty_sdf_expected.csv")
    assert block.columns["name"] == [record["name"].removesuffix(" only") for record in expected]
    for structure, problem, record in zip(block.columns["smiles"], block.problems, expected, strict=True):
        if record["readable"] == "1" and record["canonical"]:
            assert not problem
            assert record["canonical"] in (Chem.CanonSmiles(structure), "(long)")
        else:
            assert (structure, bool(problem)) == ("", True)
    assert reader.columns == ("smiles", "name", "compound_id", "ASSAY-1", "ASSAY-2", "note", "EMPTY")
    assert block.columns["note"][75:77] == ["5 µM, béta", "first line\nsecond line"]
    assert (block.columns["ASSAY-1"].count("1"), block.columns["ASSAY-1"].count("0")) == (67, 10)
    assert not any(block.columns["ASSAY-2"])


# --- single faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "row", "problem"),
    [
        ('smiles,A\nCCO,1\n"CCN"x,1\nCCC,0\n', 2, "text behind the closing quotation mark"),
        ("smiles,A\nCCO,1\nCCN,1,\nCCC,0\n", 2, "3 fields where the header has 2"),
        ('smiles,A\nCCO,1\n"C\nN",1\nCCC,0\n', 2, "line break in the structure"),
    ],
)
def test_one_bad_record_does_not_touch_the_others(tmp_path, content, row, problem) -> None:
    block = whole(open_table(written(tmp_path, content)))
    assert len(block) == 3
    assert problem in block.problems[row - 1]
    assert [bool(p) for p in block.problems] == [False, True, False]
    assert [block.columns["smiles"][i] for i in (0, 2)] == ["CCO", "CCC"]
    assert [block.columns["A"][i] for i in (0, 2)] == ["1", "0"]


@pytest.mark.parametrize(
    "content",
    [
        'smiles,A\nCCO,1\n"CCN,1\n' + "CCC,0\n" * 100_000,  # is not closed
        'smiles,A\nCCO,1\n"CCN,1\n' + "CCC,0\n" * 200 + '"CCO",1\n',  # the next quotation mark is far away
        'smiles,A\nCCO,1\n"CCN,1\nCCC,0\n"CCO",1\n',  # and near
    ],
)
def test_an_open_quotation_mark_does_not_swallow_records(tmp_path, content) -> None:
    with pytest.raises(DataError, match=r"record 2 \(line 3\): a field begins with a quotation mark"):
        whole(open_table(written(tmp_path, content)))


def test_a_quotation_mark_open_in_the_header(tmp_path) -> None:
    with pytest.raises(DataError, match=r"header \(line 1\)"):
        open_table(written(tmp_path, 'smiles,"A\nCCO,1\n'))


def test_long_lines_and_long_fields(tmp_path) -> None:
    long = "C" * 5_000_000
    path = written(tmp_path, f'smiles,note\n{long},x\nCCO,"{long}"\n')
    assert whole(open_table(path)).columns == {"smiles": [long, "CCO"], "note": ["x", long]}
    assert whole(open_table(written(tmp_path, f"{long} x\n", "t.smi"))).columns["smiles"] == [long]


def test_gzip_cut_off_in_the_middle_or_damaged(tmp_path) -> None:
    table = "smiles,A\n" + "".join(f"{'C' * (i % 90)}O,{i % 2}\n" for i in range(50_000))
    data = gzip.compress(table.encode())
    damaged = data[:-8] + b"\0" * 8
    for content in (data[: len(data) // 2], damaged, data + b"garbage"):
        reader = open_table(written(tmp_path, content))
        with pytest.raises(DataError, match=r"in the block that begins with record .* cut off"):
            whole(reader)
    assert (
        len(whole(open_table(written(tmp_path, data + data)))) == 100_001
    )  # members are joined; a header is data


def test_utf16_cut_off_is_a_data_error(tmp_path) -> None:
    path = written(tmp_path, PLAIN.encode("utf-16")[:-1])
    with pytest.raises(DataError, match="UTF-16"):
        whole(open_table(path))


@pytest.mark.parametrize("content", [PLAIN.encode("utf-16-le"), b"\0" * 50])
def test_binary_content_is_refused(tmp_path, content) -> None:
    with pytest.raises(DataError, match="binary, or UTF-16 without its mark"):
        open_table(written(tmp_path, content))


def test_missing_file_and_folder(tmp_path) -> None:
    with pytest.raises(DataError, match="No such file"):
        open_table(tmp_path / "no.csv")
    with pytest.raises(DataError, match="directory"):
        open_table(tmp_path)


@pytest.mark.parametrize("content", ["\n\n", "# only a comment\n", " \r\n"])
def test_only_blank_lines(tmp_path, content) -> None:
    with pytest.raises(DataError, match="only blank lines"):
        open_table(written(tmp_path, content))


# --- names and formats --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "smiles", "id"),
    [
        ("smiles,x", "smiles", None),
        ("Canonical SMILES,ID", "Canonical SMILES", "ID"),
        ("mol,CID,Class", "mol", "CID"),
        ("structure,smiles_string", "smiles_string", None),
        ("NR-AR,mol_id,smiles", "smiles", "mol_id"),
        ("num,name,p_np,smiles", "smiles", "name"),
        ("name,Compound ID,smiles", "smiles", "Compound ID"),
        ("SMILES;Assay, human", "SMILES", None),
        ('"smiles"\t"a,b"', "smiles", None),
        ("smiles", "smiles", None),
    ],
)
def test_columns_are_found_by_name(tmp_path, header, smiles, id) -> None:
    reader = open_table(written(tmp_path, f"{header}\n"))
    assert (reader.smiles, reader.id) == (smiles, id)


def test_given_columns(tmp_path) -> None:
    path = written(tmp_path, "SMILES;canonical_smiles;a;a\nCCO;OCC;1;2\n")
    reader = open_table(path, smiles="canonical_smiles", id="SMILES")
    assert whole(reader).columns["canonical_smiles"] == ["OCC"]
    assert (reader.smiles, reader.id) == ("canonical_smiles", "SMILES")
    assert reader.columns[2:] == ("a", "a (2)")
    with pytest.raises(DataError, match=r"no column 'canonical'.*Did you mean 'canonical_smiles'"):
        open_table(path, smiles="canonical")
    with pytest.raises(DataError, match=r"'a' .* shares its name"):
        open_table(path, smiles="SMILES", id="a")
    with pytest.raises(DataError, match="could all hold the structures"):
        open_table(path)


def test_a_comment_before_the_header_and_columns_without_names(tmp_path) -> None:
    path = written(tmp_path, "# exported today\n,smiles,\n0,CCO,x\n")
    assert whole(open_table(path)).columns == {"unnamed_1": ["0"], "smiles": ["CCO"], "unnamed_3": ["x"]}


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("t.smi", "CCO A\nCCN\tB b\n\nCCC\n", {"smiles": ["CCO", "CCN", "CCC"], "name": ["A", "B b", ""]}),
        ("t.smi", "#SMILES ID\nCCO A\n", {"SMILES": ["CCO"], "ID": ["A"]}),
        ("t.smi", "smiles,name\nCCO,A\n", {"smiles": ["CCO"], "name": ["A"]}),
        ("t.txt", "smiles name\nCCO A\n", {"smiles": ["CCO"], "name": ["A"]}),
        ("t.txt", "CCO A\n", {"smiles": ["CCO"], "name": ["A"]}),
        ("t.txt", "CCO\n", {"smiles": ["CCO"], "name": [""]}),
        ("t.txt", "smiles\nCCO\n", {"smiles": ["CCO"]}),
        ("t", "smiles\tA\nCCO\t1\n", {"smiles": ["CCO"], "A": ["1"]}),
        ("t.smi", "CCO |$a;b;c$| A\n", {"smiles": ["CCO |$a;b;c$|"], "name": ["A"]}),
        (
            "t.smi",
            "CCO\tA\t1\t0\nCCN\n",
            {"smiles": ["CCO", "CCN"], "name": ["A", ""], "column_3": ["1", ""], "column_4": ["0", ""]},
        ),
        (
            "t.smi",
            "smiles\tID\tMW\nCCO\tA\t46\n",
            {"smiles": ["CCO"], "ID": ["A"], "MW": ["46"]},
        ),
        ("t.SMI", "#N/A x\nCCO A\n# no\n", {"smiles": ["#N/A", "CCO"], "name": ["x", "A"]}),
    ],
)
def test_lists_of_smiles(tmp_path, name, content, columns) -> None:
    assert whole(open_table(written(tmp_path, content, name))).columns == columns


@pytest.mark.parametrize("blank", [chr(code) for code in range(0x3001) if chr(code).isspace()], ids=ascii)
def test_space_and_tab_alone_end_the_structure_of_a_line(tmp_path, blank) -> None:
    """All texts come out as written, in lists as in tables: molecules decide what can be read."""
    listed = whole(open_table(written(tmp_path, f"CCO a\nCC{blank}O b\n", "t.smi"))).columns
    if blank in "\r\n":
        assert listed["smiles"] == ["CCO", "CC", "O"]
    elif blank in " \t":
        assert listed == {"smiles": ["CCO", "CC"], "name": ["a", "O b"]}
    else:
        assert listed == {"smiles": ["CCO", f"CC{blank}O"], "name": ["a", "b"]}
    table = whole(open_table(written(tmp_path, f'smiles,A\n"CC{blank}O",1\n'))).columns
    assert table == {"smiles": [f"CC{blank}O"], "A": ["1"]}


def test_sdf_without_suffix_and_with_colliding_properties(tmp_path) -> None:
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    text = f"A{block}>  <smiles>\nother\n\n> <A> (1)\n1\n\n$$$$\n{block}$$$$\n"
    reader = open_table(written(tmp_path, text, "unknown"))
    assert whole(reader).columns == {
        "structure": ["CCO", "CCO"],
        "name": ["A", ""],
        "smiles": ["other", ""],
        "A": ["1", ""],
    }
    assert (reader.smiles, reader.id) == ("structure", "name")


def test_sdf_says_why_rdkit_refuses(tmp_path) -> None:
    mol = Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False)
    path = written(tmp_path, Chem.MolToMolBlock(mol, kekulize=False) + "$$$$\n", "t.sdf")
    assert "valence" in whole(open_table(path)).problems[0]


def test_zinc_library(real_data) -> None:
    reader = open_table(real_data / "library" / "zinc250k.smi.gz")
    names = [name for block in reader for name in block.columns["name"]]
    assert len(names) == 249_455
    assert (names[0], names[-1]) == ("Z000001", "Z249455")
