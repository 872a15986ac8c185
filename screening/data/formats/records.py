"""A table as records of text: the contract of every format, and what a column's name tells."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from types import MappingProxyType
from typing import Any

from ...errors import DataError
from .opening import BROKEN, Bounded, Note, TooLongError

STRUCTURE_NAMES = {  # besides every name with "smiles" in it
    *("smi", "structure", "mol", "molecule"),
    *("molblock", "mol_block", "molfile", "mol_file", "ctab"),
}

FIELD_LIMIT = 2**28
"""Fields that are held at a time: 2 GB of references, for a short line may stand for many empty fields."""

Wanted = Callable[[int], bool]
"""Whether the part of this number, from 0, is to be parsed."""


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
    bounds: Bounded | None = None
    """Limits of what is read, where it is text."""
    aliases: Mapping[str, int] = MappingProxyType({})
    """Other names of columns by their place: lists with a header are also known by the names without one."""
    is_id_telling: bool = True
    """Whether `id` differs between records; if not, a column whose name says identifier is preferred."""
    without_id: str = ""
    """What the user should know if no column of identifiers is found."""
    metadata: Mapping[bytes, bytes] = MappingProxyType({})
    """What the file says of itself besides its table."""
    numbers: frozenset[int] = frozenset()
    """Places of columns that hold numbers as such, as far as was read; texts of numbers do not count."""
    texts: frozenset[int] = frozenset()
    """Places of columns that hold texts, where some columns may hold both."""
    header_seems: tuple[int, list[str]] | None = None
    """Line and names of what looks like the header, where `names` do not."""

    def parts(self, size: int, note: Note, is_wanted: Wanted) -> Iterator[tuple[list[list[str]], list[str]]]:
        """For every `size` records: the texts of each column, and the problems ("" = none).

        A part that is not wanted has no columns, and "" for each record. Where the file turns out to be
        damaged, the records before the damage come first.
        """
        records = self.records(note)
        for number in count():
            if self.bounds is not None:
                self.bounds.of_block = 0
            if number and not is_wanted(number):  # the first is parsed: lines were read ahead for the header
                n_skipped = self.skip(records, size)
                if not n_skipped:
                    return
                yield [], [""] * n_skipped
            else:
                texts, problems, damage = self._parsed(records, size)
                if problems:
                    yield texts if is_wanted(number) else [], problems
                if damage is not None:
                    raise damage
                if not problems:
                    return

    def _parsed(
        self, records: Iterator[tuple[list[str], str]], size: int
    ) -> tuple[list[list[str]], list[str], Exception | None]:
        n = len(self.names)
        most = max(FIELD_LIMIT // max(n, 1), 1)
        flat: list[str] = []  # all fields, one after the other: lists of records would keep Python's garbage
        problems: list[str] = []  # collector busy for longer than reading takes
        damage: Exception | None = None
        try:
            for fields, problem in islice(records, min(size, most)):
                flat += fields
                problems.append(problem)
            if len(problems) == most < size:
                raise TooLongError(f"the records of a block with more than {FIELD_LIMIT:,} fields")
        except (*BROKEN, DataError) as problem:
            damage = problem
        return [flat[place::n] for place in range(n)], problems, damage

    def skip(self, records: Iterator[tuple[list[str], str]], size: int) -> int:
        """Pass over the next `size` records as cheaply as the format allows; fewer at the end."""
        return sum(1 for _ in islice(records, size))

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        """Per record one field per column, and "" or why the record cannot be used."""
        raise NotImplementedError


def is_structure_name(name: str) -> bool:
    """Whether a column of this name is one of SMILES."""
    return "smiles" in column_key(name) or column_key(name) in STRUCTURE_NAMES


def column_key(name: str) -> str:
    """The column name without case, blanks, hyphens, quotation marks and '#'."""
    return re.sub(r"[\s_-]+", "_", name.strip("#\"' \t\r\n").casefold())


def is_comment(line: str) -> bool:
    """'#' and a blank, or '#' alone; '#N/A' is a structure (a bad one)."""
    return line.startswith("#") and not line[1:2].strip()
