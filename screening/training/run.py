"""From a config to a run folder: table, split, features, model, training, evaluation.

Each command of the command line is one function here that returns its result.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyarrow as pa
import torch
from safetensors import SafetensorError

from ..bundle.bundle import Bundle
from ..bundle.prediction import Prediction
from ..config import AnyConfig, Config, load_config, to_yaml
from ..data.assay_table import AssayTable
from ..data.part_names import PARTS
from ..data.sparse_cells import n_shared, take_rows
from ..data.tables import IN_MEMORY, Rejected
from ..errors import ConfigError
from ..metrics.per_assay import summarize, write_evaluation
from ..models.network import inputs_of
from ..runtime import distributed
from ..runtime.files import sweep
from ..runtime.folders import LOCK
from .after_training import (
    calibration_table,
    check_trust,
    describe_trust,
    interval_table,
    predicted,
    with_trust,
)
from .chosen_settings import with_chosen
from .components import check_components, plugins_in_use
from .evaluating import evaluate_parts, pooled_precision
from .fitting import fit
from .history import Epoch
from .main_assays import weight_of
from .measured import measured
from .members import Fitted, describe
from .origins import Origin, check_origin, check_settings, origin_of
from .predictions import write_predictions
from .preparation import Note, Prepared, prepare_data, prepare_sample
from .run_folder import (
    ASSAYS,
    BLEND_TABLE,
    HALF_WRITTEN,
    claimed_run,
    write_frame,
    write_kinds,
    write_label_counts,
    write_parquet,
    write_split,
    write_text,
    writing,
)
from .starting_point import Start, skeletons_of, start_of, write_skeletons

PACKAGES = ("screening", "torch", "rdkit", "numpy", "pandas", "scikit-learn", "deepchem", "torch-geometric")


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    folder: Path
    config: Config
    evaluation: pd.DataFrame
    """One row per assay of the test part."""
    summary: pd.DataFrame
    """One row per metric: mean, median and 10th percentile over assays."""


def plan(
    config: AnyConfig, data: Path | AssayTable | None = None, on_note: Note = lambda note: None
) -> list[str]:
    """What `train` would do, without training: notes on data, split and model.

    Features are worked out for some molecules only, so one that a featurizer will reject is still counted.
    """
    config = with_chosen(_with_source(load_config(config), data), data, on_note)
    check_components(config)
    check_trust(config)
    prepared = prepare_sample(config, data, on_note)
    text = describe(config, prepared)
    on_note(text)
    return [*prepared.notes, text]


def train(
    config: Config,
    *,
    data: Path | AssayTable | None = None,
    about: Mapping[str, Any] = MappingProxyType({}),
    resume: bool = False,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train and evaluate the model of a config; everything about it is in the run folder.

    Under `torchrun` all processes train together and the first one writes.

    Parameters
    ----------
    data : the table's file, or the folder it lies in, or the table itself; None = found by `data.source`.
    about : more that manifest and bundle are to say of where the model comes from.
    resume : go on from the last finished epoch of a run that was stopped; the result is the same
        as that of an unbroken run.
    overwrite : replace an earlier run of the same name.

    Raises
    ------
    ConfigError : a setting is wrong, or the run folder is in use.
    DataError : the table cannot be used.
    """
    config = with_chosen(_with_source(config, data), data, on_note)
    check_components(config)
    check_trust(config)
    distributed.join_processes()
    with claimed_run(config.folder):
        return _train(config, data, about, resume, overwrite, on_note, on_epoch)


def _train(
    config: Config,
    data: Path | AssayTable | None,
    about: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
    on_note: Note,
    on_epoch: Callable[[Epoch], None],
) -> Trained:
    """`train` in a folder that is ours."""
    is_main = distributed.is_main()
    if is_main:
        check_folder(config, resume=resume, overwrite=overwrite)
        prepared = prepare_data(config, data, on_note)
        prepared, start = _with_start(config, prepared, on_note)
        origin = origin_of(config, prepared)
        _open_folder(config, prepared, origin, start, overwrite=overwrite)
    distributed.wait_for_all()
    if not is_main:
        prepared, start = _with_start(config, prepare_data(config, data))
        origin = origin_of(config, prepared)
    fitted = fit(
        config,
        prepared,
        origin=origin,
        resume=resume,
        on_note=on_note if is_main else lambda note: None,
        on_epoch=on_epoch if is_main else lambda epoch: None,
    )
    prepared = _shown(config, prepared)
    bundle = bundle_of(config, prepared, fitted, start, about)
    bundle = with_trust(config, prepared, bundle)
    predictions = {part: predicted(bundle, prepared, part) for part in PARTS[1:]}
    table = evaluate_parts(config, predictions, prepared)
    if is_main:
        _write_results(config, prepared, origin, fitted, bundle, predictions, table, on_note)
    test = table[table["part"] == "test"].reset_index(drop=True)
    part = measured(prepared.table, prepared.split.rows("test"), predictions["test"])
    pooled = pooled_precision(part.labels, part.scores, prepared.table.is_real)
    return Trained(config.folder, config, test, summarize(test, pooled=pooled))


def _shown(config: Config, prepared: Prepared) -> Prepared:
    """The molecules and assays that bundle and results are of."""
    return prepared.trained if config.data.keep_auxiliary else prepared


def _with_source(config: Config, data: Path | AssayTable | None) -> Config:
    """The config, which says of a table in memory that it was in no file."""
    if not isinstance(data, AssayTable):
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"source": IN_MEMORY})})


def _with_start(
    config: Config, prepared: Prepared, on_note: Note = lambda note: None
) -> tuple[Prepared, Start | None]:
    """What the networks begin with, if with another run; told, and among the notes."""
    start = start_of(config, prepared)
    notes = [] if start is None else start.notes
    for text in notes:
        on_note(text)
    return prepared._replace(notes=[*prepared.notes, *notes]), start


def bundle_of(
    config: Config,
    prepared: Prepared,
    fitted: Fitted,
    start: Start | None = None,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Bundle:
    """The trained members as one model, with nothing yet of what the validation part says (`with_trust`)."""
    began = {} if start is None else {"init": start.about}
    return Bundle(
        fitted.members,
        config.model.by_itself,
        inputs_of(prepared.store),
        prepared.store.features,
        prepared.table.tasks,
        {**_about(config, prepared), **began, **about},
        plugins=plugins_in_use(config),
        kinds=prepared.table.about,
        targets=prepared.targets,
        blend=fitted.blend,
    )


def _write_inputs(config: Config, prepared: Prepared, start: Start | None) -> None:
    """What is known before training."""
    folder, trained = config.folder, prepared.trained
    prepared = _shown(config, prepared)
    write_text(folder / "config.yaml", to_yaml(config))
    write_frame(folder / "rejected.csv", pd.DataFrame(trained.rejected, columns=Rejected._fields))
    write_split(folder / "split.csv", trained.table, trained.split, trained.origin)
    write_label_counts(folder / "labels.csv", prepared.table, prepared.split)
    write_kinds(folder / ASSAYS, prepared.table)
    if start is not None:
        learned = trained.table.take(trained.split.rows("train"))
        own = skeletons_of(learned.canonical or learned.smiles, workers=config.train.workers)
        write_skeletons(folder, start.learned | own)
    if config.grouping.file is not None:
        write_text(folder / "groups.yaml", _groups_text(config.grouping.file))


def _write_results(
    config: Config,
    prepared: Prepared,
    origin: Origin,
    fitted: Fitted,
    bundle: Bundle,
    predictions: dict[str, Prediction],
    table: pd.DataFrame,
    on_note: Note,
) -> None:
    """What training gave; the manifest last, so that a folder with one is complete."""
    folder = config.folder
    calibrated = calibration_table(bundle, prepared, predictions["test"])
    intervals = interval_table(bundle, prepared, predictions["test"])
    trust = describe_trust(bundle, calibrated, intervals)
    for text in trust:
        on_note(text)
    write_frame(folder / "history.csv", fitted.history)
    write_frame(folder / "epochs.csv", fitted.epochs)
    if fitted.blend_table is not None:
        write_frame(folder / BLEND_TABLE, fitted.blend_table)
    if fitted.affinity is not None:
        shared = n_shared(take_rows(prepared.table.labels, prepared.split.rows("train")))
        pairs = fitted.affinity.frame(bundle.tasks, shared)
        write_parquet(folder / "affinity.parquet", pa.Table.from_pandas(pairs))
    save_bundle(bundle, folder / "bundle")
    scores = {part: prediction.scores for part, prediction in predictions.items()}
    write_predictions(folder / "predictions.parquet", scores, prepared.table, prepared.split)
    write_evaluation(table, folder / "evaluation.csv")
    write_frame(folder / "calibration.csv", calibrated)
    if len(intervals):
        write_frame(folder / "intervals.csv", intervals)
    notes = [*prepared.notes, *trust]
    manifest = {**bundle.about, "environment": _environment(), "notes": notes}
    manifest |= {"best_epochs": fitted.best_epochs, "epochs": len(fitted.epochs), "finished": True}
    manifest |= {"origin": origin} | ({"gradients": fitted.place._asdict()} if fitted.place else {})
    if bundle.plugins:
        manifest |= {"plugins": [plugin.as_dict() for plugin in bundle.plugins]}
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the bundle of a run; DataError where the disk does not let it."""
    with writing(folder.parent):
        try:
            bundle.save(folder)
        except SafetensorError as problem:
            raise OSError(str(problem)) from problem


def check_folder(config: Config, *, resume: bool, overwrite: bool) -> None:
    """Say why this run cannot have its folder, before the table is read; nothing is changed yet."""
    folder = config.folder
    sweep(folder, HALF_WRITTEN)
    if not _contents(folder):
        return
    if overwrite:
        if not (folder / "config.yaml").exists():
            raise ConfigError(f"{folder} is not a run folder: it is not removed. Choose another name=...")
    elif resume:
        check_settings(config)
        _check_groups(config)
    else:
        finished = (folder / "manifest.json").exists()
        state = "holds a finished run" if finished else "holds a run that was stopped"
        raise ConfigError(
            f"{folder} {state}. Go on with `resume`, replace it with `overwrite`, or choose another name=..."
        )


def _check_groups(config: Config) -> None:
    before = config.folder / "groups.yaml"
    if config.grouping.file is None or not before.exists():
        return
    if before.read_bytes() != _groups_text(config.grouping.file).encode():
        raise ConfigError(
            f"{config.grouping.file} is not the file that this run started with ({before}). "
            f"Give back the old file, or choose another name=..."
        )


def _open_folder(
    config: Config, prepared: Prepared, origin: Origin, start: Start | None, *, overwrite: bool
) -> None:
    """Make way for the run and write what is known before training; an earlier run goes when all is well."""
    is_new = not _contents(config.folder)
    if is_new or overwrite:
        describe(config, prepared)  # what cannot be built is refused while nothing is written or removed
    if not is_new and overwrite:
        clear_folder(config.folder)
    elif not is_new:
        check_origin(config, origin)
    with writing(config.folder):
        _write_inputs(config, prepared, start)


def _contents(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != LOCK]


def clear_folder(folder: Path) -> None:
    """Remove an earlier run; what says that it is one last, so that nobody resumes half of it."""
    first = [*folder.glob("manifest.json"), *folder.glob("checkpoint*.pt")]
    others = [path for path in _contents(folder) if path not in first and path.name != "config.yaml"]
    with writing(folder):
        for path in (*first, *others, folder / "config.yaml"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _groups_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"grouping.file: {path} cannot be read: {problem}. Make one: screening group CONFIG --groups K"
        ) from problem


def _about(config: Config, prepared: Prepared) -> dict[str, Any]:
    """Where a model comes from; the same for the same config, data and versions."""
    about = {
        "name": config.name,
        "seed": config.seed,
        "source": config.data.source,
        "file": prepared.source.name,
        "file_sha256": prepared.source.sha256,
        "molecules": {part: len(prepared.split.rows(part)) for part in PARTS},
        "rejected": len(prepared.trained.rejected),
        "merged": prepared.merged,
        "split": config.split.model_dump(),
        "features_key": prepared.store.features.key(),
        "versions": versions(),
    }
    if not prepared.auxiliary:
        return about
    tables = [table.about() for table in prepared.auxiliary]
    return about | {"auxiliary": tables, "auxiliary_weight": weight_of(config, prepared.trained)}


def versions() -> dict[str, str]:
    """Versions of those packages that are installed; DeepChem may be missing."""
    installed = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
