"""Open a file as records of text, in the format that its content and name tell.

The formats are in `delimited`, `smiles_lines`, `sdf` and `parquet`; `tables` gives the columns their meaning.
"""

import csv
import re

from .delimited import Delimited
from .errors import DataError
from .opening import NUL_REPLACED, Lines, as_text, open_bytes, seekable, share_of
from .parquet import Parquet
from .records import Format, is_comment, is_structure_name
from .sdf import Sdf
from .smiles_lines import SmilesLines

SEPARATORS = ",;\t|"
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
}

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
    csv.field_size_limit(2**31 - 1)  # the default of 131,072 characters is too little for some notes
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
    if stem.endswith(SDF_SUFFIXES) or _SDF_HEAD.match(head):
        stream = seekable(stream)
        found: Format = Sdf(as_text(stream, head))
    else:
        found = _open_text(path, stem, Lines(as_text(stream, head)), smiles)
    if path != "-":
        found.share = share_of(stream)
    return found


def _open_text(path: str, stem: str, lines: Lines, smiles: str | None) -> Format:
    first = next((line for line in lines if line.strip() and not is_comment(line)), "")
    if not first or NUL_REPLACED in lines.odd:
        what = "is binary, or UTF-16 without its mark" if first else "has only blank lines"
        raise DataError(f"{path} {what}. A table with a header line or a list of SMILES was expected.")
    separator, is_header = _sniff(first, smiles)
    is_list = stem.endswith(SMI_SUFFIXES) and not (is_header and separator in (",", ";", "|"))
    is_table = is_header or separator or smiles is not None or stem.endswith(CSV_SUFFIXES)
    return (
        SmilesLines(first, lines)
        if is_list or not is_table
        else Delimited(path, first, lines, separator or ",")
    )


def _sniff(header: str, smiles: str | None) -> tuple[str, bool]:
    """The separator ("" = there is none), and whether the line names a structure column.

    A separator that gives a structure column is preferred, then the one that gives most fields.
    """
    best, best_score = "", (False, 1)
    for separator in SEPARATORS:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
        whole = [name for name in names if not set(name) & set(SEPARATORS)]
        score = any(name == smiles or is_structure_name(name) for name in whole), len(names)
        if len(names) > 1 and score > best_score:
            best, best_score = separator, score
    is_single = len(header.split()) == 1 and (header.strip() == smiles or is_structure_name(header))
    return best, best_score[0] or is_single
