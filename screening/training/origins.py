"""Provenance: what a checkpoint and a run rest on (settings, table, split, features, versions).

Kept in every checkpoint and in the manifest of a run, and compared by content: a table that was renamed, or
written in another format, is the same table if the same molecules and labels were read from it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..bundle.bundle import SUMS, bundle_folder
from ..config import Config
from ..data.assay_table import AssayTable
from ..data.table_source import source_of
from ..errors import ConfigError, listed
from ..metrics.contract import metrics
from ..runtime.files import file_sha256
from .components import plugins_in_use
from .fold_files import origin_in_fold
from .preparation import Note, Prepared, prepare_data
from .run_folder import damaged_checkpoint, read_config, read_manifest

Origin = dict[str, Any]
"""Plain values, for checkpoints and JSON."""

VERSIONS = ("screening", "rdkit", "torch")
"""Packages whose versions decide what comes out of the same settings and table."""
ANOTHER = "start anew with `overwrite`, or choose another name=..."
_FILES = ("grouping.file", "grouping.joint", "model.encoder.init")
_FREE = ("name", "runs", "plugins", "data.source", "train.workers", *_FILES)
"""Settings that may change between start and resumption; of files the content counts."""
COLUMNS = 256
"""Assays whose labels are looked at as an array at a time."""
_FREE_SECTIONS = ("benchmark", "learning_curve", "pretrain", "tune")


def origin_of(config: Config, prepared: Prepared) -> Origin:
    """What a training of this config on this table rests on."""
    table = prepared.table
    origin = {
        "file": prepared.source.name,
        "file_sha256": prepared.source.sha256,
        "molecules": len(table),
        "molecules_sha256": _sum(table.smiles),
        "labels": _label_sums(table),
        "split": _sum(prepared.split.parts),
        "features": prepared.store.features.key(),
        "groups": _file_sum(config.grouping.file),
        "joint": _file_sum(config.grouping.joint and Path(config.grouping.joint) / "bundle" / SUMS),
        **_init_sum(config),
        "versions": _versions(config),
    }
    if prepared.joint is None:
        return origin
    joint = prepared.joint.table
    sums = {"molecules_sha256": _sum(joint.smiles), "labels": _sum(_label_sums(joint).values())}
    return origin | {"auxiliary": sums | {"assays": _sum(joint.tasks)}}


def _init_sum(config: Config) -> dict[str, str | None]:
    """Of the bundle that the encoder begins with; nothing without one, as before there was such a setting."""
    init = config.model.encoder.init
    return {} if init is None else {"init": _file_sum(bundle_folder(init) / SUMS)}


def _label_sums(table: AssayTable) -> dict[str, str]:
    """Of each assay: a sum of its labels, and of which are bounds where any is."""
    sums = {}
    for start in range(0, len(table.tasks), COLUMNS):
        part = table.select(table.tasks[start : start + COLUMNS])
        censored = None if part.censored is None else np.asarray(part.censored)
        for place, (assay, column) in enumerate(zip(part.assays, np.asarray(part.labels).T, strict=True)):
            absent = np.float32("nan") if assay.is_real else np.float32(-1)
            content = np.where(np.isnan(column), absent, column).astype(np.float32).tobytes()
            has_marks = censored is not None and censored[:, place].any()
            marks = censored[:, place].tobytes() if censored is not None and has_marks else b""
            sums[assay.name] = _short_sum(content + marks)
    return sums


def _versions(config: Config) -> dict[str, str]:
    """Of the packages, and of the plug-ins in use the beginning of their sums; metrics change no model."""
    plugins = {
        f"plug-in {plugin.module}": plugin.sha256[:12]
        for plugin in plugins_in_use(config)
        if set(plugin.members) - {metrics.family}
    }
    return {name: version(name) for name in VERSIONS} | plugins


def check_settings(config: Config) -> None:
    """Raise ConfigError if the run folder of a config was begun with settings that give another result."""
    path = config.folder / "config.yaml"
    if not path.exists():
        return
    try:
        before = read_config(config.folder)
    except ConfigError as problem:
        raise ConfigError(
            f"{path} cannot be read, so what the run started with is not known: {problem} "
            f"Put it back, {ANOTHER}"
        ) from problem
    changed = differing_settings(before, config)
    if changed:
        raise ConfigError(
            f"{path} differs from the settings given now ({'; '.join(changed[:5])}): a run resumes with the "
            "settings it started with. Give the same config and overrides, or another name=..."
        )


def is_finished(config: Config) -> bool:
    """Whether the run folder of a config holds a finished run with these settings."""
    folder = config.folder
    if not all((folder / name).is_file() for name in ("manifest.json", "config.yaml")):
        return False
    return not differing_settings(read_config(folder), config)


def differing_settings(before: Config, now: Config) -> list[str]:
    """The settings that change results and differ, as "train.lr was 0.01 and is 0.001"."""
    then, here = _flat(before.model_dump(mode="json")), _flat(now.model_dump(mode="json"))
    keys = [key for key in dict.fromkeys([*then, *here]) if key not in _FREE]
    keys = [key for key in keys if key.split(".")[0] not in _FREE_SECTIONS]
    return [
        f"{key} was {then.get(key, 'not given')} and is {here.get(key, 'not given')}"
        for key in keys
        if then.get(key) != here.get(key)
    ]


def check_origin(config: Config, origin: Origin) -> None:
    """Check that what a run folder holds was trained on the same: its checkpoints, its manifest.

    Raises
    ------
    ConfigError : it was not; says what differs. Or it does not say, or a checkpoint cannot be read.
    """
    folder = config.folder
    for path in sorted(folder.glob("checkpoint*.pt")):
        compare_origins(path, _origin_in_checkpoint(path), origin)
    for path in sorted(folder.glob("fold-*.safetensors")):
        compare_origins(path, origin_in_fold(path), origin)
    if (folder / "manifest.json").is_file():
        compare_origins(folder, read_manifest(folder).get("origin"), origin)


def check_finished(config: Config, data: Path | AssayTable | None, on_note: Note = lambda note: None) -> None:
    """Check that a finished run was trained on the table as it is now; the table is read only if need be.

    Another version of a package is no reason to train again, but is said.

    Raises
    ------
    ConfigError : the table, the split or a file named in the config has another content now.
    """
    manifest = read_manifest(config.folder)
    before = manifest.get("origin")
    source = source_of(config.data.source, data=data)
    same_file = manifest.get("file_sha256") == source.sha256
    if not isinstance(before, dict):
        if not same_file:
            raise ConfigError(_unknown(config.folder))
        return
    other_files = config.split.name == "file" or config.grouping.file is not None or config.data.auxiliary
    if same_file and not other_files:
        now = before | _init_sum(config) | {"versions": _versions(config)}
    else:
        now = origin_of(config, prepare_data(config, data))
    other_versions = _differing_versions(before, now)
    if other_versions:
        on_note(f"{config.folder} was trained with other versions ({', '.join(other_versions)})")
    compare_origins(
        config.folder, before, now | {"versions": before["versions"], "features": before["features"]}
    )


def compare_origins(where: Path, before: Any, now: Origin) -> None:
    """Raise ConfigError, with what differs, unless what `where` keeps as its origin is what is there now."""
    if not isinstance(before, dict):
        raise ConfigError(_unknown(where))
    differences = _differences(before, now)
    if differences:
        raise ConfigError(
            f"{where} was trained on something else than what is there now{_other_table(before, now)}. "
            f"Different: {'; '.join(differences)}. Put back what it started with, {ANOTHER}"
        )


def _other_table(before: Origin, now: Origin) -> str:
    """In brackets what became of the file of the table; "" if it has the same bytes."""
    old, new = before.get("file"), now["file"]
    if before.get("file_sha256") == now["file_sha256"]:
        return ""
    return (
        f" (the table {new} is not what it was)" if old == new else f" ({old} was trained on, {new} is given)"
    )


def _differences(before: Origin, now: Origin) -> list[str]:
    """What differs, in words."""
    texts = []
    before, now = {"init": None, **before}, {"init": None, **now}
    try:
        if before["molecules_sha256"] != now["molecules_sha256"]:
            n_then, n_now = before["molecules"], now["molecules"]
            counts = "others, or in another order" if n_then == n_now else f"{n_then:,} then, {n_now:,} now"
            texts.append(f"the molecules of the table ({counts})")
        if list(before["labels"]) != list(now["labels"]):
            texts.append(_other_assays(list(before["labels"]), list(now["labels"])))
        elif before["molecules_sha256"] == now["molecules_sha256"]:
            changed = [task for task, text in now["labels"].items() if before["labels"][task] != text]
            if changed:
                texts.append(
                    f"the labels of {len(changed):,} of {len(now['labels']):,} assays ({listed(changed, 3)})"
                )
        if not texts and before["split"] != now["split"]:
            texts.append("the split: molecules that were trained on would be tested on")
        for key, what in (
            ("groups", "the content of grouping.file"),
            ("joint", "the model of grouping.joint"),
            ("init", "the model of model.encoder.init"),
        ):
            if before[key] != now[key]:
                texts.append(what)
        if before.get("auxiliary") != now.get("auxiliary"):
            texts.append("the molecules or labels of data.auxiliary")
        versions = _differing_versions(before, now)
        if before["features"] != now["features"] and not versions:
            texts.append("the featurizers")
    except (KeyError, TypeError, AttributeError):
        return ["everything: what it says of its table cannot be read"]
    return [*texts, *versions]


def _other_assays(then: Sequence[str], now: Sequence[str]) -> str:
    gone, new = [task for task in then if task not in now], [task for task in now if task not in then]
    texts = [f"{what} {listed(tasks, 3)}" for what, tasks in (("without", gone), ("with", new)) if tasks]
    return f"the assays ({', '.join(texts) or 'in another order'})"


def _differing_versions(before: Origin, now: Origin) -> list[str]:
    then = before["versions"]
    return [
        f"{name} {then.get(name, '(not known)')} then, {text} now"
        for name, text in now["versions"].items()
        if then.get(name) != text
    ]


def _unknown(where: Path) -> str:
    return (
        f"{where} does not say which table it was trained on (it was written by an earlier version, or is "
        "damaged), so it cannot be compared with the one given: "
        f"{ANOTHER}"
    )


def _origin_in_checkpoint(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("origin")
    except Exception as problem:
        raise ConfigError(damaged_checkpoint(path, problem)) from problem


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots; an empty one and any other value stays a value."""
    if not isinstance(values, dict) or (prefix and not values):
        return {prefix: values}
    pairs = [(f"{prefix}.{key}" if prefix else str(key), value) for key, value in values.items()]
    return {name: inner for key, value in pairs for name, inner in _flat(value, key).items()}


def _sum(texts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def _short_sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _file_sum(path: Path | str | None) -> str | None:
    """The sum of a file, None where none is named; a file that cannot be read is found out elsewhere."""
    if path is None:
        return None
    try:
        return file_sha256(path)
    except OSError:
        return ""
