"""The part files of a scoring job as one CSV or SDF file for other programs; written anew each time."""

import csv
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..runtime.csv_cells import harmless
from ..runtime.files import atomic_write
from ..runtime.processes import map_in_processes
from .columns import property_names
from .part_files import PartFolder

FORMATS = ("parquet", "csv", "sdf")
"""What the scores can be written as; the Parquet parts are always there."""


def write_whole(
    parts: PartFolder,
    numbers: list[int],
    output: str,
    suffix: str = "",
    *,
    workers: int | None = None,
    csv_safe: bool = False,
) -> Path | None:
    """`scores.csv` or `scores.sdf` of the parts `numbers`, beside them; None for `parquet`.

    The CSV has every row of the parts. The SDF has the molecules that were scored, with coordinates for
    drawing (so that stereo survives; molecules of more than `layout.MOST_DRAWN` atoms have none) and every
    other column as a property; line breaks in a property become blanks.

    Parameters
    ----------
    suffix : behind `scores`.
    workers : processes that draw; None = one per processor.
    csv_safe : no cell of the CSV is run by a spreadsheet, see `cells`.
    """
    if output == "parquet":
        return None
    path = parts.path / f"scores{suffix}.{output}"
    texts = _csv_texts(parts, numbers, csv_safe) if output == "csv" else _sdf_texts(parts, numbers, workers)
    with atomic_write(path) as work, work.open("w", newline="", encoding="utf-8") as file:
        file.writelines(texts)
    return path


def _csv_texts(parts: PartFolder, numbers: list[int], is_safe: bool) -> Iterator[str]:
    lines: list[str] = []
    cell = harmless if is_safe else str
    writer = csv.writer(_Lines(lines))
    for place, number in enumerate(numbers):
        table = parts.read(number)
        if place == 0:
            writer.writerow(map(cell, table.column_names))
        columns = [_as_texts(column) for column in table.columns]
        if is_safe:
            columns = [[cell(str(value)) for value in column] for column in columns]
        writer.writerows(zip(*columns, strict=True))
        yield "".join(lines)
        lines.clear()


class _Lines:
    """A file as far as csv.writer asks."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def _sdf_texts(parts: PartFolder, numbers: list[int], workers: int | None) -> Iterator[str]:
    few = len(numbers) < 2
    yield from map_in_processes(
        partial(_sdf_of_part, parts), iter(numbers), workers=0 if few else workers, seconds=float("inf")
    )


def _sdf_of_part(parts: PartFolder, number: int) -> str:
    table = parts.read(number)
    names = [name for name in table.column_names if name not in ("id", "smiles", "status", "reason")]
    columns = [_as_texts(table.column(name)) for name in names]
    heads = zip(*(table.column(name).to_pylist() for name in ("id", "smiles", "status")), strict=True)
    names = property_names(names)
    return "".join(
        _molblock(smiles, id)
        + "".join(f">  <{n}>\n{_one_line(v)}\n\n" for n, v in zip(names, row, strict=True))
        + "$$$$\n"
        for (id, smiles, status), row in zip(heads, zip(*columns, strict=True), strict=True)
        if status == "ok"
    )


def _molblock(smiles: str, id: str) -> str:
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    from ..data.layout import lay_out

    with BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        lay_out(mol)
        try:
            block = Chem.MolToMolBlock(mol)
        except ValueError:  # aromatic in a way that has no Kekule form
            block = Chem.MolToMolBlock(mol, kekulize=False)
    return _one_line(id)[:80] + block[block.index("\n") :]


def _one_line(value: Any) -> str:
    return re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", " ", str(value))


def _as_texts(column: pa.ChunkedArray) -> list[Any]:
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        return ["" if value is None else f"{value:.6g}" for value in values]
    return ["" if value is None else value for value in values]
