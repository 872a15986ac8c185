"""CSV and its relatives as records of text."""

import csv
from collections.abc import Iterator
from itertools import chain

from .errors import DataError
from .opening import Lines, Note
from .records import Format

LONGEST_FIELD = 100  # lines; a longer quoted field is taken for one whose quotation mark was never closed


class Delimited(Format):
    """CSV and its relatives, quoted as in RFC 4180."""

    def __init__(self, path: str, first: str, lines: Lines, separator: str) -> None:
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
