"""What can be named in a config, read off the registered classes and functions, for `screening list`."""

import inspect
import re
from typing import Any, NamedTuple

from ..balancing.contract import Balancer, balancers
from ..data.splits import splits
from ..errors import ConfigError
from ..features.featurizers import READING_RATE, featurizers
from ..metrics.contract import Metric, metrics
from ..models.baselines import baselines
from ..models.encoders import encoders
from ..models.losses import losses
from ..registry import Registry, did_you_mean
from ..triage.filters import filters
from ..uncertainty.calibration import calibrations


class Member(NamedTuple):
    """One member of a registered family, for `screening list`."""

    name: str
    summary: str
    source: str
    """`screening`, or the module of a plug-in."""
    options: list[str]
    """`option=default`; the seed of a run is given by the run."""
    cost: str = ""
    """What a training step costs more than a plain one (balancers); how fast it is (featurizers)."""
    paper: str = ""
    """Link of the first reference; "" if there is none."""


FAMILIES: dict[str, tuple[Registry[Any], str]] = {
    "balancers": (balancers, "how the losses of the assays are weighed against each other: balancer=..."),
    "baselines": (baselines, "models per assay to compare the network with: model=baseline:..."),
    "encoders": (encoders, "networks from a molecule to its representation: model.encoder.name=..."),
    "featurizers": (
        featurizers,
        "what the encoder sees of a molecule: features.graph=..., features.vectors=[...]",
    ),
    "losses": (losses, "what the assays are trained on: loss=..."),
    "filters": (filters, "alerts and rules for screening hits: --filters ..."),
    "splits": (splits, "which molecules train, validate and test: split=..."),
    "metrics": (metrics, "how good the ranking and the probabilities of an assay are"),
    "calibrations": (calibrations, "from scores to probabilities: calibration=..."),
}
"""Registry of each family, and what its members are for."""


def overview() -> list[tuple[str, str, str]]:
    """Name, number of members and purpose of each family."""
    return [(name, str(len(registry.names())), purpose) for name, (registry, purpose) in FAMILIES.items()]


def registry_of(name: str) -> Registry[Any]:
    """The registry of a family, by its name here.

    Raises
    ------
    ConfigError : there is no such family.
    """
    if name not in FAMILIES:
        raise ConfigError(f"There is no family '{name}'. {did_you_mean(name, FAMILIES)}")
    return FAMILIES[name][0]


def family(name: str) -> list[Member]:
    """The members of a registered family.

    Raises
    ------
    ConfigError : there is no such family.
    """
    registry = registry_of(name)
    return [_member(registry, member) for member in registry.names()]


COST_OF = {"balancers": "cost of a step", "featurizers": "molecules a core does"}
COSTS = {
    "losses": "plain",
    "gram": "plain + Gramian",
    "rows": "every gradient",
}


def _member(registry: Registry[Any], name: str) -> Member:
    member = registry.get(name)
    text = inspect.getdoc(member.function if isinstance(member, Metric) else member) or ""
    references = text.partition("References")[2]
    link = re.search(r"https?://((?:[^\s,;()]|\([^\s,;()]*\))+)", references)
    cost = ""
    if registry is balancers:
        balancer = balancers.build(name, ("one", "two"))
        cost = _cost(balancer)
    if registry is featurizers:
        cost = f"{member.rate:,} / s, {READING_RATE / member.rate:.3g} x reading"
    options = [_option(option) for key, option in registry.options(name).items() if key != "seed"]
    paper = link[1].rstrip(".") if link else ""
    return Member(name, _first_sentence(text), registry.registration(name).source, options, cost, paper)


def _cost(balancer: Balancer) -> str:
    """Of a step at the first place where the balancer can work."""
    if balancer.second_look:
        return "plain + forward"
    if balancer.needs == "rows" and (balancer.takes_outer or "last_norm" in (balancer.places or ())):
        return "plain + products"
    return COSTS[balancer.needs]


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _option(parameter: inspect.Parameter) -> str:
    value = parameter.default
    return parameter.name if value is parameter.empty else f"{parameter.name}={value}"
