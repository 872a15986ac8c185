"""Where the scores of a run's model lie, and the best molecules in them, for the report."""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from ..bundle.bundle import SUMS
from ..data.assay_kinds import Assay
from ..errors import DataError
from ..evaluation.headline import headline
from ..runtime.files import file_sha256
from ..runtime.numbers import short
from ..scoring.columns import HIGH, LOW, assay_column
from ..scoring.top_k import PROBABILITY, VALUE, Best, rows_at
from .sketches import as_svg, sketch

ASSAYS, MOLECULES = 4, 6
"""So many are shown."""

_JOBS = ("_job.json", "job.json")
"""What a scoring job writes down about itself, in this and in earlier versions."""


class Hit(NamedTuple):
    """A molecule at the top of a library."""

    rank: int
    id: str
    smiles: str
    value: float
    """Its probability, or predicted value in the unit of the assay."""
    shown: str
    """That in words: with the unit, and the interval where the library was scored with one."""
    drawing: Markup | None
    """None where it cannot be drawn."""


def find_scores(runs: Sequence[Path], given: Path | None = None) -> Path | None:
    """The folder of `screening score` to show: the given one, `scores` in a run, or one nearby.

    Nearby are the folders in the run, beside it, beside the folder it lies in, and in the working folder;
    they count if their job names the checksum of a run's bundle. The newest is taken.

    Parameters
    ----------
    given : is taken without looking elsewhere.

    Raises
    ------
    DataError : there are no scores in `given`, or they were made with another model.
    """
    models = {model for model in map(_model, runs) if model is not None}
    if given is not None:
        if not _has_scores(given):
            raise DataError(f"There are no scores in {given}: expected what 'screening score' wrote.")
        if not _may_be_of(given, models):
            raise DataError(
                f"The scores in {given} were made with another model than that of {runs[0]}. Score the "
                "library with this run, or give the folder of its scores."
            )
        return given
    for own in (run / "scores" for run in runs):
        if _has_scores(own) and _may_be_of(own, models):
            return own
    places = dict.fromkeys(folder for run in runs for folder in _nearby(run))
    near = [folder for folder in places if _job_model(folder) in models and _has_scores(folder)]
    return max(near, key=lambda folder: (_job_time(folder), str(folder)), default=None)


def best_hits(
    folder: Path | None, evaluation: pd.DataFrame, kinds: Sequence[Assay] = ()
) -> dict[str, list[Hit]]:
    """The best molecules of a scored library for the assays that are predicted most surely.

    Of assays of both kinds half are such with real values, which come first.

    Parameters
    ----------
    folder : with top.csv or part files; None = no library was scored.
    kinds : what the assays are; () = all are of two classes.
    """
    if folder is None:
        return {}
    low = headline(evaluation).columns[1]
    ranked = evaluation.assign(is_sure=evaluation["status"] == "ok").dropna(subset=low)
    sure = ranked.sort_values(["is_sure", low], ascending=False, kind="stable")
    if not len(sure):
        return {}
    of_name = {kind.name: kind for kind in kinds}
    every = [of_name.get(name, Assay(name)) for name in sure["assay"]]
    real, classes = ([kind for kind in every if kind.is_real == is_real] for is_real in (True, False))
    n_real = max(ASSAYS // 2, ASSAYS - len(classes))
    chosen = [*real[:n_real], *classes][:ASSAYS]
    hits: dict[str, list[Hit]] = {}
    for row in _top_molecules(folder, chosen).to_dict("records"):
        assay = of_name.get(row["assay"], Assay(row["assay"]))
        drawing, shown = _drawn(row["smiles"], row["id"]), _shown(row, assay)
        hit = Hit(row["rank"], row["id"], row["smiles"], row[VALUE], shown, drawing)
        hits.setdefault(row["assay"], []).append(hit)
    return hits


def _drawn(smiles: str, name: str) -> Markup | None:
    drawing = sketch(smiles)
    return None if drawing is None else as_svg(drawing, f"Structure of {name}")


def _shown(row: Mapping[Hashable, Any], assay: Assay) -> str:
    if not assay.is_real:
        return f"{row[VALUE]:.3f}"
    low, high = (row.get(end[1:], float("nan")) for end in (LOW, HIGH))
    return f"{short(row[VALUE])}{_between(low, high)} {assay.unit}".strip()


def _between(low: float, high: float) -> str:
    """An interval in brackets; of one without an end what it says, and nothing of one without both."""
    has_low, has_high = abs(low) < float("inf"), abs(high) < float("inf")
    if has_low and has_high:
        return f" ({short(low)} to {short(high)})"
    return f" ({short(low)} or more)" if has_low else f" ({short(high)} or less)" if has_high else ""


def _top_molecules(folder: Path, assays: Sequence[Assay]) -> pd.DataFrame:
    """assay, rank, id, smiles, value, perhaps low and high, of the best; ties in the library's order."""
    names = [assay.name for assay in assays]
    if (folder / "top.csv").is_file():
        texts = {"assay": str, "id": str, "smiles": str}
        table = pd.read_csv(folder / "top.csv", dtype=texts, keep_default_na=False, na_values=_MISSING)
        table = table[table["assay"].isin(names) & (table["rank"] <= MOLECULES)]
        table = table.rename(columns={PROBABILITY: VALUE})
        return table.sort_values("assay", key=lambda column: column.map(names.index), kind="stable")
    paths = sorted(folder.glob("part-*.parquet"))
    signs = np.array([[1 if assay.is_high_good else -1] for assay in assays], np.float32)
    best = Best(len(assays), MOLECULES)
    for number, path in enumerate(paths):
        best.add(number, _scores(path, names) * signs)
    best.merge()
    tables = []
    for name, places, is_filled in zip(names, best.places, best.is_filled, strict=True):
        if is_filled.any():
            rows = rows_at(places[is_filled], partial(_rows, paths, name))
            tables.append(rows.to_pandas().assign(assay=name, rank=np.arange(1, is_filled.sum() + 1)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


_MISSING = {VALUE: [""], LOW[1:]: [""], HIGH[1:]: [""]}
"""Columns of top.csv that may be empty."""


def _rows(paths: Sequence[Path], assay: str, number: int) -> pa.Table:
    """id, smiles, value, and low and high where the part has them, of an assay in the part of a number."""
    file, column = pq.ParquetFile(paths[number]), assay_column(assay)
    names = {"id": "id", "smiles": "smiles", column: VALUE, column + LOW: LOW[1:], column + HIGH: HIGH[1:]}
    present = [name for name in names if name in file.schema_arrow.names]
    return file.read(columns=present).select(present).rename_columns([names[name] for name in present])


def _scores(path: Path, assays: Sequence[str]) -> np.ndarray:
    """float32 [T, n] of a part file, NaN where it has no score."""
    file = pq.ParquetFile(path)
    scores = np.full((len(assays), file.metadata.num_rows), np.nan, np.float32)
    for row, column in enumerate(map(assay_column, assays)):
        if column in file.schema_arrow.names:
            scores[row] = file.read(columns=[column]).column(0).to_numpy()
    return scores


# --- where scores lie ---------------------------------------------------------------------------------------


def _has_scores(folder: Path) -> bool:
    return any(folder.glob("part-*.parquet")) or (folder / "top.csv").is_file()


def _may_be_of(folder: Path, models: set[str]) -> bool:
    """Whether the folder's job names one of the models, or none: so it was before version 0.2."""
    return not models or _job_model(folder) in (None, *models)


def _nearby(run: Path) -> Iterator[Path]:
    run = run.resolve()
    for place in dict.fromkeys((run, run.parent, run.parent.parent, Path.cwd())):
        yield from (path.parent for name in _JOBS for path in sorted(place.glob(f"*/{name}")))


def _model(run: Path) -> str | None:
    """SHA-256 of the checksums of the run's bundle, as scoring writes it down; None without a bundle."""
    path = run / "bundle" / SUMS
    return file_sha256(path) if path.is_file() else None


def _job_model(folder: Path) -> str | None:
    """The model that a folder's job names; None where it names none."""
    for name in _JOBS:
        try:
            job = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return job.get("model") if isinstance(job, dict) else None
    return None


def _job_time(folder: Path) -> float:
    return max((path.stat().st_mtime for path in map(folder.joinpath, _JOBS) if path.is_file()), default=0.0)
