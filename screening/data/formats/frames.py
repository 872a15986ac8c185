"""A table of pandas in memory as records of text, as a file of the same cells would be."""

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd

from .opening import Note
from .parquet import texts_of
from .records import Format, Wanted


def pandas_of(table: Any) -> Any:
    """The pandas table of one of Arrow or Polars; anything else as it is."""
    return table.to_pandas() if hasattr(table, "to_pandas") and hasattr(table, "columns") else table


def with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with its index as columns, if a level of it has a name that no column has."""
    has_names = any(name is not None and name not in frame for name in frame.index.names)
    return frame.reset_index() if has_names else frame


class Frame(Format):
    """Columns as text, None and NaN empty, RDKit molecules as SMILES; an index with a name is a column."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = with_index(frame)
        self.stream = io.BytesIO()  # nothing to close
        self.names = ["" if name is None else str(name) for name in self.frame.columns]

    def parts(self, size: int, note: Note, is_wanted: Wanted) -> Iterator[tuple[list[list[str]], list[str]]]:
        n = len(self.names)
        for number, start in enumerate(range(0, len(self.frame), size)):
            block = self.frame.iloc[start : start + size]
            columns = [block.iloc[:, place] for place in range(n)] if is_wanted(number) else []
            self.numbers |= {place for place, column in enumerate(columns) if _has(column, (float, Decimal))}
            self.texts |= {place for place, column in enumerate(columns) if _has(column, (str,))}
            yield [_texts(column) for column in columns], [""] * len(block)


def _has(column: pd.Series, types: tuple[type, ...]) -> bool:
    """Whether a cell is of one of these types; of all numbers those with a fraction alone are looked for."""
    dtype = getattr(column.dtype, "categories", column).dtype
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
        return float in types
    return any(isinstance(value, types) and not pd.isna(value) for value in column)


def _texts(column: pd.Series) -> list[str]:
    import pyarrow

    try:
        return texts_of(pyarrow.array(column, from_pandas=True))
    except (pyarrow.ArrowException, TypeError, ValueError):  # several types in one column
        return [_text(value) for value in column]


def _text(value: Any) -> str:
    if pd.api.types.is_scalar(value):
        return "" if pd.isna(value) else str(value)
    from rdkit.Chem import Mol

    from ..molecules import smiles_of

    return smiles_of(value)[0] if isinstance(value, Mol) else str(value)
