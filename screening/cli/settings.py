"""From the words of a command to settings: recipes by name, options that are settings.

Joined to the command line by cli.py, where a config or a setting is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..recipes import recipes
from .console import say

if TYPE_CHECKING:
    from ..config import AnyConfig, Config

CsvSafe = Annotated[
    bool,
    typer.Option(
        "--csv-safe",
        help="Put an apostrophe before texts in CSV files that a spreadsheet would run as formulas.",
    ),
]
"""Option of every command that writes CSV for people."""


def config_file(text: str, *, or_table: bool = False) -> "AnyConfig":
    """The config that a word of the command line means: a path, or the name of a recipe that comes along.

    Parameters
    ----------
    or_table : a table, its file or name, may be given in its place; the recipe best chooses then.

    Raises
    ------
    ConfigError : a run folder, or a table where none may be given, answered with the command to type.
    """
    from ..config import is_table, of_table
    from ..data.catalogue import catalogue

    path = Path(text)
    if path.is_file() and not is_table(path):
        return path
    if (path / "config.yaml").is_file():
        raise ConfigError(
            f"{path} is a run folder, not a config. A run that was stopped goes on with: "
            f"screening train {path / 'config.yaml'} --resume"
        )
    by_name = recipes()
    if is_table(path) or (text in catalogue and text not in by_name):
        if not or_table:
            raise ConfigError(f"{text} is a table, not a config. Train on it with: screening train {text}")
        say(f"No config: the recipe best chooses what fits {text}")
        usual = {"split": catalogue[text].split} if text in catalogue else {}
        return of_table(path) | usual
    if text in by_name:
        say(f"Config: {by_name[text]}")
        return by_name[text]
    if path.suffix == ".yaml" and path.stem in by_name:
        raise ConfigError(
            f"There is no config file {path} in this folder; the one that comes along is called by its name: "
            f"screening train {path.stem}"
        )
    return path  # which `load_config` refuses, with the names that are near


def with_options(overrides: Sequence[str] | None, options: Mapping[str, object]) -> list[str]:
    """Overrides together with the options that stand for settings.

    Raises
    ------
    ConfigError : a setting was given both ways.
    """
    given = list(overrides or [])
    for key, value in options.items():
        if value is None:
            continue
        if any(each.partition("=")[0] == key for each in given):
            raise ConfigError(
                f"{key} was given twice, as {key}=... and as --{key.rpartition('.')[2]}: give one."
            )
        given.append(f"{key}={value}")
    return given


def option_hint(problem: Exception, words: Sequence[str]) -> str | None:
    """What to type in place of an option that does not exist but is a setting, such as --batch-size.

    None if it is no setting, the command `words` has none, or the problem is another one.
    """
    option = getattr(problem, "option_name", "")
    if type(problem).__name__ != "NoSuchOption" or words[0] not in ("train", "tune", "group", "benchmark"):
        return None
    from ..config import setting_keys

    setting = option.lstrip("-").replace("-", "_").lower()
    keys = [key for key in setting_keys() if setting in (key, key.rpartition(".")[2])]
    keys = keys or _of_encoders(setting)
    if not keys:
        return None
    value = next((word for word in _after(option, words) if not word.startswith("-")), "...")
    ways = " or ".join(f"{key}={value}" for key in keys)
    return f"There is no option {option}: it is a setting, which is written without dashes, as {ways}."


def _of_encoders(option: str) -> list[str]:
    """The setting for an option that some encoder has, such as depth."""
    from ..models.encoders import encoders

    return [f"model.encoder.{option}"] * any(option in encoders.options(name) for name in encoders.names())


def _after(option: str, words: Sequence[str]) -> Iterator[str]:
    """The word after an option, also of --option=word."""
    for place, word in enumerate(words):
        if word.partition("=")[0] == option:
            yield from [word.partition("=")[2]] if "=" in word else words[place + 1 : place + 2]


def kept_in(config: "Config") -> str:
    """What a stopped training leaves behind."""
    folder = config.folder
    if any(folder.glob("checkpoint*.pt")):
        return f"Every finished epoch is kept in {folder}."
    return f"No epoch of {folder} was finished yet."
