"""SDF as records of text: MOL blocks, which RDKit writes as SMILES, and properties."""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from .opening import Lines, Note
from .records import Format

_SDF_TAG = re.compile(r">.*?<([^>]*)>")


class Sdf(Format):
    """MOL blocks with properties; RDKit writes the structures as SMILES."""

    smiles, id = 0, 1

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.stream = text
        tags = (_SDF_TAG.match(line) for line in Lines(text) if line.startswith(">"))
        self.tags = list(dict.fromkeys(tag[1] for tag in tags if tag))
        self.names = ["smiles", "name", *self.tags]
        text.seek(0)
        self.lines = Lines(text)
        self.raw = _sdf_records(self.lines)

    def records(self, note: Note) -> Iterator[tuple[list[str], str]]:
        for record in self.raw:
            self.row += 1
            molblock, properties = _sdf_parts(record)
            smiles, problem = smiles_of_molblock("\n".join(molblock))
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


def smiles_of_molblock(molblock: str) -> tuple[str, str]:
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
