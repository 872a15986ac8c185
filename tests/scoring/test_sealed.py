"""Files that carry their own checksum: every change of a byte is seen, and other programs read them."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import DataError
from screening.scoring.sealed import _MARK, check_seal, sealed

TABLE = pa.table(
    {
        "id": ["a", "b", "", _MARK.decode() + "0" * 64],
        "x": pa.array([0.5, None, 0.25, 1.0], pa.float32()),
    }
).replace_schema_metadata({"about": "x" * 500})
CONTENT = sealed(TABLE, ["id"])


def test_a_file_is_as_it_was_written_and_anybody_reads_it() -> None:
    check_seal(CONTENT)
    assert sealed(TABLE, ["id"]) == CONTENT
    assert pq.read_table(pa.BufferReader(CONTENT)).equals(TABLE)
    assert pd.read_parquet(io.BytesIO(CONTENT))["id"].tolist() == TABLE["id"].to_pylist()
    assert pq.read_schema(pa.BufferReader(CONTENT)).metadata[b"about"] == b"x" * 500


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_any_byte_that_changes_is_seen(place: int, change: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= change
    with pytest.raises(DataError, match="checksum"):
        check_seal(bytes(damaged))


@given(st.integers(0, len(CONTENT) - 1), st.binary(min_size=1, max_size=9), st.booleans())
def test_cut_grown_and_foreign_files_are_seen(place: int, more: bytes, is_cut: bool) -> None:
    content = CONTENT[:place] if is_cut else CONTENT[:place] + more + CONTENT[place:]
    with pytest.raises(DataError, match="checksum"):
        check_seal(content)


def test_a_table_without_a_seal_has_none() -> None:
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer)
    with pytest.raises(DataError, match="checksum"):
        check_seal(buffer.getvalue())
