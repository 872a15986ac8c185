"""A small table that trains in seconds: molecules of the rdkit wheel, assays that are substructures."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem, RDConfig

from screening import training
from screening.config import check_config, to_yaml
from screening.data.assay_table import AssayTable
from screening.data.splits import Split
from screening.data.task_groups import write_groups
from screening.features.store import FeatureSet, GraphStore, featurize
from screening.metrics.per_assay import evaluate, write_evaluation
from screening.training.predictions import read_predictions, write_predictions
from screening.training.run_folder import (
    write_frame,
    write_kinds,
    write_label_counts,
    write_split,
    write_text,
)

PATTERNS = {"halogen": "[F,Cl,Br,I]", "acid": "C(=O)[OH]", "ring-N": "[n,N;r]", "sulfur": "[#16]"}
SKEWED = "nitrile"
"""A fifth assay of trained runs: few actives, so that its calibration leans on the others."""


@cache
def smiles(n: int = 300) -> tuple[str, ...]:
    """The first `n` readable molecules of the NCI file in the wheel."""
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_200.props.sdf"
    found = [Chem.MolToSmiles(mol) for mol in Chem.SDMolSupplier(str(path)) if mol is not None]
    return tuple(dict.fromkeys(found))[:n]


def table(n: int = 150, missing: float = 0.3, seed: int = 0) -> AssayTable:
    """`n` molecules and four substructure assays, a share of the labels hidden."""
    texts = list(smiles(n))
    patterns = [Chem.MolFromSmarts(smarts) for smarts in PATTERNS.values()]
    mols = [Chem.MolFromSmiles(text) for text in texts]
    labels = np.array([[mol.HasSubstructMatch(pattern) for pattern in patterns] for mol in mols], np.float32)
    hidden = np.random.default_rng(seed).random(labels.shape) < missing
    labels[hidden] = np.nan
    return AssayTable(
        ids=[f"M{row}" for row in range(len(texts))],
        smiles=texts,
        labels=labels,
        tasks=tuple(PATTERNS),
        extra={},
        rows=np.arange(1, len(texts) + 1),
        canonical=texts,
    )


@cache
def store(graph: str | None = "atom_codes", vectors: tuple[str, ...] = ("ecfp_counts",)) -> GraphStore:
    """The features of `table()`."""
    return featurize(list(smiles(150)), FeatureSet(graph, vectors), workers=0)


def write(path: Path, **options: float) -> Path:
    """`table()` as a CSV file."""
    table(**options).write_csv(path)  # type: ignore[arg-type]
    return path


def with_skewed(plain: AssayTable) -> AssayTable:
    """A table with one more assay, of few actives."""
    pattern = Chem.MolFromSmarts("C#N")
    column = [[Chem.MolFromSmiles(text).HasSubstructMatch(pattern)] for text in plain.smiles]
    labels = np.hstack([plain.labels, np.array(column, np.float32)])
    return replace(plain, labels=labels, tasks=(*plain.tasks, SKEWED))


def trained_run(folder: Path, **more: Any) -> training.Trained:
    """A run that `screening train` itself made in a few seconds, with all that real bundles have.

    Two networks on graphs and fingerprints, calibration, conformal sets, domain, representation. `more` are
    sections of the config that replace those here; with `groups=True` the assays train in two groups that
    overlap, so that every seed has two networks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    assays = with_skewed(table())
    assays.write_csv(folder / "table.csv")
    if more.pop("groups", False):
        write_groups(folder / "groups.yaml", [(0, 1, 4), (0, 2, 3)], [1, 0, 1, 1, 0], assays.tasks)
        more["grouping"] = {"file": str(folder / "groups.yaml")}
    settings = {
        "name": "small",
        "runs": str(folder / "runs"),
        "data": {"source": str(folder / "table.csv")},
        "split": {"name": "stratified", "fractions": [0.5, 0.3, 0.2]},
        "features": {"graph": "atom_codes", "vectors": ["ecfp_counts"]},
        "model": {"encoder": {"name": "hybrid", "width": 16, "hidden": 16, "depth": 1}},
        "train": {
            "epochs": 4,
            "batch_size": 32,
            "lr": 0.01,
            "ensemble": 2,
            "patience": None,
            "device": "cpu",
            "workers": 0,
        },
    }
    return training.train(check_config({**settings, **more}))


def run_folder(
    folder: Path, n: int = 300, n_tasks: int = 12, *, names: tuple[str, ...] = (), seed: int = 0
) -> Path:
    """A run folder as training leaves it, but for the model: made-up labels and scores that rank them.

    The first assays have no label, no active and one active in the test part; later ones are ranked better.
    """
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    texts = [smiles()[row % 100] for row in range(n)]
    tasks = (*names, *(f"assay {task}" for task in range(len(names), n_tasks)))
    labels = (random.random((n, n_tasks)) < random.uniform(0.05, 0.4, n_tasks)).astype(np.float32)
    strength = np.linspace(-0.5, 3, n_tasks)
    scores = 1 / (1 + np.exp(2 - strength * labels - random.normal(size=(n, n_tasks))))
    labels[random.random((n, n_tasks)) < 0.3] = np.nan
    parts = np.array(["train", "train", "valid", "test"])[np.arange(n) % 4]
    tested = parts == "test"
    labels[tested, 0] = np.nan
    labels[tested, 1] = np.where(np.isnan(labels[tested, 1]), np.nan, 0)
    labels[np.ix_(tested, [2])] = np.where(np.arange(tested.sum()) == 3, 1, 0)[:, None]
    ids = [f"M{row}" for row in range(n)]
    table = AssayTable(ids, texts, labels, tasks, {}, np.arange(1, n + 1), texts)
    split = Split(parts.tolist())
    write_run(folder, table, scores, split, random)
    return folder


def write_run(
    folder: Path, table: AssayTable, scores: np.ndarray, split: Split, random: np.random.Generator
) -> None:
    """The files of a run whose model gave these scores [n, T]; its history is drawn."""
    config = check_config({"name": folder.name, "data": {"source": "made-up.csv"}, "balancer": "slaw"})
    found = {part: scores[split.rows(part)].astype(np.float32) for part in ("valid", "test")}
    history = pd.DataFrame(
        [
            (epoch, task, 0.5 / (epoch + 1), random.lognormal(), random.uniform(0.4, 1))
            for epoch in range(4)
            for task in table.tasks
        ],
        columns=["epoch", "assay", "loss", "weight", "valid_concordance"],
    )
    manifest = {
        "name": folder.name,
        "seed": 0,
        "file": "made-up.csv",
        "file_sha256": "0" * 64,
        "molecules": {part: len(split.rows(part)) for part in ("train", "valid", "test")},
        "versions": {"screening": "0", "rdkit": "0"},
        "notes": ["made-up labels"],
        "best_epochs": [3],
        "epochs": 4,
    }
    write_text(folder / "config.yaml", to_yaml(config))
    write_frame(folder / "rejected.csv", pd.DataFrame(columns=["row", "id", "smiles", "reason"]))
    write_split(folder / "split.csv", table, split)
    write_label_counts(folder / "labels.csv", table, split)
    write_frame(folder / "history.csv", history)
    write_kinds(folder / "assays.json", table)
    write_predictions(folder / "predictions.parquet", found, table, split)
    tables = [_evaluated(table.take(split.rows(part)), found[part], part) for part in found]
    write_evaluation(pd.concat(tables), folder / "evaluation.csv")
    write_text(folder / "manifest.json", json.dumps(manifest))


def _evaluated(table: AssayTable, scores: np.ndarray, part: str) -> pd.DataFrame:
    return evaluate(
        table.labels, scores, table.tasks, part=part, is_real=table.is_real, censored=table.censored
    )


def rewrite(run: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Other predictions of the same run folder, evaluated as training does."""
    frame = change(pd.read_parquet(run / "predictions.parquet"))
    frame.to_parquet(run / "predictions.parquet")
    tables = []
    for part in ("valid", "test"):
        if (frame["part"] == part).any():
            found = read_predictions(run, part=part)
            tables.append(evaluate(found.labels, found.scores, found.tasks, part=part))
    write_evaluation(pd.concat(tables), run / "evaluation.csv")
