"""Score molecules with a trained bundle: table in, table out, every row accounted for.

`Scorer` works on lists in memory; `score_library` streams a file of any length in blocks, one part
file per block, and can be started again after it was stopped.
"""

import csv
import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from .bundle import Bundle
from .errors import DataError
from .graphs import FeatureSet, GraphStore, featurize, pack
from .processes import map_in_processes
from .progress import progress
from .tables import Block, TableReader, file_sha256, open_table

BLOCK = 4096
"""Molecules per block: one part file each, and the unit that is done again after a stop."""

OURS = ("row", "id", "smiles", "status", "reason")
"""Columns in front of the extra columns and the assays."""


class Scorer:
    """A bundle in memory, ready to score."""

    def __init__(self, bundle: Bundle, *, device: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.bundle = bundle.to(device)
        self.tasks = bundle.tasks

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> "Scorer":
        """From a run folder or a bundle folder; BundleError if there is none or it is damaged."""
        return cls(Bundle.load(Path(path)), device=device)

    def score(self, smiles: Sequence[str]) -> pd.DataFrame:
        """One row per SMILES, in order: smiles, status (`ok` or `rejected`), reason, probability per assay.

        A molecule that cannot be used has no probabilities (NaN) and a reason.
        """
        store = featurize(list(smiles), self.bundle.features, workers=0)
        frame = pd.DataFrame(self.probabilities(store), columns=list(self.tasks))
        frame.insert(0, "smiles", list(smiles))
        frame.insert(1, "status", ["rejected" if reason else "ok" for reason in store.reasons])
        frame.insert(2, "reason", store.reasons)
        return frame

    def probabilities(self, store: GraphStore) -> np.ndarray:
        """Probabilities [n, T] float32; NaN rows where the molecule is not usable."""
        scores = np.full((len(store), len(self.tasks)), np.nan, np.float32)
        rows = torch.from_numpy(np.flatnonzero(store.usable))
        scores[rows.numpy()] = self.bundle.predict(store, rows).probabilities
        return scores


@dataclass(frozen=True)
class ScoreReport:
    """What became of the rows of a library."""

    read: int
    scored: int
    rejected: int
    reasons: dict[str, int]
    """Rejected rows per reason, most frequent first."""
    parts: int
    skipped: int
    """Parts found finished from an earlier start."""
    folder: Path
    notes: list[str]
    """What the user should know: how the file was read, other versions than in training."""


def score_library(
    run: str | Path,
    library: str | Path,
    out: str | Path,
    *,
    output: Literal["parquet", "csv"] = "parquet",
    smiles: str | None = None,
    id: str | None = None,
    workers: int | None = None,
    device: str = "auto",
    block_size: int = BLOCK,
    overwrite: bool = False,
) -> ScoreReport:
    """Score a file of molecules into the folder `out`.

    Parameters
    ----------
    run : run folder or bundle folder.
    library : SMILES, CSV, TSV, SDF or Parquet file, also gzipped, or "-" for standard input.
    out : folder for `part-*.parquet`, `manifest.json` and, with output "csv", `scores.csv`.
    overwrite : remove the scores of an earlier job from `out` first.
    workers : featurising processes; None = one per processor, 0 = in this process.

    Returns
    -------
    ScoreReport; read = scored + rejected.

    Raises
    ------
    BundleError : no usable model in `run`.
    DataError : the library cannot be read, or `out` holds another job.
    """
    scorer = Scorer.load(run, device=device)
    reader = open_table(library, smiles=smiles, id=id, block_size=block_size)
    folder = Path(out)
    if overwrite:
        _clear(folder)
    _claim(folder, scorer, reader, block_size)
    schema = _schema(reader, scorer.tasks)
    done = {path.name for path in folder.glob("part-*.parquet")}
    tallies = []
    with progress(f"scoring {Path(reader.path).name}") as advance:
        for name, block, store in _featurized(reader, scorer.bundle.features, workers, done):
            if store is None:
                tally = _tally_of(folder / name)
            else:
                tally = _write_part(folder / name, block, store, scorer, reader, schema)
            tallies.append(tally)
            advance(tally.total(), f"{sum(t.total() for t in tallies):,} molecules")
    notes = [*reader.notes, *filter(None, [scorer.bundle.featurizer_warning()])]
    report = _report(tallies, len(done), folder, notes)
    _write_json(folder / "manifest.json", {**_job(scorer, reader, block_size), **_plain(report)})
    if output == "csv":
        _write_csv(folder, len(tallies))
    return report


def best(folder: Path, n: int, *, assays: int = 3) -> list[pd.DataFrame]:
    """The `n` best molecules of the first `assays` assays: id, smiles, probability; ties by row."""
    parts = sorted(folder.glob("part-*.parquet"))
    names = [name for name in pq.read_schema(parts[0]).names if name not in OURS] if parts else []
    tasks = json.loads((folder / "job.json").read_text())["tasks"]
    tables = []
    for task in [name for name in names if name in tasks][:assays]:
        leaders = pd.DataFrame()
        for part in parts:
            block = pq.read_table(part, columns=["row", "id", "smiles", task]).to_pandas()
            leaders = pd.concat([leaders, block.dropna(subset=task)])
            leaders = leaders.sort_values([task, "row"], ascending=[False, True]).head(n)
        tables.append(leaders.drop(columns="row"))
    return tables


def _featurized(
    reader: TableReader, features: FeatureSet, workers: int | None, done: set[str]
) -> Iterator[tuple[str, Block, GraphStore | None]]:
    """Blocks in order with the name of their part; no store for parts that are done.

    A library of one block is not worth the start of processes.
    """
    waiting: deque[tuple[str, Block]] = deque()
    stream = iter(reader)
    first = list(islice(stream, 2))

    def blocks() -> Iterator[list[str]]:
        for number, block in enumerate(chain(first, stream)):
            name = f"part-{number:06d}.parquet"
            waiting.append((name, block))
            yield [] if name in done else _texts(block, reader.smiles)

    work = partial(pack, features=features)
    for packed in map_in_processes(work, blocks(), workers=workers if len(first) > 1 else 0):
        name, block = waiting.popleft()
        yield name, block, None if name in done else GraphStore.of(features, [packed])


def _texts(block: Block, column: str) -> list[str]:
    """Structures of a block; a record that cannot be used as a record has none."""
    return [
        "" if problem else text for text, problem in zip(block.columns[column], block.problems, strict=True)
    ]


def _write_part(
    path: Path, block: Block, store: GraphStore, scorer: Scorer, reader: TableReader, schema: pa.Schema
) -> Counter[str]:
    reasons = [problem or reason for problem, reason in zip(block.problems, store.reasons, strict=True)]
    probabilities = scorer.probabilities(store)
    usable = np.array([not reason for reason in reasons])
    ids = block.columns[reader.id] if reader.id else [str(row) for row in block.rows]
    columns: dict[str, Any] = {
        "row": block.rows,
        "id": ids,
        "smiles": block.columns[reader.smiles],
        "status": np.where(usable, "ok", "rejected"),
        "reason": reasons,
    }
    arrays = [pa.array(columns[name]) for name in OURS]
    arrays += [pa.array(block.columns[name], pa.string()) for name in _extra(reader)]
    arrays += [pa.array(column, pa.float32(), mask=~usable) for column in probabilities.T]
    _replace(path, lambda work: pq.write_table(pa.Table.from_arrays(arrays, schema=schema), work))
    return Counter(reasons)


def _extra(reader: TableReader) -> list[str]:
    return [name for name in reader.columns if name not in (reader.smiles, reader.id)]


def _schema(reader: TableReader, tasks: Sequence[str]) -> pa.Schema:
    """Columns of a part; an input column with the name of one of ours gets `input:` in front."""
    taken = {*OURS, *tasks}
    extra = [f"input:{name}" if name in taken else name for name in _extra(reader)]
    types = [pa.int64()] + [pa.string()] * (len(OURS) - 1)
    fields = [*zip(OURS, types, strict=True), *((name, pa.string()) for name in extra)]
    return pa.schema(fields + [(task, pa.float32()) for task in tasks])


def _tally_of(path: Path) -> Counter[str]:
    return Counter(pq.read_table(path, columns=["reason"]).column("reason").to_pylist())


def _report(tallies: list[Counter[str]], skipped: int, folder: Path, notes: list[str]) -> ScoreReport:
    total: Counter[str] = sum(tallies, Counter())
    scored = total.pop("", 0)
    rejected = total.total()
    return ScoreReport(
        scored + rejected, scored, rejected, dict(total.most_common()), len(tallies), skipped, folder, notes
    )


def _plain(report: ScoreReport) -> dict[str, Any]:
    values = asdict(report)
    return {key: values[key] for key in ("read", "scored", "rejected", "reasons", "parts")}


def _job(scorer: Scorer, reader: TableReader, block_size: int) -> dict[str, Any]:
    """What makes two starts the same job."""
    weights = hashlib.sha256()
    for member in scorer.bundle.members:
        for name, value in sorted(member.model.state_dict().items()):
            weights.update(name.encode())
            weights.update(value.cpu().numpy().tobytes())
    return {
        "model": weights.hexdigest(),
        "tasks": list(scorer.tasks),
        "features": scorer.bundle.features.key(),
        "library": Path(reader.path).name,
        "library_sha256": None if reader.path == "-" else file_sha256(reader.path),
        "smiles": reader.smiles,
        "id": reader.id,
        "block_size": block_size,
    }


def _claim(folder: Path, scorer: Scorer, reader: TableReader, block_size: int) -> None:
    """Make the folder, or check that what is in it belongs to this job."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        job, path = _job(scorer, reader, block_size), folder / "job.json"
        if path.exists():
            before = json.loads(path.read_text())
            changed = [key for key in job if before.get(key) != job[key]]
            if changed:
                raise DataError(
                    f"{folder} holds the scores of another job (different: {', '.join(changed)}). "
                    "Give another folder with --out, or remove this one."
                )
        elif any(folder.glob("part-*")):
            raise DataError(f"{folder} holds part files of an unknown job. Give another folder with --out.")
        else:
            _write_json(path, job)
    except OSError as problem:
        raise DataError(
            f"{folder} cannot be written: {problem}. Give another folder with --out."
        ) from problem


def _clear(folder: Path) -> None:
    """Remove what an earlier job wrote, and nothing else."""
    for pattern in ("part-*.parquet", "job.json", "manifest.json", "scores.csv"):
        for path in folder.glob(pattern):
            path.unlink()


def _write_csv(folder: Path, parts: int) -> None:
    """All parts as one CSV file; texts that a spreadsheet would execute stay texts of their own."""

    def write(work: Path) -> None:
        with work.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            for number in range(parts):
                table = pq.read_table(folder / f"part-{number:06d}.parquet")
                if number == 0:
                    writer.writerow(table.column_names)
                writer.writerows(zip(*(_as_texts(column) for column in table.columns), strict=True))

    _replace(folder / "scores.csv", write)


def _as_texts(column: pa.ChunkedArray) -> list[Any]:
    values = column.to_pylist()
    if pa.types.is_float32(column.type):
        return ["" if value is None else f"{value:.6g}" for value in values]
    return values


def _write_json(path: Path, values: dict[str, Any]) -> None:
    _replace(path, lambda work: work.write_text(json.dumps(values, indent=1) + "\n"))


def _replace(path: Path, write: Any) -> None:
    """Write under a temporary name, then rename: a file with the final name is complete."""
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(work)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)
