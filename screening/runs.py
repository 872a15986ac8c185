"""Files of a run folder: written under a temporary name and renamed, read back by every later command."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .assays import AssayTable
from .calibration import EFFECT
from .config import Config, load_config, to_yaml
from .errors import DataError
from .registry import did_you_mean
from .splits import PARTS, Split

LABEL, SCORE = "label:", "score:"
"""Beginnings of the column names of predictions.parquet that hold labels and probabilities."""

_TEXTS = ("assay", "part", "id", "smiles", "structure", "reason", "method")
_EMPTY = {name: [""] for name in ("loss", "weight", "valid_roc_auc", "valid_macro_roc_auc", "lr")}
_EMPTY |= {f"{name}_{when}": [""] for name in EFFECT for when in ("before", "after")}
"""Columns of a run's tables that are texts, and numbers that may be missing."""


class Predictions(NamedTuple):
    """Labels and probabilities of the molecules of one split part of a run."""

    rows: np.ndarray
    """int64 [n], record number in the table's file, from 1."""
    ids: list[str]
    smiles: list[str]
    labels: np.ndarray
    """float32 [n, T], NaN = not measured."""
    scores: np.ndarray
    """float32 [n, T], probability of being active."""
    tasks: tuple[str, ...]


def write_text(path: Path, text: str) -> None:
    """Write a file; a reader sees the old one or the whole new one."""
    work = path.with_name(f".{path.name}")
    work.write_text(text, encoding="utf-8")
    work.replace(path)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet."""
    work = path.with_name(f".{path.name}")
    pq.write_table(table, work)
    work.replace(path)


def write_split(path: Path, table: AssayTable, split: Split) -> None:
    """`row` counts records of the table's file from 0, as the published split files do.

    `structure` is the canonical SMILES after standardisation: what makes two molecules the same.
    """
    columns = {"row": table.rows - 1, "id": table.ids, "part": split.parts, "structure": table.canonical}
    write_frame(path, pd.DataFrame(columns))


def write_label_counts(path: Path, table: AssayTable, split: Split) -> None:
    """One row per assay and part: labels measured, and how many of them are active."""
    frames = []
    for part in PARTS:
        labels = table.labels[split.rows(part)]
        counts = {"measured": np.isfinite(labels).sum(0), "actives": (labels == 1).sum(0)}
        frames.append(pd.DataFrame({"assay": table.tasks, "part": part, **counts}))
    write_frame(path, pd.concat(frames, ignore_index=True))


def write_predictions(
    path: Path, predictions: Mapping[str, np.ndarray], table: AssayTable, split: Split
) -> None:
    """Row, id, structure, part, then label and probability per assay; missing labels are null.

    Parameters
    ----------
    predictions : part to probabilities [n, T], rows as `split.rows(part)`.
    """
    rows = np.concatenate([split.rows(part) for part in predictions])
    labels, scores = table.labels[rows], np.concatenate(list(predictions.values()))
    columns: dict[str, Any] = {
        "row": table.rows[rows],
        "id": [table.ids[row] for row in rows],
        "smiles": [table.smiles[row] for row in rows],
        "part": [part for part, values in predictions.items() for _ in values],
    }
    for index, task in enumerate(table.tasks):
        missing = np.isnan(labels[:, index])
        columns[LABEL + task] = pa.array(np.nan_to_num(labels[:, index]).astype(np.int8), mask=missing)
        columns[SCORE + task] = pa.array(scores[:, index])
    write_parquet(path, pa.table(columns))


def read_predictions(run: Path | str, *, part: str = "test") -> Predictions:
    """What `write_predictions` wrote for one part.

    Raises
    ------
    DataError : no finished run there, or no such part in it.
    """
    path = Path(run) / "predictions.parquet"
    if not path.is_file():
        raise DataError(f"{run} is not a finished run: it has no predictions.parquet. Train it first.")
    try:
        table = pq.read_table(path)
        parts = np.array(table.column("part").to_pylist())
        if part not in parts:
            raise DataError(f"{run} has no part '{part}'. {did_you_mean(part, set(parts.tolist()))}")
        kept = table.filter(pa.array(parts == part))
        tasks = tuple(name.removeprefix(LABEL) for name in table.column_names if name.startswith(LABEL))
        return Predictions(
            kept.column("row").to_numpy(),
            kept.column("id").to_pylist(),
            kept.column("smiles").to_pylist(),
            _matrix(kept, [LABEL + task for task in tasks]),
            _matrix(kept, [SCORE + task for task in tasks]),
            tasks,
        )
    except (pa.ArrowException, KeyError) as problem:
        raise DataError(f"{path} is not a table of predictions: {problem}. Train the run again.") from problem


def read_table(run: Path | str, name: str) -> pd.DataFrame:
    """A CSV file of a run folder; texts stay texts, so an assay may be called "NA" or "007".

    A run without the file, or with nothing in it (a baseline has no epochs), gives an empty table.

    Raises
    ------
    DataError : the file is there and is no table.
    """
    path = Path(run) / name
    if not path.is_file():
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values=_EMPTY)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, pd.errors.ParserError) as problem:
        raise DataError(f"{path} is not a table: {problem}. Train the run again.") from problem
    return table


def is_finished(config: Config) -> bool:
    """Whether the run folder of a config holds a finished run of exactly this config."""
    folder = config.folder
    if not all((folder / name).is_file() for name in ("manifest.json", "config.yaml")):
        return False
    return (folder / "config.yaml").read_text(encoding="utf-8") == to_yaml(config)


def read_config(run: Path | str) -> Config:
    """The config a run was trained with.

    Raises
    ------
    ConfigError : no run there, or one of another version.
    """
    return load_config(Path(run) / "config.yaml")


def _matrix(table: pa.Table, names: list[str]) -> np.ndarray:
    """Columns [n, T] as float32, null = NaN."""
    columns = [table.column(name).cast(pa.float32()).to_numpy(zero_copy_only=False) for name in names]
    return np.stack(columns, axis=1).astype(np.float32)
