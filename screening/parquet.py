"""Parquet as records of text."""

from collections.abc import Iterator
from typing import Any

from .errors import DataError
from .opening import BLOCK_LIMIT, LINE_LIMIT, Note, TooLongError, in_mb
from .records import Format, Wanted


class Parquet(Format):
    """Columns of any simple type, written as text; null and NaN are empty."""

    def __init__(self, path: str, stream: Any) -> None:
        import pyarrow
        import pyarrow.parquet

        self.path, self.stream = path, stream
        try:
            self.file = pyarrow.parquet.ParquetFile(stream)
        except (pyarrow.ArrowException, OSError) as problem:
            raise self._broken(problem) from problem
        self.names = self.file.schema_arrow.names
        self.done = 0
        self.share = lambda: self.done / max(self.file.metadata.num_rows, 1)

    def parts(self, size: int, note: Note, wanted: Wanted) -> Iterator[tuple[list[list[str]], list[str]]]:
        import pyarrow

        batches = (batch for batch in self.file.iter_batches(batch_size=size) if batch.num_rows)
        try:
            for number, batch in enumerate(batches):
                self.done += batch.num_rows
                columns = batch.columns if wanted(number) else []
                _check_lengths(columns)
                yield [_texts(column) for column in columns], [""] * batch.num_rows
        except (pyarrow.ArrowException, OSError) as problem:
            raise self._broken(problem) from problem

    def _broken(self, problem: Exception) -> DataError:
        return DataError(f"{self.path}: the Parquet file is broken or cut off ({problem}). Write it again.")


def _check_lengths(columns: list[Any]) -> None:
    """TooLongError if a text has more than `LINE_LIMIT` bytes, or all of them more than `BLOCK_LIMIT`."""
    import pyarrow
    import pyarrow.compute as compute

    total = 0
    for column in columns:
        if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
            lengths = compute.binary_length(column)
            total += compute.sum(lengths).as_py() or 0
            if (compute.max(lengths).as_py() or 0) > LINE_LIMIT:
                raise TooLongError(f"a cell has more than {in_mb(LINE_LIMIT)}")
    if total > BLOCK_LIMIT:
        raise TooLongError(f"the records of a block with more than {in_mb(BLOCK_LIMIT)}")


def _texts(column: Any) -> list[str]:
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
