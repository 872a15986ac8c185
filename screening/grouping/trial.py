"""Does grouping help? Joint model, chosen groups, random groups of the same sizes, a network per assay.

Called by `screening group --evaluate`. The runs are ordinary ones, `runs/NAME-grouping/joint-seed0` and so
on, so that `compare`, `evaluate` and `report` work on them; finished ones are not trained again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..config import Config, check_config
from ..data.assay_table import AssayTable
from ..data.sparse_cells import has_label, take_columns, take_rows
from ..data.task_groups import read_groups, write_groups
from ..errors import ConfigError
from ..evaluation.comparison import Comparison, compare
from ..runtime import distributed
from ..training.chosen_settings import with_chosen
from ..training.history import Epoch
from ..training.members import plans_of
from ..training.origins import check_finished, is_finished
from ..training.preparation import Note, Prepared, prepare_data
from ..training.run import train
from ..training.run_folder import claimed_run, read_table, write_frame
from .choosing import Choice, Grouped, group, with_affinity

FEASIBLE = 20
"""Most assays for which networks of their own are trained unless asked for."""


class Trial(NamedTuple):
    """What the runs say."""

    folder: Path
    """Where they are, and comparison.csv, comparison_random.csv, cost.csv."""
    grouped: Grouped
    """The groups of the first seed."""
    against_joint: Comparison
    """Chosen groups, random groups and single networks against the joint model."""
    against_random: Comparison | None
    """Chosen groups against random ones; None without draws."""
    cost: pd.DataFrame
    """One row per kind of run: `runs`, `networks`, and `cost`, molecules seen in training over those that the
    joint model of the same seed saw; early stopping counts."""


def try_groups(
    config: Config,
    choice: Choice,
    *,
    seeds: int = 3,
    draws: int = 3,
    alone: bool | None = None,
    data: Path | AssayTable | None = None,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trial:
    """Train everything that the question needs, and compare it on the test part.

    Each seed has a joint model, groups chosen from that training alone, and random groups: the same groups
    with their assays shuffled, which keeps sizes and overlaps. Stopped, it goes on where it was.

    Parameters
    ----------
    seeds : runs of each kind, with the seeds config.seed, config.seed + 1, ...
    draws : random groupings per seed.
    alone : whether to train a network per assay; None = up to FEASIBLE assays.

    Raises
    ------
    ConfigError : seeds below 1 or draws below 0; or as `grouping.group`.
    """
    if seeds < 1 or draws < 0:
        raise ConfigError(f"{seeds} seeds and {draws} draws: expected at least 1 seed, and 0 draws or more.")
    with claimed_run(Path(config.runs) / f"{config.name}-grouping"):
        return _try_groups(config, choice, seeds, draws, alone, data, on_note, on_epoch)


def _try_groups(
    config: Config,
    choice: Choice,
    seeds: int,
    draws: int,
    alone: bool | None,
    data: Path | AssayTable | None,
    on_note: Note,
    on_epoch: Callable[[Epoch], None],
) -> Trial:
    """`try_groups` in a folder that is ours."""
    config, grouped, costs = with_affinity(with_chosen(config, data, on_note), None), [], []

    def trained(name: str, seed: int, prepared: Prepared, **changes: Any) -> None:
        settings = _changed(config, name, seed, **changes)
        if is_finished(settings):
            check_finished(settings, data, on_note)
        else:
            on_note(f"== {settings.folder}")
            train(settings, data=data, resume=True, on_note=on_note, on_epoch=on_epoch)
            distributed.wait_for_all()
        costs.append((name.split("-")[0], seed, *_cost(settings, prepared)))

    for number in range(seeds):
        seed = config.seed + number
        joint = _changed(config, f"joint-seed{number}", seed, affinity=config.grouping.affinity)
        on_note(f"== {joint.folder}")
        grouped.append(group(joint, choice, data=data, resume=True, on_note=on_note, on_epoch=on_epoch))
        prepared = prepare_data(joint, data)
        tasks = prepared.table.tasks
        costs.append(("joint", seed, *_cost(joint, prepared)))
        trained(f"groups-seed{number}", seed, prepared, file=str(grouped[-1].file))
        for draw in range(draws):
            file = joint.folder / f"random-{draw}.yaml"
            if distributed.is_main():
                _write_random(grouped[-1].file, tasks, file, np.random.default_rng([seed, draw]))
            distributed.wait_for_all()
            trained(f"random-seed{number * draws + draw}", seed, prepared, file=str(file))
        if alone if alone is not None else len(tasks) <= FEASIBLE:
            trained(f"alone-seed{number}", seed, prepared, single_task=True)
    return _judged(Path(joint.runs), grouped[0], costs)


def _judged(folder: Path, grouped: Grouped, costs: list[tuple[str, int, int, float]]) -> Trial:
    frame = pd.DataFrame(costs, columns=["kind", "seed", "networks", "cost"])
    joint = frame[frame["kind"] == "joint"].set_index("seed")["cost"]
    frame["cost"] /= frame["seed"].map(joint)
    cost = frame.groupby("kind", sort=False).agg(
        runs=("seed", "size"), networks=("networks", "mean"), cost=("cost", "mean")
    )
    kinds = list(cost.index)
    against_joint = compare([folder / kind for kind in kinds])
    against_random = compare([folder / "random", folder / "groups"]) if "random" in kinds else None
    if distributed.is_main():
        against_joint.write_csv(folder / "comparison.csv")
        if against_random is not None:
            against_random.write_csv(folder / "comparison_random.csv")
        write_frame(folder / "cost.csv", cost.reset_index())
    return Trial(folder, grouped, against_joint, against_random, cost.reset_index())


def _changed(
    config: Config,
    name: str,
    seed: int,
    *,
    affinity: str = "none",
    file: str | None = None,
    single_task: bool = False,
) -> Config:
    """The config of one run of the trial."""
    values = config.model_dump(mode="json")
    values |= {"name": name, "seed": seed, "runs": str(Path(config.runs) / f"{config.name}-grouping")}
    values["grouping"] |= {"affinity": affinity, "file": file}
    values["model"]["single_task"] = single_task
    return check_config(values)


def _write_random(chosen: Path, tasks: tuple[str, ...], path: Path, generator: np.random.Generator) -> None:
    """The chosen groups with the assays shuffled."""
    groups = read_groups(chosen, tasks)
    other = generator.permutation(len(tasks))
    serves = np.empty(len(tasks), np.int64)
    serves[other] = groups.serves
    write_groups(path, [sorted(other[list(members)]) for members in groups.groups], serves.tolist(), tasks)


def _cost(config: Config, prepared: Prepared) -> tuple[int, float]:
    """Networks of a finished run, and molecules that they saw in training, over all epochs."""
    plans = plans_of(config, prepared.table.tasks)
    labels = take_rows(prepared.table.labels, prepared.split.rows("train"))
    epochs = read_table(config.folder, "epochs.csv")
    counts = epochs.groupby("member").size().tolist() if "member" in epochs else [len(epochs)]
    seen = [has_label(take_columns(labels, np.array(plan.columns))).sum() for plan in plans]
    return len(plans), float(np.dot(seen, counts))
