"""Settings that the recipe of a config chooses from the table: by its size and the kind of its assays."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Config, given_settings, with_defaults
from ..data import datasets
from ..data.assay_table import AssayTable
from ..data.sparse_cells import n_measured

Note = Callable[[str], None]

COUNTS = ("ecfp6_counts", "fcfp_counts", "atom_pairs", "torsions")
"""Fingerprints whose similarity a Gaussian process learns from."""
FEATURES = ("ecfp_counts", "rdkit_descriptors")
"""What networks and trees learn from."""
STEPS = 4000
"""Steps of an optimiser that a network is trained for, about."""
BATCH = 128
LARGE = 50_000
"""Molecules from which a batch is larger, and a Gaussian process rests on fewer of each assay."""


class Facts(NamedTuple):
    """What is looked at of a table: sizes, none of its values."""

    molecules: int
    """n, records with a structure."""
    tasks: int
    """T, assays."""
    labels: int
    """Measured cells, of n * T."""
    real: float
    """Share of assays with real values."""

    @classmethod
    def of(cls, table: AssayTable) -> "Facts":
        """Of a table as it was read."""
        n_labels = int(n_measured(table.labels).sum())
        return cls(len(table), len(table.tasks), n_labels, float(table.is_real.mean()))


def _network(facts: Facts) -> dict[str, Any]:
    """A perceptron on fingerprints and descriptors, and how long it is trained."""
    batch = 4 * BATCH if facts.molecules > LARGE else BATCH
    epochs = round(STEPS * batch / max(facts.molecules, 1))
    mostly_real = facts.real > 0.5  # as in the recipes moleculeace and tox21
    noise = {"dropout": 0.2, "count_dropout": 0.0} if mostly_real else {"dropout": 0.5, "count_dropout": 0.3}
    return {
        "features.graph": None,
        "model.encoder": {"name": "fingerprint", "widths": [1024, 512], **noise},
        "train.epochs": min(max(epochs, 5), 40),
        "train.batch_size": batch,
        "train.lr": 0.001,
        "train.weight_decay": 0.1,
    }


def _best(facts: Facts) -> dict[str, Any]:
    """Network, boosted trees and Gaussian process, with weights fitted out of fold."""
    most = 4000 if facts.molecules > LARGE else 10_000
    return {
        **_network(facts),
        "features.vectors": [*FEATURES, *COUNTS],
        "model.blend": [
            {"name": "network", "vectors": list(FEATURES)},
            {"name": "lightgbm", "vectors": list(FEATURES)},
            {"name": "gaussian_process", "vectors": list(COUNTS), "most": most},
        ],
        "model.blending.weights": "fitted",
    }


def _fast(facts: Facts) -> dict[str, Any]:
    """The network alone."""
    return {**_network(facts), "features.vectors": list(FEATURES)}


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
    return set(RECIPES[recipe](Facts(1, 1, 1, 0.0)))


def _fitting(config: Config, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without the models, where the config names its own."""
    model = config.model
    names_its_own = bool(model.baseline or model.blend or model.single_task or config.grouping.file)
    return {
        key: value for key, value in settings.items() if not (names_its_own and key.startswith("model.blend"))
    }


def _described(facts: Facts) -> str:
    text = f"{facts.molecules:,} records, {facts.tasks:,} assays and {facts.labels:,} labels"
    return f"{text}, {facts.real:.0%} of the assays real" if facts.real else text


def _told(config: Config) -> str:
    """What was chosen, in short."""
    models = " + ".join(part.label for part in config.model.parts)
    return f"{models} on {', '.join(config.features.vectors)}; see config.yaml in the run folder"
