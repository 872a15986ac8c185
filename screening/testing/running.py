"""The checks of each family on its members: what `screening check` runs, and what our own tests run."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from ..errors import ConfigError, ScreeningError
from ..plugins import Plugin
from ..registry import Registry, registries
from .subjects import Check, Subject, statement

FAMILIES = {
    "balancer": "balancers",
    "baseline": "baselines",
    "calibration": "calibrations",
    "encoder": "encoders",
    "featurizer": "featurizers",
    "filter": "filters",
    "loss": "losses",
    "metric": "metrics",
    "split": "splits",
}
"""Families with checks, by the name of their registry, and the file beside this one that has them."""


class Finding(NamedTuple):
    """What came of one check of one member."""

    family: str
    member: str
    check: str
    """What must hold, in a sentence."""
    problem: str
    """What does not, with numbers; "" if all is well."""


def checks_of(family: str) -> tuple[Check, ...]:
    """The checks of a family, by the name of its registry; none for a family that has none."""
    if family not in FAMILIES:
        return ()
    checks: tuple[Check, ...] = import_module(f"{__package__}.{FAMILIES[family]}").CHECKS
    return checks


def check_member(family: str, subject: Subject) -> Iterator[Finding]:
    """Run the checks of a family on one of its members, one after the other."""
    registry = next(registry for registry in registries() if registry.family == family)
    try:
        registry.check(subject.name, subject.options)
    except ConfigError as problem:
        yield Finding(family, subject.name, "it can be built", str(problem))
        return
    lacking = [name for name in _required(registry, subject.name) if name not in subject.options]
    if lacking:
        advice = f"give them: {' '.join(f'{subject.name}.{option}=...' for option in lacking)}"
        yield Finding(family, subject.name, "it can be built", f"options without a default; {advice}")
        return
    for check in checks_of(family):
        yield Finding(family, subject.name, statement(check), problem_of(check, subject))


def check_plugin(
    plugin: Plugin, options: Mapping[str, Mapping[str, Any]], families: Sequence[str] = ()
) -> Iterator[Finding]:
    """Run the checks on all members that a plug-in registers.

    Parameters
    ----------
    options : of each member, by its name.
    families : registries' names; empty = all.
    """
    for family, names in plugin.members().items():
        if not families or family in families:
            for name in names:
                yield from check_member(family, Subject(name, options.get(name, {})))


def problem_of(check: Check, subject: Subject) -> str:
    """Why a check fails, "" if it holds; another error than AssertionError is told with its place."""
    try:
        check(subject)
    except AssertionError as problem:
        return _one_line(str(problem)) or "it does not hold"
    except ScreeningError as problem:
        return _one_line(str(problem))
    except Exception as problem:
        frame = traceback.extract_tb(problem.__traceback__)[-1]
        return f"{type(problem).__name__} at {frame.filename}:{frame.lineno}: {_one_line(str(problem))}"
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _required(registry: Registry[Any], name: str) -> list[str]:
    """Options without a default."""
    options = registry.options(name).items()
    return [option for option, parameter in options if parameter.default is parameter.empty]
