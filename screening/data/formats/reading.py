"""Open a file as records of text, in the format that its content and name tell.

The formats are in `delimited`, `smiles_lines`, `sdf` and `parquet`; `tables` gives the columns their meaning.
"""

import csv
import re
from collections.abc import Sequence

from ...errors import DataError
from .delimited import SEPARATORS, SPOTFIRE, Delimited, Spotfire, is_spotfire, sniff
from .opening import (
    COLUMN_LIMIT,
    LINE_LIMIT,
    NUL_REPLACED,
    Lines,
    TooLongError,
    as_text,
    is_stream,
    open_bytes,
    rewindable,
    seekable,
    share_of,
)
from .parquet import Parquet
from .records import Format
from .sdf import Sdf
from .smiles import SmilesLines, has_blank_columns, header_names, is_record, structure_place

CSV_SUFFIXES = (".csv", ".tsv", ".tab")
SMI_SUFFIXES = (".smi", ".smiles", ".ism", ".can", ".cxsmiles")
SDF_SUFFIXES = (".sdf", ".sd", ".mol")
FOREIGN = {  # first bytes of files that are given by mistake
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x1f\x8b": "packed twice with gzip",  # what is packed once has been unpacked here
    b"ARROW1": "an Arrow or Feather file",
    b"\x89HDF": "an HDF5 file",
}

OTHER_TEXTS = {  # first lines of formats whose lines could be taken for molecules or names
    r"@<TRIPOS>": "a MOL2 file",
    r"(HEADER|TITLE |COMPND|REMARK|CRYST1|MODEL |ATOM  |HETATM) +\S": "a PDB file",
    r"\s*<": "an HTML or XML page",
    r'\s*([\[{]\s*["{]|[\[{]\s*$)': "a JSON file",
    r"InChI=1": "a list of InChI",
    r"\$(RXN|RDFILE|SMI<)": "a file of reactions or of another chemical format",
    r"data_\S+\s*$": "a CIF file",
    r">(?!>)": "a FASTA file or a cut-off SDF",
}
SEARCHED = 50  # lines in which a header, columns and separators are looked for

_SEPARATOR_HINT = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # Excel's, above the header
_SELFIES = re.compile(r"(\[[^\]\s]+\])*\[([=#]?(Branch|Ring)\d|[=#\\/][A-Z])")
_XYZ_ATOM = re.compile(r"\s*[A-Z][a-z]?(\s+-?\d+\.\d+){3}")
_SDF_HEAD = re.compile(rb"([^\n]*\n){3}[^\n]*V[23]000")


def open_format(path: str, smiles: str | None) -> Format:
    """The file ("-" = standard input) in its format, with the header read.

    Parameters
    ----------
    smiles : the structure column if the user named it; helps to find the separator.

    Raises
    ------
    DataError : empty or not a table. OSError, and what is in BROKEN, are left to the caller.
    """
    csv.field_size_limit(LINE_LIMIT)  # the default of 131,072 characters is too little for some notes
    stream = open_bytes(path)
    head = stream.peek(4096)[:4096]
    if not head:
        raise DataError(f"{path} is empty (0 bytes). A table or a list of SMILES was expected.")
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise DataError(
                f"{path} is {what}. Give the table as CSV, SMILES, SDF or Parquet (gzip is fine)."
            )
    stem = path.lower().removesuffix(".gz")
    if head.startswith(b"PAR1"):
        return Parquet(path, seekable(stream))
    if stem.endswith(SDF_SUFFIXES) or (_SDF_HEAD.match(head) and not stem.endswith(CSV_SUFFIXES)):
        stream = rewindable(stream)
        table: Format = Sdf(path, as_text(stream, head))
    else:
        table = _open_text(path, stem, Lines(as_text(stream, head)), smiles)
    if not is_stream(path):
        table.share = share_of(stream)
    return table


def _open_text(path: str, stem: str, lines: Lines, smiles: str | None) -> Format:
    first = next(filter(is_record, lines), "")
    if not first or NUL_REPLACED in lines.odd:
        what = "is binary, or UTF-16 without its mark" if first else "has only blank lines"
        raise DataError(f"{path} {what}. A table with a header line or a list of SMILES was expected.")
    if max(map(first.count, SEPARATORS)) >= COLUMN_LIMIT:
        raise TooLongError(f"a header with more than {COLUMN_LIMIT:,} columns")
    if hint := _SEPARATOR_HINT.fullmatch(first.strip("\r\n")):
        return Delimited(path, _header_below(path, first, lines), lines, hint[1])
    if first.startswith(SPOTFIRE):
        return Spotfire(path, _header_below(path, first, lines), lines)
    ahead = lines.ahead(SEARCHED)
    if ahead and is_spotfire(first, ahead[0]):
        return Spotfire(path, first, lines)
    separator, is_header = sniff(first, smiles)
    if not (first[0].isalpha() and (is_header or header_names(first, smiles))):
        _refuse_other_formats(path, [first, *ahead])
    if not _is_list(stem, first, ahead, separator, is_header, smiles):
        return Delimited(path, first, lines, separator or ",", ahead=ahead)
    if not is_header and (separator := _separator_of_list([first, *ahead])):
        return _without_header(path, first, lines, separator, ahead)
    if not header_names(first, smiles):
        _check_list(path, [first, *ahead], lines.number, smiles)
    return SmilesLines(first, lines, ahead=ahead, smiles=smiles)


def _header_below(path: str, first: str, lines: Lines) -> str:
    """The header behind a line about the format, and behind comments of Spotfire."""
    header = next((line for line in lines if is_record(line) and not line.startswith("\\*")), "")
    if not header:
        raise DataError(
            f"{path} ends behind its first line, '{first.strip()}'. A table was expected below it."
        )
    return header


def _is_list(
    stem: str, first: str, ahead: Sequence[str], separator: str, is_header: bool, smiles: str | None
) -> bool:
    """Whether a line is a structure and what blanks or tabs divide from it, not fields between separators."""
    names = header_names(first, smiles)
    is_named_list = stem.endswith(SMI_SUFFIXES)
    if is_header and separator:
        return is_named_list and separator == "\t" and bool(names) and structure_place(names, smiles) == 0
    if is_named_list or separator:
        return is_named_list
    if len(names) > 1 and has_blank_columns(len(names), ahead):
        return True
    return not (is_header or smiles is not None or stem.endswith(CSV_SUFFIXES))


def _refuse_other_formats(path: str, lines: Sequence[str]) -> None:
    """DataError for a text whose lines could pass for molecules: "O 0.0 0.1 0.2" is not a name of water."""
    what = next((what for start, what in OTHER_TEXTS.items() if re.match(start, lines[0])), None)
    if lines[0].strip().isdecimal() and len(lines) > 2 and _XYZ_ATOM.match(lines[2]):
        what = "an XYZ file"
    elif any(map(_SELFIES.match, lines)):
        what = "a list of SELFIES"
    if what is not None:
        raise DataError(
            f"{path} is {what}: expected a table, a list of SMILES or an SDF. Convert it, for example with "
            "Open Babel or RDKit."
        )


def _check_list(path: str, lines: Sequence[str], start: int, smiles: str | None) -> None:
    """DataError for a list of no SMILES: lines of a report above its header, or names before structures."""
    fields = [line.split(None, 2) for line in lines if is_record(line)]
    if any(_is_smiles(words[0]) for words in fields):
        return
    for number, line in enumerate(lines, start):
        if is_record(line) and (sniff(line, smiles)[1] or header_names(line, smiles)):
            raise DataError(
                f"{path}: no line above line {number} begins with a SMILES; the header seems to be line "
                f"{number} ({line.strip()!r}). Delete the lines above it."
            )
    n_second = sum(len(words) > 1 and _is_smiles(words[1]) for words in fields)
    if n_second > max(2, len(fields) / 2):
        raise DataError(
            f"{path}: a SMILES was expected at the beginning of each line, and stands behind the first blank "
            "or tab. Put a header line above that says so: id smiles"
        )


def _separator_of_list(lines: Sequence[str]) -> str:
    """What divides fields in all lines of a list without a header; "" where it is a blank or a tab.

    No SMILES has a comma or a semicolon, and none a bar but behind a blank.
    """
    words = [line.split(None, 1)[0] for line in lines if is_record(line)]
    return next((separator for separator in ",;|" if all(separator in word for word in words)), "")


def _without_header(path: str, first: str, lines: Lines, separator: str, ahead: Sequence[str]) -> Format:
    """A list of SMILES that is a table without a header; the structures are what RDKit can read."""
    rows = list(csv.reader(filter(is_record, [first, *ahead]), delimiter=separator))
    columns = range(max(map(len, rows)))
    counts = [sum(len(row) > place and _is_smiles(row[place]) for row in rows) for place in columns]
    smiles = counts.index(max(counts))
    if 2 * counts[smiles] < len(rows):
        raise DataError(
            f"{path}: the lines have '{separator}' between their fields, and most of the first {len(rows)} "
            "have no SMILES in any one of them. Expected in each line: a SMILES, a blank or tab, a name; or "
            "a table with a header line."
        )
    others = [place for place in columns if place != smiles]
    names = [f"column_{place + 1}" for place in columns]
    names[smiles] = "smiles"
    if others:
        names[others[0]] = "name"
    table = Delimited(path, first, lines, separator, names=names)
    table.smiles, table.id = smiles, others[0] if others else None
    lines.odd.append(f"there is none; fields between '{separator}' were taken as {', '.join(names)}")
    return table


def _is_smiles(text: str) -> bool:
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        return 0 < len(text) < 1000 and text.isascii() and bool(Chem.MolFromSmiles(text, sanitize=False))
