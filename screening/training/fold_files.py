"""What a model of a blend says of the fold that it was trained without, as a file of the run folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from ..errors import ConfigError
from .run_folder import atomic_file, damaged_checkpoint


def fold_file(label: str, fold: int) -> str:
    """What the files of a model without a fold begin with."""
    return f"fold-{label}-{fold}"


def origin_in_fold(path: Path) -> Any:
    """What the file of a fold says that it rests on.

    Raises
    ------
    ConfigError : it is damaged.
    """
    try:
        with safe_open(path, "np") as file:
            return json.loads(file.metadata()["origin"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as problem:
        raise ConfigError(damaged_checkpoint(path, problem)) from problem


def keep_fold(path: Path, said: np.ndarray, origin: Mapping[str, Any] | None) -> None:
    with atomic_file(path) as work:
        save_file({"outputs": said}, work, {"origin": json.dumps(origin or {})})
        work.chmod(0o644)
    for pattern in (f"checkpoint-{path.stem}.pt", f"checkpoint-{path.stem}-*.pt"):
        for checkpoint in path.parent.glob(pattern):
            checkpoint.unlink()


def kept_fold(path: Path, n_cells: int) -> np.ndarray:
    try:
        said: np.ndarray = load_file(path)["outputs"]
        if said.shape != (n_cells,) or said.dtype != np.float64 or not np.isfinite(said).all():
            raise ValueError(f"{said.dtype} {said.shape} in place of {n_cells} finite numbers")
    except (OSError, SafetensorError, KeyError, ValueError) as problem:
        raise ConfigError(damaged_checkpoint(path, problem)) from problem
    return said
