"""After training: what the validation part says about how far to trust the scores of a bundle.

Calibrated probabilities, conformal sets and intervals, and the applicability domain (nearest structures, and
distance in the networks' representation) become parts of the bundle.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ..bundle.bundle import Bundle
from ..bundle.prediction import Prediction
from ..bundle.reference import Reference
from ..config import Config
from ..config_sections import Domain as DomainSettings
from ..data import datasets
from ..data.sparse_cells import Cells, SparseCells, take_rows
from ..errors import listed
from ..uncertainty.calibration import calibrations, compare, effect
from ..uncertainty.conformal import ConformalSets
from ..uncertainty.intervals import Intervals, coverage
from ..uncertainty.latent_domain import MOST_NETWORKS, Representation
from ..uncertainty.structure_domain import SOURCES, Domain, Fingerprints, fingerprints, fingerprints_of
from .measured import Measured, measured
from .preparation import Prepared

SAMPLE = 2000
"""Validation molecules that the thresholds of the domain are taken from, at most."""
TRAINING_SAMPLE = 20_000
"""Training molecules whose representations are looked at, at most: 30 for each of 600 dimensions."""

SHOWN = 0.1
"""Error of the intervals that a note speaks of."""

OPTIMISTIC = "Calibrated on these very labels: log-loss, Brier score and calibration error are optimistic."
"""Reason beside the numbers of the validation part."""


def check_trust(config: Config) -> None:
    """Raise ConfigError for a wrong calibration, before hours of training."""
    none = np.zeros((1, 0))
    calibrations.build(config.calibration.name, none, none, **config.calibration.options)


def with_trust(config: Config, prepared: Prepared, bundle: Bundle) -> Bundle:
    """The bundle with all that the validation part says: calibration, conformal sets and intervals, domain.

    Of the training part the mean molecule, where there is a network to explain. Without a validation molecule
    nothing else is fitted.
    """
    if bundle.networks:
        mean = Reference.fit(prepared.store, prepared.split.rows("train"))
        bundle = replace(bundle, reference=mean)
    rows = prepared.split.rows("valid")
    if not len(rows):
        return bundle
    prediction = predicted(bundle, prepared, "valid")
    scores, labels = _classes(prediction.raw, take_rows(prepared.table.labels, rows), bundle)
    calibration = calibrations.build(config.calibration.name, scores, labels, **config.calibration.options)
    part = measured(prepared.table, rows, prediction)
    return replace(
        bundle,
        calibration=calibration,
        conformal=ConformalSets.fit(*_classes(part.raw, part.labels, bundle)),
        intervals=_intervals(bundle, part),
        domain=_domain(config.domain, prepared) if config.domain.fit else None,
        representation=_representation(config.domain, prepared, bundle) if config.domain.fit else None,
    )


def _classes(scores: np.ndarray, labels: Cells, bundle: Bundle) -> tuple[np.ndarray, Cells]:
    """Scores and labels [n, T] of the binary assays; real ones count as not measured."""
    if bundle.targets is None:
        return scores, labels
    is_real = bundle.targets.is_real
    half, nothing = np.float32(0.5), np.float32("nan")
    if isinstance(labels, SparseCells):
        values = np.where(is_real[labels.tasks], nothing, labels.values)
        return np.where(is_real, half, scores), replace(labels, values=values)
    return np.where(is_real, half, scores), np.where(is_real, nothing, labels)


def _intervals(bundle: Bundle, part: Measured) -> Intervals | None:
    """Intervals of the real assays from the validation part; None where no assay is real."""
    if bundle.targets is None:
        return None
    return Intervals.fit(
        part.scores,
        part.labels,
        bundle.targets.is_real,
        censored=part.censored,
        sd=part.sd,
        deviation=bundle.targets.deviation,
    )


def interval_table(bundle: Bundle, prepared: Prepared, test: Prediction) -> pd.DataFrame:
    """How often the intervals of real assays hold the test part's values, as `intervals.coverage` has it.

    Empty where there are no intervals.
    """
    if bundle.intervals is None:
        return pd.DataFrame()
    part, tasks = measured(prepared.table, prepared.split.rows("test"), test), prepared.table.tasks
    return coverage(bundle.intervals, part.scores, part.labels, tasks, censored=part.censored, sd=part.sd)


def predicted(bundle: Bundle, prepared: Prepared, part: str) -> Prediction:
    """What a bundle says of the molecules of a split part."""
    return bundle.predict(prepared.store, torch.from_numpy(prepared.split.rows(part)))


def calibration_table(bundle: Bundle, prepared: Prepared, test: Prediction) -> pd.DataFrame:
    """One row per binary assay: its calibration, and what that did to the test part.

    Columns: assay, method, slope and intercept of its logits (of the line, where isotonic has a curve),
    actives and inactives it was fitted on, reason, then the columns of `compare`.
    """
    part, tasks = measured(prepared.table, prepared.split.rows("test"), test), prepared.table.tasks
    calibration = bundle.calibration or calibrations.build("none", part.raw[:0], part.labels[:0])
    fitted = {
        "method": calibration.method,
        "slope": calibration.slope,
        "intercept": calibration.intercept,
        "actives": calibration.actives,
        "inactives": calibration.inactives,
        "reason": calibration.reasons(),
    }
    (raw, labels), (scores, _) = (_classes(each, part.labels, bundle) for each in (part.raw, part.scores))
    table = compare(labels, raw, scores, tasks)
    whole = pd.concat([table[["assay"]], pd.DataFrame(fitted, index=table.index), table.iloc[:, 1:]], axis=1)
    return whole[~prepared.table.is_real].reset_index(drop=True)


def describe_trust(bundle: Bundle, table: pd.DataFrame, intervals: pd.DataFrame | None = None) -> list[str]:
    """Lines about calibration and intervals (their tables) and the domain for people."""
    if bundle.calibration is None:
        return ["no validation molecules: scores are not calibrated and there is no domain"]
    losses, lines = effect(table).set_index("metric").loc["log_loss"], []
    if bundle.calibration.method != "none" and losses["assays"]:
        lines.append(
            f"calibration {bundle.calibration.method}: mean log-loss of the test part {losses['before']:.4f} "
            f"before, {losses['after']:.4f} after; "
            f"better in {losses['better']:.0f} of {losses['assays']:.0f} assays"
        )
    if intervals is not None and len(intervals):
        lines += _describe_intervals(intervals[intervals["error"] == SHOWN])
    if bundle.domain is not None:
        lines.append(_describe_domain(bundle, bundle.domain))
    return lines


def _describe_intervals(table: pd.DataFrame) -> list[str]:
    """Coverage on the test part at one error, and the assays without limits."""
    measured, has_limits = table["covered"].notna(), np.isfinite(table["half_width"])
    shown, lines = table[measured & has_limits], []
    if len(shown):
        held = (shown["covered"] * shown["measured"]).sum() / shown["measured"].sum()
        line = f"intervals at error {SHOWN:g} hold {held:.1%} of {shown['measured'].sum():,} values"
        least, most = shown["covered"].min(), shown["covered"].max()
        of_assays = f"; by assay from {least:.0%} to {most:.0%}" if len(shown) > 1 else ""
        lines.append(f"{line} of the test part{of_assays}")
    none = table[table["reason"] != ""]
    if len(none):
        names = listed(none["assay"].tolist(), 3)
        lines.append(
            f"no limits at error {SHOWN:g} for {len(none):,} real assays ({names}): {none['reason'].iloc[0]}"
        )
    return lines


def _describe_domain(bundle: Bundle, domain: Domain) -> str:
    similar = f"domain: Tanimoto similarity to the training part of {domain.threshold:.2f} or more"
    if bundle.representation is not None:
        return (
            f"{similar}, and distance in the representation of {bundle.representation.threshold:.2f} or less"
        )
    if bundle.networks:
        return (
            f"{similar}; no distance in the representation: it is kept for at most {MOST_NETWORKS} networks, "
            f"here are {len(bundle.networks)}"
        )
    return similar


def _domain(settings: DomainSettings, prepared: Prepared) -> Domain:
    """The domain of the training part; the threshold is that of some validation molecules."""
    everything, table = _fingerprints(prepared), prepared.table
    train, valid = (prepared.split.rows(part) for part in ("train", "valid"))
    fitted = Domain.fit(
        everything.take(train),
        everything.take(_some(valid, SAMPLE)),
        standardize=prepared.store.features.standardize,
        percentile=settings.percentile,
    )
    if not settings.structures:
        return fitted
    ids, smiles = ([texts[row] for row in train] for texts in (table.ids, table.smiles))
    trained = table.take(train)
    return fitted.keeping(ids, smiles, trained.labels, table.assays, trained.censored)


def _representation(settings: DomainSettings, prepared: Prepared, bundle: Bundle) -> Representation | None:
    """The representation of some training molecules; None without a network, and with too many."""
    networks = bundle.alike_networks
    if not 0 < len(networks) <= MOST_NETWORKS:
        return None
    train, valid = (prepared.split.rows(part) for part in ("train", "valid"))
    return Representation.fit(
        networks,
        prepared.store,
        torch.from_numpy(_some(train, TRAINING_SAMPLE)),
        torch.from_numpy(_some(valid, SAMPLE)),
        percentile=settings.percentile,
    )


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, always the same."""
    return np.random.default_rng(0).choice(rows, most, replace=False) if len(rows) > most else rows


def _fingerprints(prepared: Prepared) -> Fingerprints:
    """Of all molecules of the table; out of their features where these have them."""
    features = prepared.store.features
    if set(SOURCES) & set(features.vectors):
        return fingerprints_of(prepared.store)
    return fingerprints(
        prepared.table.smiles,
        standardize=features.standardize,
        cache=datasets.cache_folder() / "features",
    )
