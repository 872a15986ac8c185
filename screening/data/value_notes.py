"""What to say of columns of measured values: what is refused, taken as missing, or cannot be learned."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..config_sections import AssaySettings
from ..errors import DataError, listed
from .assay_columns import ATTENTION, RawTable
from .assay_guesses import is_another_unit
from .double_logarithms import check_doubled, doubled
from .label_words import assays_setting
from .real_columns import ReadAssay, RealColumn, unused_qualifiers
from .transforms import transforms
from .values import COMMA, likely_decimal, why_off

MOST_LISTED = 5
"""Assays that a note names."""

# --- what is refused -----------------------------------------------------------------------------------


def check_values(raw: RawTable, measured: Sequence[ReadAssay], settings: Mapping[str, AssaySettings]) -> None:
    """Raise DataError for columns with commas that nobody has explained, or with mostly no values."""
    columns = _columns(measured)
    commas = {column.name for column in columns if (column.problems == _place(column, COMMA)).any()}
    if commas:
        raise DataError(
            _comma_message(raw, [each for each in measured if each.column.name in commas], settings)
        )
    bad = [column for column in columns if 2 * int((column.problems > 0).sum()) > column.n_filled]
    if bad:
        raise DataError(
            f"{raw.path}: most cells are no values in {_joined(_problems(raw, column) for column in bad)}. "
            "A number was expected in each cell, behind a qualifier such as > or without one. Name the unit "
            "if it stands in the cells (in data.assays, such as unit: '%'), correct the file, or take the "
            "column out of data.assays."
        )


def _comma_message(
    raw: RawTable, measured: Sequence[ReadAssay], settings: Mapping[str, AssaySettings]
) -> str:
    """Which of two meanings the commas have, where they tell, and the setting that says so."""
    columns = _columns(measured)
    texts = [text for column in columns for text in _texts_with(column, COMMA)]
    sign = likely_decimal(texts)
    keys = {each.declared.setting for each in measured}
    full = {
        name: each.model_dump(exclude_defaults=True) | ({"decimal": sign or ","} if name in keys else {})
        for name, each in settings.items()
    }
    meanings = {",": "decimal commas", ".": "thousand separators"}
    what = meanings[sign] if sign else "decimal commas or thousand separators"
    otherwise = (
        "" if sign else ' where the comma comes before decimals; where it groups thousands, decimal: "."'
    )
    return (
        f"{raw.path}: {listed((column.name for column in columns), MOST_LISTED)}: numbers with commas, such "
        f"as {listed(texts, 3)}: {what}? Nothing was guessed. Say it with {assays_setting(full)}{otherwise}."
    )


# --- what is told --------------------------------------------------------------------------------------


def value_notes(raw: RawTable, measured: Sequence[ReadAssay]) -> list[str]:
    """What was decided of measured values; notes that begin with ATTENTION come first."""
    columns = _columns(measured)
    firsts = {each.column.name: each for each in reversed(measured)}.values()
    real = [each for each in measured if each.assay.is_real]
    sentences = {
        f"{ATTENTION}cells that are no values, taken as missing": [_problems(raw, each) for each in columns],
        f"{ATTENTION}values that the scale has no number for, taken as missing": [
            *dict.fromkeys(_off_scale(raw, each) for each in measured)
        ],
        f"{ATTENTION}the name says another unit than data.assays, which counts": [
            f"'{each.column.name}' (read as {each.assay.unit})"
            for each in firsts
            if is_another_unit(each.column.name, each.assay.unit)
        ],
        **_unlearnable(measured),
        "real values": [_scale(each) for each in real],
        "qualifiers": [_qualifier(each) for each in columns],
        "values converted to the unit of their assay": [
            _counted(each.name, each.n_converted, f", by '{each.units}'") for each in columns
        ],
        "values converted from the unit in their cell to that of their assay": [
            _counted(each.column.name, each.column.n_own_unit, f", to {each.assay.unit}") for each in firsts
        ],
        f"{ATTENTION}cells with another unit than the column of units, of which the cell's counts": [
            _counted(each.name, each.n_contradicting, f", beside '{each.units}'") for each in columns
        ],
        "censored values": [_censored(each) for each in real],
        "censored values of which the threshold makes no class, taken as missing": [
            _counted(each.assay.name, each.n_undecided) for each in measured
        ],
        "approximate values (~), taken as they are": [_counted(each.name, each.n_about) for each in columns],
    }
    notes = [_note(raw, what, list(filter(None, pieces))) for what, pieces in sentences.items()]
    return [note for note in [*_doubled(raw, firsts), _unused(raw, columns), *notes] if note]


def _doubled(raw: RawTable, firsts: Iterable[ReadAssay]) -> list[str]:
    """On columns of logarithms of which the settings take the logarithm again, which may be an error."""
    notes = []
    for each in firsts:
        values = each.column.values[~np.isnan(each.column.values)]
        low, high = values.min(initial=np.inf, keepdims=True), values.max(initial=-np.inf, keepdims=True)
        twice = doubled([each.column.name], each.assay, low, high, np.array([len(values)]))
        notes += check_doubled(raw.path, twice, each.assay)
    return notes


def _note(raw: RawTable, what: str, pieces: Sequence[str]) -> str:
    mark = ATTENTION if what.startswith(ATTENTION) else ""
    return f"{mark}{raw.path}: {what.removeprefix(ATTENTION)}: {_joined(pieces)}." if pieces else ""


def _unused(raw: RawTable, columns: Sequence[RealColumn]) -> str:
    names = unused_qualifiers(raw, columns) if columns else []
    if not names:
        return ""
    example = assays_setting({columns[0].name: {"kind": "real", "relation": names[0]}})
    return (
        f"{ATTENTION}{raw.path}: {listed(names, MOST_LISTED)}: qualifiers (>, <) by the name and the texts, "
        f"and no assay has them. Say whose they are, such as {example}."
    )


def _unlearnable(measured: Sequence[ReadAssay]) -> dict[str, list[str]]:
    """Assays of which nothing, or hardly what was meant, can be learned, by what is the matter."""
    matters: dict[str, list[str]] = {}
    for each in measured:
        if matter := _matter(each):
            matters.setdefault(f"{ATTENTION}{matter}", []).append(f"'{each.assay.name}'")
    return matters


def _matter(each: ReadAssay) -> str:
    """What is the matter with the values of an assay, "" = nothing."""
    is_there = ~np.isnan(each.labels)
    values, nothing = np.unique(each.labels[is_there]), "which cannot be learned from"
    if not is_there.any():
        return f"no value at all, {nothing}"
    if is_there.sum() == 1:
        return f"one value only, {nothing}"
    signs = np.unique(each.censored[is_there])
    if len(signs) == 1 and signs[0]:
        return f"all values are bounds to one side, {nothing}"
    if len(values) == 1:
        return f"{'the same value everywhere' if each.assay.is_real else 'one class alone'}, {nothing}"
    is_classes = each.assay.is_real and not each.censored.any() and values.tolist() == [0, 1]
    return "values of 0 and 1 alone, declared as real ones (kind: binary)" if is_classes else ""


def _problems(raw: RawTable, column: RealColumn) -> str:
    """How many cells are no values and why, with an example of each reason."""
    counts = np.bincount(column.problems, minlength=len(column.reasons))[1:]
    if not counts.any():
        return ""
    order = [int(place) + 1 for place in np.argsort(-counts, kind="stable") if counts[place]]
    shown = [
        f"{column.reasons[place]} ({counts[place - 1]:,}: {_example(raw, column, column.problems == place)})"
        for place in order
    ]
    return f"'{column.name}' {counts.sum():,} of {column.n_filled:,}: {listed(shown, 4, mark='')}"


def _off_scale(raw: RawTable, each: ReadAssay) -> str:
    if not each.is_off.any():
        return ""
    example = _example(raw, each.column, each.is_off)
    return f"'{each.column.name}' {each.is_off.sum():,}: {why_off(each.assay)} ({example})"


def _scale(each: ReadAssay) -> str:
    assay = each.assay
    scale = [assay.unit or "no unit given", *([assay.transform] if assay.transform != "none" else [])]
    return f"'{assay.name}' ({', '.join(scale)})"


def _qualifier(column: RealColumn) -> str:
    return f"'{column.name}' has those of column '{column.qualifier}'" if column.qualifier else ""


def _censored(each: ReadAssay) -> str:
    turn = 1 if transforms[each.assay.transform].is_rising else -1  # as the user wrote them
    n_above, n_below = (int((turn * sign * each.censored > 0).sum()) for sign in (1, -1))
    if not n_above + n_below:
        return ""
    n = int((~np.isnan(each.labels)).sum())
    return f"'{each.assay.name}' {n_above + n_below:,} of {n:,} ({n_above:,} with >, {n_below:,} with <)"


def _counted(name: str, n: int, more: str = "") -> str:
    return f"'{name}' {n:,}{more}" if n else ""


def _joined(pieces: Iterable[str]) -> str:
    pieces = list(pieces)
    more = f"; and {len(pieces) - MOST_LISTED} more" if len(pieces) > MOST_LISTED else ""
    return "; ".join(pieces[:MOST_LISTED]) + more


def _columns(measured: Sequence[ReadAssay]) -> list[RealColumn]:
    return list({each.column.name: each.column for each in measured}.values())


def _place(column: RealColumn, reason: str) -> int:
    return column.reasons.index(reason) if reason in column.reasons else -1


def _texts_with(column: RealColumn, reason: str) -> list[str]:
    codes = column.texts.codes[column.problems == _place(column, reason)]
    return [column.texts.different[code] for code in np.unique(codes).tolist()]


def _example(raw: RawTable, column: RealColumn, at: np.ndarray) -> str:
    first = int(np.argmax(at))
    return f"record {raw.rows[first]} {column.texts.different[column.texts.codes[first]][:40]!r}"
