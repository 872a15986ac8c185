"""What a search goes over: settings of a config, each with the values that it may take.

A setting is a key with dots as on the command line. Nothing here knows Optuna; `study` does.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..config import Config, load_config
from ..config_sections import NETWORK, Component
from ..config_studies import Range
from ..errors import ConfigError
from ..models.baselines import baselines
from ..models.encoders import encoders
from ..registry import Registry
from ..training.after_training import check_trust
from ..training.components import check_components

FIXED = {
    **dict.fromkeys(("name", "runs", "benchmark", "tune", "learning_curve"), "it is not about a model"),
    **dict.fromkeys(("data", "split", "seed"), "trials are compared on one validation part"),
    **dict.fromkeys(("calibration", "domain"), "it does not change the order of molecules"),
    "plugins": "they are imported once",
}
"""Settings that cannot be searched, and why."""

BLEND = "model.blend."
_TRAINING = {
    "train.lr": Range(low=1e-4, high=3e-3, log=True),
    "train.weight_decay": Range(low=1e-3, high=0.3, log=True),
    "train.batch_size": Range(choices=(64, 128, 256)),
}
_RATES = ("dropout", "count_dropout", "real_dropout")
_WIDTHS = ("width", "hidden")
_OF_BASELINES = {
    "c": Range(low=1e-3, high=3.0, log=True),
    "class_c": Range(low=1e-3, high=3.0, log=True),
    "columns": Range(low=0.03, high=0.6, log=True),
    "counts": Range(choices=("log", "plain")),
    "features": Range(choices=("sqrt", 0.1, 0.3)),
    "leaves": Range(low=8, high=128, log=True),
    "lr": Range(low=0.01, high=0.1, log=True),
    "smallest_leaf": Range(low=1, high=30, log=True),
}
"""What is searched of a baseline that has an option of this name."""


class Setting(NamedTuple):
    """One setting of a search and the values it may take."""

    key: str
    low: float
    """Of choices 0."""
    high: float
    """Of choices their number less 1."""
    log: bool
    step: float | None
    is_whole: bool
    choices: tuple[Any, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The choices as JSON, by which they are stored."""
        return tuple(json.dumps(choice) for choice in self.choices)

    def value(self, stored: Any) -> Any:
        """The value of the setting from what a study stores: a number, or the text of a choice."""
        return self.choices[self.texts.index(stored)] if self.choices else stored

    def stored(self, value: Any) -> Any:
        """What a study stores of a value; None of a value that is not in the space."""
        if self.choices:
            return json.dumps(value) if json.dumps(value) in self.texts else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        is_inside = self.low <= value <= self.high and math.isclose(steps, round(steps), abs_tol=1e-9)
        return value if is_inside else None

    def ends(self) -> tuple[Any, ...]:
        """The values that are tried out before a search: both ends, or all choices."""
        return self.choices or tuple(int(end) if self.is_whole else end for end in (self.low, self.high))


class Space(NamedTuple):
    """The settings that are searched."""

    settings: tuple[Setting, ...]

    @classmethod
    def of(cls, config: Config) -> "Space":
        """The space of a config, or the default one for its model.

        Raises
        ------
        ConfigError : a setting is not known or cannot be searched, or a value of its range is not allowed.
        """
        ranges = (config.tune.space if config.tune else {}) or default_space(config)
        for key in ranges:
            _check_key(key)
        space = cls(tuple(_setting(config, key, values) for key, values in ranges.items()))
        for changed in space.corners():
            space.applied(config, changed)
        return space

    def corners(self) -> Iterator[dict[str, Any]]:
        """Values that show whether all can be built: every end of each setting, the others at their first."""
        first = {setting.key: setting.ends()[0] for setting in self.settings}
        yield first
        for setting in self.settings:
            yield from (first | {setting.key: end} for end in setting.ends()[1:])

    def applied(self, config: Config, values: Mapping[str, Any]) -> Config:
        """The config with these settings; names and options are checked, nothing is built.

        Raises
        ------
        ConfigError : names the settings that were tried.
        """
        try:
            changed = load_config(_with_blend(config, values), _without_blend(values))
            check_components(changed)
            check_trust(changed)
        except ConfigError as problem:
            raise ConfigError(f"tune.space, at {told(values)}: {problem}") from problem
        return changed

    def current(self, config: Config) -> dict[str, Any] | None:
        """What a study stores of the config's own settings; None where one is outside of the space."""
        tree = _tree(config)
        pairs = {setting.key: setting.stored(_at(tree, setting.key)) for setting in self.settings}
        return None if any(value is None for value in pairs.values()) else pairs


def told(values: Mapping[str, Any]) -> str:
    """Settings for people.

    >>> told({"train.lr": 0.00123456, "train.batch_size": 64})
    'train.lr=0.00123, train.batch_size=64'
    """
    return ", ".join(f"{key}={shown(value)}" for key, value in values.items())


def shown(value: Any) -> str:
    """A value as a person types it; numbers in three digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)


def default_space(config: Config) -> dict[str, Range]:
    """What is worth searching of the models of a config: training, and options of their own by name.

    Raises
    ------
    ConfigError : nothing is known of the model.
    """
    ranges: dict[str, Range] = {}
    for part in config.model.parts:
        where = f"{BLEND}{part.label}." if config.model.blend else "model.baseline."
        if part.name != NETWORK:
            options = baselines.options(part.name)
            ranges |= {where + key: values for key, values in _OF_BASELINES.items() if key in options}
        elif part.encoder is not None:
            ranges |= _TRAINING | _of_encoder(part.encoder, f"{where}encoder.")
        else:
            ranges |= _TRAINING | _of_encoder(config.model.encoder, "model.encoder.")
    if not ranges:
        raise ConfigError(_no_default(config))
    return ranges


def _no_default(config: Config) -> str:
    return (
        "tune.space is empty, and there is no default for "
        f"{', '.join(part.name for part in config.model.parts)}. Name what is searched, such as "
        "tune: {space: {model.baseline.OPTION: {choices: [1, 2]}}}."
    )


def _of_encoder(encoder: Component, where: str) -> dict[str, Range]:
    """Ranges around the defaults of an encoder, whose keys begin with `where`."""
    options = encoders.options(encoder.name)
    ranges = {where + name: Range(low=0, high=0.6) for name in _RATES if name in options}
    for name in _WIDTHS:
        if name in options:
            width = options[name].default
            ranges[where + name] = Range(choices=(width // 2, width, 2 * width))
    if "depth" in options:
        depth = options["depth"].default
        ranges[f"{where}depth"] = Range(low=max(2, depth - 2), high=depth + 2)
    if "widths" in options:
        ranges[f"{where}widths"] = Range(choices=([512], [1024], [512, 512], [1024, 512], [1024, 1024]))
    return ranges


def _check_key(key: str) -> None:
    for fixed, why in FIXED.items():
        if key == fixed or key.startswith(f"{fixed}."):
            raise ConfigError(f"tune.space: {key} cannot be searched: {why}.")


def _setting(config: Config, key: str, values: Range) -> Setting:
    """A setting with whole numbers where its type or its ends ask for them."""
    if values.choices:
        return Setting(key, 0, len(values.choices) - 1, False, None, False, values.choices)
    low, high = values.bounds
    ends = (low, high, values.step or 1.0)
    is_whole = all(end.is_integer() for end in ends) and not _takes_fractions(config, key, low)
    return Setting(key, low, high, values.log, values.step, is_whole)


def _takes_fractions(config: Config, key: str, low: float) -> bool:
    """Whether a setting takes a number between two whole ones."""
    try:
        Space(()).applied(config, {key: low + 0.5})
    except ConfigError:
        return False
    return True


def _without_blend(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith(BLEND)}


def _with_blend(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """The config as plain values, options of the models of a blend among them."""
    tree = config.model_dump()
    parts = _by_label(tree)
    for key, value in values.items():
        if key.startswith(BLEND):
            label, *words = key.removeprefix(BLEND).split(".")
            inner = parts.get(label)
            for word in words[:-1]:
                inner = inner.get(word) if inner else None
            if not words or not isinstance(inner, dict):
                raise ConfigError(
                    f"{key} is no setting of a model of the blend: expected {BLEND}NAME.OPTION."
                )
            inner[words[-1]] = value
    return tree


def _by_label(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The models of a blend by what they are called."""
    return {part.get("as") or part["name"]: part for part in tree["model"]["blend"]}


def _tree(config: Config) -> dict[str, Any]:
    """The config as plain values, with the options of components that are not given at their defaults."""
    tree = config.model_dump()
    model = tree["model"]
    model["blend"] = _by_label(tree)
    families: list[tuple[Registry[Any], Any]] = [(encoders, model["encoder"]), (baselines, model["baseline"])]
    families += [(baselines, part) for part in model["blend"].values() if part["name"] != NETWORK]
    families += [(encoders, part.get("encoder")) for part in model["blend"].values()]
    for family, component in families:
        for name, option in family.options(component["name"]).items() if component else ():
            component.setdefault(name, option.default)
    return tree


def _at(tree: Any, key: str) -> Any:
    """The value at a key; None where there is none."""
    for word in key.split("."):
        tree = tree.get(word) if isinstance(tree, dict) else None
    return list(tree) if isinstance(tree, tuple) else tree
