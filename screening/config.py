"""One experiment as one YAML file: read, with settings that win over it, checked, and written back."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from .config_sections import Config, Data, Loss, Section
from .errors import ConfigError
from .plain_yaml import as_texts, dump, one_text, plain, yaml_tree
from .recipes import recipes
from .registry import did_you_mean

AnyConfig: TypeAlias = str | Path | Mapping[str, Any] | Config
"""A YAML file, the name of a recipe, a table, a dictionary or a config: what `load_config` takes."""

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".sdf", ".sd", ".smi", ".gz", ".xlsx", ".xls")
"""Endings of tables, which may be given in place of a config."""


def load_config(config: AnyConfig, overrides: Mapping[str, Any] | Iterable[str] = ()) -> Config:
    """The checked config of a YAML file, the name of a recipe, a dictionary or a config; overrides win.

    Parameters
    ----------
    overrides : `{"train.epochs": 5}`, or texts `train.epochs=5` as on the command line.

    Raises
    ------
    ConfigError : file missing or not YAML, unknown key, wrong type or range.

    Examples
    --------
    >>> config = load_config({"name": "mine", "data": {"source": "assays.csv"}}, {"train.epochs": 5})
    >>> config.train.epochs, load_config(config, ["seed=3"]).seed
    (5, 3)
    """
    values, where = _settings_of(config)
    if isinstance(values, dict):
        parsed = _parsed_overrides(overrides)
        for keys, value in sorted(parsed, key=lambda item: (len(item[0]) > 1, item[0][-1] != "name")):
            _set(values, keys, value)
    return check_config(values, where=where)


def _settings_of(config: AnyConfig) -> tuple[Any, str]:
    """The settings as plain values, and where they are from, for messages."""
    if isinstance(config, Config):
        return config.model_dump(exclude_unset=True), config.name
    if isinstance(config, Mapping):
        return plain(config), "config"
    path = Path(config)
    if is_table(path):
        return of_table(path), str(path)
    path = _config_path(path)
    try:
        return _interpolated(yaml_tree(path.read_text(encoding="utf-8"))), str(path)
    except (YAMLError, OSError, ValueError) as problem:
        raise ConfigError(f"{path} is not a config in YAML: {problem}") from problem


def is_table(path: Path) -> bool:
    """Whether the name is that of a table of structures, by its ending."""
    return path.name.lower().endswith(TABLES)


def of_table(source: Path) -> dict[str, Any]:
    """The settings of a training on a table without a config: the recipe `best`, and the table's name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", source.name.split(".")[0]).strip("-_")
    return {"name": name or "table", "data": {"source": str(source)}, "recipe": "best"}


def with_defaults(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config with these settings, keys with dots, where it was not told of them itself.

    A setting counts as told of where it, a section or a component that it is in, or a part of it was given.

    Examples
    --------
    >>> config = load_config({"name": "mine", "data": {"source": "assays.csv"}, "train": {"lr": 0.1}})
    >>> config = with_defaults(config, {"train.lr": 0.001, "train.epochs": 5})
    >>> config.train.lr, config.train.epochs
    (0.1, 5)
    """
    values = config.model_dump(exclude_unset=True)
    given = given_settings(config)
    for key, value in settings.items():
        if key not in given:
            _set(values, key.split("."), plain(value))
    return check_config(values, where=config.name)


def given_settings(section: Section, before: str = "") -> set[str]:
    """The settings, keys with dots, that a config or a section of it was told; all of one read from a run."""
    keys = set()
    for name in section.model_fields_set:
        value = getattr(section, name)
        if isinstance(value, Section) and not isinstance(value, Loss):
            keys |= given_settings(value, f"{before}{name}.")
        else:
            keys.add(f"{before}{name}")
    return keys


def _config_path(path: Path) -> Path:
    """The file, or the recipe of that name."""
    if path.is_file():
        return path
    by_name = recipes()
    if str(path) in by_name:
        return by_name[str(path)]
    near = sorted(str(each) for each in path.parent.glob("*.yaml")) if path.suffix else []
    raise ConfigError(
        f"There is no config file {path}. Give a YAML file, or the name of a recipe. "
        f"{did_you_mean(str(path), [*near, *by_name])}"
    )


_OF_TRAINING = dict.fromkeys(
    ("auxiliary", "auxiliary_weight", "keep_auxiliary"), "auxiliary tables are for training alone"
)
"""Settings of `data` that say nothing of how a table is read, and why they cannot be given for one."""


def data_settings(
    source: str | list[str], overrides: Iterable[str], *, fixed: Mapping[str, str] = MappingProxyType({})
) -> Data:
    """How a table outside of a config is read: `data.key=value` settings as for a training.

    Parameters
    ----------
    fixed : settings that cannot be given here, and why.

    Raises
    ------
    ConfigError : a setting of something else than data, one of `fixed`, or a wrong value.
    """
    values: dict[str, Any] = {"source": source}
    fixed = {**fixed, **_OF_TRAINING}
    for text in overrides:
        keys, value = _parse_override(text)
        if keys[0] != "data" or len(keys) < 2:
            settings = ", ".join(f"data.{key}" for key in Data.model_fields if key not in fixed)
            raise ConfigError(f"'{text}': only settings of the table are taken here: {settings}.")
        if keys[1] in fixed:
            raise ConfigError(f"'{text}' cannot be given here: {fixed[keys[1]]}.")
        _set(values, keys[1:], value)
    where = source if isinstance(source, str) else ", ".join(source)
    return check_config({"name": "table", "data": values}, where=where).data


def check_config(values: Any, where: str = "config") -> Config:
    """The checked config of a plain dictionary; ConfigError names the key and what was expected."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected sections such as 'data:' and 'model:', found {values!r}.")
    try:
        return Config.model_validate(values)
    except ValidationError as problem:
        lines = [_explain(error) for error in problem.errors()]
        raise ConfigError(f"{where}: " + "\n".join(dict.fromkeys(lines))) from problem


def to_yaml(config: Config) -> str:
    """The whole config, defaults included, as YAML that `load_config` reads back equal."""
    return dump(config.model_dump())


def _interpolated(tree: Any) -> Any:
    """The tree with the values of `${key}` and `${oc.env:NAME}` filled in."""
    if "${" not in str(tree):
        return tree
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return _filled(tree, OmegaConf.to_container(OmegaConf.create(as_texts(tree)), resolve=True))
    except OmegaConfBaseException as problem:
        raise ValueError(str(problem)) from problem


def _filled(tree: Any, values: Any) -> Any:
    """The tree with those texts taken from `values` that hold a `${...}`."""
    if isinstance(tree, dict):
        return {key: _filled(inner, values[key]) for key, inner in tree.items()}
    if isinstance(tree, list):
        return [_filled(inner, value) for inner, value in zip(tree, values, strict=True)]
    return one_text(str(values)) if isinstance(tree, str) and "${" in tree else tree


def _parsed_overrides(overrides: Mapping[str, Any] | Iterable[str]) -> list[tuple[list[str], Any]]:
    if not isinstance(overrides, Mapping):
        texts = [overrides] if isinstance(overrides, str) else overrides
        return [_parse_override(text) for text in texts]
    for key in overrides:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ConfigError(f"'{key}' is no setting to override: expected a key such as train.epochs.")
    return [(key.split("."), _short_baseline(key, plain(value))) for key, value in overrides.items()]


_KEY = re.compile(r"\w+(\.[\w-]+)*")


def _parse_override(text: str) -> tuple[list[str], Any]:
    key, equals, value = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise ConfigError(f"'{text}' is not an override: expected key=value, such as train.epochs=5.")
    try:
        return key.split("."), _short_baseline(key, _override_value(value.strip()))
    except YAMLError as problem:
        raise ConfigError(
            f"The value of '{text}' cannot be read: {problem}. Put a text with signs that YAML uses in "
            'quotation marks, such as {"> 10": 0} or ["A, B"].'
        ) from problem


def _override_value(text: str) -> Any:
    """A list, a mapping, a quoted text, or else one text as it was typed, signs and all."""
    if text[:1] not in tuple("[{\"'"):
        tree = one_text(text)
        return yaml_tree(text) if ": " in text and text == tree else tree
    return yaml_tree(text)


def _short_baseline(key: str, value: Any) -> Any:
    """`model=baseline:NAME` is `model={baseline: {name: NAME}}`."""
    if key == "model" and isinstance(value, str) and value.startswith("baseline:"):
        return {"baseline": {"name": value.removeprefix("baseline:")}}
    return value


def _set(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """Put `value` at `keys`; a new name for a component drops the options of the old one."""
    old_name = Loss().name if keys == ["loss", "name"] else None  # the one section that goes by a name unsaid
    for key in keys[:-1]:
        inner = values.get(key)
        if isinstance(inner, str):
            inner = {"name": inner}
        elif isinstance(inner, list) and keys[-1] != "name":
            raise ConfigError(f"'{key}' is a chain here: give it whole, as {key}=[slaw,pcgrad].")
        values[key] = inner = dict(inner) if isinstance(inner, dict) else {}
        values = inner
    if keys[-1] == "name" and len(keys) > 1 and values.get("name", old_name) != value:
        values.clear()
    values[keys[-1]] = value


def _explain(error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        keys = _keys_at(place[:-1])
        inside = f" in section '{'.'.join(place[:-1])}'" if place[:-1] else ""
        elsewhere = [key for key in setting_keys() if key.rpartition(".")[2] == place[-1]]
        where = f" It is a setting elsewhere: {' or '.join(elsewhere)}." if elsewhere else ""
        return f"unknown key '{place[-1]}'{inside}.{where} {did_you_mean(place[-1], keys)}"
    if error["type"] == "missing":
        return f"'{'.'.join(place)}' is missing."
    if error["type"] == "tuple_type" and isinstance(error["input"], str):
        return f"'{'.'.join(place)}' is {error['input']!r}: expected a list, such as [{error['input']}]."
    return f"'{'.'.join(place)}' is {error['input']!r}: {error['msg']}."


def setting_keys(section: type[Section] | None = None, before: str = "") -> Iterator[str]:
    """Every setting of a section and of those inside it, with its dots; None = of the whole config."""
    for name, field in (section or Config).model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from setting_keys(kind, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _keys_at(place: list[str]) -> list[str]:
    """Keys of the section at that place."""
    section: type[BaseModel] = Config
    for part in place:
        if part.isdigit():
            continue
        kind = section.model_fields[part].annotation if part in section.model_fields else None
        kinds = [one for one in (kind, *getattr(kind, "__args__", ())) if isinstance(one, type)]
        sections = [one for one in kinds if issubclass(one, BaseModel)]
        if not sections:
            return []
        section = sections[0]
    return list(section.model_fields)
