"""Balancers side by side: what each does for the assays, and what a step with it costs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ..config import AnyConfig, Config, load_config
from ..config_sections import Component
from ..data.assay_table import AssayTable
from ..errors import ConfigError
from ..runtime import distributed
from ..training.history import Epoch
from ..training.preparation import Note
from ..training.run_folder import write_frame
from .comparison import Comparison, compare
from .headline import ERRORS
from .replicates import seconds_per_step, seed_configs, tabulate, train_set
from .run_sets import RunSet


@dataclass(frozen=True)
class Benchmark:
    """What became of the balancers."""

    table: pd.DataFrame
    """One row per balancer: `balancer`, `runs`, then of each metric (`replicates.metrics_of_set`, but for
    errors on several scales) the macro mean, its `_sd` over runs, the `_difference` to the first balancer
    over the assays that have a test, with `_low`, `_high` and adjusted `_p`, the assays `_won` and `_lost`
    (`compare.compare`); `seconds_per_step` and
    `cpu_seconds_per_step` (medians over epochs, validation included) and `cost`, their ratio to the first: on
    a CPU of processor time, else of wall time."""
    comparisons: tuple[Comparison, ...]
    """Per assay, for each of the metrics."""
    path: Path
    """Where the table is written."""


def benchmark(
    config: AnyConfig,
    *,
    data: Path | AssayTable | None = None,
    overwrite: bool = False,
    on_note: Note = lambda note: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Benchmark:
    """Train with every balancer of `config.benchmark` and every seed, and put them side by side.

    Runs of one seed have the same split, initial weights and order of molecules. They are trained one after
    the other, so that all balancers meet the same hours of a busy machine; what is finished stays.

    Parameters
    ----------
    config : as `load_config` takes it.

    Raises
    ------
    ConfigError : the config has no section `benchmark`, or a setting is wrong.
    """
    config = load_config(config)
    section = config.benchmark
    if section is None:
        raise ConfigError(
            "The config has no section 'benchmark'. Add one, such as "
            "benchmark: {balancers: [equal, slaw], seeds: 3}."
        )
    names = chain_names(section.balancers)
    sets = [
        seed_configs(
            config.model_copy(update={"name": f"{config.name}-{name}", "balancer": chain}), section.seeds
        )
        for name, chain in zip(names, section.balancers, strict=True)
    ]
    root = Path(config.runs)
    in_turn = [one for of_seed in zip(*sets, strict=True) for one in of_seed]
    train_set(
        in_turn,
        root / f"{config.name}-runs.csv",
        data=data,
        overwrite=overwrite,
        on_note=on_note,
        on_epoch=on_epoch,
    )
    run_sets = [RunSet(name, tuple(one.folder for one in of)) for name, of in zip(names, sets, strict=True)]
    comparisons = tuple(compare(run_sets, metric=metric) for metric in _metrics(run_sets[0]))
    table = _table(run_sets, comparisons, on_cpu=_is_on_cpu(config))
    path = root / f"{config.name}-benchmark.csv"
    if distributed.is_main():
        write_frame(path, table)
    return Benchmark(table, comparisons, path)


def chain_names(chains: Sequence[Sequence[Component]]) -> list[str]:
    """A name for each chain that can be part of a folder's: its balancers, with the options given.

    Raises
    ------
    ConfigError : two chains are the same.

    Examples
    --------
    >>> chain_names([[Component(name="slaw"), Component(name="pcgrad")]])
    ['slaw-pcgrad']
    >>> chain_names([[Component.model_validate({"name": "slaw", "max_ratio": 10})]])
    ['slaw-max_ratio-10']
    """
    names = []
    for chain in chains:
        words = [word for part in chain for word in (part.name, *_words(part.options))]
        names.append(re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(words)).strip("-"))
        if names[-1] in names[:-1]:
            raise ConfigError(f"benchmark.balancers names '{names[-1]}' twice. Leave one out.")
    return names


def _metrics(one: RunSet) -> list[str]:
    """Metrics of which a set has a mean over assays, or of which none has a number for another reason."""
    macro = tabulate(one.folders).query("assay == ''")
    return [row.metric for row in macro.itertuples() if row.metric not in ERRORS or row.mean == row.mean]


def _words(options: dict[str, Any]) -> list[str]:
    return [f"{key}-{value}" for key, value in options.items()]


def _table(sets: list[RunSet], comparisons: Sequence[Comparison], *, on_cpu: bool) -> pd.DataFrame:
    rows = []
    for number, one in enumerate(sets):
        row: dict[str, Any] = {"balancer": one.name, "runs": len(one.folders)}
        macro = tabulate(one.folders).query("assay == ''").set_index("metric")
        for comparison in comparisons:
            name = comparison.metric
            row |= {name: macro["mean"][name], f"{name}_sd": macro["sd"][name]}
            if number:
                against = comparison.summary.iloc[number - 1]
                row |= {f"{name}_{key}": against[key] for key in ("difference", "low", "high")}
                row |= {f"{name}_p": against["p_adjusted"]}
                row |= {f"{name}_won": against["wins"], f"{name}_lost": against["losses"]}
        row["seconds_per_step"], row["cpu_seconds_per_step"] = seconds_per_step(one.folders)
        rows.append(row)
    table = pd.DataFrame(rows)
    times = table["cpu_seconds_per_step" if on_cpu else "seconds_per_step"]
    columns = [*rows[-1], "cost"]  # the first row has no differences
    names = [comparison.metric for comparison in comparisons]
    counts = {f"{metric}_{what}": "Int64" for metric in names for what in ("won", "lost")}
    return table.assign(cost=times / times.iloc[0])[columns].astype(counts)


def _is_on_cpu(config: Config) -> bool:
    device = config.train.device
    return device == "cpu" or (device == "auto" and not torch.cuda.is_available())
