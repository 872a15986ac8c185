"""Lists of SMILES as records of text: a molecule per line, and how the lines are divided into columns."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from .opening import Lines, Note
from .records import Format, is_comment, is_structure_name

# Space and tab alone end a structure: other blanks would cut it, and what is cut may be read as well.
_SMI_LINE = re.compile(r"([^ \t]*)(?: (\|[^|]*\|)(?=[ \t]|$))?[ \t]*(.*)")
_BLANKS = re.compile(r"[ \t]+")
_PADDING = re.compile(r"[^ \t]+[ \t]+[^ \t].* {2,}[^ \t]")  # behind the name


class SmilesLines(Format):
    """A molecule per line: SMILES, blank or tab, name; perhaps more fields behind tabs.

    With a header, the columns have its names and may stand in any order. Columns that are divided by blanks
    are told by a header of three or more names, or by padding that makes them stand below each other.
    """

    def __init__(
        self, first: str, lines: Lines, *, ahead: Sequence[str] = (), smiles: str | None = None
    ) -> None:
        """
        Parameters
        ----------
        first : the first line that counts.
        ahead : lines that follow.
        smiles : the structure column if the user named it.
        """
        self.lines, self.stream, self.bounds = lines, lines.text, lines.bounds
        self.smiles, self.id = 0, 1
        self.has_columns = False  # whether blanks divide columns, also behind the name
        header = header_names(first, smiles)
        self.first = [] if header else [first]
        if header:
            self._take_header(header, "\t" in first.strip(), ahead, smiles)
        else:
            self._count_columns(first, [line for line in ahead if is_record(line)])

    def _take_header(
        self, header: list[str], has_tabs: bool, ahead: Sequence[str], smiles: str | None
    ) -> None:
        place = structure_place(header, smiles)
        if not has_tabs:
            self.has_columns = (place > 0 or len(header) > 2) and has_blank_columns(len(header), ahead)
            if not self.has_columns:  # one word for the structure, the others for the name
                header = [header[0], " ".join(header[1:])] if place == 0 else [" ".join(header)]
                place = 0
        if len(header) < 2 or not header[1]:
            header = [header[0], "name"]
        self.names = [header[0].strip("#\"'"), *(name.strip("\"'") for name in header[1:])]
        self.smiles, self.id = place, 1 - min(place, 1)
        self.aliases = {"smiles": self.smiles, "name": self.id}

    def _count_columns(self, first: str, ahead: Sequence[str]) -> None:
        n = len(_smi_fields(first))
        lines = [first, *ahead]
        counts = {len(_columns_of(line)) for line in lines}
        if n == 2 and ahead and len(counts) == 1 and any(map(_PADDING.match, lines)):
            n, self.has_columns = max(counts), True
        self.names = ["smiles", "name", *(f"column_{i + 3}" for i in range(n - 2))]

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        n, lines = len(self.names), self.lines
        fields_of = _columns_of if self.has_columns else _smi_fields
        for line in chain(self.first, lines.plain()):
            if not line.strip() or is_comment(line):
                continue
            self.row += 1
            fields, problem = fields_of(line), ""
            if len(fields) > n:
                problem = self._too_many(len(fields), note)
            if lines.odd:
                lines.report(self.row, note)
            yield (fields if len(fields) == n else (fields + [""] * n)[:n]), problem

    def _too_many(self, n: int, note: Note) -> str:
        if self.has_columns:
            return f"{n} fields with blanks between them where there are {len(self.names)} columns"
        note(f"fields behind the first {len(self.names)} were left out", self.row)
        return ""

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


def is_record(line: str) -> bool:
    """Whether it is neither blank nor a comment."""
    return bool(line.strip()) and not is_comment(line)


def header_names(line: str, smiles: str | None) -> list[str]:
    """The names of a header line with tabs or blanks between them; none if the line is one of a molecule."""
    text = line.strip("\r\n ")
    names = [name.strip(" ") for name in (text.split("\t") if "\t" in text else _BLANKS.split(text))]
    if is_structure_name(names[0]) or (smiles is not None and smiles in names):
        return names
    is_word = all(letter.isalnum() or letter in "_-#." for letter in names[0])
    return names if is_word and any("smiles" in name.casefold() for name in names[1:]) else []


def structure_place(names: Sequence[str], smiles: str | None) -> int:
    """Place of the structure column among the names of a header, of which one is such a column."""
    if smiles in names:
        return list(names).index(str(smiles))
    return next(place for place, name in enumerate(names) if is_structure_name(name))


def has_blank_columns(n: int, ahead: Sequence[str]) -> bool:
    """Whether most of the lines have n fields with blanks between them, or there are none."""
    lines = [line for line in ahead if is_record(line)]
    if any(line.count("\t") == n - 1 for line in lines):
        return False
    return 2 * sum(len(_columns_of(line)) == n for line in lines) >= len(lines)


def _smi_fields(line: str) -> list[str]:
    """SMILES (with its CXSMILES extension), name, and what stands behind further tabs."""
    match = _SMI_LINE.match(line.rstrip("\r\n").lstrip(" "))
    smiles, extension, rest = match.groups() if match else ("", "", "")
    return [f"{smiles} {extension}" if extension else smiles, *(text.strip(" ") for text in rest.split("\t"))]


def _columns_of(line: str) -> list[str]:
    """The fields between blanks; a CXSMILES extension belongs to the field before it.

    >>> _columns_of("CCO  TOX1   0\\n"), _columns_of("TOX1 CC |$a b;c$| 0")
    (['CCO', 'TOX1', '0'], ['TOX1', 'CC |$a b;c$|', '0'])
    """
    fields: list[str] = []
    is_open = False
    for field in _BLANKS.split(line.strip("\r\n \t")):
        if is_open or (field.startswith("|") and fields):
            fields[-1] += f" {field}"
            is_open = not (field.endswith("|") and (is_open or len(field) > 1))
        else:
            fields.append(field)
    return fields
