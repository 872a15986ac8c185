"""RMSE on the published test values of MoleculeACE, all and those at cliffs, of runs and of sets of runs.

    python tests/benchmarks/moleculeace.py runs/moleculeace [runs/other ...]

Each is a run, or the name of a set (runs/NAME for runs/NAME-seed0, ...): each run, their mean and deviation,
and the mean of their values as one model. Further ones are compared with the first: difference of the mean
RMSE (over targets, then over seeds), with a 95 % interval over 1,000 draws of the test molecules.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from screening.data.moleculeace_table import measurements
from screening.evaluation.run_sets import run_folders
from screening.training.predictions import read_predictions

DRAWS = 1000


class Tested(NamedTuple):
    """What was measured in the test part, and what runs say of it."""

    labels: np.ndarray
    """[n, T], NaN = not in the test part."""
    is_cliff: np.ndarray
    """bool [n, T]."""
    values: np.ndarray
    """[runs, n, T]."""
    names: list[str]


def read(path: Path) -> Tested:
    """The test part of a run, or of the runs of a set."""
    folders = run_folders(path)
    runs = [read_predictions(folder, part="test") for folder in folders]
    first = runs[0]
    is_real = first.is_real
    tasks = [task for task, real in zip(first.tasks, is_real, strict=True) if real]
    labels = first.labels[:, is_real]
    tested = {(m.smiles, m.assay): m.is_cliff for m in measurements() if m.part == "test"}
    rows, columns = np.nonzero(np.isfinite(labels))
    keys = [(first.smiles[row], tasks[column]) for row, column in zip(rows, columns, strict=True)]
    if set(keys) != set(tested):
        raise SystemExit(f"{path}: {len(set(keys) & set(tested)):,} of {len(tested):,} published test values")
    is_cliff = np.zeros(labels.shape, bool)
    is_cliff[rows, columns] = [tested[key] for key in keys]
    values = np.stack([run.scores[:, is_real] for run in runs])
    return Tested(labels, is_cliff, values, [folder.name for folder in folders])


def mean_rmse(errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over targets of the RMSE, from squared errors [..., T] added up over counts [..., T] of values."""
    return np.sqrt(errors / counts).mean(axis=-1)


def rmse(values: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> float:
    """Mean over targets of the RMSE of the chosen cells."""
    squares = np.where(chosen, (values - np.nan_to_num(labels)) ** 2, 0)
    return float(mean_rmse(squares.sum(axis=0), chosen.sum(axis=0)))


def difference(one: Tested, other: Tested) -> tuple[float, float, float]:
    """Mean RMSE of seeds of the second less the first, with its interval over drawn molecules."""
    measured = np.isfinite(one.labels).astype(np.float64)
    draws = np.random.default_rng(0).poisson(1.0, (DRAWS, len(measured))).astype(np.float64)
    draws[0] = 1
    counts = draws @ measured
    means = []
    for each in (one, other):
        squares = np.nan_to_num((each.values - each.labels) ** 2)
        means.append(np.mean([mean_rmse(draws @ of_run, counts) for of_run in squares], axis=0))
    gaps = means[1] - means[0]
    low, high = np.quantile(gaps[1:], [0.025, 0.975])
    return float(gaps[0]), float(low), float(high)


def tell(path: Path, each: Tested) -> None:
    """A line per run, and what they have in common."""
    measured = np.isfinite(each.labels)
    figures = np.array(
        [
            [rmse(of_run, each.labels, chosen) for chosen in (measured, each.is_cliff)]
            for of_run in each.values
        ]
    )
    for name, (of_all, of_cliffs) in zip(each.names, figures, strict=True):
        print(f"{name:<40} RMSE {of_all:.4f}   cliffs {of_cliffs:.4f}")
    if len(figures) > 1:
        mean, spread = figures.mean(axis=0), figures.std(axis=0, ddof=1)
        print(
            f"{path.name}: mean of {len(figures)} runs: RMSE {mean[0]:.4f} ± {spread[0]:.4f}   "
            f"cliffs {mean[1]:.4f} ± {spread[1]:.4f}"
        )
        together = each.values.mean(axis=0)
        both = [rmse(together, each.labels, chosen) for chosen in (measured, each.is_cliff)]
        print(f"{path.name}: their mean value as one model: RMSE {both[0]:.4f}   cliffs {both[1]:.4f}")


def main() -> None:
    paths = [Path(word) for word in sys.argv[1:]]
    sets = [read(path) for path in paths]
    for path, each in zip(paths, sets, strict=True):
        tell(path, each)
    for path, each in zip(paths[1:], sets[1:], strict=True):
        gap, low, high = difference(sets[0], each)
        print(f"{path.name} less {paths[0].name}: RMSE {gap:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")


if __name__ == "__main__":
    main()
