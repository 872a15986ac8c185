"""What becomes of the assays that a long table names: their settings, units and places in the table.

Called by `long_values`, which reads what was measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..config_sections import AssaySettings
from ..errors import ConfigError
from ..runtime.ragged import firsts
from .assay_columns import RawTable
from .assay_kinds import Assay
from .declared import Declared, declared_assays
from .labels import Codes
from .long_columns import Roles
from .transforms import MOLAR
from .units import unit_name

MOST_PATTERNS = 12
"""Kinds of value that a setting to paste has a pattern for."""


class Plan(NamedTuple):
    """What becomes of the A names of assays in a long table."""

    names: list[str]
    codes: np.ndarray
    """int64 [n], the name of each record."""
    declared: list[list[Declared]]
    """[A], assays of measured values with the unit of their values; none = the name is one of classes."""
    assays: tuple[Assay, ...]
    """The T assays, in the order of names."""
    first: np.ndarray
    """int64 [A], place of the first assay of each name."""

    @property
    def is_class(self) -> np.ndarray:
        """bool [A], names whose values are labels as they are."""
        return np.array([not declared for declared in self.declared], bool)


def plan_of(
    raw: RawTable, roles: Roles, settings: Mapping[str, AssaySettings], *, is_one_of_several: bool = False
) -> Plan:
    """The assays that `data.assays` makes of the names in a long table; those it does not name have classes.

    Raises
    ------
    ConfigError : settings that fit no name, or have a column of relations: here it is that of `data.long`.
    """
    names, codes = assay_names(raw, roles.assay)
    by_name: dict[str, list[Declared]] = {name: [] for name in names}
    among = () if is_one_of_several else None  # settings may then be of another file
    for each in declared_assays(names, settings, among) if settings else []:
        if each.relation is not None:
            raise ConfigError(
                f"data.assays, '{each.setting}': relation is of tables with a column per assay. In the "
                f"long table {raw.path} say it with data.long.relation={each.relation}"
            )
        by_name[each.column].append(each)
    common = commonest_units(raw, roles, len(names), codes)
    declared = [
        [one._replace(assay=replace(one.assay, unit=one.assay.unit or unit)) for one in of_name]
        for of_name, unit in zip(by_name.values(), common, strict=True)
    ]
    assays = [
        [one.assay for one in of_name] or [Assay(name)] for name, of_name in zip(names, declared, strict=True)
    ]
    first = firsts(np.array([len(of_name) for of_name in assays], np.int64))
    return Plan(names, codes, declared, tuple(chain.from_iterable(assays)), first)


def assay_names(raw: RawTable, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different names of assays in order of appearance, and the place of each record's: int64 [n].

    Names of several columns are joined by a blank; "" where all are empty.
    """
    number = np.zeros(len(raw.rows), np.int64)
    for name in columns:
        column = raw.columns[name]
        number = number * len(column.different) + column.codes
        _, number = np.unique(number, return_inverse=True)
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    names = Codes()
    order = np.argsort(first)
    texts = [
        [raw.columns[name].different[raw.columns[name].codes[k]] for name in columns] for k in first[order]
    ]
    code = np.empty(len(first), np.int64)
    code[order] = names.of([" ".join(filter(None, map(str.strip, parts))) for parts in texts])
    return list(names), code[number]


def commonest_units(raw: RawTable, roles: Roles, n_names: int, codes: np.ndarray) -> list[str]:
    """The unit that most values of each assay have; "" where none has one."""
    if roles.unit is None:
        return [""] * n_names
    units, of_text = unit_codes(raw, roles.unit)
    at = of_text[raw.columns[roles.unit].codes]
    filled = raw.columns[roles.value].codes > 0  # code 0 is the empty text
    counts = np.bincount(codes[filled] * len(units) + at[filled], minlength=n_names * len(units))
    counts = counts.reshape(n_names, len(units))
    counts[:, 0] = 0
    return [
        units[unit] if n else "" for unit, n in zip(counts.argmax(axis=1), counts.max(axis=1), strict=True)
    ]


def unit_codes(raw: RawTable, column: str) -> tuple[list[str], np.ndarray]:
    """Different units, the first of which is "", and the unit of each different text of the column."""
    units = Codes({"": 0})
    of_text = units.of([unit_name(text) for text in raw.columns[column].different])
    return list(units), of_text.astype(np.int64)


def suggested_assays(raw: RawTable, roles: Roles) -> dict[str, dict[str, str]]:
    """Entries of `data.assays` that fit values and units of a long table; a guess for the user to agree to.

    Where names end with a kind of value (IC50, Inhibition), each kind has a pattern of its own.
    """
    last = raw.columns[roles.assay[-1]]
    kinds = [
        text.strip()
        for text, n in zip(last.different, last.counts.tolist(), strict=True)
        if n and text.strip()
    ]
    names, codes = assay_names(raw, roles.assay[-1:])
    units = dict(zip(names, commonest_units(raw, roles, len(names), codes), strict=True))
    if len(roles.assay) > 1 and len(kinds) <= MOST_PATTERNS and len({units[kind] for kind in kinds}) > 1:
        return {f"* {kind}": _suggested(units[kind]) for kind in kinds}
    whole = commonest_units(raw, roles, 1, np.zeros(len(raw.rows), np.int64))[0]
    return {"*": _suggested(whole)}


def _suggested(unit: str) -> dict[str, str]:
    entry = {"kind": "real"} | ({"unit": unit} if unit else {})
    return entry | ({"transform": "neg_log10_molar"} if unit in MOLAR else {})
