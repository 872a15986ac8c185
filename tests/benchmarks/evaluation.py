"""Time of evaluation against scikit-learn's ROC-AUC, assay by assay.

    OMP_NUM_THREADS=1 python tests/benchmarks/evaluation.py

Random labels and probabilities of the shapes of PCBA's test part (128 assays, 44,000 molecules, 39 % of the
labels missing, 1.4 % active), the same without missing labels, ToxCast (617 assays, 71 % missing) and a
very sparse table (617 assays, 97 % missing). `rank + roc_auc + interval` is what is compared; `evaluate` has
all columns of evaluation.csv. A ratio below 1 is faster than scikit-learn's `roc_auc_score` alone.
"""

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from screening.metrics.average_precision import pooled_average_precision
from screening.metrics.per_assay import evaluate
from screening.metrics.ranking import rank
from screening.metrics.roc_auc import delong_interval, roc_auc

SHAPES = {
    "PCBA's test part": (44_000, 128, 0.61, 0.014),
    "the same, all measured": (44_000, 128, 1.0, 0.014),
    "half of all active": (44_000, 128, 1.0, 0.5),
    "ToxCast, whole": (8_576, 617, 0.29, 0.08),
    "97 % missing": (8_576, 617, 0.03, 0.08),
}


def best_time(work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def scikit_learn_loop(labels: np.ndarray, scores: np.ndarray) -> list[float]:
    values = []
    for label, score in zip(labels.T, scores.T, strict=True):
        measured = ~np.isnan(label)
        if len(np.unique(label[measured])) == 2:
            values.append(roc_auc_score(label[measured], score[measured]))
    return values


def main() -> None:
    random = np.random.default_rng(0)
    print(f"{'':24s}{'scikit-learn':>14s}{'AUC':>8s}{'+interval':>11s}{'evaluate':>10s}{'micro AP':>10s}")
    for name, (n, n_tasks, measured, active) in SHAPES.items():
        labels = (random.random((n, n_tasks)) < active).astype(np.float32)
        labels[random.random((n, n_tasks)) > measured] = np.nan
        scores = random.random((n, n_tasks), dtype=np.float32)
        tasks = [f"assay {task}" for task in range(n_tasks)]
        plain = best_time(lambda: scikit_learn_loop(labels, scores), 2)  # noqa: B023
        ours = [
            best_time(lambda: roc_auc(rank(labels, scores))),  # noqa: B023
            best_time(lambda: delong_interval(rank(labels, scores))),  # noqa: B023
            best_time(lambda: evaluate(labels, scores, tasks, part="test")),  # noqa: B023
            best_time(lambda: pooled_average_precision(labels, scores)),  # noqa: B023
        ]
        ratios = "".join(f"{t / plain:>{w}.2f}" for t, w in zip(ours, (8, 11, 10, 10), strict=True))
        print(f"{name:24s}{plain:>12.2f} s{ratios}")


if __name__ == "__main__":
    main()
