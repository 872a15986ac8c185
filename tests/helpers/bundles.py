"""Bundles without training: networks with random weights on the features of `small.store()`."""

import hashlib
from dataclasses import replace
from pathlib import Path

import mixed
import numpy as np
import small
import torch

from screening.bundle.bundle import Bundle
from screening.bundle.files import SUMS
from screening.bundle.member import Member
from screening.config_sections import Model
from screening.models.network import ScreeningModel, inputs_of
from screening.models.targets import Targets
from screening.uncertainty.calibration import calibrations
from screening.uncertainty.conformal import ConformalSets
from screening.uncertainty.intervals import Intervals
from screening.uncertainty.latent_domain import Representation
from screening.uncertainty.structure_domain import Domain, fingerprints_of

TRAIN, VALID = torch.arange(80), torch.arange(80, 110)
"""Rows of `small.store()` that the domain of `measured` is fitted and thresholded on."""


def small_model(seed: int, n_tasks: int, encoder: dict | None = None) -> ScreeningModel:
    """A network with random weights of a seed and inputs scaled as those of 50 molecules."""
    torch.manual_seed(seed)
    settings = Model.model_validate({"encoder": encoder or {"name": "gine", "depth": 2, "width": 16}})
    store = small.store()
    model = ScreeningModel(settings, inputs_of(store), n_tasks)
    model.encoder.fit(store, torch.arange(50))
    return model.eval()


def small_bundle(encoder: dict | None = None) -> Bundle:
    """One network for the four assays, and nothing that is fitted after training."""
    settings = Model.model_validate({"encoder": encoder or {"name": "gine", "depth": 2, "width": 16}})
    store = small.store()
    return Bundle(
        (Member(small_model(0, 4, encoder), (0, 1, 2, 3)),),
        settings,
        inputs_of(store),
        store.features,
        tuple(small.PATTERNS),
        {"name": "small"},
    )


def trusted() -> Bundle:
    """Two networks, calibrated on labels of their own molecules, with a domain."""
    one, labels = small_bundle(), small.table(missing=0.2).labels
    members = tuple(Member(small_model(seed, 4), (0, 1, 2, 3)) for seed in (1, 2))
    bundle = replace(one, members=members)
    raw = bundle.predict(small.store(), torch.arange(150)).raw
    known = fingerprints_of(small.store())
    return replace(
        bundle,
        calibration=calibrations.build("platt", raw, labels),
        conformal=ConformalSets.fit(raw, labels),
        domain=Domain.fit(known, known).keeping(["x"] * 150, ["C"] * 150, labels),
    )


def measured() -> Bundle:
    """`trusted`, two networks, with a representation."""
    bundle = trusted()
    return replace(bundle, representation=Representation.fit(bundle.networks, small.store(), TRAIN, VALID))


def saved_network(folder: Path) -> Path:
    """The folder with a small network in it."""
    small_bundle({"name": "gine", "width": 16, "depth": 1}).save(folder / "bundle")
    return folder


def resign(folder: Path) -> None:
    """Sums that are right again, as somebody who tampers would have them."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS)
    sums = (f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / SUMS).write_text("".join(sums))


def both_kinds(n_networks: int = 2, calibration: str = "platt") -> Bundle:
    """Networks of random weights for the assays of `mixed`, with all that is fitted after training."""
    table = mixed.table()
    rows, censored = torch.arange(len(table)), table.censored
    targets = Targets.fit(table.labels, table.is_real, censored)
    bundle = replace(
        small_bundle(),
        members=tuple(Member(small_model(seed, 5), (0, 1, 2, 3, 4)) for seed in range(1, n_networks + 1)),
        tasks=table.tasks,
        kinds=table.about,
        targets=targets,
    )
    prediction = bundle.predict(small.store(), rows)
    half, nothing = np.float32(0.5), np.float32("nan")
    scores = np.where(table.is_real, half, prediction.raw)
    labels = np.where(table.is_real, nothing, table.labels)
    prints = fingerprints_of(small.store())
    return replace(
        bundle,
        calibration=calibrations.build(calibration, scores, labels),
        conformal=ConformalSets.fit(scores, labels),
        intervals=Intervals.fit(
            prediction.scores,
            table.labels,
            table.is_real,
            censored=censored,
            sd=prediction.sd,
            deviation=targets.deviation,
        ),
        domain=Domain.fit(prints, prints).keeping(
            table.ids, table.smiles, table.labels, table.assays, censored
        ),
    )
