"""Folders of studies, of many trainings of one config: what a study was started with, and is it the same.

A study that is there goes on if config and table are the same; called by `learning_curve` and `tuning`.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ..config import Config, load_config, to_yaml
from ..errors import ConfigError, DataError
from ..training.origins import compare_origins, differing_settings, origin_of
from ..training.preparation import Prepared
from ..training.run_folder import write_text

STARTED, ORIGIN = "study.yaml", "origin.json"
"""What a study was started with: its config, and what its table was."""
ANOTHER = "start anew with `overwrite`, or choose another name=..."


def clear_study(folder: Path) -> None:
    """Remove what a study wrote; ConfigError if the folder has something else."""
    _check_is_study(folder)
    for path in folder.glob("[!.]*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def check_study(
    folder: Path, config: Config, prepared: Prepared, more: Callable[[Config, Config], Sequence[str]]
) -> None:
    """Write what a new study starts with, or check that the one there was started with the same.

    Parameters
    ----------
    more : what of the study's own section differs between two configs, in words.

    Raises
    ------
    ConfigError : it was started with other settings or on another table, or the folder has something else.
    DataError : what it was started with cannot be read.
    """
    origin = json.loads(json.dumps(origin_of(config, prepared)))
    if not (folder / STARTED).exists():
        _check_is_study(folder)
        write_text(folder / ORIGIN, json.dumps(origin, indent=1) + "\n")
        write_text(folder / STARTED, to_yaml(config))
        return
    before = load_config(folder / STARTED)
    changed = [*differing_settings(before, config), *more(before, config)]
    if changed:
        raise ConfigError(
            f"{folder} has a study with other settings ({'; '.join(changed[:5])}): a study goes on with the "
            f"settings it started with. Give the same config, {ANOTHER}"
        )
    try:
        kept = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{folder / ORIGIN} cannot be read: {problem}. Put it back, {ANOTHER}") from problem
    compare_origins(folder, kept, origin)


def _check_is_study(folder: Path) -> None:
    if [*folder.glob("[!.]*")] and not (folder / STARTED).exists():
        raise ConfigError(f"{folder} is not the folder of a study: it stays. Choose another name=...")
