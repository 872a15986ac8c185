"""A small table of both kinds of assay: classes, values, and concentrations of which many are censored."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import small
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors

from screening import training
from screening.config import check_config
from screening.data.assay_kinds import Assay
from screening.data.assay_table import AssayTable

ASSAYS = (
    Assay("halogen"),
    Assay("logP", "real", wanted="low"),
    Assay("acid"),
    Assay("Ki", "real", "nM", "neg_log10_molar"),
    Assay("logP>=2", threshold=2.0),
)
LIMIT = 5.0
"""Concentrations of the assay Ki above 10 uM were not measured: pKi below 5."""


@cache
def _values() -> tuple[np.ndarray, np.ndarray]:
    mols = [Chem.MolFromSmiles(text) for text in small.table().smiles]
    log_p = np.array([Crippen.MolLogP(mol) for mol in mols])
    potency = 4.5 + 0.02 * np.array([Descriptors.MolWt(mol) for mol in mols]) - 0.3 * log_p
    return log_p, np.clip(potency, 3, 10)


def table(*, missing: float = 0.3, seed: int = 0, censored: bool = True) -> AssayTable:
    """150 molecules; a share of the cells hidden, and values of Ki below `LIMIT` given as "below"."""
    classes, (log_p, potency) = small.table(missing=0.0), _values()
    columns = [classes.labels[:, 0], log_p, classes.labels[:, 1], potency, log_p >= 2]
    labels = np.stack(columns, axis=1).astype(np.float32)
    bounds = np.zeros(labels.shape, np.int8)
    if censored:
        below = labels[:, 3] < np.quantile(potency, 0.3)
        labels[below, 3], bounds[below, 3] = np.float32(np.quantile(potency, 0.3)), -1
    hidden = np.random.default_rng(seed).random(labels.shape) < missing
    labels[hidden], bounds[hidden] = np.nan, 0
    names = tuple(assay.name for assay in ASSAYS)
    return replace(classes, labels=labels, tasks=names, about=ASSAYS, censored=bounds if censored else None)


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    """Those of a run in a few seconds; `more` are sections that replace those here."""
    return {
        "name": "mixed",
        "runs": str(folder / "runs"),
        "data": {"source": "given"},
        "split": {"name": "random", "fractions": [0.5, 0.3, 0.2]},
        "features": {"graph": "atom_codes", "vectors": ["ecfp_counts"]},
        "model": {"encoder": {"name": "hybrid", "width": 16, "hidden": 16, "depth": 1}},
        "train": {"epochs": 4, "batch_size": 32, "lr": 0.01, "patience": None, "device": "cpu", "workers": 0},
        **more,
    }


def trained(folder: Path, data: AssayTable | None = None, **more: Any) -> training.Trained:
    """A run of `table()` as `screening train` makes it."""
    return training.train(check_config(settings(folder, **more)), data=table() if data is None else data)
