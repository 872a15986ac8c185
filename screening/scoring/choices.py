"""The options of a scoring job, checked before a library, a model or a folder is touched."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.formats.opening import is_stream
from ..errors import ConfigError, DataError
from ..registry import did_you_mean
from .engines import ENGINES
from .top_k import LARGEST_BLOCK
from .whole_files import FORMATS

DTYPES = {"float32": np.float32, "float16": np.float16}
"""Of the scores in the parts."""


def check_choices(
    output: str,
    engine: str,
    dtype: str,
    threshold: float | None,
    conformal: float | None,
    top: int,
    limit: int | None,
    workers: int | None,
    block_size: int,
) -> None:
    """Raise ConfigError where one of the options of `scoring.score_library` is not possible."""
    for option, value, choices in (
        ("--format", output, FORMATS),
        ("--engine", engine, ENGINES),
        ("--dtype", dtype, tuple(DTYPES)),
    ):
        if value not in choices:
            raise ConfigError(
                f"{option} is '{value}': expected {' or '.join(choices)}. {did_you_mean(value, choices)}"
            )
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(f"--threshold is {threshold}: expected a probability from 0 to 1.")
    check_error(conformal)
    if top < 0 or (limit is not None and limit < 0):
        raise ConfigError(f"--top is {top}, --limit {limit}: expected counts, 0 or more.")
    if workers is not None and workers < 0:
        raise ConfigError(f"--workers is {workers}: expected a number of processes, 0 for this one alone.")
    if not 1 <= block_size <= LARGEST_BLOCK:
        raise ConfigError(f"block_size is {block_size}: expected 1 to {LARGEST_BLOCK:,} molecules.")


def check_places(sources: Sequence[str | Path], out: str | Path, engine: str, address: str | None) -> None:
    """ConfigError or DataError where library and folder cannot be what they are said to be."""
    if not sources:
        raise ConfigError("The library is empty: name at least one file.")
    if engine == "ray" and any(is_stream(str(source)) for source in sources):
        raise ConfigError("--engine ray reads files, not standard input or pipes: use --engine pool.")
    if engine != "ray" and address is not None:
        raise ConfigError(f"--ray-address is '{address}', but --engine is {engine}: give --engine ray too.")
    if "-" in map(str, sources) and sys.stdin is None:
        raise DataError("Standard input, the library '-', is closed: name a file, or send one with '<'.")
    if Path(out).exists() and not Path(out).is_dir():
        raise DataError(f"{out} is a file, not a folder. Give another folder with --out.")


def check_error(alpha: float | None) -> None:
    """Raise ConfigError unless `conformal` is an error, or None."""
    if alpha is not None and not 0 < alpha < 1:
        raise ConfigError(f"--conformal is {alpha}: expected an error between 0 and 1, such as 0.1.")
