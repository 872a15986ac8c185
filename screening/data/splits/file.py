"""By a file."""

from pathlib import Path
from types import MappingProxyType

import numpy as np

from ...errors import DataError
from ..part_names import Words, part_codes, read_parts
from .contract import Molecules, register
from .given_parts import Copies, ValidBy, parts_as_given


@register("file")
def file_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    path: Path,
    column: str = "part",
    words: Words = MappingProxyType({}),
    valid_from_train: float = 0.0,
    valid_by: ValidBy = "random",
    copies: Copies = "together",
) -> tuple[np.ndarray, list[str]]:
    """The parts that a CSV file names: column `row` counts the records of the table's file from 0.

    An empty part leaves the row out. Where copies of a structure were merged, the first record counts.
    The `split.csv` of a run has this form, with the column "part".

    Parameters
    ----------
    path : of the file; one that comes along has a name, configs/splits/tox21.csv.gz.
    column : of the file, with the parts.
    words, valid_from_train, valid_by, copies : as in `column`.
    """
    parts = read_parts(path, column)
    table = molecules.table
    missing = [row for row in table.rows.tolist() if row - 1 not in parts]
    if missing:
        raise DataError(
            f"{path} has no line for {len(missing):,} of the table's {len(table):,} molecules, the first "
            f"being record {missing[0]} of the table (row {missing[0] - 1} there, counted from 0). "
            "Is it the split of another table?"
        )
    rows = (table.rows - 1).tolist()
    codes = part_codes([parts[row] for row in rows], rows, words, f"{path}, column '{column}'")
    return parts_as_given(codes, valid_from_train, molecules, generator, copies=copies, valid_by=valid_by)
