"""Which members of the registered families a config names: checked before a table is read, and recorded."""

from typing import Any, NamedTuple

from ..balancing.contract import balancers
from ..bundle.needed_plugins import Needed, needed
from ..config import Config
from ..config_sections import NETWORK, Component, Loss
from ..data.splits import splits
from ..errors import ConfigError, listed
from ..features.store import featurizers
from ..metrics.contract import metrics
from ..models.baselines import baselines
from ..models.encoders import encoders
from ..models.losses import losses
from ..plugins import load_plugins
from ..registry import Registry
from ..uncertainty.calibration import calibrations


class Chosen(NamedTuple):
    """A member that a config names."""

    registry: Registry[Any]
    name: str
    options: dict[str, Any]


def chosen(config: Config) -> list[Chosen]:
    """The members of all families that a config names; those of its benchmark too."""
    benchmarked = config.benchmark.balancers if config.benchmark else ()
    components: list[tuple[Registry[Any], Component | Loss]] = [
        (splits, config.split),
        (encoders, config.model.encoder),
        *((encoders, part.encoder) for part in config.model.blend if part.encoder is not None),
        (losses, config.loss),
        (losses, config.real_loss),
        (calibrations, config.calibration),
        *((balancers, link) for chain in (config.balancer, *benchmarked) for link in chain),
        *((baselines, model) for model in config.model.parts if model.name != NETWORK),
    ]
    names = [name for name in (config.features.graph, *config.features.vectors) if name is not None]
    return [
        *(Chosen(registry, component.name, component.options) for registry, component in components),
        *(Chosen(featurizers, name, {}) for name in names),
    ]


def check_components(config: Config) -> None:
    """Import the plug-ins of a config and check all names and options in it; nothing is built.

    Raises
    ------
    ConfigError : a plug-in cannot be imported, a name or an option is not known, or a value has a wrong type.
    """
    load_plugins(config.plugins)
    for registry, name, options in chosen(config):
        registry.check_values(name, options)
    _check_kind("loss", config.loss.name, "binary")
    _check_kind("real_loss", config.real_loss.name, "real")
    if config.model.heads.heteroscedastic and not losses.get(config.real_loss.name).takes_spreads:
        others = [name for name in losses.names() if losses.get(name).takes_spreads]
        raise ConfigError(
            f"model.heads.heteroscedastic is set, and real_loss '{config.real_loss.name}' has no noise. "
            f"Set real_loss to {' or '.join(others)}, or leave heteroscedastic out."
        )

    _check_auxiliary(config)


def _check_auxiliary(config: Config) -> None:
    """Raise ConfigError where auxiliary tables cannot be learned: assays then train apart, or in groups."""
    asked = [key for key in ("affinity", "file") if getattr(config.grouping, key) not in (None, "none")]
    settings = ["model.single_task"] * config.model.single_task + [f"grouping.{key}" for key in asked]
    if config.data.auxiliary and settings:
        raise ConfigError(
            f"data.auxiliary is for one network of all assays, and {settings[0]} is set: leave one of "
            "them out, such as data.auxiliary=[]."
        )


def _check_kind(setting: str, name: str, kind: str) -> None:
    """Raise ConfigError unless a loss is for that kind of assay."""
    if kind not in losses.get(name).kinds:
        others = [each for each in losses.names() if kind in losses.get(each).kinds]
        raise ConfigError(
            f"{setting} is '{name}', which is not for {kind} assays. Expected one of {listed(others)}."
        )


def plugins_in_use(config: Config) -> tuple[Needed, ...]:
    """What a run uses of plug-ins: what its config names, and the metrics, which all are computed."""
    pairs = [(registry, name) for registry, name, _ in chosen(config)]
    inner = [
        (registry, name)
        for registry, _, options in chosen(config)
        for name in _inner_names(registry, options)
    ]
    return needed([*pairs, *inner, *((metrics, name) for name in metrics.names())])


def _inner_names(registry: Registry[Any], options: dict[str, Any]) -> list[str]:
    """Members of the same family inside the options of one, such as the graph encoder of `hybrid`."""
    values = [value.get("name") if isinstance(value, dict) else value for value in options.values()]
    return [value for value in values if isinstance(value, str) and registry.has(value)]
