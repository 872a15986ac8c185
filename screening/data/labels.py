"""Texts of a column as labels: 1, 0, not measured, or a text that is no label and must be explained."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from ..errors import ConfigError

UNKNOWN = -1.0
"""Stands for a text that is no label."""


def label_key(text: str) -> str | float:
    """What makes texts the same label: the number they write, else the text without case and outer blanks.

    Examples
    --------
    >>> [label_key(text) for text in ("2", " 2.00", "2e0", "+2", "Active ", "1_0", "nan")]
    [2.0, 2.0, 2.0, 2.0, 'active', '1_0', 'nan']
    """
    plain = text.strip().casefold()
    try:
        number = float(plain)
    except ValueError:
        return plain
    return number if math.isfinite(number) and "_" not in plain else plain


def label_meanings(labels: Mapping[str, float | None]) -> dict[str | float, float]:
    """The user's `data.labels` by `label_key`, None as NaN.

    Raises
    ------
    ConfigError : a value is not 1, 0 or None, or a text has two meanings.
    """
    meanings: dict[str | float, float] = {}
    for text, value in labels.items():
        label = float("nan") if value is None else value
        if label == label and label not in (0, 1):
            raise ConfigError(f"data.labels: '{text}' is mapped to {value!r}; 1, 0 or null was expected.")
        key = label_key(str(text))
        if not np.array_equal(meanings.setdefault(key, float(label)), float(label), equal_nan=True):
            raise ConfigError(
                f"data.labels: '{str(text).strip().casefold()}' is mapped twice, and differently (numbers "
                "that are equal, such as 1 and 1.0, are the same label). Keep one."
            )
    return meanings


def label_of(text: str, meanings: Mapping[str | float, float]) -> float:
    """1, 0, NaN (not measured) or UNKNOWN: what `meanings` says, else the number if it is 1 or 0.

    Examples
    --------
    >>> [label_of(text, {"na": float("nan")}) for text in ("1", " 0", "1e0", "NA", "", "0.5")]
    [1.0, 0.0, 1.0, nan, nan, -1.0]
    """
    key = label_key(text)
    if key in meanings:
        return meanings[key]
    if key == "":
        return float("nan")
    return float(key == 1) if key in (0, 1) else UNKNOWN


class Codes(dict[str, int]):
    """Text to its number in order of first appearance."""

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        return code

    def of(self, texts: list[str]) -> np.ndarray:
        """The numbers of these texts, int32 [n]; new texts get new numbers."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, len(texts))


class TextColumn:
    """Collects a column as numbers of its different texts, so that 440,000 x 128 texts fit in memory."""

    def __init__(self) -> None:
        self._codes = Codes({"": 0})
        self._parts = [np.zeros(0, np.int16)]

    def append(self, texts: list[str]) -> None:
        """Add texts at the end."""
        filled = list(filter(None, texts))
        codes = self._codes.of(filled)
        if len(self._codes) < 2**15:
            codes = codes.astype(np.int16)
        if len(filled) < len(texts):  # most columns of assays are sparse
            places = np.fromiter(compress(range(len(texts)), texts), np.int64, len(filled))
            spread = np.zeros(len(texts), codes.dtype)
            spread[places] = codes
            codes = spread
        self._parts.append(codes)

    def explained(self, meanings: Mapping[str | float, float]) -> "ExplainedColumn":
        """The whole column with what each different text means."""
        different = list(self._codes)
        codes = np.concatenate(self._parts)
        labels = np.array([label_of(text, meanings) for text in different], dtype=np.float32)
        return ExplainedColumn(different, codes, np.bincount(codes, minlength=len(different)), labels)


@dataclass(frozen=True, eq=False)
class ExplainedColumn:
    """A column of n texts, of which m are different, and their meaning as labels."""

    different: list[str]
    """m texts in order of first appearance."""
    codes: np.ndarray
    """int [n], place of each text in `different`."""
    counts: np.ndarray
    """int [m], how often each occurs."""
    meaning: np.ndarray
    """float32 [m]: 1, 0, NaN or UNKNOWN."""

    @property
    def n_labels(self) -> int:
        """Texts that mean 1 or 0."""
        return int(self.counts[self.meaning >= 0].sum())

    @property
    def n_unknown(self) -> int:
        """Texts that are no labels."""
        return int(self.counts[self.meaning == UNKNOWN].sum())

    def without(self, rows: np.ndarray) -> "ExplainedColumn":
        """The column but for these rows."""
        codes = np.delete(self.codes, rows)
        return replace(self, codes=codes, counts=np.bincount(codes, minlength=len(self.different)))

    def unknown(self) -> Counter[str]:
        """The different texts that are no labels, with counts."""
        places = np.flatnonzero((self.meaning == UNKNOWN) & (self.counts > 0)).tolist()
        return Counter({self.different[place]: int(self.counts[place]) for place in places})

    def first_unknown(self) -> int:
        """Place of the first text that is no label; there must be one."""
        return int(np.argmax(self.labels() == UNKNOWN))

    def labels(self) -> np.ndarray:
        """float32 [n]: 1, 0, NaN or UNKNOWN."""
        return self.meaning[self.codes]

    def texts(self) -> list[str]:
        """The n texts."""
        return [self.different[code] for code in self.codes.tolist()]
