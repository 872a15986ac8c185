"""From a config to a run folder: table, split, features, model, training, evaluation.

Each command of the command line is one function here that returns its result.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from . import datasets, distributed
from .assays import AssayTable, prepare
from .bundle import Bundle
from .config import Config, to_yaml
from .errors import ConfigError, DataError
from .evaluation import evaluate as evaluate_scores
from .evaluation import summarize, write_evaluation
from .graphs import FeatureSet, GraphStore, featurize
from .model import ScreeningModel, inputs_of
from .registry import did_you_mean
from .splits import Split, leakage, split_table
from .tables import Rejected, file_sha256
from .training import Epoch, Examples, Trainer

PARTS = ("train", "valid", "test")
PACKAGES = ("screening", "torch", "rdkit", "numpy", "pandas", "scikit-learn", "deepchem", "torch-geometric")

Note = Callable[[str], None]


class Prepared(NamedTuple):
    """A table ready for training."""

    table: AssayTable
    store: GraphStore
    """Features of the same molecules, in the same order."""
    split: Split
    rejected: list[Rejected]
    merged: int
    """Rows that repeat the structure of another row and were merged into it."""
    notes: list[str]
    """What was decided and counted on the way, for people."""
    source: Path
    """The file the table was read from."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    config: Config
    evaluation: pd.DataFrame
    """One row per assay of the test part."""
    summary: pd.DataFrame
    """One row per metric: mean, median and 10th percentile over assays."""


def prepare_data(config: Config, data: Path | None = None, on_note: Note = lambda note: None) -> Prepared:
    """Read, check, split and featurise the table of a config.

    Raises
    ------
    DataError : the file is missing or wrong, or no usable molecule or assay is left.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        on_note(text)

    section = config.data
    source = datasets.find(section.source, data=data)
    table, unread, decided = datasets.load(
        section.source,
        data=data,
        smiles=section.smiles,
        id=section.id,
        tasks=section.tasks,
        labels=section.labels,
    )
    for text in decided:
        note(text)
    workers, n_read = config.train.workers, len(table)
    table, unusable, decided = prepare(
        table, standardize=section.standardize, duplicates=section.duplicates, workers=workers
    )
    for text in decided:
        note(text)
    features = FeatureSet(config.features.graph, tuple(config.features.vectors), section.standardize)
    store = featurize(table.smiles, features, workers=workers, cache=datasets.cache_folder() / "features")
    if not store.usable.all():
        failed = [
            Rejected(int(table.rows[i]), table.ids[i], table.smiles[i], store.reasons[i])
            for i in np.flatnonzero(~store.usable)
        ]
        kept = np.flatnonzero(store.usable)
        table, unusable = table.take(kept), [*unusable, *failed]
        store = featurize(table.smiles, features, workers=workers)
    rejected = sorted([*unread, *unusable])
    merged = n_read - len(table) - len(unusable)
    _check_labels(table, source)
    split = split_table(table, config.split.name, seed=config.seed, workers=workers, **config.split.options)
    for text in split.notes:
        note(text)
    measured = np.isfinite(table.labels)
    note(
        f"{len(table):,} molecules, {len(table.tasks)} assays, {int(measured.sum()):,} labels "
        f"({measured.mean():.1%} of all), {np.nansum(table.labels) / max(measured.sum(), 1):.2%} active; "
        f"{len(rejected)} rows rejected"
    )
    sizes = ", ".join(f"{len(split.rows(part)):,} {part}" for part in PARTS)
    note(f"split {config.split.name}: {sizes}; {leakage(table, split, workers=workers)}")
    return Prepared(table, store, split, rejected, merged, notes, source)


def plan(config: Config, data: Path | None = None, on_note: Note = lambda note: None) -> list[str]:
    """What `train` would do, without training: notes on data, split and model."""
    prepared = prepare_data(config, data, on_note)
    trainer = make_trainer(config, prepared)
    text = _describe_model(config, trainer)
    on_note(text)
    return [*prepared.notes, text]


def train(
    config: Config,
    *,
    data: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Run:
    """Train and evaluate the model of a config; everything about it is in the run folder.

    Under `torchrun` all processes train together and the first one writes.

    Parameters
    ----------
    resume : go on from the last finished epoch of a run that was stopped; the result is the same
        as that of an unbroken run.
    overwrite : replace an earlier run of the same name.

    Raises
    ------
    ConfigError : a setting is wrong, or the run folder is in use.
    DataError : the table cannot be used.
    """
    distributed.join_processes()
    is_main = distributed.is_main()
    if is_main:
        _open_folder(config, resume=resume, overwrite=overwrite)
        prepared = prepare_data(config, data, on_note)
        _write_inputs(config, prepared)
    distributed.wait_for_all()
    if not is_main:
        prepared = prepare_data(config, data)
    trainer = make_trainer(config, prepared)
    if is_main:
        on_note(_describe_model(config, trainer))
    trainer.fit(
        examples(prepared, "train"),
        examples(prepared, "valid"),
        checkpoint=config.folder / "checkpoint.pt",
        resume=resume,
        on_epoch=on_epoch if is_main else lambda epoch: None,
    )
    predictions = _predict(trainer.model, prepared)
    table = _evaluate_parts(predictions, prepared)
    if is_main:
        _write_results(config, prepared, trainer, predictions, table)
    test = table[table["part"] == "test"].reset_index(drop=True)
    return Run(config.folder, config, test, summarize(test))


def _write_inputs(config: Config, prepared: Prepared) -> None:
    """What is known before training."""
    folder = config.folder
    _write_text(folder / "config.yaml", to_yaml(config))
    _write_frame(folder / "rejected.csv", pd.DataFrame(prepared.rejected, columns=Rejected._fields))
    _write_split(folder / "split.csv", prepared)


def _write_results(
    config: Config,
    prepared: Prepared,
    trainer: Trainer,
    predictions: dict[str, np.ndarray],
    table: pd.DataFrame,
) -> None:
    """What training gave; the manifest last, so that a folder with one is complete."""
    folder, history = config.folder, trainer.history
    _write_frame(folder / "history.csv", history.per_task(prepared.table.tasks))
    _write_frame(folder / "epochs.csv", history.per_epoch())
    about = _about(config, prepared)
    Bundle(
        trainer.model.cpu().eval(),
        config.model,
        inputs_of(prepared.store),
        prepared.store.features,
        prepared.table.tasks,
        about,
    ).save(folder / "bundle")
    _write_predictions(folder / "predictions.parquet", predictions, prepared)
    write_evaluation(table, folder / "evaluation.csv")
    manifest = {**about, "environment": _environment(), "notes": prepared.notes}
    manifest |= {"best_epoch": history.best_epoch, "epochs": len(history), "finished": True}
    _write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def evaluate(run: Path, *, part: str = "test") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per-assay table and its summary for a split part of a run, from its saved predictions.

    Raises
    ------
    DataError : no finished run there, or no such part in it.
    """
    path = Path(run) / "predictions.parquet"
    if not path.is_file():
        raise DataError(f"{run} is not a finished run: it has no predictions.parquet. Train it first.")
    table = pq.read_table(path)
    parts = np.array(table.column("part").to_pylist())
    if part not in parts:
        raise DataError(f"{run} has no part '{part}'. {did_you_mean(part, set(parts.tolist()))}")
    rows = table.filter(pa.array(parts == part))
    tasks = [name.removeprefix("label:") for name in table.column_names if name.startswith("label:")]
    labels = _matrix(rows, [f"label:{task}" for task in tasks])
    scores = _matrix(rows, [f"score:{task}" for task in tasks])
    evaluation = evaluate_scores(labels, scores, tasks, part=part)
    return evaluation, summarize(evaluation)


def _check_labels(table: AssayTable, source: Path) -> None:
    if not len(table):
        raise DataError(f"{source}: no usable molecule is left. See the reasons in rejected.csv.")
    if not np.isfinite(table.labels).any():
        raise DataError(f"{source}: no assay has a label; all cells of {len(table.tasks)} assays are empty.")
    if not (np.nanmin(table.labels) < np.nanmax(table.labels)):
        value = "active" if np.nanmax(table.labels) == 1 else "inactive"
        raise DataError(f"{source}: every label is {value}. Training needs actives and inactives.")


def _open_folder(config: Config, *, resume: bool, overwrite: bool) -> None:
    """Make the run folder, or say why this run cannot have it."""
    folder = config.folder
    if folder.exists() and any(folder.iterdir()):
        finished = (folder / "manifest.json").exists()
        if overwrite:
            if not (folder / "config.yaml").exists():
                raise ConfigError(f"{folder} is not a run folder: it is not removed. Choose another name=...")
            shutil.rmtree(folder)
        elif resume:
            before = folder / "config.yaml"
            if before.exists() and before.read_text() != to_yaml(config):
                raise ConfigError(
                    f"{before} differs from the settings given now: a run resumes with the settings it "
                    "started with. Give the same config and overrides, or another name=..."
                )
        else:
            state = "holds a finished run" if finished else "holds a run that was stopped"
            raise ConfigError(
                f"{folder} {state}. Go on with --resume, replace it with --overwrite, or choose another "
                "name=..."
            )
    folder.mkdir(parents=True, exist_ok=True)


def make_trainer(config: Config, prepared: Prepared) -> Trainer:
    """The model of a config, its inputs scaled on the training part, ready to fit."""
    torch.manual_seed(config.seed)
    table, store = prepared.table, prepared.store
    train_rows = torch.from_numpy(prepared.split.rows("train"))
    if not len(train_rows):
        raise DataError("The training part of the split is empty. Use more molecules or another split.")
    model = ScreeningModel(config.model, inputs_of(store), len(table.tasks))
    model.encoder.fit(store, train_rows)
    return Trainer(config, model, torch.from_numpy(table.labels), table.tasks, train_rows)


def examples(prepared: Prepared, part: str) -> Examples:
    """The molecules of a split part."""
    rows = torch.from_numpy(prepared.split.rows(part))
    return Examples(prepared.store, torch.from_numpy(prepared.table.labels), rows)


def _describe_model(config: Config, trainer: Trainer) -> str:
    size = sum(value.numel() for value in trainer.model.parameters())
    names = " + ".join(part.name for part in config.balancer)
    return f"model {config.model.encoder.name}, {size:,} weights; balancer {names}; device {trainer.device}"


def _predict(model: ScreeningModel, prepared: Prepared) -> dict[str, np.ndarray]:
    """Probabilities [n, T] of the valid and the test part."""
    return {
        part: model.predict(prepared.store, torch.from_numpy(prepared.split.rows(part))).sigmoid().numpy()
        for part in PARTS[1:]
    }


def _evaluate_parts(predictions: dict[str, np.ndarray], prepared: Prepared) -> pd.DataFrame:
    tables = [
        evaluate_scores(
            prepared.table.labels[prepared.split.rows(part)], scores, prepared.table.tasks, part=part
        )
        for part, scores in predictions.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _write_predictions(path: Path, predictions: dict[str, np.ndarray], prepared: Prepared) -> None:
    """Row, id, structure, part, then label and score per assay; NaN labels are null."""
    table = prepared.table
    rows = np.concatenate([prepared.split.rows(part) for part in predictions])
    labels, scores = table.labels[rows], np.concatenate(list(predictions.values()))
    columns: dict[str, Any] = {
        "row": table.rows[rows],
        "id": [table.ids[row] for row in rows],
        "smiles": [table.smiles[row] for row in rows],
        "part": [part for part, values in predictions.items() for _ in values],
    }
    for index, task in enumerate(table.tasks):
        missing = np.isnan(labels[:, index])
        columns[f"label:{task}"] = pa.array(np.nan_to_num(labels[:, index]).astype(np.int8), mask=missing)
        columns[f"score:{task}"] = pa.array(scores[:, index])
    work = path.with_name(f".{path.name}")
    pq.write_table(pa.table(columns), work)
    work.replace(path)


def _matrix(table: pa.Table, names: list[str]) -> np.ndarray:
    """Columns [n, T] as float32, null = NaN."""
    columns = [table.column(name).cast(pa.float32()).to_numpy(zero_copy_only=False) for name in names]
    return np.stack(columns, axis=1).astype(np.float32)


def _write_split(path: Path, prepared: Prepared) -> None:
    """`row` counts records of the table's file from 0, as the published split files do."""
    table = prepared.table
    frame = pd.DataFrame({"row": table.rows - 1, "id": table.ids, "part": prepared.split.parts})
    _write_frame(path, frame)


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    _write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _write_text(path: Path, text: str) -> None:
    work = path.with_name(f".{path.name}")
    work.write_text(text, encoding="utf-8")
    work.replace(path)


def _about(config: Config, prepared: Prepared) -> dict[str, Any]:
    """Where a model comes from; the same for the same config, data and versions."""
    return {
        "name": config.name,
        "seed": config.seed,
        "source": config.data.source,
        "file": prepared.source.name,
        "file_sha256": file_sha256(prepared.source),
        "molecules": {part: len(prepared.split.rows(part)) for part in PARTS},
        "rejected": len(prepared.rejected),
        "merged": prepared.merged,
        "split": config.split.model_dump(),
        "features_key": prepared.store.features.key(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
