"""How good a trained model is on a table it was not trained on, and how its assays learned.

The numbers for the parts of its own table are in the run folder already: `training.evaluate`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..config import Data
from ..config_sections import LongColumns
from ..data import datasets
from ..data.assay_kinds import Assay
from ..data.assay_table import AssayTable
from ..data.assays import read_assays
from ..data.declared import declared_assays
from ..data.labels import label_key
from ..data.merging import prepare
from ..data.tables import IN_MEMORY, Rejected, open_table
from ..errors import ConfigError, DataError, listed
from ..features.store import featurize
from ..metrics.per_assay import evaluate, summarize
from ..registry import did_you_mean
from ..scoring.scorer import Scorer
from ..training.evaluating import pooled_precision
from ..training.preparation import without_features
from ..training.run_folder import read_config, read_table
from .columns_of_model import check_scales, layout_of, own_columns, settings_of
from .headline import comparable_means
from .known_molecules import OF_KNOWN, count_known, known_parts

NOISE = 0.02
"""Our choice: a smaller change of a validation ROC-AUC, or concordance, is not called a trend."""


LEARNING = (
    *(
        "loss_first",
        "loss_last",
        "weight_min",
        "weight_max",
        "best_epoch",
        "best_valid",
        "kept_valid",
        "lost",
    ),
    *("last_valid", "trend"),
)
"""Columns of `learning` behind the assay."""


@dataclass(frozen=True)
class Assessment:
    """A model on a table; rows in = scored + known + merged + rejected."""

    evaluation: pd.DataFrame
    """One row per assay of the model that the table has, as `evaluation.evaluate` gives it."""
    summary: pd.DataFrame
    """One row per metric, as `evaluation.summarize` gives it."""
    rows: pd.DataFrame
    """Every record of the file: row (from 1), id, smiles, status (`scored`, `known`, `merged`, `rejected`)
    and reason. A known molecule that was kept is `scored` and has a reason. Of a long table the first record
    of each structure."""
    model_only: tuple[str, ...]
    """Assays of the model that the table does not have."""
    table_only: tuple[str, ...]
    """Columns of the table that are no assay of the model."""
    notes: tuple[str, ...]
    """What was decided on the way, for the user."""
    kinds: tuple[Assay, ...] = ()
    """Kind, unit and scale of the assays of `evaluation`."""

    @property
    def counts(self) -> dict[str, int]:
        """Records by status, most frequent first."""
        return dict(Counter(self.rows["status"]).most_common())


def assess(
    run: str | PathLike[str],
    source: str,
    *,
    smiles: str | None = None,
    id: str | None = None,
    tasks: Sequence[str] | None = None,
    labels: Mapping[str, float | None] = MappingProxyType({}),
    assays: Mapping[str, Any] = MappingProxyType({}),
    format: str = "auto",
    long: LongColumns | None = None,
    keep_known: bool = False,
    workers: int | None = None,
) -> Assessment:
    """The quality of a run's model on another table, whose assays have the same names.

    Structures and label texts are treated as in training. Molecules that the run trained on or validated with
    are left out: they are found in the run's split.csv by their canonical SMILES, or by that of their parent
    (another salt, charge or stereoisomer); a bundle without a run folder does not know them.

    Parameters
    ----------
    source : path of a table, or a name of the catalogue.
    smiles, id : its columns of structures and identifiers; None = found by name.
    tasks : assays to evaluate; None = all that model and table have.
    labels, assays, format, long : as in `read_assays`; label texts, assays and the columns of a long table
        are known from the training, and mean here what is said: a column in another unit needs
        `assays={"Ki": {"unit": "uM", ...}}`.
    keep_known : evaluate on known molecules too.

    Raises
    ------
    DataError : the table has no assay of the model, or no molecule is left; or it cannot be read.
    ConfigError : real values are on another scale than the model's.
    """
    scorer = Scorer.load(run)
    settings, path = _data_settings(Path(run)), datasets.find(source)
    read = partial(read_assays, path, smiles=smiles, id=id, labels=_labels_of(settings.labels, labels))
    columns, said = _columns(path, smiles, id), {**settings.assays, **assays}
    layout = layout_of(columns, settings, format, long)
    if layout is None:
        other = _of_wide(partial(read, format=format), columns, scorer, said, tasks, path, Path(run))
    else:
        other = _of_long(partial(read, long=layout), scorer, said, tasks, path, Path(run))
    table, matched = other.table, list(other.table.tasks)
    check_scales(scorer.bundle.assays, table.assays, path)
    usable, unusable, decided = _usable(table, scorer, settings, workers)
    parts, about_known = _parts_of_run(Path(run), usable, workers)
    is_chosen = np.array([keep_known or not part for part in parts], bool)
    tested, scores, featureless = _scored(scorer, usable.take(is_chosen), matched, workers)
    rejected = [*table.rejected, *unusable, *featureless]
    _check_left(tested, table, path, len(rejected), sum(map(bool, parts)))
    return Assessment(
        *_evaluated(tested, scores, path.name),
        _account(table, usable, parts, keep_known, rejected),
        tuple(task for task in scorer.tasks if task not in matched),
        other.unused,
        (*table.notes, *about_known, *decided),
        table.assays,
    )


class _Other(NamedTuple):
    """Another table."""

    table: AssayTable
    """With the assays of the model alone."""
    unused: tuple[str, ...]
    """Its further columns, or assays of a long table."""


def _of_wide(
    read: Callable[..., AssayTable],
    columns: Sequence[str],
    scorer: Scorer,
    said: Mapping[str, Any],
    tasks: Sequence[str] | None,
    path: Path,
    run: Path,
) -> _Other:
    """A table with a column per assay."""
    reading = settings_of(scorer.bundle.assays, columns, said)
    measured = {each.assay.name: each.column for each in declared_assays(columns, reading, among=columns)}
    matched = _matched(scorer.tasks, [*columns, *measured], tasks, path, run)
    used = {measured.get(task, task) for task in matched}
    table = read(tasks=matched, assays=reading)
    return _Other(table.select(matched), tuple(name for name in columns if name not in used))


def _of_long(
    read: Callable[..., AssayTable],
    scorer: Scorer,
    said: Mapping[str, Any],
    tasks: Sequence[str] | None,
    path: Path,
    run: Path,
) -> _Other:
    """A table with a row per structure and assay."""
    kinds = scorer.bundle.assays
    reading = settings_of(kinds, own_columns(kinds), said)
    table = read(assays=reading, format="long", is_one_of_several=True)
    matched = _matched(scorer.tasks, table.tasks, tasks, path, run)
    return _Other(table.select(matched), tuple(name for name in table.tasks if name not in matched))


def _usable(
    table: AssayTable, scorer: Scorer, settings: Data, workers: int | None
) -> tuple[AssayTable, list[Rejected], list[str]]:
    """`prepare`, with structures treated as in training."""
    most = scorer.bundle.features.max_atoms
    return prepare(table, standardize=settings.standardize, max_atoms=most, workers=workers)


def _scored(
    scorer: Scorer, table: AssayTable, assays: Sequence[str], workers: int | None
) -> tuple[AssayTable, np.ndarray, list[Rejected]]:
    """The molecules with features, their scores [n, T] on the trained scale, and those without features."""
    store = featurize(table.smiles, scorer.bundle.features, workers=workers)
    places = [scorer.tasks.index(assay) for assay in assays]
    scores = scorer.probabilities(store)[store.usable][:, places]
    return table.take(store.usable).select(assays), scores, without_features(table, store)


def _evaluated(table: AssayTable, scores: np.ndarray, part: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per-assay table and summary of scores [n, T] on the trained scale."""
    labels, is_real = table.labels, table.is_real
    evaluation = evaluate(labels, scores, table.tasks, part=part, is_real=is_real, censored=table.censored)
    summary = summarize(evaluation, pooled=pooled_precision(labels, scores, is_real))
    return evaluation, comparable_means(summary, table.assays)


def _check_left(tested: AssayTable, table: AssayTable, path: Path, n_rejected: int, n_known: int) -> None:
    if len(tested):
        return
    n_records = len(table) + len(table.rejected)
    raise DataError(
        f"{path}: no molecule is left to evaluate on. Of {n_records:,} records {n_rejected:,} cannot be "
        f"used, and {n_known:,} structures were in the training or validation part of the run (`keep_known` "
        "keeps them)."
    )


def _parts_of_run(run: Path, table: AssayTable, workers: int | None) -> tuple[list[str], list[str]]:
    """For each molecule the key of `OF_KNOWN` by which the run knows it, or ""; and what to say of them."""
    parts = known_parts(run, table.canonical or [], workers=workers)
    if parts is None:
        note = f"{run} does not say which molecules it was trained on: none was left out."
        return [""] * len(table), [note]
    return parts, count_known(parts)


def learning(run: Path | str) -> pd.DataFrame:
    """How each assay learned, one row per assay (and member, where there are several), from history.csv.

    Columns: assay; loss_first and loss_last (mean training loss, of classes in nats, of the first and last
    epoch that have one); weight_min and weight_max over epochs; best_epoch (from 0) and best_valid, the best
    validation ROC-AUC, or concordance of real values; kept_valid, that of the epoch whose weights were kept,
    and lost = best_valid - kept_valid, what the assay pays for stopping where the mean over assays is best;
    last_valid; and trend:

    `fell` (the last epoch is worse than the best by more than NOISE), `flat` (never more than NOISE above
    the first), `still rising` (the best epoch is among the last tenth), `levelled off`, or `unknown` (no
    validation ROC-AUC).

    Raises
    ------
    DataError : no history there, as of a baseline.
    """
    history, epochs = read_table(run, "history.csv"), read_table(run, "epochs.csv")
    if history.empty or epochs.empty:
        raise DataError(f"{run} has no history.csv with epochs: it is no finished run of a network.")
    if "member" not in history:
        history, epochs = history.assign(member=0), epochs.assign(member=0)
    keys = ["member", "assay"]
    groups = history.groupby(keys, sort=False)
    kept_epoch = history["member"].map(epochs[epochs["is_best"]].groupby("member")["epoch"].max())
    at_best = history["valid_concordance"] == groups["valid_concordance"].transform("max")
    table = groups.agg(
        loss_first=("loss", "first"),
        loss_last=("loss", "last"),
        weight_min=("weight", "min"),
        weight_max=("weight", "max"),
        best_valid=("valid_concordance", "max"),
        first_valid=("valid_concordance", "first"),
        last_valid=("valid_concordance", "last"),
        last_epoch=("epoch", "max"),
    )
    table["best_epoch"] = history[at_best].groupby(keys)["epoch"].first().astype("Int64")
    table["kept_valid"] = history[history["epoch"] == kept_epoch].groupby(keys)["valid_concordance"].first()
    table["lost"] = table["best_valid"] - table["kept_valid"]
    table["trend"] = _trends(table)
    table = table.reset_index()
    shown = keys if table["member"].nunique() > 1 else ["assay"]
    return table[[*shown, *LEARNING]]


def _trends(table: pd.DataFrame) -> np.ndarray:
    gain = table["best_valid"] - table["first_valid"]
    late = table["best_epoch"].astype(float) >= 0.9 * table["last_epoch"]
    cases = [
        table["best_valid"].isna(),
        table["best_valid"] - table["last_valid"] > NOISE,
        gain <= NOISE,
        late,
    ]
    return np.select(cases, ["unknown", "fell", "flat", "still rising"], "levelled off")


def _matched(
    of_model: Sequence[str], columns: Sequence[str], tasks: Sequence[str] | None, path: Path, run: Path
) -> list[str]:
    """The assays of the model that the table has too, of `tasks` where these are given."""
    _check_tasks(tasks or (), of_model, run)
    matched = [task for task in of_model if task in columns and (tasks is None or task in tasks)]
    if not matched:
        raise DataError(
            f"{path} has no assay of {run}. Its columns: {listed(columns, 10) or 'none'}; assays of the "
            f"model: {listed(of_model, 10)}. They are matched by name: rename the columns."
        )
    return matched


def _check_tasks(tasks: Sequence[str], of_model: Sequence[str], run: Path | str) -> None:
    for name in tasks:
        if name not in of_model:
            raise ConfigError(f"{run} has no assay '{name}' (data.tasks). {did_you_mean(name, of_model)}")


def _labels_of(
    trained: Mapping[str, float | None], given: Mapping[str, float | None]
) -> dict[str, float | None]:
    """The texts of the training, but for those that mean something else here, and those that are new."""
    new = {label_key(str(text)) for text in given}
    return {**{text: label for text, label in trained.items() if label_key(text) not in new}, **given}


def _data_settings(run: Path) -> Data:
    """How the run read its table; the defaults for a bundle without a run folder."""
    folder = run if (run / "config.yaml").is_file() else run.parent
    return read_config(folder).data if (folder / "config.yaml").is_file() else Data(source=IN_MEMORY)


def _columns(path: Path, smiles: str | None, id: str | None) -> list[str]:
    """Columns of a table that may be assays."""
    reader = open_table(path, smiles=smiles, id=id)
    return [name for name in reader.columns if name not in (reader.smiles, reader.id)]


def _account(
    table: AssayTable, usable: AssayTable, parts: list[str], keep_known: bool, rejected: list[Rejected]
) -> pd.DataFrame:
    """One row per record of the file, of a long one per structure, with what became of it."""
    records = {"row": table.rows, "id": table.ids, "smiles": table.smiles, "status": "merged", "reason": ""}
    frame = pd.DataFrame(records).drop_duplicates("row").set_index("row")
    frame.loc[usable.rows, "reason"] = [OF_KNOWN.get(part, "") for part in parts]
    status = ["known" if part and not keep_known else "scored" for part in parts]
    frame.loc[usable.rows, "status"] = status
    frame.loc[frame["status"] == "merged", "reason"] = "the structure of another row: labels were merged"
    for bad in rejected:
        frame.loc[bad.row, ["id", "smiles", "status", "reason"]] = [
            bad.id,
            bad.smiles,
            "rejected",
            bad.reason,
        ]
    return frame.sort_index().reset_index()
