"""Writes an assay table as a file that can be read back without settings, where the format allows it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..runtime.files import atomic_write
from .assay_kinds import Assay
from .assay_table import AssayTable
from .cell_texts import cell_texts

KINDS = b"screening.assays"
"""Key of the metadata of a Parquet file that holds kind, unit and scale of its real assays, as JSON."""


def write_table(table: AssayTable, path: Path) -> None:
    """Write columns id, smiles, the extra ones and the assays, as `AssayTable.write_csv`, or as Parquet.

    Parquet has kinds and units of real assays in its metadata; `read_assays` finds them there. Values are in
    the user's unit; of an assay with censored values they are texts with > and <.

    Raises
    ------
    DataError : an assay is called id or smiles.
    """
    if path.suffix != ".parquet":
        table.write_csv(path)
        return
    import pyarrow
    import pyarrow.parquet

    if {"id", "smiles"} & set(table.tasks):
        raise DataError("An assay cannot be called 'id' or 'smiles' in a file. Rename it.")
    columns: dict[str, Any] = {"id": table.ids, "smiles": table.smiles}
    for name, texts in table.extra.items():
        columns[f"{name} (2)" if name in columns else name] = texts
    for assay in table.assays:
        columns[assay.name] = _cells(table.select([assay.name]))
    written = pyarrow.table(columns)
    kinds = [assay.as_dict() for assay in table.assays if assay.is_real]
    if kinds:
        written = written.replace_schema_metadata({KINDS: json.dumps(kinds).encode()})
    with atomic_write(path) as work:
        pyarrow.parquet.write_table(written, work)


def _cells(table: AssayTable) -> Any:
    """The Arrow column of a table's only assay."""
    import pyarrow

    labels = np.asarray(table.labels)[:, 0]
    missing = np.isnan(labels)
    if not table.is_real[0]:
        return pyarrow.array(np.nan_to_num(labels).astype(np.int8), mask=missing)
    marks = None if table.censored is None else np.asarray(table.censored)
    texts = cell_texts(labels[:, None], marks, table.assays)[:, 0]
    if marks is not None and marks.any():
        return pyarrow.array([text or None for text in texts], pyarrow.string())
    return pyarrow.array([float(text) if text else None for text in texts], pyarrow.float64())


def kinds_of(metadata: Any) -> tuple[Assay, ...]:
    """The real assays that the metadata of a Parquet file name; () where it has none, or other ones."""
    text = (metadata or {}).get(KINDS)
    if text is None:
        return ()
    try:
        records: Iterable[dict[str, Any]] = json.loads(text)
        return tuple(Assay.from_dict(record) for record in records)
    except (ValueError, TypeError, AttributeError):
        return ()
