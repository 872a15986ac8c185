"""What to say of the columns of a table that was read: left out, named oddly, or of nothing to learn from."""

from collections.abc import Mapping, Sequence

from ..errors import listed
from .assay_columns import (
    ATTENTION,
    MOST_ASSAYS_LISTED,
    RawTable,
    is_measured,
    joined,
    looks_like_a_property,
    words_of,
)
from .assay_guesses import Guess, is_named_as_measured, setting_for
from .label_words import as_setting, tasks_setting
from .labels import ExplainedColumn


def column_notes(
    raw: RawTable,
    tasks: Sequence[str],
    labels: Mapping[str, float | None],
    assays: Mapping[str, Guess],
    *,
    are_given: bool,
) -> list[str]:
    """What to say of the columns; where `are_given`, the user has named the assays.

    Notes that begin with ATTENTION come first.
    """
    notes = [] if are_given else [*_left_out_notes(raw, tasks, labels), *_property_notes(raw, tasks)]
    notes += _one_value_notes(raw, tasks)
    notes += [] if are_given else _measured_notes(raw, tasks, assays)
    extra = raw.others(tasks)
    if extra:
        notes.append(f"{raw.path}: passed through, not assays: {listed(extra)}.")
    empty = [name for name in extra if not raw.columns[name].n_labels + raw.columns[name].n_unknown]
    if empty:
        notes.append(
            f"{raw.path}: no value in {listed(empty)}; passed through (named in data.tasks they would be "
            "assays without labels)."
        )
    return notes


def _left_out_notes(raw: RawTable, tasks: Sequence[str], labels: Mapping[str, float | None]) -> list[str]:
    """Columns of words for labels, and of two values, that nobody has explained."""
    left_out = {name: raw.columns[name] for name in raw.others(tasks) if raw.columns[name].n_unknown}
    words = {name: meanings for name, column in left_out.items() if (meanings := words_of(column))}
    notes = []
    if words:
        setting = as_setting(joined(labels, list(words.values())))
        columns = listed((f"'{name}' ({_values(raw.columns[name])})" for name in words), 5, mark="")
        notes.append(
            f"{ATTENTION}{raw.path}: {columns} look like assays in words and were left out. To take "
            f"them in give the setting {setting}."
        )
    pairs = [name for name in left_out if name not in words and _has_two_words(left_out[name])]
    if pairs:
        seen = "; ".join(f"'{name}' ({_values(raw.columns[name])})" for name in pairs[:5])
        notes.append(
            f"{raw.path}: columns of two values, left out: {seen}. If one is an assay, say what its texts "
            "mean with data.labels."
        )
    return notes


def _measured_notes(raw: RawTable, tasks: Sequence[str], assays: Mapping[str, Guess]) -> list[str]:
    """Columns named and filled as measurements are, beside the assays."""
    names = [name for name in raw.others(tasks) if is_named_as_measured(name)]
    names = [name for name in names if is_measured(raw.columns[name]) and not looks_like_a_property(name)]
    if not names:
        return []
    setting = setting_for(raw.columns, names[:MOST_ASSAYS_LISTED], assays)
    return [
        f"{raw.path}: {listed(names, 5)}: measured values, left out. To take them in, with the unit and "
        f"transform that they have, give the setting {setting}."
    ]


def _has_two_words(column: ExplainedColumn) -> bool:
    unknown = column.unknown()
    is_words = all(any(sign.isalpha() for sign in text) for text in unknown)
    return len(unknown) == 2 and is_words and not column.n_labels and min(unknown.values()) > 1


def _values(column: ExplainedColumn) -> str:
    return ", ".join(
        f"'{text}' {n:,}"
        for text, n in zip(column.different, column.counts.tolist(), strict=True)
        if text and n
    )


def _property_notes(raw: RawTable, tasks: Sequence[str]) -> list[str]:
    odd = [name for name in tasks if looks_like_a_property(name)]
    if not odd:
        return []
    rest = [name for name in tasks if not looks_like_a_property(name)]
    what = "is" if len(odd) == 1 else "are"
    advice = (
        f"Name the assays: {tasks_setting(rest)}."
        if 0 < len(rest) <= MOST_ASSAYS_LISTED
        else "Name the assays in data.tasks."
    )
    return [
        f"{ATTENTION}{raw.path}: {listed(odd)} {what} taken for assays because of values 0 and 1 alone, and "
        f"named like properties of the structure, which no one measured. {advice}"
    ]


def _one_value_notes(raw: RawTable, tasks: Sequence[str]) -> list[str]:
    """Assays that cannot be learned: all labels are the same, or there is none."""
    notes = []
    for what, value in (("active", 1), ("inactive", 0)):
        same = [name for name in tasks if _only(raw.columns[name]) == value]
        if same:
            notes.append(
                f"{ATTENTION}{raw.path}: every label of {listed(same)} is {what}: one class alone cannot be "
                "learned."
            )
    empty = [name for name in tasks if not raw.columns[name].n_labels]
    return notes + ([f"{ATTENTION}{raw.path}: {listed(empty)} has no label at all."] if empty else [])


def _only(column: ExplainedColumn) -> float | None:
    """The one label of a column, None if there are both or none."""
    seen = set(column.meaning[(column.counts > 0) & (column.meaning >= 0)].tolist())
    return seen.pop() if len(seen) == 1 else None
