"""Gzipped CSV files that have the same bytes whenever they are written."""

import csv
import gzip
import io
from collections.abc import Iterable, Sequence


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows, the header first, as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def packed_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """The same gzipped, without a time in it."""
    return gzip.compress(csv_text(rows).encode(), 6, mtime=0)
