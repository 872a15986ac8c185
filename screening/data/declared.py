"""Which assays the setting `data.assays` makes of which columns.

Names and settings alone; the values are read in `real_columns`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..config_sections import AssaySettings
from ..errors import ConfigError, listed
from ..registry import did_you_mean
from .assay_kinds import Assay, matches
from .companions import companions
from .transforms import transforms
from .units import unit_name
from .values import Decimal

AnySettings = Mapping[str, AssaySettings | Mapping[str, Any]]
"""`data.assays` as a config has it, or as plain dictionaries."""


class Declared(NamedTuple):
    """An assay that is made of the measured values of a column."""

    assay: Assay
    column: str
    relation: str | None
    """Column of qualifiers that the settings name, None = found by its name."""
    decimal: Decimal | None
    setting: str
    """Key of `data.assays`."""


def checked_settings(assays: AnySettings) -> dict[str, AssaySettings]:
    """The settings by name or pattern.

    Raises
    ------
    ConfigError : an unknown key, a value of another type, or settings that do not go together.
    """
    checked = {}
    for name, given in assays.items():
        try:
            settings = given if isinstance(given, AssaySettings) else AssaySettings.model_validate(given)
        except ValidationError as problem:
            errors = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.errors()
            )
            raise ConfigError(f"data.assays, '{name}': {errors}.") from problem
        if wrong := _contradiction(settings):
            raise ConfigError(f"data.assays, '{name}': {wrong}")
        checked[str(name)] = settings
    return checked


def _contradiction(settings: AssaySettings) -> str:
    """Why these settings cannot be meant, "" = they can."""
    is_measured = settings.kind == "real" or settings.threshold is not None
    scale = transforms[settings.transform]
    if not is_measured and (settings.kind == "binary") and (settings.transform != "none" or settings.unit):
        return "a unit or transform is of measured values: add a threshold, or kind: real."
    if settings.active == "below" and settings.threshold is None:
        return "active: below says a side of a threshold: add it."
    if scale.units is not None and unit_name(settings.unit) not in scale.units:
        given = f"'{settings.unit}' is no unit of it" if settings.unit else "it needs the unit of the values"
        return f"transform: {settings.transform}: {given}. Expected unit: {' or '.join(scale.units)}."
    if settings.transform == "logit" and unit_name(settings.unit) not in ("", "%"):
        return f"transform: logit is of percentages, the unit is '{settings.unit}'."
    return ""


def declared_assays(
    columns: Sequence[str], settings: Mapping[str, AssaySettings], among: Sequence[str] | None = None
) -> list[Declared]:
    """The assays of measured values that `settings` make of these columns, in the columns' order.

    Settings that name a column, or say it with `column`, go before patterns, of which the first that matches
    counts; columns of qualifiers or units of other columns are meant by no pattern. Real values with a
    threshold make two assays, `A` and `A>=6.5`. Classes without a threshold are no measured values and not
    among them.

    Parameters
    ----------
    among : assays that are to be used; None = all, and then settings that match no column are an error.

    Raises
    ------
    ConfigError : such a setting, two assays of one name, or settings of one column that differ in how its
        cells are read.
    """
    said = companions(columns)
    chosen = {column: _settings_of(column, settings, by_pattern=column not in said) for column in columns}
    if among is None:
        _check_matched(columns, settings, {name for names in chosen.values() for name in names})
    declared = [
        each
        for column, names in chosen.items()
        for name in names
        for each in _assays_of(column, name, settings[name])
    ]
    _check_agree(declared)
    measured = {each.column for each in declared}
    others = [column for column in columns if column not in measured]
    _check_names([*others, *(each.assay.name for each in declared)])
    return declared


def _settings_of(column: str, settings: Mapping[str, AssaySettings], *, by_pattern: bool) -> list[str]:
    """Keys of the settings that a column has."""
    named = [name for name, given in settings.items() if column == (given.column or name)]
    patterns = [name for name, given in settings.items() if given.column is None and matches(name, column)]
    return named or patterns[: int(by_pattern)]


def _assays_of(column: str, key: str, settings: AssaySettings) -> Iterable[Declared]:
    name = key if settings.column is not None else column
    kind = settings.kind or ("real" if settings.threshold is None else "binary")
    unit = unit_name(settings.unit)
    if kind == "real":
        real = Assay(name, "real", unit, settings.transform, settings.wanted)
        yield Declared(real, column, settings.relation, settings.decimal, key)
    if settings.threshold is not None:
        sign = ">=" if settings.active == "above" else "<="
        called = name if kind == "binary" else f"{name}{sign}{settings.threshold:g}"
        classes = Assay(
            called, "binary", unit, settings.transform, threshold=settings.threshold, active=settings.active
        )
        yield Declared(classes, column, settings.relation, settings.decimal, key)


def _check_matched(columns: Sequence[str], settings: Mapping[str, AssaySettings], used: set[str]) -> None:
    for name, given in settings.items():
        if name in used or any(column == name or matches(name, column) for column in columns):
            continue
        if given.column is not None:
            raise ConfigError(
                f"data.assays, '{name}': there is no column '{given.column}'. "
                f"{did_you_mean(given.column, columns)}"
            )
        what = "no column matches this pattern" if {"*", "?"} & set(name) else "there is no such column"
        raise ConfigError(f"data.assays, '{name}': {what}. {did_you_mean(name.strip('*?'), columns)}")


def _check_agree(declared: Sequence[Declared]) -> None:
    first: dict[str, Declared] = {}
    for each in declared:
        other = first.setdefault(each.column, each)
        if (each.assay.unit, each.relation, each.decimal) != (
            other.assay.unit,
            other.relation,
            other.decimal,
        ):
            raise ConfigError(
                f"data.assays, '{each.setting}' and '{other.setting}' read the column '{each.column}' with "
                "different unit, relation or decimal: a column has one of each."
            )


def _check_names(names: Sequence[str]) -> None:
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ConfigError(
            f"data.assays makes two assays called {listed(twice, 5)}, or one called as another column: give "
            "them names of their own, with the column in `column`."
        )
