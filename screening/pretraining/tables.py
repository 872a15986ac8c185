"""Pre-training with labels: one network for all assays of some tables, as any run is trained."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config
from ..config_sections import Component, Table
from ..data.assay_table import AssayTable
from ..data.auxiliary import table_names
from ..data.datasets import load_dataset, reading
from ..data.skeletons import skeletons
from ..data.table_union import named_apart, united
from ..errors import DataError
from ..training.preparation import Note
from ..training.run import Trained, train
from ..training.starting_point import learned_skeletons, write_skeletons
from .exclusion import Excluded

SPLIT = Component.model_validate({"name": "random", "fractions": [0.9, 0.05, 0.05]})
"""Of the joint table: it is for what comes later to say how good a model is."""


def joint_table(
    tables: Sequence[Table], exclusion: Excluded, workers: int | None
) -> tuple[AssayTable, dict[str, Any]]:
    """All rows and assays of some tables but for excluded structures; and what was left out, for people.

    Assays of one name in several tables are different assays: they get the name of their table in front.

    Raises
    ------
    ConfigError, DataError : a table is not there, cannot be read, or no row is left.
    """
    names = table_names(tables)
    read = named_apart([load_dataset(one.source, **reading(one)) for one in tables], names)
    counts, kept = {}, []
    for name, table in zip(names, read, strict=True):
        keys = skeletons(table.smiles, workers=workers) if exclusion.keys else [""] * len(table)
        rows = np.flatnonzero([key not in exclusion.keys for key in keys])
        counts[name] = {"rows": len(table), "excluded": len(table) - len(rows)}
        kept.append(table.take(rows))
    joint = united(kept, names)
    if not len(joint):
        raise DataError(
            f"pretrain.tables: no row of {', '.join(names)} is left, all structures are in pretrain.exclude."
        )
    return joint, counts


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
    workers = config.train.workers
    table, counts = joint_table(config.pretrain.tables, exclusion, workers)
    for name, count in counts.items():
        on_note(
            f"{name}: {count['excluded']:,} of {count['rows']:,} rows left out, their structures are in "
            f"{', '.join(exclusion.tables) or 'no table of pretrain.exclude'}"
        )
    data = config.data.model_copy(update={"auxiliary": (), "tasks": None, "keep_apart": None})
    config = config.model_copy(update={"split": SPLIT, "data": data})
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
