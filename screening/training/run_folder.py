"""Files of a run folder: written under a temporary name and renamed, read back by every later command.

What was cut off, overwritten or removed since is found out here, where it is read.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..bundle.needed_plugins import Needed, offer_metrics
from ..config import Config, load_config
from ..data.assay_kinds import Assay
from ..data.assay_table import AssayTable
from ..data.part_names import PARTS
from ..data.sparse_cells import n_equal, n_marked, n_measured
from ..data.splits import Split
from ..errors import DataError
from ..runtime.csv_cells import csv_of
from ..runtime.distributed import is_main
from ..runtime.files import atomic_write, half_written
from ..runtime.folders import LOCK, claimed, explained, is_ours, owner
from ..uncertainty.calibration import EFFECT

BLEND_TABLE = "blend.csv"
"""What each model of a blend that is weighed brings; a run of other models has none."""

BLEND_METRICS = ("concordance", "average_precision", "rmse")
"""Columns of that table, each also with `gain_` before it."""

ASSAYS = "assays.json"
"""Kind, unit and scale of each assay; a run of binary assays need not have it."""

HALF_WRITTEN = half_written(r"[\w-]+\.(csv|json|yaml|parquet|pt|safetensors|svg|html|md)|bundle(-\w+)?")
"""What a killed process may leave in a run folder, also one of an earlier version."""

AGAIN = "Train the run again with `overwrite`."
_ROOM = "Make room and start again; a training goes on with `resume`."
_INSTEAD = "choose another folder (runs=..., name=... or `out`)"

_COLUMNS = {
    BLEND_TABLE: ("assay", "model", "weight", "concordance"),
    "calibration.csv": ("assay", "method", "slope", "intercept"),
    "epochs.csv": ("epoch", "is_best"),
    "intervals.csv": ("assay", "error", "half_width", "measured", "covered"),
    "history.csv": ("epoch", "assay", "loss", "weight", "valid_concordance"),
    "labels.csv": ("assay", "part", "measured", "actives"),
    "rejected.csv": ("row", "id", "smiles", "reason"),
    "skeletons.csv": ("skeleton",),
    "split.csv": ("row", "id", "part"),
    "times.csv": ("epoch", "seconds", "cpu_seconds"),
}
"""Columns that a table of a run must have."""

_TEXTS = ("assay", "model", "part", "id", "smiles", "structure", "skeleton", "reason", "method")
_RENAMED = {"valid_roc_auc": "valid_concordance", "valid_macro_roc_auc": "valid_macro_concordance"}
"""Columns that had another name before version 0.4.0, when all assays were of two classes."""
_EMPTY = {name: [""] for name in ("loss", "weight", "lr", *_RENAMED, *_RENAMED.values())}
_EMPTY |= {name: [""] for name in ("half_width", "covered", "agree")}
_EMPTY |= {f"{gain}{name}": [""] for gain in ("", "gain_") for name in BLEND_METRICS}
_EMPTY |= {f"{name}_{when}": [""] for name in EFFECT for when in ("before", "after")}
"""Columns of a run's tables that are texts, and numbers that may be missing."""


def claimed_run(folder: Path, name: str = LOCK) -> AbstractContextManager[None]:
    """A run folder for this process alone, as `folders.claimed`; those that train together are one owner."""
    return claimed(folder, "choose another name=...", name=name) if is_main() else nullcontext()


def writing(folder: Path) -> AbstractContextManager[None]:
    """Faults of the disk while writing into a run folder, as `folders.explained`."""
    return explained(folder, room=_ROOM, instead=_INSTEAD)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Where to write a file of a run, as `files.atomic_write`.

    Raises
    ------
    DataError : it cannot be written; says why and what to do.
    """
    with writing(path.parent), atomic_write(path) as work:
        yield work


def write_text(path: Path, text: str) -> None:
    """Write a file; a reader sees the old one or the whole new one."""
    with atomic_file(path) as work:
        work.write_text(text, encoding="utf-8")


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV."""
    write_text(path, csv_of(frame))


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet."""
    with atomic_file(path) as work:
        pq.write_table(table, work)


def write_split(path: Path, table: AssayTable, split: Split, origin: Sequence[str] = ()) -> None:
    """`row` counts records of the table's file from 0, as the published split files do.

    `structure` is the canonical SMILES after standardisation: what makes two molecules the same. Where
    auxiliary tables are trained on, `table` is the one that a molecule and its `row` are from.
    """
    columns = {"row": table.rows - 1, "id": table.ids, "part": split.parts, "structure": table.canonical}
    write_frame(path, pd.DataFrame(columns | ({"table": origin} if origin else {})))


def write_label_counts(path: Path, table: AssayTable, split: Split) -> None:
    """One row per assay and part: labels measured, how many are active, and `censored` of real assays."""
    frames, is_real = [], table.is_real
    for part in PARTS:
        rows = split.rows(part)
        of_part = table.take(rows)
        actives = np.where(is_real, 0, n_equal(of_part.labels, 1))
        counts = {"measured": n_measured(of_part.labels), "actives": actives}
        if is_real.any():
            marked = np.zeros_like(actives) if of_part.censored is None else n_marked(of_part.censored)
            counts["censored"] = marked
        frames.append(pd.DataFrame({"assay": table.tasks, "part": part, **counts}))
    write_frame(path, pd.concat(frames, ignore_index=True))


def write_kinds(path: Path, table: AssayTable) -> None:
    """Kind, unit and scale of each assay as JSON, where they are more than two classes."""
    if table.about:
        records = [assay.as_dict() for assay in table.about]
        write_text(path, json.dumps(records, indent=1) + "\n")


def read_kinds(run: Path | str, tasks: Sequence[str]) -> tuple[Assay, ...]:
    """What `write_kinds` wrote; () where all assays are of two classes.

    Raises
    ------
    DataError : the file is damaged, or not of these assays.
    """
    path = Path(run) / ASSAYS
    if not path.exists():
        return ()
    try:
        kinds = tuple(Assay.from_dict(record) for record in json.loads(path.read_text(encoding="utf-8")))
        if tuple(kind.name for kind in kinds) != tuple(tasks):
            raise ValueError("it is of other assays than predictions.parquet")
    except (OSError, ValueError, TypeError, RecursionError) as problem:
        raise DataError(f"{path} is damaged ({problem}). {AGAIN}") from problem
    return kinds


def damaged_checkpoint(path: Path, problem: Exception) -> str:
    """What to say of a checkpoint that cannot be read."""
    what = f"it has no {problem}" if isinstance(problem, KeyError) else str(problem)
    first = (what.splitlines() or [type(problem).__name__])[0]
    return f"{path} cannot be resumed from: it is damaged or not complete ({first}). {AGAIN}"


def not_finished(run: Path | str, missing: str) -> str:
    """What to say of a run without a file that every finished one has."""
    at_work = "" if is_ours(run) else owner(run)
    if at_work:
        return f"{run} is not a finished run: it is {at_work}. Wait for it."
    return f"{run} is not a finished run: it has no {missing}. Train it first."


def read_manifest(run: Path | str) -> dict[str, Any]:
    """What the manifest of a finished run says.

    Raises
    ------
    DataError : there is none, or it is damaged.
    """
    path = Path(run) / "manifest.json"
    if not path.exists():
        raise DataError(not_finished(run, path.name))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise DataError(f"{path} is damaged ({problem}). {AGAIN}") from problem
    if not isinstance(values, dict):
        raise DataError(f"{path} is not the manifest of a run. {AGAIN}")
    return values


def read_table(run: Path | str, name: str) -> pd.DataFrame:
    """A CSV file of a run folder; texts stay texts, so an assay may be called "NA" or "007".

    A run without the file, or with nothing in it (a baseline has no epochs), gives an empty table.

    Raises
    ------
    DataError : the file is there and is no such table, or it was cut off.
    """
    path = Path(run) / name
    if not path.exists():
        return pd.DataFrame()
    try:
        text = path.read_bytes().decode("utf-8")
        if not text.strip():
            return pd.DataFrame()
        if not text.endswith("\n"):
            raise ValueError("it ends in the middle of a line")
        table = pd.read_csv(
            io.StringIO(text), dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values=_EMPTY
        )
        table = table.rename(columns=_RENAMED)
        _check_columns(table, _COLUMNS.get(name, ()))
    except (OSError, ValueError, pd.errors.ParserError) as problem:
        raise DataError(f"{path} is damaged or no table of a run: {problem}. {AGAIN}") from problem
    return table


def _check_columns(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"it has no column '{missing[0]}'")
    for column in columns:
        if column not in _TEXTS and not pd.api.types.is_numeric_dtype(table[column]) and len(table):
            raise ValueError(f"its column '{column}' has other things than numbers")


def read_config(run: Path | str) -> Config:
    """The config a run was trained with; metrics of plug-ins that it was evaluated with are imported.

    Raises
    ------
    ConfigError : no run there, or one of another version, or the file is damaged.
    """
    config = load_config(Path(run) / "config.yaml")
    offer_metrics(_recorded_plugins(Path(run)), Path(run))
    return config


def _recorded_plugins(run: Path) -> list[Needed]:
    """What the manifest of a run says of plug-ins; nothing where it cannot be read: others say so."""
    try:
        values = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        return [Needed.from_dict(record) for record in values.get("plugins", [])]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return []
