"""Columns of measured values, with their qualifiers, as labels of real and of thresholded assays.

Which columns they are is in `declared`, what a text says in `values`, what to tell of it in `value_notes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ConfigError, DataError, listed
from ..registry import did_you_mean
from .assay_columns import RawTable
from .assay_kinds import Assay
from .column_numbers import column_numbers
from .companions import RELATION_WORDS, UNIT_WORDS, is_companion, words_of_name
from .declared import Declared
from .labels import ExplainedColumn
from .units import factor, unit_name
from .values import Numbers, OnScale, classes_of, on_scale, relations_of

MOST_RELATIONS = 40
"""Different texts of a column of qualifiers, spellings with blanks and quotation marks counted."""


@dataclass(frozen=True, eq=False)
class RealColumn:
    """A column's n cells as measured values in the user's unit."""

    name: str
    values: np.ndarray
    """float64 [n], NaN = not measured or not readable."""
    relations: np.ndarray
    """int8 [n], as in `values`."""
    problems: np.ndarray
    """int [n], place in `reasons` of why a cell is no value; 0 = it is one, or empty."""
    reasons: tuple[str, ...]
    """The different reasons, the first one ""."""
    texts: ExplainedColumn
    """The cells as written."""
    qualifier: str | None
    """Column that the relations are from, None = the cells alone."""
    n_about: int
    """Cells written as approximate (~ 3)."""
    units: str | None = None
    """Column that the units are from, None = the settings alone."""
    unit: str = ""
    """The one unit of that column where the settings name none."""
    n_converted: int = 0
    """Values of another unit of it."""
    n_own_unit: int = 0
    """Values converted from another unit that their cell says."""
    n_contradicting: int = 0
    """Values whose cell says another unit than that column."""

    @property
    def n_filled(self) -> int:
        """Cells with a value or a problem."""
        return int((~np.isnan(self.values) | (self.problems > 0)).sum())

    def without(self, rows: np.ndarray) -> "RealColumn":
        """The column but for the cells at these places."""
        return replace(
            self,
            values=np.delete(self.values, rows),
            relations=np.delete(self.relations, rows),
            problems=np.delete(self.problems, rows),
            texts=self.texts.without(rows),
        )


@dataclass(frozen=True, eq=False)
class ReadAssay:
    """What a declared assay is in a table."""

    declared: Declared
    column: RealColumn
    labels: np.ndarray
    """float32 [n], on the trained scale, or 1 and 0 of a thresholded assay; NaN = not measured."""
    censored: np.ndarray
    """int8 [n], as in `AssayTable`."""
    is_off: np.ndarray
    """bool [n], values that the scale has no number for."""
    n_undecided: int
    """Censored values that a threshold makes no class of."""
    scaled: OnScale
    """The values themselves, on the trained scale."""

    @property
    def assay(self) -> Assay:
        """Its name, kind, unit and scale."""
        return self.declared.assay


def read_columns(raw: RawTable, declared: Sequence[Declared]) -> dict[str, RealColumn]:
    """The columns that the declared assays are made of, by name; each is read once.

    Raises
    ------
    ConfigError : a column of qualifiers that the settings name is not there.
    """
    first = {each.column: each for each in reversed(declared)}
    names = [name for name in raw.columns if name in first]
    return {name: _read(raw, first[name], alone=len(names) == 1) for name in names}


def assay_of(declared: Declared, column: RealColumn) -> ReadAssay:
    """The labels of one assay; its unit is that of a column of units where the settings name none."""
    unit = declared.assay.unit or column.unit
    declared = declared._replace(assay=replace(declared.assay, unit=unit))
    scaled = on_scale(column.values, column.relations, declared.assay)
    if declared.assay.is_real:
        labels, censored = scaled.values.astype(np.float32), np.sign(scaled.relations).astype(np.int8)
        return ReadAssay(declared, column, labels, censored, scaled.is_off, 0, scaled)
    labels = classes_of(scaled.values, scaled.relations, declared.assay)
    n_undecided = int((np.isnan(labels) & ~np.isnan(scaled.values)).sum())
    exact = np.zeros(len(labels), np.int8)
    return ReadAssay(declared, column, labels, exact, scaled.is_off, n_undecided, scaled)


def _read(raw: RawTable, declared: Declared, *, alone: bool) -> RealColumn:
    texts = raw.columns[declared.column]
    numbers = column_numbers(raw, declared.column, texts.different, declared.assay.unit, declared.decimal)
    numbers = _explained(numbers, texts)
    reasons = dict.fromkeys(["", *numbers.problems])
    place = {reason: number for number, reason in enumerate(reasons)}
    problems = np.array([place[reason] for reason in numbers.problems], np.int32)
    column = RealColumn(
        declared.column,
        numbers.values[texts.codes],
        numbers.relations[texts.codes],
        problems[texts.codes],
        tuple(reasons),
        texts,
        None,
        int(texts.counts[numbers.about].sum()),
        n_own_unit=int(texts.counts[numbers.factors != 1].sum()),
    )
    qualifier = qualifier_of(declared, raw.columns, alone=alone)
    if qualifier is not None:
        column = _qualified(column, qualifier, raw.columns[qualifier])
    units = unit_column_of(declared, raw.columns, alone=alone)
    if units is None:
        return column
    own = np.where(numbers.has_unit, numbers.factors, np.nan)[texts.codes]
    return _in_unit(raw, column, units, declared.assay.unit, own)


def _explained(numbers: Numbers, texts: ExplainedColumn) -> Numbers:
    """Texts that the user's `data.labels` calls not measured are no problem."""
    is_missing = np.isnan(texts.meaning)
    pairs = zip(numbers.problems, is_missing.tolist(), strict=True)
    problems = ["" if missing else problem for problem, missing in pairs]
    return numbers._replace(problems=problems, values=np.where(is_missing, np.nan, numbers.values))


def _qualified(column: RealColumn, name: str, texts: ExplainedColumn) -> RealColumn:
    """The column with the relations of another one; the cell's own counts where that says = or nothing."""
    of_text, problems = relations_of(texts.different)
    relations = of_text[texts.codes]
    measured = ~np.isnan(column.values)
    is_odd = np.array([bool(problem) for problem in problems])[texts.codes] & measured
    contradicts = (np.sign(relations) * np.sign(column.relations) < 0) & measured
    reasons = (*column.reasons, f"no relation in '{name}'", f"another relation in '{name}'")
    found_problem = np.select([is_odd, contradicts], [len(reasons) - 2, len(reasons) - 1], column.problems)
    values = np.where(is_odd | contradicts, np.nan, column.values)
    relations = np.where(column.relations != 0, column.relations, relations)
    return replace(
        column,
        values=values,
        relations=np.where(np.isnan(values), 0, relations).astype(np.int8),
        problems=found_problem,
        reasons=reasons,
        qualifier=name,
    )


def _in_unit(raw: RawTable, column: RealColumn, name: str, unit: str, own: np.ndarray) -> RealColumn:
    """The column with values of another unit, which a column of their own names, converted.

    A value without a unit there is taken to be in the assay's.

    Parameters
    ----------
    own : float64 [n], what has converted a value whose cell says its unit; NaN = it says none.

    Raises
    ------
    DataError : there are several units, and the settings do not say which the assay has.
    """
    texts, measured = raw.columns[name], ~np.isnan(column.values)
    counts = np.bincount(texts.codes[measured], minlength=len(texts.different))
    units = [unit_name(text) for text in texts.different]
    named = dict.fromkeys(u for u, n in zip(units, counts.tolist(), strict=True) if u and n)
    if not unit:
        if len(named) < 2:
            return replace(column, units=name, unit=next(iter(named), ""))
        raise DataError(
            f"{raw.path}: the values of '{column.name}' have the units {listed(named, 5)} in '{name}'. Say "
            "the one that they are to be converted to with `unit` in data.assays."
        )
    factors = [1.0 if not each else factor(each, unit) for each in units]
    by_text = np.array([np.nan if each is None else each for each in factors])[texts.codes]
    says_its_own = ~np.isnan(own)
    has_none = np.array([not each for each in units])[texts.codes]
    contradicts = measured & says_its_own & ~has_none & ~np.isclose(by_text, own)
    by_text = np.where(says_its_own, 1.0, by_text)
    is_other = np.isnan(by_text) & measured
    reasons = (*column.reasons, f"a unit in '{name}' that cannot be converted to {unit}")
    return replace(
        column,
        values=np.where(is_other, np.nan, column.values * by_text),
        relations=np.where(is_other, 0, column.relations).astype(np.int8),
        problems=np.where(is_other, len(reasons) - 1, column.problems),
        reasons=reasons,
        units=name,
        n_converted=int((measured & ~is_other & (by_text != 1)).sum()),
        n_contradicting=int(contradicts.sum()),
    )


# --- the columns of qualifiers and units ---------------------------------------------------------------


def qualifier_of(declared: Declared, columns: Mapping[str, ExplainedColumn], *, alone: bool) -> str | None:
    """The column of qualifiers of an assay's column: that which the settings name, or is named after it.

    Found by its name it must mostly hold relations, and be the only one; values beside others are missing.

    Parameters
    ----------
    alone : whether it is the only column of values, to which one called `relation` belongs.

    Raises
    ------
    ConfigError : there is no such column.
    """
    if declared.relation is not None:
        name = declared.relation.replace("*", declared.column)
        if name not in columns:
            raise ConfigError(
                f"data.assays, '{declared.setting}': there is no column '{name}' (relation). "
                f"{did_you_mean(name, columns)}"
            )
        return name
    named = [
        name
        for name, texts in columns.items()
        if name != declared.column
        and is_companion(name, declared.column, RELATION_WORDS, alone=alone)
        and _are_relations(texts)
    ]
    return named[0] if len(named) == 1 else None


def unit_column_of(declared: Declared, columns: Mapping[str, ExplainedColumn], *, alone: bool) -> str | None:
    """The column of units that is named after an assay's column, None unless it is the only one."""
    others = [name for name in columns if name != declared.column]
    named = [name for name in others if is_companion(name, declared.column, UNIT_WORDS, alone=alone)]
    return named[0] if len(named) == 1 else None


def unused_qualifiers(raw: RawTable, columns: Sequence[RealColumn]) -> list[str]:
    """Columns named as qualifiers, of texts such as > and <, that no column of values has taken."""
    used = {column.qualifier for column in columns} | {column.name for column in columns}
    return [
        name
        for name, texts in raw.columns.items()
        if name not in used and RELATION_WORDS & set(words_of_name(name)) and _are_relations(texts)
        if any(relations_of(texts.different)[0])
    ]


def _are_relations(texts: ExplainedColumn) -> bool:
    """Whether a column has relations in most of its filled cells, or nothing."""
    filled = np.array([bool(text.strip()) for text in texts.different], bool)
    n_filled = int(texts.counts[filled].sum())
    if not len(texts.different) or int((texts.counts > 0).sum()) > MOST_RELATIONS:
        return False
    is_odd = np.array([bool(problem) for problem in relations_of(texts.different)[1]], bool)
    return 2 * int(texts.counts[is_odd].sum()) <= n_filled
