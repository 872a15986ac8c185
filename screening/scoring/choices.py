"""The options of a scoring job, checked before a library, a model or a folder is touched."""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.assay_kinds import Assay
from ..data.formats.opening import is_stream
from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from .engines import ENGINES
from .top_k import LARGEST_BLOCK
from .whole_files import FORMATS

DTYPES = {"float32": np.float32, "float16": np.float16}
"""Of the scores in the parts."""


@dataclass(frozen=True)
class Input:
    """How a library is read."""

    smiles: str | None = None
    """Column of the structures; None = found by its name."""
    id: str | None = None
    """Column of the identifiers; None = found by its name."""
    max_atoms: int | None = None
    """Atoms besides hydrogen that a molecule may have; None = as in training."""


@dataclass(frozen=True)
class Extras:
    """Columns besides the scores, as `Scorer` describes them."""

    spread: bool = False
    domain: bool = False
    conformal: float | None = None
    """The error of the sets of labels and of the intervals of values."""

    def __post_init__(self) -> None:
        check_error(self.conformal)


@dataclass(frozen=True)
class Output:
    """What is written."""

    format: str = "parquet"
    """`csv` or `sdf` for one such file besides the parts, which are Parquet."""
    dtype: str = "float32"
    """Of the scores in the parts: float32 or float16; values of real assays are float32 always."""
    csv_safe: bool = False
    """No cell of the CSV files is run by a spreadsheet (see `csv_cells`)."""

    def __post_init__(self) -> None:
        _check_choice("`format`", self.format, FORMATS)
        _check_choice("`dtype`", self.dtype, DTYPES)


@dataclass(frozen=True)
class Engine:
    """What computes."""

    name: str = "pool"
    """`pool` = processes of this machine, or `ray`."""
    address: str | None = None
    """Of a Ray cluster that runs already; None = one is started."""
    device: str = "auto"
    """Of the networks: auto, cpu or cuda."""

    def __post_init__(self) -> None:
        _check_choice("`engine`", self.name, ENGINES)
        if self.name != "ray" and self.address is not None:
            raise ConfigError(
                f"`ray_address` is '{self.address}', but `engine` is {self.name}: give `engine` ray too."
            )


def _check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        expected = " or ".join(choices)
        raise ConfigError(f"{option} is '{value}': expected {expected}. {did_you_mean(value, choices)}")


def check_counts(
    threshold: float | None, top: int, limit: int | None, workers: int | None, block_size: int
) -> None:
    """Raise ConfigError where one of the numbers of `scoring.score_library` is not possible."""
    if threshold is not None and not math.isfinite(threshold):
        raise ConfigError(f"`threshold` is {threshold}: expected a number.")
    if top < 0 or (limit is not None and limit < 0):
        raise ConfigError(f"`top` is {top}, `limit` {limit}: expected counts, 0 or more.")
    if workers is not None and workers < 0:
        raise ConfigError(f"`workers` is {workers}: expected a number of processes, 0 for this one alone.")
    if not 1 <= block_size <= LARGEST_BLOCK:
        raise ConfigError(f"block_size is {block_size}: expected 1 to {LARGEST_BLOCK:,} molecules.")


def check_threshold(threshold: float | None, assays: Sequence[Assay]) -> None:
    """Raise ConfigError where it is no probability, or is not of the same unit for all assays."""
    if threshold is None:
        return
    units = {(assay.is_real, assay.unit, assay.is_high_good) for assay in assays}
    if len(units) > 1:
        raise ConfigError(
            f"`threshold` is {threshold:g} for {len(assays):,} assays of several kinds, units or good ends. "
            "Choose assays of one unit with `assays`."
        )
    if not assays[0].is_real and not 0 <= threshold <= 1:
        raise ConfigError(f"`threshold` is {threshold}: expected a probability from 0 to 1.")


def check_places(sources: Sequence[str | Path], out: str | Path, engine: str) -> None:
    """ConfigError or DataError where library and folder cannot be what they are said to be."""
    if not sources:
        raise ConfigError("The library is empty: name at least one file.")
    if engine == "ray" and any(is_stream(str(source)) for source in sources):
        raise ConfigError("`engine` ray reads files, not standard input or pipes: use `engine` pool.")
    if "-" in map(str, sources) and sys.stdin is None:
        raise DataError("Standard input, the library '-', is closed: name a file, or send one with '<'.")
    if Path(out).exists() and not Path(out).is_dir():
        raise DataError(f"{out} is a file, not a folder. Give another folder with `out`.")


def check_error(alpha: float | None) -> None:
    """Raise ConfigError unless `conformal` is an error, or None."""
    if alpha is not None and not 0 < alpha < 1:
        raise ConfigError(f"`conformal` is {alpha}: expected an error between 0 and 1, such as 0.1.")


AS_FOUND, NO_EXTRAS = Input(), Extras()
