"""Columns that say something of another column: its qualifiers (Ki_relation) and its units (Ki_unit)."""

import re
from collections.abc import Iterable

from .units import is_unit

_RELATION = "relation relations relationship qualifier qualifiers operator prefix modifier sign inequality"
RELATION_WORDS = frozenset(_RELATION.split())
"""Words in the name of a column of qualifiers."""

UNIT_WORDS = frozenset(("unit", "units", "uom"))
"""Words in the name of a column of units."""

_VALUE = frozenset(("value", "values", "result"))


def is_companion(name: str, column: str, words: frozenset[str], *, alone: bool = False) -> bool:
    """Whether a column is called as the qualifiers, or units, of another one.

    `Ki_relation`, `Ki qualifier`, `relation_Ki` and the like are those of `Ki` and of `Ki [nM]`, and
    `standard_relation` those of `standard_value`.

    Parameters
    ----------
    words : RELATION_WORDS or UNIT_WORDS.
    alone : whether the column is the only one of values: then `relation` without more belongs to it.

    Examples
    --------
    >>> [is_companion(name, "Ki [nM]", RELATION_WORDS) for name in ("Ki_relation", "Kd_relation", "relation")]
    [True, False, False]
    """
    named, own = words_of_name(name), words_of_name(column)
    if not words & set(named):
        return False
    rest = [word for word in named if word not in words]
    stems = (own, [word for word in own if word not in _VALUE], [word for word in own if not is_unit(word)])
    return rest in stems if rest else alone


def companions(columns: Iterable[str]) -> set[str]:
    """Columns that are called as the qualifiers or units of another one."""
    columns = list(columns)
    said = [name for name in columns if (RELATION_WORDS | UNIT_WORDS) & set(words_of_name(name))]
    return {
        name
        for name in said
        for words in (RELATION_WORDS, UNIT_WORDS)
        if any(is_companion(name, column, words) for column in columns if column != name)
    }


def words_of_name(name: str) -> list[str]:
    """The words of a name, without case: of "Ki [nM]" they are ki and nm."""
    return [word.casefold() for word in re.findall(r"[^\W_]+", name)]
