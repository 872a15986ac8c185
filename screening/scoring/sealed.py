"""Parquet files that carry their own checksum, in their metadata: no byte of them can change unseen.

The checksum is that of the file with 64 zeros in its place. Other programs read such a file as any other.
"""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError

_KEY = b"screening-sum"
_ZEROS = b"0" * 64
_MARK = _KEY + b"\x18\x40"
"""The key in the footer and what Thrift's compact protocol writes before a value of 64 bytes."""


def sealed(table: pa.Table, dictionaries: list[str]) -> bytes:
    """The table as a Parquet file with its checksum; `dictionaries` are columns with few different values."""
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(buffer, table.schema, use_dictionary=dictionaries) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_KEY.decode(): _ZEROS.decode()})
    content = buffer.getvalue().to_pybytes()
    start = _start(content)
    return b"".join((content[:start], _sum(content, start), content[start + len(_ZEROS) :]))


def check_seal(content: bytes) -> None:
    """Raise DataError, with what is wrong, unless the file is as `sealed` made it."""
    start = _start(content)
    if content[start : start + len(_ZEROS)] != _sum(content, start):
        raise DataError("its bytes changed after it was written (checksum)")


def _start(content: bytes) -> int:
    """Where the checksum begins; the last mark counts, as the metadata stand behind all values."""
    place = content.rfind(_MARK)
    if place < 0:
        raise DataError("it has no checksum")
    return place + len(_MARK)


def _sum(content: bytes, start: int) -> bytes:
    view, end = memoryview(content), start + len(_ZEROS)
    total = hashlib.sha256(view[:start])
    total.update(_ZEROS)
    total.update(view[end:])
    return total.hexdigest().encode()
