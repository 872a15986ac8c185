"""Which assays should train together: groups (TAG) from one training of the joint model.

Called by `screening group`. Training the groups is an ordinary `screening train` with `grouping.file`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..config import AnyConfig, Config, check_config, load_config
from ..data.assay_table import AssayTable
from ..data.sparse_cells import take_rows
from ..data.task_groups import write_groups
from ..errors import ConfigError, listed
from ..registry import did_you_mean
from ..runtime import distributed
from ..runtime.numbers import in_digits
from ..training.chosen_settings import with_chosen
from ..training.history import Epoch
from ..training.origins import check_finished, is_finished
from ..training.preparation import Note, prepare_data
from ..training.run import train
from ..training.run_folder import atomic_file, claimed_run, write_frame
from .affinity_table import AffinityTable, Matrix, read_affinity
from .covers import EXACT_LIMIT
from .selection import Grouping, explain_groups, label_cost, select_groups, select_within_budget

PRINTED = (
    *("assay", "group", "size", "score", "score_joint"),
    *("best_partner", "best_effect", "error", "status"),
)
"""Columns of the table that fit on a screen."""
SCALES = ("auto", "raw", "relative")
"""What groups are chosen from: `raw` effects, or `relative` ones, cosines of the gradients.

A raw effect grows with the gradient of the task that steps, and that of a mean over few labels is large and
noisy: on ToxCast (617 assays, half of them with fewer than 22 labels in a batch of 128) the objective is then
decided by a few rare assays, and nearly all others stay in one group. Cosines are the authors' baseline CS.
"""
UNITS = {
    2: "hundredths",
    4: "ten thousandths",
    6: "millionths",
    8: "hundred millionths",
    10: "10^-10",
    12: "10^-12",
}
"""Powers of ten that effects are printed in, and their names."""
OF_WHAT = {"raw": "of its loss", "relative": "of a cosine"}
EFFECTS = ("score", "score_joint", "best_effect", "error")
"""Columns that hold effects."""
NAMED = 60
"""Most assays whose names are written beside the heat map."""


class Choice(NamedTuple):
    """How groups are chosen; one of `n_groups` and `budget` is given."""

    n_groups: int | None = None
    """At most so many networks."""
    budget: float | None = None
    """Or: most cost of training them, in trainings of the joint model (`selection.label_cost`)."""
    scale: str = "auto"
    """One of SCALES; auto = relative beyond 15 assays, up to that the more reliable of the two."""
    singletons: bool = False
    """Whether a group may have a single assay."""
    overlap: int = 10
    """Molecules of the training part that a pair has in common at least; other effects are unknown."""


class Grouped(NamedTuple):
    """Groups and what they rest on."""

    file: Path
    """groups.yaml"""
    grouping: Grouping
    groups: pd.DataFrame
    """One row per group: number from 1, assays in it, assays it serves, their mean score, names."""
    table: pd.DataFrame
    """One row per assay, see `selection.explain_groups`; also in groups.csv."""
    scale: str
    """raw or relative: what the scores are made from."""
    reliability: float
    """Of the effects, 0 to 1 (`split_half_reliability`); NaN where it cannot be said."""

    @property
    def unit(self) -> str:
        """Of the printed effects."""
        return f"in {UNITS[self._power]}, {OF_WHAT[self.scale]}"

    @property
    def _power(self) -> int:
        """The first of UNITS in which the median effect of an assay is at least 1."""
        sizes = self.table["score"].abs()
        middle = float(sizes[sizes > 0].median())
        return next(
            (power for power in UNITS if middle * 10**power >= 1), 2 if middle != middle else max(UNITS)
        )

    def printed(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Groups and assays as they fit on a screen, effects in `unit`."""
        factor = 10.0**self._power
        groups, table = self.groups.copy(), self.table[list(PRINTED)].copy()
        for frame in (groups, table):
            for name in set(frame.columns) & set(EFFECTS):
                frame[name] = [in_digits(factor * value, 2) for value in frame[name]]
        return groups, table


def with_affinity(config: Config, how: str | None) -> Config:
    """The config with `grouping.affinity` as given; None = as it is, or linear where it is none.

    Raises
    ------
    ConfigError : neither linear nor exact, or the config trains groups already.
    """
    if config.grouping.file is not None:
        raise ConfigError("grouping.file is set: groups are chosen from the joint model. Leave it out.")
    before = config.grouping.affinity
    method = how or (before if before != "none" else "linear")
    if method not in ("linear", "exact"):
        raise ConfigError(f"`affinity` is '{method}'. {did_you_mean(method, ('linear', 'exact'))}")
    values = config.model_dump(mode="json")
    values["grouping"]["affinity"] = method
    return check_config(values)


def group(
    config: AnyConfig,
    choice: Choice,
    *,
    out: Path | None = None,
    data: Path | AssayTable | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Grouped:
    """Train the joint model with affinities collected, and choose groups from them.

    A finished run of the same config is not trained again, so other numbers of groups cost nothing. Writes
    groups.yaml, groups.csv (per assay: which group and why) and affinity.svg beside affinity.parquet.

    Parameters
    ----------
    config : as `load_config` takes it; affinities are linear where it says none.
    out : folder of the results; None = the run folder.

    Raises
    ------
    ConfigError : the choice is wrong, or as `training.train`.
    DataError : the table cannot be used.
    """
    _check(choice)
    config = with_affinity(with_chosen(load_config(config), data, on_note), None)
    if overwrite or not is_finished(config):
        train(config, data=data, resume=resume, overwrite=overwrite, on_note=on_note, on_epoch=on_epoch)
        distributed.wait_for_all()
    else:
        check_finished(config, data, on_note)
        on_note(f"affinities of the finished run {config.folder}")
    pairs = read_affinity(config.folder)
    tasks, scale = pairs.tasks, _scale(choice, pairs)
    effects = _gated(pairs, scale, choice.overlap, on_note)
    affinity = effects.values
    if choice.n_groups is not None:
        grouping = select_groups(affinity, choice.n_groups, singletons=choice.singletons)
    else:
        prepared = prepare_data(config, data)
        cost = label_cost(take_rows(prepared.table.labels, prepared.split.rows("train")))
        grouping = select_within_budget(
            affinity, choice.budget or 0.0, cost=cost, singletons=choice.singletons
        )
    for text in grouping.notes:
        on_note(text)
    folder = config.folder if out is None else Path(out)
    table = explain_groups(grouping, affinity, tasks, effects.error)
    with claimed_run(folder):
        if distributed.is_main():
            write_groups(folder / "groups.yaml", grouping.groups, grouping.serves.tolist(), tasks)
            write_frame(folder / "groups.csv", table)
            plot_affinity(
                affinity, grouping, tasks, folder / "affinity.svg", title=f"{config.name}: affinity"
            )
    return Grouped(
        folder / "groups.yaml", grouping, _group_table(grouping, tasks), table, scale, effects.reliability
    )


def plot_affinity(
    affinity: np.ndarray, grouping: Grouping, tasks: tuple[str, ...], path: Path, *, title: str
) -> None:
    """Heat map of the affinities, assays of a group together and similar ones beside each other, as SVG.

    A column (who is affected) is divided by its mean absolute value: losses of different assays move by
    different shares, and all would look alike beside the most sensitive one. Names up to `NAMED` assays.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "screening"
    from matplotlib import pyplot

    shares = _column_shares(affinity)
    order, ends = _order(shares, grouping)
    side = 3.0 + 0.16 * min(len(tasks), NAMED) if len(tasks) <= NAMED else 8.0
    figure, axes = pyplot.subplots(figsize=(side + 1.0, side), layout="constrained")
    colors = matplotlib.colormaps["RdBu"].with_extremes(bad="#d9d9d9")
    image = axes.imshow(shares[np.ix_(order, order)], cmap=colors, vmin=-3, vmax=3, interpolation="nearest")
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="#222222", lw=0.8)
        axes.axvline(end - 0.5, color="#222222", lw=0.8)
    if len(tasks) <= NAMED:
        names = [tasks[task] for task in order]
        axes.set_xticks(range(len(tasks)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(tasks)), names, fontsize=7)
    else:
        starts = [0, *ends[:-1]]
        middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
        served = [
            f"group {number + 1}" if end - start > 0.02 * len(tasks) else ""
            for number, start, end in zip(np.unique(grouping.serves), starts, ends, strict=True)
        ]
        axes.set_xticks(middles, served, rotation=90, fontsize=8)
        axes.set_yticks(middles, served, fontsize=8)
    axes.set_xlabel("who is affected")
    axes.set_ylabel("who steps")
    axes.set_title(title, loc="left", fontsize=11)
    figure.colorbar(image, shrink=0.7, label="effect / mean size of effects in its column")
    try:
        with atomic_file(path) as work:
            figure.savefig(work, format="svg", metadata={"Date": None})
    finally:
        pyplot.close(figure)


def _check(choice: Choice) -> None:
    if (choice.n_groups is None) == (choice.budget is None):
        raise ConfigError("Say how many networks there may be: `groups` K, or `budget` COST.")
    if choice.overlap < 0:
        raise ConfigError(f"`overlap` is {choice.overlap}: expected 0 or more molecules.")
    if choice.scale not in SCALES:
        raise ConfigError(f"`scale` is '{choice.scale}'. {did_you_mean(choice.scale, SCALES)}")


def _scale(choice: Choice, pairs: AffinityTable) -> str:
    """raw or relative."""
    if choice.scale != "auto":
        return choice.scale
    raw, relative = (pairs.matrices[scale].reliability for scale in ("raw", "relative"))
    return "relative" if len(pairs.tasks) > EXACT_LIMIT or relative > raw else "raw"


def _gated(pairs: AffinityTable, scale: str, overlap: int, on_note: Note) -> Matrix:
    """The effects of pairs with enough common molecules; says how many have not, and how reliable all are."""
    is_known = pairs.shared >= overlap
    effects = pairs.matrices[scale].known_where(is_known)
    lost = np.isfinite(pairs.matrices[scale].values) & ~is_known & ~np.eye(len(is_known), dtype=bool)
    if lost.any():
        on_note(
            f"{lost.sum():,} of {is_known.size - len(is_known):,} pairs of assays have fewer than {overlap} "
            "molecules in common: their effects are taken as unknown (overlap)"
        )
    on_note(effects.described())
    return effects


def _group_table(grouping: Grouping, tasks: tuple[str, ...]) -> pd.DataFrame:
    rows = []
    for number, members in enumerate(grouping.groups):
        served = grouping.scores[grouping.serves == number]
        scores = served[np.isfinite(served)]
        rows.append(
            {
                "group": number + 1,
                "assays": len(members),
                "serves": len(served),
                "score": float(scores.mean()) if len(scores) else float("nan"),
                "names": listed((tasks[task] for task in members), 6, mark=""),
            }
        )
    return pd.DataFrame(rows)


def _column_shares(affinity: np.ndarray) -> np.ndarray:
    """Affinities divided by their column's mean absolute value; NaN where unknown and on the diagonal."""
    values = affinity.copy()
    np.fill_diagonal(values, np.nan)
    is_known = np.isfinite(values)
    sizes = np.where(is_known, np.abs(values), 0.0).sum(0) / np.maximum(is_known.sum(0), 1)
    return values / np.where(sizes > 0, sizes, 1.0)


def _order(shares: np.ndarray, grouping: Grouping) -> tuple[np.ndarray, list[int]]:
    """Tasks [T] group by group (of the group that serves them), similar ones together; where groups end."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    both = np.nan_to_num(shares) + np.nan_to_num(shares.T)
    parts = []
    for number in np.unique(grouping.serves):
        members = np.flatnonzero(grouping.serves == number)
        if len(members) > 2 and both[members].any():
            members = members[leaves_list(linkage(both[members], method="average"))]
        parts.append(members)
    return np.concatenate(parts), np.cumsum([len(part) for part in parts]).tolist()
