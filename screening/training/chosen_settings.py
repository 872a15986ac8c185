"""Settings that the recipe of a config chooses from the table: by its size and the kind of its assays."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..config import Config, given_settings, with_defaults
from ..data import datasets
from ..data.assay_table import AssayTable
from ..data.sparse_cells import n_equal, n_measured

Note = Callable[[str], None]

COUNTS = ("ecfp6_counts", "fcfp_counts", "atom_pairs", "torsions")
"""Fingerprints whose similarity a Gaussian process learns from."""
SMALL = 5_000
"""Molecules below which more networks than one gain nothing beside a Gaussian process and trees."""
LARGE = 50_000
"""Molecules from which descriptors are those that are fast, and few epochs are enough."""
MANY = 50
"""Assays from which their losses are balanced, and a Gaussian process rests on fewer molecules of each."""
FEW = 200_000
"""Labels up to which boosted trees, which grow for each assay, take minutes."""
RARE = 0.01
"""Share of actives below which batches draw them on purpose."""

LARGE_BATCHES = {"train.batch_size": 256, "train.lr": 0.001, "train.weight_decay": 0.1}
"""How networks of large tables, and of real values, are trained."""


class Facts(NamedTuple):
    """What is looked at of a table: sizes, none of its structures."""

    molecules: int
    """n, records with a structure."""
    tasks: int
    """T, assays."""
    labels: int
    """Measured cells, of n * T."""
    real: float
    """Share of assays with real values."""
    actives: float
    """Share of actives among the labels of an assay, the median of those with two classes; 0 without any."""

    @classmethod
    def of(cls, table: AssayTable) -> "Facts":
        """Of a table as it was read."""
        measured = n_measured(table.labels)
        shares = (n_equal(table.labels, 1.0) / np.maximum(measured, 1))[~table.is_real]
        actives = float(np.median(shares)) if len(shares) else 0.0
        return cls(len(table), len(table.tasks), int(measured.sum()), float(table.is_real.mean()), actives)

    @property
    def is_rare(self) -> bool:
        """Whether there are so few actives that most batches have none of an assay."""
        return 0 < self.actives < RARE

    @property
    def descriptors(self) -> str:
        """The set of descriptors that a table of this size can afford."""
        return "rdkit_fast" if self.molecules > LARGE else "rdkit_descriptors"


def _perceptron(facts: Facts) -> dict[str, Any]:
    """Of classes: half of the counts and little else is left out."""
    noise = {"dropout": 0.1, "count_dropout": 0.5, "real_dropout": 0.1}
    least = 15 if facts.tasks > MANY else 10
    return {
        "model.encoder": {"name": "fingerprint", "widths": [512, 512], **noise},
        "train.epochs": min(max(least, 12_800 // max(facts.molecules, 1)), 40),
        "train.batch_size": 64,
        "train.lr": 0.00025,
        "train.weight_decay": 0.01,
    }


def _perceptron_of_a_large_table(facts: Facts) -> dict[str, Any]:
    """As `_perceptron`, with larger batches and more weight decay."""
    return {
        "model.encoder": {"name": "fingerprint", "widths": [1024, 512], "dropout": 0.5, "count_dropout": 0.3},
        "train.epochs": min(max(400_000 // facts.molecules, 2), 5),
        **LARGE_BATCHES,
    }


def _perceptron_of_values(facts: Facts) -> dict[str, Any]:
    """Of real values: as the recipe moleculeace."""
    return {
        "model.encoder": {"name": "fingerprint", "widths": [1024, 512], "dropout": 0.2, "count_dropout": 0.0},
        "train.epochs": 24,
        **LARGE_BATCHES,
    }


def _training(facts: Facts) -> dict[str, Any]:
    """What both recipes have in common: how networks are trained, the mean of five snapshots of each."""
    perceptron = _perceptron_of_a_large_table if facts.molecules > LARGE else _perceptron
    return {
        "features.graph": None,
        **(_perceptron_of_values if facts.real > 0.5 else perceptron)(facts),
        "train.patience": None,
        "train.snapshots": 5,
        "train.sampler": "actives" if facts.is_rare else "random",
        "balancer": "slaw" if facts.tasks > MANY and facts.real < 0.5 else "equal",
    }


def _views(facts: Facts) -> dict[str, tuple[str, ...]]:
    """What each network of a blend sees of a molecule; the more they differ, the more their mean gains.

    Of few molecules or rare actives a Gaussian process is as good as any network, and should not be one of
    many.
    """
    if facts.real > 0.5:
        return {"counts": COUNTS}
    ecfp = ("ecfp_counts", facts.descriptors)
    if facts.is_rare or facts.molecules < SMALL:
        return {"ecfp": ecfp}
    counts, avalon = (*COUNTS, facts.descriptors), ("avalon_counts", "erg", facts.descriptors)
    return {"ecfp": ecfp, "counts": counts, "avalon": avalon}


def _best(facts: Facts) -> dict[str, Any]:
    """The mean of networks with different vectors, a Gaussian process and, of few labels, boosted trees."""
    views = _views(facts)
    networks = [{"name": "network", "as": name, "vectors": list(seen)} for name, seen in views.items()]
    most = 1000 if facts.tasks > MANY else 4000 if facts.molecules > LARGE else 10_000
    process = {"name": "gaussian_process", "vectors": list(COUNTS), "most": most}
    trees = {"name": "lightgbm", "vectors": ["ecfp_counts", facts.descriptors]}
    vectors = [*(vector for seen in views.values() for vector in seen), *COUNTS]
    return {
        **_training(facts),
        "features.vectors": list(dict.fromkeys(vectors)),
        "model.blend": [*networks, process, *([trees] if facts.labels < FEW and facts.real < 0.5 else [])],
    }


def _fast(facts: Facts) -> dict[str, Any]:
    """One network alone."""
    vectors = COUNTS if facts.real > 0.5 else ("ecfp_counts", "rdkit_fast")
    return {**_training(facts), "features.vectors": list(vectors)}


RECIPES: Mapping[str, Callable[[Facts], dict[str, Any]]] = {"best": _best, "fast": _fast}


def with_chosen(
    config: Config, data: Path | AssayTable | None = None, on_note: Note = lambda note: None
) -> Config:
    """The config with what its recipe chooses for the table; itself where it has none, or nothing is left.

    Chosen again for the same table it is the same. The table is read, its structures are not.

    Parameters
    ----------
    data : the table's file, or the folder it lies in, or the table itself; None = found by `data.source`.

    Raises
    ------
    DataError : the table cannot be read.
    """
    if config.recipe is None or _keys(config.recipe) <= given_settings(config):
        return config
    section = config.data
    facts = Facts.of(datasets.load_dataset(section.source, data=data, **datasets.reading(section)))
    chosen = with_defaults(config, _fitting(config, RECIPES[config.recipe](facts)))
    on_note(f"recipe {config.recipe}, for {_described(facts)}: {_told(chosen)}")
    return chosen


def _keys(recipe: str) -> set[str]:
    """The settings that a recipe chooses, which do not depend on the table."""
    return set(RECIPES[recipe](Facts(1, 1, 1, 0.0, 0.5)))


def _fitting(config: Config, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without models where the config names its own, and without the graph its encoder reads."""
    model = config.model
    names_its_own = bool(model.baseline or model.blend or model.single_task or config.grouping.file)
    left = {"model.blend"} if names_its_own else set()
    if given_settings(config) & {"model.encoder", "model.encoder.name"}:
        left.add("features.graph")
    return {key: value for key, value in settings.items() if key not in left}


def _described(facts: Facts) -> str:
    text = f"{facts.molecules:,} records, {facts.tasks:,} assays and {facts.labels:,} labels"
    return f"{text}, {facts.real:.0%} of the assays real" if facts.real else text


def _told(config: Config) -> str:
    """What was chosen, in short."""
    models = " + ".join(part.label for part in config.model.parts)
    return f"{models} on {', '.join(config.features.vectors)}; see config.yaml in the run folder"
