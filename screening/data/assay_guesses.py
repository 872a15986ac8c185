"""What columns of measured values could be, as `data.assays` settings to paste: for advice alone.

Unit and scale are guessed from the name and the values. Nothing is read so unless the user agrees.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from .companions import UNIT_WORDS, is_companion
from .label_words import assays_setting
from .labels import ExplainedColumn
from .transforms import MOLAR
from .units import unit_name
from .values import COMMA, likely_decimal, numbers_of

Guess = dict[str, object]
"""Settings of an assay as plain values."""

WIDE_RANGE = 100.0
"""Largest by smallest value from which values above 0 are taken for ones on a scale of factors."""

MOST_LOOKED_AT = 2000
"""Different texts of a column that are looked at."""

SHARED = 3
"""Columns of one prefix or suffix from which a pattern stands for them."""

_PERCENT = re.compile(r"%|(^|[\W_])(percent|pct|perc|inhibition|inh|remaining)($|[\W_])", re.IGNORECASE)
_LOGARITHM = re.compile(r"(^|[\W_])(p[A-Z][A-Za-z]*\d*|log\w*|p(ic|ec|ac|xc|k[idb])\w*)($|[\W_])|^pchembl")
_ACTIVITY = re.compile(
    r"(^|[\W_])(p?(ic|ec|ac|gi|cc|lc|ld|ed|xc)_?\d\d|p?k[idb]|pchembl|potency|activity|inhibition|inh|efficacy"
    r"|affinity|clearance|cl_?int|half.?life|t1/2|solubility|permeability|papp|log[dp]7?|ppb)($|[\W_])",
    re.IGNORECASE,
)


def guessed_settings(name: str, column: ExplainedColumn, unit: str = "") -> Guess:
    """The settings of a column of measured values, as its name and values suggest.

    Parameters
    ----------
    unit : that a column beside it names, "" = none does.
    """
    texts = [text for text, n in zip(column.different, column.counts.tolist(), strict=True) if n]
    texts = texts[:MOST_LOOKED_AT]
    unit = unit or unit_in_name(name) or _unit_of_cells(texts)
    problems = numbers_of(texts, unit).problems
    commas = [text for text, problem in zip(texts, problems, strict=True) if problem == COMMA]
    decimal = likely_decimal(commas) if commas else None
    values = numbers_of(texts, unit, decimal).values
    values = values[~np.isnan(values)]
    settings: Guess = {"kind": "real", **({"unit": unit} if unit else {})}
    settings |= {"decimal": decimal} if decimal else {}
    is_positive = len(values) > 0 and bool((values > 0).all())
    if _LOGARITHM.search(name) or not is_positive:
        return settings
    if unit in MOLAR:
        return {**settings, "transform": "neg_log10_molar"}
    is_wide = unit != "%" and values.max() > WIDE_RANGE * values.min()
    return {**settings, "transform": "log10"} if is_wide else settings


def _unit_beside(name: str, columns: Mapping[str, ExplainedColumn]) -> str:
    """The commonest text of the column of units that is named after this one, "" = there is none."""
    for other, column in columns.items():
        if other != name and is_companion(other, name, UNIT_WORDS):
            texts = Counter(dict(zip(column.different, column.counts.tolist(), strict=True)))
            del texts[""]
            return unit_name(max(texts, key=lambda text: texts[text], default=""))
    return ""


def _unit_of_cells(texts: Sequence[str]) -> str:
    """The commonest unit behind the numbers, "" = they have none."""
    units = [behind[1] for text in texts if (behind := re.search(r"\d\s*([^\W\d_]\D*|%)$", text))]
    return unit_name(Counter(units).most_common(1)[0][0]) if units else ""


def suggested(
    columns: Mapping[str, ExplainedColumn], names: Sequence[str], given: Mapping[str, Guess]
) -> dict[str, Guess]:
    """`data.assays` that takes these columns in beside the `given` ones."""
    guesses = {name: guessed_settings(name, columns[name], _unit_beside(name, columns)) for name in names}
    return {**given, **by_pattern(guesses, list(columns))}


def setting_for(
    columns: Mapping[str, ExplainedColumn], names: Sequence[str], given: Mapping[str, Guess]
) -> str:
    """The same as it is typed in a shell, to be pasted."""
    return assays_setting(suggested(columns, names, given))


def by_pattern(guesses: Mapping[str, Guess], columns: Sequence[str]) -> dict[str, Guess]:
    """The same settings, with one pattern for those of equal settings that share the start or end of a name.

    Parameters
    ----------
    columns : all columns of the table: a pattern matches none besides.

    Examples
    --------
    >>> real = {"kind": "real"}
    >>> by_pattern({"Ki_a": real, "Ki_b": real, "Ki_c": real, "logD": real}, ["Ki_a", "Ki_b", "Ki_c", "logD"])
    {'Ki_*': {'kind': 'real'}, 'logD': {'kind': 'real'}}
    """
    left, patterns = dict(guesses), dict[str, Guess]()
    ends = [(first := re.match(r"[^\W_]+[\W_]+", name)) and first[0] for name in guesses]
    starts = [(last := re.search(r"[\W_]+[^\W_]+\W*$", name)) and last[0] for name in guesses]
    for part, starts_with in [*((part, True) for part in ends), *((part, False) for part in starts)]:
        if not part or {"*", "?"} & set(part):
            continue
        named = [name for name in columns if (name.startswith(part) if starts_with else name.endswith(part))]
        if len(named) < SHARED or not set(named) <= left.keys():
            continue
        if all(left[name] == left[named[0]] for name in named):
            patterns[f"{part}*" if starts_with else f"*{part}"] = left[named[0]]
            left = {name: guess for name, guess in left.items() if name not in named}
    return {**patterns, **left}


def is_named_as_measured(name: str) -> bool:
    """Whether a column is named as what laboratories measure, such as IC50 or clearance.

    Examples
    --------
    >>> [is_named_as_measured(name) for name in ("IC50 (nM)", "pKi_a", "weight", "hERG_inhibition", "year")]
    [True, True, False, True, False]
    """
    return _ACTIVITY.search(name) is not None


def unit_in_name(name: str) -> str:
    """The unit that a column's name ends in or has in brackets, "" = none."""
    brackets = re.search(r"[\[(]([^\])]+)[\])]\s*$", name)
    last = brackets[1] if brackets else re.split(r"[\s_]", name)[-1]
    unit = unit_name(last)
    if unit in MOLAR and (brackets or unit != "M"):
        return unit
    return "%" if _PERCENT.search(name) else ""


def is_another_unit(name: str, unit: str) -> bool:
    """Whether a column's name says a unit of concentration, and not this one.

    Examples
    --------
    >>> [is_another_unit(name, "uM") for name in ("Ki [nM]", "Ki [uM]", "Ki", "inhibition")]
    [True, False, False, False]
    """
    said = unit_in_name(name)
    return said in MOLAR and unit_name(unit) not in ("", said)
