"""Dates as people write them, as numbers that sort: for the split by time."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from ..errors import DataError, listed
from .label_words import MISSING_WORDS

YEARS = (1800, 2200)
"""Numbers between these are years where a column also has dates."""

_TIME = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?"
_ISO = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})(?:[-/.](\d{{1,2}}){_TIME})?")
_NUMERIC = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_DAY_MONTH = re.compile(rf"(\d{{1,2}})[- ./]?([A-Za-z]{{3,9}})\.?[-, /]+(\d{{4}}){_TIME}")
_MONTH_DAY = re.compile(rf"([A-Za-z]{{3,9}})\.? (\d{{1,2}}),? (\d{{4}}){_TIME}")
_MONTH = re.compile(r"([A-Za-z]{3,9})\.?[- ](\d{4})")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december", *_MONTHS, "sept"),
)


class _Shapes(NamedTuple):
    """The different texts of a column by how they are written."""

    numbers: dict[str, float]
    days: dict[str, float]
    either: dict[str, tuple[int, int, int]]
    """12/05/2020: first number, second number, year."""
    problems: list[str]


def times(
    texts: Sequence[str], *, day_first: bool | None = None, where: str = "dates"
) -> tuple[np.ndarray, bool]:
    """Numbers that sort as the texts do in time, float64 [n], NaN where there is none; whether they are days.

    Read are ISO dates (2020-05-12, 2020-05, with a time of day, which is not looked at), 12 May 2020, May 12,
    2020, 12.05.2020, 12/05/2020, and numbers: years, or anything that grows, such as registration numbers. A
    month or year alone stands for its first day. Days count from 1 January of year 1.

    Parameters
    ----------
    day_first : whether 12/05/2020 is in May; None = decided by a number above 12 in the column.
    where : of the texts, for messages.

    Raises
    ------
    DataError : a text is no date, dates and other numbers are mixed, or it is open what 12/05/2020 is.
    """
    counts = Counter(text.strip() for text in texts)
    shapes = _shapes(word for word in counts if word and word.casefold() not in MISSING_WORDS)
    if shapes.problems:
        raise DataError(_no_date(shapes.problems, counts, where))
    values = dict(shapes.days)
    values |= _either(shapes.either, day_first, where)
    is_days = bool(values)
    values |= _years(shapes.numbers, where) if is_days else shapes.numbers
    return np.array([values.get(text.strip(), np.nan) for text in texts], dtype=np.float64), is_days


def day_text(day: float) -> str:
    """The day of this number in ISO's form."""
    return date.fromordinal(int(day)).isoformat()


def _shapes(words: Iterable[str]) -> _Shapes:
    shapes = _Shapes({}, {}, {}, [])
    for word in words:
        if _NUMBER.fullmatch(word):
            shapes.numbers[word] = float(word)
        elif match := _NUMERIC.fullmatch(word):
            shapes.either[word] = (int(match[1]), int(match[3]), int(match[4]))
        elif (day := _day_of(word)) is not None:
            shapes.days[word] = day
        else:
            shapes.problems.append(word)
    return shapes


def _day_of(word: str) -> float | None:
    """The day of a text that can be read in one way only; None = it is none."""
    readers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[int, int, int]]], ...] = (
        (_ISO, lambda match: (int(match[1]), int(match[2]), int(match[3] or 1))),
        (_DAY_MONTH, lambda match: (int(match[3]), _month(match[2]), int(match[1]))),
        (_MONTH_DAY, lambda match: (int(match[3]), _month(match[1]), int(match[2]))),
        (_MONTH, lambda match: (int(match[2]), _month(match[1]), 1)),
    )
    for pattern, parts in readers:
        if match := pattern.fullmatch(word):
            return _ordinal(*parts(match))
    return None


def _month(name: str) -> int:
    """1 to 12, or 0 for a word that is no month."""
    word = name.casefold()
    return _MONTHS.index(word[:3]) + 1 if word in _MONTH_NAMES else 0


def _ordinal(year: int, month: int, day: int) -> float | None:
    try:
        return float(date(year, month, day).toordinal())
    except ValueError:
        return None


def _either(words: dict[str, tuple[int, int, int]], day_first: bool | None, where: str) -> dict[str, float]:
    """Days of texts such as 12/05/2020."""
    if not words:
        return {}
    if day_first is None:
        day_first = _is_day_first(words, where)
    values = {
        word: _ordinal(year, second, first) if day_first else _ordinal(year, first, second)
        for word, (first, second, year) in words.items()
    }
    wrong = [word for word, value in values.items() if value is None]
    if wrong:
        order = "day first" if day_first else "month first"
        raise DataError(
            f"{where}: {listed(wrong, 5)} {'is' if len(wrong) == 1 else 'are'} no date, {order}. Correct the "
            f"texts, or say the other order: split.day_first={str(not day_first).lower()}."
        )
    return {word: value for word, value in values.items() if value is not None}


def _is_day_first(words: dict[str, tuple[int, int, int]], where: str) -> bool:
    """What the numbers above 12 of a column say."""
    day_first = [word for word, (first, _, _) in words.items() if first > 12]
    month_first = [word for word, (_, second, _) in words.items() if second > 12]
    if bool(day_first) != bool(month_first):
        return bool(day_first)
    if day_first:
        raise DataError(
            f"{where}: '{day_first[0]}' has the day first and '{month_first[0]}' the month. Write all dates "
            "alike, such as 2020-05-12."
        )
    raise DataError(
        f"{where}: whether '{next(iter(words))}' has the day or the month first cannot be told, as no number "
        "is above 12. Say it: split.day_first=true or split.day_first=false."
    )


def _years(numbers: dict[str, float], where: str) -> dict[str, float]:
    """First days of years, in a column that has dates."""
    wrong = [
        word for word, value in numbers.items() if not (YEARS[0] <= value <= YEARS[1] and value % 1 == 0)
    ]
    if wrong:
        what = "is a number and no year" if len(wrong) == 1 else "are numbers and no years"
        raise DataError(
            f"{where}: some texts are dates, and {listed(wrong, 5)} {what}. Dates alone or numbers alone "
            "were expected; write days as 2020-05-12."
        )
    return {word: float(date(int(value), 1, 1).toordinal()) for word, value in numbers.items()}


def _no_date(problems: Sequence[str], counts: Counter[str], where: str) -> str:
    n = sum(counts[word] for word in problems)
    return (
        f"{where}: {listed(problems, 5)} {'is' if len(problems) == 1 else 'are'} no date ({n:,} cells). "
        "Expected 2020-05-12, 12 May 2020, 12/05/2020, a year or a number; empty = no date."
    )
