"""By a column of the table."""

from types import MappingProxyType

import numpy as np

from ...errors import DataError
from ..part_names import Words, part_codes
from .contract import Molecules, register
from .given_parts import Copies, ValidBy, parts_as_given


@register("column")
def column_split(
    molecules: Molecules,
    generator: np.random.Generator,
    *,
    column: str,
    words: Words = MappingProxyType({}),
    valid_from_train: float = 0.0,
    valid_by: ValidBy = "random",
    copies: Copies = "together",
) -> tuple[np.ndarray, list[str]]:
    """The parts that a column of the table names: train, valid, test, or empty (left out).

    Parameters
    ----------
    column : of the table.
    words : what other texts mean, such as {holdout: test}.
    valid_from_train : share of train that validates, where there are train and test only.
    valid_by : "random", or "scaffold" for whole scaffolds of train.
    copies : "together" = rows of a structure follow the first; "held_out" = what is in test, or in valid, is
        left out of the parts before; "apart" = each row as given, a structure may be in several parts. The
        latter two are for tables with `data.keep_apart`.
    """
    table = molecules.table
    if column not in table.extra:
        columns = ", ".join(table.extra) or "none"
        raise DataError(
            f"The table has no column '{column}' to split by. Columns that are no assay: {columns}."
        )
    codes = part_codes(table.extra[column], table.rows.tolist(), words, f"column '{column}'")
    return parts_as_given(codes, valid_from_train, molecules, generator, copies=copies, valid_by=valid_by)
