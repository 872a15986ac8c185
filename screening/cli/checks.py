"""Checks of options that come first, before a table, a model or a folder is touched."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..registry import did_you_mean

if TYPE_CHECKING:
    from ..config import Config

PARTS = ("test", "valid")
"""Split parts that a run keeps predictions of."""


def check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    """Raise ConfigError unless the value of an option is one of those that are known."""
    if value not in choices:
        raise ConfigError(f"{option} is '{value}'. {did_you_mean(value, choices)}")


def check_file(option: str, path: Path | None, *suffixes: str) -> None:
    """Raise ConfigError unless a file of that name can be written: its ending, its folder."""
    if path is None:
        return
    if path.suffix not in suffixes:
        raise ConfigError(f"{option} is '{path}': expected a file that ends in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{option} is '{path}': there is no folder {path.parent}. Make it, or name another."
        )


def check_apart(options: dict[str, bool], why: str) -> None:
    """Raise ConfigError that names the options that were given where they have no meaning."""
    given = [option for option, is_given in options.items() if is_given]
    if given:
        raise ConfigError(f"{' and '.join(given)}: {why}")


def check_settings(config: "Config") -> None:
    """Raise ConfigError where settings name what there is not, or a device that is not here."""
    from ..training.components import check_components
    from ..training.devices import choose_device

    check_components(config)
    choose_device(config.train.device)
