"""By time: train on the past, test on what came after."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from ...errors import DataError
from ...registry import did_you_mean
from ..dates import day_text, times
from ..part_names import LEFT_OUT, PARTS
from .contract import Molecules, register
from .fractions import EIGHT_TO_ONE, Fractions, part_sizes


@register("time")
def time_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    column: str,
    fractions: Fractions = EIGHT_TO_ONE,
    day_first: bool | None = None,
    undated: Literal["left_out", "train"] = "left_out",
) -> tuple[np.ndarray, list[str]]:
    """The oldest structures train, newer ones validate, the newest test: what a project will ask.

    A structure is as old as its oldest row. Structures of one date are in one part, so the shares are met as
    nearly as whole dates allow; each part has one date at least. The seed plays no part.

    Parameters
    ----------
    column : of the table, with dates or with numbers that grow with time, such as years.
    fractions : shares of train, valid and test among the dated structures, each above 0, together 1.
    day_first : whether 12/05/2020 is in May; asked for where the column does not say it.
    undated : what becomes of structures without a date: "left_out", or "train", for which they may be too
        new.
    """
    table = molecules.table
    if column not in table.extra:
        raise DataError(
            f"The table has no column '{column}' to split by time. {did_you_mean(column, table.extra)}"
        )
    values, is_days = times(table.extra[column], day_first=day_first, where=f"column '{column}'")
    oldest = np.full(len(molecules.first), np.inf)
    np.fmin.at(oldest, molecules.structure, values)
    is_dated = np.isfinite(oldest)
    codes = np.full(len(oldest), LEFT_OUT if undated == "left_out" else 0, dtype=np.int64)
    dates, place, sizes = np.unique(oldest[is_dated], return_inverse=True, return_counts=True)
    if len(dates) < len(PARTS):
        raise DataError(
            f"Column '{column}' has {len(dates)} different dates or numbers; at least {len(PARTS)} were "
            "expected, to train on the past and validate and test on what came after."
        )
    first_of_part = _cuts(sizes, fractions)
    codes[is_dated] = np.searchsorted(first_of_part[1:], place, side="right")
    notes = [_said(dates, first_of_part, day_text if is_days else _number_text)]
    if not is_dated.all():
        what = (
            "were left out (split.undated=train trains on them)" if undated == "left_out" else "are in train"
        )
        notes.append(f"{int((~is_dated).sum()):,} structures without a date in '{column}' {what}.")
    return codes[molecules.structure], notes


def _cuts(sizes: np.ndarray, fractions: Fractions) -> np.ndarray:
    """Number of the first date of each part: the cuts nearest to the shares that leave no part empty."""
    before = np.concatenate([[0], np.cumsum(sizes)])
    wish = np.cumsum(part_sizes(int(before[-1]), fractions))
    valid = 1 + int(np.abs(before[1:-2] - wish[0]).argmin())
    test = valid + 1 + int(np.abs(before[valid + 1 : -1] - wish[1]).argmin())
    return np.array([0, valid, test])


def _said(dates: np.ndarray, first: np.ndarray, text: Callable[[float], str]) -> str:
    return (
        f"Train has structures up to {text(dates[first[1] - 1])}, valid from {text(dates[first[1]])} to "
        f"{text(dates[first[2] - 1])}, test from {text(dates[first[2]])} to {text(dates[-1])}."
    )


def _number_text(value: float) -> str:
    return f"{value:.12g}"
