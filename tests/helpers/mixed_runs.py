"""Run folders as training leaves them, but for the model, with real values among their assays."""

from pathlib import Path

import numpy as np
import small

from screening.data.assay_kinds import Assay, are_real
from screening.data.assay_table import AssayTable
from screening.data.splits import Split

REAL = (
    Assay("pKi", "real", "nM", "neg_log10_molar"),
    Assay("clearance", "real", "ml/min", "log10", wanted="low"),
    Assay("not tested", "real", "nM", "neg_log10_molar"),
    Assay("three values", "real", "nM", "neg_log10_molar"),
    Assay("noise", "real", "%"),
)
CLASSES = (Assay("toxic"), Assay("pKi>=7", threshold=7.0), Assay("one class"))


def table(assays: tuple[Assay, ...], n: int, seed: int) -> tuple[AssayTable, np.ndarray, Split]:
    """Labels of made-up molecules, scores of each, and their split; the assays after their names."""
    random = np.random.default_rng(seed)
    parts = np.array(["train", "train", "valid", "test"])[np.arange(n) % 4]
    tested, is_real = np.flatnonzero(parts == "test"), are_real(assays)
    truth = random.normal(6, 1, (n, len(assays)))
    scores = truth + random.normal(0, 0.6, truth.shape)
    labels, censored = truth.copy(), np.zeros(truth.shape, np.int8)
    for task, assay in enumerate(assays):
        if assay.name == "pKi":
            is_low = labels[:, task] < 5
            labels[is_low, task], censored[is_low, task] = 5, -1
        if assay.name == "noise":
            scores[:, task] = random.normal(6, 0.3, n)
        if not assay.is_real:
            labels[:, task] = truth[:, task] > (99 if assay.name == "one class" else 6.5)
            scores[:, task] = 1 / (1 + np.exp(6.5 - scores[:, task]))
    labels[random.random(labels.shape) < 0.3] = np.nan
    for task, assay in enumerate(assays):
        if assay.name in ("not tested", "three values"):
            labels[tested[3 if assay.name == "three values" else 0 :], task] = np.nan
            labels[tested[:3], task] = [5, 6, 7] if assay.name == "three values" else np.nan
    censored[np.isnan(labels)] = 0
    texts = [small.smiles()[row % 100] for row in range(n)]
    data = AssayTable(
        ids=[f"M{row}" for row in range(n)],
        smiles=texts,
        labels=labels.astype(np.float32),
        tasks=tuple(assay.name for assay in assays),
        extra={},
        rows=np.arange(1, n + 1),
        canonical=texts,
        about=assays,
        censored=censored if is_real.any() else None,
    )
    return data, scores.astype(np.float32), Split(parts.tolist())


def run_folder(
    folder: Path, assays: tuple[Assay, ...] = (*REAL, *CLASSES), n: int = 400, seed: int = 0
) -> Path:
    """A run of these assays; by default two of them can be predicted well, others have few values or none."""
    folder.mkdir(parents=True)
    data, scores, split = table(assays, n, seed)
    small.write_run(folder, data, scores, split, np.random.default_rng(seed))
    return folder
