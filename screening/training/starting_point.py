"""Where a network begins, if not at random weights: the encoder of another run (`model.encoder.init`).

And whether that one has learned from labels of structures that are tested on here.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ..bundle.bundle import SUMS, Bundle, bundle_folder
from ..config import Config
from ..data.assay_columns import ATTENTION
from ..data.part_names import PARTS
from ..data.skeletons import skeletons
from ..errors import BundleError, ConfigError
from ..features.store import FeatureSet
from ..models.encoders import Encoder, encoders
from ..runtime.files import file_sha256
from .preparation import Prepared
from .run_folder import read_table, write_frame

SKELETONS = "skeletons.csv"
"""Table of a run folder: skeletons of all structures whose labels its weights have learned from.

A run that began at random weights needs none, its split.csv says the same.
"""


class Start(NamedTuple):
    """What is known of the run that a network begins with."""

    about: dict[str, Any]
    """For manifest and bundle."""
    notes: list[str]
    """For the user."""
    learned: frozenset[str]
    """Skeletons of the structures whose labels it has learned from."""


def begin_with(encoder: Encoder, config: Config, features: FeatureSet, number: int) -> None:
    """Give an encoder the weights of the run that `model.encoder.init` names, if it names one.

    Parameters
    ----------
    encoder : of `model.encoder`, with its inputs scaled; the scales become those of the run.
    number : of the network in its ensemble; it takes that one of the run's networks, counted in a circle.

    Raises
    ------
    BundleError : no trained model there, or its arrays do not fit.
    ConfigError : no network there, another encoder, other options or other featurizers; says what differs.
    """
    choice = config.model.encoder
    if choice.init is None:
        return
    where, bundle = f"model.encoder.init: {choice.init}", Bundle.load(choice.init)
    networks = list(bundle.networks.values())
    if not networks:
        raise ConfigError(f"{where} has no network, but baselines. Name the run of a network.")
    differences = _differences(bundle, config, features)
    if differences:
        raise ConfigError(
            f"{where} has another encoder: {'; '.join(differences)}. Set here what it was trained with, or "
            "pre-train with this config."
        )
    try:
        encoder.load_state_dict(networks[number % len(networks)].encoder.state_dict())
    except RuntimeError as problem:
        lines = str(problem).splitlines()
        said = lines[min(1, len(lines) - 1)].strip()
        raise BundleError(f"{where} does not fit the encoder '{choice.name}': {said}") from problem


def _differences(bundle: Bundle, config: Config, features: FeatureSet) -> list[str]:
    """What makes the encoder of a bundle another function than that of a config."""
    there, here = bundle.settings.encoder, config.model.encoder
    pairs = [
        ("the encoder", there.name, here.name),
        ("features.graph", bundle.features.graph, features.graph),
        ("features.vectors", list(bundle.features.vectors), list(features.vectors)),
    ]
    if there.name == here.name:
        of_there, of_here = (encoders.values(each.name, each.options) for each in (there, here))
        pairs += [(f"model.encoder.{key}", of_there[key], of_here[key]) for key in of_here]
    return [
        f"{what} is {before} there and {now} here"
        for what, before, now in pairs
        if before != now and not what.endswith(("dropout", "noise"))
    ]


def start_of(config: Config, prepared: Prepared) -> Start | None:
    """What is known of where the networks of a config begin; None with random weights.

    Labels of validation and test structures that the other run has learned from are counted, by skeleton.

    Raises
    ------
    BundleError : no trained model there.
    """
    init = config.model.encoder.init
    if init is None:
        return None
    bundle, workers = Bundle.load(init), config.train.workers
    learned = learned_skeletons(init, workers=workers)
    about = {"name": bundle.about.get("name"), "bundle_sha256": file_sha256(bundle_folder(init) / SUMS)}
    about |= {key: bundle.about[key] for key in ("pretraining",) if key in bundle.about}
    notes = [text for text in (bundle.featurizer_warning(),) if text]
    notes += [f"the encoder begins with that of {init}"]
    if learned is None:
        notes += [f"{ATTENTION}{init} does not say whose labels it has learned from: some may be tested on."]
        return Start(about, notes, frozenset())
    leaks = {}
    for part in PARTS[1:]:
        rows = prepared.split.rows(part)
        leaks[part] = _n_in(learned, prepared, rows, workers)
        if leaks[part]:
            notes += [_leak(init, part, leaks[part], len(rows), config)]
    return Start({**about, "learned": len(learned), "leaks": leaks}, notes, learned)


def _n_in(learned: frozenset[str], prepared: Prepared, rows: Any, workers: int | None) -> int:
    """How many of some molecules have one of the skeletons."""
    if not learned:
        return 0
    table = prepared.table.take(rows)
    return sum(key in learned for key in skeletons(table.canonical or table.smiles, workers=workers))


def _leak(init: str, part: str, n_leaks: int, n_rows: int, config: Config) -> str:
    source = config.data.source
    names = source if isinstance(source, str) else ", ".join(source)
    return (
        f"{ATTENTION}{init} has learned from labels of {n_leaks:,} of the {n_rows:,} structures of the "
        f"{part} part: what is measured there is too good. Pre-train without them "
        f"(pretrain.exclude=[{names}]), and with a teacher that has not learned from them."
    )


def learned_skeletons(run: str | Path, *, workers: int | None = None) -> frozenset[str] | None:
    """Skeletons of the structures whose labels a run has learned from; None = it does not say.

    Parameters
    ----------
    run : run folder, or its bundle.

    Raises
    ------
    DataError : a file of the run is damaged.
    """
    for folder in (Path(run), Path(run).parent):
        listed, split = (read_table(folder, name) for name in (SKELETONS, "split.csv"))
        if "skeleton" in listed:
            return frozenset(listed["skeleton"])
        if "structure" in split:
            structures = split.loc[split["part"] == "train", "structure"].tolist()
            return skeletons_of(structures, workers=workers)
    return None


def skeletons_of(structures: list[str], *, workers: int | None = None) -> frozenset[str]:
    """The different skeletons of structures, canonical SMILES."""
    keys = skeletons(structures, are_canonical=True, workers=workers)
    return frozenset(key for key in keys if key is not None)


def write_skeletons(folder: Path, keys: frozenset[str]) -> None:
    """Write what `learned_skeletons` reads."""
    write_frame(folder / SKELETONS, pd.DataFrame({"skeleton": sorted(keys)}))
