"""The split of a table by its name in a config."""

from typing import Any

import numpy as np

from ...errors import DataError
from ..assay_table import AssayTable
from ..part_names import PARTS
from .contract import Split, molecules_of, splits


def split_table(
    table: AssayTable, name: str, *, seed: int, workers: int | None = None, **options: Any
) -> Split:
    """The split `name` of a table; same seed, same table, same split.

    Raises
    ------
    ConfigError : unknown split or option, or a value out of range.
    DataError : nothing to split, nothing to train on, or a column or file that does not fit the table.
    """
    splits.check(name, options)
    if not len(table):
        raise DataError("The table has no usable molecule, so there is nothing to split.")
    molecules = molecules_of(table, workers)
    codes, notes = splits.build(name, molecules, np.random.default_rng(seed), **options)
    counts = [int((codes == code).sum()) for code in range(len(PARTS))]
    if not counts[0]:
        raise DataError(
            f"The split '{name}' leaves no molecule to train on (valid {counts[1]}, test {counts[2]}). "
            "Choose another split, or give train a larger share."
        )
    empty = [part for part, count in zip(PARTS, counts, strict=True) if not count]
    notes += [f"The split '{name}' leaves {part} empty{_what_is_lost(part, name)}" for part in empty]
    names = np.array([*PARTS, ""], dtype=object)
    return Split(names[codes].tolist(), tuple(notes))


def _what_is_lost(part: str, name: str) -> str:
    if part == "test":
        return ": there is nothing to say how good the model is."
    advice = (
        " A share of train can validate: split.valid_from_train=0.1."
        if "valid_from_train" in splits.options(name)
        else ""
    )
    return (
        ": no early stopping and no choice of the best epoch, no calibrated probabilities, no limit of the "
        f"domain.{advice}"
    )
