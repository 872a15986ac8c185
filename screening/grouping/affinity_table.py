"""affinity.parquet of a run: what is known of every pair of assays, and how far it can be trusted.

Written by `training`, read by `choosing`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..balancing.pair_means import split_half_reliability
from ..errors import DataError
from ..training.run_folder import AGAIN

COLUMNS = {"raw": "affinity", "relative": "cosine"}
"""What effects are called in the file, by their scale."""
USEFUL = 0.7
"""Reliability below which the line about it says what to do: half of the differences are then noise."""


class Matrix(NamedTuple):
    """Effects of assays on each other; row = who steps, column = who is affected; NaN = unknown."""

    values: np.ndarray
    """[T, T]"""
    error: np.ndarray
    """[T, T], standard error of each."""
    first: np.ndarray
    """[T, T], from one half of the steps alone."""
    second: np.ndarray
    """[T, T], from the other half."""

    def known_where(self, is_known: np.ndarray) -> "Matrix":
        """The same with all pairs unknown but those at `is_known` [T, T]."""
        return Matrix(*(np.where(is_known, values, np.nan) for values in self))

    @property
    def reliability(self) -> float:
        """See `split_half_reliability`; NaN where too few pairs are known."""
        return split_half_reliability(self.first, self.second)

    def described(self) -> str:
        """How reliable the whole is, in a line."""
        off = ~np.eye(len(self.values), dtype=bool)
        start = (
            f"effects are known of {np.isfinite(self.values[off]).sum():,} of {off.sum():,} pairs of assays"
        )
        if np.isnan(self.reliability):
            return f"{start}, too few or from too few steps to say how reliable they are"
        advice = "" if self.reliability >= USEFUL else "; train longer (train.epochs) before you trust groups"
        return f"{start}, with a reliability of {self.reliability:.2f} (1 = no noise){advice}"


class AffinityTable(NamedTuple):
    """The whole file."""

    tasks: tuple[str, ...]
    matrices: dict[str, Matrix]
    """By the names of COLUMNS."""
    shared: np.ndarray
    """int64 [T, T], molecules of the training part that both assays are measured in."""


def read_affinity(run: Path) -> AffinityTable:
    """What a run says about its pairs of assays.

    Raises
    ------
    DataError : it has no affinities, those of an older version, or the file was changed.
    """
    path = Path(run) / "affinity.parquet"
    if not path.is_file():
        raise DataError(f"{run} has no affinity.parquet. Train it with grouping.affinity=linear (or exact).")
    try:
        frame = pq.read_table(path).to_pandas()
        tasks = tuple(str(name) for name in frame["source"].unique())
        matrices = {
            scale: Matrix(*(_square(frame, f"{name}{end}", len(tasks)) for end in ("", "_error", "_1", "_2")))
            for scale, name in COLUMNS.items()
        }
        shared = _square(frame, "shared", len(tasks)).astype(np.int64)
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as problem:
        raise DataError(f"{path} is not a table of affinities: {problem}. {AGAIN}") from problem
    if list(frame["target"][: len(tasks)]) != list(tasks):
        raise DataError(f"{path}: the pairs are not in the order of the assays. {AGAIN}")
    return AffinityTable(tasks, matrices, shared)


def _square(frame: pd.DataFrame, name: str, n: int) -> np.ndarray:
    """A column as a matrix [n, n]."""
    return frame[name].to_numpy(np.float64).reshape(n, n)
