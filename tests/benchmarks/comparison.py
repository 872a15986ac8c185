"""Time of paired comparisons against plain loops over assays.

    OMP_NUM_THREADS=1 python tests/benchmarks/comparison.py

Two models on random labels of the shapes of ToxCast's test part (617 assays, 858 molecules, 71 % of the
labels missing, 8 % active) and of a tenth of PCBA's. The plain ways: DeLong by its definition, every active
against every inactive, assay by assay; the bootstrap of average precision by scikit-learn with sample
weights, timed on a few draws and multiplied. Processor time; a ratio below 1 is faster than the plain way.
"""

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import average_precision_score

from screening.metrics.paired_samples import DRAWS, bootstrap_precision, delong

SHAPES = {"ToxCast's test part": (858, 617, 0.29, 0.08), "a tenth of PCBA's": (4_400, 128, 0.61, 0.014)}
FEW = 5
"""Draws of the plain bootstrap that are timed."""


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def columns(labels: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Label, score and measured molecules of every assay with both classes."""
    found = []
    for label, score in zip(labels.T, scores.T, strict=True):
        measured = np.flatnonzero(~np.isnan(label))
        if len(np.unique(label[measured])) == 2:
            found.append((label[measured], score[measured], measured))
    return found


def plain_delong(labels: np.ndarray, scores: np.ndarray) -> list[float]:
    variances = []
    for label, score, _ in columns(labels, scores):
        actives, inactives = score[label == 1], score[label == 0]
        wins = (actives[:, None] > inactives) + 0.5 * (actives[:, None] == inactives)
        with np.errstate(divide="ignore", invalid="ignore"):
            variances.append(
                np.var(wins.mean(axis=1)) / (len(actives) - 1)
                + np.var(wins.mean(axis=0)) / (len(inactives) - 1)
            )
    return variances


def plain_bootstrap(labels: np.ndarray, scores: np.ndarray, draws: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(draws):
        weights = random.standard_exponential(len(labels))
        for label, score, measured in columns(labels, scores):
            average_precision_score(label, score, sample_weight=weights[measured])


def main() -> None:
    random = np.random.default_rng(0)
    for name, (n, n_tasks, measured, active) in SHAPES.items():
        labels = (random.random((n, n_tasks)) < active).astype(np.float32)
        labels[random.random((n, n_tasks)) > measured] = np.nan
        scores = random.random((2, n, n_tasks), dtype=np.float32)
        ours = seconds(lambda: [delong(labels, one) for one in scores])  # noqa: B023
        plain = seconds(lambda: [plain_delong(labels, one) for one in scores])  # noqa: B023
        print(f"{name}: DeLong of two models {ours:.2f} s, ratio to the plain way {ours / plain:.2f}")
        ours = seconds(lambda: [bootstrap_precision(labels, one) for one in scores])  # noqa: B023
        plain = seconds(lambda: [plain_bootstrap(labels, one, FEW) for one in scores])  # noqa: B023
        plain *= DRAWS / FEW
        print(f"{name}: bootstrap of two models {ours:.2f} s, ratio to the plain way {ours / plain:.5f}")


if __name__ == "__main__":
    main()
