"""Where the table of a training is from: a file, or the memory of a Python program; known by its content."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime.files import file_sha256
from .assay_table import AssayTable
from .datasets import files_of, find
from .sparse_cells import SparseCells, cells_at, measured_cells
from .tables import IN_MEMORY


class TableSource(NamedTuple):
    """Where a table is from, and the sum of its content."""

    path: str
    """Of its file; `IN_MEMORY` of a table that was given in Python."""
    sha256: str
    """Of the file's bytes, or of what is in the table."""

    @property
    def name(self) -> str:
        """Of the file, or of each of several, without its folders."""
        return ", ".join(Path(path).name for path in self.path.split(", "))


def source_of(name: str | Sequence[str], *, data: str | Path | AssayTable | None = None) -> TableSource:
    """Where `load_dataset(name, data=data)` has its table from."""
    if isinstance(data, AssayTable):
        return TableSource(IN_MEMORY, _content_sha256(data))
    if not isinstance(name, str):
        paths = files_of(name, data)
        total = hashlib.sha256("".join(map(file_sha256, paths)).encode())
        return TableSource(", ".join(map(str, paths)), total.hexdigest())
    path = find(name, data=data)
    return TableSource(str(path), file_sha256(path))


def _content_sha256(table: AssayTable) -> str:
    texts = [table.ids, table.smiles, table.tasks, table.extra, table.rows.tolist()]
    total = hashlib.sha256(json.dumps(texts).encode())
    if isinstance(table.labels, SparseCells):
        for part in measured_cells(table.labels):
            total.update(part.tobytes())
    else:
        total.update(np.where(np.isnan(table.labels), np.float32(-1), table.labels).tobytes())
    if table.about:  # tables of classes alone keep the sum that they had
        total.update(json.dumps([assay.as_dict() for assay in table.about]).encode())
    if table.censored is not None:
        rows, tasks, _ = measured_cells(table.labels)
        total.update(cells_at(table.censored, rows, tasks).tobytes())
    if table.thresholded is not None:
        for part in table.thresholded.cells():
            total.update(part.tobytes())
    return total.hexdigest()
