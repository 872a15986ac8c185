"""What the rows of a structure say of its part or date before they are merged, and what becomes of that."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .assay_columns import ATTENTION
from .assay_table import AssayTable
from .dates import times
from .part_names import part_codes, read_parts


class RowParts(NamedTuple):
    """Part or date of every row of a table as it was read."""

    values: np.ndarray
    """float64 [n]: number of the part, or of the day; NaN = no date."""
    where: str
    """What says so, for messages."""
    column: str | None
    """Column of the table, None where a file says it."""
    are_dates: bool = False

    def take(self, rows: np.ndarray) -> "RowParts":
        """Those of these rows."""
        return self._replace(values=self.values[rows])


def row_parts(table: AssayTable, split: str, options: Mapping[str, Any]) -> RowParts | None:
    """What the split of this name and options reads of each row; None where it looks at structures alone.

    Raises
    ------
    DataError, ConfigError : as the split itself.
    """
    column = options.get("column", "part")
    words = options.get("words") or {}
    if split == "file" and "path" in options:
        parts = read_parts(Path(options["path"]), column)
        rows = (table.rows - 1).tolist()
        texts = [parts.get(row, "") for row in rows]
        where = str(options["path"])
        return RowParts(part_codes(texts, rows, words, where).astype(float), where, None)
    if split not in ("column", "time") or column not in table.extra:
        return None
    texts, where = table.extra[column], f"column '{column}'"
    if split == "time":
        days, _ = times(texts, day_first=options.get("day_first"), where=where)
        return RowParts(days, where, column, are_dates=True)
    codes = part_codes(texts, table.rows.tolist(), words, where)
    return RowParts(codes.astype(float), where, column)


def with_oldest(
    merged: AssayTable, table: AssayTable, groups: np.ndarray, parts: RowParts | None
) -> tuple[AssayTable, list[str]]:
    """The merged table with the oldest date of each structure's rows, and a note where rows differ.

    Parameters
    ----------
    table : before it was merged, n rows.
    groups : int [n], the row of `merged` that each became.
    """
    if parts is None:
        return merged, []
    low, high = np.full(len(merged), np.inf), np.full(len(merged), -np.inf)
    np.fmin.at(low, groups, parts.values)
    np.fmax.at(high, groups, parts.values)
    n = int((low < high).sum())
    if parts.are_dates and parts.column is not None:
        order = np.lexsort((np.nan_to_num(parts.values, nan=np.inf), groups))
        oldest = order[np.unique(groups[order], return_index=True)[1]]
        texts = [table.extra[parts.column][row] for row in oldest.tolist()]
        note = f"{n:,} structures have rows of different dates in {parts.where}: the oldest counts."
        return replace(merged, extra={**merged.extra, parts.column: texts}), [note] * (n > 0)
    if not n:
        return merged, []
    setting = "data.duplicates=keep" if parts.column is None else f"data.keep_apart={parts.column}"
    return merged, [
        f"{ATTENTION}{n:,} structures have rows in different parts by {parts.where}, and were merged with "
        f"all their labels into the part of the first row. {setting} keeps such rows, and split.copies says "
        "what becomes of them."
    ]
