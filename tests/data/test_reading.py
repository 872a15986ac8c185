"""Files as they come from other programs: what is read, what is named as the cause, and what it may take."""

import csv
import gzip
import io
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, RDLogger

from screening.data.formats import opening
from screening.data.tables import TableReader, open_table
from screening.errors import DataError

SMILES = ["CCO", "c1ccccc1", r"C/C=C\C", "CC(=O)[O-].[Na+]", "C#N"]


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def columns(reader: TableReader) -> dict[str, list[str]]:
    blocks = list(reader)
    return {name: [text for block in blocks for text in block.columns[name]] for name in reader.columns}


def problems(reader: TableReader) -> list[str]:
    return [problem for block in reader for problem in block.problems]


# --- lists of SMILES and what is given as one ---------------------------------------------------------


@pytest.mark.parametrize("gap", [" ", "  ", "\t", "    "])
@pytest.mark.parametrize("name", ["t.smi", "t.txt", "t", "t.ism", "t.csv"])
@pytest.mark.parametrize(
    "header",
    ["SMILES ID AhR", "isosmiles version_id parent_id", "ID SMILES AhR", "zinc_id MW smiles", "ID SMILES"],
)
def test_a_header_with_blanks_names_the_columns(tmp_path: Path, header: str, name: str, gap: str) -> None:
    names = header.split()
    place = next(i for i, text in enumerate(names) if "smiles" in text.lower())
    rows = [[f"{i}{letter}" for letter in "abc"[: len(names)]] for i in range(len(SMILES))]
    for row, smiles in zip(rows, SMILES, strict=True):
        row[place] = smiles
    text = "\n".join(gap.join(row) for row in [names, *rows]) + "\n"
    reader = open_table(written(tmp_path, text, name))
    assert reader.smiles == names[place]
    if reader.id is not None or "\t" not in gap:  # a table with tabs has one only if its name says so
        assert reader.id == next(text for text in names if text != names[place])
    assert list(zip(*columns(reader).values(), strict=True)) == [tuple(row) for row in rows]
    assert not any(problems(open_table(tmp_path / name)))


def test_a_header_of_a_list_may_be_named_as_if_there_were_none(tmp_path: Path) -> None:
    path = written(tmp_path, "SMILES\tMW\tID\nCCO\t46\tA\n", "t.smi")
    assert open_table(path).id == "ID"
    assert open_table(path, smiles="smiles", id="MW").id == "MW"
    assert (open_table(path, id="name").smiles, open_table(path, id="name").id) == ("SMILES", "MW")
    path = written(tmp_path, "Drug Y\nCCO 1\nCCN 0\n", "t.txt")
    assert columns(open_table(path, smiles="Drug")) == {"Drug": ["CCO", "CCN"], "Y": ["1", "0"]}


def test_padded_columns_without_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, "CCO      TOX1   0\nCCCCO    TOX22  1\nc1ccccc1 TOX3   0\n", "t.smi")
    assert columns(open_table(path)) == {
        "smiles": ["CCO", "CCCCO", "c1ccccc1"],
        "name": ["TOX1", "TOX22", "TOX3"],
        "column_3": ["0", "1", "0"],
    }


@pytest.mark.parametrize(
    "lines",
    [
        "CCO ethyl alcohol\nCCN ethyl amine\n",  # two words each, not two columns
        "CCO  ethyl alcohol\nCCN  ethyl amine\n",
        "CCO ethanol,  pure\nCCN amine\n",
        "CCO smiles\nCCN x y\n",
        "CCO  a  name   with gaps\n",
    ],
)
def test_names_with_blanks_stay_whole(tmp_path: Path, lines: str) -> None:
    found = columns(open_table(written(tmp_path, lines, "t.smi")))
    expected = [line.split(None, 1)[1] for line in lines.splitlines()]
    if lines.startswith("CCO smiles"):
        expected = expected[1:]  # a header: a molecule of that name would be a rare one
        assert next(iter(found.values())) == ["CCN"]
    assert list(found.values())[1] == expected


def test_too_many_fields_between_blanks_are_a_problem_not_a_guess(tmp_path: Path) -> None:
    path = written(tmp_path, "smiles id AhR\nCCO A 1\nCCN B c 0\nCCC |$a b;;$| D 1\nCC E\n", "t.smi")
    assert problems(open_table(path)) == [
        "",
        "4 fields with blanks between them where there are 3 columns",
        "",
        "",
    ]
    assert columns(open_table(path))["smiles"] == ["CCO", "CCN", "CCC |$a b;;$|", "CC"]
    assert columns(open_table(path))["AhR"] == ["1", "c", "1", ""]


@pytest.mark.parametrize("separator", [",", ";", "|"])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("quote", ["", '"'])
def test_separators_of_tables_in_a_list_without_header(
    tmp_path: Path, separator: str, place: int, quote: str
) -> None:
    rows = [[f"TOX{i}", f"{i / 7:.2f}"] for i in range(len(SMILES))]
    for row, smiles in zip(rows, SMILES, strict=True):
        row.insert(place, smiles)
    text = "".join(separator.join(f"{quote}{field}{quote}" for field in row) + "\n" for row in rows)
    reader = open_table(written(tmp_path, text, "t.smi"))
    found = columns(reader)
    assert found[reader.smiles] == SMILES
    assert reader.id is not None
    assert found[reader.id] == [row[0 if place else 1] for row in rows]
    assert any(f"fields between '{separator}' were taken as" in note for note in reader.notes)
    with pytest.raises(DataError, match="a SMILES, a blank or tab, a name"):
        open_table(written(tmp_path, text.replace("C", "X").replace("c", "X"), "u.smi"))


OTHERS = {
    "a MOL2 file": "@<TRIPOS>MOLECULE\nx\n 1 0\n@<TRIPOS>ATOM\n",
    "a PDB file": "HEADER    HYDROLASE\nATOM      1  N   MET A   1\n",
    "an HTML or XML page": "<!DOCTYPE html>\n<html>\n",
    "a JSON file": '[{"smiles": "CCO"}]\n',
    "a list of InChI": "InChI=1S/CH4/h1H4\n",
    "a file of reactions": "$RXN\n\n\n",
    "a CIF file": "data_1ABC\n#\n",
    "a FASTA file": ">sp|P1|X\nMKV\n",
    "a list of SELFIES": "[C][C][O] a\n[C][=C][C] b\n",
    "an XYZ file": "3\nwater\nO 0.000 0.000 0.117\nH 0.0 0.757 -0.469\nH 0.0 -0.757 -0.469\n",
}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("suffix", ["smi", "txt", "csv", "smi.gz"])
def test_other_formats_are_named_not_read_as_molecules(tmp_path: Path, what: str, suffix: str) -> None:
    content = OTHERS[what].encode()
    path = written(tmp_path, gzip.compress(content) if suffix.endswith("gz") else content, f"t.{suffix}")
    with pytest.raises(DataError, match=rf"is {re.escape(what)}.*Convert it"):
        open_table(path)


def test_lines_that_only_begin_like_another_format_are_read(tmp_path: Path) -> None:
    for first in ("TITLE  SMILES", "[H]C([H])[H] methane", "[2H]O x", "3 CCO", "HEADER smiles"):
        open_table(written(tmp_path, f"{first}\nx CCO\n", "t.smi"))


def test_a_list_of_which_no_line_begins_with_a_smiles_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"M{n}x {smiles}\n" for n, smiles in enumerate(SMILES))
    for name in ("t.txt", "t.smi"):
        with pytest.raises(DataError, match=r"behind the first blank or tab.*id smiles"):
            open_table(written(tmp_path, rows, name))
        assert columns(open_table(written(tmp_path, "id smiles\n" + rows, name)))["smiles"] == SMILES
        report = f"# x\nProject X\nbatch 7\n\nid smiles\n{rows}"
        with pytest.raises(DataError, match="header seems to be line 5"):
            open_table(written(tmp_path, report, name))
    mixed = open_table(written(tmp_path, f"name x\nCCO y\nid smiles\n{rows}", "t.smi"))
    assert columns(mixed)["smiles"][:2] == ["name", "CCO"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(gzip.compress(b"smiles,A\nCCO,1\n")), "packed twice with gzip"),
        (b"ARROW1\0\0\x10", "an Arrow or Feather file"),
        (b"\x89HDF\r\n", "an HDF5 file"),
    ],
)
def test_binary_formats_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=f"is {what}"):
        open_table(written(tmp_path, content))


# --- tables from spreadsheets and other programs ------------------------------------------------------


@pytest.mark.parametrize("hint", ["sep={}", '"sep={}"', "SEP={}", "\ufeffsep={}"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_hint_of_excel_is_followed(tmp_path: Path, hint: str, separator: str) -> None:
    rows = [["id", "smiles", "A,B;C" if separator not in ",;" else "A"], ["1", "CCO", "0"]]
    text = hint.format(separator) + "\r\n" + "".join(separator.join(row) + "\r\n" for row in rows)
    reader = open_table(written(tmp_path, text))
    assert columns(reader) == {name: [text] for name, text in zip(*rows, strict=True)}
    open_quote = written(tmp_path, text + f'2{separator}"CC', "u.csv")
    with pytest.raises(DataError, match=r"record 2 \(line 4\)"):
        columns(open_table(open_quote))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_the_header_below_lines_of_a_report_is_named(tmp_path: Path, separator: str, n: int) -> None:
    above = ["Report on smiles", f"Operator{separator}A. Nonymous", "", "Date: today", f"a{separator}b"]
    lines = [*(above * 6)[:n], f"id{separator}smiles{separator}A", f"1{separator}CCO{separator}0"]
    for named in (None, "smiles"):
        with pytest.raises(DataError, match=rf"seems to be line {n + 1} \('id', 'smiles', 'A'\). Delete"):
            open_table(written(tmp_path, "\n".join(lines) + "\n"), smiles=named)


@pytest.mark.parametrize("first", ["sep=;", "\\! filetype=Spotfire.DataFormat.Text; version=1.0;"])
def test_a_file_that_ends_behind_its_hint(tmp_path: Path, first: str) -> None:
    with pytest.raises(DataError, match="ends behind its first line"):
        open_table(written(tmp_path, f"{first}\n\n"))


@given(
    cells=st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1
        ),
        min_size=1,
        max_size=5,
    ),
    is_quoted=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_cells_written_as_formulas_of_text_are_their_text(tmp_path_factory, cells, is_quoted) -> None:
    """Both forms: ="0012" as it is, and quoted once more as a CSV writer does."""
    rows = [(f'="{cell.replace(chr(34), chr(34) * 2)}"', '="CCO"', "1") for cell in cells]
    stream = io.StringIO(newline="")
    if is_quoted or any(set(',"\r\n') & set(cell) for cell in cells):
        csv.writer(stream).writerows([('="id"', '="smiles"', "A"), *rows])
    else:
        stream.write("\n".join(",".join(row) for row in [('="id"', '="smiles"', "A"), *rows]) + "\n")
    reader = open_table(written(tmp_path_factory.mktemp("t"), stream.getvalue()))
    assert columns(reader) == {"id": cells, "smiles": ["CCO"] * len(cells), "A": ["1"] * len(cells)}
    assert any("were read as their text" in note for note in reader.notes)


def test_formulas_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, 'smiles,note\nCCO,=1+1\nCCN,"=""a"" & ""b"""\nCCC,"say =""x"""\n')
    reader = open_table(path)
    assert columns(reader)["note"] == ["=1+1", '="a" & "b"', 'say ="x"']
    assert not reader.notes


def test_a_comma_within_an_extension_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, 'id,smiles,A\n1,CC |o1:1,&2:3|,0\n2,CCO,1,2\n3,"CC |$a,b$|",1\n')
    found = problems(open_table(path))
    assert "',' within a CXSMILES extension |...|: put the structure in quotation marks" in found[0]
    assert found[1:] == ["4 fields where the header has 3", ""]


def molblock(smiles: str, v3000: bool = False) -> str:
    mol = Chem.MolFromSmiles(smiles)
    return Chem.MolToV3KMolBlock(mol) if v3000 else Chem.MolToMolBlock(mol)


@pytest.mark.parametrize("v3000", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n"])
@pytest.mark.parametrize("is_trimmed", [False, True])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_mol_blocks_in_cells_are_read(
    tmp_path: Path, v3000: bool, end: str, is_trimmed: bool, suffix: str
) -> None:
    structures = ["CCO", "C" * 90, "c1ccccc1C(=O)[O-].[Na+]"]
    blocks = [molblock(text, v3000) for text in structures]
    blocks = [(block.lstrip("\n") if is_trimmed else block).replace("\n", end) for block in blocks]
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows(
                [("id", "molblock", "A"), *((i, text, 1) for i, text in enumerate(blocks))]
            )
    else:
        pyarrow.parquet.write_table(pyarrow.table({"molblock": blocks, "A": [1, 1, 1]}), path)
    reader = open_table(path)
    block = next(iter(reader))
    assert [Chem.CanonSmiles(text) for text in block.columns["molblock"]] == [
        Chem.CanonSmiles(text) for text in structures
    ]
    assert not any(block.problems)
    assert set(block.columns["A"]) == {"1"}


def test_a_broken_mol_block_in_a_cell_says_why(tmp_path: Path) -> None:
    bad = molblock("CCO").replace(" C ", " Qq", 1)
    path = written(tmp_path, f'Structure,A\n"{bad}",1\n"CC\nO",0\n')
    first, second = problems(open_table(path))
    assert "quotation mark" not in first
    assert first
    assert second == "line break in the structure: is a quotation mark missing?"


spotfire_texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=6
)


@given(
    rows=st.lists(st.tuples(st.sampled_from(SMILES), st.none() | spotfire_texts), min_size=1, max_size=6),
    has_mark=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_spotfire_text_comes_back_as_it_was_written(tmp_path_factory, rows, has_mark) -> None:
    """Escapes as the format defines them; with and without the line that names the format."""

    def escaped(text: str | None) -> str:
        if text is None:
            return "\\?"
        for plain, mark in (("\\", "\\\\"), (";", "\\s"), ("\n", "\\n"), ("\r", "\\r")):
            text = text.replace(plain, mark)
        return text

    lines = ["\ufeff\\! filetype=Spotfire.DataFormat.Text; version=2.0;", "\\* made today"] * has_mark
    lines += ["SMILES;note \\s x;", "String;String;", *(f"{escaped(a)};{escaped(b)};" for a, b in rows)]
    reader = open_table(written(tmp_path_factory.mktemp("t"), "\r\n".join(lines) + "\r\n", "t.txt"))
    assert columns(reader) == {"SMILES": [a for a, _ in rows], "note ; x": [b or "" for _, b in rows]}


def test_a_table_that_ends_lines_with_a_semicolon_is_not_spotfires(tmp_path: Path) -> None:
    path = written(tmp_path, "smiles;kind;\nCCO;String;\nString;Integer\n")
    assert columns(open_table(path))["smiles"] == ["CCO", "String"]


def test_columns_of_the_same_name_can_be_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "smiles,x,x,x\nCCO,1,2,3\n")
    assert [open_table(path, id=f"x ({n})").id for n in (1, 2, 3)] == ["x", "x (2)", "x (3)"]
    path = written(tmp_path, "smiles,smiles\nCCO,CCN\n", "u.csv")
    with pytest.raises(DataError, match=r"data.smiles='smiles \(1\)'"):
        open_table(path)
    assert open_table(path, smiles="smiles (1)").smiles == "smiles"
    path = written(tmp_path, "smiles,x,x,x\nCCO,1,2,3\n")
    with pytest.raises(DataError, match=r"'x' \(data.id\) shares its name .* 'x \(1\)' for the first"):
        open_table(path, id="x")


# --- SDF ----------------------------------------------------------------------------------------------


def sdf(*records: tuple[str, dict[str, str]], title: bool = True) -> str:
    return "".join(
        name + molblock("CCO") + "".join(f">  <{tag}>\n{value}\n\n" for tag, value in tags.items()) + "$$$$\n"
        for name, tags in records
    )


@pytest.mark.parametrize(
    "head",
    [
        *(
            "> <A>",
            "> <A> (1)",
            ">  <A >10>  (2)",
            "> 25 <A> ",
            "> <A> (see <B>)",
            "><A>",
            "> <A<B>",
            "> <A>>",
        ),
        *("> <A>> (3)", ">  (MD-1) <A> DT3", ">  <IC50 (>10 uM)>", "> <<A>>", ">  <A->B>"),
    ],
)
def test_names_of_properties_are_those_that_rdkit_reads(tmp_path: Path, head: str) -> None:
    path = written(tmp_path, f"a{molblock('CCO')}{head}\n1\n\n$$$$\n", "t.sdf")
    RDLogger.DisableLog("rdApp.*")
    mol = next(iter(Chem.SDMolSupplier(str(path))))
    RDLogger.EnableLog("rdApp.*")
    found = columns(open_table(path))
    assert {name: texts for name, texts in found.items() if name not in ("smiles", "name")} == {
        name: ["1"] for name in mol.GetPropNames()
    }


def test_properties_that_differ_behind_a_bracket_stay_apart(tmp_path: Path) -> None:
    tags = {"Inhibition >10 uM": "0", "Inhibition >50 uM": "1", "Active (IC50 <1 uM)": "0"}
    reader = open_table(written(tmp_path, sdf(("a", tags)), "t.sdf"))
    assert columns(reader) == {
        "smiles": ["CCO"],
        "name": ["a"],
        **{tag: [text] for tag, text in tags.items()},
    }


def test_a_property_that_comes_twice_or_has_a_number_is_not_lost_in_silence(tmp_path: Path) -> None:
    block = molblock("CCO")
    text = f"a{block}>  <A>\n1\n\n>  <A>\n0\n\n> DT12\nx\n\n$$$$\n"
    reader = open_table(written(tmp_path, text, "t.sdf"))
    assert columns(reader) == {"smiles": ["CCO"], "name": ["a"], "A": ["0"], "DT12": ["x"]}
    assert any("the property 'A' occurs again" in note for note in reader.notes)


@pytest.mark.parametrize(
    "tag",
    ["IDNUMBER", "idnumber", "Catalog ID", "ID", "ZINC_ID", "PUBCHEM_COMPOUND_CID", "DATABASE_ID", "name"],
)
@pytest.mark.parametrize("titles", [["", "", ""], ["Untitled"] * 3])
def test_identifiers_of_records_without_telling_titles(tmp_path: Path, tag: str, titles: list[str]) -> None:
    records = [(title, {"MW": "46", tag: f"Z{i}"}) for i, title in enumerate(titles)]
    reader = open_table(written(tmp_path, sdf(*records), "t.sdf"))
    assert reader.id == tag
    assert columns(reader)[tag] == ["Z0", "Z1", "Z2"]
    assert not reader.notes


def test_titles_that_tell_are_the_identifiers(tmp_path: Path) -> None:
    reader = open_table(written(tmp_path, sdf(("a", {"ID": "x"}), ("b", {"ID": "y"}), ("", {})), "t.sdf"))
    assert reader.id == "name"
    assert columns(reader)["name"] == ["a", "b", ""]


def test_records_without_any_identifier_say_what_to_give(tmp_path: Path) -> None:
    path = written(tmp_path, sdf(("", {"MW": "46", "Corp": "x"}), ("", {"MW": "47"})), "t.sdf")
    reader = open_table(path)
    assert reader.id is None
    assert len(reader.notes) == 1
    assert "the record numbers stand for it" in reader.notes[0]
    assert "'Corp'" in reader.notes[0]
    assert open_table(path, id="Corp").notes == []


@pytest.mark.parametrize("titles", [["t1", "t2"], ["", ""]])
def test_properties_called_as_our_columns_can_be_given(tmp_path: Path, titles: list[str]) -> None:
    tags = {"name": "Compound", "smiles": "CCN", "structure": "x", "title": "y"}
    path = written(tmp_path, sdf(*((title, tags) for title in titles)), "t.sdf")
    reader = open_table(path, id="name", smiles="smiles")
    found = columns(reader)
    assert (reader.id, reader.smiles) == ("name", "smiles")
    assert (found["name"], found["smiles"]) == (["Compound"] * 2, ["CCN"] * 2)
    assert columns(open_table(path))[open_table(path).smiles] == ["CCO"] * 2
    assert {"x", "y"} <= {texts[0] for texts in found.values()}


# --- limits -------------------------------------------------------------------------------------------


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> int:
    from screening.data.formats import delimited, parquet, sdf
    from screening.data.formats import reading as formats

    limit = 2**18
    for module in (opening, delimited, formats, parquet, sdf):
        for name, value in (("LINE_LIMIT", limit), ("BLOCK_LIMIT", 4 * limit)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    return limit


GOOD = "smiles,note\n" + "CCO,x\n" * 10
ENDLESS = {
    "a line of zeros": (b"\0", 1, "t.smi"),
    "a line of a table": (GOOD.encode() + b"CCO,", 11, "t.csv"),
    "a line of a list": (b"CCO x\n" * 11, 11, "t.smi"),
    "a quoted field of one line": (GOOD.encode() + b'CCO,"', 11, "t.csv"),
    "a header": (b"smiles,", 1, "t.csv"),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("is_packed", [False, True])
def test_what_never_ends_is_refused_and_what_comes_before_is_read(
    tmp_path: Path, small_limits: int, what: str, is_packed: bool
) -> None:
    start, _, name = ENDLESS[what]
    content = start + (b"\0" if b"\0" in start else b"C") * (3 * small_limits)
    path = written(tmp_path, gzip.compress(content) if is_packed else content, name + ".gz" * is_packed)
    sizes: list[int] = []
    with pytest.raises(DataError, match=r"(line|field) has more than|binary"):
        sizes.extend(len(block) for block in open_table(path, block_size=4))
    n = sum(sizes)
    assert n == (10 if name == "t.csv" and start.startswith(b"smiles,note") else 11 if b"\n" in start else 0)


def test_long_records_do_not_pile_up(tmp_path: Path, small_limits: int) -> None:
    path = written(tmp_path, ("C" * (small_limits // 2) + " x\n") * 30, "t.smi")
    with pytest.raises(DataError, match="records of a block with more than 1 MB"):
        columns(open_table(path))
    assert len(columns(open_table(path, block_size=2))["name"]) == 30


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_record_of_an_sdf_has_an_end(tmp_path: Path, small_limits: int, is_packed: bool) -> None:
    record = sdf(("a", {"A": "1"})).encode()
    many = written(tmp_path, gzip.compress(record * 3000) if is_packed else record * 3000, "many.sdf")
    assert len(columns(open_table(many, block_size=500))["A"]) == 3000  # 2 MB, in records of 600 bytes
    content = record + molblock("CCO").encode() + b">  <B>\n" + b"x\n" * small_limits
    path = written(tmp_path, gzip.compress(content) if is_packed else content, "t.sdf")
    with pytest.raises(DataError, match=r"a record without its end \('\$\$\$\$'\)"):
        open_table(path)


ZEROS = """
import resource, sys
from screening.errors import DataError
from screening.data.tables import open_table
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for block in open_table(sys.argv[1]):
        pass
except DataError as problem:
    print(problem)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_header_does_not_multiply_short_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of two bytes stands for as many fields as the header has."""
    monkeypatch.setattr("screening.data.formats.records.FIELD_LIMIT", 10_000)
    path = written(tmp_path, "smiles" + "," * 999 + "\n" + "C\n" * 20)
    assert len(list(open_table(path, block_size=9))) == 3
    with pytest.raises(DataError, match="more than 10,000 fields"):
        list(open_table(path, block_size=16))
    with pytest.raises(DataError, match="more than 1,000,000 columns"):
        open_table(written(tmp_path, gzip.compress(b"smiles" + b"," * 1_000_001 + b"\nC\n")))


def test_properties_of_an_sdf_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screening.data.formats.sdf.TAG_LIMIT", 20)
    records = [("a", {f"p{n}": "1"}) for n in range(21)]
    assert len(open_table(written(tmp_path, sdf(*records[:20]), "t.sdf")).columns) == 22
    with pytest.raises(DataError, match="more than 20 different properties"):
        open_table(written(tmp_path, sdf(*records), "t.sdf"))


def test_a_parquet_cell_has_a_limit(tmp_path: Path, small_limits: int) -> None:
    good, bad = "C" * small_limits, "C" * (small_limits + 1)
    pyarrow.parquet.write_table(pyarrow.table({"smiles": ["C", good]}), tmp_path / "good.parquet")
    assert columns(open_table(tmp_path / "good.parquet"))["smiles"] == ["C", good]
    pyarrow.parquet.write_table(pyarrow.table({"smiles": ["C", bad]}), tmp_path / "bad.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"smiles": [good] * 40}), tmp_path / "many.parquet")
    for name, message in (("bad", "a cell has more"), ("many", "records of a block")):
        with pytest.raises(DataError, match=message):
            columns(open_table(tmp_path / f"{name}.parquet"))


def test_a_dictionary_of_parquet_does_not_unpack_to_gigabytes(tmp_path: Path) -> None:
    """A text of 8 MB in 4,000 records: a file of some kilobytes, 32 GB as texts."""
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 4000), ["C" * 2**23])
    pyarrow.parquet.write_table(pyarrow.table({"smiles": texts, "A": [1] * 4000}), tmp_path / "t.parquet")
    answer = subprocess.run(
        [sys.executable, "-c", ZEROS, tmp_path / "t.parquet"], capture_output=True, text=True, check=True
    )
    message, megabytes = answer.stdout.strip().rsplit("\n", 1)
    assert "the records of a block with more than 1,024 MB" in message
    assert int(megabytes) < 400
    few = pyarrow.table({"smiles": texts.take(pyarrow.array([0, 1, 2])), "A": [1, None, 0]})
    pyarrow.parquet.write_table(few, tmp_path / "few.parquet")
    assert [len(text) for text in columns(open_table(tmp_path / "few.parquet"))["smiles"]] == [2**23] * 3


def test_texts_that_stay_packed_come_out_as_the_others(tmp_path: Path, small_limits: int) -> None:
    texts = [None if n % 7 == 0 else f"{'C' * (n % 5 + 1)}{'' if n % 3 else chr(0)}" for n in range(3000)]
    table = pyarrow.table({"smiles": texts, "n": range(3000)})
    pyarrow.parquet.write_table(table, tmp_path / "packed.parquet", row_group_size=1000)
    pyarrow.parquet.write_table(table, tmp_path / "plain.parquet", use_dictionary=False)
    packed, plain = (open_table(tmp_path / f"{name}.parquet", block_size=700) for name in ("packed", "plain"))
    assert columns(packed) == columns(plain)
    assert columns(packed)["smiles"][:4] == ["", "CC", "CCC", "CCCC\ufffd"]


def test_a_packed_parquet_that_unpacks_to_far_more_is_refused(tmp_path: Path, small_limits: int) -> None:
    path = written(tmp_path, gzip.compress(b"PAR1" + b"\0" * (200 * small_limits)), "t.parquet.gz")
    with pytest.raises(DataError, match="more than 100 times its size"):
        open_table(path)


@pytest.mark.parametrize("name", ["t.smi.gz", "t.sdf.gz"])
def test_a_gigabyte_of_zeros_takes_little_memory(tmp_path: Path, name: str) -> None:
    """A gigabyte in one megabyte; members of a gzip file may repeat."""
    member = gzip.compress(b"\0" * 2**26, 1)
    path = written(tmp_path, (gzip.compress(b"CCO x\n") if "smi" in name else b"") + member * 16, name)
    answer = subprocess.run([sys.executable, "-c", ZEROS, path], capture_output=True, text=True, check=True)
    message, megabytes = answer.stdout.strip().rsplit("\n", 1)
    assert "more than 64 MB" in message
    assert int(megabytes) < 400


# --- what can be read only once -----------------------------------------------------------------------

TABLE = "smiles,name,A\n" + "".join(f"{'C' * (n % 9 + 1)},m{n},{n % 2}\n" for n in range(1000))


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_pipe_is_read_once_whatever_it_is_called(tmp_path: Path, is_packed: bool) -> None:
    content = gzip.compress(TABLE.encode()) if is_packed else TABLE.encode()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_bytes, args=(content,))
    feeder.start()
    reader = open_table(pipe)
    assert opening.is_stream(str(pipe))
    reader.close()  # as for a library: what was read of a pipe stays
    assert len(columns(reader)["A"]) == 1000
    feeder.join()
    with pytest.raises(ValueError, match="only once"):
        next(iter(reader))


def test_a_slow_writer_is_waited_for_and_a_missing_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        time.sleep(0.3)
        with open(pipe, "wb") as file:
            time.sleep(0.5)
            file.write(TABLE.encode())

    feeder = threading.Thread(target=write)
    feeder.start()
    assert len(columns(open_table(pipe))["A"]) == 1000
    feeder.join()
    monkeypatch.setattr(opening, "PATIENCE", 0.2)
    with pytest.raises(DataError, match="no program has opened it for writing"):
        open_table(pipe)


def test_an_sdf_from_a_pipe_is_kept_for_its_second_reading(tmp_path: Path) -> None:
    text = sdf(*((f"t{n}", {f"tag{n % 7}": str(n)}) for n in range(500))).encode()
    for content in (text, gzip.compress(text)):
        pipe = tmp_path / f"pipe{len(content)}"
        os.mkfifo(pipe)
        feeder = threading.Thread(target=pipe.write_bytes, args=(content,))
        feeder.start()
        found = columns(open_table(pipe, block_size=64))
        feeder.join()
        assert found == columns(open_table(written(tmp_path, text, "t.sdf")))


def test_what_is_read_twice_is_kept_in_a_copy(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_bytes, args=(TABLE.encode(),))
    feeder.start()
    copy = opening.lasting(pipe)
    feeder.join()
    assert copy == opening.lasting(str(pipe))
    assert copy.read_text() == TABLE
    assert opening.lasting(tmp_path / "no.csv") == tmp_path / "no.csv"


def test_odd_bytes_of_an_sdf_are_said_once(tmp_path: Path) -> None:
    content = sdf(("a", {"A": "1"}), ("\xe9", {"A": "0"})).encode("latin-1")
    reader = open_table(written(tmp_path, content, "t.sdf"))
    columns(reader)
    assert [note.split("t.sdf")[1] for note in reader.notes] == [
        ", record 2: bytes that are not UTF-8 were read as Latin-1."
    ]
