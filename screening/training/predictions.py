"""predictions.parquet of a run: what was measured of each molecule of validation and test, and what is said.

A table has a column of labels and one of scores for each assay. One that is kept as its measured cells has
lists in their place, of the assays in which the molecule was measured, its labels and its scores.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..data.assay_kinds import Assay, are_real
from ..data.assay_table import AssayTable
from ..data.sparse_cells import Cells, SparseCells, cells_at, measured_cells, packed, packed_rows, take_rows
from ..data.splits import Split
from ..errors import DataError
from ..metrics.cells import Packing
from ..metrics.contract import Outcome
from ..registry import did_you_mean
from ..runtime.ragged import bounds
from .run_folder import AGAIN, atomic_file, not_finished, read_kinds, write_parquet

FILE = "predictions.parquet"

LABEL, SCORE, CENSORED = "label:", "score:", "censored:"
"""Beginnings of column names: labels, scores, and which labels are bounds."""

LISTS = ("assays", "labels", "scores", "censored")
"""Columns of lists, of a table that is kept as its measured cells; the last where a label is a bound."""

NAMES = b"screening.assays"
"""Where the file says all its assays, in the order of the table, as JSON; of columns of lists."""

CELLS = 2**25
"""Cells of predictions that are written at a time: 128 MiB of scores."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Labels and probabilities of the molecules of one split part of a run."""

    rows: np.ndarray
    """int64 [n], record number in the table's file, from 1."""
    ids: list[str]
    smiles: list[str]
    labels: Cells
    """float32 [n, T], NaN = not measured; as in `AssayTable`."""
    scores: Cells
    """float32 [n, T], probability of being active; of a real assay the value, on the scale of training. Where
    `labels` are their measured cells, the same cells."""
    tasks: tuple[str, ...]
    kinds: tuple[Assay, ...] = ()
    """Kind, unit and scale of each assay; () = all are of two classes."""
    censored: Cells | None = None
    """int8 [n, T], as in `AssayTable`; None = no label is a bound."""

    @property
    def assays(self) -> tuple[Assay, ...]:
        """Kind, unit and scale of the T assays."""
        return self.kinds or tuple(map(Assay, self.tasks))

    @property
    def is_real(self) -> np.ndarray:
        """bool [T], which assays have real values."""
        return are_real(self.assays)

    @cached_property
    def outcome(self) -> Outcome:
        """What the metrics take: arrays, whose rows are molecules or, of few measured cells, packed."""
        if not isinstance(self.labels, SparseCells):
            return Outcome(self.labels, self.scores, self.tasks, self.is_real, self.censored)
        labels, scores, censored = packed(self.labels, self.scores, self.censored)
        packing = Packing(packed_rows(self.labels), len(self.rows))
        return Outcome(labels, scores, self.tasks, self.is_real, censored, packing)

    def molecules_at(self, task: int, rows: Sequence[int]) -> list[int]:
        """Places of the molecules of an assay's `rows` of `outcome`."""
        packing = self.outcome.packing
        return list(rows) if packing is None else packing.molecule[list(rows), task].tolist()

    def frame(self) -> pd.DataFrame:
        """Row, id, smiles, assay, label, score of each measured cell; `censored` where a label is a bound."""
        rows, tasks, labels = measured_cells(self.labels)
        columns = {
            "row": self.rows[rows],
            "id": np.array(self.ids, object)[rows],
            "smiles": np.array(self.smiles, object)[rows],
            "assay": np.array(self.tasks, object)[tasks],
            "label": labels,
            "score": cells_at(self.scores, rows, tasks),
        }
        if self.censored is not None:
            columns["censored"] = cells_at(self.censored, rows, tasks)
        return pd.DataFrame(columns)


# --- writing ------------------------------------------------------------------------------------------------


def write_predictions(
    path: Path, predictions: Mapping[str, np.ndarray], table: AssayTable, split: Split
) -> None:
    """Row, id, structure, part, then label and score per assay; missing labels are null.

    Where a table has censored values, `censored:<assay>` says so of each real assay. Of a table that is kept
    as its measured cells, the lists `assays`, `labels`, `scores` (and `censored`) of each molecule.

    Parameters
    ----------
    predictions : part to scores [n, T], rows as `split.rows(part)`.
    """
    if isinstance(table.labels, SparseCells):
        pieces = [_lists(part, scores, table, split.rows(part)) for part, scores in predictions.items()]
        names = {NAMES: json.dumps(table.tasks).encode()}
        write_parquet(path, pa.concat_tables(pieces).combine_chunks().replace_schema_metadata(names))
        return
    most = max(CELLS // max(len(table.tasks), 1), 1)
    blocks = [(part, start) for part, scores in predictions.items() for start in range(0, len(scores), most)]
    if len(blocks) <= len(predictions):  # a file of one piece, as long as it fits
        pieces = [_columns(part, scores, table, split.rows(part)) for part, scores in predictions.items()]
        write_parquet(path, pa.concat_tables(pieces).combine_chunks())
        return
    with atomic_file(path) as work:
        writer = None
        for part, start in blocks:
            at = slice(start, start + most)
            piece = _columns(part, predictions[part][at], table, split.rows(part)[at])
            writer = writer or pq.ParquetWriter(work, piece.schema)
            writer.write_table(piece)
        if writer is not None:
            writer.close()


def _molecules(part: str, table: AssayTable, rows: np.ndarray) -> dict[str, Any]:
    """Columns that say which molecules these are."""
    return {
        "row": table.rows[rows],
        "id": pa.array([table.ids[row] for row in rows], pa.string()),
        "smiles": pa.array([table.smiles[row] for row in rows], pa.string()),
        "part": pa.array([part] * len(rows), pa.string()),
    }


def _columns(part: str, scores: np.ndarray, table: AssayTable, rows: np.ndarray) -> pa.Table:
    """The molecules `rows` of a part, with what was measured and what is said of them."""
    labels, is_real = table.labels[rows], table.is_real
    censored = None if table.censored is None else table.censored[rows]
    columns = _molecules(part, table, rows)
    for index, task in enumerate(table.tasks):
        missing = np.isnan(labels[:, index])
        of_task = np.nan_to_num(labels[:, index])
        of_task = of_task if is_real[index] else of_task.astype(np.int8)
        columns[LABEL + task] = pa.array(of_task, mask=missing)
        columns[SCORE + task] = pa.array(scores[:, index])
        if is_real[index] and censored is not None:
            columns[CENSORED + task] = pa.array(censored[:, index])
    return pa.table(columns)


def _lists(part: str, scores: np.ndarray, table: AssayTable, rows: np.ndarray) -> pa.Table:
    """As `_columns`, of the measured cells alone."""
    labels = take_rows(table.labels, rows).measured()
    names = pa.array(table.tasks, pa.string()).take(pa.array(labels.tasks))
    values = [names, labels.values, scores[labels.rows, labels.tasks].astype(np.float32)]
    if table.censored is not None:
        values.append(cells_at(take_rows(table.censored, rows), labels.rows, labels.tasks))
    first = pa.array(labels.first.astype(np.int32))
    lists = [pa.ListArray.from_arrays(first, pa.array(cells)) for cells in values]
    return pa.table({**_molecules(part, table, rows), **dict(zip(LISTS, lists, strict=False))})


# --- reading ------------------------------------------------------------------------------------------------


def read_predictions(run: Path | str, *, part: str = "test") -> Predictions:
    """What `write_predictions` wrote for one part.

    Raises
    ------
    DataError : no finished run there, or no such part in it.
    """
    path = Path(run) / FILE
    if not path.is_file():
        raise DataError(not_finished(run, path.name))
    try:
        table = pq.read_table(path)
        parts = np.array(table.column("part").to_pylist())
        if part not in parts:
            raise DataError(f"{run} has no part '{part}'. {did_you_mean(part, set(parts.tolist()))}")
        kept = table.filter(pa.array(parts == part))
        read = _of_lists if LISTS[0] in table.column_names else _of_columns
        tasks, labels, scores, censored = read(kept)
        return Predictions(
            kept.column("row").to_numpy(),
            kept.column("id").to_pylist(),
            kept.column("smiles").to_pylist(),
            labels,
            scores,
            tasks,
            read_kinds(run, tasks),
            censored,
        )
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as problem:
        raise DataError(f"{path} is not a table of predictions: {problem}. {AGAIN}") from problem


def _of_columns(table: pa.Table) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray | None]:
    """Assays, labels, scores and marks, of a column for each assay."""
    tasks = tuple(name.removeprefix(LABEL) for name in table.column_names if name.startswith(LABEL))
    labels, scores = (_matrix(table, [start + task for task in tasks]) for start in (LABEL, SCORE))
    return tasks, labels, scores, _censored(table, tasks)


def _of_lists(table: pa.Table) -> tuple[tuple[str, ...], SparseCells, SparseCells, SparseCells | None]:
    """As `_of_columns`, of lists."""
    tasks = _assays_of(table)
    assays, *values = (table.column(name).combine_chunks() for name in LISTS if name in table.column_names)
    if any(each.null_count or not each.value_lengths().equals(assays.value_lengths()) for each in values):
        raise ValueError("its lists of assays, labels and scores are not of the same lengths")
    first = bounds(assays.value_lengths().to_numpy())
    places = pc.index_in(assays.flatten(), pa.array(tasks, pa.string()))
    if places.null_count:
        raise ValueError("it has a label of an assay that it does not name")
    place = places.to_numpy().astype(np.int32)
    if (np.diff(np.repeat(np.arange(len(first) - 1), np.diff(first)) * len(tasks) + place) <= 0).any():
        raise ValueError("the assays of a molecule are not in the order of the table, each once")

    def cells(values: pa.ListArray, dtype: Any, fill: float) -> SparseCells:
        return SparseCells(first, place, values.flatten().to_numpy().astype(dtype), len(tasks), fill)

    labels, scores = (cells(each, np.float32, np.nan) for each in values[:2])
    return tasks, labels, scores, cells(values[2], np.int8, 0) if len(values) > 2 else None


def _assays_of(table: pa.Table) -> tuple[str, ...]:
    """All assays of a table of lists, those that were not measured in this part too."""
    text = (table.schema.metadata or {}).get(NAMES)
    if text is None:
        raise ValueError("it does not say what its assays are")
    return tuple(map(str, json.loads(text)))


def _censored(table: pa.Table, tasks: Sequence[str]) -> np.ndarray | None:
    """`censored` int8 [n, T] of the columns that are there; None where none is."""
    if not any(name.startswith(CENSORED) for name in table.column_names):
        return None
    censored = np.zeros((table.num_rows, len(tasks)), np.int8)
    for place, task in enumerate(tasks):
        if CENSORED + task in table.column_names:
            censored[:, place] = table.column(CENSORED + task).to_numpy()
    return censored


def _matrix(table: pa.Table, names: list[str]) -> np.ndarray:
    """Columns [n, T] as float32, null = NaN."""
    columns = [table.column(name).cast(pa.float32()).to_numpy(zero_copy_only=False) for name in names]
    return np.stack(columns, axis=1).astype(np.float32)
