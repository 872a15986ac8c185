"""The parts that people name for molecules: words of a column or a file, and what they mean to `splits`."""

import csv
import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError
from ..recipes import shipped_file
from .label_words import mapping_setting

PARTS = ("train", "valid", "test")
LEFT_OUT = -1
SPELLINGS = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid", "testing": "test"}
"""Other words for the parts, accepted in a column or file."""

MOST_WORDS = 8
"""Different unknown words that a message takes for parts of a split."""

Words = Mapping[str, str | None]
"""Word of a column (without regard to case and outer blanks) to train, valid, test, or None = left out."""


def part_codes(texts: Sequence[str], rows: Sequence[int], words: Words, where: str) -> np.ndarray:
    """The number of the part that each text names, int64 [n]; LEFT_OUT for an empty one.

    Parameters
    ----------
    rows : number of each text's row, for messages.
    words : what other words mean.
    where : the column or file, for messages.

    Raises
    ------
    ConfigError : a word is to mean something else than a part.
    DataError : a text names no part; all such texts are listed.
    """
    meanings = _meanings(words)
    plain = [text.strip().casefold() for text in texts]
    unknown = Counter(text.strip() for text, key in zip(texts, plain, strict=True) if key not in meanings)
    if unknown:
        first = next(row for row, key in zip(rows, plain, strict=True) if key not in meanings)
        raise DataError(_unknown(unknown, words, where, first))
    return np.array([meanings[key] for key in plain], dtype=np.int64)


def _meanings(words: Words) -> dict[str, int]:
    meanings = {part: code for code, part in enumerate(PARTS)} | {"": LEFT_OUT}
    meanings |= {word: meanings[part] for word, part in SPELLINGS.items()}
    usual = dict(meanings)
    for word, part in words.items():
        key = "" if part is None else part.strip().casefold()
        if key not in usual:
            raise ConfigError(
                f"split.words: '{word}' is mapped to '{part}'; train, valid, test or null (left out) was "
                "expected."
            )
        meanings[word.strip().casefold()] = usual[key]
    return meanings


def _unknown(unknown: Counter[str], words: Words, where: str, row: int) -> str:
    listed = ", ".join(f"'{text}' ({n:,})" for text, n in unknown.most_common(MOST_WORDS))
    more = f" and {len(unknown) - MOST_WORDS:,} other texts" if len(unknown) > MOST_WORDS else ""
    seen = (
        f"{where}: {listed}{more} {'is' if len(unknown) == 1 else 'are'} none of train, valid, test or empty "
    )
    seen += f"(left out), first in row {row:,}."
    if len(unknown) > MOST_WORDS:
        return (
            f"{seen} A column of dates or numbers is no split by itself: split.name=time trains on the "
            "oldest molecules and tests on the newest ones."
        )
    setting = mapping_setting("split.words", {**words, **dict.fromkeys(unknown, "test")})
    return f"{seen} Say what they mean, each train, valid, test or null (left out), such as {setting}."


def read_parts(path: Path, column: str) -> dict[int, str]:
    """The text for each row (from 0) in a split file; one under `configs/` may be that which comes along.

    Where a run had auxiliary tables its column `table` says so, and only the lines of the first one count.

    Raises
    ------
    DataError : the file cannot be read, lacks a column, or has a row twice.
    """
    path = shipped_file(path)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            for name in ("row", column):
                if name not in columns:
                    raise DataError(
                        f"{path} has no column '{name}'. It has: {', '.join(columns) or 'none'}. "
                        "Name the one to use with the option 'column'."
                    )
            records = list(reader)
            main = records[0].get("table") if records else None
            own = [line for line in records if line.get("table") == main]
            lines = [(int(line["row"]), line[column] or "") for line in own]
    except (OSError, EOFError, ValueError, TypeError, csv.Error) as problem:
        raise DataError(
            f"The split file {path} cannot be read: {problem}. A CSV file with a column 'row' (from 0) and a "
            "column of train, valid, test or empty was expected."
        ) from problem
    parts = dict(lines)
    if len(parts) < len(lines):
        raise DataError(f"{path} names a row more than once; one line per row was expected.")
    return parts
