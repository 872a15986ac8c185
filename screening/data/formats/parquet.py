"""Parquet as records of text."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DataError
from .opening import BLOCK_LIMIT, LINE_LIMIT, Note, TooLongError, in_mb
from .records import Format, Wanted


class Parquet(Format):
    """Columns of any simple type, written as text; null and NaN are empty."""

    def __init__(self, path: str, stream: Any) -> None:
        import pyarrow
        import pyarrow.parquet

        self.path, self.stream = path, stream
        try:
            metadata = pyarrow.parquet.read_metadata(stream)
            stream.seek(0)
            packed = _packed_texts(metadata)
            self.file = pyarrow.parquet.ParquetFile(stream, metadata=metadata, read_dictionary=packed)
        except (pyarrow.ArrowException, OSError) as problem:
            raise self._broken(problem) from problem
        self.names = self.file.schema_arrow.names
        types = self.file.schema_arrow.types
        self.numbers = frozenset(place for place, kind in enumerate(types) if _is_number(kind))
        self.metadata = self.file.schema_arrow.metadata or {}
        self.done = 0
        self.share = lambda: self.done / max(self.file.metadata.num_rows, 1)

    def parts(self, size: int, note: Note, is_wanted: Wanted) -> Iterator[tuple[list[list[str]], list[str]]]:
        import pyarrow

        batches = (batch for batch in self.file.iter_batches(batch_size=size) if batch.num_rows)
        try:
            for number, batch in enumerate(batches):
                self.done += batch.num_rows
                columns = batch.columns if is_wanted(number) else []
                _check_lengths(columns)
                yield [texts_of(column) for column in columns], [""] * batch.num_rows
        except (pyarrow.ArrowException, OSError) as problem:
            raise self._broken(problem) from problem

    def _broken(self, problem: Exception) -> DataError:
        return DataError(f"{self.path}: the Parquet file is broken or cut off ({problem}). Write it again.")


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _packed_texts(metadata: Any) -> list[str]:
    """Columns of texts that must stay packed until their lengths are known.

    A dictionary holds every text once: a megabyte may unpack to gigabytes in a block of records.
    """
    names: dict[str, None] = {}
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            has_dictionary = any("DICTIONARY" in encoding for encoding in chunk.encodings)
            most = chunk.total_uncompressed_size * min(chunk.num_values, 8192)
            if chunk.physical_type == "BYTE_ARRAY" and has_dictionary and most > BLOCK_LIMIT:
                names[chunk.path_in_schema] = None
    return list(names)


def _check_lengths(columns: list[Any]) -> None:
    """TooLongError if a text has more than `LINE_LIMIT` bytes, or all of them more than `BLOCK_LIMIT`."""
    total = 0
    for column in columns:
        lengths = _lengths(column)
        if len(lengths):
            total += int(lengths.sum())
            if lengths.max() > LINE_LIMIT:
                raise TooLongError(f"a cell has more than {in_mb(LINE_LIMIT)}")
    if total > BLOCK_LIMIT:
        raise TooLongError(f"the records of a block with more than {in_mb(BLOCK_LIMIT)}")


def _lengths(column: Any) -> np.ndarray:
    """Bytes of each text, int64; nothing for columns of other types."""
    import pyarrow
    import pyarrow.compute as compute

    if pyarrow.types.is_dictionary(column.type):
        lengths = _lengths(column.dictionary)
        return lengths[column.indices.drop_null().to_numpy()] if len(lengths) else lengths
    if not (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
        return np.zeros(0, np.int64)
    return compute.binary_length(column).drop_null().to_numpy(zero_copy_only=False).astype(np.int64)


def texts_of(column: Any) -> list[str]:
    """The cells of an Arrow column as texts; null and NaN are empty."""
    import pyarrow
    import pyarrow.compute as compute

    if pyarrow.types.is_floating(column.type):
        column = compute.if_else(compute.is_nan(column), None, column)
    try:
        texts = compute.cast(column, pyarrow.string())
    except pyarrow.ArrowException:
        texts = pyarrow.array([None if value is None else str(value) for value in column.to_pylist()])
    texts = compute.fill_null(texts, "")
    return compute.replace_substring(texts, pattern="\0", replacement="\ufffd").to_pylist()
