"""Run folders that belong together, and the test molecules they share: what `compare` works on."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from yaml import YAMLError

from ..data.sparse_cells import (
    Cells,
    SparseCells,
    no_marks,
    packed,
    packed_rows,
    rows_differ,
    take_columns,
    take_rows,
)
from ..errors import ConfigError, DataError, listed
from ..metrics.cells import Packing
from ..metrics.contract import Outcome
from ..plain_yaml import option, yaml_tree
from ..training.predictions import Predictions, read_predictions

FILE = "predictions.parquet"
"""What a run folder has once the run is finished."""

_NUMBERED = re.compile(r"-(seed|fold)\d+$")


@dataclass(frozen=True)
class RunSet:
    """Runs that differ by chance only: in the seed, or in the part of the table they test on."""

    name: str
    folders: tuple[Path, ...]


class Bench(NamedTuple):
    """Runs of all sets on the same test molecules; n molecules, T assays."""

    labels: np.ndarray
    """float32 [n, T], NaN = not measured; rows are molecules, or what `packing` says."""
    scores: list[list[np.ndarray]]
    """Per set and run float32 [n, T], in the order of the seeds."""
    seeds: list[list[int]]
    """Per set and run the seed; -1 where it is not known."""
    is_real: np.ndarray
    """bool [T], which assays have real values."""
    censored: np.ndarray | None
    """int8 [n, T], as in `AssayTable`."""
    scales: tuple[str, ...]
    """T scales of the values, as `Assay.scale`; "" of classes."""
    packing: Packing | None = None
    """As in `Outcome`."""

    @property
    def n_molecules(self) -> int:
        """Molecules that were tested."""
        return len(self.labels) if self.packing is None else self.packing.n

    def outcome(self, scores: np.ndarray) -> Outcome:
        """What came out of one run."""
        return Outcome(self.labels, scores, None, self.is_real, self.censored, self.packing)

    def take(self, keep: np.ndarray) -> "Bench":
        """The same with the assays alone of which `keep` [T] is true."""
        return Bench(
            self.labels[:, keep],
            [[scores[:, keep] for scores in runs] for runs in self.scores],
            self.seeds,
            self.is_real[keep],
            None if self.censored is None else self.censored[:, keep],
            tuple(self.scales[at] for at in np.flatnonzero(keep)),
            None if self.packing is None else self.packing.take(keep),
        )

    def is_paired(self, one: int, other: int) -> bool:
        """Whether two sets have the same seeds, each once."""
        seeds = self.seeds[one]
        return seeds == self.seeds[other] and len({*seeds} - {-1}) == len(seeds)


def run_sets(paths: Sequence[str | PathLike[str]] | Sequence[RunSet]) -> list[RunSet]:
    """The sets that the paths name, in their order; sets stay as they are.

    A path is a run folder, or the common beginning of numbered ones (`runs/a` of `runs/a-seed0`,
    `runs/a-seed1`, ...). Run folders whose settings are equal but for name, seed and fold make one set; if
    this leaves one set only, every run is taken for itself.

    Raises
    ------
    DataError : there is no finished run at a path.
    ConfigError : fewer than two paths.
    """
    paths = [paths] if isinstance(paths, str | PathLike) else paths
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} run given: at least two are compared, such as runs/a runs/b.")
    sets = [path for path in paths if isinstance(path, RunSet)]
    if len(sets) == len(paths):
        return sets
    given = [Path(path) for path in paths if not isinstance(path, RunSet)]
    groups: dict[str, list[Path]] = {}
    for number, path in enumerate(given):
        if (path / FILE).is_file():
            groups.setdefault(_settings(path), []).append(path)
        else:
            groups[f"set {number}"] = _numbered(path)
    if len(groups) == 1:
        groups = {str(number): [path] for number, path in enumerate(given)}
    names = _names(list(groups.values()))
    return [RunSet(name, tuple(folders)) for name, folders in zip(names, groups.values(), strict=True)]


def run_folders(path: Path) -> list[Path]:
    """The finished run at a path alone, or those of the set that the path names.

    Raises
    ------
    DataError : there is neither, or a run of the set is not finished.
    """
    return [path] if (path / FILE).is_file() else _numbered(path)


def is_set(path: Path) -> bool:
    """Whether a path names a set of runs, finished or not, and no run."""
    return not (path / FILE).is_file() and bool(_siblings(path))


def read_benches(sets: Sequence[RunSet], *, part: str) -> tuple[list[Bench], tuple[str, ...], list[str]]:
    """The runs by the molecules they were tested on, the assays that all runs have, and notes on others.

    Raises
    ------
    DataError : a run is not finished; sets were tested on different molecules; labels differ; no assay is
        in all runs. The message says where and how many.
    """
    loaded = [[read_predictions(folder, part=part) for folder in one.folders] for one in sets]
    tasks, notes = _common_tasks(sets, loaded)
    keys = [[_molecules(run) for run in runs] for runs in loaded]
    for one, of_set in zip(sets[1:], keys[1:], strict=True):
        if set(of_set) != set(keys[0]):
            raise DataError(_other_molecules(sets[0], one, part))
    benches = []
    for key in dict.fromkeys(keys[0]):
        members = [
            [
                (folder, run)
                for folder, run, other in zip(one.folders, runs, of_set, strict=True)
                if other == key
            ]
            for one, runs, of_set in zip(sets, loaded, keys, strict=True)
        ]
        benches.append(_bench(members, tasks))
    return benches, tasks, notes


def training_sizes(sets: Sequence[RunSet]) -> list[int]:
    """Molecules in the training part of every run, from the manifests.

    Raises
    ------
    DataError : a run folder has no manifest.
    """
    sizes = []
    for folder in (folder for one in sets for folder in one.folders):
        path = folder / "manifest.json"
        try:
            sizes.append(int(json.loads(path.read_text())["molecules"]["train"]))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise DataError(
                f"{path} cannot be read ({problem}): {folder} is not a finished run."
            ) from problem
    return sizes


def _numbered(path: Path) -> list[Path]:
    """The finished runs `path`-seed0, `path`-seed1, ... or `path`-fold0, ..."""
    siblings = _siblings(path)
    unfinished = [p.name for p in siblings if not (p / FILE).is_file()]
    if not siblings or unfinished:
        why = f"{', '.join(unfinished)} did not finish" if unfinished else "there is no finished run"
        raise DataError(
            f"{path}: {why}. Expected {path / FILE}, or a set of runs {path.name}-seed0, {path.name}-seed1 "
            "and so on. Train first: screening train CONFIG."
        )
    return siblings


def _siblings(path: Path) -> list[Path]:
    """The folders `path`-seed0, ... or `path`-fold0, ..., in the order of their numbers."""
    if not path.name:
        return []
    siblings = sorted(path.parent.glob(f"{escape(path.name)}-*"), key=lambda p: (len(p.name), p.name))
    return [p for p in siblings if p.is_dir() and _NUMBERED.sub("", p.name) == path.name]


def _settings(folder: Path) -> str:
    """The config of a run without what may differ within a set, as text; its path where there is none."""
    values = _config(folder)
    if not values:
        return str(folder)
    for key in ("name", "runs", "seed"):
        values.pop(key, None)
    if isinstance(values.get("split"), dict):
        values["split"].pop("fold", None)
    return json.dumps(values, sort_keys=True, default=str)


def _seed(folder: Path) -> int:
    seed = _config(folder).get("seed", -1)
    return seed if isinstance(seed, int) else -1


def _config(folder: Path) -> dict[str, Any]:
    """The settings of a run, as this or another version wrote them; empty where there are none."""
    try:
        values = option(yaml_tree((folder / "config.yaml").read_text(encoding="utf-8")))
    except (OSError, ValueError, YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _names(groups: list[list[Path]]) -> list[str]:
    """A short name for each group; with their folders where short names would be the same."""
    short = []
    for paths in groups:
        stems = {_NUMBERED.sub("", path.name) for path in paths}
        is_set = len(paths) > 1
        stem = stems.pop() if is_set and len(stems) == 1 else paths[0].name
        short.append(f"{stem} ({len(paths)} runs)" if is_set else stem)
    if len(set(short)) < len(short):
        short = [str(paths[0]) for paths in groups]
    seen: dict[str, int] = {}
    names = []
    for name in short:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _common_tasks(
    sets: Sequence[RunSet], loaded: list[list[Predictions]]
) -> tuple[tuple[str, ...], list[str]]:
    first = loaded[0][0].tasks
    everywhere = set(first).intersection(*(run.tasks for runs in loaded for run in runs))
    if not everywhere:
        raise DataError(
            f"No assay is in all runs: {sets[0].name} has {listed(first, 5)}; "
            f"{sets[-1].name} has {listed(loaded[-1][0].tasks, 5)}. Assays are matched by name."
        )
    notes = []
    for one, runs in zip(sets, loaded, strict=True):
        others = dict.fromkeys(task for run in runs for task in run.tasks if task not in everywhere)
        if others:
            notes.append(f"{one.name}: {len(others)} assays that not all runs have: {listed(others, 5)}.")
    return tuple(task for task in first if task in everywhere), notes


def _order(run: Predictions) -> list[int]:
    return sorted(range(len(run.rows)), key=lambda place: (run.smiles[place], run.rows[place]))


def _molecules(run: Predictions) -> tuple[str, ...]:
    return tuple(sorted(run.smiles))


def _bench(members: list[list[tuple[Path, Predictions]]], tasks: tuple[str, ...]) -> Bench:
    """Align the runs, and check that they have the same labels."""
    first_folder, first = members[0][0]
    rows = first.rows[_order(first)]
    labels = _aligned(first.labels, first, tasks)
    is_real, censored = _kinds(first, tasks), _signs(first, tasks)
    scores: list[list[Cells]] = [[] for _ in members]
    seeds: list[list[int]] = [[] for _ in members]
    for place, runs in enumerate(members):
        for seed, folder, run in sorted(((_seed(f), f, r) for f, r in runs), key=lambda one: one[0]):
            _check_kinds(is_real, _kinds(run, tasks), tasks, first_folder, folder)
            own, own_signs = _aligned(run.labels, run, tasks), _signs(run, tasks)
            _check_labels((labels, censored), (own, own_signs), is_real, tasks, rows, (first_folder, folder))
            scores[place].append(_aligned(run.scores, run, tasks))
            seeds[place].append(seed)
    scale_of = {assay.name: assay.scale for assay in first.assays}
    scales = tuple(scale_of[task] for task in tasks)
    if not isinstance(labels, SparseCells):
        return Bench(labels, scores, seeds, is_real, censored, scales)
    arrays = [[packed(labels, one)[1] for one in runs] for runs in scores]
    packing, (below, marks) = Packing(packed_rows(labels), len(labels)), packed(labels, censored)
    return Bench(below, arrays, seeds, is_real, marks, scales, packing)


def _aligned(values: Cells, run: Predictions, tasks: tuple[str, ...]) -> Cells:
    """Values of a run as [n, T], molecules in the order of their structures."""
    places = {task: place for place, task in enumerate(run.tasks)}
    of_tasks = np.array([places[task] for task in tasks])
    return take_columns(take_rows(values, np.array(_order(run))), of_tasks)


def _signs(run: Predictions, tasks: tuple[str, ...]) -> Cells | None:
    return None if run.censored is None else _aligned(run.censored, run, tasks)


def _kinds(run: Predictions, tasks: tuple[str, ...]) -> np.ndarray:
    """bool [T], which of the assays are real."""
    real = {assay.name for assay in run.assays if assay.is_real}
    return np.array([task in real for task in tasks], dtype=bool)


def _check_kinds(
    is_real: np.ndarray, others: np.ndarray, tasks: tuple[str, ...], first: Path, other: Path
) -> None:
    differ = np.flatnonzero(is_real != others)
    if differ.size:
        kinds = [("real" if one[differ[0]] else "binary") for one in (is_real, others)]
        raise DataError(
            f"{first} and {other} have assays of different kinds: {listed([tasks[at] for at in differ], 5)}. "
            f"'{tasks[differ[0]]}' is {kinds[0]} there, {kinds[1]} here. "
            "Train both with the same data.assays."
        )


def _check_labels(
    ones: tuple[Cells, Cells | None],
    others: tuple[Cells, Cells | None],
    is_real: np.ndarray,
    tasks: tuple[str, ...],
    rows: np.ndarray,
    folders: tuple[Path, Path],
) -> None:
    """Labels, and which of them are bounds, must be the same."""
    size = ones[0].size
    with_signs = [(values, no_marks(values) if sign is None else sign) for values, sign in (ones, others)]
    wrong = np.logical_or(*(rows_differ(*pair) for pair in zip(*with_signs, strict=True)))
    if not wrong.any():
        return
    (labels, signs), (labels_here, signs_here) = [
        tuple(np.asarray(take_rows(cells, wrong)) for cells in pair) for pair in with_signs
    ]
    differ = (labels != labels_here) & ~(np.isnan(labels) & np.isnan(labels_here)) | (signs != signs_here)
    row, task = np.argwhere(differ)[0]
    texts = [
        _in_words(values[row, task], sign[row, task], is_real[task])
        for values, sign in ((labels, signs), (labels_here, signs_here))
    ]
    named = [tasks[place] for place in np.flatnonzero(differ.any(axis=0))]
    raise DataError(
        f"{folders[0]} and {folders[1]} have different labels: {int(differ.sum()):,} of {size:,}, of "
        f"{int(differ.any(axis=1).sum()):,} molecules, in the assays {listed(named, 5)}. The first is record "
        f"{rows[wrong][row]}, assay '{tasks[task]}': {texts[0]} there, {texts[1]} here. "
        "Train both on the same table."
    )


def _in_words(label: float, sign: int | None, is_real: bool) -> str:
    """A label as a message has it, such as inactive, 6.3 or > 5."""
    if np.isnan(label):
        return "not measured"
    if not is_real:
        return {0.0: "inactive", 1.0: "active"}.get(float(label), "not measured")
    return f"{'' if not sign else '> ' if sign > 0 else '< '}{label:.6g}"


def _other_molecules(first: RunSet, other: RunSet, part: str) -> str:
    """What differs between the test molecules of two sets, by the first runs that have no partner."""
    runs = [
        [(folder, read_predictions(folder, part=part)) for folder in one.folders] for one in (first, other)
    ]
    keys = [{_molecules(run) for _, run in of_set} for of_set in runs]
    alone = [
        [(folder, run) for folder, run in of_set if _molecules(run) not in keys[1 - side]]
        for side, of_set in enumerate(runs)
    ]
    (folder_a, a), (folder_b, b) = ((alone[side] or runs[side])[0] for side in (0, 1))
    texts = []
    for folder, run, others in ((folder_a, a, set(b.smiles)), (folder_b, b, set(a.smiles))):
        missing = [int(row) for row, text in zip(run.rows, run.smiles, strict=True) if text not in others]
        records = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        texts.append(
            f"{len(missing):,} of the {len(run.rows):,} of {folder} are not in the other"
            + (f" (records {records})" if missing else "")
        )
    return (
        f"{folder_a} and {folder_b} have different molecules in their {part} part: {'; '.join(texts)}. Only "
        "runs with the same molecules can be compared: train them on the same table with the same split (and "
        "seed, if the split is random)."
    )
