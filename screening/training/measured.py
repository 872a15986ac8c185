"""What was measured in a part, beside what a bundle says of it: what is fitted and judged after training."""

from typing import NamedTuple

import numpy as np

from ..bundle.prediction import Prediction
from ..data.assay_table import AssayTable
from ..data.sparse_cells import SparseCells, packed


class Measured(NamedTuple):
    """Labels of a part, and what is said where they are.

    Rows are molecules or, of a table that is kept as its measured cells, the measured ones of each assay one
    below the other: nothing that is made of them depends on their order.
    """

    labels: np.ndarray
    """float32 [m, T], NaN = not measured."""
    censored: np.ndarray | None
    """int8 [m, T], as in `AssayTable`."""
    scores: np.ndarray
    """float32 [m, T], and the others, as in `Prediction`."""
    raw: np.ndarray
    sd: np.ndarray | None


def measured(table: AssayTable, rows: np.ndarray, prediction: Prediction) -> Measured:
    """The labels of the molecules `rows`, which `prediction` is of."""
    part = table.take(rows)
    if isinstance(part.labels, SparseCells):
        said = (part.censored, prediction.scores, prediction.raw, prediction.sd)
        return Measured(*packed(part.labels, *said))
    return Measured(part.labels, part.censored, prediction.scores, prediction.raw, prediction.sd)
