"""Texts of a column as numbers, with the decimal sign that `data.assays` gives where it can be meant.

What a single text says is in `values`; wide and long tables read their values by this.
"""

from collections.abc import Sequence

from ..errors import DataError, listed
from .assay_columns import RawTable
from .values import POINTS_AND_COMMAS, Decimal, Numbers, numbers_of

_OTHER: dict[Decimal, Decimal] = {",": ".", ".": ","}


def column_numbers(
    raw: RawTable, name: str, texts: Sequence[str], unit: str, decimal: Decimal | None
) -> Numbers:
    """`numbers_of` texts of this column; a decimal sign is for texts, and what was a number stays as it is.

    Raises
    ------
    DataError : a decimal comma is given, and the column holds numbers among its texts; or no number has the
        decimal sign that is given, and some can only have the other one.
    """
    if decimal == "," and name in raw.mixed:
        raise DataError(
            f"{raw.path}: '{name}' holds numbers and texts, so that decimal: ',' in data.assays would make "
            "1234 of the number 1.234. Give the column as texts alone or as numbers alone, or take "
            "`decimal` out where its texts have points."
        )
    if decimal is None or name in raw.numbers:
        return numbers_of(texts, unit)
    numbers = numbers_of(texts, unit, decimal)
    others = _only_by(texts, unit, numbers, _OTHER[decimal])
    if others and not _only_by(texts, unit, numbers_of(texts, unit, _OTHER[decimal]), decimal):
        raise DataError(
            f"{raw.path}: '{name}': data.assays says decimal: '{decimal}', and no number there has it; "
            f"{listed(others, 3)} can only be meant with '{_OTHER[decimal]}'. Correct `decimal`, or give "
            "files that differ in it one by one."
        )
    return numbers


def _only_by(texts: Sequence[str], unit: str, numbers: Numbers, decimal: Decimal) -> list[str]:
    """Texts that make no number as they were read, and do with this decimal sign."""
    odd = [
        text for text, problem in zip(texts, numbers.problems, strict=True) if problem == POINTS_AND_COMMAS
    ]
    problems = numbers_of(odd, unit, decimal).problems
    return [text for text, problem in zip(odd, problems, strict=True) if not problem]
