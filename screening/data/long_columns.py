"""Which columns of a long table hold assay, value, relation and unit: as given, or found by name.

What a table is long by is found in `long_tables`; its values become labels in `long_values`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..config_sections import AssaySettings, LongColumns
from ..errors import DataError, listed
from ..registry import did_you_mean
from .assay_columns import RawTable, is_measured, likely_assays, looks_like_a_property, words_of
from .formats.records import column_key
from .label_words import setting_of
from .long_tables import LongKey, assay_columns, long_key, words_in

CHEMBL_TARGETS = ("target_chembl_id", "target_name", "target_pref_name", "assay_chembl_id", "assay_id")
"""Columns of ChEMBL's exports, the first of which, with the type of the value, names the assay."""

RELATION_WORDS = frozenset(["relation", "relations", "qualifier", "operator", "modifier", "prefix"])
UNIT_WORDS = frozenset(["unit", "units"])
VALUE_NAMES = (
    *("standard_value", "value", "activity_value", "result", "results", "measurement", "measured", "y"),
    *("label", "active", "activity", "outcome", "activity_outcome"),
)
"""Names of columns of values, in order of preference."""


@dataclass(frozen=True)
class Roles:
    """The columns of a long table that matter."""

    assay: tuple[str, ...]
    value: str
    relation: str | None = None
    unit: str | None = None

    def by_setting(self) -> list[tuple[str, str]]:
        """Setting and name of every column that has a role."""
        pairs = [("value", self.value), ("relation", self.relation), ("unit", self.unit)]
        return [*(("assay", name) for name in self.assay), *((role, name) for role, name in pairs if name)]

    def __str__(self) -> str:
        others = "".join(
            f", {role} '{name}'" for role, name in self.by_setting() if role in ("relation", "unit")
        )
        return f"assay {listed(self.assay)}, value '{self.value}'{others}"


def is_chembl(columns: Sequence[str]) -> bool:
    """Whether these are columns of an export of ChEMBL's activities: a row per molecule and activity.

    Examples
    --------
    >>> is_chembl(["Smiles", "Standard Type", "Standard Value", "Target ChEMBL ID"]), is_chembl(["value"])
    (True, False)
    """
    names = set(map(column_key, columns))
    return {"standard_value", "standard_type"} <= names and bool(names & set(CHEMBL_TARGETS))


def roles_of(
    raw: RawTable,
    format: str,
    given: LongColumns,
    tasks: Sequence[str] | None,
    assays: Mapping[str, AssaySettings] = MappingProxyType({}),
) -> Roles | None:
    """The columns of a long table; None = the table is wide.

    Parameters
    ----------
    format : auto, wide or long.
    tasks : assays that the user names: columns, or names in a column of assays; None = not said.
    assays : columns of measured values, likewise.

    Raises
    ------
    DataError : a column is not in the table; or it looks long, and what its columns hold does not show.
    """
    if format == "wide" or (format == "auto" and not raw.columns):
        return None
    tasks = None if tasks is None else [name for name in tasks if name in raw.columns]
    if format == "long" or given.assay or (not tasks and is_chembl(list(raw.columns))):
        return _checked(raw, _roles(raw, given, None))
    labels = tasks or likely_assays(raw)
    measured = {settings.column or name for name, settings in assays.items()} & set(raw.columns)
    key = long_key(raw, [*labels, *(measured - set(labels))])
    if key is None:
        return None
    labels = [name for name in labels if name not in key.columns]
    is_asked = not key.is_plain or bool(tasks or measured)
    if is_asked or len(labels) != 1 or looks_like_a_property(labels[0]):
        raise DataError(_question(raw, key, labels))
    return _checked(raw, _roles(raw, given, key))


def _roles(raw: RawTable, given: LongColumns, key: LongKey | None) -> Roles:
    """All roles: what is given, else what names and content tell."""
    assay = given.assay or (key.columns if key else _assay(raw))
    value = given.value or _value(raw, assay)
    relation = given.relation or _beside(raw, value, RELATION_WORDS)
    return Roles(assay, value, relation, given.unit or _beside(raw, value, UNIT_WORDS))


def _checked(raw: RawTable, roles: Roles) -> Roles:
    for role, name in roles.by_setting():
        if name not in raw.columns:
            raise DataError(
                f"{raw.path} has no column '{name}' (data.long.{role}). "
                f"{did_you_mean(name, list(raw.columns))}"
            )
    return roles


def _assay(raw: RawTable) -> tuple[str, ...]:
    """The columns that name the assay, of a table that the user says is long."""
    names = {column_key(name): name for name in reversed(raw.columns)}
    if is_chembl(list(raw.columns)):
        return (next(names[key] for key in CHEMBL_TARGETS if key in names), names["standard_type"])
    columns = assay_columns(raw)
    if len(columns) == 1:
        return (columns[0],)
    key = None if columns else long_key(raw, likely_assays(raw))
    if key is not None:
        return key.columns
    seen = f"{listed(columns)} could all do so" if columns else "none is named so that it shows"
    raise DataError(
        f"{raw.path}: which column says of which assay a row is? {seen[0].upper()}{seen[1:]}; the columns "
        f"are {listed(raw.columns)}. Say so: {_setting(columns[:1] or ['COLUMN'], None)}"
    )


def _value(raw: RawTable, assay: Sequence[str]) -> str:
    """The column of values: one of a usual name, else the one of labels, else the one of numbers."""
    others = {name: column for name, column in raw.columns.items() if name not in assay}
    names = {column_key(name): name for name in reversed(others)}
    labels = [name for name in likely_assays(raw) if name in others and not looks_like_a_property(name)]
    if "standard_value" not in names and len(labels) == 1:
        return labels[0]
    usual = next((names[key] for key in VALUE_NAMES if key in names), None)
    measured = [name for name, column in others.items() if is_measured(column) or words_of(column)]
    if usual is None and len(measured) != 1:
        raise DataError(
            f"{raw.path}: which column has the values of the assays {listed(assay)}? The others are "
            f"{listed(others)}. Say so: {_setting(assay, None)}"
        )
    return usual or measured[0]


def _beside(raw: RawTable, value: str, words: frozenset[str]) -> str | None:
    """The column of relations or units that belongs to the values: standard_units to standard_value.

    A column without further words in its name belongs to any, one with other words to none.
    """
    stems = {name: words_in(name) - words for name in raw.columns if words_in(name) & words}
    fitting = [name for name, stem in stems.items() if stem <= words_in(value)]
    return max(fitting, key=lambda name: len(stems[name]), default=None)


def _setting(assay: Sequence[str], value: str | None) -> str:
    names = list(assay)
    pairs = {"assay": names[0] if len(names) == 1 else names, "value": value or "COLUMN"}
    return f"data.format=long {setting_of('data.long', pairs)}"


def _question(raw: RawTable, key: LongKey, labels: Sequence[str]) -> str:
    """That a table looks long, with the settings that read it, to paste."""
    measured = [name for name, column in raw.columns.items() if is_measured(column) or words_of(column)]
    values = [name for name in (*labels, *measured) if name not in key.columns]
    unclear = "" if len(values) == 1 else f" ({listed(values) or 'no column'} may hold the values)"
    return (
        f"{raw.path} is a long table, with a row per structure and assay: {key.seen}. Read as a wide one, "
        "different assays would become one, and their labels cancel. To read it as it is, give the settings "
        f"{_setting(key.columns, values[0] if values else None)}{unclear}. If its rows are measurements of "
        "one and the same assay, say so with data.format=wide: labels of a structure are then merged."
    )
