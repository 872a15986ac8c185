"""CSV and its relatives as records of text: separators, quotation marks, and Spotfire's text data format."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from ...errors import DataError
from .opening import FORMULA, LINE_LIMIT, Lines, Note, TooLongError, in_mb
from .records import Format, is_structure_name

SEPARATORS = ",;\t|"
LONGEST_FIELD = 100  # lines; a longer quoted field is taken for one whose quotation mark was never closed

_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_COMMA_WITHIN = re.compile(r"\S \|[^|]*$")

SPOTFIRE = "\\! filetype=Spotfire"
_SPOTFIRE_TYPES = {
    *("string", "integer", "longinteger", "real", "singlereal", "currency", "boolean", "binary", "blob"),
    *("date", "time", "datetime", "timespan"),
}
_SPOTFIRE_ESCAPES = {"\\\\": "\\", "\\s": ";", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


def sniff(header: str, smiles: str | None) -> tuple[str, bool]:
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


class Delimited(Format):
    """CSV and its relatives, quoted as in RFC 4180."""

    def __init__(
        self,
        path: str,
        first: str,
        lines: Lines,
        separator: str,
        *,
        ahead: Sequence[str] = (),
        names: Sequence[str] | None = None,
    ) -> None:
        """
        Parameters
        ----------
        first : the first line that counts.
        ahead : lines that follow.
        names : of the columns where there is no header; the first line is then a record.
        """
        self.path, self.lines, self.stream = path, lines, lines.text
        self.bounds = lines.bounds
        self.separator = separator
        if names is None:
            start = lines.number
            self.names = self._header(first)
            self._look_for_header(ahead, start + 1)
        else:
            self.names = list(names)
            lines.raw = chain([first], lines.raw)
            lines.number -= 1

    def _header(self, first: str) -> list[str]:
        lines, start = self.lines, self.lines.number
        lines.limit = start + LONGEST_FIELD
        try:
            names = next(csv.reader(chain([first], lines), delimiter=self.separator, strict=True))
        except csv.Error as problem:
            raise self._open_quote("header", start) from problem
        return [_without_formula(name) for name in names]

    def _look_for_header(self, ahead: Sequence[str], start: int) -> None:
        """Where no column of the first line holds structures, perhaps lines of a report stand above them.

        So too where the line has one field ("Smiles, March" without the comma) and a later one is a header.
        """
        if len(self.names) > 1 and any(is_structure_name(name) for name in self.names):
            return
        for number, line in enumerate(ahead, start):
            separator, is_header = sniff(line, None)
            if is_header and (separator or not any(map(is_structure_name, self.names))):
                names = next(csv.reader([line], delimiter=separator or ","))
                self.header_seems = number, [name.strip() for name in names]
                return

    def _open_quote(self, record: str, line: int) -> DataError:
        return DataError(
            f"{self.path}, {record} (line {line}): a field begins with a quotation mark, and no quotation "
            "mark ends it before a separator or a line end. Correct the line (double a quotation mark that "
            "belongs to the text)."
        )

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        lines, n = self.lines, len(self.names)
        reader = self._reader()
        lines.report(0, note)
        while True:
            start, problem, row = lines.number, "", self.row + 1
            lines.limit = start + LONGEST_FIELD
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields, problem = self._misread(error, start, row)
            if not fields or (len(fields) == 1 and fields[0].isspace()):
                continue
            if len(fields) > n:
                problem = self._too_many(fields)
            elif len(fields) < n and not problem:
                note(f"fewer fields than the header's {n}; those at the end were taken as empty", row)
            if lines.has_formula:
                fields = self._without_formulas(fields)
            if lines.odd:
                lines.report(row, note)
            self.row = row
            yield (fields if len(fields) == n else (fields + [""] * n)[:n]), problem

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self.lines, delimiter=self.separator, strict=True)

    def _misread(self, error: csv.Error, start: int, row: int) -> tuple[list[str], str]:
        """Fields and problem of a record that is not quoted as it should be; an error if it has no end."""
        if "field larger" in str(error):
            raise TooLongError(f"a field has more than {in_mb(LINE_LIMIT)}") from error
        if self.lines.number > start + 1 or "unexpected end" in str(error):
            raise self._open_quote(f"record {row}", start + 1) from error
        return [""], "text behind the closing quotation mark of a field"

    def _without_formulas(self, fields: list[str]) -> list[str]:
        texts = [_without_formula(field) for field in fields]
        if texts != fields:
            self.lines.odd.append(FORMULA)
        self.lines.has_formula = False
        return texts

    def _too_many(self, fields: list[str]) -> str:
        problem = f"{len(fields)} fields where the header has {len(self.names)}"
        if any(map(_COMMA_WITHIN.search, fields)):
            problem += (
                f" (a '{self.separator}' within a CXSMILES extension |...|: put the structure in quotation "
                "marks)"
            )
        return problem


def _without_formula(field: str) -> str:
    """The text of a cell that is written as ="text" to keep Excel from changing it; others as they are.

    >>> _without_formula('="0012"'), _without_formula('="5"" nail"'), _without_formula("=1+1")
    ('0012', '5" nail', '=1+1')
    """
    match = _FORMULA.fullmatch(field)
    return match[1].replace('""', '"') if match else field


class Spotfire(Delimited):
    """Spotfire's text data format: every value ends with ';', types below the names, backslashes escape.

    References
    ----------
    Spotfire Text Data Format, version 1.0. http://stn.spotfire.com/stn/Extend/STDF.aspx
    """

    def __init__(self, path: str, first: str, lines: Lines) -> None:
        super().__init__(path, first, lines, ";")
        next(lines, "")  # the types

    def _header(self, first: str) -> list[str]:
        return _spotfire_values(first)

    def _reader(self) -> Iterator[list[str]]:
        return ([] if line[:2] == "\\*" else _spotfire_values(line) for line in self.lines)


def is_spotfire(header: str, second: str) -> bool:
    """Whether names and types stand in these two lines, each of which ends with ';'."""
    types = _spotfire_values(second)
    return (
        header.rstrip().endswith(";")
        and second.rstrip().endswith(";")
        and len(types) == len(_spotfire_values(header))
        and {name.strip().casefold() for name in types} <= _SPOTFIRE_TYPES
    )


def _spotfire_values(line: str) -> list[str]:
    r"""The values of a line; what begins with \? is missing or invalid.

    >>> _spotfire_values("a\\sb;C\\\\C=C/C;\\?;\\?NIL;0;")
    ['a;b', 'C\\C=C/C', '', '', '0']
    """
    line = line.rstrip("\r\n")
    if not line.strip():
        return []
    values = line.removesuffix(";").split(";")
    if "\\" not in line:
        return values
    return ["" if value.startswith("\\?") else _unescaped(value) for value in values]


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda mark: _SPOTFIRE_ESCAPES.get(mark[0], mark[0]), value)
