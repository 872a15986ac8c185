"""SDF as records of text: MOL blocks, which RDKit writes as SMILES, and properties."""

import io
import re
from collections.abc import Iterator
from itertools import islice

from ...sizes import too_large_block
from .opening import LINE_LIMIT, Lines, Note, TooLongError
from .records import Format

# As in RDKit, the name goes up to the last '>', for it may have one ("IC50 >10 uM"); or a field has a number.
_TAG = re.compile(r">.*?(?:<(.*)>|(DT\d+))")
TAG_LIMIT = 50_000
_COUNTS = re.compile(r"[ \d]{6}.*V[23]000\s*$")


class Sdf(Format):
    """MOL blocks with properties; RDKit writes the structures as SMILES.

    The properties keep their names: where one is called `smiles` or `name`, our columns of structures and of
    title lines are called `structure` and `title`. Title lines that are all empty are no column.
    """

    smiles = 0

    def __init__(self, path: str, text: io.TextIOWrapper) -> None:
        self.path, self.stream = path, text
        self.lines = Lines(text)
        self.bounds = self.lines.bounds
        self._scan()
        self.lines.raw = text
        text.seek(0)
        self.raw = _sdf_records(self.lines)

    def _scan(self) -> None:
        """Find the properties of all records, and whether the title lines name them."""
        tags: dict[str, None] = {}
        titles: set[str] = set()
        n, is_title, bounds = 0, True, self.lines.bounds
        bounds.block_limit, bounds.what = LINE_LIMIT, "a record without its end ('$$$$')"
        for line in self.lines.plain():
            if is_title:
                n, is_title = n + 1, False
                if len(titles) < 3:
                    titles.add(line.strip())
            if line[0] == ">" and (tag := _TAG.match(line)):
                tags[tag[1] or tag[2] or ""] = None
                if len(tags) > TAG_LIMIT:
                    raise TooLongError(f"records with more than {TAG_LIMIT:,} different properties")
            elif line.startswith("$$$$"):
                is_title, bounds.of_block = True, 0
        bounds.reset()
        self.lines.odd.clear()  # said again where the records are read
        self.tags = list(tags)
        self.has_titles = bool(titles - {""})
        own = ["structure" if "smiles" in tags else "smiles"]
        own += ["title" if "name" in tags else "name"] * self.has_titles
        self.names = [*own, *self.tags]
        self.id = 1 if self.has_titles else None
        self.is_id_telling = len(titles) > 1 or n < 2  # not "Untitled" in every record
        if not self.has_titles:
            names = ", ".join(f"'{tag}'" for tag in self.tags[:10])
            self.without_id = (
                "the title lines of the records are empty, and no property is known as an identifier: the "
                "record numbers stand for it"
            ) + f"; say which property it is (id) of {names}" * bool(names)

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        for record in self.raw:
            self.row += 1
            molblock, properties, repeated = _sdf_parts(record)
            smiles, problem = smiles_of_molblock("\n".join(molblock))
            title = [molblock[0].strip() if molblock else ""] * self.has_titles
            for name in repeated:
                note(f"the property '{name}' occurs again in the record; the last value was taken", self.row)
            self.lines.report(self.row, note)
            yield [smiles, *title, *(properties.get(tag, "") for tag in self.tags)], problem

    def skip(self, records: Iterator[tuple[list[str], str]], size: int) -> int:
        done = sum(1 for _ in islice(self.raw, size))
        self.row += done
        self.lines.odd.clear()
        return done


def _sdf_records(lines: Lines) -> Iterator[list[str]]:
    record: list[str] = []
    for line in lines.plain():
        line = line.rstrip("\r\n")
        if line.startswith("$$$$"):
            yield record
            record = []
        else:
            record.append(line)
    if any(line.strip() for line in record):
        yield record


def _sdf_parts(record: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """The lines of the MOL block, the properties with their line breaks, and names that come again."""
    end = next(
        (i for i, line in enumerate(record) if i > 2 and line.startswith(("M  END", ">"))), len(record)
    )
    end += end < len(record) and record[end].startswith("M")
    values: dict[str, list[str]] = {}
    value: list[str] = []
    repeated: list[str] = []
    for line in record[end:]:
        if line.startswith(">") and (tag := _TAG.match(line)):
            name = tag[1] or tag[2] or ""
            if name in values:
                repeated.append(name)
            value = values[name] = []
        elif line.strip():
            value.append(line)
        else:
            value = []  # a blank line ends the value
    return record[:end], {name: "\n".join(lines) for name, lines in values.items()}, repeated


def is_molblock(text: str) -> bool:
    """Whether the text of a cell is a MOL block: several lines, of which one has the counts."""
    return ("V2000" in text or "V3000" in text) and ("\n" in text or "\r" in text or "\\n" in text)


def molblock_of(text: str) -> str:
    """The MOL block in a cell, whose line breaks and empty first lines did not always survive."""
    lines = (
        text if "\n" in text or "\r" in text else text.replace("\\r", "").replace("\\n", "\n")
    ).splitlines()
    counts = next((place for place, line in enumerate(lines) if _COUNTS.match(line)), 3)
    return "\n".join([*[""] * (3 - counts), *lines[max(counts - 3, 0) :]])


def smiles_of_molblock(molblock: str) -> tuple[str, str]:
    """Canonical SMILES, or "" and why there is none; RDKit tells only its log what it cannot read."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    reason = too_large_block(molblock)
    if reason:
        return "", reason
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
