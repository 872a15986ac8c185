"""The values of a long table as labels of its assays: numbers with relations and units, or classes.

Which columns they are in is found in `long_columns`; how they become rows of a table is in `pivoting`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import UndeclaredError, UnitsError, listed
from .assay_columns import ATTENTION, RawTable, is_measured, words_of
from .assay_guesses import is_another_unit
from .assay_kinds import Assay
from .column_numbers import column_numbers
from .declared import Declared
from .double_logarithms import check_doubled, doubled
from .label_words import as_setting, setting_of
from .labels import UNKNOWN
from .long_columns import Roles
from .long_plan import Plan, suggested_assays, unit_codes
from .units import factor
from .values import classes_of, on_scale, relations_of, why_off


class Cells(NamedTuple):
    """What was measured, in any order; a molecule may have several of an assay."""

    records: np.ndarray
    """int64 [m], place of the record in the table."""
    tasks: np.ndarray
    """int64 [m], place of the assay."""
    labels: np.ndarray
    """float32 [m], on the trained scale; NaN = a value of which a threshold makes no class."""
    censored: np.ndarray
    """int8 [m], as in `AssayTable`."""
    values: np.ndarray
    """float64 [m], what a class of a threshold is made of, NaN of other cells."""
    relations: np.ndarray
    """int8 [m], of `values`."""


@dataclass(frozen=True)
class LongValues:
    """The assays of a long table and what was measured."""

    assays: tuple[Assay, ...]
    cells: Cells
    notes: list[str]


def read_values(
    raw: RawTable,
    roles: Roles,
    plan: Plan,
    labels: Mapping[str, float | None],
    other_units: str = "error",
) -> LongValues:
    """The assays and values of all records; texts that are no values are counted in `notes`.

    Parameters
    ----------
    labels : what texts mean, for messages; `raw` has them explained.
    other_units : error or leave_out, of values whose unit cannot be converted.

    Raises
    ------
    DataError : a value of an assay of classes is no label, or units of an assay contradict.
    """
    is_class = plan.is_class[plan.codes]
    _check_classes(raw, roles, plan, np.flatnonzero(is_class), labels)
    parts = [_class_cells(raw, roles, plan, np.flatnonzero(is_class))]
    reading = _Numbers(raw, roles, plan, other_units)
    alike: dict[Any, list[int]] = {}
    for place, declared in enumerate(plan.declared):
        key = tuple((replace(one.assay, name=""), one.decimal) for one in declared)
        alike.setdefault(key, []).append(place)
    for places in filter(lambda places: plan.declared[places[0]], alike.values()):
        parts += reading.cells(np.flatnonzero(np.isin(plan.codes, places)), plan.declared[places[0]])
    joined = Cells(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return LongValues(plan.assays, joined, reading.notes())


# --- classes ------------------------------------------------------------------------------------------


def _class_cells(raw: RawTable, roles: Roles, plan: Plan, records: np.ndarray) -> Cells:
    column = raw.columns[roles.value]
    labels = column.meaning[column.codes[records]]
    measured = ~np.isnan(labels)
    records, labels = records[measured], labels[measured]
    tasks, nothing = plan.first[plan.codes[records]], np.zeros(len(records), np.int8)
    return Cells(records, tasks, labels, nothing, np.full(len(records), np.nan), nothing)


def _check_classes(
    raw: RawTable, roles: Roles, plan: Plan, records: np.ndarray, labels: Mapping[str, float | None]
) -> None:
    """Raise DataError, with the setting to paste, if a value of an assay of classes is no label."""
    column = raw.columns[roles.value]
    bad = records[column.meaning[column.codes[records]] == UNKNOWN]
    if not len(bad):
        return
    record, name = bad[0], plan.names[plan.codes[bad[0]]]
    n_assays = len(np.unique(plan.codes[bad]))
    words, suggested = words_of(column), dict[str, dict[str, str]]()
    if words and not is_measured(column):
        advice = f"Say what they mean with {as_setting({**labels, **words})}."
    elif is_measured(column):
        suggested = suggested_assays(raw, roles)
        setting = setting_of("data.assays", suggested)
        advice = f"Say what they are, with {setting} (or with a threshold beside the kind, for classes)."
    else:
        advice = (
            "Say which texts are labels with data.labels, such as 'data.labels={active: 1, inactive: 0}', or "
            "name the column of values with data.long.value."
        )
    raise UndeclaredError(
        f"{raw.path} is a long table ({roles}). Record {raw.rows[record]}, assay '{name}': "
        f"{column.different[column.codes[record]]!r} is neither 1, 0 nor empty; so are {len(bad):,} values "
        f"of {n_assays:,} assays. {advice}",
        suggested,
    )


# --- numbers ------------------------------------------------------------------------------------------


class _Numbers:
    """Reads values of real assays, and counts what is none."""

    def __init__(self, raw: RawTable, roles: Roles, plan: Plan, other_units: str) -> None:
        self._raw, self._roles, self._plan = raw, roles, plan
        self._leaves_out = other_units == "leave_out"
        self._problems: dict[str, tuple[int, int]] = {}
        """Reason to count and first record."""
        self._n_converted: dict[str, int] = {}
        """Values by the unit that they were converted to."""
        self._doubled: list[str] = []
        """Notes on logarithms."""
        self._n_clashes = 0
        """Cells with another unit than the column of units."""
        self._n_own_unit: dict[str, int] = {}
        """Those converted from the unit in their cell, likewise."""

    def cells(self, records: np.ndarray, declared: Sequence[Declared]) -> list[Cells]:
        """What was measured in records of names that have these assays but for their names."""
        values, relations = self._values(records, declared[0])
        self._check_doubled(records, values, declared[0].assay)
        return [self._of_assay(records, values, relations, one.assay, k) for k, one in enumerate(declared)]

    def _check_doubled(self, records: np.ndarray, values: np.ndarray, assay: Assay) -> None:
        """Note or refuse logarithms of which the logarithm is taken again."""
        measured = ~np.isnan(values)
        names, at = np.unique(self._plan.codes[records[measured]], return_inverse=True)
        low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        np.minimum.at(low, at, values[measured])
        np.maximum.at(high, at, values[measured])
        column = "" if self._roles.value in ("value", "standard_value") else f" ({self._roles.value})"
        called = [f"{self._plan.names[name]}{column}" for name in names]
        twice = doubled(called, assay, low, high, np.bincount(at, minlength=len(names)))
        self._doubled += check_doubled(self._raw.path, twice, assay)

    def _of_assay(
        self, records: np.ndarray, values: np.ndarray, relations: np.ndarray, assay: Assay, number: int
    ) -> Cells:
        """Labels of the assay with this number, from 0, among those of its name."""
        scaled = on_scale(values, relations, assay)
        if number == 0:
            self._count(records, scaled.is_off, why_off(assay))
        labels, marks = scaled.values.astype(np.float32), np.sign(scaled.relations).astype(np.int8)
        behind = np.full(len(records), np.nan) if assay.is_real else scaled.values
        if not assay.is_real:
            labels, marks = (
                classes_of(scaled.values, scaled.relations, assay),
                np.zeros(len(records), np.int8),
            )
            undecided = np.isnan(labels) & ~np.isnan(scaled.values)
            self._count(records, undecided, "a relation that does not decide on which side of the threshold")
        measured = ~np.isnan(scaled.values)
        tasks = self._plan.first[self._plan.codes[records[measured]]] + number
        arrays = labels[measured], marks[measured], behind[measured], scaled.relations[measured]
        return Cells(records[measured], tasks, *arrays)

    def _values(self, records: np.ndarray, declared: Declared) -> tuple[np.ndarray, np.ndarray]:
        """Numbers in the assay's unit, NaN where there is none, and relations: float64 and int8 [k]."""
        column = self._raw.columns[self._roles.value]
        texts, at = np.unique(column.codes[records], return_inverse=True)
        unit = declared.assay.unit
        different = [column.different[code] for code in texts]
        numbers = column_numbers(self._raw, self._roles.value, different, unit, declared.decimal)
        values, relations = numbers.values[at], numbers.relations[at]
        for problem in filter(None, dict.fromkeys(numbers.problems)):
            has_it = np.array([one == problem for one in numbers.problems], bool)
            self._count(records, has_it[at], problem)
        if self._roles.relation is not None:
            values, relations = self._with_relations(records, values, relations)
        if n := int((numbers.factors[at] != 1).sum()):
            self._n_own_unit[unit] = self._n_own_unit.get(unit, 0) + n
        if self._roles.unit is not None:
            asks_unit = ~np.isnan(values) & ~numbers.has_unit[at]  # what the cell says is converted already
            factors = self._factors(records, asks_unit, unit)
            self._count_clashes(records, numbers.has_unit[at], factors, numbers.factors[at])
            values = np.where(asks_unit, values * factors, values)
        return values, relations

    def _with_relations(
        self, records: np.ndarray, values: np.ndarray, relations: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Relations of cells, or of their column; values with two that differ, or with none, become NaN."""
        column = self._raw.columns[self._roles.relation or ""]
        of_text, problems = relations_of(column.different)
        beside = of_text[column.codes[records]]
        no_relation = np.array([bool(problem) for problem in problems], bool)[column.codes[records]]
        contradicts = (relations != 0) & (beside != 0) & (relations != beside)
        measured = ~np.isnan(values)
        self._count(records, measured & no_relation, "a text that is no relation beside it")
        self._count(records, measured & contradicts, "two relations")
        return np.where(no_relation | contradicts, np.nan, values), np.where(
            relations != 0, relations, beside
        )

    def _factors(self, records: np.ndarray, measured: np.ndarray, unit: str) -> np.ndarray:
        """What converts each value into the unit; NaN where it is left out."""
        column = self._raw.columns[self._roles.unit or ""]
        units, of_text = unit_codes(self._raw, self._roles.unit or "")
        at = of_text[column.codes[records]]
        factors = np.array([_factor(one, unit) for one in units])
        has_none = measured & (at == 0) & bool((at[measured] > 0).any())
        other = measured & (at > 0) & np.isnan(factors[at])
        if other.any() and not self._leaves_out:
            raise self._contradiction(records, other, units, at, unit)
        self._count(records, other, f"a unit that is not converted to {unit or 'none'}")
        self._count(records, has_none, "no unit where others have one")
        n_converted = int((measured & (at > 0) & (np.nan_to_num(factors, nan=1)[at] != 1)).sum())
        if n_converted:
            self._n_converted[unit] = self._n_converted.get(unit, 0) + n_converted
        factors[0] = 1
        return np.where(has_none, np.nan, factors[at])

    def _count_clashes(
        self, records: np.ndarray, has_own: np.ndarray, factors: np.ndarray, own: np.ndarray
    ) -> None:
        """Count cells that say another unit than the column of units does."""
        column = self._raw.columns[self._roles.unit or ""]
        is_filled = np.array([bool(text.strip()) for text in column.different])[column.codes[records]]
        self._n_clashes += int((has_own & is_filled & ~np.isclose(factors, own)).sum())

    def _contradiction(
        self, records: np.ndarray, other: np.ndarray, units: list[str], at: np.ndarray, unit: str
    ) -> UnitsError:
        record = records[other][0]
        name = self._plan.names[self._plan.codes[record]]
        seen = [f"'{units[k]}' ({n:,})" for k, n in enumerate(np.bincount(at[other])) if n]
        assay = [*self._roles.assay, self._roles.unit]
        return UnitsError(
            f"{self._raw.path}: values of assays in '{unit}' have units that cannot be converted to it: "
            f"{listed(seen, mark='')}; the first is record {self._raw.rows[record]}, assay '{name}'. Leave "
            "such values out with data.long.other_units=leave_out, or make assays of their own of them with "
            f"{setting_of('data.long.assay', assay)}"
        )

    def _count(self, records: np.ndarray, where: np.ndarray, reason: str) -> None:
        if where.any():
            n, first = self._problems.get(reason, (0, int(records[where][0])))
            self._problems[reason] = n + int(where.sum()), first

    def notes(self) -> list[str]:
        """What was counted, a sentence each."""
        column = self._raw.columns[self._roles.value]
        notes = [
            f"{self._raw.path}: {n:,} values were left out, {reason}; the first is "
            f"{column.different[column.codes[first]]!r} of record {self._raw.rows[first]}."
            for reason, (n, first) in self._problems.items()
        ]
        return [*self._doubled, *notes, *self._unit_notes()]

    def _unit_notes(self) -> list[str]:
        notes, name = [], self._roles.value
        units = sorted({one.assay.unit for of_name in self._plan.declared for one in of_name})
        if self._n_clashes:
            notes.append(
                f"{ATTENTION}{self._raw.path}: {self._n_clashes:,} cells have another unit than "
                f"'{self._roles.unit}'; the cell's counts."
            )
        if others := [unit for unit in units if is_another_unit(name, unit) and self._roles.unit is None]:
            notes.append(
                f"{ATTENTION}{self._raw.path}: '{name}' says another unit than data.assays, which counts: "
                f"values are read as {listed(others, mark='')}."
            )
        for counts, whence in ((self._n_converted, ""), (self._n_own_unit, " from that in their cell")):
            if n := sum(counts.values()):
                notes.append(
                    f"{self._raw.path}: {n:,} values were converted{whence} to the unit of their assay, "
                    f"{listed(counts, 5, mark='')}; a threshold without a transform is in it."
                )
        return notes


def _factor(unit: str, other: str) -> float:
    value = factor(unit, other)
    return np.nan if value is None else value
