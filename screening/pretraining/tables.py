"""Pre-training with labels: one network for all assays of some tables, as any run is trained."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config
from ..config_sections import Component
from ..data.assay_table import AssayTable
from ..data.datasets import load_dataset
from ..data.skeletons import skeletons
from ..data.table_union import united
from ..errors import DataError
from ..training.preparation import Note
from ..training.run import Trained, train
from ..training.starting_point import learned_skeletons, write_skeletons
from .exclusion import Excluded

SPLIT = Component.model_validate({"name": "random", "fractions": [0.9, 0.05, 0.05]})
"""Of the joint table: it is for what comes later to say how good a model is."""


def joint_table(
    names: Sequence[str], exclusion: Excluded, workers: int | None
) -> tuple[AssayTable, dict[str, Any]]:
    """All rows and assays of some tables but for excluded structures; and what was left out, for people.

    Assays of one name in several tables are different assays: they get the name of their table in front.

    Raises
    ------
    ConfigError, DataError : a table is not there, cannot be read, or no row is left.
    """
    tables = [load_dataset(name) for name in names]
    shared = Counter(task for table in tables for task in table.tasks)
    twice = {task for task, count in shared.items() if count > 1}
    tables = [_renamed(table, name, twice) for name, table in zip(names, tables, strict=True)]
    counts, kept = {}, []
    for name, table in zip(names, tables, strict=True):
        keys = skeletons(table.smiles, workers=workers) if exclusion.keys else [""] * len(table)
        rows = np.flatnonzero([key not in exclusion.keys for key in keys])
        counts[name] = {"rows": len(table), "excluded": len(table) - len(rows)}
        kept.append(table.take(rows))
    joint = united(kept, list(names))
    if not len(joint):
        raise DataError(
            f"pretrain.tables: no row of {', '.join(names)} is left, all structures are in pretrain.exclude."
        )
    return joint, counts


def _renamed(table: AssayTable, name: str, twice: set[str]) -> AssayTable:
    """The table with its name before those of assays that another table has too."""
    tasks = tuple(f"{name}:{task}" if task in twice else task for task in table.tasks)
    about = tuple(replace(assay, name=task) for assay, task in zip(table.about, tasks, strict=False))
    return replace(table, tasks=tasks, about=about)


def train_on_tables(
    config: Config,
    exclusion: Excluded,
    *,
    resume: bool,
    overwrite: bool,
    on_note: Note,
    on_epoch: Callable[[Any], None],
) -> Trained:
    """The run of the joint table of `pretrain.tables`, with the skeletons that it has learned from."""
    names, workers = config.pretrain.tables, config.train.workers
    table, counts = joint_table(names, exclusion, workers)
    for name, count in counts.items():
        on_note(
            f"{name}: {count['excluded']:,} of {count['rows']:,} rows left out, their structures are in "
            f"{', '.join(exclusion.tables) or 'no table of pretrain.exclude'}"
        )
    config = config.model_copy(update={"split": SPLIT})
    about = {"tables": counts, "exclude": exclusion.tables}
    run = train(
        config,
        data=table,
        about={"pretraining": about},
        resume=resume,
        overwrite=overwrite,
        on_note=on_note,
        on_epoch=on_epoch,
    )
    write_skeletons(Path(run.folder), learned_skeletons(run.folder, workers=workers) or frozenset())
    return run
