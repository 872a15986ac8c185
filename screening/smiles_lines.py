"""Lists of SMILES as records of text: a molecule per line."""

import re
from collections.abc import Iterator
from itertools import chain

from .opening import Lines, Note
from .records import Format, is_comment, is_structure_name

# Space and tab alone end a structure: other blanks would cut it, and what is cut may be read as well.
_SMI_LINE = re.compile(r"([^ \t]*)(?: (\|[^|]*\|)(?=[ \t]|$))?[ \t]*(.*)")


class SmilesLines(Format):
    """A molecule per line: SMILES, blank or tab, name; perhaps more fields behind tabs."""

    smiles, id = 0, 1

    def __init__(self, first: str, lines: Lines) -> None:
        self.lines, self.stream = lines, lines.text
        fields = _smi_fields(first)
        has_header = is_structure_name(fields[0])
        self.first = [] if has_header else [first]
        more = fields[2:] if has_header else [f"column_{i + 3}" for i in range(len(fields) - 2)]
        self.names = ["smiles", "name", *more]

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        n = len(self.names)
        for line in chain(self.first, self.lines):
            if not line.strip() or is_comment(line):
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
            if "#" < line[0] < "\x7f" or (line.strip() and not is_comment(line)):
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
    return [f"{smiles} {extension}" if extension else smiles, *(text.strip(" ") for text in rest.split("\t"))]
