"""Texts of cells as measured values: numbers with relations (> 10000), and from them the trained scale.

Whatever is no plain value is a problem with its reason, never a guess; who reads a column counts them.
"""

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from .assay_kinds import Assay
from .label_words import MISSING_WORDS
from .transforms import transforms
from .units import factor

Decimal = Literal[".", ","]

ABOVE, AT_LEAST, EQUAL, AT_MOST, BELOW = 2, 1, 0, -1, -2
"""Relations of a true value to the number that is written: >, >=, = or ~, <=, <. Their sign is what
`censored` of a table holds."""

_SIGNS: dict[int, tuple[str, ...]] = {
    ABOVE: (">", ">>", "»", "≫", "&gt;", "gt"),
    AT_LEAST: (">=", "=>", "≥", "⩾", "≧", "&ge;", "&gt;=", "ge"),
    EQUAL: ("=", "==", "~", "≈", "∼", "~=", "≅", "ca.", "ca", "c.", "about", "approx.", "approx", "eq"),
    AT_MOST: ("<=", "=<", "≤", "⩽", "≦", "&le;", "&lt;=", "le"),
    BELOW: ("<", "<<", "«", "≪", "&lt;", "lt"),
}
_RELATION = {sign: relation for relation, signs in _SIGNS.items() for sign in signs}
_ABOUT = frozenset(("~", "≈", "∼", "~=", "≅", "ca.", "ca", "c.", "about", "approx.", "approx"))
_LEADING = re.compile(
    r"({})\s*".format("|".join(sorted(map(re.escape, _RELATION), key=len, reverse=True))), re.IGNORECASE
)
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"([-+]?[\d.,]*\d[\d.,]*(?:e[-+]?\d+)?)\s*(.*)", re.ASCII | re.IGNORECASE)
_GROUPED: dict[Decimal, re.Pattern[str]] = {
    ",": re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d*)(,\d*)?(e[-+]?\d+)?", re.ASCII | re.IGNORECASE),
    ".": re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d*)(\.\d*)?(e[-+]?\d+)?", re.ASCII | re.IGNORECASE),
}
"""A number that may group thousands, by its decimal sign."""
_MONTH = "jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_DATE = (
    rf"(\d{{1,4}}[-./ ]{{1,2}})?({_MONTH})[a-zä]*([-./ ]{{1,2}}\d{{1,4}})?"
    r"|\d{1,4}([-/.])\d{1,2}\4\d{1,4}(\s.*)?|\d{1,2}/\d{1,4}"
)
_ODD = {
    "a date; has a spreadsheet made it of a value?": _DATE,
    "a range": r"[\d.,]+\s*(-|–|to|bis|\.\.+)\s*[\d.,]+.*",
    "a value and its error": r"[-+]?[\d.,]+\s*(±|\+/-|\+-|\().*",
    "a value times a power of ten": r"[\d.,]+\s*[x×*]\s*10\W*\d+",
    "a blank within a number": r"[-+]?\d{1,3}(\s\d{3})+([.,]\d*)?",
    "not finite": r"[-+]?inf(inity)?",
}
"""What a text looks like that is no plain value, for the message."""
_ODD_PATTERNS = {why: re.compile(pattern, re.IGNORECASE) for why, pattern in _ODD.items()}

COMMA = "a comma: decimal sign or thousand separator?"
"""The problem that a setting solves, and so is asked about and not counted."""

POINTS_AND_COMMAS = "points and commas that make no number"
"""The problem of a number with the other decimal sign."""

_UNIT = "the unit "
"""How the problem of a unit begins."""

SAME = 1e-9
"""Values that differ by less on the trained scale are equal to a threshold: rounding of a logarithm."""


LARGEST = 1e18
"""Size of a value on the trained scale: squares of larger ones are no float32 numbers."""


class Numbers(NamedTuple):
    """m different texts as numbers."""

    values: np.ndarray
    """float64 [m], NaN = not measured, or there is a problem."""
    relations: np.ndarray
    """int8 [m], ABOVE to BELOW."""
    problems: list[str]
    """Why a text is no value, "" = it is one, or says that nothing was measured."""
    about: np.ndarray
    """bool [m], written as approximate (~ 3), which counts as equal."""
    has_unit: np.ndarray
    """bool [m], the text says its unit, so that one in a column beside it is not applied again."""
    factors: np.ndarray
    """float64 [m], what converted a value from the unit that its text says, 1 where nothing did."""


def numbers_of(texts: Sequence[str], unit: str = "", decimal: Decimal | None = None) -> Numbers:
    """What texts say as measured values: a number, with a relation before it and a unit behind it or without.

    Empty texts and words for it (NA, n.d., -) are not measured.

    Parameters
    ----------
    texts : m different texts; the cost is per text, so give every one once.
    unit : of the values; a text in another unit of concentration is converted, in any other is a problem.
    decimal : sign before the decimals; the other of point and comma then groups thousands. None = a point,
        and a number with a comma is the problem COMMA.

    Examples
    --------
    >>> numbers = numbers_of(["> 10000", "<=5", "~ 3", "1e3", "n.d.", "4,5", "> 10 uM", "<> 5"], unit="nM")
    >>> numbers.values.tolist()
    [10000.0, 5.0, 3.0, 1000.0, nan, nan, 10000.0, nan]
    >>> numbers.relations.tolist(), numbers.problems[5:]
    ([2, -1, 0, 0, 0, 0, 2, 0], ['a comma: decimal sign or thousand separator?', '', 'two relations'])
    """
    values, relations = np.full(len(texts), np.nan), np.zeros(len(texts), np.int8)
    about, has_unit, problems = np.zeros(len(texts), bool), np.zeros(len(texts), bool), [""] * len(texts)
    factors = np.ones(len(texts))
    for place, text in enumerate(texts):
        if decimal != "," and _PLAIN.fullmatch(text):  # most cells
            values[place] = float(text)
            continue
        cell = _cell(text, unit, decimal)
        values[place], problems[place] = cell.value, cell.problem
        relations[place], about[place] = cell.relation, cell.is_about
        has_unit[place], factors[place] = cell.has_unit, cell.factor
    for place in np.flatnonzero(np.isinf(values)).tolist():
        values[place], relations[place], problems[place] = np.nan, EQUAL, "not finite"
    return Numbers(values, relations, problems, about, has_unit, factors)


def relations_of(texts: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Relations that a column of its own has: int8 [m], and why a text is none ("" = it is one).

    Empty texts and words for a missing value count as =.

    Examples
    --------
    >>> relations_of(["'>'", "=", "<=", "~", "", "Active"])
    (array([ 2,  0, -1,  0,  0,  0], dtype=int8), ['', '', '', '', '', "'Active' is no relation"])
    """
    plain = [text.strip().strip("'\"").strip().casefold() for text in texts]
    no_relation = [bool(word) and word not in _RELATION and word not in MISSING_WORDS for word in plain]
    problems = [
        f"'{text}' is no relation" if is_none else ""
        for text, is_none in zip(texts, no_relation, strict=True)
    ]
    return np.array([_RELATION.get(word, EQUAL) for word in plain], np.int8), problems


class OnScale(NamedTuple):
    """Values on the scale that is trained on."""

    values: np.ndarray
    """float64 [k], NaN = not measured, or not on the scale."""
    relations: np.ndarray
    """int8 [k], turned round where the scale falls."""
    is_off: np.ndarray
    """bool [k], values that the transform has no number for, such as 0 before a logarithm, or that are too
    large for the numbers that labels are."""


def on_scale(values: np.ndarray, relations: np.ndarray, assay: Assay) -> OnScale:
    """Values in the user's unit on the assay's scale; those without one are marked and become NaN.

    Parameters
    ----------
    values, relations : [k], as `numbers_of` gives them.
    """
    transform = transforms[assay.transform]
    scaled = np.asarray(transform.function(np.asarray(values, np.float64), assay.unit), np.float64)
    fits = np.abs(scaled) <= LARGEST if assay.is_real else np.isfinite(scaled)
    is_off = ~np.isnan(values) & ~fits
    turned = np.where(fits, relations if transform.is_rising else -relations, 0)
    return OnScale(np.where(is_off, np.nan, scaled), turned.astype(np.int8), is_off)


def why_off(assay: Assay) -> str:
    """Why the assay's scale has no number for a value that `on_scale` marks."""
    needs = transforms[assay.transform].needs
    return f"not {needs}, as {assay.transform} needs" if needs else f"larger than {LARGEST:g}"


def classes_of(values: np.ndarray, relations: np.ndarray, assay: Assay) -> np.ndarray:
    """Labels by the assay's threshold: float32 [k], 1 = active, 0 = inactive, NaN = undecided or missing.

    A value at the threshold is active. A relation decides where all values that it allows are on one side:
    at a threshold of 6 "> 5" says nothing, "> 6" is active and "< 6" is not.

    Parameters
    ----------
    values, relations : [k], on the trained scale, as `on_scale` gives them.
    """
    if assay.threshold is None:
        raise ValueError(f"assay {assay.name!r} has no threshold")
    sign = 1 if assay.active == "above" else -1
    return classes_by(values, relations, np.array(assay.threshold), np.array(sign))


def classes_by(
    values: np.ndarray, relations: np.ndarray, thresholds: np.ndarray, signs: np.ndarray
) -> np.ndarray:
    """`classes_of` of a threshold for each value; signs are 1 where above is active, else -1."""
    distance, relations = signs * (values - thresholds), signs * relations
    active = (distance >= -SAME) & (relations >= EQUAL)
    below = distance < -SAME
    inactive = (below & (relations <= EQUAL)) | ((abs(distance) <= SAME) & (relations == BELOW))
    return np.select([active, inactive], [1.0, 0.0], np.nan).astype(np.float32)


_ONE_COMMA = re.compile(r"[^\d.,]*\d*,\d+[^\d.,]*")
_THOUSANDS = re.compile(r"[^\d.,]*[1-9]\d{0,2}(,\d{3})+(\.\d*)?[^\d.,]*")


def likely_decimal(texts: Sequence[str]) -> Decimal | None:
    """The decimal sign that numbers with commas must have, None where both could be meant.

    Examples
    --------
    >>> likely_decimal(["4,5", "10,000"]), likely_decimal(["1,234.5"]), likely_decimal(["> 10,000"])
    (',', '.', None)
    """
    is_decimal = all(map(_ONE_COMMA.fullmatch, texts))
    is_grouped = all(map(_THOUSANDS.fullmatch, texts))
    return None if is_decimal == is_grouped else "," if is_decimal else "."


def is_number_like(problem: str) -> bool:
    """Whether a text with this problem is a number after all, once the settings say its unit or comma."""
    return problem in ("", COMMA) or problem.startswith(_UNIT)


# --- one text ------------------------------------------------------------------------------------------


class _Cell(NamedTuple):
    """What one text says; only a problem, or only the rest, counts."""

    value: float = math.nan
    relation: int = EQUAL
    problem: str = ""
    is_about: bool = False
    has_unit: bool = False
    factor: float = 1.0


def _cell(text: str, unit: str, decimal: Decimal | None) -> _Cell:
    plain = text.strip().removeprefix('="').strip("\"' ").replace("−", "-")
    if not plain or plain.casefold() in MISSING_WORDS:
        return _Cell()
    leading = _LEADING.match(plain)
    if leading is None:
        return _number(plain, unit, decimal)
    rest, sign = plain[leading.end() :], leading[1].casefold()
    if _LEADING.match(rest):
        return _Cell(problem="two relations")
    cell = _number(rest, unit, decimal)
    return cell if cell.problem else cell._replace(relation=_RELATION[sign], is_about=sign in _ABOUT)


def _number(plain: str, unit: str, decimal: Decimal | None) -> _Cell:
    """The number and perhaps unit behind a relation."""
    if decimal != "," and _PLAIN.fullmatch(plain):
        return _Cell(float(plain))
    odd = next((why for why, pattern in _ODD_PATTERNS.items() if pattern.fullmatch(plain)), "")
    parts = _DIGITS.fullmatch(plain)
    if odd or parts is None:
        return _Cell(problem=odd or ("no value behind the relation" if not plain else "text"))
    digits, behind = parts.groups()
    if behind and not re.match(r"[^\W\d_]|%", behind):
        return _Cell(problem="two relations" if _LEADING.match(behind) else "text")
    if decimal is None and "," in digits:
        return _Cell(problem=COMMA)
    if not _GROUPED[decimal or "."].fullmatch(digits):
        return _Cell(problem=POINTS_AND_COMMAS)
    scale = factor(behind, unit) if behind and unit else 1.0
    if scale is None or (behind and not unit):
        expected = f"where {unit} was expected" if unit else "and the settings name none"
        return _Cell(problem=f"{_UNIT}'{behind}', {expected}")
    digits = digits.replace("," if decimal != "," else ".", "").replace(",", ".")
    return _Cell(float(digits) * scale, has_unit=bool(behind), factor=scale)
