"""Open files as records of text: CSV and its relatives, SMILES lines, SDF, Parquet, each perhaps gzipped.

`tables.py` gives the columns their meaning; here they are names, fields, and problems of records.
"""

import csv
import gzip
import io
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from typing import Any

from .errors import DataError

SEPARATORS = ",;\t|"
CSV_SUFFIXES = (".csv", ".tsv", ".tab")
SMI_SUFFIXES = (".smi", ".smiles", ".ism", ".can", ".cxsmiles")
SDF_SUFFIXES = (".sdf", ".sd", ".mol")
STRUCTURE_NAMES = {"smi", "structure", "mol", "molecule"}  # besides every name with "smiles" in it
LONGEST_FIELD = 100  # lines; a longer quoted field is taken for one whose quotation mark was never closed
FOREIGN = {  # first bytes of files that are given by mistake
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, UnicodeError)
"""What reading raises when compressed data or encoded text turns out to be damaged."""

NUL_REPLACED = "NUL bytes were replaced by the character U+FFFD"

Wanted = Callable[[int], bool]
"""Whether the part of this number, from 0, is to be parsed."""
Note = Callable[[str, int], None]
"""`note(what, row)`: something about a record (0 = the header) that the user should know."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python's "surrogateescape" marks such bytes
_SMI_LINE = re.compile(r"(\S*)(?: (\|[^|]*\|)(?=\s|$))?\s*(.*)")
_SDF_HEAD = re.compile(rb"([^\n]*\n){3}[^\n]*V[23]000")
_SDF_TAG = re.compile(r">.*?<([^>]*)>")


class Format:
    """An open table: its columns, then its records in parts."""

    stream: Any
    """What is to be closed in the end."""
    names: list[str]
    """Column names as written, "" where there is none."""
    smiles: int | None = None
    """Place of the structure column, None where the format does not fix it."""
    id: int | None = None
    """Place of the identifier column, None where the format does not fix it."""
    share: Callable[[], float | None] = staticmethod(lambda: None)
    """How much of the file has been read, 0 to 1; None = unknown (standard input)."""
    row: int = 0
    """Records so far, those that were skipped as well."""

    def parts(self, size: int, note: Note, wanted: Wanted) -> Iterator[tuple[list[list[str]], list[str]]]:
        """For every `size` records: the texts of each column, and the problems ("" = none).

        A part that is not wanted has no columns, and "" for each record. Where the file turns out to be
        damaged, the records before the damage come first.
        """
        records = self.records(note)
        for number in count():
            if number and not wanted(number):  # the first one is parsed: lines were read ahead for the header
                n_skipped = self.skip(records, size)
                if not n_skipped:
                    return
                yield [], [""] * n_skipped
            else:
                texts, problems, damage = self._parsed(records, size)
                if problems:
                    yield texts if wanted(number) else [], problems
                if damage is not None:
                    raise damage
                if not problems:
                    return

    def _parsed(
        self, records: Iterator[tuple[list[str], str]], size: int
    ) -> tuple[list[list[str]], list[str], Exception | None]:
        n = len(self.names)
        flat: list[str] = []  # all fields, one after the other: lists of records would keep Python's garbage
        problems: list[str] = []  # collector busy for longer than reading takes
        damage: Exception | None = None
        try:
            for fields, problem in islice(records, size):
                flat += fields
                problems.append(problem)
        except BROKEN as found:
            damage = found
        return [flat[place::n] for place in range(n)], problems, damage

    def skip(self, records: Iterator[tuple[list[str], str]], size: int) -> int:
        """Pass over the next `size` records as cheaply as the format allows; fewer at the end."""
        return sum(1 for _ in islice(records, size))

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        """Per record one field per column, and "" or why the record cannot be used."""
        raise NotImplementedError


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
    stream = _open_bytes(path)
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
        return _Parquet(path, _seekable(stream))
    if stem.endswith(SDF_SUFFIXES) or _SDF_HEAD.match(head):
        stream = _seekable(stream)
        found: Format = _Sdf(_as_text(stream, head))
    else:
        found = _open_text(path, stem, _Lines(_as_text(stream, head)), smiles)
    if path != "-":
        found.share = _share_of(stream)
    return found


def is_structure_name(name: str) -> bool:
    """Whether a column of this name is one of SMILES."""
    return "smiles" in column_key(name) or column_key(name) in STRUCTURE_NAMES


def column_key(name: str) -> str:
    """The column name without case, blanks, hyphens, quotation marks and '#'."""
    return re.sub(r"[\s_-]+", "_", name.strip("#\"' \t\r\n").casefold())


def _open_text(path: str, stem: str, lines: "_Lines", smiles: str | None) -> Format:
    first = next((line for line in lines if line.strip() and not _is_comment(line)), "")
    if not first or NUL_REPLACED in lines.odd:
        what = "is binary, or UTF-16 without its mark" if first else "has only blank lines"
        raise DataError(f"{path} {what}. A table with a header line or a list of SMILES was expected.")
    separator, is_header = _sniff(first, smiles)
    is_list = stem.endswith(SMI_SUFFIXES) and not (is_header and separator in (",", ";", "|"))
    is_table = is_header or separator or smiles is not None or stem.endswith(CSV_SUFFIXES)
    return _Smi(first, lines) if is_list or not is_table else _Delimited(path, first, lines, separator or ",")


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


def _is_comment(line: str) -> bool:
    """'#' and a blank, or '#' alone; '#N/A' is a structure (a bad one)."""
    return line.startswith("#") and not line[1:2].strip()


# --- bytes and lines ----------------------------------------------------------------------------------


class _StandardInput(io.RawIOBase):
    """Standard input that stays open when its reader is closed."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        standard_input: Any = sys.stdin.buffer
        data = standard_input.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _open_bytes(path: str) -> Any:
    """The bytes of the file, unpacked; the stream has `peek`."""
    stream: Any = io.BufferedReader(_StandardInput()) if path == "-" else open(path, "rb")  # noqa: SIM115
    if stream.peek(2)[:2] != b"\x1f\x8b":
        return stream
    if path == "-":
        return gzip.GzipFile(fileobj=stream)
    stream.close()
    return gzip.GzipFile(path)


def _share_of(stream: Any) -> Callable[[], float | None]:
    """Place in the file as it lies on disk (packed or not) by its size."""
    file: Any = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream.raw
    size = max(os.fstat(file.fileno()).st_size, 1)
    return lambda: None if file.closed else min(file.tell() / size, 1.0)


def _seekable(stream: Any) -> Any:
    """The stream itself if it is a plain file, else its content in a temporary file."""
    if isinstance(getattr(stream, "raw", None), io.FileIO) and stream.seekable():
        return stream
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(stream, copy)
    stream.close()
    copy.seek(0)
    return copy


def _as_text(stream: Any, head: bytes) -> io.TextIOWrapper:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return io.TextIOWrapper(stream, encoding="utf-16", newline="")
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Lines:
    """The lines of a text with their ends; bytes that are not UTF-8 as Latin-1, NUL as U+FFFD."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.number = 0  # of the last line, from 1
        self.limit = sys.maxsize  # the last line number that may be read
        self.odd: list[str] = []  # about the lines since the last report

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self.text)
        self.number += 1
        if self.number > self.limit:
            raise csv.Error("unexpected end of data")  # as at the end of a file
        return line if line.isascii() and "\0" not in line else self._mended(line)

    def quickly(self) -> Iterator[str]:
        """The same lines, for those who only count; nothing is reported of them."""
        for line in self.text:
            self.number += 1
            yield line if line.isascii() else self._mended(line)

    def _mended(self, line: str) -> str:
        if not line.isascii() and _NOT_UTF8.search(line):
            line = _NOT_UTF8.sub(lambda byte: chr(ord(byte[0]) - 0xDC00), line)
            self.odd.append("bytes that are not UTF-8 were read as Latin-1")
        if "\0" in line:
            line = line.replace("\0", "\ufffd")
            self.odd.append(NUL_REPLACED)
        return line

    def report(self, row: int, note: Note) -> None:
        """Tell `note` what was odd in the lines of this record."""
        for what in dict.fromkeys(self.odd):
            note(what, row)
        self.odd.clear()


# --- formats ------------------------------------------------------------------------------------------


class _Delimited(Format):
    """CSV and its relatives, quoted as in RFC 4180."""

    def __init__(self, path: str, first: str, lines: _Lines, separator: str) -> None:
        self.path, self.lines, self.stream = path, lines, lines.text
        self.separator = separator
        start = lines.number
        lines.limit = start + LONGEST_FIELD
        try:
            self.names = next(csv.reader(chain([first], lines), delimiter=separator, strict=True))
        except csv.Error as problem:
            raise self._open_quote("header", start) from problem

    def _open_quote(self, record: str, line: int) -> DataError:
        return DataError(
            f"{self.path}, {record} (line {line}): a field begins with a quotation mark, and no quotation "
            "mark ends it before a separator or a line end. Correct the line (double a quotation mark that "
            "belongs to the text)."
        )

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        lines, n = self.lines, len(self.names)
        reader = csv.reader(lines, delimiter=self.separator, strict=True)
        lines.report(0, note)
        while True:
            start, problem, row = lines.number, "", self.row + 1
            lines.limit = start + LONGEST_FIELD
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if lines.number > start + 1 or "unexpected end" in str(error):
                    raise self._open_quote(f"record {row}", start + 1) from error
                fields, problem = [""], "text behind the closing quotation mark of a field"
            if not fields or (len(fields) == 1 and fields[0].isspace()):
                continue
            if len(fields) > n:
                problem = f"{len(fields)} fields where the header has {n}"
            elif len(fields) < n and not problem:
                note(f"fewer fields than the header's {n}; those at the end were taken as empty", row)
            if lines.odd:
                lines.report(row, note)
            self.row = row
            yield (fields if len(fields) == n else (fields + [""] * n)[:n]), problem


class _Smi(Format):
    """A molecule per line: SMILES, blank or tab, name; perhaps more fields behind tabs."""

    smiles, id = 0, 1

    def __init__(self, first: str, lines: _Lines) -> None:
        self.lines, self.stream = lines, lines.text
        fields = _smi_fields(first)
        has_header = is_structure_name(fields[0])
        self.first = [] if has_header else [first]
        more = fields[2:] if has_header else [f"column_{i + 3}" for i in range(len(fields) - 2)]
        self.names = ["smiles", "name", *more]

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        n = len(self.names)
        for line in chain(self.first, self.lines):
            if not line.strip() or _is_comment(line):
                continue
            self.row += 1
            fields = _smi_fields(line)
            if len(fields) > n:
                note(f"fields behind the first {n} were left out", self.row)
            self.lines.report(self.row, note)
            yield (fields + [""] * n)[:n], ""

    def skip(self, records: Iterator[tuple[list[str], str]], size: int) -> int:
        done = 0
        for line in self.lines.quickly():
            if "#" < line[0] < "\x7f" or (line.strip() and not _is_comment(line)):
                done += 1
                if done == size:
                    break
        self.row += done
        self.lines.odd.clear()
        return done


def _smi_fields(line: str) -> list[str]:
    """SMILES (with its CXSMILES extension), name, and what stands behind further tabs."""
    match = _SMI_LINE.match(line.rstrip("\r\n").lstrip(" "))
    smiles, extension, rest = match.groups() if match else ("", "", "")
    return [f"{smiles} {extension}" if extension else smiles, *(text.strip() for text in rest.split("\t"))]


class _Sdf(Format):
    """MOL blocks with properties; RDKit writes the structures as SMILES."""

    smiles, id = 0, 1

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.stream = text
        tags = (_SDF_TAG.match(line) for line in _Lines(text) if line.startswith(">"))
        self.tags = list(dict.fromkeys(tag[1] for tag in tags if tag))
        self.names = ["smiles", "name", *self.tags]
        text.seek(0)
        self.lines = _Lines(text)
        self.raw = _sdf_records(self.lines)

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        for record in self.raw:
            self.row += 1
            molblock, properties = _sdf_parts(record)
            smiles, problem = _smiles_of("\n".join(molblock))
            name = molblock[0].strip() if molblock else ""
            self.lines.report(self.row, note)
            yield [smiles, name, *(properties.get(tag, "") for tag in self.tags)], problem

    def skip(self, records: Iterator[tuple[list[str], str]], size: int) -> int:
        done = sum(1 for _ in islice(self.raw, size))
        self.row += done
        self.lines.odd.clear()
        return done


def _sdf_records(lines: Iterable[str]) -> Iterator[list[str]]:
    record: list[str] = []
    for line in lines:
        line = line.rstrip("\r\n")
        if line.startswith("$$$$"):
            yield record
            record = []
        else:
            record.append(line)
    if any(line.strip() for line in record):
        yield record


def _sdf_parts(record: list[str]) -> tuple[list[str], dict[str, str]]:
    """The lines of the MOL block, and the properties; a value of several lines keeps its line breaks."""
    end = next(
        (i for i, line in enumerate(record) if i > 2 and line.startswith(("M  END", ">"))), len(record)
    )
    end += end < len(record) and record[end].startswith("M")
    values: dict[str, list[str]] = {}
    value: list[str] = []
    for line in record[end:]:
        if line.startswith(">") and (tag := _SDF_TAG.match(line)):
            value = values[tag[1]] = []
        elif line.strip():
            value.append(line)
        else:
            value = []  # a blank line ends the value
    return record[:end], {tag: "\n".join(lines) for tag, lines in values.items()}


def _smiles_of(molblock: str) -> tuple[str, str]:
    """Canonical SMILES, or "" and why there is none; RDKit tells only its log what it cannot read."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        mol = Chem.MolFromMolBlock(molblock)
        if mol is not None:
            smiles = Chem.MolToSmiles(mol)
            return smiles, "" if smiles else "the structure has no atoms"
        if "\nM  END" not in molblock:
            return "", "the MOL block has no line 'M  END'"
        mol = Chem.MolFromMolBlock(molblock, sanitize=False)
        if mol is not None:
            try:
                Chem.SanitizeMol(mol)
            except ValueError as problem:
                return "", str(problem).strip()
    return "", "RDKit cannot read the counts, atoms or bonds of the MOL block"


class _Parquet(Format):
    """Columns of any simple type, written as text; null and NaN are empty."""

    def __init__(self, path: str, stream: Any) -> None:
        import pyarrow
        import pyarrow.parquet

        self.path, self.stream = path, stream
        try:
            self.file = pyarrow.parquet.ParquetFile(stream)
        except (pyarrow.ArrowException, OSError) as problem:
            raise self._broken(problem) from problem
        self.names = self.file.schema_arrow.names
        self.done = 0
        self.share = lambda: self.done / max(self.file.metadata.num_rows, 1)

    def parts(self, size: int, note: Note, wanted: Wanted) -> Iterator[tuple[list[list[str]], list[str]]]:
        import pyarrow

        batches = (batch for batch in self.file.iter_batches(batch_size=size) if batch.num_rows)
        try:
            for number, batch in enumerate(batches):
                self.done += batch.num_rows
                columns = batch.columns if wanted(number) else []
                yield [_texts(column) for column in columns], [""] * batch.num_rows
        except (pyarrow.ArrowException, OSError) as problem:
            raise self._broken(problem) from problem

    def _broken(self, problem: Exception) -> DataError:
        return DataError(f"{self.path}: the Parquet file is broken or cut off ({problem}). Write it again.")


def _texts(column: Any) -> list[str]:
    import pyarrow
    import pyarrow.compute as compute

    if pyarrow.types.is_floating(column.type):
        column = compute.if_else(compute.is_nan(column), None, column)
    try:
        texts = compute.cast(column, pyarrow.string())
    except pyarrow.ArrowException:
        texts = pyarrow.array([None if value is None else str(value) for value in column.to_pylist()])
    texts = compute.fill_null(texts, "")
    return compute.replace_substring(texts, pattern="\0", replacement="\ufffd").to_pylist()
